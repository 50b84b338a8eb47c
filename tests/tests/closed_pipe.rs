//! Nobody has to read all that callhook says: `callhook plugin samples | head -1` is no failure.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::io::PipeWriter;
use std::process::{Output, Stdio};
use std::sync::LazyLock;

use callhook_pbx::Pbx;
use callhook_receiver::Receiver;
use promises::{Callhook, Ini, component, expect};

static HOSTILE: LazyLock<String> = LazyLock::new(|| component("hostile").display().to_string());

/// A pipe that nobody reads any longer.
fn closed() -> PipeWriter {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer
}

/// Runs it with nobody to read what it prints.
fn unread(arguments: &[&str]) -> Output {
    Callhook::command(arguments).stdout(closed()).output().expect("callhook runs")
}

/// Nor what it complains of.
fn unheard(arguments: &[&str]) -> Output {
    let mut command = Callhook::command(arguments);
    command.stdout(closed()).stderr(closed()).output().expect("callhook runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn whoever_has_seen_enough_hears_no_complaint() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (project, old) = (path("project"), path("TCXWebAPI.ini"));
    fs::write(&old, "WEBHOOK_URL=https://crm.example/\n").unwrap();
    for arguments in [
        &["plugin", "samples"][..],
        &["plugin", "samples", "answered"],
        &["plugin", "new", "my-crm", "--lang", "c", "--dir", &project],
        &["plugin", "check", "plain-get"],
        &["plugin", "check", "plain-get", "--json"],
        &["plugin", "try", "plain-get"],
        &["plugin", "try", "plain-get", "--json"],
        &["plugin", "try", "plain-get", "--curl"],
        &["demo", "--pace", "10ms"],
        &["--help"],
        &["--version"],
    ] {
        let output = unread(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
        assert_eq!(said(&output), "", "{arguments:?}");
    }
    // What is still to be done is said all the same.
    let output = unread(&["convert", &old]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).starts_with("note: fill in [pbx]"), "{}", said(&output));
}

#[tokio::test]
async fn deliveries_and_check_hear_no_complaint_either() {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let ini = Ini::new(&pbx, &receiver.url());
    let hook = Callhook::start(&ini).await;
    pbx.outside("420774852629").calls("420226201001").expect("the call arrives");
    expect(&receiver, &["ringing 106 ext 1-0"]).await;
    assert!(hook.stop().await.success());
    let path = ini.path().display().to_string();
    for what in [
        &["deliveries", "list"][..],
        &["deliveries", "list", "--json"],
        &["deliveries", "export"],
        &["check", "--offline"],
    ] {
        let arguments: Vec<&str> = what.iter().copied().chain(["--config", &path]).collect();
        let output = unread(&arguments);
        assert_eq!(output.status.code(), Some(0), "{what:?}: {}", said(&output));
        assert_eq!(said(&output), "", "{what:?}");
    }
}

/// The exit code tells what was found, whether anybody reads the rest or not.
#[test]
fn what_is_found_does_not_depend_on_who_reads_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (broken, cases) = (path("broken.wasm"), path("cases"));
    fs::write(&broken, "no component").unwrap();
    let case = folder.path().join("cases/ringing");
    fs::create_dir_all(&case).unwrap();
    let event = Callhook::command(&["plugin", "samples", "ringing"]).output().unwrap();
    fs::write(case.join("event.json"), event.stdout).unwrap();
    fs::write(case.join("expect.json"), r#"{"outcome": "skip"}"#).unwrap();
    for (arguments, code) in [
        (&["plugin", "check", &broken][..], 2),
        (&["plugin", "check", &broken, "--json"], 2),
        (&["plugin", "try", &HOSTILE, "--sample", "start", "--set", "do=panic"], 1),
        (&["plugin", "try", &HOSTILE, "--json", "--sample", "start", "--set", "do=panic"], 1),
        (&["plugin", "try", &broken], 2),
        (&["plugin", "test", "plain-get", "--cases", &cases], 1),
        (&["plugin", "samples", "nothing"], 2),
        (&["demo", "--plugin", &broken], 2),
        (&["check", "--config", "/nowhere/callhook.ini"], 2),
        (&["deliveries", "bury"], 2),
        (&["replay", "--from", "1h", "--to", "2h"], 2),
        (&["nonsense"], 2),
    ] {
        for output in [unread(arguments), unheard(arguments)] {
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
            assert!(!said(&output).contains("panicked"), "{arguments:?}: {}", said(&output));
        }
    }
}

#[tokio::test]
async fn the_service_works_on_where_its_log_cannot_be_written() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    for stderr in [Stdio::from(closed()), Stdio::from(full())] {
        let pbx = Pbx::small_office().start().await.expect("the exchange starts");
        let receiver = Receiver::start().await.expect("the receiver starts");
        let ini = Ini::new(&pbx, &receiver.url());
        let mut command = Callhook::command(&["run", "--config"]);
        let mut service = command.arg(ini.write()).stderr(stderr).spawn().expect("it starts");
        pbx.wait_for_watcher().await.expect("it watches");
        pbx.outside("420774852629").calls("420226201001").expect("the call arrives");
        expect(&receiver, &["ringing 106 ext 1-0"]).await;
        service.kill().expect("it runs");
        service.wait().expect("it is gone");
    }
}
