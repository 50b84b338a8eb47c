//! The time by which requests come due.

use crate::clock::{Clock, Moment};

/// The wall's time when the outbox was opened, plus the time that passed since. Setting the
/// machine's clock neither stalls what waits nor makes all of it due at once.
#[derive(Debug)]
pub(super) struct Timeline {
    clock: Clock,
    opened: Moment,
}

impl Timeline {
    /// Begins at what `clock` shows now.
    pub(super) fn new(clock: Clock) -> Self {
        let opened = clock.now();
        Self { clock, opened }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(super) fn now(&self) -> i64 {
        let passed = self.clock.now().since(self.opened);
        let passed = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        self.opened.wall.as_millisecond().saturating_add(passed)
    }
}
