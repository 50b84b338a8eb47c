//! The call-state engine: notices of the exchange go in, call events come out.
//!
//! It is a fold: no task, no clock, no I/O. Time comes in with every notice, and what must
//! survive the process goes out as one blob per call. So it can be replayed, fuzzed and proved.
//!
//! A call is known by the PBX's run-time number. Its legs come and go; who talks, who rings and
//! whether the call moved on or is over is concluded from the legs alone (see `conclude.rs`). What
//! 3CX says of a leg, and how far that can be trusted, is in `leg.rs`.

mod active;
mod afterwards;
mod call;
mod conclude;
mod fetch;
mod gate;
mod hold;
mod hung_up;
mod join;
mod known;
mod late;
mod leg;
mod link;
mod outside;
pub mod replay;
mod rows;
mod stop;
mod tell;
mod time;
mod timers;
pub mod title;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use jiff::tz::TimeZone;

pub use self::afterwards::Wanted;

use self::afterwards::Afterwards;
use self::call::{Call, Context};
use self::known::KnownDns;
use self::leg::{Facts, Origin};
use self::time::{At, Timeline};
use self::timers::due;
use self::title::Titles;
use crate::event::{CallEvent, PartyKind, StopReason};
use crate::source::notice::{LegKey, Notice, Participant, Seen, Snapshot};

/// What the engine must be told about the exchange.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the PBX, part of every event id.
    pub pbx: String,
    /// The PBX's time zone, for the ids.
    pub zone: TimeZone,
    /// How long a call without any leg that shows who has it is waited for before it is over.
    pub settle: Duration,
    /// Names of DID rules by number.
    pub dids: BTreeMap<String, String>,
    /// What DNs are, where the PBX does not tell.
    pub dns: BTreeMap<String, PartyKind>,
    /// The wording of the end event's title.
    pub titles: Titles,
    /// What is wanted of the PBX's call log.
    pub wanted: Wanted,
}

/// What follows from one notice. Both parts belong into one transaction.
#[derive(Debug, Default)]
pub struct Step {
    /// In the order in which they must leave.
    pub events: Vec<CallEvent>,
    /// The new state of every call that changed; `None`: forget it.
    pub state: Vec<(String, Option<Vec<u8>>)>,
}

/// The work on one notice.
#[derive(Debug)]
struct Pass {
    at: At,
    /// What is seen may have happened earlier, unseen.
    resynced: bool,
    /// Calls whose legs have changed.
    touched: BTreeSet<i64>,
    step: Step,
}

impl Pass {
    fn new(at: At) -> Self {
        Self { at, resynced: false, touched: BTreeSet::new(), step: Step::default() }
    }

    fn context<'a>(&'a mut self, settings: &'a Settings) -> Context<'a> {
        let (at, resynced) = (self.at, self.resynced);
        Context { settings, at, resynced, events: &mut self.step.events }
    }
}

/// The engine of one PBX.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    timeline: Timeline,
    known: KnownDns,
    /// By the PBX's run-time number.
    calls: HashMap<i64, Call>,
    /// Other numbers of a call, after an attended transfer.
    aliases: HashMap<i64, i64>,
    /// Which call a leg is in.
    legs: HashMap<LegKey, i64>,
    /// When which call has something to do without a notice, in steady milliseconds.
    timers: BTreeSet<(i64, i64)>,
    /// False while the PBX cannot be watched: silence then means nothing.
    watching: bool,
    /// What is still to be known of calls that ended.
    afterwards: Afterwards,
}

impl Engine {
    /// An engine that knows of no call.
    pub fn new(settings: Settings) -> Self {
        Self {
            afterwards: Afterwards::new(settings.wanted),
            settings,
            timeline: Timeline::default(),
            known: KnownDns::default(),
            calls: HashMap::new(),
            aliases: HashMap::new(),
            legs: HashMap::new(),
            timers: BTreeSet::new(),
            watching: false,
        }
    }

