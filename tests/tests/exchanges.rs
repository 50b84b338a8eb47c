//! One service watches several exchanges, and none of them is in another's way.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::time::{Duration, Instant};

use callhook_pbx::Pbx;
use callhook_receiver::{Receiver, Webhook};
use promises::{Callhook, Ini, PATIENCE};
use serde_json::Value;

const CALLER: &str = "420774852629";
const DID: &str = "420226201001";

/// The exchanges' names: that of the section without one, and another.
const EXCHANGES: [&str; 2] = ["pbx", "brno"];

async fn exchange() -> Pbx {
    Pbx::small_office().start().await.expect("the exchange starts")
}

/// Settings for the first exchange, whose events say of which exchange they are.
fn settings(first: &Pbx, receiver: &Receiver) -> Ini {
    Ini::new(first, &receiver.url())
        .webhook("plugins = plain-post")
        .section("plugin.plain-post", &[])
}

/// The section of the second exchange.
fn second(pbx: &Pbx) -> Vec<String> {
    [("url", pbx.url()), ("client_id", pbx.client_id()), ("client_secret", pbx.client_secret())]
        .into_iter()
        .chain([("timezone", "Europe/Prague"), ("settle", "300ms")])
        .map(|(key, value)| format!("{key} = {value}"))
        .collect()
}

