//! When to look into the call log and into the list of active calls. Pure: time comes in, and what
//! was found; looking is done elsewhere.
//!
//! Nothing is asked for while all calls can be seen. When the last visible leg of a call is gone:
//!
//! - The active calls are looked at, and again as long as the call is among them.
//! - The log is looked into at growing intervals, if the call was a talk and recordings are
//!   wanted, until it shows the recording or [`RECORDING`] is through.
//! - The log is looked into every second for a while, if a queue had the call and somebody waits
//!   to hear of callbacks.
//!
//! One look serves all calls. At the start the calls of before are not known, so both are looked at
//! as if some of them had just ended.

use std::time::Duration;

use crate::clock::Moment;
use crate::source::callcontrol::diary::{Left, News};
use crate::source::notice::LogRow;

/// When to look for a recording, counted from when the call was last seen. When it is there is not
/// known: some seconds after the end, more where it is transcribed or moved (inferred).
const RECORDING: [Duration; 5] = [
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(5),
];

/// Between looks for a callback, and between any two looks into the log.
const LOG_REST: Duration = Duration::from_secs(1);

/// After the last leg went, before the active calls are looked at: the PBX must have noticed that
/// itself.
const FIRST_ACTIVE: Duration = Duration::from_millis(300);

/// Between looks at the active calls; clients poll every 0.5 to 5 s (reported).
const ACTIVE_EVERY: Duration = Duration::from_secs(3);

/// A call that is out of sight for longer than this is not looked after any more.
const MOST_PATIENCE: Duration = Duration::from_hours(2);

/// So many calls are looked after at a time.
const MOST_FOLLOWED: usize = 1000;

/// At the start the log is read that far back: as long as the engine remembers calls.
const LOOK_BACK: Duration = Duration::from_hours(1);

/// The PBX's clock may be off by this.
const MARGIN: Duration = Duration::from_mins(1);

/// A row that ends so close to when the call was last seen is its last (inferred).
const LAST_WITHIN: Duration = Duration::from_secs(15);

/// What is wanted of the log.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Wishes {
    /// Somebody wants to hear of recordings.
    pub(in super::super) recordings: bool,
    /// For so long after a call went out of sight, somebody waits to hear of callbacks.
    pub(in super::super) callbacks: Duration,
}

/// A look to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// At the active calls.
    Active,
    /// Into the log, from then on.
    Log(jiff::Timestamp),
}

/// The looks that are to come.
#[derive(Debug)]
pub(super) struct Agenda {
    wishes: Wishes,
    log_open: bool,
    active_open: bool,
    started: bool,
    followed: Vec<Followed>,
    /// When the log was looked into last.
    logged: Option<Duration>,
}

/// A call that is out of sight, or in place of those of before the start.
#[derive(Debug)]
struct Followed {
    /// `None` for those of before the start.
    left: Option<Left>,
    /// From where on the log is of interest.
    since: jiff::Timestamp,
    /// When it was known to go on last: at first, when its last leg went.
    alive: Duration,
    next_active: Option<Duration>,
    /// It was among the active calls when they were looked at last.
    listed: bool,
    next_log: Option<Duration>,
    /// When to stop.
    until: Duration,
}

impl Wishes {
    /// Whether the log is of any interest.
    pub(super) fn log(self) -> bool {
        self.recordings || self.callbacks > Duration::ZERO
    }
}

impl Agenda {
    pub(super) fn new(wishes: Wishes) -> Self {
        Self {
            wishes,
            log_open: wishes.log(),
            active_open: true,
            started: false,
            followed: Vec::new(),
            logged: None,
        }
    }

    /// The client has no right to it.
    pub(super) fn close(&mut self, look: Look) {
        match look {
            Look::Active => {
                self.active_open = false;
                let wishes = self.wishes;
                for it in self.followed.iter_mut().filter(|it| it.next_log.is_none()) {
                    it.next_log = it.log_after(it.alive, wishes);
                }
            }
            Look::Log(_) => self.log_open = false,
        }
    }

