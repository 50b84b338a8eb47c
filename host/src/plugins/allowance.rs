//! How much time a plugin's failing calls may take from everybody else.
//!
//! Calls happen one after the other, so a plugin that hangs at every event would hold up the events
//! of all endpoints by its whole deadline each time. A few failures in a row are nothing: each
//! costs its own event. But all in all failing calls get a twentieth of the time. Beyond that the
//! plugin is not called; its events are kept, as with any failure, until it is mended.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failing calls get one part in so many of the time.
const SHARE: u32 = 20;

/// So many calls may run into their deadline before the share is looked at.
const IN_ADVANCE: u32 = 4;

/// The time that one plugin's failing calls have taken.
#[derive(Debug)]
pub(super) struct Allowance {
    /// What may be taken in advance.
    advance: Duration,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// Taken, and not yet made good by time that passed.
    taken: Duration,
    /// When that was reckoned.
    at: Instant,
}

impl Allowance {
    /// For calls that may take `deadline`.
    pub(super) fn new(deadline: Duration) -> Self {
        let account = Account { taken: Duration::ZERO, at: Instant::now() };
        Self { advance: deadline * IN_ADVANCE, account: Mutex::new(account) }
    }

    /// How long there must be no call from `now` on; zero if there may be one.
    pub(super) fn rest(&self, now: Instant) -> Duration {
        self.reckon(now, Duration::ZERO).saturating_sub(self.advance) * SHARE
    }

    /// A call that lasted so long has failed.
    pub(super) fn failed(&self, now: Instant, lasted: Duration) {
        self.reckon(now, lasted);
    }

    /// What is taken as of `now`, with what is added.
    fn reckon(&self, now: Instant, added: Duration) -> Duration {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let made_good = now.saturating_duration_since(account.at) / SHARE;
        account.taken = account.taken.saturating_sub(made_good) + added;
        account.at = now;
        account.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn failures_in_a_row_are_free_and_then_they_get_a_twentieth_of_the_time() {
        let (allowance, mut now) = (Allowance::new(250 * MS), Instant::now());
        let start = now;
        let mut calls = 0;
        // An event every 10 ms, for a minute; each call hangs.
        while now < start + Duration::from_mins(1) {
            if allowance.rest(now).is_zero() {
                calls += 1;
                now += 250 * MS;
                allowance.failed(now, 250 * MS);
            }
            now += 10 * MS;
        }
        // One second in advance, and three seconds of the minute.
        assert!((15..=17).contains(&calls), "{calls}");
    }

    #[test]
    fn quick_failures_are_never_too_much() {
        let (allowance, mut now) = (Allowance::new(250 * MS), Instant::now());
        for _ in 0..100_000 {
            assert_eq!(allowance.rest(now), Duration::ZERO);
            allowance.failed(now, MS / 10);
            now += 3 * MS;
        }
    }

    #[test]
    fn rest_ends() {
        let (allowance, now) = (Allowance::new(250 * MS), Instant::now());
        allowance.failed(now, 1_001 * MS);
        assert_eq!(allowance.rest(now), 20 * MS);
        assert_eq!(allowance.rest(now + 19 * MS), MS);
        assert_eq!(allowance.rest(now + 20 * MS), Duration::ZERO);
    }
}
