//! A damaged file: found, set aside, carried over, and nothing wrong is sent.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom, Write};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// So many requests are in the file that is damaged.
const REQUESTS: usize = 300;

fn content(number: usize) -> Request {
    Request {
        method: "POST".to_owned(),
        url: format!("http://crm.example/calls/{number}"),
        headers: vec![("x-number".to_owned(), number.to_string())],
        // Every tenth spills over onto further pages.
        body: format!("{number};")
            .repeat(if number.is_multiple_of(10) { 3_000 } else { 60 })
            .into_bytes(),
        ..Request::default()
    }
}

/// Three of them share a lane.
fn full(number: usize) -> Commit {
    let (event, lane) = (format!("e{number}"), format!("l{}", number / 3));
    let request = NewRequest { request: content(number), ..request(&event, CRM, &lane) };
    Commit {
        pbx: "pbx".to_owned(),
        calls: vec![(event.clone(), Some(event.clone().into_bytes()))],
        events: vec![stored(&event)],
        requests: vec![request],
        ..Commit::default()
    }
}

/// The files of an outbox whose process was killed, with a log or without.
struct Sound {
    folder: TempDir,
}

impl Sound {
    fn make(carried_over: bool) -> Self {
        let mut bench = Bench::new();
        for number in 0..REQUESTS {
            bench.append(full(number));
        }
        bench.append(commit_of(vec![]));
        if carried_over {
            bench.close();
        }
        let folder = TempDir::new().unwrap();
        copy(bench.folder.path(), folder.path());
        Self { folder }
    }

    /// A copy that may be damaged.
    fn copy(&self) -> TempDir {
        let folder = TempDir::new().unwrap();
        copy(self.folder.path(), folder.path());
        folder
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// What is done to a file, at a place between its beginning (0) and its end (1).
#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip { at: f64, bit: u8 },
    Zero { at: f64 },
    Noise { at: f64 },
    Truncate { at: f64 },
}

fn harms() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => (0.0..1.0, 0..8_u8).prop_map(|(at, bit)| Harm::Flip { at, bit }),
        2 => (0.0..1.0).prop_map(|at| Harm::Zero { at }),
        2 => (0.0..1.0).prop_map(|at| Harm::Noise { at }),
        1 => (0.0..1.0).prop_map(|at| Harm::Truncate { at }),
    ]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a place in a small file"
)]
fn harm(path: &Path, harm: Harm) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let place = |at: f64| (at * length as f64) as u64;
    let mut write = |at: u64, bytes: &[u8]| {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(bytes).unwrap();
    };
    match harm {
        Harm::Zero { at } => write(place(at) / 4_096 * 4_096, &[0; 4_096]),
        Harm::Noise { at } => write(place(at), &[0xa5; 64]),
        Harm::Truncate { at } => file.set_len(place(at)).unwrap(),
        Harm::Flip { at, bit } => {
            let mut byte = [0];
            file.seek(SeekFrom::Start(place(at))).unwrap();
            file.read_exact(&mut byte).unwrap();
            file.seek(SeekFrom::Start(place(at))).unwrap();
            file.write_all(&[byte[0] ^ 1 << bit]).unwrap();
        }
    }
}

/// Opens what is there, sends all that can be sent and gives the numbers of what was.
fn survivors(folder: TempDir) -> BTreeSet<usize> {
    let mut bench = Bench::new();
    bench.close();
    bench.folder = folder;
    bench.reopen();
    let mut seen = BTreeSet::new();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        assert!(Instant::now() < deadline, "it hangs");
        let claims = bench.runtime.block_on(bench.outbox().claim(CRM, 64));
        // While it is repaired, nothing can be claimed.
        let Ok(claims) = claims else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        if claims.requests.is_empty() && !bench.outbox().shared.damage_reported() {
            break;
        }
        let mut receipts = Vec::new();
        for claimed in claims.requests {
            let number = claimed.event_id[1..].parse().unwrap();
            assert_eq!(claimed.request, content(number), "what is sent is what was written");
            seen.insert(number);
            let delivered = Settlement::Delivered(attempt());
            receipts.push(bench.outbox().settle(&claimed, delivered));
        }
        for receipt in receipts {
            receipt.wait().unwrap();
        }
    }
    bench.append(one("after", "after"));
    assert_eq!(bench.claim(CRM, 9), [id("after")], "new ones are taken and sent");
    seen
}

#[test]
fn a_sound_file_needs_no_repair() {
    for carried_over in [false, true] {
        let seen = survivors(Sound::make(carried_over).copy());
        assert_eq!(seen.len(), REQUESTS);
    }
}

#[test]
fn every_page_may_be_zeroed_and_most_rows_survive() {
    let sound = Sound::make(true);
    let pages = fs::metadata(sound.folder.path().join("outbox.db")).unwrap().len() / 4_096;
    for page in (0..pages).step_by(1.max(pages as usize / 40)) {
        let folder = sound.copy();
        let path = folder.path().join("outbox.db");
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(page * 4_096)).unwrap();
        file.write_all(&[0; 4_096]).unwrap();
        let seen = survivors(folder).len();
        assert!(seen >= REQUESTS - 12, "page {page}: {seen} of {REQUESTS}");
    }
}

