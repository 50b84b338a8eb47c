//! What recordings promise: what was written is read, what is masked stays masked, and what
//! cannot be read is named.

use std::time::Duration;

use super::*;
use crate::clock::Moment;
use crate::source::notice::{
    Dn, DnType, Known, KnownDid, KnownNumber, LegKey, LogParty, LogRow, Participant, Seen,
    Snapshot, Status,
};

fn header(masked: bool) -> Header {
    Header {
        callhook_recording: VERSION,
        pbx: "pbx".into(),
        timezone: TimeZone::get("Europe/Prague").unwrap(),
        settle_ms: 2_000,
        callback_wait_ms: 0,
        masked,
        dids: [("420226201001".into(), "PragueDID".into())].into(),
        dns: [("800".into(), PartyKind::Queue)].into(),
    }
}

fn leg() -> Participant {
    Participant {
        key: LegKey { dn: "106".into(), id: 1 },
        call_id: 755,
        leg_id: 2,
        status: Status::Other("Held".into()),
        party_dn: "10007".into(),
        party_dn_type: DnType::ExternalLine,
        party_caller_id: "+420774852629".into(),
        party_caller_name: "PragueDID:Jan Novak".into(),
        party_did: "00420226201001".into(),
        originated_by_dn: "ROUTER".into(),
        originated_by_type: DnType::Other("Wnew".into()),
        referred_by_dn: "107".into(),
        referred_by_type: DnType::None,
        on_behalf_of_dn: String::new(),
        on_behalf_of_type: DnType::None,
        device_id: "sip:106@192.0.2.7:5063".into(),
    }
}

fn row() -> LogRow {
    LogRow {
        call: "00000000-01dc-9a69-1dbe-961100000001".into(),
        from: LogParty { dn: "10007".into(), number: "+420774852629".into() },
        to: LogParty { dn: "106".into(), number: "106".into() },
        started: "2022-01-06T19:59:45Z".parse().unwrap(),
        ringing_ms: Some(4_000),
        talking_ms: None,
        answered: true,
        recordings: vec!["106/[Jan Dvorak]_106-420774852629.wav".into()],
    }
}

fn notices() -> Vec<Notice> {
    let known = Known {
        dids: vec![KnownDid { number: "420226201001".into(), name: "PragueDID".into() }],
        numbers: vec![KnownNumber {
            number: "106".into(),
            kind: DnType::Extension,
            name: Some("Alice Novak".into()),
            email: Some("alice.novak@example.org".into()),
        }],
    };
    let dns = vec![Dn { number: "106".into(), kind: DnType::Extension }];
    let seen = [
        Seen::Snapshot(Snapshot { after_gap: true, dns, legs: vec![leg()] }),
        Seen::Leg(Box::new(leg())),
        Seen::Known(Box::new(known)),
        Seen::LegGone(leg().key),
        Seen::Logged { rows: vec![row()] },
        Seen::Active { calls: vec![755] },
        Seen::Lost,
        Seen::Tick,
    ];
    let wall = "2022-01-06T19:59:45.123456Z".parse().unwrap();
    (0..)
        .zip(seen)
        .map(|(s, what)| Notice { at: Moment { wall, mono: Duration::from_millis(s) }, what })
        .collect()
}

fn written(masked: bool) -> String {
    let mut output = Vec::new();
    let mut writer = Writer::begin(&mut output, header(masked)).unwrap();
    for notice in notices() {
        writer.write(notice).unwrap();
    }
    String::from_utf8(output).unwrap()
}

fn read(text: &str) -> Result<Recording, String> {
    let read = Recording::read(Path::new("calls.jsonl"), text.as_bytes());
    read.map_err(|error| error.to_string())
}

#[test]
fn what_was_written_is_read() {
    let read = read(&written(false)).unwrap();
    assert_eq!(read.notices, notices());
    assert_eq!(read.header.timezone, header(false).timezone);
    assert_eq!(read.header.dids, header(false).dids);
}

#[test]
fn a_masked_recording_holds_no_number_and_no_name_of_anybody() {
    let text = written(true);
    for secret in
        ["774852629", "226201001", "PragueDID", "Jan", "Alice", "alice", "example.org", "192.0.2.7"]
    {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
}

#[test]
fn a_mask_keeps_what_calls_are_followed_by() {
    let masked = read(&written(true)).unwrap();
    let Seen::Leg(leg) = &masked.notices[1].what else { panic!("a leg") };
    assert_eq!(leg.party_caller_id, "+420100000002");
    // The DID is the same number in the settings, in the books and, with 00 before it, here.
    assert_eq!(leg.party_did, "00420100000001");
    assert_eq!(masked.header.dids["420100000001"], "Name 1");
    assert_eq!(leg.party_caller_name, "Name 1:Name 2");
    assert_eq!((leg.key.dn.as_str(), leg.party_dn.as_str()), ("106", "10007"));
    assert_eq!((leg.originated_by_dn.as_str(), leg.referred_by_dn.as_str()), ("ROUTER", "107"));
    let Seen::Known(known) = &masked.notices[2].what else { panic!("books") };
    assert_eq!(known.dids[0].number, "420100000001");
    assert_eq!(known.dids[0].name, "Name 1");
    assert_eq!(known.numbers[0].number, "106");
    assert_eq!(known.numbers[0].email.as_deref(), Some("name4@example.com"));
}

#[test]
fn a_mask_keeps_which_call_a_row_of_the_log_is_of() {
    let masked = read(&written(true)).unwrap();
    let Seen::Logged { rows } = &masked.notices[4].what else { panic!("the log") };
    assert_eq!((rows[0].from.number.as_str(), rows[0].to.dn.as_str()), ("+420100000002", "106"));
    assert_eq!(rows[0].recordings, ["recording-1"]);
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let good = written(false);
    let first = good.lines().next().unwrap();
    let newer = first.replace("\"callhook_recording\":1", "\"callhook_recording\":2");
    let cases = [
        (String::new(), "calls.jsonl: the file is empty"),
        ("[did]\n".to_owned(), "calls.jsonl:1: not the first line of a recording by"),
        ("{\"seen\":1}\n".to_owned(), "calls.jsonl:1: not the first line of a recording by"),
        (newer, "calls.jsonl:1: a recording of version 2, but this callhook reads version 1"),
        (format!("{first}\n\n{{\"at\":"), "calls.jsonl:3: not a notice: EOF"),
        (format!("{first}\n{{}}\n"), "calls.jsonl:2: not a notice: missing field `at`"),
    ];
    for (text, expected) in cases {
        let error = read(&text).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    let error = Recording::load(Path::new("/nonexistent/calls.jsonl")).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/calls.jsonl: the recording cannot be opened"));
}

#[test]
fn what_somebody_recorded_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.jsonl");
    Writer::create(&path, header(false)).unwrap();
    let error = Writer::create(&path, header(false)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_new_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.jsonl");
    Writer::create(&path, header(false)).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
