//! How endpoints stand, for whoever asks.

use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Endpoint;

/// The endpoints while they are delivered to. Cheap to clone.
#[derive(Clone)]
pub struct Endpoints(pub(super) Vec<Arc<Endpoint>>);

/// How one endpoint stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Its name.
    pub name: String,
    /// What happens to its requests.
    pub state: EndpointState,
    /// So many attempts at once at most, as far as is known by now.
    pub limit: usize,
    /// Attempts under way.
    pub in_flight: usize,
}

/// What happens to an endpoint's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// They are sent.
    Working,
    /// They wait, because the endpoint asked for it.
    AskedToWait {
        /// So much longer.
        more: Duration,
    },
    /// They wait, because the endpoint does not work or does not let us in. One is tried now and
    /// then.
    GivenUp {
        /// When the next one is tried; zero while one is under way.
        probe_in: Duration,
    },
    /// They wait until the operator acts, because the endpoint answered 410.
    Disabled,
}

impl Endpoints {
    /// How they stand, in the order of the settings.
    pub fn status(&self) -> Vec<EndpointStatus> {
        self.0.iter().map(|endpoint| endpoint.status()).collect()
    }

    /// Sends again to an endpoint that was gone. `false` if there is none of this name.
    pub fn enable(&self, name: &str) -> bool {
        let found = self.0.iter().find(|endpoint| endpoint.settings.name == name);
        found.is_some_and(|endpoint| {
            endpoint.enable();
            true
        })
    }
}
