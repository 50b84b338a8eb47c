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

use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};

pub use self::failure::SendFailure;
pub use self::probe::{probe, try_settings};
pub use self::settings::EndpointSettings;
use self::worker::{Stop, Worker};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::outbox::Outbox;

/// Sends what is due, to all endpoints.
pub struct Delivery {
    workers: Vec<Worker>,
    asked: mpsc::Receiver<Change>,
    changes: Changes,
}

/// Changes the endpoints of a delivery while it runs.
#[derive(Clone)]
pub struct Changes {
    outbox: Arc<dyn Outbox>,
    clock: Clock,
    metrics: Metrics,
    ask: mpsc::Sender<Change>,
}

/// Endpoints whose settings can be used; nothing is sent to them yet.
pub struct Prepared(Vec<Worker>);

/// Other endpoints from now on.
struct Change {
    workers: Vec<Worker>,
    /// Told when they are in force.
    done: oneshot::Sender<()>,
}

/// The workers that run.
#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    /// By the endpoint's name.
    current: BTreeMap<String, Current>,
    /// Those that claim nothing more and finish what they have in flight.
    finishing: Vec<watch::Sender<Stop>>,
}

/// A worker that claims.
struct Current {
    settings: EndpointSettings,
    stop: watch::Sender<Stop>,
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
        let (ask, asked) = mpsc::channel(1);
        let (outbox, clock, metrics) = (Arc::clone(outbox), clock.clone(), metrics.clone());
        let changes = Changes { outbox, clock, metrics, ask };
        let Prepared(workers) = changes.prepare(endpoints)?;
        Ok(Self { workers, asked, changes })
    }

    /// What changes the endpoints later.
    pub fn changes(&self) -> Changes {
        self.changes.clone()
    }

    /// Delivers until `shutdown` resolves, then claims nothing more and waits up to ten seconds
    /// for what is in flight. What is cut off then is sent again after the next start.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut running = Running::default();
        running.change(self.workers);
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(change) = self.asked.recv() => {
                    running.change(change.workers);
                    // Whoever asked may have stopped waiting.
                    let _ = change.done.send(());
                }
                Some(ended) = running.tasks.join_next() => report(ended),
            }
        }
        running.stop().await;
    }
}

impl Changes {
    /// Makes ready to deliver to `endpoints`. Fails if TLS settings of one cannot be used.
    pub fn prepare(&self, endpoints: Vec<EndpointSettings>) -> anyhow::Result<Prepared> {
        let worker = |settings: EndpointSettings| {
            let context = format!("while preparing the endpoint {}", settings.name);
            let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
            Worker::new(settings, Arc::clone(&self.outbox), clock, metrics).context(context)
        };
        endpoints.into_iter().map(worker).collect::<anyhow::Result<_>>().map(Prepared)
    }

    /// From now on delivers to these endpoints only. Those that are as they were go on; the others
    /// finish what they have in flight and claim nothing more.
    pub async fn apply(&self, Prepared(workers): Prepared) {
        let (done, applied) = oneshot::channel();
        // A delivery that is gone needs no endpoints.
        if self.ask.send(Change { workers, done }).await.is_ok() {
            let _ = applied.await;
        }
    }
}

impl Running {
    fn change(&mut self, workers: Vec<Worker>) {
        self.finishing.retain(|stop| !stop.is_closed());
        let mut before = mem::take(&mut self.current);
        for worker in workers {
            let settings = worker.settings().clone();
            match before.remove(&settings.name) {
                Some(same) if same.settings == settings && !settings.names_files() => {
                    self.current.insert(settings.name.clone(), same);
                }
                old => {
                    self.finish(old);
                    self.start(worker, settings);
                }
            }
        }
        for gone in before.into_values() {
            self.finish(Some(gone));
        }
    }

    fn start(&mut self, worker: Worker, settings: EndpointSettings) {
        let (stop, stopped) = watch::channel(Stop::No);
        self.tasks.spawn(Arc::new(worker).run(stopped));
        self.current.insert(settings.name.clone(), Current { settings, stop });
    }

    /// What it has claimed is settled by itself; its successor gets only what is not claimed.
    fn finish(&mut self, worker: Option<Current>) {
        if let Some(Current { stop, .. }) = worker {
            stop.send_replace(Stop::WhenDone);
            self.finishing.push(stop);
        }
    }

    async fn stop(mut self) {
        let current = self.current.values().map(|current| &current.stop);
        for stop in current.chain(&self.finishing) {
            stop.send_replace(Stop::Soon);
        }
        while let Some(ended) = self.tasks.join_next().await {
            report(ended);
        }
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "A delivery worker has died.");
    }
}
