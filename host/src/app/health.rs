//! What is known of the service's health.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::console;
use crate::delivery::Endpoints;
use crate::outbox::{Outbox, Pressure};

/// How often readiness is looked at until the service is ready.
const READY_POLL: Duration = Duration::from_millis(20);

/// Whether a PBX is being watched, by its name.
pub(super) type Watched = (String, Arc<AtomicBool>);

/// What health depends on.
pub(super) struct Health {
    outbox: Arc<dyn Outbox>,
    /// New settings change it.
    watched: Mutex<Vec<Watched>>,
    /// What does not work, and keeps nothing else from working.
    degraded: Mutex<Vec<String>>,
    /// Once there are any.
    endpoints: OnceLock<Endpoints>,
}

impl Health {
    /// Health that depends on these.
    pub(super) fn new(outbox: Arc<dyn Outbox>, watched: Vec<Watched>) -> Self {
        let (degraded, endpoints) = (Mutex::default(), OnceLock::new());
        Self { outbox, watched: Mutex::new(watched), degraded, endpoints }
    }

    /// From now on it depends on these PBXs.
    pub(super) fn watch(&self, watched: Vec<Watched>) {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = watched;
    }

    /// From now on this does not work as it should.
    pub(super) fn set_degraded(&self, troubles: Vec<String>) {
        *self.degraded.lock().unwrap_or_else(PoisonError::into_inner) = troubles;
    }

    /// From now on it tells of these endpoints, too.
    pub(super) fn tell_of(&self, endpoints: Endpoints) {
        // They are told once.
        let _known = self.endpoints.set(endpoints);
    }

    /// Logs `ready` once, and never ends.
    pub(super) async fn say_when_ready(&self) {
        use console::Health as _;
        let mut look = tokio::time::interval(READY_POLL);
        while !self.missing().is_empty() {
            look.tick().await;
        }
        tracing::info!("ready");
        std::future::pending::<()>().await;
    }
}

impl console::Health for Health {
    fn missing(&self) -> Vec<String> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let unwatched = watched.iter().filter(|(_, seen)| !seen.load(Ordering::Acquire));
        let mut missing: Vec<String> =
            unwatched.map(|(name, _)| format!("the PBX {name} is not watched")).collect();
        if !self.outbox.is_writable() {
            missing.push("the outbox cannot commit".to_owned());
        }
        match self.outbox.pressure() {
            Pressure::None => {}
            Pressure::Extras => missing.push("the disk is nearly full: extras are dropped".into()),
            Pressure::Popups => {
                missing.push("the disk is nearly full: extras and ringing are dropped".into());
            }
            Pressure::Full => missing.push("the disk is full".into()),
        }
        missing
    }

    fn degraded(&self) -> Vec<String> {
        let mut troubles = self.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        troubles.extend(self.endpoints.get().map(Endpoints::warnings).unwrap_or_default());
        troubles
    }
}
