//! What keeps its turn and what leaves it, whoever else acts meanwhile.

use super::super::apply::Effects;
use super::super::settle;
use super::super::statements::Statements;
use super::super::timeline::Timeline;
use super::*;

fn later(wait: Duration, aside: Option<Duration>) -> Settlement {
    Settlement::Later { attempt: attempt(), wait, charge: Charge::Attempt, aside }
}

const LONG: Duration = Duration::from_hours(1);

#[test]
fn what_fails_for_long_leaves_its_turn_between_two_attempts() {
    let bench = Bench::new();
    bench.append(commit_of(vec![request("e1", CRM, "a"), request("e2", CRM, "a")]));
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
    bench.settle(&id("e1"), later(LONG, Some(Duration::from_millis(700))));
    assert_eq!(bench.claim(CRM, 9), [""; 0], "not at once");
    wait_until(|| bench.claim(CRM, 9) == [id("e2")]);
    assert_eq!(bench.query::<i64>("SELECT aside FROM requests WHERE seq = 1"), 1);
}

#[test]
fn what_fails_for_long_leaves_its_turn_after_a_restart_too() {
    let mut bench = Bench::new();
    let lane = |name: &str| ["1", "2"].map(|n| request(&format!("{name}{n}"), CRM, name)).to_vec();
    bench.append(commit_of([lane("a"), lane("b")].concat()));
    assert_eq!(bench.claim(CRM, 9), [id("a1"), id("b1")]);
    bench.settle(&id("a1"), later(LONG, Some(LONG)));
    // Its own failure is not what it waits for.
    bench.settle(&id("b1"), Settlement::GivenBack(LONG));
    bench.reopen();
    bench.outbox().let_pass(CRM, Duration::from_hours(2)).unwrap();
    assert_eq!(bench.claim(CRM, 9), [""; 0], "not yet");
    bench.outbox().let_pass(CRM, Duration::ZERO).unwrap();
    wait_until(|| bench.claim(CRM, 9) == [id("a2")]);
    assert_eq!(bench.query::<String>("SELECT event_id FROM requests WHERE aside = 1"), "a1");
    let reader = file::connect_reader(&bench.path()).unwrap();
    let plan: String = reader
        .query_row(&format!("EXPLAIN QUERY PLAN {}", upkeep::FAILING), [CRM, "0"], |row| row.get(3))
        .unwrap();
    assert!(plan.contains("requests_due (endpoint=? AND due>?)"), "{plan}");
}

#[test]
fn a_clock_that_is_set_while_it_runs_moves_nothing_that_is_due_expires_or_is_kept() {
    const YEARS: i64 = 10 * 365 * 24 * 3600;
    let clock = Clock::system();
    let mut bench = Bench::at(clock.clone());
    let popup = NewRequest { expires_in: Some(LONG), ..request("popup", CRM, "a") };
    let mut commit = commit_of(vec![request("done", CRM, "c"), request("later", CRM, "b"), popup]);
    commit.events = ["done", "later", "popup"].map(stored).to_vec();
    bench.append(commit);
    assert_eq!(bench.claim(CRM, 9).len(), 3);
    bench.complete(&id("done"));
    bench.settle(&id("later"), later(LONG, None));
    bench.settle(&id("popup"), Settlement::GivenBack(LONG / 2));
    let states = "SELECT group_concat(state) FROM (SELECT * FROM requests ORDER BY event_id)";
    let keeps = |bench: &Bench| {
        bench.outbox().prune(Duration::from_hours(24)).wait().unwrap();
        assert_eq!(bench.claim(CRM, 9), [""; 0]);
        assert_eq!(bench.query::<String>(states), "delivered,waiting,waiting");
        assert_eq!(bench.query::<i64>("SELECT count(*) FROM events"), 3);
    };
    for ahead in [YEARS, -YEARS, 3600 * 25, 0] {
        clock.set_ahead(ahead);
        // What looks at the clock by itself does so twice a second.
        bench.append(commit_of(Vec::new()));
        keeps(&bench);
    }
    clock.set_ahead(-YEARS);
    bench.reopen_at(clock.clone());
    keeps(&bench);
    clock.skip(3_601);
    let due = bench.claims(CRM, 9);
    let due: Vec<_> = due.requests.iter().map(|claimed| (&*claimed.id, claimed.expired)).collect();
    assert!(due.contains(&(&*id("later"), false)), "{due:?}");
}

