//! Phones that stop ringing, and why.
//!
//! The PBX takes the leg away and gives no reason. So a stop is kept for a moment: what happens
//! beside it or right after it tells. Each told ringing ends once: by its party's own answer, of
//! which the start tells, or by a stop.
//!
//! - Somebody answers: whatever else rings, or has just stopped, was answered elsewhere. In
//!   ring-all the losers go 2 to 7 ms after the answer (observed), a phone whose call is picked up
//!   by somebody else goes just before (inferred).
//! - The leg of whoever called went first: the caller is gone (that order is inferred).
//! - It stops alone, while others ring on that began with it: it was rejected (inferred). The
//!   PBX's own time limit, or the caller, would stop all.
//! - The next one rings: the call has moved. A queue offers it again 0.35 s after a rejection, the
//!   target of a forward rings within 51 ms (both observed). If the same one rings again, either
//!   may be the case, and nothing is said. If the call lasts and nobody visible has it, it moved to
//!   where it cannot be seen.
//! - The call ends: the caller is gone, if several rang, or a queue or menu did, as none of them
//!   ends a call alone. If a single phone rang, its user may as well have rejected the call.

use std::time::Duration;

use super::call::{Call, Context};
use super::leg::Role;
use super::link::{Ringer, Stopped};
use super::time::At;
use crate::event::{Direction, EventKind, Party, PartyKind, RingingStopped, StopReason};

/// What belongs to a stop happens within this time of it.
pub(super) const MOMENT: Duration = Duration::from_millis(500);

impl Call {
    /// Notes who has stopped ringing since the last time.
    pub(super) fn note_stops(&mut self, cx: &mut Context<'_>) {
        if self.link.ringers.is_empty() {
            return;
        }
        let rang_until_now = self.link.ringers.iter().any(|ringer| ringer.stopped.is_none());
        let caller_left = self.outside_left() || self.inside_left();
        let now = Stopped { at: cx.at, resynced: cx.resynced };
        let mut ringers = std::mem::take(&mut self.link.ringers);
        for ringer in &mut ringers {
            if ringer.stopped.is_none() && !self.rings_at(&ringer.party) {
                ringer.stopped = Some(now);
            }
        }
        self.link.ringers = ringers;
        if caller_left && rang_until_now && !cx.resynced {
            self.tell_stops(cx, |_, ringer| ringer.stopped.map(|_| StopReason::CallerGone));
        }
    }

    /// A phone of the party rings, or is connected without being an answer yet.
    fn rings_at(&self, party: &Party) -> bool {
        self.legs.iter().map(|(_, leg)| &leg.facts).any(|facts| {
            let is_up = facts.role == Role::User && facts.is_up() && !facts.originates;
            facts.party == *party && (facts.is_offered() || is_up)
        })
    }

    /// Whoever called from inside was visible and is gone.
    fn inside_left(&self) -> bool {
        let dials = |role, originates| role == Role::User && originates;
        self.direction == Some(Direction::Internal)
            && self.link.dialer.is_some()
            && !self.legs.iter().any(|(_, leg)| dials(leg.facts.role, leg.facts.originates))
    }

    /// Before the ringing of `next` is told: what has stopped has made way for it.
    pub(super) fn tell_moved_to(&mut self, next: &Party, cx: &mut Context<'_>) {
        let is_next = |ringer: &Ringer| ringer.party == *next;
        let again = self.link.ringers.iter().any(is_next);
        self.tell_stops(cx, |call, ringer| {
            let stopped = ringer.stopped.is_some();
            match (stopped, again) {
                (false, _) => is_next(ringer).then_some(StopReason::Unknown),
                (true, _) if call.others_ring_on(ringer) => Some(StopReason::Rejected),
                (true, true) => Some(StopReason::Unknown),
                (true, false) => Some(StopReason::Moved),
            }
        });
    }

    /// `user` has answered at `at`, the others have not.
    pub(super) fn tell_answered_elsewhere(&mut self, user: &Party, at: At, cx: &mut Context<'_>) {
        self.link.ringers.retain(|ringer| ringer.party.number != user.number);
        for ringer in &mut self.link.ringers {
            ringer.stopped.get_or_insert(Stopped { at, resynced: cx.resynced });
        }
        self.stop_all(&StopReason::AnsweredElsewhere, cx);
    }

