//! How endpoints stand, for whoever asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::endpoint::Endpoint;
use super::skew;

/// That an endpoint asks for so much time is worth a look.
pub(super) const NOTABLE: Duration = Duration::from_mins(1);

/// The endpoints while they are delivered to, whichever the settings name. Cheap to clone.
#[derive(Clone)]
pub struct Endpoints(Arc<Mutex<Vec<Arc<Endpoint>>>>);

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
    /// By so many seconds its clock is ahead of ours, as far as that is known; negative if it is
    /// behind.
    pub clock_skew: Option<i64>,
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
    /// These endpoints, until there are others.
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>) -> Self {
        Self(Arc::new(Mutex::new(endpoints)))
    }

    /// All of them, in the order of the settings.
    pub(super) fn all(&self) -> Vec<Arc<Endpoint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on it is these.
    pub(super) fn replace(&self, endpoints: Vec<Arc<Endpoint>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = endpoints;
    }

    /// What somebody should look at although the service works, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        self.status().iter().flat_map(EndpointStatus::warnings).collect()
    }

    /// How they stand, in the order of the settings.
    pub fn status(&self) -> Vec<EndpointStatus> {
        self.all().iter().map(|endpoint| endpoint.status()).collect()
    }

    /// Sends again to an endpoint that was gone. `false` if there is none of this name.
    pub fn enable(&self, name: &str) -> bool {
        let found = self.all().into_iter().find(|endpoint| endpoint.settings.name == name);
        found.is_some_and(|endpoint| {
            endpoint.enable();
            true
        })
    }
}

impl EndpointStatus {
    fn warnings(&self) -> impl Iterator<Item = String> {
        let name = &self.name;
        let stands = match self.state {
            EndpointState::Disabled => Some(format!(
                "the endpoint {name} is disabled, because it answered 410: change its url, or see \
                 `callhook deliveries resume`"
            )),
            EndpointState::GivenUp { probe_in } => Some(format!(
                "the endpoint {name} does not work or does not let us in; its requests wait, and \
                 the next is tried in {} s",
                probe_in.as_secs()
            )),
            EndpointState::AskedToWait { more } if more >= NOTABLE => {
                Some(format!("the endpoint {name} has asked to wait {} s more", more.as_secs()))
            }
            EndpointState::AskedToWait { .. } | EndpointState::Working => None,
        };
        let skew = self.clock_skew.filter(|seconds| skew::is_wrong(*seconds)).map(|seconds| {
            let ahead = if seconds > 0 { "ahead" } else { "behind" };
            let seconds = seconds.unsigned_abs();
            format!("the clock of the endpoint {name} is {seconds} s {ahead}, or ours is wrong")
        });
        stands.into_iter().chain(skew)
    }
}