    /// Takes in what has become of calls.
    pub(super) fn take(&mut self, news: News, now: Moment) {
        if news.regained {
            // What was closed may have been closed to a token that was taken away.
            self.log_open = self.wishes.log();
            self.active_open = true;
        }
        let wishes = self.wishes;
        let is_back =
            |it: &Followed| it.left.as_ref().is_some_and(|left| news.back.contains(&left.call));
        for it in self.followed.iter_mut().filter(|it| is_back(it)) {
            it.next_active = None;
            it.listed = false;
            it.next_log = it.next_log.or_else(|| it.log_after(now.mono, wishes));
        }
        // The recording of the first part of a call that is back is still looked for.
        self.followed.retain(|it| !is_back(it) || it.next_log.is_some());
        if news.watched && !self.started {
            self.started = true;
            let since = now.wall.checked_sub(LOOK_BACK).unwrap_or(now.wall);
            self.follow(None, since, now.mono, Duration::ZERO);
        }
        for left in news.left {
            let (began, at) = (left.life.began.wall, left.at.mono);
            let early = began.checked_sub(LOOK_BACK).unwrap_or(began);
            let since = if left.life.met { early } else { began };
            self.follow(Some(left), since, at, FIRST_ACTIVE);
        }
    }

    fn follow(
        &mut self,
        left: Option<Left>,
        since: jiff::Timestamp,
        at: Duration,
        first: Duration,
    ) {
        let mut it = Followed {
            left,
            since: since.checked_sub(MARGIN).unwrap_or(since),
            alive: at,
            next_active: Some(at + first),
            // What was followed from the start on is so because it was.
            listed: first == ACTIVE_EVERY,
            next_log: None,
            until: at + MOST_PATIENCE,
        };
        it.next_log = if it.left.is_none() { Some(at) } else { it.log_after(at, self.wishes) };
        if self.followed.len() < MOST_FOLLOWED {
            self.followed.push(it);
        }
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Duration> {
        let active = self.followed.iter().filter_map(|it| it.next_active).min();
        let log = self.followed.iter().filter_map(|it| it.next_log).min();
        let log = log.map(|due| self.logged.map_or(due, |last| due.max(last + LOG_REST)));
        let active = active.filter(|_| self.active_open);
        active.into_iter().chain(log.filter(|_| self.log_open)).min()
    }

    /// The look that is to be taken now.
    pub(super) fn look(&mut self, now: Duration) -> Option<Look> {
        let (log_open, active_open) = (self.log_open, self.active_open);
        self.followed.retain(|it| {
            let wanted =
                (it.next_active.is_some() && active_open) || (it.next_log.is_some() && log_open);
            wanted && now < it.until
        });
        let due = |next: Option<Duration>| next.is_some_and(|next| next <= now);
        if self.active_open && self.followed.iter().any(|it| due(it.next_active)) {
            return Some(Look::Active);
        }
        let rested = self.logged.is_none_or(|last| last + LOG_REST <= now);
        if !self.log_open || !rested || !self.followed.iter().any(|it| due(it.next_log)) {
            return None;
        }
        let open = self.followed.iter().filter(|it| it.next_log.is_some());
        open.map(|it| it.since).min().map(Look::Log)
    }

    /// Nothing was found out; it is looked at again when it is time.
    pub(super) fn failed(&mut self, look: Look, now: Duration) {
        match look {
            Look::Active => {
                let due = |it: &&mut Followed| it.next_active.is_some_and(|next| next <= now);
                for it in self.followed.iter_mut().filter(due) {
                    it.next_active = Some(now + ACTIVE_EVERY);
                }
            }
            Look::Log(_) => self.found(&[], now),
        }
    }

    /// These calls are going on, as was asked at `now`; `unseen` of them have no visible leg.
    /// True if that says something of a call that is out of sight: it is, or was, among them.
    pub(super) fn active(&mut self, calls: &[i64], unseen: &[i64], now: Moment) -> bool {
        let mut says = false;
        let mut before = Vec::new();
        for it in &mut self.followed {
            if it.next_active.is_none_or(|next| next > now.mono) {
                continue;
            }
            let Some(left) = &it.left else {
                before.extend_from_slice(unseen);
                it.next_active = None;
                continue;
            };
            it.next_active = None;
            let was_listed = it.listed;
            it.listed = calls.contains(&left.call);
            says |= it.listed || was_listed;
            if it.listed {
                it.alive = now.mono;
                it.next_active = Some(now.mono + ACTIVE_EVERY);
                it.next_log = None;
            } else if it.next_log.is_none() {
                it.alive = now.mono;
                it.next_log = it.log_after(now.mono, self.wishes);
            }
        }
        let known = |call: &i64| {
            self.followed.iter().filter_map(|it| it.left.as_ref()).any(|left| left.call == *call)
        };
        before.retain(|call| !known(call));
        for call in before {
            says = true;
            let left = Left::unseen(call, now);
            self.follow(Some(left), now.wall, now.mono, ACTIVE_EVERY);
        }
        says
    }

    /// The log says this, as was asked at `now`.
    pub(super) fn found(&mut self, rows: &[LogRow], now: Duration) {
        self.logged = Some(now);
        let wishes = self.wishes;
        for it in &mut self.followed {
            if it.next_log.is_some_and(|next| next <= now) || it.is_recorded(rows) {
                it.next_log = it.log_after(now, wishes).filter(|_| !it.is_done(rows, now, wishes));
            }
        }
    }
}

impl Followed {
    /// When to look into the log next.
    fn log_after(&self, now: Duration, wishes: Wishes) -> Option<Duration> {
        let life = self.left.as_ref().map(|left| &left.life);
        let talked = wishes.recordings && life.is_none_or(|life| life.talked);
        let queued = life.is_none_or(|life| life.queued);
        let last = self.alive + wishes.callbacks;
        let callback = Some(now + LOG_REST).filter(|next| queued && *next <= last);
        let recording = RECORDING.iter().map(|wait| self.alive + *wait).find(|next| *next > now);
        callback.into_iter().chain(recording.filter(|_| talked)).min()
    }

