//! `callhook record` writes down what happened, so that replaying it tells the same events.

#![expect(clippy::expect_used, reason = "whatever is missing fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use callhook::calls::replay;
use callhook::source::notice::Seen;
use callhook::source::recording::Recording;
use callhook_pbx::{Builder, Call, Pbx};
use promises::{Ini, Recorder};

const CALLER: &str = "420774852629";

/// Participants by DN and id, and where they stand.
type View = BTreeMap<(String, i64), String>;

/// An exchange, and the recording binary that watches it.
struct Recorded {
    pbx: Pbx,
    ini: Ini,
    file: PathBuf,
    recorder: Recorder,
}

impl Recorded {
    async fn begin(builder: Builder, arguments: &[&str]) -> Self {
        let pbx = builder.start().await.expect("the exchange starts");
        let ini =
            Ini::new(&pbx, "http://127.0.0.1:9/").section("did", &["420226201001 = PragueDID"]);
        let file = ini.folder().join("calls.jsonl");
        let recorder = Recorder::start(&ini, &file, arguments).await;
        if pbx.has_books() {
            recorder.wait_for_lines(3).await;
        }
        Self { pbx, ini, file, recorder }
    }

    /// Waits until the recording shows what people did.
    async fn seen(&self) {
        self.recorder
            .wait_until("the recording to catch up", || {
                let recording = Recording::load(&self.file).ok()?;
                (view(&recording)? == self.truth(&recording)).then_some(())
            })
            .await;
    }

    /// The participants that callhook can see, and where they stand.
    fn truth(&self, recording: &Recording) -> View {
        let dns = recording.notices.iter().find_map(|notice| match &notice.what {
            Seen::Snapshot(snapshot) => Some(&snapshot.dns),
            _ => None,
        });
        let visible = |number: &str| dns.into_iter().flatten().any(|dn| dn.number == number);
        let all = self.pbx.participants().into_iter().filter(|leg| visible(&leg.dn));
        all.map(|leg| ((leg.dn, leg.id), format!("{:?}", leg.status))).collect()
    }

    async fn arrives(&self, caller: &str, did: &str) -> Call {
        let call = self.pbx.outside(caller).calls(did).expect("the call arrives");
        self.seen().await;
        call
    }

    async fn answers(&self, person: &str, call: &Call) {
        self.pbx.person(person).answers(call).expect("the phone rings");
        self.seen().await;
    }

    async fn caller_hangs_up(&self, caller: &str, call: &Call) {
        self.pbx.outside(caller).hangs_up(call).expect("the call is on");
        self.seen().await;
    }

    /// Ends the recording; gives it, and its text.
    async fn end(self, name: &str) -> (Recording, String) {
        let status = self.recorder.stop().await;
        assert!(status.success(), "record ended with {status}");
        keep(&self.file, name);
        let text = fs::read_to_string(&self.file).expect("a recording was written");
        let recording = Recording::load(&self.file).expect("it can be read");
        drop(self.ini);
        (recording, text)
    }
}

/// What a recording shows at its end.
fn view(recording: &Recording) -> Option<View> {
    let mut view = None;
    for notice in &recording.notices {
        let legs: &mut View = view.get_or_insert_default();
        match &notice.what {
            Seen::Leg(leg) => {
                legs.insert((leg.key.dn.clone(), leg.key.id), format!("{:?}", leg.status));
            }
            Seen::LegGone(key) => {
                legs.remove(&(key.dn.clone(), key.id));
            }
            _ => {}
        }
    }
    view
}

/// To make the recordings that are kept anew: `KEEP_RECORDINGS=folder`.
fn keep(file: &Path, name: &str) {
    if let Some(folder) = std::env::var_os("KEEP_RECORDINGS") {
        let to = PathBuf::from(folder).join(name).with_extension("jsonl");
        fs::copy(file, to).expect("the recording is kept");
    }
}

/// Of a line about an event, what is not about when it was.
fn what(line: &str) -> String {
    line.split(" | ").next().unwrap_or_default().to_owned()
}

fn told(recording: &Recording) -> Vec<String> {
    replay::replay(recording).iter().map(|event| what(&replay::line(event))).collect()
}

/// Holds that a fresh recording tells the same as the one that is kept for regression tests.
async fn expect_as_kept(recorded: Recorded, name: &str) {
    let (recording, _) = recorded.end(name).await;
    let path = format!("{}/fixtures/recordings/{name}.expected", env!("CARGO_MANIFEST_DIR"));
    let kept = fs::read_to_string(&path).expect("it is kept");
    assert_eq!(told(&recording), kept.lines().map(what).collect::<Vec<_>>());
}

