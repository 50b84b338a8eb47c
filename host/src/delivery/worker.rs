//! What delivers to one endpoint.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::credentials::Credentials;
use super::exchange::{Client, Reply, host};
use super::failure::SendFailure;
use super::resolver;
use super::settings::EndpointSettings;
use super::verdict::{Verdict, jitter, judge};
use crate::clock::{Clock, Moment};
use crate::metrics::Metrics;
use crate::outbox::{Attempt, Claimed, Outbox, Receipt, Settlement};
use crate::redact;

/// So many exchanges at once: the pool of connections has no limit of its own.
const EXCHANGES: usize = 32;

/// So many attempts whose outcome is not on disk yet, exchanges included: what a crash may
/// repeat.
const UNSETTLED: usize = 256;

/// When to look again if nothing is due and nothing happens.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// When to look again after the outbox could not be read.
const LOOK_AGAIN_AFTER_ERROR: Duration = Duration::from_secs(1);

/// How long what is in flight may take at a shutdown.
const GRACE: Duration = Duration::from_secs(10);

/// Delivers to one endpoint.
pub(super) struct Worker {
    settings: EndpointSettings,
    client: Client,
    outbox: Arc<dyn Outbox>,
    clock: Clock,
    metrics: Metrics,
    /// A permit for each exchange that may run.
    exchanges: Arc<Semaphore>,
    /// Fires when an exchange is over.
    freed: Notify,
}

/// What a look into the outbox brought.
struct Look {
    /// There may be more that is due than there was room for.
    more: bool,
    /// When to look again if nothing happens.
    again: Instant,
}

impl Worker {
    /// A worker that does nothing yet.
    pub(super) fn new(
        settings: EndpointSettings,
        outbox: Arc<dyn Outbox>,
        clock: Clock,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let resolver = resolver::system();
        let credentials = Credentials::new(&settings, &resolver, &outbox, &clock)?;
        Ok(Self {
            client: Client::new(&settings, EXCHANGES, Arc::new(credentials), &resolver)?,
            settings,
            outbox,
            clock,
            metrics,
            exchanges: Arc::new(Semaphore::new(EXCHANGES)),
            freed: Notify::new(),
        })
    }

