//! The outbox's promises, on real files.

mod damage;
mod faults;
mod model;
mod operator;
mod replies;
mod scale;
mod stock;
mod turns;
mod versions;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::outbox::{
    Attempt, Charge, Class, DeliveryState, FailedTransform, NewRequest, request_id,
};
use crate::request::Request;

const CRM: &str = "crm";
const LONG: Duration = Duration::from_hours(1);

/// An outbox in a folder of its own, and a runtime to await its answers in.
struct Bench {
    folder: TempDir,
    outbox: Option<SqliteOutbox>,
    metrics: Metrics,
    runtime: tokio::runtime::Runtime,
    /// What was claimed last under each id.
    held: RefCell<HashMap<String, Claimed>>,
}

impl Bench {
    fn new() -> Self {
        Self::at(Clock::system())
    }

    fn at(clock: Clock) -> Self {
        let folder = TempDir::new().unwrap();
        let metrics = Metrics::default();
        let path = folder.path().join("outbox.db");
        let outbox = SqliteOutbox::open(&path, clock, metrics.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { folder, outbox: Some(outbox), metrics, runtime, held: RefCell::default() }
    }

    fn outbox(&self) -> &SqliteOutbox {
        self.outbox.as_ref().unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("outbox.db")
    }

    fn close(&mut self) {
        self.outbox = None;
    }

    fn reopen_at(&mut self, clock: Clock) {
        self.close();
        let outbox = SqliteOutbox::open(&self.path(), clock, self.metrics.clone()).unwrap();
        self.outbox = Some(outbox);
    }

    fn reopen(&mut self) {
        self.reopen_at(Clock::system());
    }

    fn append(&self, commit: Commit) {
        self.outbox().append(commit).wait().unwrap();
    }

    fn claim(&self, endpoint: &str, max: usize) -> Vec<String> {
        self.claims(endpoint, max).requests.into_iter().map(|claimed| claimed.id).collect()
    }

    fn claims(&self, endpoint: &str, max: usize) -> Claims {
        let claims = self.runtime.block_on(self.outbox().claim(endpoint, max)).unwrap();
        let held = claims.requests.iter().map(|claimed| (claimed.id.clone(), claimed.clone()));
        self.held.borrow_mut().extend(held);
        claims
    }

    /// Settles the last claim of this request.
    fn settle(&self, id: &str, settlement: Settlement) {
        let claimed = self.held.borrow().get(id).cloned().unwrap();
        self.outbox().settle(&claimed, settlement).wait().unwrap();
    }

    fn retry(&self, id: &str) -> u64 {
        let which = Selection::Ids(vec![id.to_owned()]);
        self.runtime.block_on(self.outbox().retry(&which)).unwrap()
    }

    fn put_off(&self, id: &str, wait: Duration) {
        let (charge, aside) = (Charge::Attempt, None);
        self.settle(id, Settlement::Later { attempt: attempt(), wait, charge, aside });
    }

    fn bury(&self, id: &str, reason: &str) {
        self.settle(id, Settlement::Dead { attempt: attempt(), reason: reason.to_owned() });
    }

    fn complete(&self, id: &str) {
        self.settle(id, Settlement::Delivered(attempt()));
    }

    fn query<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        let reader = file::connect_reader(&self.path()).unwrap();
        reader.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn attempt() -> Attempt {
    Attempt {
        at: Timestamp::from_second(1_700_000_000).unwrap(),
        took: Duration::from_millis(12),
        status: Some(200),
        error: None,
        reply: b"ok".to_vec(),
        truncated: false,
    }
}

fn request(event: &str, endpoint: &str, lane: &str) -> NewRequest {
    NewRequest {
        event_id: event.to_owned(),
        endpoint: endpoint.to_owned(),
        index: 0,
        lane: lane.to_owned(),
        sequence: 1,
        generation: 0,
        expires_in: None,
        class: Class::Core,
        base: "http://crm.example/".to_owned(),
        request: Request::draft("http://crm.example/"),
    }
}

fn commit_of(requests: Vec<NewRequest>) -> Commit {
    Commit { pbx: "pbx".to_owned(), requests, ..Commit::default() }
}

fn one(event: &str, lane: &str) -> Commit {
    commit_of(vec![request(event, CRM, lane)])
}

fn stored(event: &str) -> StoredEvent {
    StoredEvent {
        event_id: event.to_owned(),
        pbx: "pbx".to_owned(),
        chain: "c1".to_owned(),
        kind: "start".to_owned(),
        json: "{}".to_owned(),
    }
}

fn id(event: &str) -> String {
    request_id(event, CRM, 0, 0)
}

#[test]
fn everything_of_a_commit_survives_a_reopening() {
    let mut bench = Bench::new();
    let full = Request {
        method: "POST".to_owned(),
        url: "https://crm.example/calls?n=1".to_owned(),
        headers: vec![("x-a".to_owned(), "č".to_owned()), ("x-a".to_owned(), "2".to_owned())],
        body: vec![0, 255, 10],
        tag: Some("t".to_owned()),
        state: vec![1, 2],
        delay_ms: 0,
        lasting: None,
    };
    let event = stored("e1");
    let failure = FailedTransform {
        event_id: "e1".to_owned(),
        endpoint: "other".to_owned(),
        plugin: "plain-get".to_owned(),
        kind: "trap".to_owned(),
        message: "unreachable".to_owned(),
        details: "The plugin wrote:\nno such user".to_owned(),
    };
    bench.append(Commit {
        pbx: "pbx".to_owned(),
        calls: vec![("k1".to_owned(), Some(vec![7])), ("k2".to_owned(), Some(vec![8]))],
        events: vec![event],
        requests: vec![NewRequest { request: full.clone(), ..request("e1", CRM, "c1") }],
        failures: vec![failure],
        ..Commit::default()
    });
    bench.append(Commit {
        pbx: "pbx".to_owned(),
        calls: vec![("k1".to_owned(), None), ("k2".to_owned(), Some(vec![9]))],
        ..Commit::default()
    });
    bench.reopen();
    assert_eq!(bench.outbox().load_calls("pbx").unwrap(), [("k2".to_owned(), vec![9])]);
    assert_eq!(bench.outbox().load_calls("another").unwrap(), []);
    let claims = bench.claims(CRM, 9);
    assert_eq!(claims.requests.len(), 1);
    assert_eq!(claims.requests[0].request, full);
    assert_eq!(claims.requests[0].attempts, 0);
    assert_eq!(bench.query::<String>("SELECT kind FROM events"), "start");
    let letter = bench.outbox().show("e1:other").unwrap().unwrap();
    assert_eq!(letter.row.reason.as_deref(), Some("plugin plain-get, trap: unreachable"));
    assert_eq!(letter.details, "The plugin wrote:\nno such user");
}

#[test]
fn what_a_receipt_stands_for_is_in_the_file_that_a_crash_leaves() {
    let bench = Bench::new();
    for number in 0..50 {
        bench.append(one(&format!("e{number}"), "lane"));
    }
    let image = TempDir::new().unwrap();
    for name in ["outbox.db", "outbox.db-wal"] {
        fs::copy(bench.folder.path().join(name), image.path().join(name)).unwrap();
    }
    let path = image.path().join("outbox.db");
    let copy = SqliteOutbox::open(&path, Clock::system(), Metrics::default()).unwrap();
    let order: Vec<String> = {
        let reader = file::connect_reader(&path).unwrap();
        let mut rows = reader.prepare("SELECT event_id FROM requests ORDER BY seq").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let expected: Vec<String> = (0..50).map(|number| format!("e{number}")).collect();
    assert_eq!(order, expected);
    assert_eq!(copy.shared.metrics.outbox_pending.get(), 50);
}

#[test]
fn what_is_queued_when_the_outbox_is_dropped_is_written() {
    let mut bench = Bench::new();
    let receipts: Vec<Receipt> =
        (0..300).map(|n| bench.outbox().append(one(&format!("e{n}"), "lane"))).collect();
    bench.close();
    for receipt in receipts {
        receipt.wait().unwrap();
    }
    assert_eq!(bench.query::<i64>("SELECT count(*) FROM requests"), 300);
}

#[test]
fn closing_leaves_one_file_and_the_lock() {
    let mut bench = Bench::new();
    bench.append(one("e1", "a"));
    bench.close();
    let entries = fs::read_dir(bench.folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["outbox.db", "outbox.db.lock"]);
}

#[test]
fn a_lane_has_one_turn_at_a_time_and_other_lanes_pass() {
    let bench = Bench::new();
    for (event, lane) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")] {
        bench.append(one(event, lane));
    }
    assert_eq!(bench.claim(CRM, 9), [id("a1"), id("b1")]);
    assert_eq!(bench.claim(CRM, 9), [""; 0], "claimed ones are not handed out twice");
    bench.put_off(&id("a1"), LONG);
    let claims = bench.claims(CRM, 9);
    assert!(claims.requests.is_empty(), "the lane waits with its head");
    assert!(claims.next_in.is_some_and(|wait| wait <= LONG && wait > LONG / 2));
    assert_eq!(bench.retry(&id("a1")), 1);
    assert_eq!(bench.claim(CRM, 9), [id("a1")]);
    bench.bury(&id("a1"), "never again");
    assert_eq!(bench.claim(CRM, 9), [id("a2")]);
    bench.complete(&id("a2"));
    assert_eq!(bench.claim(CRM, 9), [id("a3")]);
    assert_eq!(bench.metrics.outbox_pending.get(), 2);
}

#[test]
fn a_delayed_request_is_not_due_before() {
    let bench = Bench::new();
    let mut commit = one("e1", "a");
    commit.requests[0].request.delay_ms = 3_600_000;
    bench.append(commit);
    let claims = bench.claims(CRM, 9);
    assert!(claims.requests.is_empty());
    assert!(claims.next_in.is_some_and(|wait| wait <= LONG && wait > LONG / 2));
}

#[test]
fn what_is_made_again_collapses_onto_the_first() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    let mut again = one("e1", "a");
    again.requests[0].request.url = "http://elsewhere.example/".to_owned();
    bench.append(again.clone());
    assert_eq!(bench.claims(CRM, 9).requests[0].request.url, "http://crm.example/");
    bench.complete(&id("e1"));
    bench.append(again);
    assert_eq!(bench.claim(CRM, 9), [""; 0], "not even once it is delivered");
    assert_eq!(bench.metrics.outbox_collapsed.get(), 2);
    assert_eq!(bench.metrics.outbox_pending.get(), 0);
}

#[test]
fn the_last_five_attempts_are_kept() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    for _ in 0..7 {
        assert_eq!(bench.claim(CRM, 1), [id("e1")]);
        bench.put_off(&id("e1"), Duration::ZERO);
    }
    let kept = bench.query::<String>("SELECT group_concat(place & 65535) FROM attempts");
    assert_eq!(kept, "3,4,5,6,7", "the last ones");
    assert_eq!(bench.claims(CRM, 1).requests[0].attempts, 7);
}

