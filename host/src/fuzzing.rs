//! The door through which the fuzzing of `tests/fuzz` reaches the parsers: everything that reads
//! what comes from outside, each as a function of bytes that must come back without a panic and
//! without having taken memory or time out of proportion.
//!
//! The corpus that is kept with the fuzzing goes through the same door in the test below.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use jiff::tz::TimeZone;

use crate::calls::replay;
use crate::config::{Config, Surroundings};
use crate::source::callcontrol::fuzzing as wire;
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
/// If a fault is told in more than one line.
pub fn ini(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(faults) = Config::parse(text, Path::new("callhook.ini"), &Nothing) {
        assert!(!faults.is_empty(), "refused without a reason");
        for fault in faults {
            assert!(!fault.to_string().contains('\n'), "a fault of more than one line");
        }
    }
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

/// A machine without environment and files, so that an input means the same everywhere.
struct Nothing;

impl Surroundings for Nothing {
    fn var(&self, name: &str) -> Option<String> {
        (name == "SET").then(|| "value".to_owned())
    }

    fn read(&self, _path: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
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

    const DOORS: [(&str, Door); 8] = [
        ("participant", super::participant),
        ("frame", super::frame),
        ("listing", super::listing),
        ("token", super::token),
        ("directory_page", super::directory_page),
        ("call_log_page", super::call_log_page),
        ("ini", super::ini),
        ("recording", super::recording),
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
