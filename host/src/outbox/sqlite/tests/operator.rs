//! What an operator sees and changes, while the service runs and from another process.

use super::*;
use crate::outbox::{Cursor, DeliveryFilter, Scan};

fn listed(scan: &dyn Scan, filter: &DeliveryFilter) -> Vec<String> {
    scan.list(filter).unwrap().into_iter().map(|row| row.id).collect()
}

fn all() -> DeliveryFilter {
    DeliveryFilter { limit: 100, ..DeliveryFilter::default() }
}

fn states(states: &[DeliveryState]) -> DeliveryFilter {
    DeliveryFilter { states: states.to_vec(), ..all() }
}

/// One delivered, one dead, one waiting, one behind it, and an event that a plugin failed on.
fn varied() -> Bench {
    let bench = Bench::new();
    for (event, lane) in [("done", "a"), ("dead", "b"), ("head", "c"), ("behind", "c")] {
        let mut commit = one(event, lane);
        commit.events.push(StoredEvent { chain: format!("chain-{lane}"), ..stored(event) });
        bench.append(commit);
    }
    bench.claim(CRM, 9);
    bench.complete(&id("done"));
    bench.bury(&id("dead"), "no such call");
    bench.settle(&id("head"), Settlement::GivenBack(Duration::ZERO));
    let failure = FailedTransform {
        event_id: "broken".to_owned(),
        endpoint: CRM.to_owned(),
        plugin: "plain-get".to_owned(),
        kind: "trap".to_owned(),
        message: "unreachable".to_owned(),
        details: String::new(),
    };
    bench.append(Commit { failures: vec![failure], ..commit_of(vec![]) });
    bench
}

#[test]
fn deliveries_are_listed_by_state_call_endpoint_and_time() {
    let bench = varied();
    let reader = SqliteOutbox::open_reader(&bench.path(), Clock::system()).unwrap();
    let list = |filter: &DeliveryFilter| {
        let seen = listed(bench.outbox(), filter);
        assert_eq!(listed(&reader, filter), seen, "another process sees the same");
        seen
    };
    let broken = "broken:crm".to_owned();
    let every = [broken.clone(), id("done"), id("dead"), id("head"), id("behind")];
    assert_eq!(list(&all()), every);
    assert_eq!(list(&states(&[DeliveryState::Dead])), [broken, id("dead")]);
    assert_eq!(list(&states(&[DeliveryState::Waiting])), [id("head"), id("behind")]);
    assert_eq!(list(&states(&[DeliveryState::Delivered])), [id("done")]);
    assert_eq!(list(&DeliveryFilter { endpoint: Some("x".to_owned()), ..all() }), [""; 0]);
    let chain = Some("chain-c".to_owned());
    assert_eq!(list(&DeliveryFilter { chain, ..all() }), [id("head"), id("behind")]);
    let future = Some(Timestamp::now() + LONG);
    assert_eq!(list(&DeliveryFilter { since: future, ..all() }), [""; 0]);
    assert_eq!(list(&DeliveryFilter { until: future, ..all() }).len(), 5);
    let rows = reader.list(&all()).unwrap();
    assert_eq!(rows[2].reason.as_deref(), Some("no such call"));
    assert_eq!(rows[2].attempts, 1);
    assert!(rows[4].behind && !rows[3].behind);
}

#[test]
fn a_listing_goes_on_where_it_ended() {
    let bench = varied();
    let mut seen = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = bench.outbox().list(&DeliveryFilter { limit: 2, after, ..all() }).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor);
        seen.extend(page.into_iter().map(|row| row.id));
        assert!(seen.len() <= 5, "{seen:?}");
    }
    assert_eq!(seen, listed(bench.outbox(), &all()));
}

#[test]
fn all_that_is_known_of_a_delivery_is_shown() {
    let bench = varied();
    let dead = bench.outbox().show(&id("dead")).unwrap().unwrap();
    assert_eq!(dead.row.state, DeliveryState::Dead);
    assert_eq!(dead.request, Some(Request::draft("http://crm.example/")));
    assert_eq!(dead.event.as_deref(), Some("{}"));
    assert_eq!(dead.attempts, [attempt()]);
    let broken = bench.outbox().show("broken:crm").unwrap().unwrap();
    assert_eq!(broken.row.reason.as_deref(), Some("plugin plain-get, trap: unreachable"));
    assert_eq!(broken.request, None);
    assert_eq!(bench.outbox().show("nothing").unwrap(), None);
    assert_eq!(bench.outbox().show("no:such").unwrap(), None);
}

#[test]
fn what_is_retried_has_all_attempts_before_it_and_its_place_in_the_lane() {
    let bench = Bench::new();
    for event in ["a1", "a2", "a3"] {
        bench.append(one(event, "a"));
    }
    for event in ["a1", "a2"] {
        assert_eq!(bench.claim(CRM, 9), [id(event)]);
        bench.bury(&id(event), "down");
    }
    assert_eq!(bench.claim(CRM, 9), [id("a3")], "in flight");
    let which = Selection::Filter(states(&[DeliveryState::Dead]));
    assert_eq!(bench.runtime.block_on(bench.outbox().retry(&which)).unwrap(), 2);
    assert_eq!(bench.metrics.outbox_pending.get(), 3);
    assert_eq!(bench.claim(CRM, 9), [""; 0], "one of the lane is in flight");
    bench.complete(&id("a3"));
    for event in ["a1", "a2"] {
        let claims = bench.claims(CRM, 9);
        assert_eq!(claims.requests[0].id, id(event));
        assert_eq!(claims.requests[0].attempts, 0);
        bench.complete(&id(event));
    }
    assert_eq!(bench.retry(&id("a1")), 0, "the receiver has it");
    let attempts = bench.query::<i64>("SELECT count(*) FROM attempts WHERE place >> 16 = 1");
    assert_eq!(attempts, 2, "those before are kept");
}