    /// Takes over the calls that an earlier engine kept. A blob that cannot be read, or is another
    /// call's, is an error and leaves the others in place.
    pub fn restore(&mut self, key: &str, state: &[u8]) -> anyhow::Result<()> {
        use anyhow::Context as _;
        let doing = || format!("reading the kept state of call {key}");
        if key.starts_with(afterwards::PREFIX) {
            return self.afterwards.restore(state).with_context(doing);
        }
        let mut call: Call = serde_json::from_slice(state).with_context(doing)?;
        anyhow::ensure!(
            call.number.to_string() == key,
            "the kept state of call {key} is another's"
        );
        self.remove(call.number);
        // A leg is in one call only, and once.
        let number = call.number;
        call.legs.retain(|(leg, _)| match self.legs.entry(leg.clone()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => *free.insert(number) == number,
        });
        self.aliases.extend(call.aliases.iter().map(|alias| (*alias, number)));
        call.due = due(&call, self.settings.settle);
        self.timers.extend(call.due.map(|due| (due, call.number)));
        self.calls.insert(call.number, call);
        Ok(())
    }

    /// Goes on with other settings. What calls have become so far stays as it is.
    pub fn adopt(&mut self, settings: Settings) {
        self.afterwards.adopt(settings.wanted);
        self.settings = settings;
    }

    /// Calls that are not over.
    pub fn live_calls(&self) -> usize {
        self.calls.values().filter(|call| call.over.is_none()).count()
    }

    /// Takes in one notice.
    pub fn apply(&mut self, notice: &Notice) -> Step {
        let at = self.timeline.at(notice.at);
        let mut pass = Pass::new(at);
        match &notice.what {
            Seen::Leg(leg) => self.observe(leg, &mut pass),
            Seen::LegGone(key) => self.forget(key, &mut pass),
            Seen::Snapshot(snapshot) => {
                pass.resynced = true;
                if !self.watching {
                    self.trust_again(&mut pass);
                }
                self.watching = true;
                self.compare(snapshot, &mut pass);
            }
            Seen::Known(known) => self.known.read_books(known),
            Seen::Active { calls } => self.hear_active(calls, &mut pass),
            Seen::Lost => self.watching = false,
            Seen::Logged { .. } | Seen::Tick => {}
        }
        for number in std::mem::take(&mut pass.touched) {
            self.conclude(number, &mut pass);
        }
        if self.watching {
            self.run_timers(at, &mut pass.step);
        }
        self.look_afterwards(notice, &mut pass);
        self.known.introduce(&mut pass.step.events);
        pass.step
    }

    fn observe(&mut self, leg: &Participant, pass: &mut Pass) {
        let (number, facts) = self.read(leg);
        let own = self.legs.get(&leg.key).copied();
        let mut origin = Origin::New;
        let number = match own {
            Some(own) if own != number && self.is_taken_along(own, number) => {
                self.absorb(own, number, pass);
                own
            }
            Some(own) if own != number => {
                origin = self.origin(&leg.key, own, number);
                number
            }
            _ => self.rejoin(number, &facts, pass),
        };
        let number = self.begin_unless_known(number, leg.call_id, &facts, pass);
        if self.legs.get(&leg.key).is_some_and(|own| *own != number) {
            self.leave(&leg.key, origin, pass);
        }
        let Some(call) = self.calls.get_mut(&number) else { return };
        if call.observe(&leg.key, facts, origin, pass.at) {
            self.legs.insert(leg.key.clone(), number);
            pass.touched.insert(number);
        }
    }

    /// What a leg shows, and which call it is in.
    fn read(&self, leg: &Participant) -> (i64, Facts) {
        let number = self.aliases.get(&leg.call_id).copied().unwrap_or(leg.call_id);
        let first = self.calls.get(&number).and_then(|call| call.facts(&leg.key));
        (number, Facts::read(leg, first, &self.settings, &self.known))
    }

