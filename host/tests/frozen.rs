//! Components that were built for an earlier version of the contract load for ever, and make of the
//! same events what they always made.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something else than it expects has failed"
)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use callhook::event::{
    CallEvent, Callback, Direction, Ended, EventKind, FinishType, Party, PartyKind, Recording,
    Ringing, RingingStopped, Side, Started, StopReason, TransferType,
};
use callhook::plugins::{Memory, Outcome, Plugin, PluginSpec};
use callhook::request::Request;
use support::{RUNTIME, directory, event};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/frozen-1.0.0")
}

fn load(name: &str, settings: &[(&str, &str)]) -> Plugin {
    let mut spec = PluginSpec::file("mirror", folder().join(name));
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    spec.settings = settings.iter().map(owned).collect();
    spec.deadline = std::time::Duration::from_mins(1);
    RUNTIME.load(&spec, &directory()).expect("it loads for ever")
}

fn party(number: &str, kind: PartyKind) -> Party {
    Party { number: number.into(), kind, name: None, email: None }
}

/// Every kind of event, and among them every case of everything.
fn events() -> Vec<CallEvent> {
    let at = |kind| event("2021-12-30T09:06:14Z", 665, 1, kind);
    let arrived = event("2021-12-30T09:06:14Z", 665, 1, EventKind::Hold).arrived_at;
    let ringing = Ringing {
        transfer: TransferType::Blind,
        transferred_by: Some(party("107", PartyKind::Extension)),
    };
    let started = Started {
        transfer: TransferType::Accomp,
        transferred_by: None,
        rang_at: Some(arrived),
        ring_ms: Some(4_000),
        wait_ms: 4_100,
    };
    let ended = Ended {
        finish: FinishType::Ok,
        transferred: true,
        transferred_to: Some(party("800", PartyKind::Queue)),
        hung_up_by: Side::External,
        title: "Incoming call from Žofie to 106, 9s".into(),
        rang_at: None,
        answered_at: Some(arrived),
        ring_ms: None,
        wait_ms: 1,
        talk_ms: Some(9_000),
        callback_ordered: Callback::Yes,
        unanswered: vec![party("106", PartyKind::Other("fax".into()))],
    };
    let missed = Ended {
        finish: FinishType::Missed,
        hung_up_by: Side::User,
        callback_ordered: Callback::No,
        ..ended.clone()
    };
    let stopped = |reason| EventKind::RingingStopped(RingingStopped { reason, rang_ms: 7 });
    let mut events: Vec<_> = [
        EventKind::Ringing(ringing),
        EventKind::Started(started),
        EventKind::Ended(ended),
        EventKind::Ended(missed),
        stopped(StopReason::AnsweredElsewhere),
        stopped(StopReason::Moved),
        stopped(StopReason::CallerGone),
        stopped(StopReason::Rejected),
        stopped(StopReason::Unknown),
        stopped(StopReason::Other("lunch".into())),
        EventKind::Dialing,
        EventKind::Hold,
        EventKind::Resume,
        EventKind::Recording(Recording { url: "https://pbx/1".into(), duration_ms: Some(9_000) }),
    ]
    .into_iter()
    .map(at)
    .collect();
    let first = events.first().expect("there are some").clone();
    for (direction, number) in [
        (Direction::Outgoing, "+420 774"),
        (Direction::Internal, "skip"),
        (Direction::Unknown, "bad-mapping"),
        (Direction::Incoming, "bad-settings"),
        (Direction::Incoming, "other"),
    ] {
        let queue = Some(party("800", PartyKind::Queue));
        events.push(CallEvent {
            direction,
            caller_id: number.into(),
            caller_name: Some("Žofie".into()),
            queue,
            did: None,
            resynced: true,
            ..first.clone()
        });
    }
    events
}

/// What the plugin makes of all events, as text.
fn made(plugin: &Plugin) -> String {
    let draft = Request::draft("https://crm.example/calls?x=1");
    let hints = [("endpoint", "crm"), ("dialect", "classic")];
    let mut text = String::new();
    for event in events() {
        writeln!(text, "=== {} {}", event.kind.name(), event.caller_id).unwrap();
        match plugin.transform_with(&hints, &event, &draft, &mut Memory::default()) {
            Ok(Outcome::Send(requests)) => requests.iter().for_each(|it| tell(it, &mut text)),
            Ok(Outcome::Skip(reason)) => writeln!(text, "skip: {reason}").unwrap(),
            Err(failure) => writeln!(text, "failed: {}", failure.kind.name()).unwrap(),
        }
    }
    text
}

fn tell(request: &Request, text: &mut String) {
    writeln!(text, "{} {} {:?}", request.method, request.url, request.headers).unwrap();
    let Request { tag, state, delay_ms, .. } = request;
    writeln!(text, "{tag:?} {state:?} {delay_ms}").unwrap();
    writeln!(text, "{}", String::from_utf8_lossy(&request.body)).unwrap();
}

#[test]
fn plugins_of_version_1_0_0_do_what_they_always_did() {
    for name in ["plugin.wasm", "plugin-with-replies.wasm"] {
        let settings = [("needed", "yes"), ("token", "s3cr3t!")];
        let plugin = load(name, &settings);
        assert_eq!((plugin.version(), plugin.description().name.as_str()), ("1.0.0", "mirror"));
        let made = made(&plugin);
        let expected = fs::read_to_string(folder().join("transform.expected")).unwrap_or_default();
        if made != expected {
            let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transform.made");
            fs::write(&beside, made).expect("it is written");
            panic!("{name}: compare {} with the file of that name", beside.display());
        }
    }
}

#[test]
fn their_descriptions_and_complaints_are_understood() {
    let plugin = load("plugin.wasm", &[("needed", "yes")]);
    let docs: Vec<_> = plugin
        .settings()
        .iter()
        .map(|doc| (doc.name.as_str(), doc.default.as_deref(), doc.required, doc.secret))
        .collect();
    let expected = [
        ("needed", None, true, false),
        ("usual", Some("as usual"), false, false),
        ("token", None, false, true),
    ];
    assert_eq!(docs, expected);
    let mut spec = PluginSpec::file("mirror", folder().join("plugin.wasm"));
    spec.settings.push(("needed".into(), "wrong".into()));
    let error = RUNTIME.load(&spec, &directory()).unwrap_err().to_string();
    assert!(error.ends_with("setting `needed`: wrong"), "{error}");
}