    /// The log has shown what it was looked into for.
    fn is_done(&self, rows: &[LogRow], now: Duration, wishes: Wishes) -> bool {
        let waits = now < self.alive + wishes.callbacks;
        self.left.is_some() && !waits && self.is_recorded(rows)
    }

    /// Of the talks with the number outside since it began, each has its recording, the one that
    /// ended when the call was last seen among them. Calls without such a number are looked for to
    /// the end.
    fn is_recorded(&self, rows: &[LogRow]) -> bool {
        let Some(left) = &self.left else { return false };
        let number = left.life.number.as_str();
        let is_with =
            |row: &&LogRow| [&row.from.number, &row.to.number].iter().any(|it| same(it, number));
        let talked = |row: &&LogRow| row.answered && row.talking_ms != Some(0);
        let mut talks =
            rows.iter().filter(|row| row.started >= self.since).filter(is_with).filter(talked);
        let mut last = false;
        let all = talks.all(|row| {
            last |= ends_at(row, left.at.wall);
            !row.recordings.is_empty()
        });
        all && last
    }
}

/// Whether the row ends about then, as far as it tells.
fn ends_at(row: &LogRow, at: jiff::Timestamp) -> bool {
    let lasted = row.ringing_ms.unwrap_or(0).saturating_add(row.talking_ms.unwrap_or(0));
    let ended = row.started.as_millisecond().saturating_add(lasted.into());
    at.as_millisecond().abs_diff(ended) <= LAST_WITHIN.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Whether both end in the same digits; what stands before them may differ.
fn same(a: &str, b: &str) -> bool {
    const TELLING: usize = 7;
    let ending = |number: &str| -> String { number.chars().rev().take(TELLING).collect() };
    !b.is_empty() && ending(a) == ending(b)
}

#[cfg(test)]
#[path = "agenda_tests.rs"]
mod tests;
