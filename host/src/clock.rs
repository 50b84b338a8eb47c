//! What time it is, as a value that is passed in.
//!
//! Nothing below `app` asks the machine for the time by itself, so tests and replays decide what
//! the time is.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// One reading of both clocks: the wall's for ids and reports, the monotonic one for durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// What a clock on the wall shows; may jump.
    pub wall: jiff::Timestamp,
    /// Time since this process started; never jumps, means nothing to another process.
    pub mono: Duration,
}

impl Moment {
    /// The monotonic time since `earlier`; zero if that lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        self.mono.saturating_sub(earlier.mono)
    }
}

#[cfg(test)]
impl Moment {
    fn later(self, seconds: u64) -> Self {
        let passed = Duration::from_secs(seconds);
        Self { wall: self.wall + passed, mono: self.mono + passed }
    }

    fn ahead(self, seconds: i64) -> Self {
        Self { wall: self.wall + jiff::SignedDuration::from_secs(seconds), ..self }
    }
}

/// The machine's clocks, or the machine's monotonic clock with a wall clock that stands still.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    stopped_wall: Option<jiff::Timestamp>,
    /// What a test has let pass, in seconds.
    #[cfg(test)]
    skipped: std::sync::Arc<std::sync::atomic::AtomicU64>,
    /// By how many seconds a test has set the wall's clock ahead.
    #[cfg(test)]
    set_ahead: std::sync::Arc<std::sync::atomic::AtomicI64>,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self::starting(None)
    }

    /// Time passes, but the wall shows `wall` for ever: for ids that can be foretold.
    pub fn with_stopped_wall(wall: jiff::Timestamp) -> Self {
        Self::starting(Some(wall))
    }

    fn starting(stopped_wall: Option<jiff::Timestamp>) -> Self {
        Self {
            started: Instant::now(),
            stopped_wall,
            #[cfg(test)]
            skipped: std::sync::Arc::default(),
            #[cfg(test)]
            set_ahead: std::sync::Arc::default(),
        }
    }

    /// Lets time pass for all clones, without waiting for it.
    #[cfg(test)]
    pub(crate) fn skip(&self, seconds: u64) {
        self.skipped.fetch_add(seconds, std::sync::atomic::Ordering::Relaxed);
    }

    /// Sets the wall's clock so far ahead for all clones, or back; no time passes.
    #[cfg(test)]
    pub(crate) fn set_ahead(&self, seconds: i64) {
        self.set_ahead.store(seconds, std::sync::atomic::Ordering::Relaxed);
    }

    /// Reads both clocks.
    pub fn now(&self) -> Moment {
        let wall = self.stopped_wall.unwrap_or_else(jiff::Timestamp::now);
        let moment = Moment { wall, mono: self.started.elapsed() };
        #[cfg(test)]
        let moment = moment
            .later(self.skipped.load(std::sync::atomic::Ordering::Relaxed))
            .ahead(self.set_ahead.load(std::sync::atomic::Ordering::Relaxed));
        moment
    }
}
