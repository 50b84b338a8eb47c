//! New settings come in force between two events, or not at all.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use callhook_pbx::{Call, Pbx};
use callhook_receiver::{Receiver, Webhook};
use promises::{Answer, Callhook, Ini, Oracle, PATIENCE, expect, gist, gists};
use tokio::sync::watch;

const CALLER: &str = "420774852629";
const RANG: &str = "ringing 106 ext 1-0";
const MISSED: &str = "incoming 106 Missed 1-0";

async fn office() -> (Pbx, Receiver) {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    (pbx, Receiver::start().await.expect("the receiver starts"))
}

fn call(pbx: &Pbx) -> Call {
    pbx.outside(CALLER).calls("420226201001").expect("the call arrives")
}

fn hang_up(pbx: &Pbx, call: &Call) {
    pbx.outside(CALLER).hangs_up(call).expect("the caller hangs up");
}

/// Waits until so many different requests have been taken.
async fn taken(receiver: &Receiver, count: usize) -> Vec<Webhook> {
    let enough = |arrived: &Vec<Webhook>| gists(arrived).len() >= count;
    receiver.wait_until(PATIENCE, enough).await.expect("all of them arrive")
}

#[tokio::test]
async fn under_load_no_event_is_lost_or_doubled_or_mixed() {
    const ROUNDS: usize = 12;
    let (pbx, receiver) = office().await;
    // Both endpoints of a version spell events as it says. Their addresses are no sign: what was
    // made before goes to the address of today.
    let ini =
        Ini::new(&pbx, &format!("{}first", receiver.url())).webhook("dialect = classic").section(
            "webhook.second",
            &[&format!("url = {}second", receiver.url()), "dialect = classic"],
        );
    let hook = Callhook::start(&ini).await;
    let mut versions = ["classic", "pickup"].into_iter().cycle();
    for _ in 0..ROUNDS {
        let (seen, gone) = (hook.logged("Leg seen."), hook.logged("Leg gone."));
        let ringing = call(&pbx);
        let old = versions.next().expect("they never end");
        let new = if old == "classic" { "pickup" } else { "classic" };
        ini.rewrite(&format!("dialect = {old}"), &format!("dialect = {new}"));
        let play = async {
            hook.wait_for_logs("Leg seen.", seen + 1).await;
            hang_up(&pbx, &ringing);
            hook.wait_for_logs("Leg gone.", gone + 1).await;
            let seen = hook.logged("Leg seen.");
            let next = call(&pbx);
            hook.wait_for_logs("Leg seen.", seen + 1).await;
            pbx.person("106").answers(&next).expect("she answers");
            hang_up(&pbx, &next);
        };
        tokio::join!(hook.reload(), play);
    }
    // Somebody who answers and hangs up at once may not be seen to answer; an end comes always.
    let ends = |arrived: &[Webhook]| {
        gists(arrived).iter().filter(|gist| gist.starts_with("incoming")).count()
    };
    let complete = |arrived: &Vec<Webhook>| ends(arrived) >= 2 * 2 * ROUNDS;
    let arrived = receiver.wait_until(PATIENCE, complete).await.expect("every call ends");
    let mut of_event: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
    let mut ids = HashSet::new();
    for webhook in &arrived {
        assert!(ids.insert(webhook.header("webhook-id").to_owned()), "twice: {}", webhook.target);
        let (path, query) = webhook.target.split_once('?').expect("there is a query");
        let of_pickup = query.contains("&chid=");
        of_event.entry(gist(webhook)).or_default().push((path.to_owned(), of_pickup));
    }
    for (event, made) in of_event {
        let [(one, version), (other, same)] = made.as_slice() else { panic!("{event}: {made:?}") };
        assert!(one != other && version == same, "{event}: {made:?}");
    }
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn a_faulty_file_is_told_and_changes_nothing() {
    let (pbx, receiver) = office().await;
    let ini = Ini::new(&pbx, &receiver.url());
    let hook = Callhook::start(&ini).await;
    ini.rewrite("schedule =", "events = nothing\nshedule =");
    hook.hang_up("The new settings are faulty; the old ones stay in force.").await;
    for part in ["callhook.ini:10: [webhook] events:", "callhook.ini:11: [webhook] shedule:"] {
        hook.wait_for_log(part).await;
    }
    hook.wait_until_ready().await;
    let ringing = call(&pbx);
    expect(&receiver, &[RANG]).await;
    hang_up(&pbx, &ringing);
    expect(&receiver, &[RANG, MISSED]).await;
}

#[tokio::test]
async fn a_plugin_that_cannot_be_loaded_changes_nothing() {
    let (pbx, receiver) = office().await;
    let ini = Ini::new(&pbx, &receiver.url());
    let hook = Callhook::start(&ini).await;
    std::fs::write(ini.folder().join("crm.wasm"), "no component").expect("it is written");
    ini.rewrite("schedule =", "plugins = crm\nschedule =");
    ini.rewrite("[console]", "[plugin.crm]\nfile = crm.wasm\n[console]");
    hook.hang_up("The new settings are faulty; the old ones stay in force.").await;
    call(&pbx);
    expect(&receiver, &[RANG]).await;
}

#[tokio::test]
async fn requests_to_an_endpoint_that_went_are_sent_when_it_comes_back() {
    let (pbx, receiver) = office().await;
    receiver.answer_status(503);
    let address = format!("url = {}second", receiver.url());
    let again = "schedule = 50ms, 100ms, 200ms, 400ms, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s";
    let other = Receiver::start().await.expect("the other receiver starts");
    let ini = Ini::new(&pbx, &other.url()).section("webhook.second", &[&address, again]);
    let hook = Callhook::start(&ini).await;
    let ringing = call(&pbx);
    let tried = |arrived: &Vec<Webhook>| !arrived.is_empty();
    receiver.wait_until(PATIENCE, tried).await.expect("it is tried");
    ini.rewrite("[webhook.second]", "[webhook.third]");
    hook.reload().await;
    let warning = hook.wait_for_log("Requests wait for endpoints that are not in").await;
    assert!(warning.contains("\"requests\":1") && warning.contains("second"), "{warning}");
    let metrics = hook.page("/metrics").await;
    let shown =
        |name: &str| metrics.contains(&format!("callhook_breaker_state{{endpoint=\"{name}\"}}"));
    assert!(shown("third") && !shown("second"), "{metrics}");
    receiver.answer_status(200);
    hang_up(&pbx, &ringing);
    // The third one knows of the end alone, as it was not there when it rang.
    let ended = taken(&receiver, 1).await;
    assert_eq!(gists(&ended), [MISSED]);
    ini.rewrite("[webhook.third]", "[webhook.second]");
    hook.reload().await;
    assert_eq!(gists(&taken(&receiver, 2).await), [MISSED, RANG]);
}

#[tokio::test]
async fn other_settings_of_a_pbx_cost_no_event_and_double_none() {
    let (pbx, receiver) = office().await;
    let ini = Ini::new(&pbx, &receiver.url()).pbx("snapshot_every = 45s");
    let hook = Callhook::start(&ini).await;
    let ringing = call(&pbx);
    expect(&receiver, &[RANG]).await;
    ini.rewrite("snapshot_every = 45s", "snapshot_every = 44s");
    hook.reload().await;
    hang_up(&pbx, &ringing);
    expect(&receiver, &[RANG, MISSED]).await;
}

#[tokio::test]
async fn what_needs_a_restart_is_said_and_the_rest_is_applied() {
    let (pbx, receiver) = office().await;
    let ini = Ini::new(&pbx, &receiver.url());
    let hook = Callhook::start(&ini).await;
    ini.rewrite("callhook.db", "other.db");
    ini.rewrite("schedule =", "events = end\nschedule =");
    hook.reload().await;
    let said = hook.wait_for_log("Restart the service to change this setting.").await;
    assert!(said.contains("[storage] path"), "{said}");
    let ringing = call(&pbx);
    hook.wait_for_log("Leg seen.").await;
    hang_up(&pbx, &ringing);
    expect(&receiver, &[MISSED]).await;
    assert!(!ini.folder().join("other.db").exists());
}

#[tokio::test]
async fn a_refresh_token_that_is_on_its_way_is_spent_once() {
    let (pbx, tokens, oracle) = (
        Pbx::small_office().start().await.expect("the exchange starts"),
        Oracle::start().await,
        Oracle::start().await,
    );
    let gate = Arc::new(watch::Sender::new(false));
    let granted = r#"{"access_token":"a","refresh_token":"r1","expires_in":3600}"#;
    let granted = Answer::With(200, Vec::new(), granted.to_owned());
    tokens.answer(Answer::Behind(Arc::clone(&gate), Box::new(granted)));
    let token_url = format!("auth_token_url = {}", tokens.url());
    let ini = [
        "events = ringing",
        "auth = refresh-token",
        "auth_client_id = callhook",
        "auth_refresh_token = r0",
        "concurrency = 2",
        token_url.as_str(),
    ];
    let ini = ini.iter().fold(Ini::new(&pbx, &oracle.url()), |ini, line| ini.webhook(line));
    let hook = Callhook::start(&ini).await;
    call(&pbx);
    tokens.wait("the token is asked for", |all| all.len() == 1).await;
    ini.rewrite("concurrency = 2", "concurrency = 3");
    hook.reload().await;
    call(&pbx);
    gate.send_replace(true);
    oracle.wait("both requests", |all| all.len() == 2).await;
    assert_eq!(tokens.count(), 1, "{:?}", tokens.arrived());
    assert!(hook.stop().await.success());
}
