//! What follows from replies, and what plugins keep.

use super::*;
use crate::outbox::{FailedReply, FollowUp, Judged, MemoryChange, MemoryScope, depth, parent_id};
use crate::reply::Reply;

fn follow_up(path: &str) -> FollowUp {
    FollowUp {
        expires_in: None,
        class: Class::Core,
        base: "http://crm.example/".to_owned(),
        request: Request::draft(&format!("http://crm.example/{path}")),
    }
}

fn judged(settlement: Settlement, paths: &[&str]) -> Judged {
    let follow_ups = paths.iter().map(|path| follow_up(path)).collect();
    Judged { settlement, follow_ups, memory: Vec::new(), failure: None }
}

fn done(paths: &[&str]) -> Judged {
    judged(Settlement::Delivered(attempt()), paths)
}

fn given_up(paths: &[&str]) -> Judged {
    judged(Settlement::Dead { attempt: attempt(), reason: "no".to_owned() }, paths)
}

fn scope(endpoint: &str, chain: &str) -> MemoryScope {
    MemoryScope {
        pbx: "pbx".to_owned(),
        chain: chain.to_owned(),
        endpoint: endpoint.to_owned(),
        plugin: "p".to_owned(),
    }
}

fn keep(scope: &MemoryScope, key: &str, value: Option<&str>) -> MemoryChange {
    let value = value.map(|value| value.as_bytes().to_vec());
    MemoryChange { scope: scope.clone(), key: key.to_owned(), value }
}

fn failed_reply(request: &str) -> FailedReply {
    FailedReply {
        request: request.to_owned(),
        event_id: "e1".to_owned(),
        endpoint: CRM.to_owned(),
        plugin: "p".to_owned(),
        kind: "trap".to_owned(),
        message: "unreachable".to_owned(),
        details: "The plugin wrote:\nno".to_owned(),
        attempt: 2,
        reply: Reply { status: 200, body: b"what?".to_vec(), ..Reply::default() },
    }
}

impl Bench {
    fn judge(&self, id: &str, judged: Judged) {
        let claimed = self.held.borrow().get(id).cloned().unwrap();
        self.outbox().settle_judged(&claimed, judged).wait().unwrap();
    }

