//! The pause that an endpoint asked for lasts over restarts.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;

/// A pause as the outbox keeps it, in milliseconds since 1970. Only the wall's clock goes on while
/// nobody runs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pause {
    from: i64,
    until: i64,
}

impl Pause {
    /// What is left of it. A clock that went back makes it no longer.
    fn left(self, now: Timestamp) -> Duration {
        let left = self.until.saturating_sub(now.as_millisecond());
        let left = left.min(self.until.saturating_sub(self.from));
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }
}

impl Endpoint {
    /// Keeps that nothing is to be sent for so long. What is settled after it is on disk after it.
    pub(super) fn keep_pause(&self, quiet: Duration) {
        let from = self.clock.now().wall.as_millisecond();
        let quiet = i64::try_from(quiet.as_millis()).unwrap_or(i64::MAX);
        let pause = Pause { from, until: from.saturating_add(quiet) };
        if let Ok(text) = serde_json::to_string(&pause) {
            drop(self.outbox.keep(&self.pause_name(), Some(&text)));
        }
    }

    /// Takes up a pause of an earlier process.
    pub(super) fn restore_pause(&self) -> anyhow::Result<()> {
        let kept = self.outbox.kept(&self.pause_name());
        let kept = kept.context("while reading whether it asked for a pause")?;
        let pause: Option<Pause> = kept.and_then(|text| serde_json::from_str(&text).ok());
        let now = self.clock.now();
        let left = pause.map_or(Duration::ZERO, |pause| pause.left(now.wall));
        if !left.is_zero() {
            self.gate().hush(left, now.mono);
            let (endpoint, left) = (&self.settings.name, Duration::from_secs(left.as_secs()));
            tracing::info!(endpoint, ?left, "The endpoint asked for a pause; its requests wait.");
        }
        Ok(())
    }

    fn pause_name(&self) -> String {
        format!("pause:{}:{}", self.settings.name, self.settings.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_when_it_was_to_end_and_lasts_no_longer_than_was_asked() {
        let pause = Pause { from: 1_000_000, until: 1_060_000 };
        let left = |now| pause.left(Timestamp::from_millisecond(now).unwrap()).as_secs();
        assert_eq!([1_000_000, 1_030_000, 1_060_000, 2_000_000].map(left), [60, 30, 0, 0]);
        assert_eq!(left(5), 60, "the clock went back");
    }
}
