//! An endpoint hears of the calls that it asked for, and of no others.

use super::{ENDING_IN_WEBHOOK, sound};
use crate::config::EndpointConfig;
use crate::event::CallEvent;

/// An incoming call to 106 through queue 800, dialled to `PragueDID`.
fn event() -> serde_json::Value {
    serde_json::json!({
        "event_id": "pbx-211230100614_665-1",
        "id": { "chain": "211230100614_665", "link": 0 },
        "sequence": 1,
        "pbx": "pbx",
        "direction": "incoming",
        "caller_id": "420774852629",
        "user": { "number": "106", "kind": "extension" },
        "did": { "number": "+420226201001", "name": "PragueDID" },
        "queue": { "number": "800", "kind": "queue" },
        "arrived_at": "2021-12-30T10:06:14.000+01:00",
        "occurred_at": "2021-12-30T10:06:14.000+01:00",
        "kind": { "type": "ringing", "transfer": "not-def" },
    })
}

fn endpoint(lines: &str) -> EndpointConfig {
    let config = sound(&format!("{ENDING_IN_WEBHOOK}{lines}\n"));
    config.endpoints.into_iter().next().unwrap()
}

fn wants(lines: &str, event: &serde_json::Value) -> bool {
    let event: CallEvent = serde_json::from_value(event.clone()).unwrap();
    endpoint(lines).wants(&event)
}

#[test]
fn each_list_selects_by_its_own_field() {
    for (lines, wanted) in [
        ("", true),
        ("user = 106", true),
        ("user = 107", false),
        ("user = 10", false),
        ("user = 100-199", true),
        ("user = 107-199", false),
        ("user = 0100-0199", false),
        ("user = 90-1000", true),
        ("user = 1*", true),
        ("user = *6", true),
        ("user = 1*6", true),
        ("user = *0*", true),
        ("user = 1*0*6*", true),
        ("user = *00*", false),
        ("user = 106*106", false),
        ("user = 2*, 106", true),
        ("did = PragueDID", true),
        ("did = Prague*", true),
        ("did = BrnoDID", false),
        ("did = 420226201001", true),
        ("did = +420226201001", true),
        ("did = +42022620*", true),
        ("did = 420226201000-420226201099", true),
        ("queue = 800", true),
        ("queue = 801", false),
        ("queue = *", true),
        ("direction = incoming", true),
        ("direction = outgoing", false),
        ("direction = outgoing, incoming", true),
        ("user = 106\nqueue = 801", false),
        ("events = ringing", true),
        ("events = start, end", false),
    ] {
        assert_eq!(wants(lines, &event()), wanted, "{lines}");
    }
}

#[test]
fn an_outgoing_call_passes_no_filter_by_did() {
    let mut outgoing = event();
    outgoing["direction"] = "outgoing".into();
    outgoing["did"] = serde_json::Value::Null;
    outgoing["queue"] = serde_json::Value::Null;
    assert!(wants("", &outgoing));
    assert!(!wants("did = *", &outgoing));
    assert!(!wants("queue = *", &outgoing));
}

#[test]
fn a_ringing_queue_passes_the_filter_by_queue() {
    let mut ringing = event();
    ringing["queue"] = serde_json::Value::Null;
    ringing["user"] = serde_json::json!({ "number": "800", "kind": "queue" });
    assert!(wants("queue = 800", &ringing));
}

#[test]
fn internal_calls_are_sent_only_if_asked_for() {
    let mut internal = event();
    internal["direction"] = "internal".into();
    assert!(!wants("", &internal));
    assert!(!wants("internal = no", &internal));
    assert!(wants("internal = yes", &internal));
    assert!(wants("internal = yes\ndirection = internal", &internal));
    assert!(!wants("internal = yes\ndirection = incoming", &internal));
}