    fn recalls(&self, scope: &MemoryScope) -> Vec<(String, String)> {
        let kept = self.outbox().recall(scope).unwrap();
        kept.into_iter().map(|(key, value)| (key, String::from_utf8(value).unwrap())).collect()
    }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn what_follows_comes_next_in_its_lane_and_the_deepest_first() {
    let mut bench = Bench::new();
    for event in ["e1", "e2"] {
        bench.append(one(event, "a"));
    }
    let [first, second] = [id("e1"), id("e2")];
    assert_eq!(bench.claim(CRM, 9), [first.as_str()]);
    bench.judge(&first, done(&["f", "g"]));
    let [f, g, h, i] = ["/1", "/2", "/1/1", "/1/2"].map(|number| format!("{first}{number}"));
    assert_eq!(bench.claim(CRM, 9), [f.as_str()]);
    assert_eq!(bench.metrics.outbox_pending.get(), 3);
    bench.judge(&f, done(&["h", "i"]));
    bench.reopen();
    for expected in [&h, &i, &g, &second] {
        let claims = bench.claims(CRM, 9).requests;
        assert_eq!(claims.len(), 1, "one at a time: {claims:?}");
        assert_eq!(&claims[0].id, expected);
        bench.judge(expected, done(&[]));
    }
    assert_eq!(bench.metrics.outbox_pending.get(), 0);
    assert_eq!((parent_id(&i), depth(&i)), (Some(f.as_str()), 2));
}

#[test]
fn what_follows_has_the_event_and_sequence_of_what_it_follows() {
    let bench = Bench::new();
    bench.append(commit_of(vec![NewRequest { sequence: 7, ..request("e1", CRM, "a") }]));
    bench.claim(CRM, 1);
    bench.judge(&id("e1"), done(&["f"]));
    let claims = bench.claims(CRM, 1).requests;
    let claimed = &claims[0];
    assert_eq!((claimed.event_id.as_str(), claimed.lane.as_str()), ("e1", "a"));
    assert_eq!((claimed.sequence, claimed.attempts), (7, 0));
    assert_eq!(claimed.request.url, "http://crm.example/f");
    assert_eq!(claimed.base.as_deref(), Some("http://crm.example/"));
    let detail = bench.outbox().show(&claimed.id).unwrap().unwrap();
    assert_eq!(detail.row.id, format!("{}/1", id("e1")));
}

#[test]
fn what_follows_expires_unless_it_follows_a_replay() {
    let bench = Bench::new();
    for generation in [0, 1] {
        bench.append(commit_of(vec![NewRequest { generation, ..request("e1", CRM, "a") }]));
        let claims = bench.claims(CRM, 1).requests;
        let short = FollowUp { expires_in: Some(Duration::ZERO), ..follow_up("f") };
        bench.judge(&claims[0].id, Judged { follow_ups: vec![short], ..done(&[]) });
        let next = format!("{}/1", claims[0].id);
        let state = || bench.outbox().show(&next).unwrap().unwrap().row.state;
        if generation == 0 {
            wait_until(|| state() == DeliveryState::Expired);
        } else {
            assert_eq!(bench.claim(CRM, 1), [next.as_str()]);
            assert_eq!(bench.outbox().show(&next).unwrap().unwrap().generation, 1);
        }
    }
}

#[test]
fn what_was_set_aside_is_followed_before_what_passed_it() {
    let bench = Bench::new();
    for event in ["e1", "e2", "e3"] {
        bench.append(one(event, "a"));
    }
    bench.claim(CRM, 9);
    let (wait, charge, aside) = (Duration::ZERO, Charge::Attempt, Some(Duration::ZERO));
    bench.settle(&id("e1"), Settlement::Later { attempt: attempt(), wait, charge, aside });
    bench.claim(CRM, 9);
    bench.judge(&id("e1"), done(&["f"]));
    assert_eq!(bench.claim(CRM, 9), [""; 0], "e2 is in flight");
    bench.complete(&id("e2"));
    assert_eq!(bench.claim(CRM, 9), [format!("{}/1", id("e1"))]);
    bench.complete(&format!("{}/1", id("e1")));
    assert_eq!(bench.claim(CRM, 9), [id("e3")]);
}

#[test]
fn what_follows_gives_way_to_an_older_one_that_is_tried_again() {
    let bench = Bench::new();
    for event in ["e1", "e2"] {
        bench.append(one(event, "a"));
    }
    bench.claim(CRM, 1);
    bench.bury(&id("e1"), "no");
    bench.claim(CRM, 1);
    bench.judge(&id("e2"), done(&["f", "g"]));
    bench.claim(CRM, 1);
    assert_eq!(bench.retry(&id("e1")), 1);
    bench.complete(&format!("{}/1", id("e2")));
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
    bench.complete(&id("e1"));
    assert_eq!(bench.claim(CRM, 9), [format!("{}/2", id("e2"))]);
}

#[test]
fn the_same_is_followed_once_and_something_else_under_another_id() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    bench.claim(CRM, 1);
    bench.judge(&id("e1"), given_up(&["f"]));
    assert_eq!(bench.retry(&id("e1")), 1, "by the operator");
    bench.claim(CRM, 9);
    bench.complete(&format!("{}/1", id("e1")));
    bench.claim(CRM, 9);
    bench.judge(&id("e1"), given_up(&["f", "g"]));
    assert_eq!(bench.metrics.outbox_collapsed.get(), 1);
    assert_eq!(bench.retry(&id("e1")), 1);
    bench.claim(CRM, 9);
    bench.complete(&format!("{}/2", id("e1")));
    bench.claim(CRM, 9);
    bench.judge(&id("e1"), done(&["h"]));
    let claims = bench.claims(CRM, 9).requests;
    assert_eq!(claims[0].id, format!("{}/3", id("e1")));
    assert_eq!(claims[0].request.url, "http://crm.example/h");
}

