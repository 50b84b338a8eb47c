//! The operator sees what became of events, and can send them again or give them up, whether the
//! service runs or not.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::process::Output;

use callhook_pbx::Pbx;
use callhook_receiver::{Receiver, Webhook};
use promises::{Callhook, Ini, PATIENCE, component, gist};
use serde_json::Value;

const CALLER: &str = "420774852629";

struct Office {
    pbx: Pbx,
    receiver: Receiver,
    ini: Ini,
}

impl Office {
    async fn open() -> Self {
        let pbx = Pbx::small_office().start().await.expect("the exchange starts");
        let receiver = Receiver::start().await.expect("the receiver starts");
        let ini = Ini::new(&pbx, &receiver.url()).webhook("schedule = 10ms, 10ms, 10ms");
        Self { pbx, receiver, ini }
    }

    /// Runs `callhook WORDS... --config INI MORE...`.
    fn callhook(&self, words: &[&str], more: &[&str]) -> Output {
        let ini = self.ini.write();
        let mut command = Callhook::command(words);
        command.arg("--config").arg(ini).args(more).output().expect("callhook runs")
    }

    /// The same, and it does what it should; gives its lines.
    fn does(&self, words: &[&str], more: &[&str]) -> Vec<String> {
        let output = self.callhook(words, more);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?} {more:?}: {errors}");
        String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
    }

    /// All deliveries as the command lists them.
    fn list(&self, more: &[&str]) -> Vec<Value> {
        let mut all = vec!["--json"];
        all.extend(more);
        let lines = self.does(&["deliveries", "list"], &all);
        lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Waits until as many deliveries are in this state.
    async fn wait_for(&self, state: &str, count: usize) -> Vec<Value> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.list(&["--state", state]);
            if found.len() >= count {
                assert_eq!(found.len(), count, "{found:#?}");
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "{:#?}", self.list(&[]));
            tokio::task::yield_now().await;
        }
    }

    /// A call that rings at Alice, who answers it, and that ends.
    async fn whole_call(&self, hook: &Callhook) {
        let call = self.pbx.outside(CALLER).calls("420226201001").expect("the call arrives");
        hook.wait_for_log("\"kind\":\"ringing\"").await;
        self.pbx.person("106").answers(&call).expect("she answers");
        hook.wait_for_log("\"kind\":\"start\"").await;
        self.pbx.outside(CALLER).hangs_up(&call).expect("the caller hangs up");
        hook.wait_for_log("\"kind\":\"end\"").await;
    }

    async fn arrived(&self, count: usize) -> Vec<Webhook> {
        let enough = |arrived: &Vec<Webhook>| arrived.len() >= count;
        let arrived = self.receiver.wait_until(PATIENCE, enough).await.expect("they arrive");
        assert_eq!(arrived.len(), count, "{arrived:#?}");
        arrived
    }
}

fn id(row: &Value) -> &str {
    row["id"].as_str().expect("a row has an id")
}