#[test]
fn attempts_without_end_stay_with_their_request() {
    let bench = Bench::new();
    bench.append(commit_of(vec![request("e1", CRM, "a"), request("e2", CRM, "b")]));
    let last = attempts::place(1, i64::MAX);
    let sql = "INSERT INTO attempts VALUES (?1, 1, 1, 500, NULL, x'', 0)";
    file::connect(&bench.path()).unwrap().execute(sql, [last]).unwrap();
    for event in ["e1", "e2"] {
        assert_eq!(bench.claim(CRM, 1), [id(event)]);
        bench.put_off(&id(event), Duration::from_mins(1));
    }
    let kept = bench.query::<String>("SELECT group_concat(place) FROM attempts");
    assert_eq!(kept, format!("{last},{}", attempts::place(2, 1)));
    assert_ne!(bench.query::<i64>("SELECT status FROM attempts WHERE place >> 16 = 1"), 500);
}

#[test]
fn a_request_with_an_absurd_number_is_sent_like_any_other() {
    for seq in [i64::MAX - 1, 1 << 47, i64::MIN, -1] {
        let bench = Bench::new();
        bench.append(one("e1", "a"));
        let stranger = file::connect_editor(&bench.path()).unwrap();
        stranger.execute("UPDATE requests SET seq = ?1", [seq]).unwrap();
        for _ in 0..7 {
            wait_until(|| bench.claim(CRM, 1) == [id("e1")]);
            bench.put_off(&id("e1"), Duration::ZERO);
        }
        assert_eq!(bench.outbox().show(&id("e1")).unwrap().unwrap().attempts.len(), 5, "{seq}");
    }
}