#[test]
fn what_is_tried_again_is_followed_by_nothing_yet() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    bench.claim(CRM, 1);
    let (wait, charge, aside) = (Duration::ZERO, Charge::Attempt, None);
    let later = Settlement::Later { attempt: attempt(), wait, charge, aside };
    bench.judge(&id("e1"), judged(later, &["f"]));
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
    assert_eq!(bench.metrics.outbox_pending.get(), 1);
}

#[test]
fn plugins_keep_what_they_keep_by_endpoint_plugin_and_chain() {
    let mut bench = Bench::new();
    let (crm, other, next) = (scope(CRM, "c1"), scope("other", "c1"), scope(CRM, "c2"));
    let memory = vec![
        keep(&crm, "id", Some("1")),
        keep(&crm, "more", Some("x")),
        keep(&other, "id", Some("2")),
        keep(&next, "id", Some("3")),
    ];
    bench.append(Commit { memory, ..one("e1", "a") });
    bench.claim(CRM, 1);
    let memory = vec![keep(&crm, "id", Some("4")), keep(&crm, "more", None)];
    bench.judge(&id("e1"), Judged { memory, ..done(&[]) });
    bench.reopen();
    assert_eq!(bench.recalls(&crm), [pair("id", "4")]);
    assert_eq!(bench.recalls(&other), [pair("id", "2")]);
    assert_eq!(bench.recalls(&next), [pair("id", "3")]);
    assert_eq!(bench.recalls(&scope("nobody", "c1")), []);
    let reader = SqliteOutbox::open_reader(&bench.path(), Clock::system()).unwrap();
    assert_eq!(reader.recall(&crm).unwrap(), [("id".to_owned(), b"4".to_vec())]);
}

#[test]
fn of_a_request_that_was_buried_meanwhile_what_it_brought_is_kept_and_nothing_follows() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    bench.claim(CRM, 1);
    let chosen = Selection::Ids(vec![id("e1")]);
    assert_eq!(bench.runtime.block_on(bench.outbox().bury(&chosen, "operator")).unwrap(), 1);
    let memory = vec![keep(&scope(CRM, "c1"), "id", Some("1"))];
    bench.judge(&id("e1"), Judged { memory, ..done(&["f"]) });
    assert_eq!(bench.recalls(&scope(CRM, "c1")), [pair("id", "1")]);
    assert_eq!(bench.claim(CRM, 9), [""; 0]);
    let shown = bench.outbox().show(&id("e1")).unwrap().unwrap();
    assert_eq!((shown.row.state, shown.attempts.len()), (DeliveryState::Delivered, 1));
}

#[test]
fn what_is_kept_goes_a_day_after_the_last_of_its_chain_and_what_is_dead_keeps_it() {
    const DAY: i64 = 86_400_000;
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut bench = Bench::at(Clock::with_stopped_wall(start));
    let event = |event: &str, chain: &str| {
        let events = vec![StoredEvent { chain: chain.to_owned(), ..stored(event) }];
        let memory = vec![keep(&scope(CRM, chain), "id", Some("1"))];
        Commit { events, memory, ..one(event, chain) }
    };
    for chain in ["done", "waiting", "dead"] {
        bench.append(event(chain, chain));
    }
    let memory = vec![keep(&scope(CRM, "nothing"), "id", Some("1"))];
    bench.append(Commit { memory, ..commit_of(vec![]) });
    bench.claim(CRM, 9);
    bench.complete(&id("done"));
    bench.bury(&id("dead"), "no");
    let left = |bench: &mut Bench, after: i64| {
        let now = Timestamp::from_millisecond(start.as_millisecond() + after).unwrap();
        bench.reopen_at(Clock::with_stopped_wall(now));
        bench.outbox().prune(Duration::from_hours(24 * 30)).wait().unwrap();
        let chains = ["done", "waiting", "dead", "nothing"];
        let kept = chains.into_iter().filter(|chain| !bench.recalls(&scope(CRM, chain)).is_empty());
        kept.collect::<Vec<_>>()
    };
    assert_eq!(left(&mut bench, DAY), ["done", "waiting", "dead", "nothing"]);
    assert_eq!(left(&mut bench, DAY + 1), ["waiting", "dead"]);
    bench.claim(CRM, 9);
    bench.complete(&id("waiting"));
    assert_eq!(left(&mut bench, 2 * DAY), ["waiting", "dead"], "its last was a day ago");
    assert_eq!(left(&mut bench, 2 * DAY + 2), ["dead"]);
    // What is newest of all is kept.
    bench.append(one("later", "later"));
    assert_eq!(left(&mut bench, 31 * DAY), [""; 0], "with the dead letter");
}

