//! How many requests an endpoint can take at once, found out by trying.
//!
//! Adaptive request concurrency as Netflix and Vector have it: with each round trip, one more if
//! the limit was reached and replies were no slower than usual, a tenth less if they were much
//! slower; usual is a moving average with its deviation. Other than there, what is pushed back
//! lowers the limit at once, and once per round trip.
//!
//! Pure: the steady clock comes in as an argument.

use std::time::Duration;

/// Enough for a PBX of any size; more is found out within a few round trips.
const START: usize = 4;

/// The weight of the latest round trip in the average.
const WEIGHT: f64 = 0.4;

/// So many deviations above the average is slow.
const DEVIATIONS: f64 = 2.5;

/// What is left of the limit after a push-back.
const DECREASE: f64 = 0.9;

/// Differences below this, in seconds, are noise: what a busy machine adds to a reply from nearby
/// is no sign of a receiver that has too much to do.
const RESOLUTION: f64 = 0.005;

/// The limit, and what it follows from.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: usize,
    ceiling: usize,
    usual: Option<Usual>,
    /// The replies since the last look at the limit, in seconds together.
    taken: f64,
    /// How many.
    replies: u32,
    /// As many as allowed were under way since then.
    reached: bool,
    /// When the limit went down last.
    lowered_at: Option<Duration>,
    /// When to look at the limit again.
    look_at: Duration,
}

/// A moving average, in seconds.
#[derive(Clone, Copy, Debug)]
struct Usual {
    mean: f64,
    variance: f64,
}

impl Concurrency {
    /// A low limit that may rise to `ceiling`.
    pub(super) fn new(ceiling: usize) -> Self {
        let ceiling = ceiling.max(1);
        Self {
            limit: START.min(ceiling),
            ceiling,
            usual: None,
            taken: 0.0,
            replies: 0,
            reached: false,
            lowered_at: None,
            look_at: Duration::ZERO,
        }
    }

    /// Goes on with another ceiling.
    pub(super) fn adopt(&mut self, ceiling: usize) {
        self.ceiling = ceiling.max(1);
        self.limit = self.limit.min(self.ceiling);
    }

    /// So many at once.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// As many as allowed are under way.
    pub(super) fn reached(&mut self) {
        self.reached = true;
    }

    /// A reply came after `took`.
    pub(super) fn replied(&mut self, took: Duration, now: Duration) {
        let took = took.as_secs_f64();
        let Some(usual) = self.usual else {
            self.usual = Some(Usual { mean: took, variance: 0.0 });
            self.look_at = now.saturating_add(Duration::from_secs_f64(took));
            return;
        };
        self.taken += took;
        self.replies = self.replies.saturating_add(1);
        self.look(usual, now);
    }

    /// The endpoint said that it was too much, or said nothing in time, to an attempt that began
    /// then. What was sent before the limit went down says nothing about the new limit.
    pub(super) fn pushed_back(&mut self, began: Duration, now: Duration) {
        if self.lowered_at.is_some_and(|lowered| began < lowered) {
            return;
        }
        self.limit = decreased(self.limit);
        self.lowered_at = Some(now);
        let round_trip = self.usual.map_or(0.0, |usual| usual.mean);
        self.begin_window(round_trip, now);
    }

    /// Moves the limit, if a round trip has passed.
    fn look(&mut self, usual: Usual, now: Duration) {
        if now < self.look_at {
            return;
        }
        let current = (self.replies > 0).then(|| self.taken / f64::from(self.replies));
        let over = current.map(|current| current - usual.mean);
        let slow = (usual.variance.sqrt() * DEVIATIONS).max(RESOLUTION);
        if over.is_some_and(|over| over > slow) {
            self.limit = decreased(self.limit);
            self.lowered_at = Some(now);
        } else if self.reached && over.is_some_and(|over| over <= RESOLUTION) {
            self.limit = self.limit.saturating_add(1).min(self.ceiling);
        }
        if let Some(current) = current {
            self.usual = Some(self.usual.map_or(usual, |usual| usual.with(current)));
        }
        self.begin_window(usual.mean, now);
    }

    fn begin_window(&mut self, round_trip: f64, now: Duration) {
        self.look_at = now.saturating_add(Duration::from_secs_f64(round_trip));
        (self.taken, self.replies, self.reached) = (0.0, 0, false);
    }
}

impl Usual {
    fn with(self, current: f64) -> Self {
        let difference = current - self.mean;
        let step = WEIGHT * difference;
        let variance = (1.0 - WEIGHT) * (self.variance + difference * step);
        Self { mean: self.mean + step, variance }
    }
}

/// A tenth less, but at least one less and never none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a limit is small and positive"
)]
fn decreased(limit: usize) -> usize {
    ((limit as f64 * DECREASE) as usize).max(1)
}

#[cfg(test)]
#[path = "concurrency_tests.rs"]
mod tests;
