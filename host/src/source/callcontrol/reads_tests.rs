//! The promises of the line of reads, one by one, and against a simulated PBX in which everything
//! takes an arbitrary time.

use proptest::prelude::*;

use super::*;
use crate::source::notice::{Dn, DnType, Status};

fn at(ms: u64) -> Moment {
    Moment { wall: jiff::Timestamp::UNIX_EPOCH, mono: Duration::from_millis(ms) }
}

fn key(id: i64) -> LegKey {
    LegKey { dn: "100".to_owned(), id }
}

/// A participant whose version is its leg number.
fn leg(id: i64, version: i64) -> Participant {
    Participant {
        key: key(id),
        call_id: 1,
        leg_id: version,
        status: Status::Ringing,
        party_dn: String::new(),
        party_dn_type: DnType::None,
        party_caller_id: String::new(),
        party_caller_name: String::new(),
        party_did: String::new(),
        originated_by_dn: String::new(),
        originated_by_type: DnType::None,
        referred_by_dn: String::new(),
        referred_by_type: DnType::None,
        on_behalf_of_dn: String::new(),
        on_behalf_of_type: DnType::None,
        device_id: String::new(),
    }
}

fn is(id: i64, version: i64) -> Found {
    Found::Is(Box::new(leg(id, version)))
}

fn listing(legs: &[(i64, i64)]) -> Listing {
    Listing {
        dns: vec![Dn { number: "100".to_owned(), kind: DnType::Extension }],
        legs: legs.iter().map(|(id, version)| leg(*id, *version)).collect(),
        ..Listing::default()
    }
}

