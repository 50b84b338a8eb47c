//! One call: its legs, the link that is on, and what follows when a leg comes, changes or goes.
//!
//! Nothing here reacts to a notice as such. A notice changes the legs; then [`Call::conclude`]
//! compares what the legs show with what was already told, and tells the difference. So the
//! order in which notices arrive within a moment does not matter, a repeated notice has no
//! effect, and a snapshot is handled like any other change.

use serde::{Deserialize, Serialize};

use super::Settings;
use super::leg::{Facts, Leg, Role};
use super::time::At;
use crate::event::{CallEvent, ChainId, Did, Direction, LocalTime, Party, PartyKind, TransferType};
use crate::source::notice::{LegKey, Status};

/// A call that a loop keeps forwarding grows no further than this.
const MAX_LEGS: usize = 256;
/// Of the parties that rang on one link, this many are remembered.
const MAX_RANG: usize = 64;

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
    pub(super) chain: ChainId,
    pub(super) arrived: At,
    /// `None` until a leg tells.
    pub(super) direction: Option<Direction>,
    /// The external number, or the calling extension of an internal call.
    pub(super) caller_id: String,
    pub(super) caller_name: Option<String>,
    pub(super) did: Option<Did>,
    /// The last queue that it came through.
    pub(super) queue: Option<Party>,
    /// In the order in which they appeared.
    pub(super) legs: Vec<(LegKey, Leg)>,
    /// Counts legs and talks, to know what came after what.
    pub(super) births: u32,
    /// A trunk's leg was visible, so its end is the call's end.
    pub(super) trunk_seen: bool,
    pub(super) link: Link,
    /// The number of events told so far.
    pub(super) sequence: u32,
    /// Since when nothing shows where the call is.
    pub(super) quiet: Option<Quiet>,
    /// Since when it is over. It is kept for a while in case it shows up again.
    pub(super) over: Option<At>,
    /// When the engine looks at it again without a notice, in steady milliseconds.
    #[serde(skip)]
    pub(super) due: Option<i64>,
}

/// The place in the chain of transfers that the call is at.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) number: u32,
    pub(super) began: At,
    /// Something was told, or is going to be told at its end at the latest.
    pub(super) open: bool,
    pub(super) transfer: TransferType,
    pub(super) transferred_by: Option<Party>,
    pub(super) talk: Option<Talk>,
    /// Who called, for an outgoing or internal link.
    pub(super) dialer: Option<Party>,
    /// Who was offered the call.
    pub(super) rang: Vec<Party>,
    /// The queue or group that has the call.
    pub(super) level: Option<Party>,
}

/// A conversation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Talk {
    pub(super) leg: LegKey,
    pub(super) user: Party,
    pub(super) since: At,
    pub(super) rang_at: Option<At>,
    born: u32,
}

/// Nothing visible shows where the call is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Quiet {
    pub(super) since: At,
    pub(super) resynced: bool,
    /// The settling time has passed; only a trunk's leg says that the call is still there.
    pub(super) settled: bool,
}

impl Link {
    fn new(number: u32, began: At, transfer: TransferType, by: Option<Party>) -> Self {
        Self {
            number,
            began,
            open: false,
            transfer,
            transferred_by: by,
            talk: None,
            dialer: None,
            rang: Vec::new(),
            level: None,
        }
    }
}

impl Call {
    /// A call that was first seen at `at`.
    pub(super) fn new(number: i64, at: At, settings: &Settings) -> Self {
        Self {
            number,
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
            link: Link::new(0, at, TransferType::NotDef, None),
            sequence: 0,
            quiet: None,
            over: None,
            due: None,
        }
    }

    /// What a leg was when it was last seen.
    pub(super) fn facts(&self, key: &LegKey) -> Option<&Facts> {
        self.legs.iter().find(|(known, _)| known == key).map(|(_, leg)| &leg.facts)
    }

    /// A leg with this number belongs to the call as long as that lives; after it was over, only
    /// if it has the same other side.
    pub(super) fn is_continued_by(&self, facts: &Facts) -> bool {
        self.over.is_none() || facts.external.as_ref().is_none_or(|n| *n == self.caller_id)
    }

