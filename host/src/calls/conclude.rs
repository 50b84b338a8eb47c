//! What follows from the legs of a call: who rings, who talks, who has it now, and when it is
//! over.
//!
//! # Moved on, or over?
//!
//! The PBX does not tell why a leg goes, and often not where the call is then. [`Call::listen`]
//! and [`Call::settle`] decide, and nobody else:
//!
//! - A trunk's leg lasts as long as its side of the call (observed). So a conversation is over at
//!   once when a trunk's leg was visible and none is left, whoever inside may talk on, and any
//!   call is when no leg at all is left then. Before an answer the PBX may try another trunk.
//! - Apart from that, a call is not over as long as any leg is there.
//! - When the last leg is gone and no trunk was visible, it is over after the settling time. That
//!   is what the end costs in delay; the times in the event are those of the last leg.
//! - When the leg of who talks is gone and somebody else has the call or is offered it, it has
//!   moved on, at once: the PBX makes the new leg before it ends the old one (observed: 10 to
//!   106 ms). If nobody is seen to have it, but legs are left, it has moved on to somebody who is
//!   not visible, after the settling time.
//!
//! Where the PBX's list of active calls can be read, it knows better of a call without any leg; see
//! `active.rs`.
//!
//! A call that was over and shows a leg again was somewhere out of sight, such as a queue that is
//! not visible (observed: 211 s). It goes on with the next link.

use std::time::Duration;

use super::active::TRUST;
use super::call::{Call, Context, Quiet};
use super::leg::{Facts, Leg, Role};
use super::link::{Level, Link, MAX_RANG, Talk, is_level, is_voicemail};
use super::stop::MOMENT;
use super::time::At;
use crate::event::{Direction, Party, PartyKind, TransferType};
use crate::source::notice::LegKey;

impl Call {
    /// Tells what the legs show and was not told yet.
    pub(super) fn conclude(&mut self, cx: &mut Context<'_>) {
        if self.over.is_some() {
            return;
        }
        if self.link.talk.is_some() && self.outside_left() {
            self.finish(cx);
            return;
        }
        self.watch_level(cx.at);
        self.turn_outward(cx);
        self.turn_inward(cx);
        self.turn_elsewhere(cx);
        self.move_on(cx);
        self.dial(cx);
        self.note_stops(cx);
        self.ring(cx);
        self.answer(cx);
        self.hold(cx);
        self.listen(cx);
    }

    /// The outside party was visible and is gone.
    pub(super) fn outside_left(&self) -> bool {
        let is_there = || self.legs.iter().any(|(_, leg)| leg.facts.role == Role::Trunk);
        self.trunk_seen && self.is_external() && !is_there()
    }

    /// Notes when the leg of the queue or group that has the call goes.
    fn watch_level(&mut self, at: At) {
        let Some(mut level) = self.link.level.take() else { return };
        let here = self.legs.iter().any(|(_, leg)| leg.facts.party == level.party);
        level.seen |= here;
        level.left = if here || !level.seen { None } else { level.left.or(Some(at)) };
        self.link.level = Some(level);
    }

    /// An internal call has got an outside party: it was forwarded or transferred there, or
    /// somebody has handed over somebody outside in a call that is not visible. The internal link
    /// ends and one with the outside party begins.
    fn turn_outward(&mut self, cx: &mut Context<'_>) {
        let Some((direction, number)) = self.outside.take() else { return };
        let outside = |leg: &&Leg| leg.facts.external.is_some();
        let with_outside = || self.legs.iter().map(|(_, leg)| leg).filter(outside);
        let rings = with_outside().any(|leg| leg.facts.role == Role::Trunk && !leg.facts.is_up());
        let referred = with_outside().any(|leg| leg.referred_by.is_some());
        let transfer = match (rings, referred) {
            (_, true) => TransferType::Blind,
            (true, false) => TransferType::NotDef,
            (false, false) => TransferType::Accomp,
        };
        let heir = with_outside().find(|leg| leg.facts.role == Role::User);
        let heir = heir.map(|leg| leg.facts.party.clone());
        self.hand_over(heir, transfer, cx);
        self.direction = Some(direction);
        self.caller_id = number;
        // What rang inside is not told again; what rings with the outside party is.
        for (_, leg) in &mut self.legs {
            leg.announced = leg.facts.external.is_none();
        }
    }

