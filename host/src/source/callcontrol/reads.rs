//! Which participants to read, and in which order to tell what was found. Pure: time comes in,
//! reads are done elsewhere.
//!
//! A frame of the event socket only says *that* a participant changed, so each needs a read, and
//! several run at once. What comes out keeps the order of the frames: a result waits for the ones
//! before it. That matters in a transfer, where the new leg starts some ten milliseconds before
//! the old one is removed; told the other way round, the call would seem to be over. A slow read
//! holds back what came after it for [`HOLD`] at most; later it is told when it arrives.
//!
//! Rules, per participant:
//! - One that waits for its read is not put in line again.
//! - One that changes during its read is read once more afterwards.
//! - Removed means removed: reads that wait are dropped. One that is under way may still show what
//!   the participant was, such as a phone that rang and stopped within milliseconds. Then that is
//!   told, and after it that the participant is gone; never after it was told to be gone.
//! - What was already said is not said again.
//!
//! A snapshot is a read of everything, and nobody knows at which moment between question and answer
//! it was taken. So for a participant about which something is in line, or was said since the
//! question, what is in line and what was said counts, and not the snapshot.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::rest::Found;
use super::wire::Listing;
use crate::clock::Moment;
use crate::source::notice::{LegKey, Notice, Participant, Seen, Snapshot};

/// A slow read holds back others no longer than this. Normal reads take milliseconds.
const HOLD: Duration = Duration::from_secs(2);

/// Reads at a time. The API documents no limit; somebody expects trouble from about 100.
const AT_A_TIME: usize = 8;

/// While so much waits to be taken, nothing is read: changes of one participant then become one.
const BACKLOG: usize = 1000;

/// More than this in line means that nobody listens any more.
const MOST_IN_LINE: usize = 100_000;

/// A participant that was removed no longer than this before a snapshot was asked for is not
/// believed to be back because that snapshot shows it.
const AFTERLIFE: Duration = Duration::from_secs(5);

/// Names one read, or rather the place in line for its result. They ascend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// The line of what is to be read and told.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// In the order of their frames.
    line: VecDeque<Place>,
    /// Everything known about participants.
    legs: HashMap<LegKey, Leg>,
    /// A snapshot that is to be told next.
    arrived: Option<Arrived>,
    /// Whether the first snapshot of this connection was told. Nothing is read or told before it.
    open: bool,
    /// The last ticket.
    last: u64,
    /// Reads that were handed out and have not come back, dropped ones included.
    reading: HashSet<Ticket>,
    /// Places in line that hold a result.
    done: usize,
    /// Changes that the last snapshot showed and no frame had announced.
    missed: usize,
    /// When the last notice was seen: they never run backwards.
    told: Option<Moment>,
}

/// A place in line.
#[derive(Debug)]
struct Place {
    ticket: Ticket,
    key: LegKey,
    /// When the frame came.
    at: Moment,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Waiting,
    Reading,
    Done(Found),
}

/// What is known about one participant.
#[derive(Debug, Default)]
struct Leg {
    /// What was last said of it; none if that it is gone, or nothing.
    said: Option<Box<Participant>>,
    /// When its state was last confirmed downstream, on the monotonic clock.
    said_at: Option<Duration>,
    /// Its place in line that waits for a read.
    waiting: Option<Ticket>,
    /// Its place in line whose read is under way.
    reading: Option<Ticket>,
    /// The place in line of its last removal: a read before that needs not tell that it is gone.
    removed: Option<Ticket>,
    /// Its places in line, whatever they wait for.
    in_line: usize,
}

/// The answer to a question for everything.
#[derive(Debug)]
struct Arrived {
    /// When it was asked.
    asked: Moment,
    listing: Listing,
}

impl Reads {
    /// Starts over on a new connection. What was said stays said.
    pub(super) fn reset(&mut self) {
        *self = Self {
            legs: std::mem::take(&mut self.legs),
            last: self.last,
            told: self.told,
            ..Self::default()
        };
        self.legs.retain(|_, leg| {
            *leg = Leg { said: leg.said.take(), said_at: leg.said_at, ..Leg::default() };
            leg.said.is_some()
        });
    }

    /// A frame said that the participant changed; it may have carried the state.
    pub(super) fn upsert(&mut self, key: LegKey, at: Moment, attached: Option<Box<Participant>>) {
        if let Some(state) = attached {
            // Newer than whatever is under way.
            self.drop_waiting(&key);
            self.drop_reading(&key);
            let _ = self.join(key, at, Step::Done(Found::Is(state)));
        } else if self.legs.get(&key).is_none_or(|leg| leg.waiting.is_none()) {
            let _ = self.join(key, at, Step::Waiting);
        }
    }