#[test]
fn a_reply_that_could_not_be_judged_is_a_dead_letter_until_it_is() {
    let mut bench = Bench::new();
    bench.append(Commit { events: vec![stored("e1")], ..one("e1", "a") });
    bench.claim(CRM, 1);
    let (wait, charge, aside) = (Duration::ZERO, Charge::Attempt, None);
    let later = Settlement::Later { attempt: attempt(), wait, charge, aside };
    let failure = Some(failed_reply(&id("e1")));
    bench.judge(&id("e1"), Judged { failure, ..judged(later, &[]) });
    bench.reopen();
    let letter = failed_reply(&id("e1")).id();
    let filter = crate::outbox::DeliveryFilter {
        states: vec![DeliveryState::Dead],
        limit: 9,
        ..Default::default()
    };
    let listed = || -> Vec<String> {
        let rows = bench.outbox().list(&filter).unwrap();
        rows.into_iter().map(|row| row.id).collect()
    };
    assert_eq!(listed(), [letter.as_str()]);
    let detail = bench.outbox().show(&letter).unwrap().unwrap();
    assert_eq!(detail.row.reason.as_deref(), Some("plugin p, trap: unreachable"));
    assert_eq!((detail.row.lane, detail.row.attempts), (None, 2));
    assert_eq!(detail.attempts[0].reply, b"what?");
    assert_eq!(detail.details, "The plugin wrote:\nno");
    assert!(detail.request.is_some() && detail.event.is_some());
    bench.claim(CRM, 1);
    bench.judge(&id("e1"), done(&[]));
    assert_eq!(listed(), [""; 0]);
}

#[test]
fn a_damaged_file_keeps_what_follows_in_its_place_and_what_plugins_keep() {
    let mut bench = Bench::new();
    let crm = scope(CRM, "c1");
    for event in ["e1", "e2"] {
        let memory = vec![keep(&crm, event, Some("kept"))];
        bench.append(Commit { memory, events: vec![stored(event)], ..one(event, "a") });
    }
    bench.claim(CRM, 9);
    let failure = Some(failed_reply(&id("e1")));
    let removed = vec![keep(&crm, "e1", None)];
    bench.judge(&id("e1"), Judged { failure, memory: removed, ..done(&["f", "g"]) });
    bench.close();
    let mut bytes = fs::read(bench.path()).unwrap();
    bytes[..16].fill(0);
    fs::write(bench.path(), bytes).unwrap();
    bench.reopen();
    assert_eq!(bench.metrics.outbox_repairs.get(), 1);
    assert_eq!(bench.recalls(&crm), [pair("e2", "kept")]);
    assert!(bench.outbox().show(&failed_reply(&id("e1")).id()).unwrap().is_some());
    for expected in [format!("{}/1", id("e1")), format!("{}/2", id("e1")), id("e2")] {
        assert_eq!(bench.claim(CRM, 9), [expected.as_str()]);
        bench.complete(&expected);
    }
}

#[test]
fn a_bit_that_flipped_in_what_a_plugin_keeps_makes_it_forgotten() {
    let bench = Bench::new();
    let crm = scope(CRM, "c1");
    let memory = vec![keep(&crm, "a", Some("1")), keep(&crm, "b", Some("2"))];
    bench.append(Commit { memory, ..commit_of(vec![]) });
    let database = Connection::open(bench.path()).unwrap();
    database.execute("UPDATE memory SET value = x'33' WHERE key = 'a'", []).unwrap();
    assert_eq!(bench.recalls(&crm), [pair("b", "2")]);
}
