//! The tree shows the way of the data: each stage knows only what its line here allows, and each
//! big library is named in one folder only.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the crate, and the modules that it may use.
const MAY_USE: [(&str, &[&str]); 25] = [
    ("event", &[]),
    ("clock", &[]),
    ("reply", &[]),
    ("request", &[]),
    ("metrics", &[]),
    ("quiet", &[]),
    ("redact", &[]),
    ("tls", &[]),
    ("hosts", &[]),
    ("config", &["event", "redact"]),
    ("source", &["clock", "config", "event", "metrics", "tls"]),
    ("calls", &["clock", "event", "source"]),
    ("plugins", &["event", "redact", "reply", "request"]),
    ("routes", &["config", "event", "hosts", "plugins", "reply", "request"]),
    ("outbox", &["clock", "event", "metrics", "reply", "request"]),
    (
        "delivery",
        &["clock", "config", "hosts", "metrics", "outbox", "quiet", "redact", "reply", "tls"],
    ),
    ("console", &["metrics"]),
    (
        "pipeline",
        &[
            "calls", "clock", "event", "metrics", "outbox", "plugins", "quiet", "redact", "reply",
            "request", "routes", "source",
        ],
    ),
    (
        "app",
        &[
            "calls", "clock", "config", "console", "delivery", "metrics", "outbox", "pipeline",
            "plugins", "quiet", "reply", "routes", "source",
        ],
    ),
    ("demo", &["app", "clock", "config", "event", "outbox"]),
    ("authoring", &["app", "config", "event", "hosts", "plugins", "reply", "request"]),
    ("fuzzing", &["calls", "clock", "config", "source"]),
    ("shutdown", &[]),
    (
        "cli",
        &[
            "app",
            "authoring",
            "clock",
            "config",
            "demo",
            "event",
            "outbox",
            "plugins",
            "redact",
            "shutdown",
        ],
    ),
    ("failpoint", &[]),
];

/// A library, and the one place that may name it.
const NAMED_IN: [(&str, &str); 4] = [
    ("wasmtime", "plugins"),
    ("rusqlite", "outbox"),
    ("tokio_tungstenite", "source/callcontrol"),
    ("use ini::", "config"),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every source file below `src`, by its path there, without its tests.
fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let without_tests = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        !path.components().any(|part| part.as_os_str() == "tests")
            && !name.contains("tests.rs")
            && name != "properties.rs"
    };
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        (path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(), code)
    };
    sources(&root).into_iter().filter(without_tests).map(read).collect()
}

fn module(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn no_arrow_runs_back() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut wrong = BTreeSet::new();
    for (file, text) in files() {
        let own = module(&file);
        if matches!(own, "lib" | "main") {
            continue;
        }
        let may = allowed.get(own).unwrap_or_else(|| panic!("{own} is not in the table"));
        for used in text.split("crate::").skip(1) {
            let used: String =
                used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if used != own && allowed.contains_key(used.as_str()) && !may.contains(&&*used) {
                wrong.insert(format!("{file} uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_big_library_is_named_in_one_place() {
    let mut wrong = BTreeSet::new();
    for (file, text) in files() {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code: String = code.collect::<Vec<_>>().join("\n");
        for (library, place) in NAMED_IN {
            if code.contains(library) && !file.starts_with(place) {
                wrong.insert(format!("{file} names {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