/// What was told, shortly: `7=2` a leg and its version, `7-` one that is gone, `[7=2 8=1]` a
/// snapshot.
fn brief(what: &Seen) -> String {
    let state = |leg: &Participant| format!("{}={}", leg.key.id, leg.leg_id);
    match what {
        Seen::Leg(leg) => state(leg),
        Seen::LegGone(key) => format!("{}-", key.id),
        Seen::Snapshot(shot) => {
            format!("[{}]", shot.legs.iter().map(state).collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

fn told(reads: &mut Reads, now: u64) -> Vec<String> {
    std::iter::from_fn(|| reads.tell(at(now))).map(|notice| brief(&notice.what)).collect()
}

/// A line whose first snapshot, with these legs, is told.
fn open(legs: &[(i64, i64)]) -> Reads {
    let mut reads = Reads::default();
    reads.arrive(at(1), listing(legs));
    assert_eq!(told(&mut reads, 1).len(), 1);
    reads
}

fn start(reads: &mut Reads) -> Ticket {
    reads.next_read().expect("a read should be due").0
}

#[test]
fn results_come_out_in_the_order_of_their_frames() {
    let mut reads = open(&[]);
    reads.upsert(key(1), at(10), None);
    reads.upsert(key(2), at(11), None);
    let (first, second) = (start(&mut reads), start(&mut reads));
    reads.finish(second, is(2, 1));
    assert!(!reads.ready(at(20)));
    reads.finish(first, is(1, 1));
    assert_eq!(told(&mut reads, 20), ["1=1", "2=1"]);
}

#[test]
fn the_end_of_the_old_leg_does_not_overtake_the_new_leg_of_a_transfer() {
    let mut reads = open(&[(1, 1)]);
    reads.upsert(key(2), at(10), None);
    reads.remove(key(1), at(40));
    let ticket = start(&mut reads);
    assert_eq!(told(&mut reads, 60), [""; 0]);
    reads.finish(ticket, is(2, 1));
    assert_eq!(told(&mut reads, 60), ["2=1", "1-"]);
}

#[test]
fn a_slow_read_holds_back_others_within_a_bound_only() {
    let hold = u64::try_from(HOLD.as_millis()).unwrap();
    let mut reads = open(&[(1, 1)]);
    reads.upsert(key(2), at(10), None);
    let slow = start(&mut reads);
    reads.remove(key(1), at(500));
    assert_eq!(reads.wait(at(600)), Some(Duration::from_millis(hold - 590)));
    assert_eq!(told(&mut reads, 9 + hold), [""; 0]);
    assert_eq!(told(&mut reads, 10 + hold), ["1-"]);
    reads.finish(slow, is(2, 1));
    let late = reads.tell(at(5000)).unwrap();
    assert_eq!((brief(&late.what), late.at), ("2=1".to_owned(), at(500)), "time runs forward");
}

#[test]
fn a_participant_that_waits_for_its_read_is_not_put_in_line_again() {
    let mut reads = open(&[]);
    for _ in 0..5 {
        reads.upsert(key(1), at(10), None);
    }
    let ticket = start(&mut reads);
    assert!(reads.next_read().is_none());
    reads.finish(ticket, is(1, 1));
    assert!(reads.next_read().is_none());
}

#[test]
fn a_change_during_the_read_makes_one_more_read_afterwards() {
    let mut reads = open(&[]);
    reads.upsert(key(1), at(10), None);
    let first = start(&mut reads);
    reads.upsert(key(1), at(11), None);
    reads.upsert(key(1), at(12), None);
    assert!(reads.next_read().is_none(), "one read of a participant at a time");
    reads.finish(first, is(1, 1));
    let second = start(&mut reads);
    reads.finish(second, is(1, 2));
    assert_eq!(told(&mut reads, 20), ["1=1", "1=2"]);
    assert!(reads.next_read().is_none());
}

#[test]
fn what_a_read_found_that_a_removal_overtook_is_told_before_it() {
    let mut reads = open(&[(2, 1)]);
    reads.upsert(key(1), at(10), None);
    reads.upsert(key(2), at(10), None);
    let (first, _second) = (start(&mut reads), start(&mut reads));
    reads.upsert(key(1), at(11), None);
    reads.remove(key(1), at(12));
    reads.remove(key(2), at(12));
    assert_eq!(told(&mut reads, 13), [""; 0], "what was under way may come in time");
    reads.finish(first, is(1, 1));
    assert!(reads.next_read().is_none(), "reads that waited are dropped");
    assert_eq!(told(&mut reads, 20), ["1=1"]);
    let hold = u64::try_from(HOLD.as_millis()).unwrap();
    assert_eq!(told(&mut reads, 11 + hold), ["1-", "2-"]);
}

#[test]
fn a_removal_that_overtook_a_read_is_told_alone_if_nothing_was_found() {
    for found in [Found::Gone, Found::Unknown] {
        let mut reads = open(&[(1, 1)]);
        reads.upsert(key(1), at(10), None);
        let ticket = start(&mut reads);
        reads.upsert(key(2), at(11), None);
        let other = start(&mut reads);
        reads.remove(key(1), at(12));
        reads.finish(ticket, found);
        assert_eq!(told(&mut reads, 20), [""; 0], "not earlier than the removal itself");
        reads.finish(other, is(2, 1));
        assert_eq!(told(&mut reads, 20), ["2=1", "1-"]);
    }
}

#[test]
fn a_read_that_comes_after_the_participant_was_told_to_be_gone_is_dropped() {
    let hold = u64::try_from(HOLD.as_millis()).unwrap();
    let mut reads = open(&[(1, 1)]);
    reads.upsert(key(1), at(10), None);
    let ticket = start(&mut reads);
    reads.remove(key(1), at(12));
    assert_eq!(told(&mut reads, 10 + hold), ["1-"]);
    reads.finish(ticket, is(1, 2));
    assert_eq!(told(&mut reads, 20 + hold), [""; 0]);
    reads.upsert(key(1), at(30 + hold), None);
    let ticket = start(&mut reads);
    reads.finish(ticket, is(1, 3));
    assert_eq!(told(&mut reads, 40 + hold), ["1=3"], "it seems to exist after all");
}

#[test]
fn what_was_said_is_not_said_again() {
    let mut reads = open(&[(1, 1)]);
    for version in [1, 2, 2] {
        reads.upsert(key(1), at(10), None);
        let ticket = start(&mut reads);
        reads.finish(ticket, is(1, version));
    }
    assert_eq!(told(&mut reads, 20), ["1=2"]);
}

#[test]
fn a_state_that_the_frame_carries_is_taken_and_reads_under_way_are_dropped() {
    let mut reads = open(&[]);
    reads.upsert(key(1), at(10), None);
    let ticket = start(&mut reads);
    reads.upsert(key(1), at(11), Some(Box::new(leg(1, 5))));
    reads.finish(ticket, is(1, 4));
    assert_eq!(told(&mut reads, 20), ["1=5"]);
}

#[test]
fn a_bounded_number_of_reads_is_under_way() {
    let mut reads = open(&[]);
    for id in 0..100 {
        reads.upsert(key(id), at(10), None);
    }
    let tickets: Vec<_> = std::iter::from_fn(|| reads.next_read()).collect();
    assert_eq!(tickets.len(), AT_A_TIME);
    // One that was dropped counts until it is back.
    reads.remove(key(0), at(11));
    assert!(reads.next_read().is_none());
    reads.finish(tickets[0].0, Found::Unknown);
    assert!(reads.next_read().is_some());
}

#[test]
fn while_nobody_takes_notices_changes_of_a_participant_become_one() {
    let mut reads = open(&[]);
    let mut version = 0;
    for _ in 0..10 * BACKLOG {
        version += 1;
        reads.upsert(key(1), at(10), None);
        if let Some((ticket, _)) = reads.next_read() {
            reads.finish(ticket, is(1, version));
        }
    }
    assert!(reads.line.len() <= BACKLOG + 1);
    while reads.tell(at(20)).is_some() {}
    let ticket = start(&mut reads);
    reads.finish(ticket, is(1, version));
    assert_eq!(told(&mut reads, 20), [format!("1={version}")]);
}

#[test]
fn nothing_is_told_or_read_before_the_first_snapshot() {
    let mut reads = Reads::default();
    reads.upsert(key(1), at(10), None);
    reads.remove(key(2), at(11));
    assert!(reads.next_read().is_none() && !reads.ready(at(9000)) && reads.wait(at(12)).is_none());
    reads.arrive(at(9), listing(&[(1, 1), (2, 1)]));
    assert_eq!(told(&mut reads, 13), ["[1=1 2=1]"]);
    let ticket = start(&mut reads);
    reads.finish(ticket, is(1, 2));
    assert_eq!(told(&mut reads, 14), ["1=2", "2-"]);
}

#[test]
fn a_snapshot_does_not_bring_back_what_was_removed() {
    let mut reads = open(&[(1, 1)]);
    reads.remove(key(1), at(100));
    assert_eq!(told(&mut reads, 100), ["1-"]);
    reads.arrive(at(90), listing(&[(1, 1)]));
    assert_eq!(told(&mut reads, 110), ["[]"], "asked before the removal");
    reads.arrive(at(200), listing(&[(1, 1)]));
    assert_eq!(told(&mut reads, 210), ["[]"], "asked shortly after");
    reads.arrive(at(60_000), listing(&[(1, 1)]));
    assert_eq!(told(&mut reads, 60_010), ["[1=1]"], "it seems to exist after all");
    assert_eq!(reads.missed(), 1);
}

#[test]
fn a_snapshot_does_not_overwrite_a_newer_read() {
    let mut reads = open(&[(1, 1)]);
    reads.upsert(key(1), at(100), None);
    let ticket = start(&mut reads);
    reads.finish(ticket, is(1, 3));
    assert_eq!(told(&mut reads, 110), ["1=3"]);
    reads.arrive(at(105), listing(&[(1, 2)]));
    assert_eq!(told(&mut reads, 120), ["[1=3]"]);
}

#[test]
fn a_snapshot_leaves_to_the_line_what_is_in_line() {
    let mut reads = open(&[(1, 1)]);
    reads.upsert(key(2), at(100), None);
    reads.remove(key(1), at(101));
    let ticket = start(&mut reads);
    reads.arrive(at(102), listing(&[(2, 2)]));
    assert_eq!(told(&mut reads, 103), ["[1=1]"], "2 would be told by the line, and 1 removed");
    reads.finish(ticket, is(2, 1));
    assert_eq!(told(&mut reads, 104), ["2=1", "1-"]);
}

#[test]
fn a_snapshot_heals_what_no_frame_announced() {
    let mut reads = open(&[(1, 1), (2, 1)]);
    reads.arrive(at(100), listing(&[(2, 2), (3, 1)]));
    assert_eq!(told(&mut reads, 110), ["[2=2 3=1]"]);
    assert_eq!(reads.missed(), 3);
}

#[test]
fn an_unreadable_entry_in_a_snapshot_ends_no_leg() {
    let mut reads = open(&[(1, 1)]);
    let doubtful = Listing { doubtful: vec!["100".to_owned()], ..listing(&[]) };
    reads.arrive(at(100), doubtful);
    assert_eq!(told(&mut reads, 110), ["[1=1]"]);
    let incomplete = Listing { dns: Vec::new(), incomplete: true, ..listing(&[]) };
    reads.arrive(at(200), incomplete);
    assert_eq!(told(&mut reads, 210), ["[1=1]"]);
    reads.arrive(at(300), listing(&[]));
    assert_eq!(told(&mut reads, 310), ["[]"]);
}

#[test]
fn memory_of_removed_participants_ends_with_the_next_snapshots() {
    let mut reads = open(&[]);
    for id in 0..1000 {
        reads.remove(key(id), at(10));
    }
    while reads.tell(at(20)).is_some() {}
    reads.arrive(at(60_000), listing(&[]));
    assert_eq!(told(&mut reads, 60_010), ["[]"]);
    assert!(reads.legs.is_empty());
}

// === against a simulated PBX ===

/// What may happen, in any order. Numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A participant appears, changes, or, more rarely, vanishes; a frame is on its way.
    Change(usize, bool),
    /// The same, and the PBX forgets the frame.
    ChangeUnannounced(usize, bool),
    Deliver,
    StartReads,
    /// The PBX looks up what a read asks for.
    LookUp(usize),
    /// Its answer comes.
    Answer(usize),
    Ask,
    LookUpAll,
    AnswerAll,
    Tell,
    Pass(u64),
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_usize, prop::bool::weighted(0.3)).prop_map(|(leg, end)| Step::Change(leg, end)),
        1 => (0..4_usize, prop::bool::weighted(0.3))
            .prop_map(|(leg, end)| Step::ChangeUnannounced(leg, end)),
        6 => Just(Step::Deliver),
        6 => Just(Step::StartReads),
        4 => (0..8_usize).prop_map(Step::LookUp),
        4 => (0..8_usize).prop_map(Step::Answer),
        2 => Just(Step::Ask),
        2 => Just(Step::LookUpAll),
        2 => Just(Step::AnswerAll),
        6 => Just(Step::Tell),
        3 => (0..3000_u64).prop_map(Step::Pass),
        1 => Just(Step::Reconnect),
    ]
}

/// A participant at the PBX: its version, or that it is no more. Ids are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    NotYet,
    Is(i64),
    Ended,
}

