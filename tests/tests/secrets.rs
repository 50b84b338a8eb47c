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
use std::sync::Arc;

use callhook_pbx::Pbx;
use promises::{Answer, Arrival, Callhook, Ini, Ledger, Oracle, PATIENCE, component};

/// The key of the API client.
const CLIENT_SECRET: &str = "canary-of-the-client-8Zq1";
/// A key in the receiver's address.
const URL_KEY: &str = "canary-of-the-address-5Tw7";
/// A setting of a plugin that is a secret.
const TOKEN: &str = "canary-of-the-plugin-2Xk9";
/// Callers and the numbers that they call.
const NUMBERS: [&str; 4] = ["420774852629", "420666666666", "420226201001", "774852629"];

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
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
            files += 1;
        }
    }
    assert!(files >= 3, "the database, its log and their index: {files}");
    drop(hook);
}