    /// The talking party's leg is gone and somebody else has the call, or is offered it: the
    /// link ends and the next begins.
    fn move_on(&mut self, cx: &mut Context<'_>) {
        let Some(talk) = &self.link.talk else { return };
        if self.facts(&talk.leg).is_some() {
            return;
        }
        let Some((key, heir)) = self.heir(talk) else { return };
        if heir.facts.party == talk.user && heir.facts.is_answered() {
            // The same person goes on at another phone, or had two legs in the call.
            let key = key.clone();
            self.link.talk.iter_mut().for_each(|talk| talk.leg.clone_from(&key));
            self.quiet = None;
            return;
        }
        let left = self.quiet.as_ref().map_or(cx.at, |quiet| quiet.since);
        if heir.is_guest(left) && cx.at.steady() < left.plus(MOMENT) {
            return;
        }
        let transfer = if heir.joined { TransferType::Accomp } else { TransferType::Blind };
        let (key, heir) = (key.clone(), heir.facts.party.clone());
        self.hand_over(Some(heir), transfer, cx);
        self.ring_late(&key, cx);
        // Whoever is connected takes over at once: nothing else rings for it.
        self.answer(cx);
    }

    /// When a guest takes the call over, if one does: a moment after whoever talked has left. Of a
    /// conference that ends all go together (inferred), and who goes last has not got the call.
    pub(super) fn takes_over_at(&self) -> Option<i64> {
        let (talk, quiet) = (self.link.talk.as_ref()?, self.quiet.as_ref()?);
        let (_, heir) = self.heir(talk).filter(|_| self.facts(&talk.leg).is_none())?;
        heir.is_guest(quiet.since).then(|| quiet.since.plus(MOMENT))
    }

    /// Who came after the talk began, or took part in it: best the same person at another phone,
    /// then somebody else, who is connected already, a person. A referral by whoever talks
    /// announces an heir, unless it is the one by which the call came to them.
    fn heir(&self, talk: &Talk) -> Option<&(LegKey, Leg)> {
        let came_by = self.link.transferred_by.as_ref().map(|party| &party.number);
        let sent = |leg: &Leg| {
            let by = leg.referred_by.as_ref();
            by == Some(&talk.user.number) && by != came_by
        };
        let takes_part = |leg: &Leg| {
            let later = || leg.connected.is_some_and(|since| since >= talk.since);
            let talks = leg.facts.external.is_some() || (!leg.facts.originates && later());
            leg.facts.is_answered() && talks
        };
        // A queue that has told of itself has had its turn, though its leg may stay.
        let idle = |leg: &Leg| leg.facts.role == Role::System && leg.announced;
        let rank = |leg: &Leg| match (leg.facts.party == talk.user, leg.facts.is_answered()) {
            (true, true) => 0,
            (false, true) => 1,
            (false, false) if leg.facts.role == Role::User => 2,
            (false, false) => 3,
            (true, false) => 4,
        };
        self.legs
            .iter()
            .filter(|(_, leg)| leg.facts.is_answered() || (leg.facts.is_offered() && !idle(leg)))
            .filter(|(_, leg)| leg.born > talk.born || leg.joined || sent(leg) || takes_part(leg))
            .min_by_key(|(_, leg)| (rank(leg), leg.born))
    }

    /// Ends the link because the call moved on, and begins the next.
    pub(super) fn hand_over(
        &mut self,
        heir: Option<Party>,
        transfer: TransferType,
        cx: &mut Context<'_>,
    ) {
        let at = self.quiet.as_ref().map_or(cx.at, |quiet| quiet.since);
        if self.link.open {
            self.tell_end(true, heir, at, cx);
        }
        let talk = self.link.talk.take();
        // What was there before the talk began and has not rung, will not ring now.
        if let Some(talk) = &talk {
            let sent = |leg: &Leg| leg.referred_by.as_ref() == Some(&talk.user.number);
            let past = |leg: &&mut Leg| leg.born < talk.born && !leg.joined && !sent(leg);
            let legs = self.legs.iter_mut().map(|(_, leg)| leg);
            legs.filter(past).for_each(|leg| leg.announced = true);
        }
        let next = self.link.number.saturating_add(1);
        self.link = Link::new(next, at, transfer, talk.map(|talk| talk.user));
        self.quiet = None;
    }

