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
//! Where a plugin wants to judge replies, an attempt that brought one is settled by whom delivery
//! was given as [`Judge`]; see there.
//!
//! At least once: a request whose reply was lost, or whose settlement was not on disk when the
//! service died, is sent again with the same `webhook-id`.

mod address;
mod age;
mod attempts;
mod breaker;
mod changes;
mod concurrency;
mod connector;
mod credentials;
mod disabled;
mod endpoint;
mod exchange;
mod failure;
mod follow;
mod gate;
mod guard;
mod headers;
mod judge;
mod meter;
mod outcome;
mod pause;
mod probe;
mod proxy;
mod report;
mod resolver;
mod settings;
mod signature;
mod skew;
mod stamp;
mod standing;
mod status;
#[cfg(test)]
mod tests;
mod verdict;
mod worker;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc;

use self::changes::{Change, Running, report};
pub use self::changes::{Changes, Prepared};
use self::credentials::Lines;
pub use self::disabled::kept_name as disabled_name;
pub use self::failure::SendFailure;
pub use self::follow::follow;
pub use self::judge::{Case, Conclude, Judge};
pub use self::probe::{probe, try_settings};
pub use self::settings::EndpointSettings;
pub use self::status::{EndpointState, EndpointStatus, Endpoints};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
pub use crate::tls::Unusable;

/// Sends what is due, to all endpoints.
pub struct Delivery {
    asked: mpsc::Receiver<Change>,
    changes: Changes,
}

impl Delivery {
    /// A delivery to `endpoints` of what is in `outbox`; replies are judged by `judge`, as far as
    /// it wants them. Fails if an endpoint's TLS settings cannot be used.
    pub fn new(
        endpoints: Vec<EndpointSettings>,
        outbox: &Arc<dyn Outbox>,
        judge: Option<Arc<dyn Judge>>,
        clock: &Clock,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let (ask, asked) = mpsc::channel(1);
        let outbox = Arc::clone(outbox);
        let changes = Changes {
            outbox,
            judge,
            clock: clock.clone(),
            metrics: metrics.clone(),
            ask,
            endpoints: Endpoints::new(Vec::new()),
            lines: Lines::default(),
        };
        let Prepared(endpoints) = changes.prepare(endpoints)?;
        changes.endpoints.replace(endpoints);
        Ok(Self { asked, changes })
    }

    /// The endpoints, to look at while they are delivered to.
    pub fn endpoints(&self) -> Endpoints {
        self.changes.endpoints.clone()
    }

    /// What changes the endpoints later.
    pub fn changes(&self) -> Changes {
        self.changes.clone()
    }

    /// Delivers until `shutdown` resolves, then claims nothing more and waits up to ten seconds
    /// for what is in flight. What is cut off then is sent again after the next start.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut running = Running::default();
        running.change(&self.endpoints().all());
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(change) = self.asked.recv() => {
                    running.change(&change.endpoints);
                    self.changes.endpoints.replace(change.endpoints);
                    // Whoever asked may have stopped waiting.
                    let _ = change.done.send(());
                }
                Some(ended) = running.tasks.join_next() => report(ended),
            }
        }
        running.stop().await;
    }
}