#[test]
fn a_change_wakes_the_endpoint_that_it_is_for() {
    let bench = Bench::new();
    let crm = bench.outbox().changed(CRM);
    let other = bench.outbox().changed("other");
    bench.append(one("e1", "a"));
    bench.runtime.block_on(crm.notified());
    let idle = async {
        tokio::select! {
            biased;
            () = other.notified() => false,
            () = std::future::ready(()) => true,
        }
    };
    assert!(bench.runtime.block_on(idle));
}

#[test]
fn a_second_service_is_refused_and_readers_are_not() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    let error = SqliteOutbox::open(&bench.path(), Clock::system(), Metrics::default()).unwrap_err();
    assert!(format!("{error:#}").contains("another service uses it"), "{error:#}");
    assert_eq!(bench.query::<i64>("SELECT count(*) FROM requests"), 1);
}

#[test]
fn only_the_owner_can_read_the_files() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    for entry in fs::read_dir(bench.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

fn refusal(prepare: impl FnOnce(&std::path::Path)) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("outbox.db");
    prepare(&path);
    let opened = SqliteOutbox::open(&path, Clock::system(), Metrics::default());
    let said = format!("{:#}", opened.unwrap_err());
    assert!(said.contains(&path.display().to_string()), "the file is named: {said}");
    said
}

