//! What the commands say, and the exit codes that other programs rely on.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::process::{Command, Output};

use callhook_pbx::Pbx;
use callhook_receiver::Receiver;
use promises::{Callhook, Ini};

fn run(command: &mut Command) -> Output {
    command.output().expect("callhook runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn office() -> (Pbx, Receiver) {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    (pbx, Receiver::start().await.expect("the receiver starts"))
}

/// `callhook check` beside the exchange's own tasks, which must go on meanwhile.
async fn check(ini: &Ini, more: &[&str]) -> Output {
    let mut command = Callhook::command(&["check", "--config"]);
    command.arg(ini.write()).args(more);
    tokio::task::spawn_blocking(move || run(&mut command)).await.expect("it is waited for")
}

#[tokio::test]
async fn check_finds_nothing_wrong_with_a_good_office() {
    let (pbx, receiver) = office().await;
    let checked = check(&Ini::new(&pbx, &receiver.url()), &[]).await;
    let said = text(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{said}{}", text(&checked.stderr));
    for part in ["settings   ok", "plugin     ok: plain-get", "pbx        ok", "webhook    ok"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(receiver.arrived().is_empty(), "nothing is sent");
}

#[tokio::test]
async fn check_names_file_line_and_key_of_a_fault_and_ends_with_2() {
    let (pbx, receiver) = office().await;
    let ini = Ini::new(&pbx, &receiver.url()).webhook("timout = 5s");
    let checked = check(&ini, &["--offline"]).await;
    let said = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("callhook.ini:11") && said.contains("timout"), "{said}");
    assert!(said.contains("\"timeout\""), "the nearest known name: {said}");
}

#[tokio::test]
async fn check_says_that_the_secret_is_wrong() {
    let (pbx, receiver) = office().await;
    pbx.faults().refuse_logins(true);
    let checked = check(&Ini::new(&pbx, &receiver.url()), &[]).await;
    let said = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("pbx") && said.contains("client id and secret"), "{said}");
    assert!(!said.contains(pbx.client_secret()), "{said}");
}

#[tokio::test]
async fn check_says_that_an_endpoint_cannot_be_reached() {
    let (pbx, receiver) = office().await;
    let nobody = receiver.url();
    drop(receiver);
    let checked = check(&Ini::new(&pbx, &nobody), &[]).await;
    let said = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("webhook") && said.contains("no connection"), "{said}");
}

#[tokio::test]
async fn a_plugin_file_that_is_no_component_stops_the_start() {
    let (pbx, receiver) = office().await;
    let ini = Ini::new(&pbx, &receiver.url())
        .webhook("plugins = broken")
        .section("plugin.broken", &["file = broken.wasm"]);
    std::fs::write(ini.folder().join("broken.wasm"), "not wasm").expect("it is written");
    let checked = check(&ini, &["--offline"]).await;
    let said = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("broken") && said.contains("component"), "{said}");
    assert!(said.contains("[plugin.broken] file: plugin \"broken\""), "{said}");
}

#[tokio::test]
async fn check_tells_at_once_all_that_keeps_the_service_from_starting() {
    let (pbx, receiver) = office().await;
    let ini = Ini::new(&pbx, &receiver.url())
        .webhook("ca_file = ca.pem")
        .webhook("plugins = one, two")
        .section("plugin.one", &["file = one.wasm"])
        .section("plugin.two", &["file = two.wasm"])
        .section("directory", &["file = people.csv"]);
    for name in ["ca.pem", "one.wasm", "two.wasm", "people.csv"] {
        std::fs::write(ini.folder().join(name), "nothing of the kind").expect("it is written");
    }
    std::fs::write(ini.database(), "no database").expect("it is written");
    let checked = check(&ini, &["--offline"]).await;
    let said = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2), "{said}");
    for part in [
        "[storage] path: ",
        "[webhook] ca_file: ",
        "[directory] file: ",
        "[plugin.one] file: ",
        "[plugin.two] file: ",
        "callhook: 5 errors in ",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let ended = run(Callhook::command(&["run", "--config"]).arg(ini.path()));
    let said_by_run = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said_by_run}");
    assert!(said_by_run.contains("callhook: 5 errors in "), "{said_by_run}");
    assert_eq!(std::fs::read(ini.database()).expect("it is there"), b"no database");
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_refused_if_that_is_asked_for() {
    use std::os::unix::fs::PermissionsExt as _;
    let (pbx, receiver) = office().await;
    let ini = Ini::new(&pbx, &receiver.url());
    let path = ini.write();
    let public = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&path, public).expect("everybody may read it");
    for (arguments, code) in [
        (&["check", "--offline"][..], 0),
        (&["check", "--offline", "--strict"], 2),
        (&["run", "--strict"], 2),
    ] {
        let mut command = Callhook::command(arguments);
        let ended = run(command.arg("--config").arg(&path));
        let said = text(&ended.stderr) + &text(&ended.stdout);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("client_secret: everybody on this machine can read"), "{said}");
        assert!(!said.contains(pbx.client_secret()), "{said}");
    }
}

