//! What really happened, by the exchange itself, against what was told.

use std::collections::{BTreeMap, BTreeSet};

use callhook::event::{CallEvent, Direction, EventKind};

use callhook_pbx::exchange::Participant;

use crate::desk::{Desk, line};
use crate::office::{EXTENSIONS, TRUNK};

/// Who talked with whom outside, and how much of what was told has been compared.
#[derive(Default)]
pub(crate) struct Record {
    /// By the number outside: who talks with it now.
    talks: BTreeMap<String, String>,
    /// Every talk that began and was not told yet: number outside, extension.
    began: BTreeMap<String, Vec<String>>,
    compared: usize,
}

impl Record {
    /// Compares what was told since the last time with what the exchange did.
    pub(crate) fn compare(&mut self, desk: &Desk) -> Result<(), String> {
        self.note(desk);
        let news = &desk.events[self.compared..];
        self.compared = desk.events.len();
        for event in news.iter().filter(|event| event.direction != Direction::Internal) {
            self.check(event, desk).map_err(|wrong| {
                let chain = |told: &&CallEvent| told.id.chain == event.id.chain;
                let told: Vec<String> = desk.events.iter().filter(chain).map(line).collect();
                format!("{wrong}: {} of {}\n{}", line(event), event.caller_id, told.join("\n"))
            })?;
        }
        match self.began.iter().find(|(_, who)| !who.is_empty()) {
            Some((number, who)) => Err(format!("not told: {who:?} answered {number}")),
            None => Ok(()),
        }
    }

    /// Notes who talks with whom outside.
    fn note(&mut self, desk: &Desk) {
        let now: BTreeMap<String, String> = talks(desk);
        for (number, who) in &now {
            if self.talks.get(number) != Some(who) {
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
                let began = self.began.entry(number.clone()).or_default();
                if began.first() == Some(&event.user.number) {
                    began.remove(0);
                    Ok(())
                } else {
                    Err(format!("a start, but those who answered are {began:?}"))
                }
            }
            EventKind::Ended(ended)
                if !ended.transferred && outside_there && !is_with_outside(number, desk) =>
            {
                Err("over, but the party outside is still there".to_owned())
            }
            EventKind::Ended(ended) if ended.transferred && !outside_there => {
                Err("moved, but the party outside is gone".to_owned())
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

fn talks(desk: &Desk) -> BTreeMap<String, String> {
    let leg = |id| desk.exchange.participant(id);
    let pairs = desk.exchange.calls().filter_map(|call| {
        let (anchor, talking) = (leg(call.anchor)?, leg(call.talking?)?);
        let (outside, inside) =
            if anchor.dn == TRUNK { (anchor, talking) } else { (talking, anchor) };
        let is_person = EXTENSIONS.contains(&inside.dn.as_str());
        (outside.dn == TRUNK && is_person)
            .then(|| (outside.party_caller_id.clone(), inside.dn.clone()))
    });
    pairs.collect()
}