    /// Somebody inside called: whatever becomes of it has an end to be told.
    fn dial(&mut self, cx: &mut Context<'_>) {
        let outward = matches!(self.direction, Some(Direction::Outgoing | Direction::Internal));
        if !outward || (self.link.dialer.is_some() && !self.link.dialed.is_empty()) {
            return;
        }
        let dialer = self
            .legs
            .iter()
            .find(|(_, leg)| leg.facts.originates && leg.facts.role == Role::User)
            .map(|(_, leg)| &leg.facts);
        let Some(dialer) = dialer else { return };
        let (party, answered) = (dialer.party.clone(), dialer.is_answered());
        self.link.dialed.clone_from(&dialer.peer);
        self.link.open = true;
        let is_new = self.link.dialer.replace(party.clone()).is_none();
        let is_own = self.link.transfer == TransferType::NotDef && self.link.talk.is_none();
        let waits = !answered || self.far_side_rings();
        if is_new && is_own && waits && self.direction == Some(Direction::Outgoing) {
            self.tell_dialing(party, cx);
        }
    }

    /// Phones and system destinations that are offered the call.
    fn ring(&mut self, cx: &mut Context<'_>) {
        if self.link.talk.is_some() {
            return;
        }
        while let Some((offered, is_first)) = self.next_offer(cx) {
            if !is_first {
                continue;
            }
            self.tell_moved_to(&offered, cx);
            self.link.open = true;
            if self.link.rang.len() < MAX_RANG {
                self.link.rang.push(offered.clone());
            } else {
                self.say_bound("parties that rang", MAX_RANG);
            }
            self.tell_ringing(offered, cx);
        }
    }

    /// Marks the next leg whose ringing is to be told, and says whose it is, and whether it is
    /// the first of the party's phones.
    fn next_offer(&mut self, cx: &Context<'_>) -> Option<(Party, bool)> {
        let place = self.legs.iter().position(|(_, leg)| {
            leg.facts.is_offered() && !leg.announced && !self.is_being_sent(leg)
        });
        let (_, leg) = self.legs.get_mut(place?)?;
        let (born, facts) = (leg.born, leg.facts.clone());
        leg.announced = true;
        if self.link.transfer == TransferType::NotDef {
            self.reached_by(born);
        }
        if is_level(&facts.party) {
            self.link.level = Some(Level::new(facts.party.clone(), true));
        } else if let Some(by) = &facts.offered_by {
            if self.link.level.as_ref().is_none_or(|level| level.party != *by) {
                self.link.level = Some(Level::new(by.clone(), false));
            }
        } else if is_voicemail(&facts.party) {
            // It only takes what the queue or group has missed, if that still had the call.
            let stays = self.level(cx.at, cx).is_some();
            self.link.level = self.link.level.take().filter(|_| stays);
        } else if facts.role == Role::System
            || !self.link.level.as_ref().is_some_and(Level::is_here)
        {
            self.link.level = None;
        }
        if let Some(level) = &self.link.level
            && level.party.kind == PartyKind::Queue
        {
            self.queue = Some(level.party.clone());
        }
        let rings = |leg: &Leg| leg.announced && leg.facts.is_offered() && leg.born != born;
        let twin = self.legs.iter().any(|(_, leg)| rings(leg) && leg.facts.party == facts.party);
        Some((facts.party, !twin))
    }

    /// Whoever transfers the call to this leg is still connected: it rings for the next link.
    fn is_being_sent(&self, leg: &Leg) -> bool {
        let sends = |facts: &Facts| leg.referred_by.as_ref() == Some(&facts.party.number);
        self.legs.iter().any(|(_, leg)| leg.facts.is_answered() && sends(&leg.facts))
    }