#[test]
fn a_newer_schema_is_refused() {
    let said = refusal(|path| {
        drop(SqliteOutbox::open(path, Clock::system(), Metrics::default()).unwrap());
        let connection = file::connect(path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
    });
    assert!(said.contains("a newer service wrote it (its schema is 99"), "{said}");
}

#[test]
fn a_file_that_is_no_outbox_is_refused() {
    let garbage = refusal(|path| fs::write(path, [b'x'; 8192]).unwrap());
    assert!(garbage.contains("the file is damaged or no outbox"), "{garbage}");
    let stranger = refusal(|path| {
        file::connect(path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    });
    assert!(stranger.contains("a database, but no outbox"), "{stranger}");
}

#[test]
fn a_missing_folder_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("missing").join("outbox.db");
    let error = SqliteOutbox::open(&path, Clock::system(), Metrics::default()).unwrap_err();
    let shown = folder.path().join("missing");
    assert!(
        format!("{error:#}").contains(&format!("the folder {} does not exist", shown.display())),
        "{error:#}"
    );
}

#[test]
fn a_clock_set_back_between_runs_stalls_nothing() {
    let mut bench = Bench::at(Clock::with_stopped_wall("2030-01-01T00:00:00Z".parse().unwrap()));
    bench.append(one("e1", "a"));
    bench.append(one("e2", "b"));
    assert_eq!(bench.claim(CRM, 1), [id("e1")]);
    bench.put_off(&id("e1"), LONG);
    bench.reopen_at(Clock::with_stopped_wall("1970-01-01T00:00:10Z".parse().unwrap()));
    let claims = bench.claims(CRM, 9);
    assert_eq!(claims.requests.len(), 1, "what was due still is");
    assert!(claims.next_in.is_some_and(|wait| wait <= LONG && wait > LONG / 2));
}

#[test]
fn the_log_is_carried_over_when_nothing_else_is_to_do() {
    let bench = Bench::new();
    for number in 0..8 {
        bench.append(big(&format!("e{number}"), "a"));
    }
    wait_until(|| fs::metadata(bench.path()).unwrap().len() > 4 << 20);
}

/// An outbox whose file may not grow, and which has a megabyte in it that can be freed.
fn cramped(path: &Path, metrics: &Metrics) -> SqliteOutbox {
    let lock = file::lock(path).unwrap();
    let opened = file::open(path).unwrap();
    let connection = &opened.connection;
    let ballast = "CREATE TABLE ballast (x); INSERT INTO ballast VALUES (zeroblob(2000000))";
    connection.execute_batch(ballast).unwrap();
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages + 8).unwrap();
    SqliteOutbox::start(path, opened, lock, Clock::system(), metrics.clone()).unwrap()
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        thread::sleep(Duration::from_millis(2));
    }
}

