//! What becomes known of a call when a part of it is over: its recordings, and whether a callback
//! was ordered.
//!
//! Both stand in the PBX's call log, some time after the end. Nothing waits for a recording: the
//! talks that have ended are remembered for [`KEEP`], and each recording that the log shows is an
//! event of its own, the next in the call's sequence. An end in a queue may be held back for a
//! while, if that is wanted and the log can be read, until the log tells of the callback; nothing
//! of the same call overtakes it.
//!
//! All of it is kept like the calls themselves, so a restart loses nothing and tells nothing twice.
//! Which row of the log belongs to which end is found out in `rows.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rows;
use super::time::At;
use super::title::{self, Titles};
use crate::event::{
    CallEvent, Callback, ChainId, Direction, EventKind, FinishType, LocalTime, Recording,
};
use crate::source::notice::LogRow;

/// Talks that ended are remembered this long. The log is looked into for five minutes; a
/// restart may take the rest.
const KEEP: Duration = Duration::from_hours(1);

/// So many calls are remembered; beyond that the oldest are forgotten.
const MOST_CALLS: usize = 10_000;

/// So many talks and recordings of one call are remembered.
const MOST_OF_ONE: usize = 64;

/// What is kept has keys that begin so; the others are those of calls.
pub(super) const PREFIX: &str = "after ";

/// What is wanted beyond the call itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Somebody wants to hear of recordings.
    pub recordings: bool,
    /// An incoming call's end in a queue is held back this long, until it is known whether a
    /// callback was ordered; zero: it leaves at once.
    pub callback_wait: Duration,
}

/// What is known of calls of which parts are over.
#[derive(Debug, Default)]
pub(super) struct Afterwards {
    wanted: Wanted,
    /// What the log said last; `None` while nothing shows that it can be read.
    log: Option<Vec<LogRow>>,
    pasts: BTreeMap<ChainId, Past>,
    /// When which of them has something to do, in steady milliseconds.
    timers: BTreeSet<(i64, ChainId)>,
    /// A talk has ended since the log was compared.
    fresh: bool,
}

/// What is remembered of a call.
#[derive(Debug, Serialize, Deserialize)]
struct Past {
    chain: ChainId,
    /// The last number in its sequence that is known of here.
    sequence: u32,
    /// The ends of its talks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ends: Vec<CallEvent>,
    /// The recordings that were told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<String>,
    /// An end that waits to leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    /// When to forget it, in steady milliseconds.
    until: i64,
}

/// An end that waits to leave.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    end: CallEvent,
    /// When it leaves at the latest, in steady milliseconds.
    until: i64,
}

/// What is to be told, and to be kept.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) events: Vec<CallEvent>,
    pub(super) state: Vec<(String, Option<Vec<u8>>)>,
}

impl Past {
    fn due(&self) -> i64 {
        self.held.as_ref().map_or(self.until, |held| held.until)
    }

    fn key(&self) -> String {
        format!("{PREFIX}{}", self.chain)
    }
}

impl Afterwards {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// From now on, this is wanted.
    pub(super) fn adopt(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    /// Takes over what was kept.
    pub(super) fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let past: Past = serde_json::from_slice(state)?;
        self.timers.insert((past.due(), past.chain.clone()));
        self.pasts.insert(past.chain.clone(), past);
        Ok(())
    }

    /// When there is something to do, in steady milliseconds.
    pub(super) fn due(&self) -> Option<i64> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Whether there is nothing to do with events.
    fn is_idle(&self) -> bool {
        let wants = self.wanted.recordings || !self.wanted.callback_wait.is_zero();
        !wants && self.pasts.is_empty()
    }

    /// Looks at events before they leave: remembers the ends of talks, and holds ends back.
    pub(super) fn let_pass(&mut self, events: Vec<CallEvent>, at: At, titles: &Titles) -> Told {
        let mut told = Told::default();
        if self.is_idle() {
            told.events = events;
            return told;
        }
        for event in events {
            self.release(&event.id.chain, &mut told);
            self.count(&event, &mut told);
            match self.fate(event, titles) {
                Fate::Leave(event) => {
                    self.remember(&event, at, &mut told);
                    told.events.push(*event);
                }
                Fate::Wait(event) => self.hold(*event, at, &mut told),
            }
        }
        told
    }