#[tokio::test]
async fn what_was_refused_is_seen_with_its_reason_and_sent_again_by_the_running_service() {
    let office = Office::open().await;
    office.receiver.answer_status(404);
    let hook = Callhook::start(&office.ini).await;
    office.whole_call(&hook).await;
    let dead = office.wait_for("dead", 3).await;
    assert_eq!(dead[0]["attempts"], 3);
    let reason = dead[0]["reason"].as_str().expect("it has a reason");
    assert!(reason.contains("404"), "{reason}");
    let shown = office.does(&["deliveries", "show", id(&dead[0])], &[]).join("\n");
    assert!(shown.contains("GET http://127.0.0.1") && shown.contains(CALLER), "{shown}");
    assert_eq!(shown.matches("404 after").count(), 3, "{shown}");

    let before = office.arrived(9).await;
    office.receiver.answer_status(200);
    let said = office.does(&["deliveries", "retry"], &["--state", "dead"]);
    assert_eq!(said, ["3 requests sent again"]);
    let after = office.arrived(12).await.split_off(9);
    let told: Vec<String> = after.iter().map(gist).collect();
    assert_eq!(
        told,
        ["ringing 106 ext 1-0", "hangupincoming 106 NotDef 1-1", "incoming 106 Ok 1-1"]
    );
    assert_eq!(after[0].header("webhook-id"), before[0].header("webhook-id"), "the same request");
    office.wait_for("delivered", 3).await;
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn orders_are_carried_out_without_a_service_too() {
    let office = Office::open().await;
    office.receiver.answer_status(404);
    let hook = Callhook::start(&office.ini).await;
    office.whole_call(&hook).await;
    let dead = office.wait_for("dead", 3).await;
    assert!(hook.stop().await.success());

    let said = office.does(&["deliveries", "retry", id(&dead[2])], &[]);
    assert_eq!(said, ["1 request sent again"]);
    let waiting = office.wait_for("waiting", 1).await;
    assert_eq!(id(&waiting[0]), id(&dead[2]));
    let said =
        office.does(&["deliveries", "bury"], &["--state", "waiting", "--reason", "too late"]);
    assert_eq!(said, ["1 request given up"]);
    let dead = office.wait_for("dead", 3).await;
    assert_eq!(dead[2]["reason"], "too late");

    office.does(&["deliveries", "retry"], &["--endpoint", "webhook"]);
    office.receiver.answer_status(200);
    let hook = Callhook::start(&office.ini).await;
    office.wait_for("delivered", 3).await;
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn stored_events_are_replayed_through_todays_settings() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    office.whole_call(&hook).await;
    let first = office.arrived(3).await;

    let day = ["--from", "1h", "--to", "2100-01-01"];
    let said = office.does(&["replay"], &day);
    assert_eq!(said[0], "2 requests made");
    assert_eq!(said[1], "1 event left out that only mattered while new; --popups takes them too");
    let again = office.arrived(5).await.split_off(3);
    assert_eq!(again[0].target, first[1].target);
    assert_eq!(again[1].target, first[2].target);
    let id = first[1].header("webhook-id");
    assert_eq!(again[0].header("webhook-id"), format!("{id}:1"), "a request of its own");
    assert!(hook.stop().await.success());

    // Without a service, and with other settings than those that the events came through.
    let elsewhere = Office {
        ini: office.ini.section("webhook.second", &[&format!("url = {}b", office.receiver.url())]),
        ..office
    };
    let said =
        elsewhere.does(&["replay"], &[&day[..], &["--endpoint", "second", "--popups"]].concat());
    assert_eq!(said, ["3 requests made"]);
    let hook = Callhook::start(&elsewhere.ini).await;
    let targets = elsewhere.arrived(8).await.split_off(5);
    assert!(targets.iter().all(|webhook| webhook.target.starts_with("/b?")), "{targets:#?}");
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn what_a_plugin_failed_on_goes_through_a_better_one() {
    let mut office = Office::open().await;
    let plain = office.ini.folder().join("good.ini");
    let hostile = component("hostile");
    office.ini = office
        .ini
        .webhook("plugins = plain-get, nasty")
        .section("plugin.nasty", &[&format!("file = {}", hostile.display()), "do = panic"]);
    let hook = Callhook::start(&office.ini).await;
    office.whole_call(&hook).await;
    let dead = office.wait_for("dead", 3).await;
    assert!(dead[0]["lane"].is_null(), "there is no request: {dead:#?}");
    assert!(hook.stop().await.success());

    let text = std::fs::read_to_string(office.ini.write()).expect("the .ini is there");
    std::fs::write(&plain, text.replace("plain-get, nasty", "plain-get")).expect("written");
    let repaired = plain.to_str().expect("UTF-8");
    let command = ["deliveries", "retry", "--state", "dead", "--config", repaired];
    let said = Callhook::command(&command).output().expect("callhook runs");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "3 requests sent again\n", "{said:?}");
    office.wait_for("waiting", 3).await;
    assert_eq!(office.list(&["--state", "dead"]), Vec::<Value>::new());
}

#[tokio::test]
async fn an_export_holds_everything_and_wrong_words_say_what_is_right() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    office.whole_call(&hook).await;
    office.wait_for("delivered", 3).await;
    let lines = office.does(&["deliveries", "export"], &["--endpoint", "webhook"]);
    let rows: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2]["event_data"]["caller_id"], CALLER);
    assert_eq!(rows[2]["tries"][0]["status"], 200);
    let call = rows[2]["event_data"]["id"].clone();
    assert!(!call.is_null());
    assert_eq!(office.list(&["--limit", "2"]).len(), 2);
    let cut = office.callhook(&["deliveries", "list"], &["--limit", "2"]);
    assert_eq!(String::from_utf8_lossy(&cut.stdout).lines().count(), 2);
    let told = String::from_utf8_lossy(&cut.stderr).into_owned();
    assert_eq!(told, "note: there are more than these 2; see --limit\n");
    let whole = office.callhook(&["deliveries", "list"], &["--limit", "3"]);
    assert!(whole.stderr.is_empty(), "{whole:?}");
    let json = office.callhook(&["deliveries", "list", "--json"], &["--limit", "2"]);
    assert_eq!(String::from_utf8_lossy(&json.stderr), told, "nor is a program left to guess");
    assert_eq!(office.list(&["--since", "1h"]).len(), 3);
    assert_eq!(office.list(&["--since", "2026-01-01T00:00:00[Europe/Prague]"]).len(), 3);
    assert_eq!(office.list(&["--until", "1h"]).len(), 0);

    let said = |words: &[&str], more: &[&str], code: i32, part: &str| {
        let output = office.callhook(words, more);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?} {more:?}: {errors}");
        assert!(errors.contains(part), "{words:?} {more:?}: {errors}");
    };
    said(&["deliveries", "retry"], &[], 2, "say which");
    said(&["deliveries", "retry", "a", "b"], &["--state", "dead"], 2, "say which");
    said(&["deliveries", "retry", "nothing"], &[], 1, "there is no delivery nothing");
    said(&["deliveries", "show", "nothing"], &[], 1, "there is no delivery nothing");
    said(&["deliveries", "bury", "nothing"], &[], 1, "there is no delivery nothing");
    said(&["deliveries", "list"], &["--state", "lost"], 2, "waiting, delivered, dead or expired");
    said(&["deliveries", "list"], &["--since", "noon"], 2, "expected a time such as");
    said(&["replay"], &["--from", "1h", "--to", "2h"], 2, "--from must be earlier than --to");
    said(
        &["replay"],
        &["--from", "2h", "--to", "1h", "--endpoint", "nobody"],
        2,
        "no endpoint nobody",
    );
    for command in ["list", "export", "retry", "bury"] {
        let near = "no endpoint webhok in the settings; did you mean webhook?";
        said(&["deliveries", command], &["--endpoint", "webhok"], 2, near);
    }
    said(&["deliveries", "resume", "nobody"], &[], 2, "no endpoint nobody");
    let delivered = id(&rows[0]);
    let already = format!("{delivered}: delivered already");
    said(&["deliveries", "retry", delivered], &[], 1, &already);
    said(&["deliveries", "bury", delivered], &[], 1, &already);
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn whoever_stops_reading_is_not_answered_with_an_error() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    office.whole_call(&hook).await;
    let delivered = office.wait_for("delivered", 3).await;
    let ini = office.ini.write();
    for words in [&["list"][..], &["show", id(&delivered[0])], &["export"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let words = [&["deliveries"], words].concat();
        let mut command = Callhook::command(&words);
        let output = command.arg("--config").arg(&ini).stdout(writer).output().expect("it runs");
        assert!(output.status.success(), "{words:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
    }
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn the_operator_needs_no_secret_that_is_not_used() {
    const NOWHERE: &str = "${cred:canary}";
    let mut office = Office::open().await;
    office.receiver.answer_status(404);
    let hook = Callhook::start(&office.ini).await;
    office.whole_call(&hook).await;
    let dead = office.wait_for("dead", 3).await;
    assert!(hook.stop().await.success());

    let secret = format!("client_secret = {}", office.pbx.client_secret());
    office.ini = office
        .ini
        .rewritten(&secret, &format!("client_secret = {NOWHERE}"))
        .webhook("auth = bearer")
        .webhook(&format!("auth_token = {NOWHERE}"));
    let shown = office.does(&["deliveries", "show", id(&dead[0])], &[]);
    assert!(shown.join("\n").contains("404"), "{shown:?}");
    assert_eq!(office.does(&["deliveries", "export"], &[]).len(), 3);
    let said = office.does(&["deliveries", "retry"], &["--state", "dead"]);
    assert_eq!(said, ["3 requests sent again"]);
    let said = office.does(&["deliveries", "bury"], &["--state", "waiting"]);
    assert_eq!(said, ["3 requests given up"]);
    let said = office.does(&["deliveries", "resume", "webhook"], &[]);
    assert_eq!(said, ["webhook was not switched off"]);
    let day = ["--from", "1h", "--to", "2100-01-01"];
    assert_eq!(office.does(&["replay"], &day)[0], "2 requests made");

    // What requests are made of must be there, and a check wants all of it.
    office.ini = office
        .ini
        .webhook("plugins = words")
        .section("plugin.words", &["use = template", &format!("body = \"{NOWHERE}\"")]);
    office.does(&["deliveries", "bury"], &["--state", "waiting"]);
    for (words, more) in [(&["replay"][..], &day[..]), (&["check"], &["--offline"])] {
        let refused = office.callhook(words, more);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("[plugin.words] body: ${cred:canary}: CREDENTIALS_DIR"), "{said}");
        assert!(said.contains("systemd-run --pipe --wait -p LoadCredential=canary:FILE"), "{said}");
    }
}
