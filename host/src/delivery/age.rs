//! Connections that are used for a while and then left.
//!
//! A connection that is busy all the time would live for ever, and never see that the host's name
//! leads elsewhere by now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hyper::http::Extensions;
use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::time::Instant;

/// So many requests go through one connection at most.
const REQUESTS: u32 = 10_000;

/// When a connection was made, and how much it was used since.
#[derive(Clone, Debug)]
pub(super) struct Birth {
    at: Instant,
    requests: Arc<AtomicU32>,
}

impl Birth {
    /// Of a connection that is new.
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), requests: Arc::default() }
    }

    /// Counts a request, and says whether the connection has had enough.
    fn is_worn(&self, age: Duration, now: Instant) -> bool {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        requests >= REQUESTS || now.saturating_duration_since(self.at) >= age
    }
}

/// Keeps the connection that has just carried a request from carrying another, once it is `age`
/// old.
pub(super) fn retire_worn(connection: &CaptureConnection, age: Duration) {
    let connected = connection.connection_metadata();
    let Some(connected) = connected.as_ref() else { return };
    let mut known = Extensions::new();
    connected.get_extras(&mut known);
    if known.get::<Birth>().is_some_and(|birth| birth.is_worn(age, Instant::now())) {
        connected.poison();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_wears_out_by_age_and_by_use() {
        let age = Duration::from_mins(10);
        let birth = Birth::now();
        assert!(!birth.is_worn(age, birth.at));
        assert!(birth.is_worn(age, birth.at + age));
        let busy = Birth::now();
        assert!((1..REQUESTS).all(|_| !busy.is_worn(age, busy.at)));
        assert!(busy.is_worn(age, busy.at));
    }
}
