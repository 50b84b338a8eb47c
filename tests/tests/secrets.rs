//! What nobody may read stays unread: whatever fails, no secret and no phone number is in the log
//! at its usual level, on a page of the console or in what a command prints, and nobody but the
//! owner reads the database.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use callhook_pbx::Pbx;
use promises::tls::{Authority, Faulty, named};
use promises::{Answer, Arrival, Callhook, Ini, Ledger, Oracle, PATIENCE, component, eventually};
use rustls::version::TLS13;
use serde_json::Value;

/// The key of the API client.
const CLIENT_SECRET: &str = "canary-of-the-client-8Zq1";
/// A key in the receiver's address.
const URL_KEY: &str = "canary-of-the-address-5Tw7";
/// A setting of a plugin that is a secret.
const TOKEN: &str = "canary-of-the-plugin-2Xk9";
/// Callers and the numbers that they call.
const NUMBERS: [&str; 4] = ["420774852629", "420666666666", "420226201001", "774852629"];

/// What endpoints are shown, from every source of secrets there is. The last three look like a
/// signing key, a private key and what a token server gives.
const BASIC: &str = "canary-basic-1aQz";
const BEARER: &str = "canary-bearer-2bWx";
const HEADER: &str = "canary-header-3cEc";
const QUERY: &str = "canary-query-4dRv";
const CLIENT: &str = "canary-client-5eTb";
const REFRESH: &str = "canary-refresh-6fYn";
const ROTATED: &str = "canary-rotated-7gUm";
const ACCESS: &str = "canary-access-8hIk";
const PROXY: &str = "canary-proxy-9iOl";
const SIGNING: &str = "Y2FuYXJ5LXNpZ25pbmctMGpQLWFuZC1tb3Jl";

/// Everything that must not be seen.
fn canaries() -> Vec<&'static str> {
    [CLIENT_SECRET, URL_KEY, TOKEN].into_iter().chain(NUMBERS).collect()
}

/// Holds that no canary sings in a text.
fn silent(place: &str, text: &str) {
    for canary in canaries() {
        let line = text.lines().find(|line| line.contains(canary));
        assert!(line.is_none(), "{canary} is in {place}: {line:?}");
    }
}

