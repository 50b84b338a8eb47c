//! What really happened, by the exchange itself, against what was told.

use std::collections::{BTreeMap, BTreeSet};

use callhook::event::{CallEvent, Direction, EventKind};

use callhook_pbx::exchange::{Call, Participant, Status};

use crate::desk::{Desk, line};
use crate::office::{EXTENSIONS, TRUNK};

/// How long the engine waits whether a guest stays when whoever had the call leaves.
const MOMENT_MS: u64 = 500;

/// Who talked with whom outside, and how much of what was told has been compared.
#[derive(Default)]
pub(crate) struct Record {
    /// The conversations of the moment.
    talks: Vec<Talk>,
    /// Every talk that began and was not told yet: number outside, extension.
    began: BTreeMap<String, Vec<String>>,
    /// By the number outside: who was told to talk with it.
    told: BTreeMap<String, String>,
    compared: usize,
}

/// A conversation with somebody outside.
///
/// Of two who talk it is certain who has the call. Where somebody listens in, or is the third in a
/// conference, or has joined two who are both outside, the wire shows several legs that are equally
/// connected. Then any of those inside may be told to talk with any of those outside, but one of
/// them must be, and stays it until their leg is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Talk {
    outside: BTreeSet<String>,
    inside: BTreeSet<String>,
}

impl Talk {
    /// Who talks with whom, if that is certain.
    fn pair(&self) -> Option<(&String, &String)> {
        let certain = self.outside.len() == 1 && self.inside.len() == 1;
        self.outside.first().zip(self.inside.first()).filter(|_| certain)
    }

    fn may_be(&self, outside: &str, inside: &str) -> bool {
        self.outside.contains(outside) && self.inside.contains(inside)
    }

    /// One of its pairs was told.
    fn is_among(&self, told: &BTreeMap<String, String>) -> bool {
        told.iter().any(|(outside, inside)| self.may_be(outside, inside))
    }
}

impl Record {
    /// Compares what was told since the last time with what the exchange did.
    pub(crate) fn compare(&mut self, desk: &mut Desk) -> Result<(), String> {
        self.note(desk);
        self.compare_news(desk)?;
        if self.missing().is_some() {
            // A guest who stays has the call a moment later.
            desk.pass(MOMENT_MS);
            self.compare_news(desk)?;
        }
        self.missing().map_or(Ok(()), Err)
    }

    fn compare_news(&mut self, desk: &Desk) -> Result<(), String> {
        let news = &desk.events[self.compared..];
        self.compared = desk.events.len();
        for event in news.iter().filter(|event| event.direction != Direction::Internal) {
            self.check(event, desk).map_err(|wrong| {
                let chain = |told: &&CallEvent| told.id.chain == event.id.chain;
                let told: Vec<String> = desk.events.iter().filter(chain).map(line).collect();
                format!("{wrong}: {} of {}\n{}", line(event), event.caller_id, told.join("\n"))
            })?;
        }
        Ok(())
    }

    /// What should have been told.
    fn missing(&self) -> Option<String> {
        if let Some((number, who)) = self.began.iter().find(|(_, who)| !who.is_empty()) {
            return Some(format!("not told: {who:?} answered {number}"));
        }
        let talk = self.talks.iter().find(|talk| !talk.is_among(&self.told))?;
        Some(format!("not told: {talk:?}, but {:?}", self.told))
    }

    /// Notes who talks with whom outside.
    fn note(&mut self, desk: &Desk) {
        let now = talks(desk);
        for (number, who) in now.iter().filter_map(Talk::pair) {
            let before = self.talks.iter().find(|talk| talk.outside.contains(number));
            let knew = match before {
                // Nobody was told again who was told already.
                Some(talk) if talk.pair().is_none() => self.told.get(number) == Some(who),
                Some(talk) => talk.inside.contains(who),
                None => false,
            };
            if !knew {
                self.began.entry(number.clone()).or_default().push(who.clone());
            }
        }
        self.talks = now;
    }

    fn check(&mut self, event: &CallEvent, desk: &Desk) -> Result<(), String> {
        let number = &event.caller_id;
        let legs = || desk.exchange.participants();
        let there: BTreeSet<&str> =
            legs().filter(|leg| leg.dn != TRUNK).map(|leg| leg.dn.as_str()).collect();
        let outside_there = legs().any(|leg| leg.dn == TRUNK && leg.party_caller_id == *number);
        match &event.kind {
            EventKind::Ringing(_) if !there.contains(event.user.number.as_str()) => {
                Err("nobody rings".to_owned())
            }
            EventKind::Started(_) => {
                let user = &event.user.number;
                let began = self.began.entry(number.clone()).or_default();
                let unsure = |talk: &&Talk| talk.pair().is_none() && talk.may_be(number, user);
                let new = match self.talks.iter().find(unsure) {
                    Some(talk) => !talk.is_among(&self.told),
                    None if began.first() == Some(user) => true,
                    // Which of two calls with somebody outside goes on is the exchange's affair.
                    None => !self.told.contains_key(number) && is_with_outside(number, desk),
                };
                if !new {
                    return Err(format!("a start, but those who answered are {began:?}"));
                }
                began.retain(|who| who != user);
                self.told.insert(number.clone(), user.clone());
                Ok(())
            }
            EventKind::Ended(ended)
                if !ended.transferred && outside_there && !is_with_outside(number, desk) =>
            {
                Err("over, but the party outside is still there".to_owned())
            }
            EventKind::Ended(ended) if ended.transferred && !outside_there => {
                Err("moved, but the party outside is gone".to_owned())
            }
            EventKind::Ended(_) => {
                self.told.remove(number);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Whether somebody outside was connected to somebody else outside: whoever did that has left
/// both calls, and which of them goes on is the exchange's own affair.
fn is_with_outside(number: &str, desk: &Desk) -> bool {
    let trunks = || desk.exchange.participants().filter(|leg| leg.dn == TRUNK);
    trunks().any(|leg| {
        let beside = |other: &&Participant| other.callid == leg.callid && other.id != leg.id;
        leg.party_caller_id == number && trunks().any(|other| beside(&other))
    })
}

fn talks(desk: &Desk) -> Vec<Talk> {
    let talk_in = |call: &Call| {
        let parts = call.talking.into_iter().chain(call.joined.iter().copied());
        let legs: Vec<&Participant> = [call.anchor]
            .into_iter()
            .chain(parts)
            .filter_map(|id| desk.exchange.participant(id))
            .collect();
        let outside = legs.iter().filter(|leg| leg.dn == TRUNK);
        let inside = legs.iter().filter(|leg| {
            EXTENSIONS.contains(&leg.dn.as_str())
                && leg.status != Status::Ringing
                && leg.status != Status::Dialing
        });
        Talk {
            outside: outside.map(|leg| leg.party_caller_id.clone()).collect(),
            inside: inside.map(|leg| leg.dn.clone()).collect(),
        }
    };
    let talks =
        desk.exchange.calls().filter(|call| call.talking.is_some() || !call.joined.is_empty());
    talks.map(talk_in).filter(|talk| !talk.outside.is_empty() && !talk.inside.is_empty()).collect()
}
