//! The engine's time: wall time to report, and a time that never jumps to measure with.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;

/// A moment as the engine keeps it, also over a restart.
///
/// `steady_ms` is the monotonic clock, set off so that it read like the wall clock when the
/// engine began. A later process begins where its own wall clock stands, so moments that were
/// kept stay comparable as far as the wall clock was right at both starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct At {
    steady_ms: i64,
    wall_ms: i64,
}

impl At {
    /// The wall time.
    pub(super) fn wall(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.wall_ms).unwrap_or_default()
    }

    /// Milliseconds since `earlier`, as far as they fit; never negative.
    pub(super) fn ms_since(self, earlier: Self) -> u32 {
        let ms = self.steady_ms.saturating_sub(earlier.steady_ms).max(0);
        u32::try_from(ms).unwrap_or(u32::MAX)
    }

    /// The steady time plus a duration, in milliseconds.
    pub(super) fn plus(self, duration: Duration) -> i64 {
        self.steady_ms.saturating_add(millis(duration))
    }

    /// The steady time alone.
    pub(super) fn steady(self) -> i64 {
        self.steady_ms
    }
}

/// Turns readings of the clock into [`At`]s.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timeline {
    /// Wall minus monotonic milliseconds at the first reading.
    offset_ms: Option<i64>,
}

impl Timeline {
    /// A reading of the clock on this timeline.
    pub(super) fn at(&mut self, moment: Moment) -> At {
        let wall_ms = moment.wall.as_millisecond();
        let offset = *self.offset_ms.get_or_insert(wall_ms.saturating_sub(millis(moment.mono)));
        At { steady_ms: offset.saturating_add(millis(moment.mono)), wall_ms }
    }

    /// The monotonic time at which the steady time will be reached.
    pub(super) fn mono(&self, steady_ms: i64) -> Duration {
        let ms = steady_ms.saturating_sub(self.offset_ms.unwrap_or_default());
        Duration::from_millis(u64::try_from(ms).unwrap_or_default())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
