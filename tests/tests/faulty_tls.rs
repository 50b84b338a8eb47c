//! A receiver whose TLS does not hold gets nothing of a request, the operator is told what is
//! wrong with it, and the request waits until that is mended.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use callhook_pbx::Pbx;
use promises::tls::{Authority, Faulty, faults};
use promises::{Callhook, Ini, Ledger, Oracle, PATIENCE};
use serde_json::Value;

const CALLER: &str = "420774852629";

/// What `deliveries show` says of a delivery.
fn shown(ini: &Ini, id: &str) -> Value {
    let mut show = Callhook::command(&["deliveries", "show", "--json", "--config"]);
    let output = show.arg(ini.path()).arg(id).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_told_nothing_is_sent_before_it_and_nothing_is_lost() {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let oracle = Oracle::start().await;
    let ours = Authority::new("ours");
    let faults = faults(&ours).await;
    assert!(faults.len() >= 12);
    let mut ini = Ini::new(&pbx, &oracle.url()).webhook("events = ringing");
    std::fs::write(ini.folder().join("ca.pem"), ours.pem()).expect("it is written");
    for fault in &faults {
        let url = format!("url = {}", fault.receiver.url());
        let lines = [
            url.as_str(),
            "ca_file = ca.pem",
            "events = ringing",
            "popup_expiry = 1h",
            "connect_timeout = 3s",
            "schedule = 1h",
        ];
        ini = ini.section(&format!("webhook.{}", fault.name), &lines);
    }
    let hook = Callhook::start(&ini).await;
    pbx.outside(CALLER).calls("420226201001").expect("a call arrives");
    let tried = |ledger: &Ledger| {
        let failed = ledger.entries.iter().filter(|entry| entry.attempts == 1);
        failed.count() == faults.len() + 1
    };
    let ledger = Ledger::wait(&ini.database(), PATIENCE, "each is tried once", tried).await;
    for fault in &faults {
        let name = fault.name;
        let own = ledger.entries.iter().find(|entry| entry.endpoint == name);
        let own = own.expect("it has a request");
        assert_eq!(own.state, "waiting", "{name}: it is tried again");
        let shown = shown(&ini, &own.id);
        let said = shown["tries"][0]["error"].as_str().expect("it failed");
        assert!(said.starts_with("no secure connection: "), "{name}: {said}");
        assert!(said.contains(fault.said), "{name}: {said}");
        let arrived = fault.receiver.arrived();
        for secret in ["GET", "event", CALLER, "webhook-id"] {
            assert!(!arrived.contains(secret), "{name} got {arrived}");
        }
    }
    assert!(hook.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_tls_cuts_off_is_no_reply() {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let ours = Authority::new("ours");
    let reply = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly so much";
    let receiver = Faulty::tls(ours.server(), reply).await;
    let ini = Ini::new(&pbx, &receiver.url())
        .webhook("events = ringing")
        .webhook("ca_file = ca.pem")
        .webhook("schedule = 1h");
    std::fs::write(ini.folder().join("ca.pem"), ours.pem()).expect("it is written");
    let hook = Callhook::start(&ini).await;
    pbx.outside(CALLER).calls("420226201001").expect("a call arrives");
    let tried = |ledger: &Ledger| ledger.entries.iter().any(|entry| entry.attempts == 1);
    let ledger = Ledger::wait(&ini.database(), PATIENCE, "it is tried", tried).await;
    let shown = shown(&ini, &ledger.entries[0].id);
    let said = shown["tries"][0]["error"].as_str().expect("it failed");
    assert!(said.starts_with("the exchange broke off: "), "{said}");
    assert!(receiver.arrived().contains(CALLER), "it was trusted");
    assert!(hook.stop().await.success());
}