    /// A frame said that the participant is gone. It may have overtaken a read.
    pub(super) fn remove(&mut self, key: LegKey, at: Moment) {
        self.drop_waiting(&key);
        let ticket = self.join(key.clone(), at, Step::Done(Found::Gone));
        self.legs.entry(key).or_default().removed = Some(ticket);
    }

    /// Whether nobody seems to take what is told.
    pub(super) fn overrun(&self) -> bool {
        self.line.len() > MOST_IN_LINE
    }

    /// How many changes the last snapshot showed that no frame had announced.
    pub(super) fn missed(&self) -> usize {
        self.missed
    }

    /// The next participant to read, if one is to be read now.
    pub(super) fn next_read(&mut self) -> Option<(Ticket, LegKey)> {
        let stalled = self.done >= BACKLOG
            && self.line.front().is_some_and(|place| matches!(place.step, Step::Done(_)));
        if !self.open || stalled || self.reading.len() >= AT_A_TIME {
            return None;
        }
        let legs = &self.legs;
        let place = self.line.iter_mut().find(|place| {
            matches!(place.step, Step::Waiting)
                && legs.get(&place.key).is_none_or(|leg| leg.reading.is_none())
        })?;
        place.step = Step::Reading;
        let (ticket, key) = (place.ticket, place.key.clone());
        let leg = self.legs.entry(key.clone()).or_default();
        leg.waiting = None;
        leg.reading = Some(ticket);
        self.reading.insert(ticket);
        Some((ticket, key))
    }

    /// A read came back. Its result is dropped if its place in line is no more.
    pub(super) fn finish(&mut self, ticket: Ticket, found: Found) {
        self.reading.remove(&ticket);
        let Some(place) = self.position(ticket).and_then(|position| self.line.get_mut(position))
        else {
            return;
        };
        let key = place.key.clone();
        let removed = self.legs.get(&key).and_then(|leg| leg.removed);
        if !matches!(found, Found::Is(_)) && removed.is_some_and(|removed| removed > ticket) {
            self.drop_reading(&key);
            return;
        }
        place.step = Step::Done(found);
        self.done += 1;
        if let Some(leg) = self.legs.get_mut(&key) {
            leg.reading = None;
        }
    }

    /// The answer came to a question for everything that was asked at `asked`.
    pub(super) fn arrive(&mut self, asked: Moment, listing: Listing) {
        self.arrived = Some(Arrived { asked, listing });
    }

    /// Whether [`Reads::tell`] has something to do.
    pub(super) fn ready(&self, now: Moment) -> bool {
        self.arrived.is_some() || self.tellable(now).is_some()
    }

    /// When something will be ready that is not, unless a read comes back earlier.
    pub(super) fn wait(&self, now: Moment) -> Option<Duration> {
        if !self.open || self.done == 0 {
            return None;
        }
        let holds = |place: &&Place| !place.is_done() && now.since(place.at) < HOLD;
        let holding = self.line.iter().find(holds)?;
        Some(HOLD.saturating_sub(now.since(holding.at)))
    }

    /// The next thing to tell, if it is time to tell something.
    pub(super) fn tell(&mut self, now: Moment) -> Option<Notice> {
        if let Some(arrived) = self.arrived.take() {
            let what = Seen::Snapshot(self.snapshot(arrived));
            return Some(self.notice(now, what));
        }
        while let Some(position) = self.tellable(now) {
            let place = self.line.remove(position)?;
            self.done -= 1;
            if matches!(place.step, Step::Done(Found::Gone)) {
                self.drop_overtaken(&place);
            }
            if let Some(notice) = self.tell_place(place, now) {
                return Some(notice);
            }
        }
        None
    }
}

// === places in line ===

impl Place {
    fn is_done(&self) -> bool {
        matches!(self.step, Step::Done(_))
    }
}

