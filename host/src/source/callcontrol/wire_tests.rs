//! Everything that a PBX may send, as far as known, and damaged versions of it.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// In the shape of the captures, with made-up values.
const RINGING: &str = r#"{"id":41,"status":"Ringing","dn":"120","party_caller_name":"Blue Ltd",
    "party_dn":"10001","party_caller_id":"0301234","party_did":"",
    "device_id":"sip:120@127.0.0.1:5060","party_dn_type":"Wexternalline","direct_control":false,
    "originated_by_dn":"ROUTER","originated_by_type":"Wroutepoint","referred_by_dn":"",
    "referred_by_type":"None","on_behalf_of_dn":"","on_behalf_of_type":"None","callid":77,
    "legid":2}"#;

fn key(dn: &str, id: i64) -> LegKey {
    LegKey { dn: dn.to_owned(), id }
}

fn ringing() -> Participant {
    Participant {
        key: key("120", 41),
        call_id: 77,
        leg_id: 2,
        status: Status::Ringing,
        party_dn: "10001".to_owned(),
        party_dn_type: DnType::ExternalLine,
        party_caller_id: "0301234".to_owned(),
        party_caller_name: "Blue Ltd".to_owned(),
        party_did: String::new(),
        originated_by_dn: "ROUTER".to_owned(),
        originated_by_type: DnType::RoutePoint,
        referred_by_dn: String::new(),
        referred_by_type: DnType::None,
        on_behalf_of_dn: String::new(),
        on_behalf_of_type: DnType::None,
        device_id: "sip:120@127.0.0.1:5060".to_owned(),
    }
}

fn event(kind: &Value, entity: &str, attached: &Value) -> String {
    let event = json!({"event_type": kind, "entity": entity, "attached_data": attached});
    json!({"sequence": 5, "event": event}).to_string()
}

fn state_event(kind: i64, entity: &str) -> String {
    event(&kind.into(), entity, &Value::Null)
}