#[test]
fn a_schema_that_is_no_longer_text_is_repaired() {
    let folder = Sound::make(true).copy();
    let path = folder.path().join("outbox.db");
    let mut bytes = fs::read(&path).unwrap();
    let text = b"requests_due ON requests";
    let at = bytes.windows(text.len()).position(|found| found == text).unwrap();
    bytes[at] = 0xff;
    fs::write(&path, bytes).unwrap();
    assert_eq!(survivors(folder).len(), REQUESTS);
}

#[test]
fn a_damaged_file_is_set_aside_and_replaced() {
    let folder = Sound::make(true).copy();
    harm(&folder.path().join("outbox.db"), Harm::Zero { at: 0.5 });
    harm(&folder.path().join("outbox.db"), Harm::Zero { at: 0.0 });
    let mut bench = Bench::new();
    bench.close();
    bench.folder = folder;
    bench.reopen();
    assert_eq!(bench.metrics.outbox_repairs.get(), 1);
    let names: Vec<String> = fs::read_dir(bench.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().any(|name| name.starts_with("outbox.db.damaged-")), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("repair")), "{names:?}");
    assert!(bench.outbox().load_calls("pbx").unwrap().len() > REQUESTS * 9 / 10);
}

#[test]
fn a_gap_in_the_log_loses_at_most_what_is_in_it() {
    let folder = Sound::make(false).copy();
    let log = folder.path().join("outbox.db-wal");
    harm(&log, Harm::Flip { at: 0.3, bit: 3 });
    let seen = survivors(folder).len();
    assert!(seen >= REQUESTS - 12, "{seen} of {REQUESTS}");
}

#[test]
fn a_repair_that_was_interrupted_is_completed() {
    let folder = Sound::make(true).copy();
    let path = folder.path().join("outbox.db");
    fs::rename(&path, folder.path().join("outbox.db.repaired")).unwrap();
    fs::write(&path, [b'x'; 8_192]).unwrap();
    fs::write(folder.path().join("outbox.db.repairing"), b"half").unwrap();
    assert_eq!(survivors(folder).len(), REQUESTS);
}

#[test]
fn a_request_that_is_not_what_was_written_is_dead_and_holds_up_nobody() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    bench.append(one("e2", "a"));
    let stranger = file::connect_editor(&bench.path()).unwrap();
    stranger.execute("UPDATE requests SET url = 'http://evil.example/' WHERE seq = 1", []).unwrap();
    let mut claimed = Vec::new();
    wait_until(|| {
        // The first look finds it out.
        bench.claim(CRM, 9).contains(&id("e2"))
    });
    claimed.extend(bench.outbox().show(&id("e1")).unwrap());
    assert_eq!(claimed[0].row.state, DeliveryState::Dead);
    let reason = claimed[0].row.reason.clone().unwrap();
    assert!(reason.contains("damaged in the outbox: it is not what was written"), "{reason}");
}

#[test]
fn damage_found_while_it_runs_is_repaired_on_the_spot() {
    let bench = Bench::new();
    for number in 0..REQUESTS {
        drop(bench.outbox().append(full(number)));
    }
    bench.append(commit_of(vec![]));
    bench.outbox().shared.report_damage();
    wait_until(|| bench.metrics.outbox_repairs.get() == 1);
    bench.append(one("after", "after"));
    wait_until(|| !bench.outbox().shared.damage_reported());
    assert_eq!(bench.claim(CRM, usize::MAX).len(), REQUESTS / 3 + 1);
}

#[test]
fn a_state_that_does_not_exist_holds_up_no_lane() {
    for state in ["CAST(x'ff656869' AS TEXT)", "'cehind'"] {
        for settled in [true, false] {
            let bench = Bench::new();
            bench.append(commit_of(vec![request("e1", CRM, "a"), request("e2", CRM, "a")]));
            let stranger = file::connect_editor(&bench.path()).unwrap();
            let sql = format!("UPDATE requests SET state = {state} WHERE seq = 2");
            stranger.execute(&sql, []).unwrap();
            assert_eq!(bench.claim(CRM, 9), [id("e1")]);
            if settled {
                bench.complete(&id("e1"));
            } else {
                let which = Selection::Ids(vec![id("e1")]);
                bench.runtime.block_on(bench.outbox().bury(&which, "enough")).unwrap();
            }
            assert_eq!(bench.metrics.outbox_repairs.get(), 1, "{state}");
            wait_until(|| bench.claim(CRM, 9) == [id("e2")]);
        }
    }
}

