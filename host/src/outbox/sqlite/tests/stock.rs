//! What is kept in memory for those who claim: enough, and never too much or something else.

use super::super::stock;
use super::*;

/// What a claim gets without a look into the file; nothing if it has to look.
fn at_hand(bench: &Bench, max: usize) -> Option<Vec<String>> {
    let claims = bench.outbox().shared.claim_at_hand(CRM, max)?;
    let held = claims.requests.iter().map(|claimed| (claimed.id.clone(), claimed.clone()));
    bench.held.borrow_mut().extend(held);
    Some(claims.requests.into_iter().map(|claimed| claimed.id).collect())
}

/// How many requests are kept in memory.
fn kept(bench: &Bench) -> usize {
    hold(&bench.outbox().shared.reader).stocked(CRM)
}

#[test]
fn without_a_backlog_nothing_is_read() {
    let bench = Bench::new();
    assert_eq!(at_hand(&bench, 9), None, "nobody has looked yet");
    assert_eq!(bench.claim(CRM, 9), [""; 0]);
    bench.append(one("a1", "a"));
    bench.append(one("a2", "a"));
    bench.append(one("b1", "b"));
    assert_eq!(at_hand(&bench, 1), Some(vec![id("a1")]));
    assert_eq!(at_hand(&bench, 9), Some(vec![id("b1")]));
    assert_eq!(at_hand(&bench, 9), Some(vec![]));
    bench.complete(&id("a1"));
    assert_eq!(at_hand(&bench, 9), Some(vec![id("a2")]), "the next of the lane");
}

#[test]
fn what_was_put_off_is_looked_for_when_its_time_has_come() {
    let bench = Bench::new();
    bench.append(one("e1", "a"));
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
    bench.put_off(&id("e1"), LONG);
    let claims = bench.outbox().shared.claim_at_hand(CRM, 9).unwrap();
    assert!(claims.requests.is_empty());
    assert!(claims.next_in.is_some_and(|wait| wait <= LONG && wait > LONG / 2));
    bench.retry(&id("e1"));
    assert_eq!(at_hand(&bench, 9), None, "it may be due by now");
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
    bench.put_off(&id("e1"), Duration::ZERO);
    assert_eq!(at_hand(&bench, 9), None);
    assert_eq!(bench.claim(CRM, 9), [id("e1")]);
}

#[test]
fn what_an_operator_buries_is_not_handed_out_from_memory() {
    let bench = Bench::new();
    assert_eq!(bench.claim(CRM, 9), [""; 0]);
    bench.append(one("a1", "a"));
    bench.append(one("a2", "a"));
    assert_eq!(kept(&bench), 1);
    let which = Selection::Ids(vec![id("a1")]);
    bench.runtime.block_on(bench.outbox().bury(&which, "wrong")).unwrap();
    assert_eq!(bench.claim(CRM, 9), [id("a2")]);
}

#[test]
fn what_another_process_buries_is_forgotten_soon() {
    let bench = Bench::new();
    assert_eq!(bench.claim(CRM, 9), [""; 0]);
    bench.append(one("a1", "a"));
    assert_eq!(kept(&bench), 1);
    let mut editor = SqliteOutbox::open_editor(&bench.path(), Clock::system()).unwrap();
    assert_eq!(editor.bury(&Selection::Ids(vec![id("a1")]), "wrong").unwrap(), 1);
    wait_until(|| kept(&bench) == 0);
    assert_eq!(bench.claim(CRM, 9), [""; 0]);
}

#[test]
fn of_a_backlog_a_few_are_kept_and_all_leave_once_and_in_order() {
    let bench = Bench::new();
    assert_eq!(bench.claim(CRM, 9), [""; 0]);
    let lanes = |range: std::ops::Range<usize>| {
        let both = range.flat_map(|lane| [1, 2].map(|place| (lane, place)));
        let new =
            both.map(|(lane, place)| request(&format!("{lane}-{place}"), CRM, &lane.to_string()));
        commit_of(new.collect())
    };
    bench.append(lanes(0..300));
    let mut left = Vec::new();
    let mut made = 300;
    loop {
        assert!(kept(&bench) <= stock::OLDEST + stock::NEWEST);
        let claimed = bench.claim(CRM, 7);
        if claimed.is_empty() {
            break;
        }
        for id in claimed {
            bench.complete(&id);
            left.push(id);
        }
        if made < 500 {
            bench.append(lanes(made..made + 5));
            made += 5;
        }
    }
    let mut expected: Vec<String> =
        (0..made).flat_map(|lane| [1, 2].map(|place| id(&format!("{lane}-{place}")))).collect();
    let place = |id: &String| left.iter().position(|other| other == id);
    for pair in expected.chunks(2) {
        assert!(place(&pair[0]) < place(&pair[1]), "{pair:?}");
    }
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
}

#[test]
fn large_requests_are_kept_by_their_bytes() {
    let bench = Bench::new();
    assert_eq!(bench.claim(CRM, 9), [""; 0]);
    for number in 0..20 {
        let mut new = request(&format!("e{number:02}"), CRM, &format!("{number}"));
        new.request.body = vec![b'x'; 400 << 10];
        bench.append(commit_of(vec![new]));
    }
    assert!(kept(&bench) < 10, "{}", kept(&bench));
    let all = bench.claim(CRM, 99);
    assert_eq!(all.len(), 20);
    assert!(all.is_sorted());
}