    /// Takes in what a leg shows. False if that is nothing new.
    pub(super) fn observe(&mut self, key: &LegKey, facts: Facts, at: At) -> bool {
        if self.facts(key) == Some(&facts) {
            return false;
        }
        if self.over.take().is_some() {
            self.reopen(at);
        }
        self.learn(&facts);
        let connected = (facts.status == Status::Connected).then_some(at);
        let rang = (facts.status != Status::Connected).then_some(at);
        if let Some((_, leg)) = self.legs.iter_mut().find(|(known, _)| known == key) {
            leg.connected = leg.connected.or(connected);
            leg.facts = facts;
        } else if self.legs.len() < MAX_LEGS {
            let born = self.next_birth();
            let leg = Leg { facts, born, rang, connected, announced: false };
            self.legs.push((key.clone(), leg));
        } else {
            tracing::warn!(call = %self.chain, limit = MAX_LEGS, "Call has too many legs, ignoring more.");
            return false;
        }
        true
    }

    /// Takes a leg out. False if it was not there.
    pub(super) fn forget(&mut self, key: &LegKey) -> bool {
        let before = self.legs.len();
        self.legs.retain(|(known, _)| known != key);
        self.legs.len() < before
    }

    fn next_birth(&mut self) -> u32 {
        self.births = self.births.saturating_add(1);
        self.births
    }

    /// The next link of a call that seemed to be over.
    fn reopen(&mut self, at: At) {
        let (transfer, by) = match self.link.talk.take() {
            Some(talk) => (TransferType::Blind, Some(talk.user)),
            None => (self.link.transfer, None),
        };
        self.link = Link::new(self.link.number.saturating_add(1), at, transfer, by);
        self.quiet = None;
    }