async fn office() -> (Pbx, Oracle, Ini) {
    let pbx = Pbx::small_office()
        .client("callhook", CLIENT_SECRET)
        .start()
        .await
        .expect("the exchange starts");
    let oracle = Oracle::start().await;
    let plugin = format!("file = {}", component("hostile").display());
    let hostile = [plugin.as_str(), "do = tell-secret", "when = 420666666666"];
    let token = format!("token = {TOKEN}");
    let ini = Ini::new(&pbx, &format!("{}calls?key={URL_KEY}", oracle.url()))
        .level("info")
        .webhook("timeout = 300ms")
        .webhook("plugins = plain-get, nasty")
        .section("plugin.nasty", &[&hostile[..], &[&token]].concat());
    (pbx, oracle, ini)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_no_secret_and_no_number_is_told() {
    let (pbx, oracle, ini) = office().await;
    let hook = Callhook::start(&ini).await;
    // One failure after the other, each a call's.
    let elsewhere = format!("http://127.0.0.1:9/moved?key={URL_KEY}");
    let answers = [
        Answer::Status(500),
        Answer::Status(400),
        Answer::header(503, "retry-after", "0"),
        Answer::header(302, "location", &elsewhere),
        Answer::With(422, Vec::new(), format!("{} is not a number, {URL_KEY} no key", NUMBERS[0])),
        Answer::Never,
        Answer::Short,
        Answer::Reset,
        Answer::Garbage,
    ];
    let count = answers.len();
    let answers = Arc::new(answers);
    oracle.script(move |_, arrival| {
        let call = arrival.target.rsplit_once('_').and_then(|(_, id)| id.split('-').next());
        let call: usize = call.and_then(|id| id.parse().ok()).unwrap_or(1);
        answers[call % answers.len()].clone()
    });
    for _ in 0..count {
        pbx.outside(NUMBERS[0]).calls(NUMBERS[2]).expect("a call arrives");
    }
    let all = |arrived: &[Arrival]| {
        let ids: BTreeSet<&str> = arrived.iter().map(Arrival::id).collect();
        ids.len() == count
    };
    oracle.wait("a request of each call", all).await;
    // The plugin fails at this one.
    pbx.outside(NUMBERS[1]).calls(NUMBERS[2]).expect("a call arrives");
    hook.wait_for_log("Plugin failed").await;
    // The exchange fails in its own ways.
    pbx.faults().send_garbage(&format!("{{\"not\": \"{}\", \"a\"", NUMBERS[0]));
    pbx.faults().garble_reads(3);
    pbx.faults().take_token_away();
    pbx.wait_for_watcher().await.expect("it comes back");
    pbx.outside(NUMBERS[0]).calls(NUMBERS[2]).expect("a call arrives");
    hook.wait_for_log("will not be sent again").await;
    oracle.close().await;
    hook.wait_for_log("The endpoint does not work").await;

    for page in ["/metrics", "/healthz", "/readyz", "/", "/nowhere", &format!("/?{URL_KEY}=1")] {
        silent(page, &hook.page(page).await);
    }
    let log = hook.log();
    assert!(log.len() > 10, "there is something to be silent about: {log:#?}");
    assert!(hook.stop().await.success());
    silent("the log", &log.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_fails_tells_no_secret() {
    let (pbx, oracle, ini) = office().await;
    oracle.close().await;
    drop(pbx);
    let ini = ini.webhook("timeout = soon").section("webhook.more", &["url = ftp://x/"]);
    let path = ini.write();
    for arguments in [&["check", "--config"][..], &["run", "--config"]] {
        let output = Callhook::command(arguments).arg(&path).output().expect("callhook runs");
        assert!(!output.status.success());
        silent(arguments[0], &String::from_utf8_lossy(&output.stderr));
        silent(arguments[0], &String::from_utf8_lossy(&output.stdout));
    }
}

#[tokio::test]
async fn only_the_owner_reads_the_database() {
    let (pbx, _oracle, ini) = office().await;
    let hook = Callhook::start(&ini).await;
    pbx.outside(NUMBERS[0]).calls(NUMBERS[2]).expect("a call arrives");
    let some = |ledger: &Ledger| !ledger.entries.is_empty();
    Ledger::wait(&ini.database(), PATIENCE, "a request is kept", some).await;
    let mut files = 0;
    for entry in fs::read_dir(ini.folder()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("callhook.db") {
            let about = entry.metadata().unwrap();
            let only_the_owners = if about.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(about.permissions().mode() & 0o777, only_the_owners, "{name}");
            files += usize::from(about.is_file());
        }
    }
    assert!(files >= 3, "the database, its log and their index: {files}");
    drop(hook);
}

/// An endpoint for each kind of credentials, all at the same receiver.
struct Exposed {
    pbx: Pbx,
    receiver: Oracle,
    tokens: Oracle,
    /// Wants to see our certificate.
    mutual: Faulty,
    ini: Ini,
    /// A line of the client's key.
    key: String,
}

impl Exposed {
    async fn open() -> Self {
        let (pbx, receiver, ini) = office().await;
        let tokens = Oracle::start().await;
        tokens.script(|number, _| match number {
            0 => Answer::With(503, Vec::new(), format!("{{\"error\":\"{REFRESH}\"}}")),
            _ => Answer::With(200, Vec::new(), granted()),
        });
        let ours = Authority::new("ours");
        let reply = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let mutual = Faulty::tls(ours.server_that_asks(&TLS13), reply).await;
        let (certificate, key) = ours.sign(&named("callhook"));
        let folder = ini.folder();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write("bearer", BEARER);
        write("header", HEADER);
        write("ca.pem", &ours.pem());
        write("client.pem", &pem(&certificate));
        write("client.key", &key.serialize_pem());
        let key = key.serialize_pem().lines().nth(1).unwrap().to_owned();
        let at = |path: &str| format!("url = {}{path}", receiver.url());
        let token_url = format!("auth_token_url = {}token", tokens.url());
        let refresh = format!("auth_refresh_token = {REFRESH}");
        let client = format!("auth_client_secret = {CLIENT}");
        let query = format!("auth_value = {QUERY}");
        let signing = format!("secret = whsec_{SIGNING}");
        let proxy = format!("proxy = http://joe:{PROXY}@{}", receiver.address());
        let (shows_key, id) = (format!("url = {}", mutual.url()), "auth_client_id = callhook");
        let schedule = "schedule = 100ms, 200ms, 400ms, 1s, 1s, 1s, 1s, 1s, 1s, 1s";
        let usual = ["events = ringing", "timeout = 300ms", schedule];
        let sections: [(&str, &[&str]); 9] = [
            (
                "basic",
                &[&at("basic"), "auth = basic", "auth_user = me", "auth_password = ${env:CANARY}"],
            ),
            ("bearer", &[&at("bearer"), "auth = bearer", "auth_token = ${file:bearer}"]),
            (
                "header",
                &[
                    &at("header"),
                    "auth = header",
                    "auth_name = x-api-key",
                    "auth_value = ${cred:header}",
                ],
            ),
            ("query", &[&at("query"), "auth = query", "auth_name = key", &query]),
            ("client", &[&at("client"), "auth = client-credentials", &token_url, id, &client]),
            ("refresh", &[&at("refresh"), "auth = refresh-token", &token_url, id, &refresh]),
            ("signed", &[&at("signed"), &signing]),
            ("proxied", &["url = http://crm.invalid/proxied", &proxy]),
            (
                "mutual",
                &[
                    &shows_key,
                    "ca_file = ca.pem",
                    "client_certificate = client.pem",
                    "client_key = client.key",
                ],
            ),
        ];
        let ini = sections.iter().fold(ini, |ini, (name, lines)| {
            ini.section(&format!("webhook.{name}"), &[&usual[..], lines].concat())
        });
        let ini = ini.level("debug");
        Self { pbx, receiver, tokens, mutual, ini, key }
    }

    /// `callhook` with these arguments and all secrets that come from outside.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Callhook::command(arguments);
        command.env("CANARY", BASIC).env("CREDENTIALS_DIRECTORY", self.ini.folder());
        command
    }

    /// What `callhook WORDS --config INI MORE` prints, however it ends.
    fn said(&self, words: &[&str], more: &[&str]) -> String {
        let mut command = self.command(words);
        let output = command.arg("--config").arg(self.ini.path()).args(more).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).expect("UTF-8")
    }

    /// Holds that no secret sings in a text.
    fn secret(&self, place: &str, text: &str) {
        let known = [
            CLIENT_SECRET,
            TOKEN,
            BASIC,
            BEARER,
            HEADER,
            QUERY,
            CLIENT,
            REFRESH,
            ROTATED,
            ACCESS,
            PROXY,
            SIGNING,
            self.key.as_str(),
        ];
        for canary in known {
            let line = text.lines().find(|line| line.contains(canary));
            assert!(line.is_none(), "{canary} is in {place}: {line:?}");
        }
    }
}

fn granted() -> String {
    format!("{{\"access_token\":\"{ACCESS}\",\"refresh_token\":\"{ROTATED}\",\"expires_in\":0}}")
}

fn pem(certificate: &[u8]) -> String {
    let text = base64::prelude::BASE64_STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_endpoints_are_shown_is_told_to_nobody_else() {
    let exposed = Exposed::open().await;
    let (receiver, ini) = (&exposed.receiver, &exposed.ini);
    // Each fails in its own way at first, and the receiver repeats what it was sent.
    receiver.script(|number, arrival| {
        let status = [401, 400, 500, 302, 407, 200][number % 6];
        let back = format!("http://127.0.0.1:9{}", arrival.target);
        Answer::With(status, vec![("location", back)], format!("{:?}", arrival.headers))
    });
    let hook = Callhook::spawn_command(ini, exposed.command(&["run"]));
    hook.wait_until_ready().await;
    let caller = exposed.pbx.outside(NUMBERS[0]);
    (0..3).for_each(|_| drop(caller.calls(NUMBERS[2]).expect("a call arrives")));
    let shown = |all: &[Arrival]| {
        let any = |canary: &str| all.iter().any(|arrival| format!("{arrival:?}").contains(canary));
        let basic = base64::prelude::BASE64_STANDARD.encode(format!("me:{BASIC}"));
        let proxy = base64::prelude::BASE64_STANDARD.encode(format!("joe:{PROXY}"));
        [basic.as_str(), BEARER, HEADER, QUERY, ACCESS, &proxy, "webhook-signature"]
            .into_iter()
            .all(any)
    };
    receiver.wait("everything was shown", shown).await;
    let refreshed = |all: &[Arrival]| {
        all.iter().any(|arrival| String::from_utf8_lossy(&arrival.body).contains(ROTATED))
    };
    exposed.tokens.wait("a token was rotated", refreshed).await;
    hook.wait_for_log("does not let us in").await;
    let known = || exposed.mutual.arrived().contains("GET").then_some(());
    eventually("a request to whoever wants our certificate", known).await.unwrap();

    // Settings that are faulty just where the secrets are.
    ini.rewrite("auth_user = me", "auth_user = m:e");
    ini.rewrite(&format!("auth_token_url = {}", exposed.tokens.url()), "auth_token_url = ftp://x/");
    ini.rewrite(&format!("secret = whsec_{SIGNING}"), &format!("secret = {SIGNING}!"));
    let proxy = format!("{PROXY}@{}", receiver.address());
    ini.rewrite(&proxy, &format!("{proxy}/pac"));
    hook.hang_up("The new settings are faulty; the old ones stay in force.").await;
    exposed.secret("check", &exposed.said(&["check"], &["--offline"]));
    ini.write();
    exposed.secret("check", &exposed.said(&["check"], &[]));

    for page in ["/metrics", "/readyz", "/healthz"] {
        let page = hook.page(page).await;
        exposed.secret("the console", &page);
        silent("the console", &page);
    }
    let list = exposed.said(&["deliveries", "list"], &["--json"]);
    exposed.secret("deliveries list", &list);
    let rows: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() >= 10, "{list}");
    for row in rows {
        let shown = exposed.said(&["deliveries", "show"], &["--json", row["id"].as_str().unwrap()]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        exposed.secret("what was sent", &shown["request"].to_string());
        shown["tries"].as_array().unwrap().iter().for_each(|attempt| {
            exposed.secret("an error", &attempt["error"].to_string());
        });
    }
    let log = hook.log();
    assert!(hook.stop().await.success());
    exposed.secret("the log, whatever the level", &log.join("\n"));
    let told = log.iter().filter(|line| !line.contains("\"level\":\"DEBUG\""));
    silent("the log from info on", &told.cloned().collect::<Vec<_>>().join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_a_plugin_puts_into_a_header_is_not_shown() {
    let (pbx, oracle, ini) = office().await;
    let ini = ini.webhook("plugins = nasty").rewritten("do = tell-secret", "do = show-token");
    let ini = ini.rewritten("when = 420666666666", "when = always");
    let hook = Callhook::start(&ini).await;
    pbx.outside(NUMBERS[0]).calls(NUMBERS[2]).expect("a call arrives");
    oracle.wait("it is sent", |all| all.iter().any(|one| one.header("x-crm-key") == TOKEN)).await;
    let id = Ledger::read(&ini.database()).entries[0].id.clone();
    for words in [&["deliveries", "show"][..], &["deliveries", "show", "--json"]] {
        let mut show = Callhook::command(words);
        let output = show.arg("--config").arg(ini.path()).arg(&id).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("x-crm-key") && text.contains("***"), "{text}");
        assert!(!text.contains(TOKEN), "{text}");
    }
    assert!(hook.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_template_took_from_elsewhere_is_told_by_nobody() {
    const KEY: &str = "canary-of-the-template-4Qs8";
    let (pbx, oracle) =
        (Pbx::small_office().start().await.expect("it starts"), Oracle::start().await);
    // It fails at one caller only, so that it passes the check.
    let condition = format!("{{% if caller_id == \"{}\" %}}", NUMBERS[1]);
    let body = format!(
        "ringing.body = {{\"tel\": \"{{{{ caller_id }}}}\", \"token\": \"${{env:CANARY}}\", \"n\": \
         {condition}oops{{% else %}}1{{% endif %}} }}"
    );
    let ini = Ini::new(&pbx, &oracle.url())
        .webhook("plugins = words")
        .section("plugin.words", &["use = template", &body]);
    let command = |words: &[&str]| {
        let mut command = Callhook::command(words);
        command.env("CANARY", KEY);
        command
    };
    let hook = Callhook::spawn_command(&ini, command(&["run"]));
    hook.wait_until_ready().await;
    pbx.outside(NUMBERS[0]).calls(NUMBERS[2]).expect("a call arrives");
    oracle
        .wait("it is sent", |all| {
            all.iter().any(|one| String::from_utf8_lossy(&one.body).contains(KEY))
        })
        .await;
    pbx.outside(NUMBERS[1]).calls(NUMBERS[2]).expect("a call arrives");
    let said = hook.wait_for_log("Plugin failed").await;
    assert!(said.contains("what comes out is not JSON"), "{said}");
    ini.rewrite(&condition, "{% if true %}");
    hook.hang_up("The new settings are faulty; the old ones stay in force.").await;
    let mut told = vec![hook.page("/readyz").await, hook.log().join("\n")];
    for words in [&["deliveries", "list"][..], &["deliveries", "list", "--json"], &["check"]] {
        let output = command(words).arg("--config").arg(ini.path()).output().expect("it runs");
        told.extend([output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()));
    }
    assert!(hook.stop().await.success());
    for text in told {
        let line =
            text.lines().find(|line| line.contains("canary") || line.contains("template-4Q"));
        assert!(line.is_none(), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_an_address_is_not_told_when_the_receiver_has_moved() {
    let (pbx, oracle) =
        (Pbx::small_office().start().await.expect("it starts"), Oracle::start().await);
    let url = format!("{}rest/1/${{file:key}}/", oracle.url());
    let ini = Ini::new(&pbx, &url);
    fs::write(ini.folder().join("key"), URL_KEY).unwrap();
    oracle.script(|number, arrival| {
        let path = arrival.target.split('?').next().unwrap_or_default();
        let tel = "http://127.0.0.1:9/tel/774-852-629".to_owned();
        let moved = if number == 0 { format!("http://127.0.0.1:9{path}") } else { tel };
        Answer::header(301, "location", &moved)
    });
    let hook = Callhook::start(&ini).await;
    for _ in 0..2 {
        pbx.outside(NUMBERS[0]).calls(NUMBERS[2]).expect("a call arrives");
    }
    oracle.wait("both are sent", |all| all.len() >= 2).await;
    hook.wait_for_logs("will not be sent again", 1).await;
    let listed = || {
        let mut list = Callhook::command(&["deliveries", "list"]);
        let output = list.arg("--config").arg(ini.path()).output().expect("it runs");
        let text = String::from_utf8(output.stdout).unwrap();
        (text.matches("http://127.0.0.1:9/").count() == 2).then_some(text)
    };
    let listed = eventually("both are dead", listed).await.unwrap();
    let log = hook.log().join("\n");
    assert!(hook.stop().await.success());
    for text in [listed, log] {
        assert!(!text.contains(URL_KEY) && !text.contains("774-852"), "{text}");
    }
}