    /// Notes how the call came to the owner of a leg, where the leg tells.
    fn reached_by(&mut self, born: u32) {
        let Some((_, leg)) = self.legs.iter().find(|(_, leg)| leg.born == born) else { return };
        let transfer = match (leg.joined, &leg.referred_by) {
            (true, _) => TransferType::Accomp,
            (false, Some(_)) if self.link.transfer == TransferType::NotDef => TransferType::Blind,
            (false, _) => return,
        };
        let by = leg.referred_by.as_ref().map(|number| extension(number));
        self.link.transfer = transfer;
        self.link.transferred_by = self.link.transferred_by.take().or(by);
    }

    /// The first person who is connected answers.
    fn answer(&mut self, cx: &mut Context<'_>) {
        // Whoever lifts the own phone before it is known whom it calls has not been answered.
        let calls_nobody = self.direction == Some(Direction::Unknown);
        if self.link.talk.is_some() || calls_nobody || self.far_side_rings() {
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
            .min_by_key(|(_, leg)| (self.is_by_leaver(leg), leg.connected, leg.born));
        let Some((key, leg)) = answered else { return };
        let user = if internal && leg.facts.originates {
            extension(&self.link.dialed)
        } else {
            leg.facts.party.clone()
        };
        let (rang_at, leg_born) = (leg.rang, leg.born);
        let since = leg.connected.unwrap_or(cx.at).max(self.link.began);
        let key = key.clone();
        self.reached_by(leg_born);
        let born = self.next_birth();
        self.tell_answered_elsewhere(&user, since, cx);
        self.link.talk = Some(Talk { leg: key, user, since, rang_at, born, on_hold: false });
        self.link.number = self.link.number.max(1);
        self.link.open = true;
        self.tell_start(cx);
    }

    /// Whether it is another leg of whoever just handed the call over.
    fn is_by_leaver(&self, leg: &Leg) -> bool {
        self.link.transferred_by.as_ref() == Some(&leg.facts.party)
    }

    /// Notes since when nothing shows who has the call, or that it is surely over.
    fn listen(&mut self, cx: &mut Context<'_>) {
        let someone = self.legs.iter().any(|(_, leg)| leg.facts.role != Role::Trunk);
        let talk_lost = self.link.talk.as_ref().is_some_and(|talk| self.facts(&talk.leg).is_none());
        if someone && !talk_lost {
            self.quiet = None;
            return;
        }
        let resynced = cx.resynced;
        self.quiet.get_or_insert(Quiet { since: cx.at, resynced, settled: false, listed: None });
        if self.legs.is_empty() && self.trunk_seen {
            self.finish(cx);
        }
    }

    /// When the settling time has passed, if that is waited for.
    pub(super) fn settles_at(&self, settle: Duration) -> Option<i64> {
        let quiet = self.quiet.as_ref().filter(|quiet| !quiet.settled)?;
        let listed = quiet.listed.map(|listed| listed.plus(TRUST));
        Some(quiet.since.plus(settle).max(listed.unwrap_or(i64::MIN)))
    }

    /// Time has passed, and nothing else.
    pub(super) fn wake(&mut self, cx: &mut Context<'_>) {
        if self.tells_stop_at().is_some_and(|due| due <= cx.at.steady()) {
            self.tell_what_stopped(cx);
        }
        if self.takes_over_at().is_some_and(|due| due <= cx.at.steady()) {
            self.conclude(cx);
        }
        if self.settles_at(cx.settings.settle).is_some_and(|due| due <= cx.at.steady()) {
            self.settle(cx);
        }
    }

    /// The settling time has passed.
    fn settle(&mut self, cx: &mut Context<'_>) {
        let Some(quiet) = &mut self.quiet else { return };
        quiet.settled = true;
        if self.legs.is_empty() {
            self.finish(cx);
        } else if self.link.talk.is_some() {
            self.hand_over(None, TransferType::Blind, cx);
            self.conclude(cx);
        }
    }

    /// The call is over.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>) {
        let at = self.quiet.as_ref().map_or(cx.at, |quiet| quiet.since);
        if self.link.open {
            self.tell_end(false, None, at, cx);
        }
        self.quiet = None;
        self.over = Some(cx.at);
    }
}

/// An extension of which nothing but the number is known.
fn extension(number: &str) -> Party {
    Party { number: number.to_owned(), kind: PartyKind::Extension, name: None, email: None }
}