    /// The call `known` if the leg belongs to it; else a new one with the number that the leg
    /// shows.
    fn begin_unless_known(
        &mut self,
        known: i64,
        shown: i64,
        facts: &Facts,
        pass: &mut Pass,
    ) -> i64 {
        let at = pass.at;
        if self.calls.get(&known).is_some_and(|call| call.is_continued_by(facts, at)) {
            return known;
        }
        if let Some(call) = self.aliases.remove(&shown).and_then(|of| self.calls.get_mut(&of)) {
            call.aliases.retain(|alias| *alias != shown);
            pass.touched.insert(call.number);
        }
        if !self.is_just_begun(shown, at) {
            self.remove(shown);
            self.calls.insert(shown, Call::new(shown, at, &self.settings));
        }
        shown
    }

    /// Two calls never share an id, so a number that is used again within a second is the same
    /// call.
    fn is_just_begun(&self, number: i64, at: At) -> bool {
        self.calls.get(&number).is_some_and(|call| {
            let joined = call.joined.is_some_and(|joined| at.ms_since(joined) < 1_000);
            joined || call.chain == Call::new(number, at, &self.settings).chain
        })
    }

    /// Forgets a call with all that leads to it.
    fn remove(&mut self, number: i64) -> Option<Call> {
        let call = self.calls.remove(&number)?;
        self.timers.remove(&(call.due.unwrap_or_default(), number));
        for alias in &call.aliases {
            self.aliases.remove(alias);
        }
        for (key, _) in &call.legs {
            self.legs.remove(key);
        }
        Some(call)
    }

    fn forget(&mut self, key: &LegKey, pass: &mut Pass) {
        let Some(number) = self.legs.remove(key) else { return };
        if self.calls.get_mut(&number).is_some_and(|call| call.forget(key)) {
            pass.touched.insert(number);
        }
    }

    /// Everything that is visible now, against everything that was.
    fn compare(&mut self, snapshot: &Snapshot, pass: &mut Pass) {
        self.known.learn(&snapshot.dns);
        if snapshot.after_gap {
            self.part_with_strangers(snapshot, pass);
        }
        let present: HashSet<&LegKey> = snapshot.legs.iter().map(|leg| &leg.key).collect();
        let mut gone: Vec<LegKey> =
            self.legs.keys().filter(|key| !present.contains(key)).cloned().collect();
        gone.sort();
        for key in gone {
            self.forget(&key, pass);
        }
        for leg in &snapshot.legs {
            self.observe(leg, pass);
        }
    }

    /// Ends the calls whose numbers belong to others now: the PBX was restarted meanwhile.
    fn part_with_strangers(&mut self, snapshot: &Snapshot, pass: &mut Pass) {
        for leg in &snapshot.legs {
            let own = self.legs.get(&leg.key).copied().unwrap_or(leg.call_id);
            let (number, facts) = self.read(leg);
            for number in [own, number] {
                let call = self.calls.get(&number);
                let stranger = call.is_some_and(|call| call.is_contradicted_by(&leg.key, &facts));
                if stranger && !self.is_just_begun(number, pass.at) {
                    self.dismiss(number, pass);
                }
            }
        }
    }

    /// Ends a call now, and forgets it.
    fn dismiss(&mut self, number: i64, pass: &mut Pass) {
        let Some(mut call) = self.remove(number) else { return };
        call.stop_all(&StopReason::Unknown, &mut pass.context(&self.settings));
        call.finish(&mut pass.context(&self.settings));
        pass.step.state.push((number.to_string(), None));
    }

    fn conclude(&mut self, number: i64, pass: &mut Pass) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.conclude(&mut pass.context(&self.settings));
        }
        self.keep(number, &mut pass.step);
    }
}

#[cfg(test)]
impl Engine {
    fn is_empty(&self) -> bool {
        let indexes = self.aliases.is_empty() && self.legs.is_empty() && self.timers.is_empty();
        self.calls.is_empty() && indexes && self.afterwards.is_empty()
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