    /// The link ends.
    pub(super) fn tell_stops_of_end(&mut self, transferred: bool, cx: &mut Context<'_>) {
        let ringers = &self.link.ringers;
        let alone = ringers.len() == 1;
        self.tell_stops(cx, |_, ringer| {
            let unseen = ringer.stopped.is_none_or(|stopped| stopped.resynced);
            let may_reject = alone && ringer.party.kind == PartyKind::Extension;
            Some(match (transferred, unseen || may_reject) {
                (true, _) => StopReason::Moved,
                (false, true) => StopReason::Unknown,
                (false, false) => StopReason::CallerGone,
            })
        });
    }

    /// Whatever rings stops for this reason.
    pub(super) fn stop_all(&mut self, reason: &StopReason, cx: &mut Context<'_>) {
        self.tell_stops(cx, |_, _| Some(reason.clone()));
    }

    /// When the next stop is told at the latest. Without any leg, that is when the call is over.
    pub(super) fn tells_stop_at(&self) -> Option<i64> {
        if self.legs.is_empty() {
            return None;
        }
        let stops = self.link.ringers.iter().filter_map(|ringer| ringer.stopped);
        stops.map(|stopped| stopped.at.plus(MOMENT)).min()
    }

    /// Nothing followed within the moment after a stop.
    pub(super) fn tell_what_stopped(&mut self, cx: &mut Context<'_>) {
        let now = cx.at.steady();
        self.tell_stops(cx, |call, ringer| {
            let stopped = ringer.stopped.filter(|stopped| stopped.at.plus(MOMENT) <= now)?;
            Some(if call.others_ring_on(ringer) {
                StopReason::Rejected
            } else if call.has_moved_from(ringer, stopped) {
                StopReason::Moved
            } else {
                StopReason::Unknown
            })
        });
    }

    /// Other people's phones ring on that began with this one, or did not just take its place.
    fn others_ring_on(&self, ringer: &Ringer) -> bool {
        let Some(stopped) = ringer.stopped else { return false };
        let is_person = |ringer: &Ringer| ringer.party.kind == PartyKind::Extension;
        is_person(ringer)
            && self.link.ringers.iter().any(|other| {
                let apart =
                    other.since.ms_since(ringer.since).max(ringer.since.ms_since(other.since));
                let rings_on = is_person(other) && other.stopped.is_none();
                rings_on && (is_short(apart) || !follows(other, stopped))
            })
    }

    /// Somebody else rings since about then, or the call goes on where nothing is visible.
    fn has_moved_from(&self, ringer: &Ringer, stopped: Stopped) -> bool {
        let takes_over = |other: &Ringer| other.stopped.is_none() && follows(other, stopped);
        if self.link.ringers.iter().any(takes_over) {
            return true;
        }
        let level = self.link.level.as_ref().filter(|level| level.party != ringer.party);
        let waits = level.is_some_and(|level| level.left.is_none());
        let goes_on = match self.direction {
            Some(Direction::Internal) => self.link.dialer.is_some() && !self.inside_left(),
            _ => self.trunk_seen && !self.outside_left(),
        };
        goes_on && !waits
    }

    /// Tells the stops for which there is a reason.
    fn tell_stops(
        &mut self,
        cx: &mut Context<'_>,
        reason: impl Fn(&Self, &Ringer) -> Option<StopReason>,
    ) {
        let mut told = Vec::new();
        let reasons: Vec<_> = self.link.ringers.iter().map(|it| reason(self, it)).collect();
        let mut reasons = reasons.into_iter();
        self.link.ringers.retain_mut(|ringer| match reasons.next().flatten() {
            Some(reason) => {
                let stopped =
                    ringer.stopped.unwrap_or(Stopped { at: cx.at, resynced: cx.resynced });
                told.push((ringer.party.clone(), ringer.since, stopped, reason));
                false
            }
            None => true,
        });
        if self.link.ringers.is_empty() {
            self.link.ringers = Vec::new();
        }
        let resynced = cx.resynced;
        for (party, since, stopped, reason) in told {
            let rang_ms = stopped.at.ms_since(since);
            let kind = EventKind::RingingStopped(RingingStopped { reason, rang_ms });
            cx.resynced = resynced || stopped.resynced;
            self.tell(party, stopped.at, kind, cx);
        }
        cx.resynced = resynced;
    }
}

fn is_short(ms: u32) -> bool {
    Duration::from_millis(ms.into()) < MOMENT
}

/// It began to ring just before that stop.
fn follows(ringer: &Ringer, stopped: Stopped) -> bool {
    is_short(stopped.at.ms_since(ringer.since))
}
