//! Turns conclusions into events: fills in what a call knows.

use std::time::Duration;

use super::call::{Call, Context};
use super::link::{Ringer, is_voicemail};
use super::time::At;
use super::title;
use crate::event::{
    CallEvent, CallId, Callback, Direction, Ended, EventKind, FinishType, LocalTime, Party,
    PartyKind, Ringing, Side, Started,
};

impl Call {
    /// `user` is being offered the call.
    pub(super) fn tell_ringing(&mut self, user: Party, cx: &mut Context<'_>) {
        self.link.ringers.reserve_exact(1);
        self.link.ringers.push(Ringer { party: user.clone(), since: cx.at, stopped: None });
        let ringing = Ringing {
            transfer: self.link.transfer,
            transferred_by: self.link.transferred_by.clone(),
        };
        self.tell(user, cx.at, EventKind::Ringing(ringing), cx);
    }

    /// `user` dials out.
    pub(super) fn tell_dialing(&mut self, user: Party, cx: &mut Context<'_>) {
        self.tell(user, cx.at, EventKind::Dialing, cx);
    }

    /// The link's talk has begun.
    pub(super) fn tell_start(&mut self, cx: &mut Context<'_>) {
        let Some(talk) = &self.link.talk else { return };
        let (user, since) = (talk.user.clone(), talk.since);
        let started = Started {
            transfer: self.link.transfer,
            transferred_by: self.link.transferred_by.clone(),
            rang_at: talk.rang_at.map(|at| local(at, cx)),
            ring_ms: talk.rang_at.map(|rang_at| since.ms_since(rang_at)),
            wait_ms: since.ms_since(self.link.began),
        };
        self.tell(user, since, EventKind::Started(started), cx);
    }

    /// The link is over at `at`; `transferred` if the call goes on.
    pub(super) fn tell_end(
        &mut self,
        transferred: bool,
        transferred_to: Option<Party>,
        at: At,
        cx: &mut Context<'_>,
    ) {
        self.tell_stops_of_end(transferred, cx);
        let talk = self.link.talk.as_ref();
        let answered_at = talk.map(|talk| talk.since);
        let rang_at = talk.and_then(|talk| talk.rang_at);
        let user = talk.map_or_else(|| self.missed_user(at, cx), |talk| talk.user.clone());
        let ended = Ended {
            finish: if talk.is_some() { FinishType::Ok } else { FinishType::Missed },
            transferred,
            transferred_to,
            hung_up_by: if transferred { Side::Unknown } else { self.hung_up_by(cx) },
            title: String::new(),
            rang_at: rang_at.map(|rang_at| local(rang_at, cx)),
            answered_at: answered_at.map(|answered_at| local(answered_at, cx)),
            ring_ms: answered_at.zip(rang_at).map(|(answered, rang)| answered.ms_since(rang)),
            wait_ms: answered_at.unwrap_or(at).ms_since(self.link.began),
            talk_ms: answered_at.map(|answered_at| at.ms_since(answered_at)),
            callback_ordered: self.callback(at, cx),
            unanswered: self.unanswered(&user),
        };
        self.tell(user, at, EventKind::Ended(ended), cx);
    }

    /// Who missed the call: a queue or group if the call ended there, else whoever had it last.
    /// Voicemail only takes what somebody else has missed.
    fn missed_user(&self, at: At, cx: &Context<'_>) -> Party {
        let link = &self.link;
        let last = || link.rang.iter().rfind(|party| !is_voicemail(party)).or(link.rang.last());
        let found = match (self.direction, &link.dialer) {
            (Some(Direction::Outgoing), Some(dialer)) => Some(dialer.clone()),
            _ => self.level(at, cx).or_else(last).cloned(),
        };
        let dialed = || Some(&link.dialed).filter(|dialed| !dialed.is_empty());
        found
            .or_else(|| dialed().map(|number| party(number, PartyKind::Extension)))
            .unwrap_or_else(|| party("", PartyKind::Other("unknown".to_owned())))
    }

    /// The queue or group with which the call ended, if it ended at `at`: legs do not all go at
    /// once, but within the settling time. What it has given up to voicemail ended with it.
    pub(super) fn level(&self, at: At, cx: &Context<'_>) -> Option<&Party> {
        let level = self.link.level.as_ref()?;
        let ended_here = |left: At| Duration::from_millis(at.ms_since(left).into());
        let here = level.left.is_none_or(|left| ended_here(left) < cx.settings.settle);
        let here = here || self.link.rang.last().is_some_and(is_voicemail);
        here.then_some(&level.party)
    }

    fn unanswered(&self, user: &Party) -> Vec<Party> {
        let answered = self.link.talk.as_ref().map(|_| user);
        let mut parties: Vec<Party> = Vec::new();
        for party in self.link.rang.iter().filter(|party| party.kind == PartyKind::Extension) {
            if Some(party) != answered && !parties.contains(party) {
                parties.push(party.clone());
            }
        }
        parties
    }

    /// Only a queue takes orders for callbacks, and nothing on the wire tells of them.
    fn callback(&self, at: At, cx: &Context<'_>) -> Callback {
        let in_queue = self.level(at, cx).is_some_and(|level| level.kind == PartyKind::Queue);
        if in_queue && self.link.talk.is_none() { Callback::Unknown } else { Callback::No }
    }

    pub(super) fn tell(&mut self, user: Party, at: At, kind: EventKind, cx: &mut Context<'_>) {
        self.sequence = self.sequence.saturating_add(1);
        let quiet_resync = self.quiet.as_ref().is_some_and(|quiet| quiet.resynced);
        let incoming = self.direction != Some(Direction::Outgoing);
        let mut event = CallEvent {
            event_id: format!("{}-{}-{}", cx.settings.pbx, self.chain, self.sequence),
            id: CallId { chain: self.chain.clone(), link: self.link.number },
            sequence: self.sequence,
            pbx: cx.settings.pbx.clone(),
            direction: self.direction.unwrap_or(Direction::Unknown),
            caller_id: self.caller_id.clone(),
            caller_name: self.caller_name.clone(),
            user,
            did: self.did.clone().filter(|_| incoming),
            queue: self.queue.clone(),
            arrived_at: local(self.arrived, cx),
            occurred_at: local(at, cx),
            resynced: cx.resynced || quiet_resync,
            kind,
        };
        title::entitle(&mut event, &cx.settings.titles);
        cx.events.push(event);
    }
}

fn party(number: &str, kind: PartyKind) -> Party {
    Party { number: number.to_owned(), kind, name: None, email: None }
}

fn local(at: At, cx: &Context<'_>) -> LocalTime {
    LocalTime::new(at.wall(), &cx.settings.zone)
}
