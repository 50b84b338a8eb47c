//! What holds whatever the exchange does: random legs of random calls, with snapshots, gaps and
//! restarts in between.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{CALLER, LegSketch, Story, leg};
use crate::event::{CallEvent, EventKind};
use crate::source::notice::{DnType, LegKey, Seen, Status};

const DNS: [(&str, DnType); 5] = [
    ("106", DnType::Extension),
    ("107", DnType::Extension),
    ("800", DnType::Queue),
    ("850", DnType::Receptionist),
    ("10007", DnType::ExternalLine),
];

/// One thing that happens at the exchange or to callhook.
#[derive(Clone, Debug)]
enum Act {
    Shows {
        dn: usize,
        id: i64,
        call: i64,
        status: Status,
        side: u8,
    },
    Goes {
        place: prop::sample::Index,
    },
    Passes {
        ms: u64,
    },
    /// The connection is lost, and found again after this long.
    Gap {
        ms: u64,
    },
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let status = prop_oneof![
        Just(Status::Dialing),
        Just(Status::Ringing),
        Just(Status::Connected),
        Just(Status::Other("Hold".into())),
        Just(Status::Other("Held".into()))
    ];
    prop_oneof![
        8 => (0..DNS.len(), 1..6_i64, 1..4_i64, status, 0..4_u8)
            .prop_map(|(dn, id, call, status, side)| Act::Shows { dn, id, call, status, side }),
        5 => any::<prop::sample::Index>().prop_map(|place| Act::Goes { place }),
        3 => (0..5_000_u64).prop_map(|ms| Act::Passes { ms }),
        1 => (0..60_000_u64).prop_map(|ms| Act::Gap { ms }),
        1 => Just(Act::Restart),
    ]
}

/// A leg as one of four kinds of other side would show it.
fn sketch(dn: usize, id: i64, call: i64, status: Status, side: u8) -> LegSketch {
    let leg = leg(DNS[dn].0, id, status).with(|leg| leg.call_id = call);
    match side {
        0 => leg,
        1 => leg.outgoing(),
        2 => leg.with_extension("107"),
        _ => leg.with(|leg| {
            leg.party_dn = "666".into();
            leg.party_dn_type = DnType::SpecialMenu;
            leg.party_caller_id = CALLER.into();
        }),
    }
}

/// The exchange's legs as they are, by key.
#[derive(Default)]
struct Legs(BTreeMap<LegKey, (usize, i64, Status, u8)>);

impl Legs {
    fn sketches(&self) -> Vec<LegSketch> {
        let sketch = |(key, (dn, call, status, side)): (&LegKey, &(usize, i64, Status, u8))| {
            sketch(*dn, key.id, *call, status.clone(), *side)
        };
        self.0.iter().map(sketch).collect()
    }

    fn take(&mut self, place: prop::sample::Index) -> Option<LegKey> {
        if self.0.is_empty() {
            return None;
        }
        let key = self.0.keys().nth(place.index(self.0.len())).cloned()?;
        self.0.remove(&key);
        Some(key)
    }
}

/// Plays the acts, then lets every leg go and the exchange rest.
fn play(acts: &[Act], with_restarts: bool) -> Story {
    let mut story = Story::with_dns(&DNS);
    let mut legs = Legs::default();
    for act in acts {
        match act {
            Act::Shows { dn, id, call, status, side } => {
                let key = LegKey { dn: DNS[*dn].0.into(), id: *id };
                legs.0.insert(key, (*dn, *call, status.clone(), *side));
                story.leg(sketch(*dn, *id, *call, status.clone(), *side));
            }
            Act::Goes { place } => {
                if let Some(key) = legs.take(*place) {
                    story.see(Seen::LegGone(key));
                }
            }
            Act::Passes { ms } => {
                story.pass(*ms);
            }
            Act::Gap { ms } => {
                story.see(Seen::Lost).pass(*ms).snapshot(legs.sketches());
            }
            Act::Restart if with_restarts => {
                story.restart().snapshot(legs.sketches());
            }
            Act::Restart => {
                story.snapshot(legs.sketches());
            }
        }
    }
    story.snapshot(Vec::new()).pass(5_000);
    story
}

/// The events of each chain, in order.
fn chains(events: &[CallEvent]) -> BTreeMap<String, Vec<&CallEvent>> {
    let mut chains: BTreeMap<String, Vec<&CallEvent>> = BTreeMap::new();
    for event in events {
        chains.entry(event.id.chain.to_string()).or_default().push(event);
    }
    chains
}

fn is_end(event: &CallEvent) -> bool {
    matches!(event.kind, EventKind::Ended(_))
}

