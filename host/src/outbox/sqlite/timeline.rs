//! The time by which requests come due.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::{Clock, Moment};

/// The wall's time when the outbox was opened, plus the time that passed since. Setting the
/// machine's clock neither stalls what waits nor makes all of it due at once.
///
/// If the clock went back between two runs, the timeline goes on where the last run left it: what
/// had to wait an hour waits an hour, whatever the wall shows.
#[derive(Debug)]
pub(super) struct Timeline {
    clock: Clock,
    opened: Moment,
    /// How far the timeline is ahead of the wall.
    ahead: AtomicI64,
}

/// When something was asked for, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// As the wall shows it, for people and for what is kept so many days.
    pub(super) wall: i64,
    /// On the timeline, for all that is due or expires.
    pub(super) due: i64,
}

impl Timeline {
    /// Begins at what `clock` shows now.
    pub(super) fn new(clock: Clock) -> Self {
        let opened = clock.now();
        Self { clock, opened, ahead: AtomicI64::new(0) }
    }

    /// Sees to it that the timeline is at `newest` at least. `true` if it was not.
    pub(super) fn reach(&self, newest: i64) -> bool {
        let behind = newest.saturating_sub(self.now()).max(0);
        self.ahead.fetch_add(behind, Ordering::Relaxed);
        behind > 0
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(super) fn now(&self) -> i64 {
        self.stamp().due
    }

    /// Both times.
    pub(super) fn stamp(&self) -> Stamp {
        let now = self.clock.now();
        let passed = i64::try_from(now.since(self.opened).as_millis()).unwrap_or(i64::MAX);
        let begun = self.opened.wall.as_millisecond();
        let ahead = self.ahead.load(Ordering::Relaxed);
        let due = begun.saturating_add(ahead).saturating_add(passed);
        Stamp { wall: now.wall.as_millisecond(), due }
    }
}
