//! The embedded plugins `plain-post` and `template` with the real program: what the README of the
//! templates shows is what arrives, and what the CRMs' own descriptions of their interfaces allow.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use callhook_pbx::Pbx;
use callhook_receiver::{Receiver, Webhook};
use promises::{Callhook, Ini, PATIENCE};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

mod schema;

const README: &str = include_str!("../../plugins/template/README.md");

const CALLER: &str = "420774852629";

/// One office at a time: an unoptimised service takes all of the machine to compile its plugins.
static TURN: Mutex<()> = Mutex::const_new(());

/// An office whose calls go through the plugin that the README calls `name`.
struct Office {
    _turn: MutexGuard<'static, ()>,
    pbx: Pbx,
    receiver: Receiver,
    ini: Ini,
}

impl Office {
    async fn open() -> Self {
        let turn = TURN.lock().await;
        let pbx = Pbx::small_office().start().await.expect("the exchange starts");
        let receiver = Receiver::start().await.expect("the receiver starts");
        let ini = Ini::new(&pbx, &receiver.url());
        Self { _turn: turn, pbx, receiver, ini }
    }

    /// One that is set up as the README says, but for the address and its credentials.
    async fn of_the_readme(name: &str) -> Self {
        let office = Self::open().await;
        for (file, text) in files() {
            std::fs::write(office.ini.folder().join(file), text).expect("written");
        }
        let people = "extension,name,hubspot_owner_id,pipedrive_id\n106,Alice Novak,1001,2001\n";
        std::fs::write(office.ini.folder().join("users.csv"), people).expect("written");
        let events = section(&format!("webhook.{name}")).find(|line| line.starts_with("events"));
        let plugin: Vec<&str> = section(&format!("plugin.{name}")).collect();
        let ini = office
            .ini
            .webhook(&format!("plugins = {name}"))
            .webhook(events.expect("its events"))
            .section(&format!("plugin.{name}"), &plugin)
            .section("directory", &["file = users.csv"]);
        Self { ini, ..office }
    }

    /// A call that Alice answers, for which `first` requests arrive, and one that she does not.
    async fn two_calls(&self, hook: &Callhook, first: usize) {
        let call = self.pbx.outside(CALLER).calls("420226201001").expect("the call arrives");
        hook.wait_for_log("\"kind\":\"ringing\"").await;
        self.pbx.person("106").answers(&call).expect("she answers");
        hook.wait_for_log("\"kind\":\"start\"").await;
        self.pbx.outside(CALLER).hangs_up(&call).expect("the caller hangs up");
        self.arrived(first).await;
        let missed = self.pbx.outside(CALLER).calls("420226201001").expect("another call");
        hook.wait_for_logs("\"kind\":\"ringing\"", 2).await;
        self.pbx.outside(CALLER).hangs_up(&missed).expect("the caller gives up");
    }

    async fn arrived(&self, count: usize) -> Vec<Webhook> {
        let enough = |arrived: &Vec<Webhook>| arrived.len() >= count;
        let arrived = self.receiver.wait_until(PATIENCE, enough).await.expect("they arrive");
        assert_eq!(arrived.len(), count, "{arrived:#?}");
        arrived
    }
}

/// The lines of a section in the README's examples, without comments.
fn section(name: &str) -> impl Iterator<Item = &'static str> {
    let start = format!("[{name}]\n");
    let lines = README.split(&start).nth(1).unwrap_or_else(|| panic!("[{name}] is not shown"));
    let lines = lines.lines().take_while(|line| !line.starts_with(['[', '`']));
    lines.filter(|line| !line.is_empty() && !line.starts_with(';'))
}

/// The templates that the README keeps in files, by the names of these.
fn files() -> Vec<(&'static str, &'static str)> {
    let blocks = README.split("`:\n\n```jinja\n").collect::<Vec<_>>();
    let name = |before: &'static str| before.rsplit('`').next().unwrap();
    let text = |block: &'static str| block.split("```").next().unwrap();
    blocks.windows(2).map(|pair| (name(pair[0]), text(pair[1]))).collect()
}

fn json(webhook: &Webhook) -> Value {
    assert_eq!(webhook.method, "POST");
    assert_eq!(webhook.header("content-type"), "application/json");
    serde_json::from_slice(&webhook.body).expect("JSON")
}

fn form(webhook: &Webhook) -> BTreeMap<String, String> {
    assert_eq!(webhook.header("content-type"), "application/x-www-form-urlencoded");
    url::form_urlencoded::parse(&webhook.body).into_owned().collect()
}

/// A file of the vendors' descriptions of their interfaces, where they are at hand.
fn description(file: &str) -> Option<String> {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/crm-specs").join(file);
    let text = std::fs::read_to_string(&path);
    if text.is_err() {
        eprintln!("skipped: there is no {} to judge by", path.display());
    }
    text.ok()
}

