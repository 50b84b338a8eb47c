//! Recordings as regression tests: every `*.jsonl` in `tests/fixtures/recordings/` is replayed,
//! and must give the events that the `.expected` file beside it lists, a line each.
//!
//! To add one, put a recording by `callhook record --mask` there and run this test: it prints
//! what the missing `.expected` file would contain. Read it before you keep it.

#![expect(clippy::expect_used, reason = "whatever is missing fails the test")]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use callhook::calls::replay;
use callhook::source::recording::Recording;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/recordings"))
}

fn recordings() -> Vec<PathBuf> {
    let files = fs::read_dir(folder()).expect("the folder is there");
    let paths = files.map(|file| file.expect("it can be listed").path());
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).collect();
    found.sort();
    found
}

#[test]
fn every_recording_gives_its_expected_events() {
    let recordings = recordings();
    assert!(!recordings.is_empty(), "no recording in {}", folder().display());
    let mut wrong = String::new();
    for path in recordings {
        let recording = Recording::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let mut told = String::new();
        for event in replay::replay(&recording) {
            writeln!(told, "{}", replay::line(&event)).expect("a text grows");
        }
        let beside = path.with_extension("expected");
        let name = beside.display();
        match fs::read_to_string(&beside) {
            Ok(expected) if expected == told => {}
            Ok(expected) => { writeln!(wrong, "{name} expects\n{expected}but these come\n{told}") }
                .expect("a text grows"),
            Err(_) => { writeln!(wrong, "{name} is missing; it would contain\n{told}") }
                .expect("a text grows"),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_recording_is_kept_that_was_not_masked_or_made_up() {
    // Numbers of the simulated exchange's people, and what takes the place of others.
    let fictitious = ["4207748526", "420226201"];
    for path in recordings() {
        let recording = Recording::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let text = fs::read_to_string(&path).expect("it was read before");
        let mut numbers = text.split(|sign: char| !sign.is_ascii_digit());
        let stranger = numbers.find(|number| {
            number.len() >= 11 && !fictitious.iter().any(|known| number.starts_with(known))
        });
        let fine = recording.header.masked || stranger.is_none();
        assert!(fine, "{} holds {stranger:?}; record it with --mask", path.display());
    }
}