/// Somebody calls Alice, who answers.
async fn incoming(builder: Builder, arguments: &[&str]) -> Recorded {
    let recorded = Recorded::begin(builder, arguments).await;
    let call = recorded.arrives(CALLER, "420226201001").await;
    recorded.answers("106", &call).await;
    recorded.caller_hangs_up(CALLER, &call).await;
    recorded
}

#[tokio::test]
async fn an_incoming_call_recorded_again_tells_the_same() {
    expect_as_kept(incoming(Pbx::small_office(), &[]).await, "incoming").await;
}

#[tokio::test]
async fn a_missed_queue_recorded_again_tells_the_same() {
    let recorded = Recorded::begin(Pbx::small_office(), &[]).await;
    let call = recorded.arrives("420774852630", "420226201002").await;
    call.rings_out().expect("nobody has time");
    recorded.seen().await;
    call.polls_again().expect("the queue tries again");
    recorded.seen().await;
    recorded.caller_hangs_up("420774852630", &call).await;
    expect_as_kept(recorded, "missed-queue").await;
}

#[tokio::test]
async fn an_outgoing_call_recorded_again_tells_the_same() {
    let recorded = Recorded::begin(Pbx::small_office(), &[]).await;
    let far = recorded.pbx.outside("420774852631");
    let call = recorded.pbx.person("107").dials("420774852631").expect("it dials");
    recorded.seen().await;
    far.answers(&call).expect("it rings there");
    recorded.seen().await;
    recorded.caller_hangs_up("420774852631", &call).await;
    expect_as_kept(recorded, "outgoing").await;
}

#[tokio::test]
async fn a_blind_transfer_recorded_again_tells_the_same() {
    let recorded = Recorded::begin(Pbx::small_office(), &[]).await;
    let call = recorded.arrives(CALLER, "420226201001").await;
    recorded.answers("106", &call).await;
    recorded.pbx.person("106").transfers(&call, "107").expect("she transfers");
    recorded.seen().await;
    recorded.answers("107", &call).await;
    recorded.caller_hangs_up(CALLER, &call).await;
    expect_as_kept(recorded, "blind-transfer").await;
}

#[tokio::test]
async fn what_the_books_say_is_recorded_too() {
    let office = Pbx::small_office().named_did("420226201001", "Prague", "106");
    expect_as_kept(incoming(office.configuration_api(true), &[]).await, "books").await;
}

#[tokio::test]
async fn a_masked_recording_gives_the_same_events_of_other_people() {
    let office = || Pbx::small_office().party_did(true);
    let (masked, text) = incoming(office(), &["--mask"]).await.end("masked").await;
    for secret in ["774852629", "226201001", "PragueDID"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    let (open, _) = incoming(office(), &[]).await.end("open").await;
    // The settings' DID is the first number, the caller's the second.
    let other = |line: &String| line.replace(CALLER, "420100000002").replace("PragueDID", "Name 1");
    assert_eq!(told(&masked), told(&open).iter().map(other).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_recording_ends_by_itself_after_its_time() {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let ini = Ini::new(&pbx, "http://127.0.0.1:9/");
    let file = ini.folder().join("calls.jsonl");
    let recorder = Recorder::start(&ini, &file, &["--for", "3s"]).await;
    assert!(recorder.ended().await.success());
    assert!(Recording::load(&file).is_ok_and(|recording| !recording.notices.is_empty()));

    let again = Recorder::spawn(&ini, &file, &["--for", "1s"]);
    assert_eq!(again.ended().await.code(), Some(1), "what was recorded is not overwritten");
}

#[tokio::test]
async fn where_nothing_was_recorded_the_same_command_may_be_tried_again() {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    pbx.faults().refuse_logins(true);
    let ini = Ini::new(&pbx, "http://127.0.0.1:9/");
    let file = ini.folder().join("calls.jsonl");
    let recorder = Recorder::spawn(&ini, &file, &["--for", "1s"]);
    assert_eq!(recorder.ended().await.code(), Some(1), "nothing was recorded");
    assert!(!file.exists());
    pbx.faults().refuse_logins(false);
    let recorder = Recorder::start(&ini, &file, &["--for", "3s"]).await;
    assert!(recorder.ended().await.success());
    let mode = fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
