//! `callhook record` writes down what happened, so that replaying it tells the same events.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callhook::calls::replay;
use callhook::source::recording::Recording;
use callhook_pbx::plays::{Play, Stage};
use callhook_pbx::{Builder, Pbx};
use promises::{Ini, Recorder};

/// Plays this to the recording binary and gives the recording.
async fn recorded(builder: Builder, play: Play, arguments: &[&str]) -> (Recording, String) {
    let pbx = builder.start().await.expect("the exchange starts");
    let ini = Ini::new(&pbx, "http://127.0.0.1:9/").section("did", &["420226201001 = PragueDID"]);
    let file = ini.folder().join("calls.jsonl");
    let recorder = Recorder::start(&ini, &file, arguments).await;
    let stage = Stage { pace: Duration::from_millis(50), narrator: &|_| {} };
    if pbx.has_books() {
        recorder.wait_for_lines(3).await;
    }
    play.act(&pbx, &stage).await.expect("the play goes on");
    pbx.wait_until_caught_up().await.expect("it was read");
    let status = recorder.stop().await;
    assert!(status.success(), "record ended with {status}");
    let text = fs::read_to_string(&file).expect("a recording was written");
    keep(&file, play);
    (Recording::load(&file).expect("it can be read"), text)
}

/// To make the recordings that are kept: `KEEP_RECORDINGS=folder`.
fn keep(file: &Path, play: Play) {
    if let Some(folder) = std::env::var_os("KEEP_RECORDINGS") {
        let to = PathBuf::from(folder).join(format!("{play:?}.jsonl"));
        fs::copy(file, to).expect("the recording is kept");
    }
}

/// The events of a recording, without when they were.
fn told(recording: &Recording) -> Vec<String> {
    let lines = replay::replay(recording).into_iter().map(|event| replay::line(&event));
    lines.map(|line| line.split(" | ").next().unwrap_or_default().to_owned()).collect()
}

/// The same of a recording that is kept for regression tests.
fn kept(name: &str) -> Vec<String> {
    let path = format!("{}/fixtures/recordings/{name}.expected", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).expect("it is kept");
    text.lines().map(|line| line.split(" | ").next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_play_that_is_recorded_again_gives_the_events_of_the_recording_that_is_kept() {
    for (play, name) in [
        (Play::Incoming, "incoming"),
        (Play::MissedQueue, "missed-queue"),
        (Play::Outgoing, "outgoing"),
        (Play::Transfer, "blind-transfer"),
    ] {
        let (recording, _) = recorded(Pbx::small_office(), play, &[]).await;
        assert_eq!(told(&recording), kept(name), "{name}");
    }
}

#[tokio::test]
async fn what_the_books_say_is_recorded_too() {
    let office =
        Pbx::small_office().named_did("420226201001", "Prague", "106").configuration_api(true);
    let (recording, _) = recorded(office, Play::Incoming, &[]).await;
    assert_eq!(told(&recording), kept("books"));
}

#[tokio::test]
async fn a_masked_recording_gives_the_same_events_of_other_people() {
    let office = || Pbx::small_office().party_did(true);
    let (masked, text) = recorded(office(), Play::Incoming, &["--mask"]).await;
    for secret in ["774852629", "226201001", "PragueDID"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    let (open, _) = recorded(office(), Play::Incoming, &[]).await;
    // The settings' DID is the first number, the caller's the second.
    let other: Vec<String> = told(&open)
        .iter()
        .map(|line| line.replace("420774852629", "420100000002").replace("PragueDID", "Name 1"))
        .collect();
    assert_eq!(told(&masked), other);
}
