//! The outbox behaves as lanes in memory do, whatever is done to it in whatever order.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::outbox::{FollowUp, Judged, follow_up_id};

/// What can be done to an outbox.
#[derive(Clone, Debug)]
enum Step {
    Append { lane: u8, requests: u8, expired: bool },
    Replay { which: usize },
    Claim(usize),
    Settle { which: usize, how: How },
    Retry(usize),
    Bury(usize),
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Delivered,
    Followed(u8),
    Dead,
    Expired,
    GivenBack { due: bool },
    Later { due: bool, charged: bool, aside: bool },
}

fn hows() -> impl Strategy<Value = How> {
    prop_oneof![
        3 => Just(How::Delivered),
        3 => (1..3_u8).prop_map(How::Followed),
        1 => Just(How::Dead),
        1 => Just(How::Expired),
        1 => any::<bool>().prop_map(|due| How::GivenBack { due }),
        3 => any::<(bool, bool, bool)>()
            .prop_map(|(due, charged, aside)| How::Later { due, charged, aside }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8, 1..3_u8, proptest::bool::weighted(0.1))
            .prop_map(|(lane, requests, expired)| Step::Append { lane, requests, expired }),
        1 => any::<usize>().prop_map(|which| Step::Replay { which }),
        4 => (0..4_usize).prop_map(Step::Claim),
        6 => (any::<usize>(), hows()).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => any::<usize>().prop_map(Step::Retry),
        1 => any::<usize>().prop_map(Step::Bury),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..60)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Behind,
    Turn,
    Delivered,
    Dead,
    Expired,
}

#[derive(Clone, Debug)]
struct Known {
    id: String,
    lane: String,
    state: State,
    aside: bool,
    due: bool,
    attempts: u32,
    claimed: bool,
    /// What the lane is ordered by: the first that it follows from, and how many it follows.
    place: usize,
    depth: usize,
}

/// The same in memory: all requests in the order in which they were made.
#[derive(Debug, Default)]
struct Model {
    all: Vec<Known>,
    made: u32,
    replays: BTreeMap<String, u32>,
}

impl Model {
    fn add(&mut self, id: String, lane: &str, expires: bool) {
        self.put(id, lane, (self.all.len(), 0));
        // The sweep may come at any time, but here it is as if it came at once.
        if expires {
            let last = self.all.len() - 1;
            self.finish(last, State::Expired);
        }
    }

    fn put(&mut self, id: String, lane: &str, (place, depth): (usize, usize)) {
        let state = if self.has_turn(lane) { State::Behind } else { State::Turn };
        let (aside, due, attempts, claimed) = (false, true, 0, false);
        let lane = lane.to_owned();
        self.all.push(Known { id, lane, state, aside, due, attempts, claimed, place, depth });
    }

    fn has_turn(&self, lane: &str) -> bool {
        self.all.iter().any(|known| {
            let waits = matches!(known.state, State::Turn | State::Behind);
            known.lane == lane && waits && !known.aside
        })
    }

    fn give_turn(&mut self, lane: &str) {
        let led = |known: &Known| known.lane == lane && known.state == State::Turn && !known.aside;
        if !self.all.iter().any(led) {
            let behind = self.all.iter_mut().enumerate();
            let behind = behind.filter(|(_, x)| x.lane == lane && x.state == State::Behind);
            let next = behind.min_by_key(|(seq, x)| (x.place, Reverse(x.depth), *seq));
            let next = next.map(|(_, known)| known);
            if let Some(next) = next {
                next.state = State::Turn;
            }
        }
    }

    fn finish(&mut self, which: usize, state: State) {
        self.all[which].state = state;
        let lane = self.all[which].lane.clone();
        self.give_turn(&lane);
    }

    fn claimable(&self) -> Vec<String> {
        let free = self.all.iter().filter(|x| x.state == State::Turn && x.due && !x.claimed);
        free.map(|known| known.id.clone()).collect()
    }

    fn pending(&self) -> usize {
        self.all.iter().filter(|x| matches!(x.state, State::Turn | State::Behind)).count()
    }

    fn pick(&self, which: usize, fit: impl Fn(&Known) -> bool) -> Option<usize> {
        let fitting: Vec<usize> =
            (0..self.all.len()).filter(|&index| fit(&self.all[index])).collect();
        (!fitting.is_empty()).then(|| fitting[which % fitting.len()])
    }

    fn settle(&mut self, which: usize, how: How) {
        let known = &mut self.all[which];
        known.claimed = false;
        // Somebody may have buried it meanwhile, and somebody else may want it to be tried again.
        let ends = matches!(how, How::Delivered | How::Dead | How::Expired);
        if known.state != State::Turn && !(ends && known.state == State::Behind) {
            if known.state == State::Dead && matches!(how, How::Delivered | How::Followed(_)) {
                known.state = State::Delivered;
            }
            return;
        }
        match how {
            How::Delivered | How::Dead => {
                known.attempts += 1;
                let end = matches!(how, How::Delivered);
                self.finish(which, if end { State::Delivered } else { State::Dead });
            }
            How::Followed(count) => {
                known.attempts += 1;
                known.state = State::Delivered;
                let Known { id, lane, place, depth, .. } = known.clone();
                for number in 1..=count {
                    self.put(follow_up_id(&id, number.into()), &lane, (place, depth + 1));
                }
                self.give_turn(&lane);
            }
            How::Expired => self.finish(which, State::Expired),
            How::GivenBack { due } => known.due = due,
            How::Later { due, charged, aside } => {
                known.due = due;
                known.attempts += u32::from(charged);
                known.aside |= aside;
                let lane = known.lane.clone();
                self.give_turn(&lane);
            }
        }
    }