    /// Whether an event leaves now.
    fn fate(&self, event: CallEvent, titles: &Titles) -> Fate {
        let mut event = Box::new(event);
        let waits = match &event.kind {
            EventKind::Ended(ended) => {
                event.direction == Direction::Incoming
                    && ended.callback_ordered == Callback::Unknown
                    && !ended.transferred
                    && !self.wanted.callback_wait.is_zero()
            }
            _ => false,
        };
        let (true, Some(log)) = (waits, &self.log) else { return Fate::Leave(event) };
        // That it shows no order may be because it was looked into too early.
        match rows::callback(log, &event) {
            Some(Callback::Yes) => {
                answer_callback(&mut event, Callback::Yes, titles);
                Fate::Leave(event)
            }
            _ => Fate::Wait(event),
        }
    }

    fn hold(&mut self, end: CallEvent, at: At, told: &mut Told) {
        let (chain, until) = (end.id.chain.clone(), at.plus(self.wanted.callback_wait));
        self.change(&chain, at, told, |past| past.held = Some(Held { end, until }));
    }

    /// Lets an end go that was held back.
    fn release(&mut self, chain: &ChainId, told: &mut Told) {
        if self.pasts.get(chain).is_some_and(|past| past.held.is_some()) {
            self.change_known(chain, told, |past, told| {
                told.events.extend(past.held.take().map(|held| held.end));
            });
        }
    }

    /// Notes how far the sequence of a call is.
    fn count(&mut self, event: &CallEvent, told: &mut Told) {
        let chain = &event.id.chain;
        if self.pasts.get(chain).is_some_and(|past| past.sequence < event.sequence) {
            self.change_known(chain, told, |past, _| past.sequence = event.sequence);
        }
    }

    /// Remembers the end of a talk.
    fn remember(&mut self, event: &CallEvent, at: At, told: &mut Told) {
        let EventKind::Ended(ended) = &event.kind else { return };
        if !self.wanted.recordings || ended.finish != FinishType::Ok {
            return;
        }
        let (chain, sequence, end) = (event.id.chain.clone(), event.sequence, event.clone());
        self.change(&chain, at, told, |past| {
            past.sequence = past.sequence.max(sequence);
            past.until = at.plus(KEEP);
            if past.ends.len() < MOST_OF_ONE {
                past.ends.push(end);
            }
        });
        self.fresh = true;
    }

    /// Takes in what the log says: lets ends go of which it tells.
    pub(super) fn read(&mut self, log: &[LogRow], titles: &Titles, told: &mut Told) {
        self.log = Some(log.to_vec());
        self.fresh = true;
        let held = self.pasts.values().filter_map(|past| past.held.as_ref());
        let answered: Vec<(ChainId, Callback)> = held
            .filter_map(|held| Some((held.end.id.chain.clone(), rows::callback(log, &held.end)?)))
            .collect();
        for (chain, answer) in answered {
            self.change_known(&chain, told, |past, _| {
                if let Some(held) = &mut past.held {
                    answer_callback(&mut held.end, answer, titles);
                }
            });
            self.release(&chain, told);
        }
    }

    /// The recordings that are new; their events still lack their place in the sequence.
    pub(super) fn recordings(&mut self, told: &mut Told) -> Vec<CallEvent> {
        let mut found = Vec::new();
        if !std::mem::take(&mut self.fresh) || !self.wanted.recordings {
            return found;
        }
        let Some(log) = self.log.take() else { return found };
        for row in log.iter().filter(|row| !row.recordings.is_empty()) {
            let ends = self.pasts.values().flat_map(|past| &past.ends);
            let Some(end) = rows::talk(row, &log, ends).cloned() else { continue };
            self.release(&end.id.chain, told);
            for url in &row.recordings {
                found.extend(self.recording(row, url, &end, told));
            }
        }
        self.log = Some(log);
        found
    }