fn big(event: &str, lane: &str) -> Commit {
    let mut commit = one(event, lane);
    commit.requests[0].request.body = vec![7; 1 << 20];
    commit
}

#[test]
fn a_full_disk_delays_commits_and_loses_none() {
    let mut bench = Bench::new();
    bench.close();
    let outbox = cramped(&bench.path(), &bench.metrics);
    outbox.append(one("e0", "a")).wait().unwrap();
    let stuck = outbox.append(big("e1", "b"));
    wait_until(|| !outbox.is_writable());
    let behind = outbox.append(one("e2", "c"));
    assert_eq!(bench.metrics.outbox_writable.get(), 0);
    assert_eq!(bench.query::<i64>("SELECT count(*) FROM requests"), 1);

    file::connect(&bench.path()).unwrap().execute_batch("DROP TABLE ballast").unwrap();
    stuck.wait().unwrap();
    behind.wait().unwrap();
    assert!(outbox.is_writable());
    assert_eq!(bench.metrics.outbox_writable.get(), 1);
    assert_eq!(bench.query::<String>("SELECT group_concat(event_id) FROM requests"), "e0,e1,e2");
}

#[test]
fn closing_on_a_full_disk_ends_and_admits_what_is_lost() {
    let mut bench = Bench::new();
    bench.close();
    let outbox = cramped(&bench.path(), &bench.metrics);
    let stuck = outbox.append(big("e1", "b"));
    wait_until(|| !outbox.is_writable());
    drop(outbox);
    let error = stuck.wait().unwrap_err();
    assert_eq!(error.to_string(), "the outbox was closed before this was on disk");
}

