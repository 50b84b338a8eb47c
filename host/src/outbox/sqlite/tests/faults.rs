//! Disks that are full, or fail.

use std::process::Command;

use super::*;

/// Mounts a disk of this size in memory, if that is allowed here.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            other => {
                eprintln!("SKIPPED: no disk can be mounted here: {other:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{}", self.0.path().display());
    }
}

fn of_class(event: &str, class: Class) -> Commit {
    let mut new = request(event, CRM, event);
    new.class = class;
    new.request.body = vec![7; 20_000];
    Commit { events: vec![stored(event)], ..commit_of(vec![new]) }
}

#[test]
fn on_a_full_disk_extras_give_way_first_then_ringing_and_core_waits() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let path = disk.0.path().join("outbox.db");
    let metrics = Metrics::default();
    let outbox = SqliteOutbox::open(&path, Clock::system(), metrics.clone()).unwrap();
    assert_eq!(outbox.pressure(), Pressure::None);
    let mut made = 0;
    let mut fill = |until: &dyn Fn() -> bool| {
        let mut waiting = Vec::new();
        while !until() && made < 4_000 {
            made += 1;
            waiting.push(outbox.append(of_class(&format!("c{made}"), Class::Core)));
            // What gives way is looked at twice a second.
            thread::sleep(Duration::from_millis(2));
        }
        waiting
    };
    drop(fill(&|| outbox.pressure() >= Pressure::Extras));
    outbox.append(of_class("extra", Class::Extra)).wait().unwrap();
    let shed = |class: &str| metrics.outbox_shed.get_or_create(&label(class)).get();
    assert_eq!(shed("extra"), 1);
    drop(fill(&|| outbox.pressure() >= Pressure::Popups));
    let popup = outbox.append(of_class("popup", Class::Popup));
    let waiting = fill(&|| !outbox.is_writable());
    assert!(!outbox.is_writable(), "the disk is full");
    assert!(!waiting.is_empty());
    wait_until(|| outbox.pressure() == Pressure::Full);
    // Space returns.
    let grown = Command::new("mount").args(["-o", "remount,size=400m"]).arg(disk.0.path()).status();
    assert!(grown.unwrap().success());
    popup.wait().unwrap();
    waiting.into_iter().for_each(|receipt| receipt.wait().unwrap());
    assert_eq!((shed("popup"), shed("core")), (1, 0));
    wait_until(|| outbox.is_writable() && outbox.pressure() == Pressure::None);
    let reader = file::connect_reader(&path).unwrap();
    let stored: i64 =
        reader.query_row("SELECT count(*) FROM requests", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, made);
    let extra = "SELECT count(*) FROM events WHERE event_id IN ('extra', 'popup')";
    let kept: i64 = reader.query_row(extra, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 0, "an event of which nothing is sent needs no space either");
}

fn label(kind: &str) -> crate::metrics::Label {
    crate::metrics::Label { kind: kind.to_owned() }
}

/// Told to the test's own program, run again under strace: where to work.
const PLACE: &str = "CALLHOOK_FAULTY_OUTBOX";

/// Not a test by itself: what runs under strace.
#[test]
fn appends_two_hundred_if_told_where() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let path = Path::new(&place);
    let outbox = SqliteOutbox::open(path, Clock::system(), Metrics::default()).unwrap();
    for number in 0..200 {
        outbox.append(one(&format!("e{number}"), "a")).wait().unwrap();
        println!("confirmed e{number}.");
    }
}

#[test]
fn what_is_confirmed_is_there_whatever_call_to_the_disk_fails() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("SKIPPED: there is no strace here");
        return;
    }
    let faults = [
        "fdatasync:error=EIO:when=20+17",
        "fdatasync:error=ENOSPC:when=9+5",
        "pwrite64:error=EIO:when=40+31",
        "pwrite64:error=ENOSPC:when=33+7",
        "fsync,fdatasync:error=EIO:when=12..30",
    ];
    for fault in faults {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("outbox.db");
        let calls = fault.split(':').next().unwrap();
        let output = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={fault}")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("outbox::sqlite::tests::faults::appends_two_hundred_if_told_where")
            .env(PLACE, &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        if !said.contains("confirmed e0.") && said.is_empty() {
            eprintln!("SKIPPED: strace may not trace here: {output:?}");
            return;
        }
        assert!(output.status.success(), "{fault}: {said}");
        let reader = SqliteOutbox::open(&path, Clock::system(), Metrics::default()).unwrap();
        assert_eq!(reader.shared.metrics.outbox_pending.get(), 200, "{fault}");
        assert_eq!(said.matches("confirmed e").count(), 200, "{fault}");
    }
}

#[test]
fn an_outbox_that_is_opened_again_while_it_runs_goes_on() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    let shared = Arc::clone(&bench.outbox().shared);
    // What the writer does after an error of the disk, from the point of view of who claims.
    hold(&shared.reader).replace(Connection::open_in_memory().unwrap());
    assert!(bench.runtime.block_on(bench.outbox().claim(CRM, 1)).is_err());
    let reader = file::connect_reader(&bench.path()).unwrap();
    hold(&shared.reader).replace(reader);
    assert_eq!(bench.claim(CRM, 1), [id("e1")]);
}
