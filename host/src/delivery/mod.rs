//! Due requests become HTTP exchanges.
//!
//! Each endpoint has a worker of its own, with its own connections and its own limit, so that a
//! slow one holds up nobody else. A worker claims what is due, as far as the endpoint's gate lets
//! it; an attempt is sent, judged and settled. The outbox sees to the order: it hands out one
//! request of a lane at a time.
//!
//! The gate is where an endpoint is given up for a while (the breaker), slowed down (the limit on
//! attempts at once), left alone as it asked (`Retry-After`) or switched off (410). What an
//! endpoint as a whole is to blame for is not charged to a request.
//!
//! At least once: a request whose reply was lost, or whose settlement was not on disk when the
//! service died, is sent again with the same `webhook-id`.

mod address;
mod age;
mod breaker;
mod concurrency;
mod connector;
mod credentials;
mod disabled;
mod endpoint;
mod exchange;
mod failure;
mod gate;
mod guard;
mod headers;
mod meter;
mod probe;
mod proxy;
mod quiet;
mod report;
mod resolver;
mod settings;
mod signature;
mod stamp;
mod status;
#[cfg(test)]
mod tests;
mod verdict;
mod worker;

use std::future::Future;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::disabled::kept_name as disabled_name;
use self::endpoint::Endpoint;
pub use self::failure::SendFailure;
pub use self::probe::probe;
pub use self::settings::EndpointSettings;
pub use self::status::{EndpointState, EndpointStatus, Endpoints};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::outbox::Outbox;

/// Sends what is due, to all endpoints.
pub struct Delivery {
    endpoints: Vec<Arc<Endpoint>>,
}

impl Delivery {
    /// A delivery to `endpoints` of what is in `outbox`. Fails if an endpoint's TLS settings
    /// cannot be used.
    pub fn new(
        endpoints: Vec<EndpointSettings>,
        outbox: &Arc<dyn Outbox>,
        clock: &Clock,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let endpoint = |settings: EndpointSettings| {
            let context = format!("while preparing the endpoint {}", settings.name);
            Endpoint::new(settings, Arc::clone(outbox), clock.clone(), metrics)
                .map(Arc::new)
                .context(context)
        };
        let endpoints = endpoints.into_iter().map(endpoint).collect::<anyhow::Result<_>>()?;
        Ok(Self { endpoints })
    }

    /// The endpoints, to look at while they are delivered to.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints(self.endpoints.clone())
    }

    /// Delivers until `shutdown` resolves, then claims nothing more and waits up to ten seconds
    /// for what is in flight. What is cut off then is sent again after the next start.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        for endpoint in self.endpoints {
            running.spawn(worker::run(endpoint, stopped.clone()));
        }
        shutdown.await;
        stop.send_replace(true);
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "A delivery worker has died.");
            }
        }
    }
}