    fn retry(&mut self, which: usize) {
        let known = &mut self.all[which];
        known.due = true;
        known.attempts = 0;
        if !matches!(known.state, State::Turn | State::Behind) {
            known.state = State::Behind;
            known.aside = false;
            let lane = known.lane.clone();
            self.give_turn(&lane);
        }
    }
}

fn settlement(how: How) -> Settlement {
    let wait = |due| if due { Duration::ZERO } else { LONG };
    match how {
        How::Delivered | How::Followed(_) => Settlement::Delivered(attempt()),
        How::Dead => Settlement::Dead { attempt: attempt(), reason: "reason".to_owned() },
        How::Expired => Settlement::Expired,
        How::GivenBack { due } => Settlement::GivenBack(wait(due)),
        How::Later { due, charged, aside } => {
            let charge = if charged { Charge::Attempt } else { Charge::Nothing };
            {
                let aside = aside.then_some(Duration::ZERO);
                Settlement::Later { attempt: attempt(), wait: wait(due), charge, aside }
            }
        }
    }
}

impl Bench {
    fn follow(&self, id: &str, settlement: Settlement, count: u8) {
        let follow_up = |number: u8| FollowUp {
            expires_in: None,
            class: Class::Core,
            base: "http://crm.example/".to_owned(),
            request: Request::draft(&format!("http://crm.example/{number}")),
        };
        let follow_ups = (1..=count).map(follow_up).collect();
        let judged = Judged { settlement, follow_ups, memory: Vec::new(), failure: None };
        let claimed = self.held.borrow().get(id).cloned().unwrap();
        self.outbox().settle_judged(&claimed, judged).wait().unwrap();
    }
}

fn take(bench: &mut Bench, model: &mut Model, step: &Step) {
    match *step {
        Step::Append { lane, requests, expired } => {
            model.made += 1;
            let event = format!("e{}", model.made);
            let lane = lane.to_string();
            let expires_in = expired.then_some(Duration::ZERO);
            let new: Vec<NewRequest> = (0..u32::from(requests))
                .map(|index| NewRequest { index, expires_in, ..request(&event, CRM, &lane) })
                .collect();
            for new in &new {
                model.add(new.id(), &lane, expired);
            }
            bench.append(commit_of(new));
        }
        Step::Replay { which } if model.made > 0 => {
            let event = format!("e{}", which % model.made as usize + 1);
            let generation = bench.outbox().next_generation(&event, CRM).unwrap();
            let replays = model.replays.entry(event.clone()).or_default();
            *replays += 1;
            assert_eq!(generation, *replays);
            let new = NewRequest { generation, ..request(&event, CRM, "0") };
            model.add(new.id(), "0", false);
            bench.append(commit_of(vec![new]));
        }
        Step::Replay { .. } => {}
        Step::Claim(max) => {
            let claimable = model.claimable();
            let claims = bench.claims(CRM, max).requests;
            assert_eq!(claims.len(), claimable.len().min(max));
            for claimed in claims {
                assert!(claimable.contains(&claimed.id), "{claimed:?}");
                let known = model.all.iter_mut().find(|known| known.id == claimed.id).unwrap();
                assert_eq!(claimed.attempts, known.attempts);
                known.claimed = true;
            }
        }
        Step::Settle { which, how } => {
            if let Some(which) = model.pick(which, |known| known.claimed) {
                let (id, settlement) = (&model.all[which].id, settlement(how));
                match how {
                    How::Followed(count) => bench.follow(id, settlement, count),
                    _ => bench.settle(id, settlement),
                }
                model.settle(which, how);
            }
        }
        Step::Retry(which) => {
            if let Some(which) = model.pick(which, |x| x.state != State::Delivered) {
                assert_eq!(bench.retry(&model.all[which].id), 1);
                model.retry(which);
            }
        }
        Step::Bury(which) => {
            let waits = |known: &Known| matches!(known.state, State::Turn | State::Behind);
            if let Some(which) = model.pick(which, waits) {
                let chosen = Selection::Ids(vec![model.all[which].id.clone()]);
                let buried = bench.runtime.block_on(bench.outbox().bury(&chosen, "operator"));
                assert_eq!(buried.unwrap(), 1);
                model.finish(which, State::Dead);
            }
        }
        Step::Reopen => {
            model.all.iter_mut().for_each(|known| known.claimed = false);
            bench.reopen();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_behaves_as_lanes_in_memory_do(steps in steps()) {
        let mut bench = Bench::new();
        let mut model = Model::default();
        for step in &steps {
            take(&mut bench, &mut model, step);
            let pending = i64::try_from(model.pending()).unwrap();
            let swept = || bench.metrics.outbox_pending.get() == pending;
            if !swept() {
                wait_until(swept);
            }
        }
        bench.reopen();
        model.all.iter_mut().for_each(|known| known.claimed = false);
        let mut left = bench.claim(CRM, usize::MAX);
        left.sort();
        let mut expected = model.claimable();
        expected.sort();
        prop_assert_eq!(left, expected);
    }
}