#[test]
fn many_are_changed_in_chunks() {
    let bench = Bench::new();
    let new = (0..1_700).map(|n| request(&format!("e{n}"), CRM, &format!("l{n}")));
    bench.append(commit_of(new.collect()));
    let which = Selection::Filter(states(&[DeliveryState::Waiting]));
    let commits = bench.query::<i64>("SELECT commits FROM progress");
    assert_eq!(bench.runtime.block_on(bench.outbox().bury(&which, "why")).unwrap(), 1_700);
    assert_eq!(bench.query::<i64>("SELECT commits FROM progress"), commits + 4);
    assert_eq!(bench.metrics.outbox_pending.get(), 0);
    let ids = Selection::Ids((0..1_700).map(|n| id(&format!("e{n}"))).collect());
    assert_eq!(bench.runtime.block_on(bench.outbox().retry(&ids)).unwrap(), 1_700);
    assert_eq!(bench.metrics.outbox_pending.get(), 1_700);
}

#[test]
fn another_process_changes_what_a_running_service_notices() {
    let bench = varied();
    let mut editor = SqliteOutbox::open_editor(&bench.path(), Clock::system()).unwrap();
    let which = Selection::Ids(vec![id("dead")]);
    assert_eq!(editor.retry(&which).unwrap(), 1);
    editor.append(&one("new", "new")).unwrap();
    let claimed = RefCell::new(Vec::new());
    // It looks twice a second.
    wait_until(|| {
        claimed.borrow_mut().extend(bench.claim(CRM, 9));
        claimed.borrow().len() >= 3
    });
    let mut claimed = claimed.into_inner();
    claimed.sort();
    assert_eq!(claimed, [id("dead"), id("head"), id("new")]);
    assert_eq!(editor.bury(&Selection::Ids(vec![id("behind")]), "no").unwrap(), 1);
    bench.append(one("more", "more"));
    assert_eq!(editor.scan().show(&id("behind")).unwrap().unwrap().row.state, DeliveryState::Dead);
}

#[test]
fn whoever_delivers_is_told_of_what_another_process_changes() {
    let bench = varied();
    let changed = bench.outbox().changed(CRM);
    let told = || {
        bench.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(20), changed.notified()).await.is_ok()
        })
    };
    let mut editor = SqliteOutbox::open_editor(&bench.path(), Clock::system()).unwrap();
    assert_eq!(editor.retry(&Selection::Ids(vec![id("dead")])).unwrap(), 1);
    assert!(told(), "of what was changed");
}

#[test]
fn events_are_read_in_pages_for_a_replay() {
    let bench = Bench::new();
    let names: Vec<String> = (0..5).map(|n| format!("e{n}")).collect();
    for name in &names {
        bench.append(Commit { events: vec![stored(name)], ..commit_of(vec![]) });
    }
    let (from, until) = (Timestamp::now() - LONG, Timestamp::now() + LONG);
    let mut seen: Vec<String> = Vec::new();
    loop {
        let after = seen.last().cloned();
        let page = bench.outbox().events(from, until, after.as_deref(), 2).unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|event| event.event_id));
    }
    assert_eq!(seen, names);
    assert!(bench.outbox().events(until, until, None, 9).unwrap().is_empty());
}

#[test]
fn a_replay_takes_the_place_of_what_could_not_be_made() {
    let bench = varied();
    let new = NewRequest { generation: 1, ..request("broken", CRM, "x") };
    bench.append(commit_of(vec![new]));
    assert_eq!(bench.outbox().show("broken:crm").unwrap(), None);
}

#[test]
fn a_reader_says_what_is_in_its_way() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("outbox.db");
    let error = SqliteOutbox::open_reader(&path, Clock::system()).unwrap_err();
    assert!(format!("{error:#}").contains("the service makes it"), "{error:#}");
    drop(SqliteOutbox::open(&path, Clock::system(), Metrics::default()).unwrap());
    let reader = SqliteOutbox::open_reader(&path, Clock::system()).unwrap();
    assert!(reader.list(&all()).unwrap().is_empty(), "without a service, too");
}

#[test]
fn a_transaction_of_a_command_is_not_taken_for_one_of_the_service() {
    let bench = Bench::new();
    let noted = || {
        let reader = file::connect_reader(&bench.path()).unwrap();
        let progress = progress::progress(&reader).unwrap();
        (progress.commits, progress.own)
    };
    bench.append(one("e1", "a"));
    let (commits, own) = noted();
    assert_eq!(own, commits);
    let mut editor = SqliteEditor::open(&bench.path(), Clock::system()).unwrap();
    assert_eq!(editor.bury(&Selection::Ids(vec![id("e1")]), "why").unwrap(), 1);
    assert_eq!(noted(), (commits + 1, own));
    bench.append(one("e2", "a"));
    assert_eq!(noted(), (commits + 2, commits + 2));
}