    fn learn(&mut self, facts: &Facts) {
        self.trunk_seen |= facts.role == Role::Trunk;
        let open_question =
            matches!(self.direction, None | Some(Direction::Internal | Direction::Unknown));
        if let Some(number) = &facts.external {
            // The first external side is the caller's; a later one may be where it was sent to.
            if open_question {
                self.direction = Some(facts.direction);
                self.caller_id.clone_from(number);
            }
            if *number == self.caller_id {
                self.caller_name = facts.name.clone().or(self.caller_name.take());
            }
        } else if self.direction.is_none() || self.direction == Some(Direction::Internal) {
            self.direction = Some(Direction::Internal);
            let caller = if facts.originates { &facts.party.number } else { &facts.peer };
            self.caller_id.clone_from(caller);
            if !facts.originates {
                self.caller_name = facts.name.clone().or(self.caller_name.take());
            }
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

    /// Tells what the legs show and was not told yet.
    pub(super) fn conclude(&mut self, cx: &mut Context<'_>) {
        self.move_on(cx);
        self.dial();
        self.ring(cx);
        self.answer(cx);
        self.listen(cx);
    }

    /// The talking party's leg is gone and somebody else has the call, or is offered it: the
    /// link ends and the next begins. The exchange makes the new leg before it ends the old one
    /// (observed: 10 to 106 ms), so the heir is there already, or comes within the settling
    /// time.
    fn move_on(&mut self, cx: &mut Context<'_>) {
        let Some(talk) = &self.link.talk else { return };
        if self.facts(&talk.leg).is_some() {
            return;
        }
        let rank = |leg: &Leg| match (&leg.facts.role, leg.facts.is_answered()) {
            (_, true) => 0,
            (Role::User, false) => 1,
            _ => 2,
        };
        let heir = self
            .legs
            .iter()
            .map(|(_, leg)| leg)
            .filter(|leg| leg.facts.is_answered() || leg.facts.is_offered())
            .filter(|leg| leg.born > talk.born || leg.facts.referred_by.is_some())
            .min_by_key(|leg| (rank(leg), leg.born));
        let Some(heir) = heir.map(|leg| leg.facts.party.clone()) else { return };
        self.hand_over(Some(heir), cx);
    }

    /// Ends the link because the call moved on, and begins the next.
    fn hand_over(&mut self, heir: Option<Party>, cx: &mut Context<'_>) {
        let at = self.quiet.as_ref().map_or(cx.at, |quiet| quiet.since);
        self.tell_end(true, heir, at, cx);
        let by = self.link.talk.take().map(|talk| talk.user);
        let next = self.link.number.saturating_add(1);
        self.link = Link::new(next, at, TransferType::Blind, by);
        self.quiet = None;
    }

    /// Somebody inside called: whatever becomes of it has an end to be told.
    fn dial(&mut self) {
        let outward = matches!(self.direction, Some(Direction::Outgoing | Direction::Internal));
        if self.link.dialer.is_some() || !outward {
            return;
        }
        let dialer = self
            .legs
            .iter()
            .find(|(_, leg)| leg.facts.originates && leg.facts.role == Role::User)
            .map(|(_, leg)| &leg.facts);
        let Some(dialer) = dialer else { return };
        let called = match self.direction {
            Some(Direction::Internal) => Party { number: dialer.peer.clone(), ..callee() },
            _ => dialer.party.clone(),
        };
        self.link.dialer = Some(called);
        self.link.open = true;
    }

    /// Phones and system destinations that are offered the call.
    fn ring(&mut self, cx: &mut Context<'_>) {
        if self.link.talk.is_some() {
            return;
        }
        while let Some(offered) = self.next_offer() {
            self.link.open = true;
            if self.link.rang.len() < MAX_RANG {
                self.link.rang.push(offered.clone());
            }
            self.tell_ringing(offered, cx);
        }
    }

    /// Marks the next leg whose ringing is to be told, and says whose it is.
    fn next_offer(&mut self) -> Option<Party> {
        let level_lives = self.link.level.as_ref().is_some_and(|level| self.has_party(level));
        let (_, leg) =
            self.legs.iter_mut().find(|(_, leg)| leg.facts.is_offered() && !leg.announced)?;
        leg.announced = true;
        let facts = &leg.facts;
        let party = facts.party.clone();
        let is_group = facts.party.kind == PartyKind::Other("ring-group".to_owned());
        if party.kind == PartyKind::Queue || is_group {
            self.link.level = Some(party.clone());
        } else if facts.queue.is_some() {
            self.link.level.clone_from(&facts.queue);
        } else if !level_lives {
            self.link.level = None;
        }
        if let Some(level) = &self.link.level
            && level.kind == PartyKind::Queue
        {
            self.queue = Some(level.clone());
        }
        Some(party)
    }

    fn has_party(&self, party: &Party) -> bool {
        self.legs.iter().any(|(_, leg)| leg.facts.party == *party)
    }

    /// The first person who is connected answers.
    fn answer(&mut self, cx: &mut Context<'_>) {
        if self.link.talk.is_some() {
            return;
        }
        let internal = self.direction == Some(Direction::Internal);
        let callee_visible =
            self.legs.iter().any(|(_, leg)| leg.facts.role != Role::Trunk && !leg.facts.originates);
        let answered = self
            .legs
            .iter()
            .filter(|(_, leg)| leg.facts.is_answered())
            .filter(|(_, leg)| !(internal && callee_visible && leg.facts.originates))
            .min_by_key(|(_, leg)| (leg.connected, leg.born));
        let Some((key, leg)) = answered else { return };
        let user = match &self.link.dialer {
            Some(called) if internal && leg.facts.originates => called.clone(),
            _ => leg.facts.party.clone(),
        };
        let rang_at = leg.rang;
        let since = leg.connected.unwrap_or(cx.at).max(self.link.began);
        let key = key.clone();
        let born = self.next_birth();
        self.link.talk = Some(Talk { leg: key, user, since, rang_at, born });
        self.link.number = self.link.number.max(1);
        self.link.open = true;
        self.tell_start(cx);
    }

    /// Notes since when nothing shows where the call is, or that it is surely over.
    ///
    /// This and [`Call::settle`] are the rule that decides between "moved on" and "over": a call
    /// is over at once when its trunk's leg was visible and no leg is left; otherwise when for
    /// the settling time no leg showed who has it. While a trunk's leg lives it is not over.
    fn listen(&mut self, cx: &mut Context<'_>) {
        let someone = self.legs.iter().any(|(_, leg)| leg.facts.role != Role::Trunk);
        let talk_lost = self.link.talk.as_ref().is_some_and(|talk| self.facts(&talk.leg).is_none());
        if someone && !talk_lost {
            self.quiet = None;
            return;
        }
        let resynced = cx.resynced;
        self.quiet.get_or_insert(Quiet { since: cx.at, resynced, settled: false });
        if self.legs.is_empty() && self.trunk_seen {
            self.finish(cx);
        }
    }

    /// The settling time has passed.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        let Some(quiet) = &mut self.quiet else { return };
        quiet.settled = true;
        let trunk_lives = self.legs.iter().any(|(_, leg)| leg.facts.role == Role::Trunk);
        match (trunk_lives, &self.link.talk) {
            (true, Some(_)) => self.hand_over(None, cx),
            (true, None) => {}
            (false, _) => self.finish(cx),
        }
    }

    /// The call is over.
    fn finish(&mut self, cx: &mut Context<'_>) {
        let at = self.quiet.as_ref().map_or(cx.at, |quiet| quiet.since);
        if self.link.open {
            self.tell_end(false, None, at, cx);
        }
        self.quiet = None;
        self.over = Some(cx.at);
    }
}

/// An extension without a number yet.
fn callee() -> Party {
    Party { number: String::new(), kind: PartyKind::Extension, name: None, email: None }
}