impl Reads {
    fn join(&mut self, key: LegKey, at: Moment, step: Step) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        let leg = self.legs.entry(key.clone()).or_default();
        leg.in_line += 1;
        match step {
            Step::Waiting | Step::Reading => leg.waiting = Some(ticket),
            Step::Done(_) => self.done += 1,
        }
        self.line.push_back(Place { ticket, key, at, step });
        ticket
    }

    /// Takes the place of this participant that waits for its read out of the line.
    fn drop_waiting(&mut self, key: &LegKey) {
        let ticket = self.legs.get_mut(key).and_then(|leg| leg.waiting.take());
        self.drop_place(key, ticket);
    }

    /// Takes the place of this participant whose read is under way out of the line.
    fn drop_reading(&mut self, key: &LegKey) {
        let ticket = self.legs.get_mut(key).and_then(|leg| leg.reading.take());
        self.drop_place(key, ticket);
    }

    fn drop_place(&mut self, key: &LegKey, ticket: Option<Ticket>) {
        let Some(position) = ticket.and_then(|ticket| self.position(ticket)) else { return };
        self.line.remove(position);
        if let Some(leg) = self.legs.get_mut(key) {
            leg.in_line -= 1;
        }
    }

    fn position(&self, ticket: Ticket) -> Option<usize> {
        self.line.binary_search_by_key(&ticket, |place| place.ticket).ok()
    }

    /// A read that was under way before the participant is told to be gone comes too late now.
    fn drop_overtaken(&mut self, gone: &Place) {
        let reading = self.legs.get(&gone.key).and_then(|leg| leg.reading);
        if reading.is_some_and(|reading| reading < gone.ticket) {
            self.drop_reading(&gone.key);
        }
    }

    /// The first place with a result before which all others were waited for long enough.
    fn tellable(&self, now: Moment) -> Option<usize> {
        if !self.open {
            return None;
        }
        for (position, place) in self.line.iter().enumerate() {
            if place.is_done() {
                return Some(position);
            }
            if now.since(place.at) < HOLD {
                return None;
            }
        }
        None
    }

    fn tell_place(&mut self, place: Place, now: Moment) -> Option<Notice> {
        let leg = self.legs.entry(place.key.clone()).or_default();
        leg.in_line -= 1;
        let what = match place.step {
            Step::Done(Found::Is(state)) if leg.said.as_ref() != Some(&state) => {
                leg.said = Some(state.clone());
                Seen::Leg(state)
            }
            Step::Done(Found::Gone) if leg.said.is_some() || leg.said_at.is_none() => {
                leg.said = None;
                Seen::LegGone(place.key)
            }
            // A repetition still says that this was so after a snapshot was asked for.
            Step::Done(Found::Is(_) | Found::Gone) => {
                leg.said_at = Some(now.mono);
                return None;
            }
            Step::Done(Found::Unknown) | Step::Waiting | Step::Reading => return None,
        };
        leg.said_at = Some(now.mono);
        Some(self.notice(place.at, what))
    }

    /// A notice whose time is not before the last one's.
    fn notice(&mut self, at: Moment, what: Seen) -> Notice {
        let at = self.told.filter(|told| told.mono > at.mono).unwrap_or(at);
        self.told = Some(at);
        Notice { at, what }
    }
}

// === snapshots ===

impl Reads {
    fn snapshot(&mut self, arrived: Arrived) -> Snapshot {
        let Arrived { asked, listing } = arrived;
        let after_gap = !self.open;
        self.open = true;
        let mut missed = 0;
        let mut legs = Vec::with_capacity(listing.legs.len());
        let mut listed = HashSet::with_capacity(listing.legs.len());
        // Nothing is read before the first snapshot, and what is in line is told after it.
        let decided = |leg: &Leg| !after_gap && leg.decided(asked);
        for state in &listing.legs {
            if !listed.insert(state.key.clone()) {
                continue;
            }
            let leg = self.legs.entry(state.key.clone()).or_default();
            if !decided(leg) {
                missed += usize::from(leg.said.as_deref() != Some(state));
                leg.said = Some(Box::new(state.clone()));
                leg.said_at = Some(asked.mono);
            }
            legs.extend(leg.said.as_deref().cloned());
        }
        for (key, leg) in &mut self.legs {
            if listed.contains(key) {
                continue;
            }
            if decided(leg) || listing.may_miss(&key.dn) {
                legs.extend(leg.said.as_deref().cloned());
            } else if leg.said.take().is_some() {
                missed += 1;
                leg.said_at = None;
            }
        }
        self.legs.retain(|_, leg| leg.said.is_some() || leg.in_line > 0 || leg.decided(asked));
        legs.sort_by(|a, b| a.key.cmp(&b.key));
        self.missed = if after_gap { 0 } else { missed };
        Snapshot { after_gap, dns: listing.dns, legs }
    }
}

impl Leg {
    /// Whether a snapshot asked for at `asked` cannot say anything about this participant.
    fn decided(&self, asked: Moment) -> bool {
        let margin = if self.said.is_some() { Duration::ZERO } else { AFTERLIFE };
        self.in_line > 0 || self.said_at.is_some_and(|said| said + margin >= asked.mono)
    }
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