#[test]
fn what_is_under_way_again_does_not_leave_its_turn() {
    let bench = Bench::new();
    bench.append(commit_of(vec![request("e1", CRM, "a"), request("e2", CRM, "a")]));
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
    bench.settle(&id("e1"), later(Duration::ZERO, Some(Duration::from_millis(1))));
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
    // Another one has left its turn since then.
    bench.append(commit_of(vec![request("f1", CRM, "b"), request("f2", CRM, "b")]));
    assert_eq!(bench.claim(CRM, 9), [id("f1")]);
    bench.settle(&id("f1"), later(LONG, Some(Duration::from_millis(1))));
    wait_until(|| bench.claim(CRM, 9) == [id("f2")]);
    assert_eq!(bench.claim(CRM, 9), [""; 0]);
    bench.complete(&id("e1"));
    assert_eq!(bench.claim(CRM, 9), [id("e2")]);
}

#[test]
fn what_was_given_up_while_it_was_under_way_is_delivered_if_it_arrived() {
    let bench = Bench::new();
    bench.append(commit_of(vec![request("e1", CRM, "a"), request("e2", CRM, "b")]));
    assert_eq!(bench.claim(CRM, 9).len(), 2);
    let which = Selection::Ids(vec![id("e1"), id("e2")]);
    assert_eq!(bench.runtime.block_on(bench.outbox().bury(&which, "enough")).unwrap(), 2);
    bench.complete(&id("e1"));
    bench.settle(&id("e2"), later(LONG, None));
    let states =
        "SELECT group_concat(state || attempts) FROM (SELECT * FROM requests ORDER BY seq)";
    assert_eq!(bench.query::<String>(states), "delivered1,dead0");
    assert_eq!(bench.query::<i64>("SELECT count(*) FROM attempts"), 2, "both can be seen");
    assert_eq!(bench.metrics.outbox_pending.get(), 0);
}

#[test]
fn what_is_retried_while_it_waits_keeps_the_time_up_to_which_it_is_of_use() {
    let bench = Bench::new();
    let popup = NewRequest { expires_in: Some(LONG), ..request("e1", CRM, "a") };
    bench.append(commit_of(vec![popup]));
    let kept = "SELECT expires IS NOT NULL FROM requests";
    assert_eq!(bench.retry(&id("e1")), 1);
    assert!(bench.query::<bool>(kept));
    bench.claim(CRM, 9);
    bench.bury(&id("e1"), "enough");
    assert_eq!(bench.retry(&id("e1")), 1);
    assert!(!bench.query::<bool>(kept), "somebody wants it, however late");
}

#[test]
fn what_was_found_past_its_time_is_not_expired_if_somebody_wants_it_all_the_same() {
    let mut bench = Bench::new();
    bench.append(commit_of(vec![request("e1", CRM, "a")]));
    bench.close();
    let editor = file::connect_editor(&bench.path()).unwrap();
    let (now, mut effects) = (Timeline::new(Clock::system()).stamp(), Effects::default());
    settle::expire(&Statements::of(&editor), &[1], now, &mut effects).unwrap();
    assert_eq!(bench.query::<String>("SELECT state FROM requests"), "waiting");
    assert!(effects.reshuffled && effects.expired.is_empty(), "it is looked for anew");
}

#[test]
fn a_number_is_not_given_twice() {
    let bench = Bench::new();
    for event in ["e1", "e2"] {
        bench.append(one(event, "a"));
        bench.claim(CRM, 9);
        bench.complete(&id(event));
    }
    wait_until(|| {
        bench.outbox().prune(Duration::ZERO).wait().unwrap();
        bench.query::<i64>("SELECT count(*) FROM requests") == 1
    });
    bench.append(one("e3", "a"));
    assert_eq!(bench.query::<i64>("SELECT max(seq) FROM requests"), 3);
}