fn is_start(event: &CallEvent) -> bool {
    matches!(event.kind, EventKind::Started(_))
}

proptest! {
    #[test]
    fn every_link_that_began_ends_exactly_once(acts in prop::collection::vec(act(), 0..80)) {
        let story = play(&acts, true);
        for (chain, events) in chains(&story.events) {
            let last = events.iter().map(|event| event.id.link).max().unwrap_or_default();
            for link in 0..=last {
                let of_link: Vec<&&CallEvent> =
                    events.iter().filter(|event| event.id.link == link).collect();
                let ends = of_link.iter().filter(|event| is_end(event)).count();
                let became_first = link == 0
                    && events.iter().any(|event| event.id.link == 1 && is_start(event));
                if ends == 0 {
                    prop_assert!(of_link.is_empty() || became_first, "{chain}-{link} has no end");
                }
                prop_assert!(ends <= 1, "{chain}-{link} has {ends} ends");
                prop_assert!(of_link.iter().filter(|event| is_start(event)).count() <= 1);
            }
        }
    }

    #[test]
    fn ringing_comes_before_start_and_start_before_end(
        acts in prop::collection::vec(act(), 0..80)
    ) {
        let story = play(&acts, true);
        for (chain, events) in chains(&story.events) {
            let rank = |event: &CallEvent| match event.kind {
                EventKind::Ringing(_) | EventKind::RingingStopped(_) | EventKind::Dialing => 0,
                EventKind::Started(_) => 1,
                EventKind::Hold | EventKind::Resume => 2,
                _ => 3,
            };
            let told: Vec<(u32, i32)> =
                events.iter().map(|event| (event.id.link, rank(event))).collect();
            prop_assert!(told.is_sorted(), "{chain}: {told:?}");
            let numbers: Vec<u32> = events.iter().map(|event| event.sequence).collect();
            let counted: Vec<u32> = (1..).take(numbers.len()).collect();
            prop_assert_eq!(numbers, counted, "{} skips or repeats a number", chain);
        }
    }

    #[test]
    fn every_ringing_ends_with_its_answer_or_stops(
        acts in prop::collection::vec(act(), 0..80)
    ) {
        let story = play(&acts, true);
        for (chain, events) in chains(&story.events) {
            let mut rings: Vec<(&str, u32)> = Vec::new();
            for event in events {
                let ringer = (event.user.number.as_str(), event.id.link);
                let place = rings.iter().position(|known| *known == ringer);
                match (&event.kind, place) {
                    (EventKind::Ringing(_), None) => rings.push(ringer),
                    (EventKind::Ringing(_), Some(_)) => {
                        prop_assert!(false, "{chain}: {ringer:?} rings twice");
                    }
                    (EventKind::RingingStopped(_), Some(place)) => { rings.remove(place); }
                    (EventKind::RingingStopped(_), None) => {
                        prop_assert!(false, "{chain}: {ringer:?} stops and did not ring");
                    }
                    (EventKind::Started(_), _) => rings.retain(|(user, _)| *user != ringer.0),
                    (EventKind::Ended(_), _) => {
                        prop_assert!(rings.is_empty(), "{chain}: {rings:?} ring beyond the end");
                    }
                    _ => {}
                }
            }
            prop_assert!(rings.is_empty(), "{chain}: {rings:?} ring for ever");
        }
    }

    #[test]
    fn a_hold_and_a_resume_take_turns_in_a_talk(acts in prop::collection::vec(act(), 0..80)) {
        let story = play(&acts, true);
        for (chain, events) in chains(&story.events) {
            let mut talk: Option<(&str, bool)> = None;
            for event in events {
                let user = event.user.number.as_str();
                match &event.kind {
                    EventKind::Started(_) => talk = Some((user, false)),
                    EventKind::Ended(_) => talk = None,
                    EventKind::Hold | EventKind::Resume => {
                        let holds = event.kind == EventKind::Hold;
                        prop_assert_eq!(talk, Some((user, !holds)), "{}", chain);
                        talk = Some((user, holds));
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn a_restart_changes_nothing_of_what_is_told(acts in prop::collection::vec(act(), 0..80)) {
        let (killed, undisturbed) = (play(&acts, true), play(&acts, false));
        prop_assert_eq!(killed.events, undisturbed.events);
    }

    #[test]
    fn an_idle_exchange_leaves_no_state(acts in prop::collection::vec(act(), 0..80)) {
        let mut story = play(&acts, true);
        story.pass(700_000);
        prop_assert!(story.kept.is_empty(), "kept: {:?}", story.kept.keys());
        prop_assert!(story.engine.is_empty());
    }
}
