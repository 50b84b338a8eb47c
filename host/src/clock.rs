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

/// The machine's clocks, or the machine's clocks shifted to another start.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    /// Where the wall clock stood when the process started, if it is to differ from the
    /// machine's.
    start_wall: Option<jiff::Timestamp>,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self { started: Instant::now(), start_wall: None }
    }

    /// Runs as fast as the machine's clocks, but the wall shows `start` now.
    pub fn starting_at(start: jiff::Timestamp) -> Self {
        Self { started: Instant::now(), start_wall: Some(start) }
    }

    /// Reads both clocks.
    pub fn now(&self) -> Moment {
        let mono = self.started.elapsed();
        let wall = match self.start_wall {
            None => jiff::Timestamp::now(),
            Some(start) => start.checked_add(mono).unwrap_or(jiff::Timestamp::MAX),
        };
        Moment { wall, mono }
    }
}
