//! A long backlog: the plans that keep it quick, and how it leaves.

use rusqlite::StatementStatus;
use rusqlite::types::Null;

use super::super::stock;
use super::*;

/// What SQLite would do for this statement.
fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nulls = vec![Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get(3)).unwrap();
    rows.map(|row| row.map(|text: String| text + "\n").unwrap()).collect()
}

#[test]
fn nothing_that_is_done_often_reads_a_whole_table_or_sorts() {
    let bench = Bench::new();
    let connection = file::connect_reader(&bench.path()).unwrap();
    let [failures, replies] = prune::STATEMENTS;
    let often = [
        (reader::OLDEST, "requests_due"),
        (reader::NEWEST, "requests_due"),
        (reader::NEXT, "requests_due"),
        (reader::EXPIRED, "requests_expires"),
        (append::LED, "requests_lane"),
        (settle::NEXT, "requests_lane"),
        (settle::NEXT, "requests_following"),
        (settle::GIVE_TURN, "requests_lane"),
        (settle::GIVE_TURN, "requests_following"),
        (settle::TURN, "requests_lane"),
        (prune::OLD_REQUESTS, "requests_finished"),
        (failures, "failed_created"),
        (replies, "failed_replies_created"),
        (prune::OLD_MEMORY, "memory_touched"),
        (memory::RECALL, "memory_1"),
        (prune::OLD_EVENTS, "events_created"),
        (events::EVENTS, "events_created"),
    ];
    for (sql, index) in often {
        let plan = plan(&connection, sql);
        assert!(plan.contains(index), "{sql}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        let scans = plan.lines().filter(|line| line.trim().starts_with("SCAN"));
        assert_eq!(scans.count(), 0, "{sql}\n{plan}");
    }
}

#[test]
fn what_waits_for_an_endpoint_is_found_by_an_index() {
    let bench = Bench::new();
    let connection = file::connect_reader(&bench.path()).unwrap();
    let (states, endpoint) = (vec![DeliveryState::Waiting], Some("old".to_owned()));
    let filter = crate::outbox::DeliveryFilter { states, endpoint, ..Default::default() };
    let (terms, _) = list::conditions(&filter);
    let plan = plan(&connection, &format!("SELECT seq FROM requests WHERE {terms}"));
    assert!(plan.contains("requests_lane"), "{plan}");
}

#[test]
fn what_is_done_often_is_compiled_once() {
    let bench = Bench::new();
    let connection = file::connect_reader(&bench.path()).unwrap();
    let often = [
        reader::OLDEST,
        reader::NEWEST,
        reader::NEXT,
        reader::EXPIRED,
        append::LED,
        settle::NEXT,
        settle::TURN,
    ];
    for sql in often {
        let mut statement = connection.prepare(sql).unwrap();
        for number in 0..3 {
            let values = vec![number.to_string(); statement.parameter_count()];
            let mut rows = statement.query(rusqlite::params_from_iter(values)).unwrap();
            while rows.next().unwrap().is_some() {}
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
    }
}

#[test]
fn sqlite_is_built_to_wait_for_no_more_than_it_must() {
    let connection = Connection::open_in_memory().unwrap();
    let mut statement = connection.prepare("PRAGMA compile_options").unwrap();
    let options: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(options.contains(&"DEFAULT_MEMSTATUS=0".to_owned()), "{options:?}");
}

/// So many requests wait; `CALLHOOK_WAITING=1000000` with `--release --nocapture` for figures.
fn waiting() -> usize {
    std::env::var("CALLHOOK_WAITING").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

#[test]
fn a_long_backlog_is_neither_counted_nor_kept_in_memory_and_leaves_whole() {
    let mut bench = Bench::new();
    let began = Instant::now();
    let numbers: Vec<usize> = (0..waiting()).collect();
    for block in numbers.chunks(1_000) {
        let new = block.iter().map(|number| {
            let event = format!("pbx-210701165649_{number}-1");
            let mut new = request(&event, CRM, &event);
            new.request.body = vec![b'x'; 512];
            new
        });
        drop(bench.outbox().append(commit_of(new.collect())));
    }
    bench.append(commit_of(vec![]));
    println!("filled in {:?}", began.elapsed());
    bench.close();
    println!("file: {} MB", fs::metadata(bench.path()).unwrap().len() >> 20);
    let began = Instant::now();
    bench.reopen();
    println!("opened in {:?}", began.elapsed());
    let pending = || usize::try_from(bench.metrics.outbox_pending.get()).unwrap();
    assert_eq!(pending(), waiting());
    let mut longest = Duration::ZERO;
    let mut drained = 0;
    let began = Instant::now();
    while drained < waiting() {
        let claiming = Instant::now();
        let claims = bench.runtime.block_on(bench.outbox().claim(CRM, 256)).unwrap();
        longest = longest.max(claiming.elapsed());
        assert!(!claims.requests.is_empty(), "{drained} of {}", waiting());
        assert!(hold(&bench.outbox().shared.reader).stocked(CRM) <= stock::OLDEST + stock::NEWEST);
        drained += claims.requests.len();
        let settle = |claimed| bench.outbox().settle(&claimed, Settlement::Delivered(attempt()));
        let receipts: Vec<Receipt> = claims.requests.into_iter().map(settle).collect();
        for receipt in receipts {
            receipt.wait().unwrap();
        }
    }
    let rate = f64::from(u32::try_from(drained).unwrap()) / began.elapsed().as_secs_f64();
    println!("drained {rate:.0}/s, longest claim of 256: {longest:?}");
    assert_eq!(pending(), 0);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!("{memory}");
}
