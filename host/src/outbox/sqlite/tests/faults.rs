//! Disks that are full, or fail.

use std::process::Command;

use super::super::statements::Statements;
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
    let mut waiting = Vec::new();
    while outbox.is_writable() && made < 4_000 {
        made += 1;
        waiting.push(outbox.append(of_class(&format!("c{made}"), Class::Core)));
        // Lets the writer say how it went.
        thread::sleep(Duration::from_millis(1));
    }
    assert!(!outbox.is_writable(), "the disk is full");
    wait_until(|| outbox.pressure() == Pressure::Full);
    let shed = |class: &str| metrics.outbox_shed.get_or_create(&label(class)).get();
    let extra = outbox.append(of_class("extra", Class::Extra));
    let popup = outbox.append(of_class("popup", Class::Popup));
    made += 1;
    let core = outbox.append(of_class("core", Class::Core));
    assert_eq!(shed("extra"), 0, "nothing is counted that is not decided");
    // Space returns.
    let grown = Command::new("mount").args(["-o", "remount,size=400m"]).arg(disk.0.path()).status();
    assert!(grown.unwrap().success());
    core.wait().unwrap();
    popup.wait().unwrap();
    extra.wait().unwrap();
    for receipt in waiting {
        receipt.wait().unwrap();
    }
    assert_eq!(shed("core"), 0);
    wait_until(|| outbox.is_writable() && outbox.pressure() == Pressure::None);
    let reader = file::connect_reader(&path).unwrap();
    let stored: i64 = reader
        .query_row("SELECT count(*) FROM requests WHERE class = 2", [], |row| row.get(0))
        .unwrap();
    assert_eq!(stored, made);
    // What gave way before there was space again is counted; what came after is there.
    let of = |event: &str| -> i64 {
        let sql = "SELECT count(*) FROM events WHERE event_id = ?1";
        reader.query_row(sql, [event], |row| row.get(0)).unwrap()
    };
    assert_eq!(i64::try_from(shed("extra")).unwrap() + of("extra"), 1);
    assert_eq!(i64::try_from(shed("popup")).unwrap() + of("popup"), 1);
}

fn label(kind: &str) -> crate::metrics::Label {
    crate::metrics::Label { kind: kind.to_owned() }
}

/// Told to the test's own program, run again under strace: where to work.
const PLACE: &str = "CALLHOOK_FAULTY_OUTBOX";

/// So many requests it appends.
const APPENDED: u16 = 60;

/// Not a test by itself: what runs under strace.
#[test]
fn appends_if_told_where() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let path = Path::new(&place);
    let outbox = SqliteOutbox::open(path, Clock::system(), Metrics::default()).unwrap();
    for number in 0..APPENDED {
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
        "fdatasync:error=EIO:when=20+29",
        "fdatasync:error=ENOSPC:when=9+23",
        "pwrite64:error=EIO:when=60..66",
        "pwrite64:error=ENOSPC:when=60+197",
        "fsync,fdatasync:error=EIO:when=12..17",
    ];
    for fault in faults {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("outbox.db");
        // What fails at the first start is said there; here it is about a service that runs.
        drop(SqliteOutbox::open(&path, Clock::system(), Metrics::default()).unwrap());
        let calls = fault.split(':').next().unwrap();
        let output = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={fault}")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("outbox::sqlite::tests::faults::appends_if_told_where")
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
        assert_eq!(reader.shared.metrics.outbox_pending.get(), i64::from(APPENDED), "{fault}");
        assert_eq!(said.matches("confirmed e").count(), usize::from(APPENDED), "{fault}");
    }
}

#[test]
fn an_outbox_that_is_opened_again_while_it_runs_goes_on() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    let shared = Arc::clone(&bench.outbox().shared);
    // What the writer does after an error of the disk, from the point of view of who claims.
    hold(&shared.reader).close().unwrap();
    assert!(bench.runtime.block_on(bench.outbox().claim(CRM, 1)).is_err());
    let reader = file::connect_reader(&bench.path()).unwrap();
    hold(&shared.reader).reopen(reader);
    assert_eq!(bench.claim(CRM, 1), [id("e1")]);
}

#[test]
fn what_gives_way_is_dropped_with_its_event_and_counted() {
    let bench = Bench::new();
    let connection = file::connect_editor(&bench.path()).unwrap();
    let now = bench.outbox().shared.timeline.stamp();
    for (pressure, left) in [
        (Pressure::None, vec!["extra-0", "popup-0", "core-0"]),
        (Pressure::Extras, vec!["popup-1", "core-1"]),
        (Pressure::Popups, vec!["core-2"]),
        (Pressure::Full, vec!["core-3"]),
    ] {
        let mut effects = apply::Effects::default();
        for class in [Class::Extra, Class::Popup, Class::Core] {
            let commit = of_class(&format!("{}-{}", class.name(), pressure as u8), class);
            append::append(&Statements::of(&connection), &commit, now, pressure, &mut effects)
                .unwrap();
        }
        assert_eq!(effects.shed.len(), 3 - left.len());
        for table in ["events", "requests"] {
            let sql =
                format!("SELECT count(*) FROM {table} WHERE event_id IN ('{}')", left.join("','"));
            let all =
                format!("SELECT count(*) FROM {table} WHERE event_id LIKE '%-{}'", pressure as u8);
            let count =
                |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
            let expected = i64::try_from(left.len()).unwrap();
            assert_eq!((count(&sql), count(&all)), (expected, expected), "{table}");
        }
    }
}

#[test]
fn a_file_has_one_lock_under_all_its_names() {
    let bench = Bench::new();
    let link = bench.folder.path().join("link.db");
    std::os::unix::fs::symlink(bench.path(), &link).unwrap();
    let error = SqliteOutbox::open(&link, Clock::system(), Metrics::default()).unwrap_err();
    assert!(format!("{error:#}").contains("another service uses it"), "{error:#}");
}

#[test]
fn a_damaged_file_that_may_be_a_strangers_is_not_repaired_and_what_to_do_is_said() {
    let mut bench = Bench::new();
    bench.append(one("e1", "a"));
    bench.close();
    fs::remove_file(bench.folder.path().join("outbox.db.lock")).unwrap();
    let mut bytes = fs::read(bench.path()).unwrap();
    bytes[4_096..8_192].fill(0);
    fs::write(bench.path(), &bytes).unwrap();
    let opened = SqliteOutbox::open(&bench.path(), Clock::system(), Metrics::default());
    let error = format!("{:#}", opened.unwrap_err());
    assert!(error.contains("move it away") && error.contains(".lock"), "{error}");
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 2, "it and its lock");
}
