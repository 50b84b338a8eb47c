//! How the service starts: from the second time on nothing is compiled, and a small machine is
//! enough.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use callhook_pbx::Pbx;
use callhook_receiver::Receiver;
use promises::{Callhook, Ini, expect};

const LOADED: &str = "Plugin loaded.";

async fn office() -> (Pbx, Receiver, Ini) {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let ini = Ini::new(&pbx, &receiver.url());
    (pbx, receiver, ini)
}

/// Starts and stops the service, and says whether it had to compile.
async fn compiles(ini: &Ini) -> bool {
    let hook = Callhook::start(ini).await;
    let line = hook.wait_for_log(LOADED).await;
    assert!(hook.stop().await.success());
    line.contains("compiled_in")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn artefact(ini: &Ini) -> PathBuf {
    let entries =
        fs::read_dir(ini.folder().join("callhook.db.plugins")).expect("there is a folder");
    let [one] = entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>().try_into().unwrap();
    one
}

#[tokio::test]
async fn what_was_compiled_is_kept_beside_the_database_for_the_next_start() {
    let (_pbx, _receiver, ini) = office().await;
    assert!(compiles(&ini).await);
    assert!(!compiles(&ini).await);
    assert_eq!(mode(&ini.folder().join("callhook.db.plugins")), 0o700);
    assert_eq!(mode(&artefact(&ini)), 0o600);

    // Damage is noticed and mended.
    let whole = fs::read(artefact(&ini)).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(artefact(&ini), damaged).unwrap();
    assert!(compiles(&ini).await);
    assert_eq!(fs::read(artefact(&ini)).unwrap().len(), whole.len());
    assert!(!compiles(&ini).await);
}

#[tokio::test]
async fn where_nothing_can_be_kept_the_service_runs_and_says_so_once() {
    let (pbx, receiver, ini) = office().await;
    fs::write(ini.folder().join("callhook.db.plugins"), "in its place").unwrap();
    let hook = Callhook::start(&ini).await;
    pbx.outside("420774852629").calls("420226201001").expect("the call arrives");
    expect(&receiver, &["ringing 106 ext 1-0"]).await;
    assert_eq!(hook.logged("Compiled plugins cannot be kept."), 1);
    assert!(hook.stop().await.success());
}

/// The pool reserves more address space than this process may have, beside the gigabyte that the
/// allocator reserves.
#[tokio::test]
async fn little_address_space_is_enough() {
    let (pbx, receiver, ini) = office().await;
    let callhook = Callhook::command(&["run"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v 2000000 && exec \"$0\" run \"$@\""]).arg(callhook.get_program());
    let hook = Callhook::spawn_command(&ini, limited);
    hook.wait_until_ready().await;
    hook.wait_for_log("Plugins run without the memory pool, somewhat slower.").await;
    pbx.outside("420774852629").calls("420226201001").expect("the call arrives");
    expect(&receiver, &["ringing 106 ext 1-0"]).await;
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn who_stops_or_reloads_it_while_it_starts_does_not_kill_it() {
    for reload in [false, true] {
        let (_pbx, _receiver, ini) = office().await;
        let hook = Callhook::spawn(&ini, &[]);
        hook.wait_for_log("Starting.").await;
        if reload {
            hook.signal("HUP");
            hook.wait_for_log("The settings are read again.").await;
        }
        assert!(hook.stop().await.success());
    }
}
