//! The outbox's promises, on real files.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use jiff::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::outbox::{Attempt, Class, FailedTransform, NewRequest, StoredEvent, request_id};
use crate::request::Request;

const CRM: &str = "crm";
const LONG: Duration = Duration::from_hours(1);

/// An outbox in a folder of its own, and a runtime to await its answers in.
struct Bench {
    folder: TempDir,
    outbox: Option<SqliteOutbox>,
    metrics: Metrics,
    runtime: tokio::runtime::Runtime,
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
        Self { folder, outbox: Some(outbox), metrics, runtime }
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
        self.runtime.block_on(self.outbox().claim(endpoint, max)).unwrap()
    }

    fn settle(&self, id: &str, settlement: Settlement) {
        let claimed = Claimed { id: id.to_owned(), ..some_claim() };
        self.outbox().settle(&claimed, settlement).wait().unwrap();
    }

    fn put_off(&self, id: &str, wait: Duration) {
        let (charged, aside) = (true, false);
        self.settle(id, Settlement::Later { attempt: attempt(), wait, charged, aside });
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

fn some_claim() -> Claimed {
    Claimed {
        id: String::new(),
        event_id: String::new(),
        lane: String::new(),
        sequence: 1,
        attempts: 0,
        failing_for: None,
        expired: false,
        lease: 0,
        request: Request::draft("https://crm.example/"),
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
    };
    let event = stored("e1");
    let failure = FailedTransform {
        event_id: "e1".to_owned(),
        endpoint: "other".to_owned(),
        plugin: "plain-get".to_owned(),
        kind: "trap".to_owned(),
        message: "unreachable".to_owned(),
    };
    bench.append(Commit {
        pbx: "pbx".to_owned(),
        calls: vec![("k1".to_owned(), Some(vec![7])), ("k2".to_owned(), Some(vec![8]))],
        events: vec![event],
        requests: vec![NewRequest { request: full.clone(), ..request("e1", CRM, "c1") }],
        failures: vec![failure],
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
    assert_eq!(bench.query::<String>("SELECT plugin FROM failed_transforms"), "plain-get");
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
    bench.put_off(&id("a1"), Duration::ZERO);
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
    let kept = bench.query::<String>("SELECT group_concat(number) FROM attempts");
    assert_eq!(kept, "3,4,5,6,7");
    assert_eq!(bench.claims(CRM, 1).requests[0].attempts, 7);
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
    let mut connection = file::connect(path).unwrap();
    schema::migrate(&mut connection).unwrap();
    let ballast = "CREATE TABLE ballast (x); INSERT INTO ballast VALUES (zeroblob(2000000))";
    connection.execute_batch(ballast).unwrap();
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages + 8).unwrap();
    let reader = file::connect_reader(path).unwrap();
    SqliteOutbox::start(connection, reader, lock, Clock::system(), metrics.clone()).unwrap()
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
        .query_row(&format!("EXPLAIN QUERY PLAN {}", schema::PENDING), [], |row| row.get(3))
        .unwrap();
    assert!(plan.contains("USING COVERING INDEX requests_lane"), "{plan}");
}

/// What can be done to an outbox.
#[derive(Clone, Debug)]
enum Step {
    Append { lane: u8, requests: u8 },
    Claim(usize),
    Complete(usize),
    Reschedule { which: usize, due: bool },
    Bury(usize),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8, 1..3_u8).prop_map(|(lane, requests)| Step::Append { lane, requests }),
        4 => (0..4_usize).prop_map(Step::Claim),
        3 => any::<usize>().prop_map(Step::Complete),
        2 => (any::<usize>(), any::<bool>())
            .prop_map(|(which, due)| Step::Reschedule { which, due }),
        1 => any::<usize>().prop_map(Step::Bury),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..60)
}

/// The same in memory: lanes of waiting requests, each with whether it is due.
#[derive(Debug, Default)]
struct Model {
    lanes: Vec<VecDeque<(String, bool)>>,
    claimed: Vec<String>,
    made: u32,
}

impl Model {
    fn claimable(&self) -> Vec<String> {
        let heads = self.lanes.iter().filter_map(VecDeque::front);
        let due = heads.filter(|(id, due)| *due && !self.claimed.contains(id));
        due.map(|(id, _)| id.clone()).collect()
    }

    /// Removes one of the claimed from the claims.
    fn settle(&mut self, which: usize) -> Option<String> {
        if self.claimed.is_empty() {
            return None;
        }
        let which = which % self.claimed.len();
        Some(self.claimed.swap_remove(which))
    }

    fn lane_of(&mut self, id: &str) -> &mut VecDeque<(String, bool)> {
        let led =
            |lane: &&mut VecDeque<(String, bool)>| lane.front().is_some_and(|(head, _)| head == id);
        self.lanes.iter_mut().find(led).unwrap()
    }
}

fn take(bench: &mut Bench, model: &mut Model, step: &Step) {
    match *step {
        Step::Append { lane, requests } => {
            model.made += 1;
            let event = format!("e{}", model.made);
            let new: Vec<NewRequest> = (0..u32::from(requests))
                .map(|index| NewRequest { index, ..request(&event, CRM, &lane.to_string()) })
                .collect();
            let ids = new.iter().map(|request| (request.id(), true));
            model.lanes[usize::from(lane)].extend(ids);
            bench.append(commit_of(new));
        }
        Step::Claim(max) => {
            let claimable = model.claimable();
            let claimed = bench.claim(CRM, max);
            assert_eq!(claimed.len(), claimable.len().min(max));
            assert!(claimed.iter().all(|id| claimable.contains(id)), "{claimed:?}");
            model.claimed.extend(claimed);
        }
        Step::Complete(which) => {
            if let Some(id) = model.settle(which) {
                model.lane_of(&id).pop_front();
                bench.complete(&id);
            }
        }
        Step::Reschedule { which, due } => {
            if let Some(id) = model.settle(which) {
                model.lane_of(&id)[0].1 = due;
                let wait = if due { Duration::ZERO } else { LONG };
                bench.put_off(&id, wait);
            }
        }
        Step::Bury(which) => {
            if let Some(id) = model.settle(which) {
                model.lane_of(&id).pop_front();
                bench.bury(&id, "reason");
            }
        }
        Step::Reopen => {
            model.claimed.clear();
            bench.reopen();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_behaves_as_lanes_in_memory_do(steps in steps()) {
        let mut bench = Bench::new();
        let mut model = Model { lanes: vec![VecDeque::new(); 4], ..Model::default() };
        for step in &steps {
            take(&mut bench, &mut model, step);
            let waiting: usize = model.lanes.iter().map(VecDeque::len).sum();
            prop_assert_eq!(bench.metrics.outbox_pending.get(), i64::try_from(waiting).unwrap());
        }
        bench.reopen();
        model.claimed.clear();
        let mut left = bench.claim(CRM, usize::MAX);
        left.sort();
        let mut expected = model.claimable();
        expected.sort();
        prop_assert_eq!(left, expected);
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
