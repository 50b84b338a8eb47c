//! One call: its legs, the link that is on, and what a notice changes of them.
//!
//! Nothing here reacts to a notice as such. A notice changes the legs; then [`Call::conclude`]
//! compares what the legs show with what was already told, and tells the difference. So the
//! order in which notices arrive within a moment does not matter, a repeated notice has no
//! effect, and a snapshot is handled like any other change.

use serde::{Deserialize, Serialize};

use super::Settings;
use super::leg::{Facts, Leg, Origin, Role, same_number};
use super::link::Link;
use super::time::At;
use crate::event::{CallEvent, ChainId, Did, Direction, LocalTime, Party, TransferType};
use crate::source::notice::LegKey;

/// A call that a loop keeps forwarding grows no further than this.
const MAX_LEGS: usize = 256;

/// What a conclusion needs besides the call.
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    /// When the change was seen.
    pub(super) at: At,
    /// The change was found by comparing snapshots, so its true time is not known.
    pub(super) resynced: bool,
    /// Where events go, in the order in which they must leave.
    pub(super) events: &'a mut Vec<CallEvent>,
}

/// A call, from its first leg until it is over, and some time beyond.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    /// The PBX's run-time number of the call.
    pub(super) number: i64,
    /// Other numbers under which the PBX went on with it after an attended transfer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) aliases: Vec<i64>,
    /// When the last of them came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) joined: Option<At>,
    pub(super) chain: ChainId,
    pub(super) arrived: At,
    /// `None` until a leg tells.
    pub(super) direction: Option<Direction>,
    /// The external number, or the calling extension of an internal call.
    pub(super) caller_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) caller_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) did: Option<Did>,
    /// The last queue that it came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<Party>,
    /// In the order in which they appeared.
    pub(super) legs: Vec<(LegKey, Leg)>,
    /// Counts legs and talks, to know what came after what.
    pub(super) births: u32,
    /// A trunk's leg was visible, so its end is the call's end.
    pub(super) trunk_seen: bool,
    /// The outside party that an internal call turns out to have got: which way, and who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outside: Option<(Direction, String)>,
    pub(super) link: Link,
    /// The number of events told so far.
    pub(super) sequence: u32,
    /// Since when nothing shows who has the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) quiet: Option<Quiet>,
    /// Since when it is over. It is kept for a while in case it shows up again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) over: Option<At>,
    /// It has grown to a bound, and that was said.
    #[serde(default)]
    pub(super) bounded: bool,
    /// When the engine looks at it again without a notice, in steady milliseconds.
    #[serde(skip)]
    pub(super) due: Option<i64>,
}

/// Nothing visible shows who has the call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Quiet {
    pub(super) since: At,
    pub(super) resynced: bool,
    /// The settling time has passed.
    pub(super) settled: bool,
    /// When it was among the PBX's active calls last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) listed: Option<At>,
}

impl Call {
    /// A call that was first seen at `at`.
    pub(super) fn new(number: i64, at: At, settings: &Settings) -> Self {
        Self {
            number,
            aliases: Vec::new(),
            joined: None,
            chain: ChainId::new(LocalTime::new(at.wall(), &settings.zone), number),
            arrived: at,
            direction: None,
            caller_id: String::new(),
            caller_name: None,
            did: None,
            queue: None,
            legs: Vec::new(),
            births: 0,
            trunk_seen: false,
            outside: None,
            link: Link::new(0, at, TransferType::NotDef, None),
            sequence: 0,
            quiet: None,
            over: None,
            bounded: false,
            due: None,
        }
    }

    /// What a leg was when it was last seen.
    pub(super) fn facts(&self, key: &LegKey) -> Option<&Facts> {
        self.legs.iter().find(|(known, _)| known == key).map(|(_, leg)| &leg.facts)
    }

    /// Somebody outside takes part, as far as known.
    pub(super) fn is_external(&self) -> bool {
        matches!(self.direction, Some(Direction::Incoming | Direction::Outgoing))
    }

    /// Somebody outside takes part now.
    pub(super) fn has_outside(&self) -> bool {
        self.over.is_none() && self.is_external()
    }

    /// The outside party is this number, as far as the texts tell. Who withholds the number is
    /// nobody who tells it.
    pub(super) fn is_with(&self, number: &str) -> bool {
        let both_told = self.caller_id.is_empty() == number.is_empty();
        self.has_outside() && both_told && same_number(&self.caller_id, number)
    }

    /// A leg with this number belongs to the call as long as that lives; after it was over, only
    /// if it has the same other side, or at once: two calls never share an id.
    pub(super) fn is_continued_by(&self, facts: &Facts, at: At) -> bool {
        let is_same = |number: &String| *number == self.caller_id;
        self.over.is_none_or(|over| at.ms_since(over) < 1_000)
            || facts.external.as_ref().is_none_or(is_same)
    }

    /// A leg that shows the same number after nobody watched for a while is another call's if
    /// its phone went back to ringing, or if somebody else is outside: the PBX was restarted and
    /// its numbers began anew. What the leg has shown before says nothing: a queue's may stay
    /// and show somebody who left long ago.
    pub(super) fn is_contradicted_by(&self, key: &LegKey, facts: &Facts) -> bool {
        let known = self.facts(key);
        let went_back = known.is_some_and(|known| known.is_up() && !facts.is_up());
        let stranger = self.is_external()
            && facts.role != Role::Trunk
            && known.is_none_or(|known| known.external != facts.external)
            && facts.external.as_ref().is_some_and(|number| !same_number(number, &self.caller_id));
        self.over.is_none() && (went_back || stranger)
    }