#[test]
fn a_text_that_is_none_holds_up_nobody_else() {
    for column in ["id", "event_id", "lane", "method", "url", "headers", "tag", "base"] {
        let bench = Bench::new();
        bench.append(commit_of(vec![request("e1", CRM, "a"), request("e2", CRM, "b")]));
        let stranger = file::connect_editor(&bench.path()).unwrap();
        let sql = format!("UPDATE requests SET {column} = CAST(x'ff6c' AS TEXT) WHERE seq = 1");
        stranger.execute(&sql, []).unwrap();
        wait_until(|| {
            let claims = bench.runtime.block_on(bench.outbox().claim(CRM, 9));
            claims.is_ok_and(|claims| claims.requests.iter().any(|it| it.id == id("e2")))
        });
        bench.append(one("after", "c"));
        wait_until(|| {
            let sql = "SELECT state FROM requests WHERE seq = 1";
            stranger.query_row(sql, [], |row| row.get(0)) == Ok("dead".to_owned())
                || bench.metrics.outbox_repairs.get() == 1
        });
        assert_eq!(bench.claim(CRM, 9), [id("after")], "{column}");
    }
}

#[test]
fn what_cannot_be_read_of_calls_and_events_is_left_out() {
    let bench = Bench::new();
    for number in 0..3 {
        bench.append(full(number));
    }
    let stranger = file::connect_editor(&bench.path()).unwrap();
    let no_text = "CAST(x'ff6c' AS TEXT)";
    stranger.execute(&format!("UPDATE calls SET key = {no_text} WHERE key = 'e1'"), []).unwrap();
    for (column, event) in [("json", "e0"), ("kind", "e1")] {
        let sql = format!("UPDATE events SET {column} = {no_text} WHERE event_id = '{event}'");
        stranger.execute(&sql, []).unwrap();
    }
    let calls = bench.outbox().load_calls("pbx").unwrap();
    assert_eq!(calls.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["e0", "e2"]);
    let (from, until) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
    let events = bench.outbox().events(from, until, None, 9).unwrap();
    assert_eq!(events.iter().map(|event| &*event.event_id).collect::<Vec<_>>(), ["e2"]);
}

#[test]
fn what_waits_by_one_column_and_is_finished_by_another_is_not_sent_again_and_again() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    let stranger = file::connect_editor(&bench.path()).unwrap();
    stranger.execute("UPDATE requests SET finished = 0", []).unwrap();
    wait_until(|| bench.runtime.block_on(bench.outbox().claim(CRM, 9)).is_err());
    wait_until(|| bench.metrics.outbox_repairs.get() == 1);
    let every = crate::outbox::DeliveryFilter { limit: 9, ..Default::default() };
    wait_until(|| bench.outbox().list(&every).is_ok_and(|all| all[0].state == DeliveryState::Dead));
}

#[test]
fn damage_in_a_large_file_is_found_after_the_start() {
    let mut bench = Bench::new();
    let large = |number: usize| {
        let mut new = request(&format!("e{number}"), CRM, "a");
        new.request.body = vec![b'x'; 1 << 20];
        new
    };
    for number in 0..40 {
        bench.append(commit_of(vec![large(number)]));
    }
    bench.close();
    let mut bytes = fs::read(bench.path()).unwrap();
    let at = bytes.windows(6).rposition(|found| found == b"behind").unwrap();
    bytes[at] ^= 1;
    fs::write(bench.path(), bytes).unwrap();
    bench.reopen();
    wait_until(|| bench.metrics.outbox_repairs.get() == 1);
    wait_until(|| bench.runtime.block_on(bench.outbox().claim(CRM, 1)).is_ok());
}

#[test]
fn a_look_that_is_broken_off_finds_no_damage() {
    let sound = Sound::make(true);
    let path = sound.folder.path().join("outbox.db");
    let mut connection = file::connect_reader(&path).unwrap();
    for steps in [1, 7, 100] {
        connection.progress_handler(steps, Some(|| true)).unwrap();
        let error = file::look_through(&connection).unwrap_err();
        assert!(file::is_interrupted(&error) && !file::is_damage(&error), "{error:#}");
    }
}

#[test]
fn while_it_is_repaired_who_settles_goes_on_and_who_claims_waits() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    bench.append(one("e2", "a"));
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
    let repair = shared::Closed::new(&bench.outbox().shared).unwrap();
    bench.complete(&id("e1"));
    let shared = Arc::clone(&bench.outbox().shared);
    let claim = thread::spawn(move || shared.claim(CRM, 9));
    repair.reopen(file::connect_reader(&bench.path()).unwrap());
    let claims = claim.join().unwrap().unwrap();
    assert_eq!(claims.requests[0].id, id("e2"));
}

#[test]
fn no_damage_stops_it_or_makes_it_send_what_was_not_written() {
    let sound = [Sound::make(false), Sound::make(true)];
    let harms = proptest::collection::vec((harms(), any::<bool>()), 1..4);
    let config = ProptestConfig { max_shrink_iters: 0, ..ProptestConfig::with_cases(100) };
    let stands = |harms: Vec<(Harm, bool)>| {
        let folder = sound[usize::from(harms[0].1)].copy();
        for (what, in_log) in harms {
            let log = folder.path().join("outbox.db-wal");
            let path = if in_log && log.exists() { log } else { folder.path().join("outbox.db") };
            if fs::metadata(&path).unwrap().len() > 0 {
                harm(&path, what);
            }
        }
        survivors(folder);
        Ok(())
    };
    TestRunner::new(config).run(&harms, stands).unwrap();
}
