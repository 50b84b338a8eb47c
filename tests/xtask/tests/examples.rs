//! The examples do the same in every language: each is built by its own `build.sh`, run by the
//! engine of the service on the events in `tests/fixtures/examples`, and has to return, byte for
//! byte, what stands beside them.
//!
//! The tools are those that `cargo xtask examples` has installed. Where they are missing the test
//! says so and passes, except in CI (where the variable `CI` is set).

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something else than it expects has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use callhook::event::CallEvent;
use callhook::plugins::{LoadError, Outcome, Plugin, PluginFailure, PluginSpec, Runtime};
use callhook::request::Request;

/// One engine for all, which keeps what it has compiled: Python takes a minute where the compiler
/// is not optimised.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("an engine");
    runtime.with_cache(&root().join("target/examples/compiled"))
});

/// Builds go one after the other.
static BUILDING: Mutex<()> = Mutex::new(());

const LANGUAGES: [&str; 9] =
    ["c", "cpp", "go", "javascript", "lua", "python", "rust", "typescript", "zig"];

/// Settings that cannot be used, and what is said of them.
const WRONG: [(&str, &str); 2] = [
    ("", "setting `source`: it must not be empty"),
    ("Praha – úřad", "setting `source`: it must be plain ASCII, because it is sent as a header"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

// === Building ===

/// The component; `None` where the tools are missing.
fn built(language: &str) -> Option<PathBuf> {
    let guard = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let target = root().join("target");
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["examples", "--no-install", language])
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("xtask starts");
    drop(guard);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}{told}", String::from_utf8_lossy(&output.stdout));
    let component = target.join(format!("examples/{language}.wasm"));
    if component.is_file() {
        return Some(component);
    }
    assert!(told.contains("SKIPPED"), "neither built nor left out: {told}");
    assert!(std::env::var_os("CI").is_none(), "in CI nothing is left out: {told}");
    // Not `eprintln!`, which the test harness keeps to itself as long as a test passes.
    std::io::stderr().write_all(told.as_bytes()).expect("standard error");
    None
}

/// With this `source`, and time enough however busy the machine is.
fn load(component: &Path, source: Option<&str>) -> Result<Plugin, LoadError> {
    let mut spec = PluginSpec::file("example", component);
    spec.deadline = Duration::from_mins(1);
    spec.settings.extend(source.map(|source| ("source".to_owned(), source.to_owned())));
    RUNTIME.load(&spec, &Arc::default())
}

// === What goes in and comes out ===

/// Name, event, and what is to come of it.
fn cases() -> Vec<(String, CallEvent, String)> {
    let folder = root().join("tests/fixtures/examples");
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "json") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let event = serde_json::from_slice(&fs::read(&path).unwrap())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let expected = fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
            cases.push((name, event, expected));
        }
    }
    cases.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(cases.len() > 20, "the events are there");
    cases
}

/// A draft of which everything is set, as another plugin could hand it on.
fn draft() -> Request {
    Request {
        headers: vec![("x-replaced".into(), "yes".into())],
        body: b"replaced".into(),
        tag: Some("kept".into()),
        state: vec![0, 1, 255],
        delay_ms: 7,
        ..Request::draft("https://crm.example.com/calls?key=a%20b")
    }
}

/// An outcome as a person would read it.
fn shown(outcome: Result<Outcome, PluginFailure>) -> String {
    let requests = match outcome {
        Ok(Outcome::Skip(reason)) => return format!("skip: {reason}\n"),
        Ok(Outcome::Send(requests)) => requests,
        Err(failure) => return format!("failed: {failure}\n"),
    };
    let mut text = String::new();
    for request in requests {
        let body = String::from_utf8(request.body).expect("the body is UTF-8");
        text.extend([&request.method, " ", &request.url, "\n"]);
        for (name, value) in &request.headers {
            text.extend([name, ": ", value, "\n"]);
        }
        text.extend(["\n", &body, "\n"]);
        let kept = (request.tag, request.state, request.delay_ms);
        let draft = draft();
        assert_eq!(kept, (draft.tag, draft.state, draft.delay_ms), "the rest of the draft");
    }
    text
}

// === The promises ===

/// All of them, for one language.
fn does_as_the_others(language: &str) {
    let Some(component) = built(language) else { return };

    let plugin = load(&component, Some("Prague office")).unwrap_or_else(|error| panic!("{error}"));
    let about = plugin.description();
    assert_eq!(about.name, format!("example-{language}"));
    assert_eq!(about.version, "0.1.0");
    assert_eq!(about.summary, "Sends every event as a JSON POST");
    let setting = match plugin.settings() {
        [setting] => setting,
        other => panic!("one setting, not {other:?}"),
    };
    assert_eq!((setting.name.as_str(), setting.default.as_deref()), ("source", Some("callhook")));
    assert_eq!(setting.help, "what the CRM shows as the origin");
    assert!(!setting.required && !setting.secret);

    for (name, event, expected) in cases() {
        let got = shown(plugin.transform(&event, &draft()));
        assert_eq!(got, expected, "{name}, in {language}");
    }

    for (source, message) in WRONG {
        let error = load(&component, Some(source)).expect_err("the setting is wrong");
        assert_eq!(error.kind.to_string(), message, "{language}");
    }

    // Without the setting, its default holds.
    let plugin = load(&component, None).unwrap_or_else(|error| panic!("{error}"));
    let (_, event, expected) =
        cases().into_iter().find(|(name, ..)| name == "incoming-ringing").expect("it is there");
    let expected = expected.replace("Prague office", "callhook");
    assert_eq!(shown(plugin.transform(&event, &draft())), expected, "{language}");
}

#[test]
fn rust_does_as_the_others() {
    does_as_the_others("rust");
}

#[test]
fn javascript_does_as_the_others() {
    does_as_the_others("javascript");
}

#[test]
fn typescript_does_as_the_others() {
    does_as_the_others("typescript");
}

#[test]
fn python_does_as_the_others() {
    does_as_the_others("python");
}

#[test]
fn c_does_as_the_others() {
    does_as_the_others("c");
}

#[test]
fn cpp_does_as_the_others() {
    does_as_the_others("cpp");
}

#[test]
fn go_does_as_the_others() {
    does_as_the_others("go");
}

#[test]
fn zig_does_as_the_others() {
    does_as_the_others("zig");
}

#[test]
fn lua_does_as_the_others() {
    does_as_the_others("lua");
}

#[test]
fn every_example_is_tested() {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let folder = entry.unwrap();
        if folder.path().join("build.sh").is_file() {
            found.insert(folder.file_name().to_string_lossy().into_owned());
        }
    }
    assert_eq!(found, LANGUAGES.map(str::to_owned).into());
}