    /// The event of a recording, if it was not told before.
    fn recording(
        &mut self,
        row: &LogRow,
        url: &str,
        end: &CallEvent,
        told: &mut Told,
    ) -> Option<CallEvent> {
        let chain = &end.id.chain;
        let past = self.pasts.get(chain)?;
        if past.told.len() >= MOST_OF_ONE || past.told.iter().any(|known| known == url) {
            return None;
        }
        self.change_known(chain, told, |past, _| past.told.push(url.to_owned()));
        let recording = Recording { url: url.to_owned(), duration_ms: row.talking_ms };
        let kind = EventKind::Recording(recording);
        Some(CallEvent { kind, resynced: false, ..end.clone() })
    }

    /// The place in the sequence of a call that was taken last, as far as known here.
    pub(super) fn sequence(&self, chain: &ChainId) -> u32 {
        self.pasts.get(chain).map_or(0, |past| past.sequence)
    }

    /// Tells an event that has got its place.
    pub(super) fn tell(&mut self, event: CallEvent, told: &mut Told) {
        self.count(&event, told);
        told.events.push(event);
    }

    /// Lets go, and forgets, whatever is due.
    pub(super) fn run_timers(&mut self, at: At, told: &mut Told) {
        while let Some((due, chain)) = self.timers.first().cloned() {
            if due > at.steady() && self.pasts.len() <= MOST_CALLS {
                break;
            }
            self.release(&chain, told);
            let is_over = |past: &Past| past.until <= at.steady() || past.ends.is_empty();
            if self.pasts.get(&chain).is_some_and(is_over) || self.pasts.len() > MOST_CALLS {
                self.forget(&chain, told);
            }
        }
    }

    fn forget(&mut self, chain: &ChainId, told: &mut Told) {
        if let Some(past) = self.pasts.remove(chain) {
            self.timers.remove(&(past.due(), chain.clone()));
            told.state.push((past.key(), None));
        }
    }

    /// Changes what is remembered of a call, of which nothing may be remembered yet.
    fn change(&mut self, chain: &ChainId, at: At, told: &mut Told, act: impl FnOnce(&mut Past)) {
        self.pasts.entry(chain.clone()).or_insert_with(|| Past {
            chain: chain.clone(),
            sequence: 0,
            ends: Vec::new(),
            told: Vec::new(),
            held: None,
            until: at.plus(Duration::ZERO),
        });
        self.change_known(chain, told, |past, _| act(past));
    }

    /// Changes what is remembered of a call, and keeps that.
    fn change_known(
        &mut self,
        chain: &ChainId,
        told: &mut Told,
        act: impl FnOnce(&mut Past, &mut Told),
    ) {
        let Some(past) = self.pasts.get_mut(chain) else { return };
        self.timers.remove(&(past.due(), chain.clone()));
        act(past, told);
        self.timers.insert((past.due(), chain.clone()));
        match serde_json::to_vec(past) {
            Ok(state) => told.state.push((past.key(), Some(state))),
            Err(error) => {
                tracing::error!(call = %chain, %error, "Cannot keep what a call still waits for.");
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.pasts.is_empty() && self.timers.is_empty()
    }
}

/// What becomes of an event.
enum Fate {
    Leave(Box<CallEvent>),
    Wait(Box<CallEvent>),
}

fn answer_callback(end: &mut CallEvent, answer: Callback, titles: &Titles) {
    if let EventKind::Ended(ended) = &mut end.kind {
        ended.callback_ordered = answer;
    }
    title::entitle(end, titles);
}

/// Gives the event of a recording its place in the sequence, and its time.
pub(super) fn place(event: &mut CallEvent, sequence: u32, at: LocalTime) {
    event.sequence = sequence;
    event.event_id = format!("{}-{}-{sequence}", event.pbx, event.id.chain);
    event.occurred_at = at;
}

#[cfg(test)]
#[path = "afterwards_tests.rs"]
mod tests;