#[tokio::test]
async fn check_tries_certificates_without_the_network() {
    let (pbx, receiver) = office().await;
    let ini = Ini::new(&pbx, &receiver.url()).webhook("ca_file = ca.pem");
    std::fs::write(ini.folder().join("ca.pem"), "no certificate").expect("it is written");
    let checked = check(&ini, &["--offline"]).await;
    let said = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("endpoint webhook") && said.contains("ca.pem"), "{said}");
    assert!(said.contains("callhook.ini:11: [webhook] ca_file: "), "{said}");
}

#[test]
fn what_convert_prints_is_sound_once_the_secret_is_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (old, new) = (folder.path().join("TCXWebAPI.ini"), folder.path().join("callhook.ini"));
    let text_of_old = "[Config]\nWEBHOOK_URL=https://crm.example/?key=1\nPOST=1\n\
                       WEBHOOK_POST_URL=https://crm.example/post\n\
                       WEBHOOK_URL_2=https://second.example/\n\
                       WEBHOOK_URL_MONITOR=https://me:pass@monitor.example/\n";
    std::fs::write(&old, text_of_old).expect("it is written");
    let converted = run(Callhook::command(&["convert"]).arg(&old));
    let notes = text(&converted.stderr);
    assert_eq!(converted.status.code(), Some(0), "{notes}");
    for part in ["fill in [pbx]", "plain-post", "WEBHOOK_URL_2"] {
        assert!(notes.contains(part), "{part:?} is not in {notes}");
    }
    assert!(text(&converted.stdout).contains("\nplugins = plain-post\n"));
    std::fs::write(&new, converted.stdout).expect("it is written");
    let check = || run(Callhook::command(&["check", "--offline", "--config"]).arg(&new));
    let said = text(&check().stderr);
    assert!(said.contains("pbx_secret") && said.contains("callhook: 1 error in"), "{said}");
    std::fs::write(folder.path().join("pbx_secret"), "key\n").expect("it is written");
    let checked = check();
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [&[][..], &["rum"], &["run", "--confg", "x"], &["demo", "--pace", "soon"]] {
        let ended = run(&mut Callhook::command(arguments));
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {}", text(&ended.stderr));
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ended = run(&mut Callhook::command(&["run", "--config", "/nowhere/callhook.ini"]));
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("/nowhere/callhook.ini"), "{}", text(&ended.stderr));
}

#[test]
fn the_demo_shows_every_event_with_its_webhook_and_ends_well() {
    let demo = run(&mut Callhook::command(&["demo", "--pace", "500ms"]));
    let said = text(&demo.stdout);
    assert_eq!(demo.status.code(), Some(0), "{said}{}", text(&demo.stderr));
    assert!(said.contains("3 calls, 11 events, 11 webhooks delivered, 0 missing, 0 unexpected"));
    assert_eq!(said.matches("  event ").count(), 11, "{said}");
    assert_eq!(said.matches("  webhook ").count(), 11, "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert!(!said.contains('\x1b'), "no colours where there is no terminal");
}