fn with_second(ini: Ini, pbx: &Pbx) -> Ini {
    let lines = second(pbx);
    ini.section("pbx.brno", &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What was told of an exchange: the kinds of the events, each request once.
fn told(arrived: &[Webhook], exchange: &str) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let bodies = arrived
        .iter()
        .filter(|webhook| seen.insert(webhook.header("webhook-id").to_owned()))
        .map(|webhook| serde_json::from_slice::<Value>(&webhook.body).expect("it is JSON"));
    bodies
        .filter(|body| body["pbx"] == exchange)
        .map(|body| body["event"].as_str().expect("it is named").to_owned())
        .collect()
}

/// Waits until this much was told of an exchange.
async fn wait(receiver: &Receiver, exchange: &str, expected: &[&str]) {
    let enough = |arrived: &Vec<Webhook>| told(arrived, exchange).len() >= expected.len();
    let arrived = receiver.wait_until(PATIENCE, enough).await.expect("it is told");
    assert_eq!(told(&arrived, exchange), expected, "{exchange}");
}

/// Waits until the metric of an exchange has this value, or is not there.
async fn wait_for_metric(hook: &Callhook, exchange: &str, wanted: Option<f64>) {
    let name = format!("callhook_pbx_connected{{pbx=\"{exchange}\"}}");
    let deadline = Instant::now() + PATIENCE;
    while hook.metric(&name).await != wanted {
        assert!(Instant::now() < deadline, "{name} becomes {wanted:?}: {:#?}", hook.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn calls_of_the_same_number_at_two_exchanges_are_told_apart_even_over_a_kill() {
    let pbxs = [exchange().await, exchange().await];
    let receiver = Receiver::start().await.expect("the receiver starts");
    let ini = with_second(settings(&pbxs[0], &receiver), &pbxs[1]);
    let hook = Callhook::start(&ini).await;
    let calls = pbxs.each_ref().map(|pbx| pbx.outside(CALLER).calls(DID).expect("it arrives"));
    assert_eq!(calls[0].id(), calls[1].id(), "the exchanges count alike");
    for name in EXCHANGES {
        wait(&receiver, name, &["ringing"]).await;
    }
    hook.kill();
    let hook = Callhook::start(&ini).await;
    pbxs[1].person("106").answers(&calls[1]).expect("the phone rings");
    wait(&receiver, "brno", &["ringing", "start"]).await;
    pbxs[0].outside(CALLER).hangs_up(&calls[0]).expect("the call goes on");
    wait(&receiver, "pbx", &["ringing", "end"]).await;
    pbxs[1].outside(CALLER).hangs_up(&calls[1]).expect("the call goes on");
    wait(&receiver, "brno", &["ringing", "start", "end"]).await;
    assert_eq!(told(&receiver.arrived(), "pbx"), ["ringing", "end"]);
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn an_exchange_that_is_down_is_named_and_keeps_no_other_from_being_told() {
    let pbxs = [exchange().await, exchange().await];
    let receiver = Receiver::start().await.expect("the receiver starts");
    let ini = with_second(settings(&pbxs[0], &receiver), &pbxs[1]);
    let hook = Callhook::start(&ini).await;
    for name in EXCHANGES {
        wait_for_metric(&hook, name, Some(1.0)).await;
    }
    pbxs[1].faults().refuse_sockets(503);
    pbxs[1].faults().drop_sockets();
    wait_for_metric(&hook, "brno", Some(0.0)).await;
    let ready = hook.page("/readyz").await;
    assert!(ready.contains("the PBX brno is not watched"), "{ready}");
    assert!(!ready.contains("the PBX pbx"), "{ready}");
    wait_for_metric(&hook, "pbx", Some(1.0)).await;
    let unseen = pbxs[1].outside(CALLER).calls(DID).expect("it arrives");
    pbxs[0].outside(CALLER).calls(DID).expect("it arrives");
    wait(&receiver, "pbx", &["ringing"]).await;
    assert_eq!(told(&receiver.arrived(), "brno"), [""; 0]);
    pbxs[1].faults().accept_sockets();
    wait_for_metric(&hook, "brno", Some(1.0)).await;
    wait(&receiver, "brno", &["ringing"]).await;
    assert!(unseen.rings("106"));
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn an_exchange_comes_and_goes_with_new_settings() {
    let pbxs = [exchange().await, exchange().await];
    let receiver = Receiver::start().await.expect("the receiver starts");
    let ini = settings(&pbxs[0], &receiver);
    let hook = Callhook::start(&ini).await;
    wait_for_metric(&hook, "brno", None).await;
    let section = format!("[pbx.brno]\n{}\n[webhook]", second(&pbxs[1]).join("\n"));
    ini.rewrite("[webhook]", &section);
    hook.reload().await;
    wait_for_metric(&hook, "brno", Some(1.0)).await;
    let call = pbxs[1].outside(CALLER).calls(DID).expect("it arrives");
    wait(&receiver, "brno", &["ringing"]).await;
    ini.rewrite(&section, "[webhook]");
    hook.reload().await;
    wait_for_metric(&hook, "brno", None).await;
    wait_for_metric(&hook, "pbx", Some(1.0)).await;
    hook.wait_until_ready().await;
    pbxs[1].outside(CALLER).hangs_up(&call).expect("the call goes on");
    pbxs[0].outside(CALLER).calls(DID).expect("it arrives");
    wait(&receiver, "pbx", &["ringing"]).await;
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn an_exchange_that_goes_or_gets_another_name_ends_its_calls() {
    let pbxs = [exchange().await, exchange().await];
    let receiver = Receiver::start().await.expect("the receiver starts");
    let ini = with_second(settings(&pbxs[0], &receiver), &pbxs[1]);
    let hook = Callhook::start(&ini).await;
    let call = pbxs[1].outside(CALLER).calls(DID).expect("it arrives");
    wait(&receiver, "brno", &["ringing"]).await;
    pbxs[1].person("106").answers(&call).expect("the phone rings");
    wait(&receiver, "brno", &["ringing", "start"]).await;
    ini.rewrite("[pbx.brno]", "[pbx.olomouc]");
    hook.reload().await;
    wait(&receiver, "brno", &["ringing", "start", "end"]).await;
    wait(&receiver, "olomouc", &["start"]).await;
    pbxs[1].outside(CALLER).hangs_up(&call).expect("the call goes on");
    wait(&receiver, "olomouc", &["start", "end"]).await;
    assert_eq!(told(&receiver.arrived(), "brno"), ["ringing", "start", "end"]);
    assert!(hook.stop().await.success());
}