struct World {
    reads: Reads,
    now: u64,
    truth: [Truth; 4],
    /// Frames on their way: the participant, and whether it vanished.
    frames: VecDeque<(usize, bool)>,
    /// Reads under way, with what was looked up.
    reading: Vec<(Ticket, LegKey, Option<Found>)>,
    asking: Option<(u64, Option<Listing>)>,
    /// What a listener knows: the version of each participant that it believes to exist.
    view: HashMap<i64, i64>,
    /// The newest version that it ever heard of, and the largest number once it is gone.
    heard: HashMap<i64, i64>,
    /// The newest version that a read has found, as long as it has to be told yet.
    owed: HashMap<i64, i64>,
    told_at: Duration,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            reads: Reads::default(),
            now: 1,
            truth: [Truth::NotYet; 4],
            frames: VecDeque::new(),
            reading: Vec::new(),
            asking: None,
            view: HashMap::new(),
            heard: HashMap::new(),
            owed: HashMap::new(),
            told_at: Duration::ZERO,
        };
        world.take(Step::Ask);
        world
    }

    fn take(&mut self, step: Step) {
        self.now += 1;
        match step {
            Step::Change(leg, end) => {
                if let Some(ended) = self.change(leg, end) {
                    self.frames.push_back((leg, ended));
                }
            }
            Step::ChangeUnannounced(leg, end) => drop(self.change(leg, end)),
            Step::Deliver => self.deliver(),
            Step::StartReads => {
                while let Some((ticket, key)) = self.reads.next_read() {
                    self.reading.push((ticket, key, None));
                }
                assert!(self.reading.len() <= AT_A_TIME);
            }
            Step::LookUp(read) => {
                if let Some((_, key, found)) = self.reading.get_mut(read) {
                    found.get_or_insert(found_now(&self.truth, key));
                }
            }
            Step::Answer(read) => {
                if read < self.reading.len() {
                    let (ticket, key, found) = self.reading.remove(read);
                    let found = found.unwrap_or_else(|| found_now(&self.truth, &key));
                    if let Found::Is(leg) = &found {
                        self.owe(key.id, leg.leg_id);
                    }
                    self.reads.finish(ticket, found);
                }
            }
            Step::Ask => drop(self.asking.get_or_insert((self.now, None))),
            Step::LookUpAll => {
                if let Some((_, found)) = &mut self.asking {
                    found.get_or_insert_with(|| all_now(&self.truth));
                }
            }
            Step::AnswerAll => {
                if let Some((asked, found)) = self.asking.take() {
                    let found = found.unwrap_or_else(|| all_now(&self.truth));
                    self.reads.arrive(at(asked), found);
                }
            }
            Step::Tell => {
                if let Some(notice) = self.reads.tell(at(self.now)) {
                    self.listen(&notice);
                }
            }
            Step::Pass(ms) => self.now += ms,
            Step::Reconnect => self.reconnect(),
        }
    }

    fn change(&mut self, leg: usize, end: bool) -> Option<bool> {
        let truth = &mut self.truth[leg];
        *truth = match *truth {
            Truth::NotYet => Truth::Is(1),
            Truth::Is(_) if end => Truth::Ended,
            Truth::Is(version) => Truth::Is(version + 1),
            Truth::Ended => return None,
        };
        Some(*truth == Truth::Ended)
    }

    fn deliver(&mut self) {
        if let Some((leg, ended)) = self.frames.pop_front() {
            let key = key(i64::try_from(leg).unwrap());
            if ended {
                self.reads.remove(key, at(self.now));
            } else {
                self.reads.upsert(key, at(self.now), None);
            }
        }
    }

    /// What a read has found is to be told, unless that or more was.
    fn owe(&mut self, id: i64, version: i64) {
        if self.heard.get(&id).is_none_or(|heard| *heard < version) {
            self.owed.insert(id, version);
        }
    }

    fn reconnect(&mut self) {
        while let Some(notice) = self.reads.tell(at(self.now)) {
            self.listen(&notice);
        }
        self.frames.clear();
        self.reading.clear();
        self.owed.clear();
        self.reads.reset();
        self.asking = Some((self.now, None));
    }

    fn listen(&mut self, notice: &Notice) {
        assert!(notice.at.mono >= self.told_at, "time runs backwards");
        self.told_at = notice.at.mono;
        match &notice.what {
            Seen::Leg(leg) => self.hear(leg.key.id, leg.leg_id),
            Seen::LegGone(key) => {
                assert_eq!(self.owed.get(&key.id), None, "{} is gone before it was told", key.id);
                self.view.remove(&key.id);
                self.heard.insert(key.id, i64::MAX);
            }
            Seen::Snapshot(shot) => {
                let before = std::mem::take(&mut self.view);
                for leg in &shot.legs {
                    self.hear(leg.key.id, leg.leg_id);
                }
                for id in before.keys().filter(|id| !self.view.contains_key(id)) {
                    self.heard.insert(*id, i64::MAX);
                }
            }
            other => panic!("unexpected {other:?}"),
        }
    }

    fn hear(&mut self, id: i64, version: i64) {
        let heard = self.heard.entry(id).or_default();
        assert!(*heard <= version, "{id} goes back from version {heard} to {version}");
        *heard = version;
        self.owed.retain(|owed, found| *owed != id || *found > version);
        self.view.insert(id, version);
    }

    /// Lets everything come to an end, snapshot included.
    fn settle(&mut self) {
        while !self.frames.is_empty() {
            self.take(Step::Deliver);
        }
        for _ in 0..2 {
            self.take(Step::Ask);
            self.take(Step::AnswerAll);
            for _ in 0..20 {
                self.take(Step::Tell);
                self.take(Step::StartReads);
                self.take(Step::Answer(0));
            }
            self.take(Step::Pass(60_000));
        }
    }
}

fn found_now(truth: &[Truth; 4], key: &LegKey) -> Found {
    match truth[usize::try_from(key.id).unwrap()] {
        Truth::Is(version) => is(key.id, version),
        Truth::NotYet | Truth::Ended => Found::Gone,
    }
}

fn all_now(truth: &[Truth; 4]) -> Listing {
    let versions = truth.iter().zip(0..).filter_map(|(truth, id)| match truth {
        Truth::Is(version) => Some((id, *version)),
        Truth::NotYet | Truth::Ended => None,
    });
    listing(&versions.collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Whatever takes how long: no participant ever goes back to an earlier state or comes back
    /// from the dead, what a read has found is told before its participant is gone, and in the end
    /// the listener knows what the PBX knows.
    #[test]
    fn no_participant_goes_back_and_the_truth_arrives_in_the_end(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.settle();
        let truth: HashMap<i64, i64> = all_now(&world.truth)
            .legs
            .iter()
            .map(|leg| (leg.key.id, leg.leg_id))
            .collect();
        prop_assert_eq!(world.view, truth);
        prop_assert!(world.owed.is_empty(), "found and not told: {:?}", world.owed);
    }
}
