//! Other endpoints while delivery runs.
//!
//! An endpoint whose settings change gets another worker. The old one claims nothing more and
//! settles what it has in flight by itself; what is claimed is nobody else's, so nothing is sent
//! twice, and the lanes keep their order. What is known of the endpoint goes over to the new one:
//! how it stands, while its address stays, and its tokens, while they come from the same place.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};

use super::credentials::Lines;
use super::endpoint::Endpoint;
use super::judge::Judge;
use super::settings::EndpointSettings;
use super::status::Endpoints;
use super::worker::{self, Stop};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::outbox::Outbox;

/// Changes the endpoints of a delivery while it runs.
#[derive(Clone)]
pub struct Changes {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) judge: Option<Arc<dyn Judge>>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) ask: mpsc::Sender<Change>,
    /// Those of today.
    pub(super) endpoints: Endpoints,
    /// Tokens, whatever the endpoints are called that show them.
    pub(super) lines: Lines,
}

/// Endpoints whose settings can be used. Nothing is sent yet to those that are new.
pub struct Prepared(pub(super) Vec<Arc<Endpoint>>);

/// Other endpoints from now on.
pub(super) struct Change {
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    /// Told when they are in force.
    pub(super) done: oneshot::Sender<()>,
}

/// The workers that run.
#[derive(Default)]
pub(super) struct Running {
    pub(super) tasks: JoinSet<()>,
    /// By the endpoint's name.
    current: BTreeMap<String, Current>,
    /// Those that claim nothing more and finish what they have in flight.
    finishing: Vec<watch::Sender<Stop>>,
}

/// A worker that claims.
struct Current {
    endpoint: Arc<Endpoint>,
    stop: watch::Sender<Stop>,
}

impl Changes {
    /// Makes ready to deliver to `endpoints`. Those that are as they were are taken over with all
    /// that is known of them. Fails if TLS settings of one cannot be used.
    pub fn prepare(&self, endpoints: Vec<EndpointSettings>) -> anyhow::Result<Prepared> {
        let before = self.endpoints.all();
        let endpoint = |settings: EndpointSettings| {
            // A file may have changed under the same name.
            let old = before.iter().find(|old| old.settings.name == settings.name);
            let same = old.filter(|old| old.settings == settings && !settings.names_files());
            if let Some(same) = same {
                return Ok(Arc::clone(same));
            }
            let context = format!("while preparing the endpoint {}", settings.name);
            let (outbox, clock) = (Arc::clone(&self.outbox), self.clock.clone());
            let old = old.map(|old| &**old);
            let judge = self.judge.clone();
            let new =
                Endpoint::new(settings, old, &self.lines, outbox, judge, clock, &self.metrics);
            new.map(Arc::new).context(context)
        };
        endpoints.into_iter().map(endpoint).collect::<anyhow::Result<_>>().map(Prepared)
    }

    /// From now on delivers to these endpoints only.
    pub async fn apply(&self, Prepared(endpoints): Prepared) {
        let (done, applied) = oneshot::channel();
        // A delivery that is gone needs no endpoints.
        if self.ask.send(Change { endpoints, done }).await.is_ok() {
            let _ = applied.await;
        }
    }
}

impl Running {
    /// Goes over to these endpoints.
    pub(super) fn change(&mut self, endpoints: &[Arc<Endpoint>]) {
        self.finishing.retain(|stop| !stop.is_closed());
        let mut before = mem::take(&mut self.current);
        for endpoint in endpoints {
            let name = endpoint.settings.name.clone();
            let running = match before.remove(&name) {
                Some(same) if Arc::ptr_eq(&same.endpoint, endpoint) => same,
                old => {
                    self.finish(old);
                    self.start(Arc::clone(endpoint))
                }
            };
            self.current.insert(name, running);
        }
        for gone in before.into_values() {
            gone.endpoint.leave();
            self.finish(Some(gone));
        }
    }

    fn start(&mut self, endpoint: Arc<Endpoint>) -> Current {
        endpoint.take_over();
        let (stop, stopped) = watch::channel(Stop::No);
        self.tasks.spawn(worker::run(Arc::clone(&endpoint), stopped));
        Current { endpoint, stop }
    }

    fn finish(&mut self, worker: Option<Current>) {
        if let Some(Current { stop, .. }) = worker {
            stop.send_replace(Stop::WhenDone);
            self.finishing.push(stop);
        }
    }

    /// Ends all of them, at the latest when their grace is over.
    pub(super) async fn stop(mut self) {
        let current = self.current.values().map(|current| &current.stop);
        for stop in current.chain(&self.finishing) {
            stop.send_replace(Stop::Soon);
        }
        while let Some(ended) = self.tasks.join_next().await {
            report(ended);
        }
    }
}

/// Says that a worker is gone that should not be.
pub(super) fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "A delivery worker has died.");
    }
}
