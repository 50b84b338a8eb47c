//! Counts what the PBX does wrong, and logs it without flooding the log.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{debug, warn};

use crate::clock::Clock;
use crate::metrics::PbxMetrics;

/// Each cause is logged once in this time.
const QUIET: Duration = Duration::from_mins(1);

/// Counts faults and logs them. Cheap to clone; clones share their memory.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    metrics: PbxMetrics,
    clock: Clock,
    /// For each cause, when it was last logged and how often it came up since.
    seen: Arc<Mutex<HashMap<&'static str, (Duration, u64)>>>,
}

impl Faults {
    pub(super) fn new(metrics: PbxMetrics, clock: Clock) -> Self {
        Self { metrics, clock, seen: Arc::default() }
    }

    /// Counts one fault. `detail` goes to the log, so it must hold nothing private.
    pub(super) fn report(&self, cause: &'static str, detail: impl fmt::Display) {
        self.metrics.fault(cause);
        if let Some(unlogged) = self.due(cause, self.clock.now().mono) {
            warn!(cause, %detail, unlogged, "The PBX did something unexpected.");
        }
    }

    /// Counts a fault that is logged elsewhere.
    pub(super) fn count(&self, cause: &'static str) {
        self.metrics.fault(cause);
    }

    /// Counts something that means nothing to us and is no fault.
    pub(super) fn ignored(&self, what: &'static str) {
        self.metrics.fault(what);
        debug!(what, "Ignored a frame.");
    }

    /// If it is time to log this cause again: how often it came up unlogged before.
    fn due(&self, cause: &'static str, now: Duration) -> Option<u64> {
        // What a panicking thread left behind is still a valid map.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(cause) {
            Some((logged, unlogged)) if now.saturating_sub(*logged) < QUIET => {
                *unlogged += 1;
                None
            }
            before => {
                let unlogged = before.map_or(0, |(_, unlogged)| *unlogged);
                seen.insert(cause, (now, 0));
                Some(unlogged)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn a_cause_is_logged_once_a_minute_with_the_count_of_what_was_not() {
        let faults = Faults::new(Metrics::default().of_pbx("office"), Clock::system());
        let start = QUIET;
        assert_eq!(faults.due("entity", start), Some(0));
        assert_eq!(faults.due("entity", start + QUIET / 3), None);
        assert_eq!(faults.due("entity", start + QUIET / 2), None);
        assert_eq!(faults.due("garbage", start + QUIET / 2), Some(0));
        assert_eq!(faults.due("entity", start + QUIET), Some(2));
    }
}
