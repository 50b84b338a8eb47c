//! A million requests: the plans that keep it quick, and a measurement.

use rusqlite::types::Null;

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
    let [attempts, requests, failures, replies] = prune::STATEMENTS;
    let often = [
        (reader::OLDEST, "requests_due"),
        (reader::NEWEST, "requests_due"),
        (reader::NEXT, "requests_due"),
        (reader::EXPIRED, "requests_expires"),
        (settle::GIVE_TURN, "requests_lane"),
        (settle::GIVE_TURN, "requests_following"),
        (attempts, "requests_finished"),
        (requests, "requests_finished"),
        (failures, "failed_created"),
        (replies, "failed_replies_created"),
        (prune::OLD_MEMORY, "memory_touched"),
        (memory::RECALL, "memory_1"),
        (prune::OLD_EVENTS, "events_created"),
        (list::EVENTS, "events_created"),
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
#[ignore = "writes a gigabyte; run with --release --ignored --nocapture for figures"]
fn a_million_requests_wait() {
    let mut bench = Bench::new();
    let began = Instant::now();
    for block in 0..1_000 {
        let new = (0..1_000).map(|number| {
            let event = format!("pbx-210701165649_{block}-{number}");
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
    let mut longest = Duration::ZERO;
    let mut drained = 0;
    let began = Instant::now();
    while drained < 100_000 {
        let claiming = Instant::now();
        let claims = bench.runtime.block_on(bench.outbox().claim(CRM, 256)).unwrap();
        longest = longest.max(claiming.elapsed());
        drained += claims.requests.len();
        let settle = |claimed| bench.outbox().settle(&claimed, Settlement::Delivered(attempt()));
        let receipts: Vec<Receipt> = claims.requests.into_iter().map(settle).collect();
        for receipt in receipts {
            receipt.wait().unwrap();
        }
    }
    let rate = f64::from(u32::try_from(drained).unwrap()) / began.elapsed().as_secs_f64();
    println!("drained {rate:.0}/s, longest claim of 256: {longest:?}");
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!("{memory}");
}
