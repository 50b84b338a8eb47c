//! Due requests become HTTP exchanges.
//!
//! Each endpoint has a worker of its own, with its own connections and its own limit, so that a
//! slow one holds up nobody else. A worker claims what is due, sends it, judges what came back and
//! settles the claim. The outbox sees to the order: it hands out one request of a lane at a time.
//!
//! At least once: a request whose reply was lost, or whose settlement was not on disk when the
//! service died, is sent again with the same `webhook-id`.

mod address;
mod connector;
mod credentials;
mod exchange;
mod failure;
mod guard;
mod headers;
mod probe;
mod proxy;
mod resolver;
mod settings;
#[cfg(test)]
mod tests;
mod verdict;
mod worker;

use std::future::Future;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::failure::SendFailure;
pub use self::probe::probe;
pub use self::settings::EndpointSettings;
use self::worker::Worker;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::outbox::Outbox;

/// Sends what is due, to all endpoints.
pub struct Delivery {
    workers: Vec<Worker>,
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
        let worker = |settings: EndpointSettings| {
            let context = format!("while preparing the endpoint {}", settings.name);
            Worker::new(settings, Arc::clone(outbox), clock.clone(), metrics.clone())
                .context(context)
        };
        let workers = endpoints.into_iter().map(worker).collect::<anyhow::Result<_>>()?;
        Ok(Self { workers })
    }

    /// Delivers until `shutdown` resolves, then claims nothing more and waits up to ten seconds
    /// for what is in flight. What is cut off then is sent again after the next start.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        for worker in self.workers {
            running.spawn(Arc::new(worker).run(stopped.clone()));
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
