//! How the receiver at an address stands: what it takes, and whether it is there at all.
//!
//! That belongs to the address. An endpoint that gets other settings keeps it, together with the
//! attempts that are still under way by the old ones, as long as its `url` stays.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::gate::Gate;
use super::skew::Skew;
use crate::config::DeliveryConfig;

/// How the receiver at an address stands.
pub(super) struct Standing {
    gate: Mutex<Gate>,
    skew: Mutex<Skew>,
    /// Fires when an attempt is over.
    pub(super) freed: Notify,
}

impl Standing {
    /// Nothing is known yet.
    pub(super) fn new(config: &DeliveryConfig) -> Self {
        Self { gate: Mutex::new(Gate::new(config)), skew: Mutex::default(), freed: Notify::new() }
    }

    /// What may be sent there.
    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its clock shows.
    pub(super) fn skew(&self) -> MutexGuard<'_, Skew> {
        self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