#[test]
fn frames_are_read_in_every_spelling() {
    let upsert = Frame::Upsert { key: key("120", 41), attached: None };
    let remove = Frame::Remove(key("120", 41));
    let path = "/callcontrol/120/participants/41";
    let cases = [
        (state_event(0, path), upsert.clone()),
        (state_event(1, path), remove.clone()),
        (event(&json!("0"), path, &Value::Null), upsert.clone()),
        (event(&json!("Upset"), path, &Value::Null), upsert.clone()),
        (event(&json!("Remove"), path, &Value::Null), remove.clone()),
        (format!(r#"{{"Sequence":1,"Event":{{"EventType":0,"Entity":"{path}"}}}}"#), upsert),
        (format!(r#"{{"EventType":1,"Entity":"{path}","AttachedData":null}}"#), remove.clone()),
        (state_event(1, "callcontrol/120/Participants/41/"), remove),
        (state_event(1, "/callcontrol/%2A12/participants/3"), Frame::Remove(key("*12", 3))),
        // Not about participants, or about nothing known.
        (state_event(2, path), Frame::Other("event-type")),
        (state_event(3, path), Frame::Other("event-type")),
        (event(&json!(4), "keepalive-1", &json!({"StatusCode": 200})), Frame::Other("event-type")),
        (event(&json!("Later"), path, &Value::Null), Frame::Other("event-type")),
        (state_event(0, "/callcontrol/120"), Frame::Other("entity")),
        (state_event(0, "/callcontrol/120/devices/sip%3A120"), Frame::Other("entity")),
        (state_event(0, "/callcontrol/120/participants/x"), Frame::Other("entity")),
        (state_event(0, "/callcontrol/120/participants/1/2"), Frame::Other("entity")),
        (state_event(0, ""), Frame::Other("entity")),
    ];
    for (text, expected) in cases {
        assert_eq!(frame(&text), Ok(expected), "{text}");
    }
}

#[test]
fn a_frame_that_is_none_says_why() {
    let cases = [
        ("", "JSON that ends too early, line 1 column 0"),
        ("{\"event\":", "JSON that ends too early, line 1 column 9"),
        ("hello", "not JSON, line 1 column 1"),
        ("[]", "frame is not an object"),
        (r#"{"event":3}"#, "event is not an object"),
        (r#"{"event":{}}"#, "event without type"),
    ];
    for (text, expected) in cases {
        assert_eq!(frame(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn a_participant_in_the_frame_is_taken_only_if_it_is_whole_and_the_one_announced() {
    let whole: Value = serde_json::from_str(RINGING).unwrap();
    let mut other = whole.clone();
    other["id"] = json!(42);
    let partial = json!({"id": 41, "callid": 77});
    let cases = [
        (whole, Some(Box::new(ringing()))),
        (other, None),
        (partial, None),
        (json!({"dtmf_input": "1"}), None),
        (json!("text"), None),
    ];
    for (data, expected) in cases {
        let text = event(&json!(0), "/callcontrol/120/participants/41", &data);
        let frame = frame(&text).unwrap();
        assert_eq!(frame, Frame::Upsert { key: key("120", 41), attached: expected }, "{text}");
    }
}

#[test]
fn a_participant_is_read_in_every_spelling() {
    let pascal = r#"{"Id":"41","Status":"ringing","DN":"120","PartyCallerName":"Blue Ltd",
        "PartyDn":10001,"PartyCallerId":"0301234","PartyDid":null,"CallId":"77","LegId":"2",
        "DeviceId":"sip:120@127.0.0.1:5060","PartyDnType":"WExternalLine","DirectControl":"no",
        "OriginatedByDn":"ROUTER","OriginatedByType":"WROUTEPOINT","participant_uid":"new",
        "Extra":{"deep":[1,2]}}"#;
    for text in [RINGING, pascal] {
        assert_eq!(participant(text.as_bytes(), &key("120", 41)), Ok(ringing()), "{text}");
    }
}

#[test]
fn of_a_participant_only_id_and_call_are_demanded() {
    let least = participant(br#"{"id":1,"callid":2}"#, &key("120", 1)).unwrap();
    assert_eq!(least.status, Status::Other(String::new()));
    assert_eq!(least.party_dn_type, DnType::None);
    let held = participant(br#"{"id":1,"callid":2,"status":"Held"}"#, &key("120", 1)).unwrap();
    assert_eq!(held.status, Status::Other("Held".to_owned()));
    let cases = [
        (r#"{"callid":2}"#, "participant without id"),
        (r#"{"id":null,"callid":2}"#, "participant without id"),
        (r#"{"id":1}"#, "participant without callid"),
        (r#"{"id":1,"callid":"secret"}"#, "participant without callid"),
        (r#"{"id":2,"callid":2}"#, "participant with another id than the one asked for"),
        ("[]", "participant is not an object"),
    ];
    for (text, expected) in cases {
        let error = participant(text.as_bytes(), &key("120", 1)).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn a_listing_is_read_as_far_as_it_can_be() {
    let body = format!(
        r#"[{{"dn":"120","type":"Wextension","devices":null,"participants":[{RINGING},{{"id":3}}]}},
            {{"dn":"800","type":"Wroutepoint","participants":null}},
            {{"DN":850,"Type":null}},
            {{"dn":"130","type":"Wextension","participants":"none"}},
            17]"#
    );
    let listing = listing(body.as_bytes()).unwrap();
    let dn = |number: &str, kind| Dn { number: number.to_owned(), kind };
    assert_eq!(
        listing.dns,
        [
            dn("120", DnType::Extension),
            dn("800", DnType::RoutePoint),
            dn("850", DnType::None),
            dn("130", DnType::Extension),
        ]
    );
    assert_eq!(listing.legs, [ringing()]);
    assert!(listing.may_miss("120") && listing.may_miss("130"), "an entry there is unreadable");
    assert!(!listing.may_miss("800"), "it is all there");
    assert!(listing.may_miss("140"), "it may be the one that is unreadable");
    assert_eq!(super::listing(b"[]"), Ok(Listing::default()));
    assert!(super::listing(b"{}").is_err());
}

#[test]
fn a_participant_is_found_in_the_list_of_its_dn() {
    let body = format!("[{RINGING}]");
    assert_eq!(find_participant(body.as_bytes(), &key("120", 41)), Ok(Some(ringing())));
    assert_eq!(find_participant(body.as_bytes(), &key("120", 42)), Ok(None));
    assert_eq!(find_participant(b"[]", &key("120", 41)), Ok(None));
    assert!(find_participant(b"[{}]", &key("120", 41)).is_err(), "it may be the one");
}

/// Reads published payloads of live systems, where they are at hand.
#[test]
fn real_payloads_are_read() {
    let folder = std::env::var("CALLHOOK_3CX_SAMPLES").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/spec/3cx-samples").to_owned()
    });
    if !Path::new(&folder).is_dir() {
        // Past the capture of a test's output, so that it is seen.
        let word = format!("skipped: real payloads not found in {folder}\n");
        std::io::Write::write_all(&mut std::io::stderr(), word.as_bytes()).unwrap();
        return;
    }
    let mut read = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        if name.starts_with("participant_") {
            real_participant(&text, &name);
            read += 1;
        } else if name == "ws_upsert_with_followup_get.jsonl" {
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                real_participant(line["entity"].as_str().unwrap(), &name);
                read += 1;
            }
        } else if name == "ws_frame_shapes.txt" {
            let text = text.replace(":N,", ":60,").replace("/M\"", "/325\"");
            let expected = Frame::Upsert { key: key("1000", 325), attached: None };
            assert_eq!(frame(&text), Ok(expected));
            read += 1;
        }
    }
    assert!(read >= 8, "only {read} payloads in {folder}");
}

/// Nothing of a real participant may be lost or unknown.
fn real_participant(text: &str, name: &str) {
    let value: Value = serde_json::from_str(text).unwrap();
    let id = value["id"].as_i64().unwrap();
    let dn = value["dn"].as_str().unwrap();
    let found = participant(text.as_bytes(), &key(dn, id)).unwrap();
    assert!(!matches!(found.status, Status::Other(_)), "{name}");
    for kind in [&found.party_dn_type, &found.originated_by_type, &found.referred_by_type] {
        assert!(!matches!(kind, DnType::Other(_)), "{name}");
    }
    assert_eq!(Some(found.call_id), value["callid"].as_i64(), "{name}");
    assert_eq!(Some(found.leg_id), value["legid"].as_i64(), "{name}");
    for (field, expected) in [
        (&found.party_dn, "party_dn"),
        (&found.party_caller_id, "party_caller_id"),
        (&found.party_caller_name, "party_caller_name"),
        (&found.party_did, "party_did"),
        (&found.originated_by_dn, "originated_by_dn"),
        (&found.device_id, "device_id"),
    ] {
        assert_eq!(Some(field.as_str()), value[expected].as_str(), "{name} {expected}");
    }
}

// === damage ===

fn read_all(text: &[u8]) {
    let _ = participant(text, &key("120", 41));
    let _ = find_participant(text, &key("120", 41));
    let _ = listing(text);
    let _ = frame(&String::from_utf8_lossy(text));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(Value::from("/callcontrol/120/participants/99999999999999999999")),
    ];
    let name = prop_oneof![
        Just("event"),
        Just("event_type"),
        Just("entity"),
        Just("attached_data"),
        Just("id"),
        Just("callid"),
        Just("dn"),
        Just("participants"),
        Just("status"),
        Just("party_dn"),
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..5).prop_map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn damaged_text_is_survived(
        cut in 0..RINGING.len(),
        changes in prop::collection::vec((0..RINGING.len(), any::<u8>()), 0..6),
    ) {
        let mut text = format!(r#"[{{"dn":"120","participants":[{RINGING}]}}]"#).into_bytes();
        for (place, byte) in changes {
            text[place] = byte;
        }
        read_all(&text);
        text.truncate(cut);
        read_all(&text);
    }

    #[test]
    fn wrong_types_anywhere_are_survived(value in any_json()) {
        read_all(value.to_string().as_bytes());
    }

    /// A valid participant is read whatever its neighbours are.
    #[test]
    fn a_valid_participant_among_rubbish_is_read(
        before in prop::collection::vec(any_json(), 0..3),
        after in prop::collection::vec(any_json(), 0..3),
    ) {
        let valid: Value = serde_json::from_str(RINGING).unwrap();
        let legs: Vec<_> = before.into_iter().chain([valid]).chain(after).collect();
        let text = json!([{"dn": "120", "participants": legs}]).to_string();
        let found = listing(text.as_bytes()).unwrap();
        prop_assert!(found.legs.contains(&ringing()));
    }

    /// A participant with unknown fields of any kind is read all the same.
    #[test]
    fn unknown_fields_change_nothing(extra in any_json()) {
        let mut value: Value = serde_json::from_str(RINGING).unwrap();
        value["new_in_some_build"] = extra;
        let found = participant(value.to_string().as_bytes(), &key("120", 41));
        prop_assert_eq!(found, Ok(ringing()));
    }
}

#[test]
fn nesting_without_end_is_survived() {
    for (open, close) in [("[", "]"), (r#"{"event":"#, "}")] {
        let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        read_all(text.as_bytes());
        read_all(open.repeat(100_000).as_bytes());
    }
}
