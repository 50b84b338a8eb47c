//! A disk that is full or fails costs time and nothing else.
//!
//! Needs what only root may do, a small file system in memory, and `strace`, which makes system
//! calls fail. Where these are missing the tests say so and prove nothing.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use callhook_pbx::Pbx;
use promises::{Bustle, Callhook, Crowd, Ini, Ledger, Oracle};
use rusqlite::{Connection, OpenFlags};

const LONG: Duration = Duration::from_mins(1);

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"]).arg(at);
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What still holds it open ends with the test.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Waits until the service says this of its disk.
async fn wait_for_writable(hook: &Callhook, wanted: bool) {
    let deadline = Instant::now() + LONG;
    let value = if wanted { 1.0 } else { 0.0 };
    while hook.metric("callhook_outbox_writable").await != Some(value) {
        assert!(Instant::now() < deadline, "writable = {wanted}; the log: {:#?}", hook.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Who calls when everybody has gone home.
const LAST: &str = "420774859999";

/// Waits until all calls are over and told, and holds that nothing committed was lost.
async fn nothing_was_lost(pbx: &Pbx, ini: &Ini, oracle: &Oracle) {
    // What happened before this call is written down before it. That it rings may give way.
    let last = pbx.outside(LAST).calls("420226201100").expect("the call arrives");
    pbx.person("100").answers(&last).expect("the phone rings");
    let told = |ledger: &Ledger| ledger.entries.iter().any(|entry| entry.url.contains(LAST));
    Ledger::wait(&ini.database(), LONG, "the last call is told", told).await;
    pbx.outside(LAST).hangs_up(&last).expect("the call goes on");
    let over = |ledger: &Ledger| ledger.ends().values().all(|ends| *ends > 0);
    Ledger::wait(&ini.database(), LONG, "all calls are over", over).await;
    let ledger = Ledger::settled(&ini.database(), LONG).await;
    ledger.every_call_ended_once();
    let account = ledger.audit("webhook", &oracle.arrived());
    println!("{account:?}");
    assert!(account.delivered > 100, "{account:?}");
    assert_eq!(account.dead, 0, "{account:?}");
}

/// The service under load, with its database on a small disk.
struct Cramped {
    hook: Callhook,
    bustle: Bustle,
    /// What somebody else puts on the disk.
    ballast: PathBuf,
    /// Unmounted before its folder is removed.
    _disk: SmallDisk,
    ini: Ini,
    oracle: Oracle,
    pbx: Arc<Pbx>,
}

impl Cramped {
    /// `None` where there can be no small disk.
    async fn start(seed: u64) -> Option<Self> {
        let pbx = Arc::new(Crowd::office().start().await.expect("the exchange starts"));
        let oracle = Oracle::start().await;
        let ini = Ini::new(&pbx, &oracle.url()).level("info");
        let folder = ini.folder().join("disk");
        let Some(disk) = SmallDisk::mount(&folder, "8m") else {
            println!("SKIPPED: a small file system cannot be mounted here (it takes root).");
            return None;
        };
        let ini = ini.storage(&folder.join("callhook.db"));
        let hook = Callhook::start(&ini).await;
        let bustle = Crowd::new(&pbx, seed, 100).bustle(300);
        oracle.wait("some of the load", |all| all.len() > 100).await;
        let ballast = folder.join("ballast");
        Some(Self { hook, bustle, ballast, _disk: disk, ini, oracle, pbx })
    }

    /// Takes all the room that is left.
    async fn fill(&self) {
        let filled = fs::write(&self.ballast, vec![0; 16 * 1024 * 1024]);
        assert!(filled.is_err(), "there is no room for that");
        wait_for_writable(&self.hook, false).await;
    }

    /// Holds that the service has lost nothing.
    async fn end(self) {
        self.bustle.stop().await.go_home();
        nothing_was_lost(&self.pbx, &self.ini, &self.oracle).await;
        assert!(self.hook.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_waited_out_and_loses_nothing() {
    let Some(cramped) = Cramped::start(21).await else { return };
    cramped.fill().await;
    let ready = cramped.hook.page("/readyz").await;
    assert!(ready.contains("cannot commit"), "readiness says so: {ready}");
    cramped.hook.wait_for_log("The outbox cannot be written").await;
    fs::remove_file(&cramped.ballast).expect("the ballast is thrown off");
    wait_for_writable(&cramped.hook, true).await;
    cramped.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_a_full_disk_can_be_stopped_and_goes_on_with_room() {
    let Some(cramped) = Cramped::start(23).await else { return };
    cramped.fill().await;
    // However it ends, it ends.
    cramped.hook.stop().await;
    fs::remove_file(&cramped.ballast).expect("the ballast is thrown off");
    let hook = Callhook::start(&cramped.ini).await;
    Cramped { hook, ..cramped }.end().await;
}

/// Has system calls of the process fail until it is dropped; `None` where that cannot be done.
struct Fault(Child);

impl Fault {
    fn inject(hook: &Callhook, call: &str, error: &str) -> Option<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]).args([
            "-e",
            &format!("inject={call}:error={error}"),
            "-p",
            &hook.pid().to_string(),
        ]);
        let child = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let mut fault = Self(child);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let status = fs::read_to_string(format!("/proc/{}/status", hook.pid())).ok()?;
            let traced = status
                .lines()
                .any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0"));
            if traced {
                return Some(fault);
            }
            if fault.0.try_wait().ok()?.is_some() || Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        // It lets go of the process before it ends.
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

/// Lets these calls to the system fail for a while under load; while `somebody` reads the database
/// and does not let go, it cannot be opened again.
async fn fails_for_a_while(call: &str, error: &str, somebody: bool) {
    let pbx = Arc::new(Crowd::office().start().await.expect("the exchange starts"));
    let oracle = Oracle::start().await;
    let ini = Ini::new(&pbx, &oracle.url()).level("info");
    let hook = Callhook::start(&ini).await;
    let bustle = Crowd::new(&pbx, 22, 100).bustle(200);
    oracle.wait("some of the load", |all| all.len() > 100).await;
    let reader = somebody.then(|| {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let reader = Connection::open_with_flags(ini.database(), flags).expect("it can be read");
        reader.execute_batch("BEGIN; SELECT * FROM kept").expect("a transaction reads");
        reader
    });
    let Some(fault) = Fault::inject(&hook, call, error) else {
        println!("SKIPPED: strace is not here, or may not trace.");
        return;
    };
    wait_for_writable(&hook, false).await;
    drop(fault);
    if let Some(reader) = reader {
        hook.wait_for_log("another process reads it and does not let go").await;
        drop(reader);
    }
    wait_for_writable(&hook, true).await;
    bustle.stop().await.go_home();
    nothing_was_lost(&pbx, &ini, &oracle).await;
    assert!(hook.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_flush_acknowledges_nothing_and_loses_nothing() {
    fails_for_a_while("fsync,fdatasync", "EIO", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hinders_the_outbox_from_being_opened_again_is_told_of() {
    fails_for_a_while("fsync,fdatasync", "EIO", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_no_write_acknowledges_nothing_and_loses_nothing() {
    fails_for_a_while("pwrite64", "ENOSPC", false).await;
}