    /// Delivers until `stop` says so, then lets what is in flight finish.
    pub(super) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let changed = self.outbox.changed(&self.settings.name);
        let mut attempts = JoinSet::new();
        while !*stop.borrow() {
            let look = self.start_due(&mut attempts).await;
            self.wait(&look, &changed, &mut attempts, &mut stop).await;
        }
        let finish = async { while attempts.join_next().await.is_some() {} };
        if timeout(GRACE, finish).await.is_err() {
            let cut = attempts.len();
            tracing::warn!(
                endpoint = self.settings.name,
                cut,
                "Requests were cut off; they will be sent again after the next start."
            );
        }
    }

    /// Returns when it makes sense to look again.
    async fn wait(
        &self,
        look: &Look,
        changed: &Notify,
        attempts: &mut JoinSet<()>,
        stop: &mut watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = changed.notified() => return,
                () = sleep_until(look.again) => return,
                () = self.freed.notified(), if look.more => return,
                Some(ended) = attempts.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "An attempt has died; restart to repeat it.");
                    }
                    if look.more {
                        return;
                    }
                }
            }
        }
    }

    /// Claims what is due and starts to send it, as far as there is room.
    async fn start_due(self: &Arc<Self>, attempts: &mut JoinSet<()>) -> Look {
        let unsettled = UNSETTLED.saturating_sub(attempts.len());
        let room = self.exchanges.available_permits().min(unsettled);
        let mut look = Look { more: true, again: Instant::now() + LOOK_AGAIN };
        if room == 0 {
            return look;
        }
        match self.outbox.claim(&self.settings.name, room).await {
            Ok(claims) => {
                failpoint!("delivery-claimed");
                look.more = claims.requests.len() == room;
                look.again = Instant::now() + claims.next_in.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN);
                for claimed in claims.requests {
                    // Nobody else takes permits, so these are free.
                    let permit = Arc::clone(&self.exchanges).try_acquire_owned().ok();
                    attempts.spawn(Arc::clone(self).attempt(claimed, permit));
                }
            }
            Err(error) => {
                let endpoint = &self.settings.name;
                let error = format!("{error:#}");
                tracing::warn!(endpoint, error, "The outbox cannot be read; trying again.");
                look = Look { more: false, again: Instant::now() + LOOK_AGAIN_AFTER_ERROR };
            }
        }
        look
    }

    /// Sends a request once and settles it.
    async fn attempt(self: Arc<Self>, claimed: Claimed, permit: Option<OwnedSemaphorePermit>) {
        let began = self.clock.now();
        failpoint!("delivery-before-send");
        let (reply, failure) = match self.client.send(&claimed).await {
            Ok(reply) => {
                let failure = reply.failure();
                (Some(reply), failure)
            }
            Err(failure) => (None, Some(failure)),
        };
        failpoint!("delivery-replied");
        // The next exchange need not wait until the disk has heard of this one.
        drop(permit);
        self.freed.notify_one();
        let ended = self.clock.now();
        let number = claimed.attempts.saturating_add(1);
        let schedule = &self.settings.schedule;
        let verdict =
            judge(reply.as_ref(), failure.as_ref(), number, schedule, ended.wall, jitter());
        self.report(&claimed, reply.as_ref(), failure.as_ref(), &verdict);
        let attempt = record(began, ended, reply, failure);
        failpoint!("delivery-before-settle");
        if let Err(error) = self.settle(&claimed, verdict, attempt).await {
            let (endpoint, request) = (&self.settings.name, &claimed.id);
            tracing::warn!(endpoint, request, %error, "A request may be sent a second time.");
        }
        failpoint!("delivery-settled");
    }

    fn settle(&self, claimed: &Claimed, verdict: Verdict, attempt: Attempt) -> Receipt {
        let settlement = match verdict {
            Verdict::Delivered => Settlement::Delivered(attempt),
            Verdict::Retry(wait) => {
                Settlement::Later { attempt, wait, charged: true, aside: false }
            }
            Verdict::Dead(reason) => Settlement::Dead { attempt, reason },
        };
        self.outbox.settle(claimed, settlement)
    }

    /// Logs and counts an attempt. The URL stays out of it: it holds phone numbers.
    fn report(
        &self,
        claimed: &Claimed,
        reply: Option<&Reply>,
        failure: Option<&SendFailure>,
        verdict: &Verdict,
    ) {
        let endpoint = &self.settings.name;
        let request = &claimed.id;
        let status = reply.map(|reply| reply.status.as_u16());
        let attempt = claimed.attempts.saturating_add(1);
        tracing::debug!(endpoint, request, attempt, status, ?verdict, "A request was sent.");
        match verdict {
            Verdict::Delivered => self.metrics.delivery(endpoint, "delivered"),
            Verdict::Retry(wait) => {
                let host = host(claimed);
                let failure = failure.map(|failure| redact::numbers(&failure.to_string()));
                tracing::warn!(
                    endpoint,
                    request,
                    host,
                    failure,
                    ?wait,
                    "A request failed and will be sent again."
                );
                self.metrics.delivery(endpoint, "retried");
            }
            Verdict::Dead(reason) => {
                let (host, reason) = (host(claimed), redact::numbers(reason));
                tracing::error!(
                    endpoint,
                    request,
                    host,
                    reason,
                    "A request failed and will not be sent again."
                );
                self.metrics.delivery(endpoint, "dead");
            }
        }
    }
}

fn record(
    began: Moment,
    ended: Moment,
    reply: Option<Reply>,
    failure: Option<SendFailure>,
) -> Attempt {
    let (status, reply, truncated) = match reply {
        Some(reply) => (Some(reply.status.as_u16()), reply.body, reply.truncated),
        None => (None, Vec::new(), false),
    };
    let error = failure.map(|failure| failure.to_string());
    Attempt { at: began.wall, took: ended.since(began), status, error, reply, truncated }
}