    /// Takes in what a leg shows. False if that is nothing new.
    pub(super) fn observe(&mut self, key: &LegKey, facts: Facts, origin: Origin, at: At) -> bool {
        if self.facts(key) == Some(&facts) {
            return false;
        }
        if self.over.is_none() {
            self.learn(&facts);
        } else if self.facts(key).is_none() && self.is_reached_by(&facts) {
            self.reopen(at);
            if let Some(number) = facts.external.as_ref().filter(|_| !facts.shows(&self.caller_id))
            {
                self.caller_id.clone_from(number);
                self.direction = Some(facts.direction);
            }
            self.learn(&facts);
        }
        let connected = facts.is_up().then_some(at);
        let rang = (!facts.is_up()).then_some(at);
        let talks = self.link.talk.is_some();
        if let Some((_, leg)) = self.legs.iter_mut().find(|(known, _)| known == key) {
            if !talks && !leg.facts.tells_whom() && facts.tells_whom() {
                // The own phone was lifted, and the far side has not answered before now.
                leg.connected = None;
            }
            leg.connected = leg.connected.or(connected);
            leg.referred_by = facts.referred_by.clone().or(leg.referred_by.take());
            leg.facts = facts;
            return true;
        }
        let listens = facts.is_up() && facts.referred_by.is_none() && self.is_in_talk();
        let born = self.next_birth();
        let referred_by = facts.referred_by.clone();
        let joined = facts.role == Role::User && (origin == Origin::Asked || listens);
        let announced = origin == Origin::MovedIdle;
        let leg = Leg { facts, born, rang, connected, announced, joined, referred_by };
        self.take_over(key.clone(), leg)
    }

    /// A call that was over goes on if a new leg has its outside party. Those inside who talk on
    /// among themselves are not told of.
    fn is_reached_by(&self, facts: &Facts) -> bool {
        facts.external.is_some() || !self.is_external()
    }

    /// Adds a leg, if there is room for it.
    pub(super) fn take_over(&mut self, key: LegKey, leg: Leg) -> bool {
        if self.legs.len() >= MAX_LEGS {
            self.say_bound("legs", MAX_LEGS);
            return false;
        }
        // Most calls have one or two legs, and room for more would be most of their memory.
        self.legs.reserve_exact(1);
        self.legs.push((key, leg));
        true
    }

    /// Says, once for each call, that it has grown to a bound and loses detail.
    pub(super) fn say_bound(&mut self, what: &str, limit: usize) {
        if !self.bounded {
            tracing::warn!(call = %self.chain, what, limit, "Call keeps growing, ignoring more.");
        }
        self.bounded = true;
    }

    /// Takes a leg out. False if it was not there.
    pub(super) fn forget(&mut self, key: &LegKey) -> bool {
        let before = self.legs.len();
        self.legs.retain(|(known, _)| known != key);
        self.legs.len() < before
    }

    /// The next in the order of legs and talks.
    pub(super) fn next_birth(&mut self) -> u32 {
        self.births = self.births.saturating_add(1);
        self.births
    }

    /// Somebody talks, and the leg is there.
    fn is_in_talk(&self) -> bool {
        self.link.talk.as_ref().is_some_and(|talk| self.facts(&talk.leg).is_some())
    }

    /// The next link of a call that seemed to be over.
    fn reopen(&mut self, at: At) {
        let (transfer, by) = match self.link.talk.take() {
            Some(talk) => (TransferType::Blind, Some(talk.user)),
            None => (self.link.transfer, None),
        };
        self.link = Link::new(self.link.number.saturating_add(1), at, transfer, by);
        self.quiet = None;
        self.over = None;
    }

    fn learn(&mut self, facts: &Facts) {
        self.trunk_seen |= facts.role == Role::Trunk;
        match (&facts.external, self.direction) {
            // The first external side is the caller's; a later one may be where it was sent to.
            (Some(number), Some(Direction::Internal)) if self.link.open || self.sequence > 0 => {
                self.outside.get_or_insert((facts.direction, number.clone()));
            }
            (Some(number), None | Some(Direction::Internal | Direction::Unknown)) => {
                self.direction = Some(facts.direction);
                self.caller_id.clone_from(number);
            }
            (None, None | Some(Direction::Internal | Direction::Unknown)) => {
                self.learn_inside(facts);
            }
            // The number comes a moment after the phone has begun to ring, or to dial.
            (Some(number), Some(direction)) if self.may_be(facts, direction) => {
                self.caller_id.clone_from(number);
            }
            _ => {}
        }
        if facts.external.as_ref() == Some(&self.caller_id) {
            self.caller_name = facts.name.clone().or(self.caller_name.take());
        }
        // The mere name of a rule takes the place of nothing that has a number.
        let numbered = |did: &Did| !did.number.is_empty();
        if facts
            .did
            .as_ref()
            .is_some_and(|did| numbered(did) || !self.did.as_ref().is_some_and(numbered))
        {
            self.did.clone_from(&facts.did);
        }
        self.queue = self.queue.take().or_else(|| facts.past_queue.clone());
    }

    /// The other side of this leg may be the outside party, whose number is not known. A trunk's
    /// leg may as well show whom the call is sent to, and later legs whom it was joined with.
    fn may_be(&self, facts: &Facts, direction: Direction) -> bool {
        let begins = self.link.number == 0 && self.link.talk.is_none();
        let is_unknown = begins && self.caller_id.is_empty();
        is_unknown && facts.role != Role::Trunk && facts.direction == direction
    }

    fn learn_inside(&mut self, facts: &Facts) {
        if self.direction != Some(Direction::Internal) {
            self.direction = Some(facts.direction);
        }
        let caller = if facts.originates { &facts.party.number } else { &facts.peer };
        self.caller_id.clone_from(caller);
        if !facts.originates {
            self.caller_name = facts.name.clone().or(self.caller_name.take());
        }
    }
}