#[tokio::test]
async fn zammad_hears_of_a_call_its_answer_and_its_end() {
    let office = Office::of_the_readme("zammad").await;
    let hook = Callhook::start(&office.ini).await;
    office.two_calls(&hook, 3).await;
    let arrived = office.arrived(5).await;
    let forms: Vec<_> = arrived.iter().map(form).collect();
    let events: Vec<_> = forms.iter().map(|form| form["event"].as_str()).collect();
    assert_eq!(events, ["newCall", "answer", "hangup", "newCall", "hangup"]);
    assert!(forms[..3].iter().all(|form| form["callId"] == forms[0]["callId"]), "{forms:#?}");
    assert_ne!(forms[3]["callId"], forms[0]["callId"]);
    for form in &forms {
        assert_eq!((&*form["from"], &*form["direction"]), (CALLER, "in"));
    }
    assert_eq!(forms[0]["user[]"], "Alice Novak");
    assert_eq!(forms[1]["answeringNumber"], "106");
    assert_eq!((&*forms[2]["cause"], &*forms[4]["cause"]), ("normalClearing", "noAnswer"));
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn hubspot_gets_what_its_interface_allows() {
    let office = Office::of_the_readme("hubspot").await;
    let hook = Callhook::start(&office.ini).await;
    office.two_calls(&hook, 1).await;
    let arrived = office.arrived(2).await;
    let bodies: Vec<_> = arrived.iter().map(json).collect();
    assert!(arrived.iter().all(|webhook| webhook.target == "/crm/v3/objects/calls"));
    let status = |body: &Value| body["properties"]["hs_call_status"].clone();
    assert_eq!(bodies.iter().map(status).collect::<Vec<_>>(), ["COMPLETED", "NO_ANSWER"]);
    assert_eq!(bodies[0]["properties"]["hs_call_from_number"], "+420774852629");
    assert_eq!(bodies[0]["properties"]["hubspot_owner_id"], "1001");
    if let Some(text) = description("hubspot/calls-v3.json") {
        let api: Value = serde_json::from_str(&text).expect("JSON");
        let schema = &api["components"]["schemas"]["SimplePublicObjectInputForCreate"];
        for body in &bodies {
            schema::judge(schema, "body", body);
        }
    }
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn pipedrive_gets_what_its_interface_allows() {
    let office = Office::of_the_readme("pipedrive").await;
    let hook = Callhook::start(&office.ini).await;
    office.two_calls(&hook, 1).await;
    let arrived = office.arrived(2).await;
    let bodies: Vec<_> = arrived.iter().map(json).collect();
    assert!(arrived.iter().all(|webhook| webhook.target == "/callLogs"));
    assert_eq!(
        (&bodies[0]["outcome"], &bodies[1]["outcome"]),
        (&"connected".into(), &"no_answer".into())
    );
    assert_eq!(bodies[0]["user_id"], 2001);
    if let Some(text) = description("pipedrive/pipedrive-v1-openapi.yml") {
        let request = &schema::of_yaml(&text, "  /callLogs:")["post"]["requestBody"];
        let schema = &request["content"]["application/json"]["schema"];
        for body in &bodies {
            schema::judge(schema, "body", body);
        }
    }
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn plain_post_sends_all_data_of_an_event() {
    let office = Office::open().await;
    let ini = office
        .ini
        .webhook("plugins = all")
        .webhook("events = ringing")
        .section("plugin.all", &["use = plain-post", "country = 420"]);
    let hook = Callhook::start(&ini).await;
    office.pbx.outside("774852629").calls("420226201001").expect("the call arrives");
    let arrived =
        office.receiver.wait_until(PATIENCE, |arrived: &Vec<Webhook>| !arrived.is_empty());
    let body = json(&arrived.await.expect("it arrives")[0]);
    assert_eq!((&body["event"], &body["link"]), (&"ringing".into(), &0.into()));
    assert_eq!(
        (&body["caller_id"], &body["caller_e164"]),
        (&"774852629".into(), &"+420774852629".into())
    );
    assert_eq!((&body["user"]["number"], &body["user"]["name"]), (&"106".into(), &Value::Null));
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn what_a_caller_calls_himself_stays_where_it_stands() {
    let name = r#""}, "admin": true, {"x": "{{ 7 * 7 }} & ů \"#;
    let office = Office::open().await;
    let ini = office.ini.webhook("plugins = template").webhook("events = ringing").section(
        "plugin.template",
        &[
            "query.name = {{ caller_name }}",
            "header.X-Name = {{ caller_name }}",
            r#"body = {"name": "{{ caller_name }}", "whole": {{ caller_name }}}"#,
        ],
    );
    let hook = Callhook::start(&ini).await;
    office.pbx.outside(CALLER).named(name).calls("420226201001").expect("the call arrives");
    let arrived =
        office.receiver.wait_until(PATIENCE, |arrived: &Vec<Webhook>| !arrived.is_empty());
    let webhook = &arrived.await.expect("it arrives")[0];
    assert_eq!(json(webhook), serde_json::json!({"name": name, "whole": name}));
    let url = url::Url::parse(&format!("http://x{}", webhook.target)).unwrap();
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    assert_eq!(pairs, [("name".to_owned(), name.to_owned())]);
    assert!(webhook.header("x-name").contains("%C5%AF"), "{:?}", webhook.headers);
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn check_tells_what_is_wrong_with_a_template() {
    let office = Office::open().await;
    std::fs::write(office.ini.folder().join("body.json"), "{\n  \"from\": {{ caler_id }}\n}")
        .unwrap();
    let ini = office
        .ini
        .webhook("plugins = crm")
        .section("plugin.crm", &["use = template", "body = ${file:body.json}"]);
    let mut command = Callhook::command(&["check", "--offline", "--config"]);
    let output = command.arg(ini.write()).output().expect("callhook runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let expected =
        "setting `body`: line 2, column 14: there is no `caler_id`; did you mean `caller_id`?";
    assert!(said.contains(expected), "{said}");
}
