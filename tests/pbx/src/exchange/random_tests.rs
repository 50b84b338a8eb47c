//! Whatever people do, in any order: legs and calls stay in step, and nothing is left over.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::exchange::{Change, Exchange, Join, Refused, Who};
use crate::pbx::Pbx;

const PEOPLE: [&str; 4] = ["106", "107", "108", "109"];
const OUTSIDE: [&str; 2] = ["420774852629", "420774852630"];
const PLACES: [&str; 8] = ["106", "107", "800", "810", "850", "666", "SP0", "420774852630"];
const DIDS: [&str; 4] = ["420226201001", "420226201002", "420226201003", "420226201004"];

/// One step: what to do, with which call of the moment, by whom, where to.
#[derive(Clone, Copy, Debug)]
struct Step {
    what: u8,
    call: usize,
    second: usize,
    who: usize,
    place: usize,
}

fn step() -> impl Strategy<Value = Step> {
    (0..24_u8, 0..4_usize, 0..4_usize, 0..6_usize, 0..8_usize)
        .prop_map(|(what, call, second, who, place)| Step { what, call, second, who, place })
}

/// Takes a step, which may make no sense. Who acts has mostly a part in the call.
fn take(exchange: &mut Exchange, step: Step) -> Result<(), Refused> {
    let calls: Vec<i64> = exchange.calls().map(|call| call.id).collect();
    let nth = |n: usize| calls.get(n % calls.len().max(1)).copied().unwrap_or_default();
    let call = nth(step.call);
    let legs = exchange.participants().filter(|leg| leg.callid == call);
    let legs: Vec<(i64, String)> = legs.map(|leg| (leg.id, leg.dn.clone())).collect();
    let part = legs.get(step.who % legs.len().max(1));
    let who = part.map_or(Who::Dn("106"), |(id, _)| Who::Participant(*id));
    let of_part = part.map(|(_, dn)| dn.as_str()).filter(|dn| PEOPLE.contains(dn));
    let person = of_part.unwrap_or(PEOPLE[step.second % PEOPLE.len()]);
    let place = PLACES[step.place];
    match step.what {
        0..3 => exchange.arrive(OUTSIDE[step.who % 2], "", DIDS[step.place % 4]).map(|_| ()),
        3..5 => exchange.dial(person, place).map(|_| ()),
        5..9 => exchange.answer(call, who),
        9 => exchange.reject(call, who),
        10 => exchange.hang_up(call, who),
        11 => exchange.ring_out(call),
        12 => exchange.poll_again(call),
        13 => exchange.time_out(call),
        14 => exchange.go_to(call, place),
        15 => exchange.transfer(call, who, place),
        16 => exchange.park(call, who, "SP0"),
        17 => exchange.pick_up(call, person),
        18 => exchange.divert(call, who, place),
        19 => exchange.barge_in(call, person),
        _ => exchange.join(call, nth(step.second), person).map(|_| ()),
    }
}

/// Checks that the changes tell exactly how the set of participants came to be what it is.
fn check(exchange: &mut Exchange, live: &mut BTreeSet<i64>, seen: &mut BTreeSet<i64>) {
    for change in exchange.take_changes() {
        let id = change.participant().id;
        match change {
            Change::Upsert(_) if live.contains(&id) => {}
            Change::Upsert(_) => {
                assert!(seen.last().is_none_or(|last| *last < id), "{id} is not a new id");
                live.insert(id);
                seen.insert(id);
            }
            Change::Remove(_) => assert!(live.remove(&id), "{id} was not there"),
        }
    }
    let participants: BTreeSet<i64> = exchange.participants().map(|leg| leg.id).collect();
    assert_eq!(&participants, live);
    let in_calls: Vec<i64> =
        exchange.calls().flat_map(|call| call.others().chain([call.anchor])).collect();
    let unique: BTreeSet<i64> = in_calls.iter().copied().collect();
    assert_eq!(unique.len(), in_calls.len(), "a leg plays two parts");
    assert_eq!(unique, participants);
    for call in exchange.calls() {
        for leg in call.others().chain([call.anchor]) {
            assert_eq!(exchange.participant(leg).map(|leg| leg.callid), Some(call.id));
        }
        assert!(call.others().next().is_some() || call.group.is_some(), "{call:?} has one leg");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn legs_and_calls_stay_in_step_and_nothing_is_left_over(
        steps in proptest::collection::vec(step(), 1..60),
        join in prop_oneof![Just(Join::LegMoves), Just(Join::LegReplaced), Just(Join::OtherSideMoves)],
        queue_leg_stays: bool,
        group_leg: bool,
    ) {
        let builder = Pbx::small_office().join(join).queue_leg_stays(queue_leg_stays);
        let builder = builder.group_leg(group_leg).if_not_answered("800", "850");
        let mut exchange = Exchange::new(builder.plan().expect("the plan is sound"));
        let (mut live, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for step in steps {
            let mut after = exchange.clone();
            // An action that is refused leaves everything as it was.
            if take(&mut after, step).is_err() {
                prop_assert_eq!(after.take_changes(), []);
                continue;
            }
            exchange = after;
            check(&mut exchange, &mut live, &mut seen);
        }
        // Everybody goes home: whoever is the first in a call ends it.
        for _ in 0..1000 {
            let Some((call, leg)) = exchange.calls().next().map(|call| (call.id, call.anchor)) else {
                break;
            };
            prop_assert_eq!(exchange.hang_up(call, Who::Participant(leg)), Ok(()));
            check(&mut exchange, &mut live, &mut seen);
        }
        prop_assert!(live.is_empty());
    }
}
