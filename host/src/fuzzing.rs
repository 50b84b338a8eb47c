//! The door through which the fuzzing of `tests/fuzz` reaches the parsers: everything that reads
//! what comes from outside, each as a function of bytes that must come back without a panic and
//! without having taken memory or time out of proportion.
//!
//! The corpus that is kept with the fuzzing goes through the same door in the test below.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::calls::title::Titles;
use crate::calls::{Engine, Settings, Wanted, replay};
use crate::clock::Moment;
use crate::config::{Config, Surroundings};
use crate::source::callcontrol::fuzzing as wire;
use crate::source::notice::{Notice, Seen, Snapshot};
use crate::source::recording::{Recording, Writer};

/// The reply to a read of one participant, or of all participants of a DN.
pub fn participant(data: &[u8]) {
    wire::participant(data);
}

/// A frame of the event socket.
pub fn frame(data: &[u8]) {
    wire::frame(data);
}

/// The reply to a read of all DNs.
pub fn listing(data: &[u8]) {
    wire::listing(data);
}

/// The reply to a login, with the JWT in it.
pub fn token(data: &[u8]) {
    wire::token(data);
}

/// A page of the Configuration API.
pub fn directory_page(data: &[u8]) {
    wire::directory_page(data);
}

/// A page of the call log, or of the active calls.
pub fn call_log_page(data: &[u8]) {
    wire::call_log_page(data);
}

/// The text of a .ini.
///
/// # Panics
///
/// If a fault is told in more than one line, or of a line that is not there, or if the text means
/// something else without its comments, empty lines and white space.
pub fn ini(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parse = |text: &str| Config::parse(text, Path::new("callhook.ini"), &Nothing);
    match parse(text) {
        Ok(loaded) => {
            let again = parse(&plain(text)).map(|again| again.config);
            assert_eq!(again.as_ref(), Ok(&loaded.config), "it depends on what means nothing");
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason");
            let lines = text.lines().count().max(1);
            for fault in faults {
                let line = fault.place.line;
                assert!(line.is_none_or(|line| (1..=lines).contains(&line)), "no line {line:?}");
                assert!(!fault.to_string().contains('\n'), "a fault of more than one line");
            }
        }
    }
}

/// The text without a mark at its start, comments on lines of their own, and white space around
/// lines. Each line keeps its number.
fn plain(text: &str) -> String {
    let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim);
    let means = |line: &str| !line.starts_with([';', '#']);
    lines.flat_map(|line| [if means(line) { line } else { "" }, "\n"]).collect()
}

/// A recording: read, replayed, and written again with everything masked.
///
/// # Panics
///
/// If what was written cannot be read, or is another number of notices.
pub fn recording(data: &[u8]) {
    let path = Path::new("recording.jsonl");
    let Ok(mut read) = Recording::read(path, data) else { return };
    let mut lines = String::new();
    for event in replay::replay(&read) {
        assert!(writeln!(lines, "{}", replay::line(&event)).is_ok());
    }
    read.header.masked = true;
    let mut output = Vec::new();
    let Ok(mut writer) = Writer::begin(&mut output, read.header) else { return };
    let count = read.notices.len();
    for notice in read.notices {
        assert!(writer.write(notice).is_ok(), "a notice cannot be written");
    }
    let again = Recording::read(path, output.as_slice()).map(|again| again.notices.len());
    assert_eq!(again.ok(), Some(count), "what was written is read back");
}

/// What was kept of a call, however much of it is left.
///
/// # Panics
///
/// If it is refused and leaves something that keeps the engine from telling of the next call.
pub fn state(data: &[u8]) {
    let number = serde_json::from_slice::<serde_json::Value>(data)
        .ok()
        .and_then(|call| call.get("number").and_then(serde_json::Value::as_i64));
    let mut engine = Engine::new(Settings {
        pbx: "pbx".to_owned(),
        zone: TimeZone::UTC,
        settle: Duration::from_secs(2),
        dids: BTreeMap::new(),
        dns: BTreeMap::new(),
        titles: Titles::default(),
        wanted: Wanted::default(),
    });
    let refused = engine.restore(&number.unwrap_or_default().to_string(), data).is_err();
    let start = jiff::Timestamp::UNIX_EPOCH;
    let mut told = 0;
    let mut see = |seconds: u32, what: Seen| {
        let mono = Duration::from_secs(seconds.into());
        let wall = start.checked_add(mono).unwrap_or(start);
        told += engine.apply(&Notice { at: Moment { wall, mono }, what }).events.len();
    };
    see(0, Seen::Snapshot(Snapshot { after_gap: true, dns: Vec::new(), legs: Vec::new() }));
    see(5, Seen::Tick);
    see(700, Seen::Tick);
    let shown = wire::ringing();
    see(1_400, Seen::Leg(Box::new(shown.clone())));
    see(1_401, Seen::LegGone(shown.key));
    see(1_405, Seen::Tick);
    assert!(!refused || told == 2, "the next call is not told");
}

/// A machine without environment and files, so that an input means the same everywhere.
struct Nothing;

impl Surroundings for Nothing {
    fn var(&self, name: &str) -> Option<String> {
        (name == "SET").then(|| "value".to_owned())
    }

    fn read(&self, _path: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn is_folder(&self, _: &Path) -> bool {
        false
    }

    fn is_file(&self, path: &Path) -> bool {
        path.extension().is_some()
    }

    fn readable_by_all(&self, _path: &Path) -> bool {
        true
    }

    fn time_zone(&self) -> Option<TimeZone> {
        Some(TimeZone::UTC)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    type Door = fn(&[u8]);

    const DOORS: [(&str, Door); 9] = [
        ("participant", super::participant),
        ("frame", super::frame),
        ("listing", super::listing),
        ("token", super::token),
        ("directory_page", super::directory_page),
        ("call_log_page", super::call_log_page),
        ("ini", super::ini),
        ("recording", super::recording),
        ("state", super::state),
    ];

    #[test]
    fn everything_in_the_kept_corpus_is_survived() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus");
        for (name, door) in DOORS {
            let folder = fs::read_dir(format!("{corpus}/{name}"));
            let folder = folder.unwrap_or_else(|error| panic!("the corpus of {name}: {error}"));
            let mut inputs = 0;
            for input in folder {
                door(&fs::read(input.unwrap().path()).unwrap());
                inputs += 1;
            }
            assert!(inputs > 0, "nothing is kept for {name}");
        }
    }

    #[test]
    fn every_target_of_the_fuzzing_has_a_door() {
        let targets = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/targets");
        let mut found: Vec<String> = fs::read_dir(targets)
            .unwrap()
            .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let mut doors = DOORS.map(|(name, _)| name);
        found.sort();
        doors.sort_unstable();
        assert_eq!(found, doors);
    }
}