#[test]
fn who_appends_to_a_full_queue_waits() {
    let mut bench = Bench::new();
    bench.close();
    let outbox = Arc::new(cramped(&bench.path(), &bench.metrics));
    let stuck = outbox.append(big("e", "b"));
    wait_until(|| !outbox.is_writable());
    let appended = Arc::new(AtomicUsize::new(0));
    let appender = thread::spawn({
        let (outbox, appended) = (Arc::clone(&outbox), Arc::clone(&appended));
        move || {
            for number in 0..3_000 {
                drop(outbox.append(one(&format!("e{number}"), "a")));
                appended.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    wait_until(|| appended.load(Ordering::Relaxed) == 1_024);
    file::connect(&bench.path()).unwrap().execute_batch("DROP TABLE ballast").unwrap();
    stuck.wait().unwrap();
    appender.join().unwrap();
    assert_eq!(appended.load(Ordering::Relaxed), 3_000);
}

#[test]
fn opening_a_large_backlog_reads_one_index_only() {
    let bench = Bench::new();
    let reader = file::connect_reader(&bench.path()).unwrap();
    let plan: String = reader
        .query_row(&format!("EXPLAIN QUERY PLAN {}", progress::COUNT), [], |row| row.get(3))
        .unwrap();
    assert!(plan.contains("USING COVERING INDEX requests_lane"), "{plan}");
}

#[test]
fn a_backlog_is_counted_only_if_nobody_has_noted_it() {
    let mut bench = Bench::new();
    bench.append(commit_of(vec![request("e1", CRM, "a"), request("e2", CRM, "b")]));
    assert_eq!(bench.claim(CRM, 1), [id("e1")]);
    bench.complete(&id("e1"));
    let noted = || bench.query::<String>("SELECT value FROM kept WHERE name = 'outbox:progress'");
    let numbers: Vec<i64> = noted().split(' ').map(|number| number.parse().unwrap()).collect();
    let commits = bench.query::<i64>("SELECT commits FROM progress");
    assert_eq!((numbers[0], numbers[1]), (commits, 1), "{numbers:?}");
    bench.close();
    for (note, pending) in [
        (format!("{commits} 7 0 1 0"), 7),
        (format!("{} 7 0 1 0", commits - 1), 1),
        (format!("{commits} 7 0 1"), 1),
        ("nonsense".to_owned(), 1),
    ] {
        file::connect_editor(&bench.path())
            .unwrap()
            .execute("UPDATE kept SET value = ?1 WHERE name = ?2", [&note, progress::NAME])
            .unwrap();
        bench.reopen();
        assert_eq!(bench.metrics.outbox_pending.get(), pending, "{note}");
        bench.close();
    }
}

#[test]
fn what_was_finished_long_ago_is_removed_and_nothing_else() {
    let mut bench = Bench::at(Clock::with_stopped_wall("2026-01-01T00:00:00Z".parse().unwrap()));
    for event in ["old", "waiting"] {
        bench.append(Commit { events: vec![stored(event)], ..one(event, event) });
    }
    assert_eq!(bench.claim(CRM, 1), [id("old")]);
    bench.complete(&id("old"));
    bench.reopen_at(Clock::with_stopped_wall("2026-02-15T00:00:00Z".parse().unwrap()));
    bench.append(Commit { events: vec![stored("new")], ..one("new", "new") });
    assert_eq!(bench.claim(CRM, 1), [id("waiting")]);
    bench.complete(&id("waiting"));

    bench.outbox().prune(Duration::from_hours(24 * 30)).wait().unwrap();

    let kept = |sql: &str| -> Vec<String> {
        let database = Connection::open(bench.path()).unwrap();
        let mut rows = database.prepare(sql).unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(kept("SELECT id FROM requests ORDER BY seq"), [id("waiting"), id("new")]);
    assert_eq!(kept("SELECT event_id FROM events ORDER BY rowid"), ["waiting", "new"]);
    let attempts = kept("SELECT CAST(count(*) AS TEXT) FROM attempts");
    assert_eq!(attempts, ["1"], "the one at the request that is kept");
}

#[test]
fn what_was_set_aside_holds_up_nobody_and_is_held_up_by_nobody() {
    let bench = Bench::new();
    for event in ["a1", "a2", "a3"] {
        bench.append(one(event, "a"));
    }
    assert_eq!(bench.claim(CRM, 9), [id("a1")]);
    let (wait, charge, aside) = (Duration::ZERO, Charge::Attempt, Some(Duration::ZERO));
    bench.settle(&id("a1"), Settlement::Later { attempt: attempt(), wait, charge, aside });
    let mut both = bench.claim(CRM, 9);
    both.sort();
    assert_eq!(both, [id("a1"), id("a2")]);
    bench.complete(&id("a1"));
    assert_eq!(bench.claim(CRM, 9), [""; 0], "a3 waits for a2 and not for a1");
    bench.complete(&id("a2"));
    assert_eq!(bench.claim(CRM, 9), [id("a3")]);
}

#[test]
fn what_was_given_back_is_charged_nothing() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    bench.append(one("e2", "a"));
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
    bench.settle(&id("e1"), Settlement::GivenBack(Duration::ZERO));
    let claims = bench.claims(CRM, 9);
    assert_eq!(claims.requests.len(), 1);
    assert_eq!((claims.requests[0].attempts, claims.requests[0].failing_for), (0, None));
    assert_eq!(bench.query::<i64>("SELECT count(*) FROM attempts"), 0);
    assert_eq!(bench.metrics.outbox_pending.get(), 2);
}

#[test]
fn an_uncharged_failure_is_recorded_and_costs_no_turn() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    for _ in 0..2 {
        assert_eq!(bench.claim(CRM, 9), [id("e1")]);
        let (wait, charge, aside) = (Duration::ZERO, Charge::Nothing, None);
        bench.settle(&id("e1"), Settlement::Later { attempt: attempt(), wait, charge, aside });
    }
    let claims = bench.claims(CRM, 9);
    assert_eq!(claims.requests[0].attempts, 0);
    assert_eq!(claims.requests[0].failing_for, None);
    assert_eq!(bench.query::<i64>("SELECT count(*) FROM attempts"), 2);
}

#[test]
fn a_lease_that_ran_out_settles_nothing() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    let first = bench.claims(CRM, 1).requests.remove(0);
    bench.settle(&id("e1"), Settlement::GivenBack(Duration::ZERO));
    let second = bench.claims(CRM, 1).requests.remove(0);
    assert_ne!(first.lease, second.lease);
    bench.outbox().settle(&first, Settlement::Delivered(attempt())).wait().unwrap();
    assert_eq!(bench.query::<String>("SELECT state FROM requests"), "waiting");
    let twice = [(); 2].map(|()| bench.outbox().settle(&second, Settlement::Delivered(attempt())));
    for receipt in twice {
        receipt.wait().unwrap();
    }
    assert_eq!(bench.query::<i64>("SELECT attempts FROM requests"), 1, "and not even twice");
}

#[test]
fn a_claim_from_before_a_restart_settles_nothing() {
    let mut bench = Bench::new();
    bench.append(one("e1", "a"));
    assert_eq!(bench.claim(CRM, 1), [id("e1")]);
    bench.reopen();
    bench.complete(&id("e1"));
    assert_eq!(bench.claim(CRM, 1), [id("e1")]);
}

fn passing(event: &str, lane: &str, expires_in: Duration) -> Commit {
    let expires_in = Some(expires_in);
    commit_of(vec![NewRequest { expires_in, ..request(event, CRM, lane) }])
}

#[test]
fn what_expires_unclaimed_or_behind_others_is_swept_and_what_is_claimed_is_not() {
    let bench = Bench::new();
    // Whoever claims sees it, unless the sweep was faster.
    bench.append(one("head", "a"));
    assert_eq!(bench.claim(CRM, 9), [id("head")]);
    bench.append(passing("behind", "a", Duration::ZERO));
    let mut elsewhere = passing("unclaimed", "b", Duration::ZERO);
    elsewhere.requests[0].endpoint = "nobody claims".to_owned();
    bench.append(elsewhere);
    wait_until(|| bench.metrics.outbox_pending.get() == 1);
    assert_eq!(bench.query::<i64>("SELECT count(*) FROM requests WHERE state = 'expired'"), 2);
    bench.complete(&id("head"));
    assert_eq!(bench.claim(CRM, 9), [""; 0]);
}

#[test]
fn a_claimed_request_expires_in_the_hands_of_who_has_it() {
    let bench = Bench::new();
    bench.append(passing("e1", "a", Duration::from_millis(40)));
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
    bench.append(passing("e2", "b", Duration::ZERO));
    wait_until(|| bench.metrics.outbox_pending.get() == 1);
    assert_eq!(
        bench.query::<String>("SELECT state FROM requests WHERE event_id = 'e1'"),
        "waiting"
    );
    bench.settle(&id("e1"), Settlement::Expired);
    assert_eq!(
        bench.query::<String>("SELECT state FROM requests WHERE event_id = 'e1'"),
        "expired"
    );
    assert_eq!(bench.metrics.outbox_pending.get(), 0);
}

#[test]
fn live_requests_get_their_share_while_a_backlog_drains() {
    let bench = Bench::new();
    for number in 0..40 {
        bench.append(one(&format!("old{number}"), &format!("old{number}")));
    }
    thread::sleep(Duration::from_millis(2));
    bench.append(one("live", "live"));
    let mut claimed = Vec::new();
    for _ in 0..4 {
        claimed.extend(bench.claim(CRM, 1));
    }
    assert!(claimed.contains(&id("live")), "{claimed:?}");
    assert!(claimed.contains(&id("old0")), "{claimed:?}");
}

#[test]
fn a_replay_has_ids_of_its_own() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    assert_eq!(bench.outbox().next_generation("e1", CRM).unwrap(), 1);
    let again =
        |generation| commit_of(vec![NewRequest { generation, ..request("e1", CRM, "replays") }]);
    bench.append(again(1));
    bench.append(again(1));
    assert_eq!(bench.outbox().next_generation("e1", CRM).unwrap(), 2);
    assert_eq!(bench.outbox().next_generation("e1", "other").unwrap(), 1);
    let mut claimed = bench.claim(CRM, 9);
    claimed.sort();
    assert_eq!(claimed, [id("e1"), request_id("e1", CRM, 0, 1)]);
}

#[test]
fn clocks_that_jump_between_runs_neither_stall_nor_hurry_what_waits() {
    let walls = [
        "1970-01-01T00:00:10Z",
        "2026-03-29T01:59:59Z",
        "2026-03-29T03:05:00Z",
        "2026-03-29T00:50:00Z",
        "2038-01-19T03:14:08Z",
        "2106-02-07T06:28:16Z",
    ];
    for first in walls {
        for then in walls {
            let mut bench = Bench::at(Clock::with_stopped_wall(first.parse().unwrap()));
            bench.append(one("now", "a"));
            bench.append(one("later", "b"));
            bench.claim(CRM, 9);
            bench.put_off(&id("later"), LONG);
            bench.reopen_at(Clock::with_stopped_wall(then.parse().unwrap()));
            let claims = bench.claims(CRM, 9);
            let all_due = claims.requests.len() == 2;
            let forward = then.parse::<Timestamp>().unwrap() - first.parse::<Timestamp>().unwrap();
            let passed = forward.total(jiff::Unit::Hour).unwrap() > 1.0;
            assert_eq!(all_due, passed, "{first} {then}");
            assert!(claims.next_in.is_none_or(|wait| wait <= LONG), "{first} {then}");
        }
    }
}

#[test]
fn a_file_that_everybody_may_read_becomes_its_owners_alone() {
    let mut bench = Bench::new();
    bench.append(one("e1", "a"));
    bench.close();
    let mode = |mode: Option<u32>| {
        let path = bench.path();
        if let Some(mode) = mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::metadata(&path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(None), 0o600);
    for (before, after) in [(0o644, 0o600), (0o666, 0o600), (0o640, 0o640)] {
        mode(Some(before));
        let outbox =
            SqliteOutbox::open(&bench.path(), Clock::system(), Metrics::default()).unwrap();
        let log = fs::metadata(file::beside(&bench.path(), "-wal")).unwrap().permissions().mode();
        assert_eq!((mode(None), log & 0o777), (after, after), "{before:o}");
        drop(outbox);
    }
}

#[test]
fn the_database_of_another_program_is_seen_without_being_touched() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("contacts.db");
    let theirs = Connection::open(&path).unwrap();
    theirs.execute_batch("CREATE TABLE contacts (name)").unwrap();
    drop(theirs);
    let before = fs::read(&path).unwrap();
    let told = may_be_at(&path).unwrap_err();
    assert!(told.ends_with("is the database of another program; name another file"), "{told}");
    assert_eq!(fs::read(&path).unwrap(), before);
    let empty = folder.path().join("empty.db");
    Connection::open(&empty).unwrap().execute_batch("PRAGMA journal_mode = WAL").unwrap();
    assert_eq!(may_be_at(&empty), Ok(()));
}

#[test]
fn a_damaged_outbox_may_stay_where_it_is() {
    let mut bench = Bench::new();
    bench.append(one("e1", "a"));
    assert_eq!(may_be_at(&bench.path()), Ok(()));
    bench.close();
    let mut bytes = fs::read(bench.path()).unwrap();
    bytes[..16].fill(b'?');
    fs::write(bench.path(), &bytes).unwrap();
    assert_eq!(may_be_at(&bench.path()), Ok(()), "it is repaired at the start");
    fs::remove_file(file::beside(&bench.path(), ".lock")).unwrap();
    let told = may_be_at(&bench.path()).unwrap_err();
    assert!(told.ends_with("outbox.db is no SQLite database; name another file"), "{told}");
}
