//! Components that were built for an earlier version of the contract load for ever, and make of the
//! same events and replies what they always made.

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
use callhook::plugins::{Exchange, Memory, Outcome, Plugin, PluginSpec, Verdict};
use callhook::reply::{Judgement, Reply};
use callhook::request::Request;
use support::{RUNTIME, directory, event};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/frozen-1.0.0")
}

fn load(name: &str, settings: &[(&str, &str)]) -> Plugin {
    let mut spec = PluginSpec::file("frozen", folder().join(name));
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    spec.settings = settings.iter().map(owned).collect();
    spec.deadline = std::time::Duration::from_mins(1);
    RUNTIME.load(&spec, &directory()).expect("it loads for ever")
}

const HINTS: [(&str, &str); 2] = [("endpoint", "crm"), ("dialect", "classic")];

/// What came with replies.
const MORE_HINTS: [(&str, &str); 3] =
    [("endpoint", "crm"), ("dialect", "classic"), ("url", "https://crm.example")];

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
    let mut text = String::new();
    for event in events() {
        writeln!(text, "=== {} {}", event.kind.name(), event.caller_id).unwrap();
        match plugin.transform_with(&HINTS, &event, &draft, &mut Memory::default()) {
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
        compare(name, made(&plugin), "transform");
    }
}

fn compare(name: &str, made: String, what: &str) {
    let expected = fs::read_to_string(folder().join(format!("{what}.expected")));
    if made != expected.unwrap_or_default() {
        let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{what}.made"));
        fs::write(&beside, made).expect("it is written");
        panic!("{name}: compare {} with {what}.expected", beside.display());
    }
}

/// An answer of the CRM, with what a lifted list, text or number could lose.
fn reply(status: u16, body: &[u8], truncated: bool) -> Reply {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![header("x-id", "77"), header("x-id", ""), header("x-name", "Žofie")];
    Reply { status, headers, body: body.to_vec(), truncated }
}

/// What the plugin makes of these replies to a request of this event, one after the other, with all
/// that it keeps, as text.
fn judged(plugin: &Plugin, event: &CallEvent, replies: &[Reply]) -> String {
    let request = Request {
        method: "POST".into(),
        headers: vec![("x-mirror".into(), "1".into())],
        body: b"{}".to_vec(),
        tag: Some("first".into()),
        state: event.event_id.clone().into_bytes(),
        delay_ms: 5,
        ..Request::draft("https://crm.example/calls?x=1")
    };
    let (mut text, mut memory) = (String::new(), Memory::default());
    for (attempt, reply) in (1..).zip(replies) {
        let shown = String::from_utf8_lossy(&reply.body);
        writeln!(text, "=== {} {:?} {}", reply.status, shown, event.kind.name()).unwrap();
        let exchange = Exchange { request: request.clone(), attempt, reply: reply.clone() };
        match plugin.on_reply(&MORE_HINTS, event, &exchange, &mut memory) {
            Ok(Verdict { judgement, follow_ups }) => {
                writeln!(text, "{judgement:?}").unwrap();
                for follow_up in &follow_ups {
                    tell(follow_up, &mut text);
                }
            }
            Err(failure) => writeln!(text, "failed: {}", failure.kind.name()).unwrap(),
        }
        let kept = memory.entries().map(|(key, value)| (key, String::from_utf8_lossy(value)));
        writeln!(text, "keeps {:?}\n", kept.collect::<Vec<_>>()).unwrap();
    }
    text
}

/// `plugin-with-replies.wasm` returns a follow-up with every verdict, which is refused with a retry.
/// So the retries are for `replying.wasm`, which does what the reply says.
#[test]
fn plugins_of_version_1_0_0_judge_replies_as_they_always_did() {
    let mirror = load("plugin-with-replies.wasm", &[("needed", "yes")]);
    let event = events().first().expect("there are some").clone();
    let mut replies = Vec::new();
    for status in [200, 404, 429, 503, 500, 201] {
        replies.push(reply(status, "{\"id\": \"Ž\"}\0".as_bytes(), status == 201));
    }
    replies.push(Reply::default());
    compare("plugin-with-replies.wasm", judged(&mirror, &event, &replies), "on-reply");

    let replying = load("replying.wasm", &[]);
    let said = [
        "",
        "retry 7 later",
        "retry 4294967295 much later",
        "retry - busy",
        "give-up there is no such thing",
        "keep call 77\nfollow /calls/{call}\nfollow /cards",
        "give-up all the same\nfollow /calls/{call}",
        "retry 7 later\nfollow /calls/{call}",
        "keep call 78\nfail as told",
        "panic",
        "forget call\nfollow /calls/{call}",
    ];
    let replies: Vec<_> = said.iter().map(|said| reply(200, said.as_bytes(), false)).collect();
    compare("replying.wasm", judged(&replying, &event, &replies), "on-reply-as-told");
}

#[test]
fn plugins_of_version_1_0_0_judge_replies_to_every_kind_of_event() {
    for (name, settings) in
        [("plugin-with-replies.wasm", &[("needed", "yes")][..]), ("replying.wasm", &[])]
    {
        let plugin = load(name, settings);
        assert!(plugin.replies());
        for event in events() {
            let exchange = Exchange {
                request: Request {
                    state: event.event_id.clone().into_bytes(),
                    ..Request::draft("https://crm.example/")
                },
                attempt: u32::MAX,
                reply: reply(299, b"", false),
            };
            let verdict = plugin.on_reply(&MORE_HINTS, &event, &exchange, &mut Memory::default());
            let verdict = verdict.unwrap_or_else(|failure| panic!("{name}: {failure}"));
            assert_eq!(verdict.judgement, Judgement::Done, "{name}: {event:?}");
        }
    }
    assert!(!load("plugin.wasm", &[("needed", "yes")]).replies());
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
