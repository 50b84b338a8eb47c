//! Watches a 3CX V20 phone system over its Call Control API.
//!
//! ```text
//! token --> socket open --> snapshot --> frames --> line of reads --> notices
//! (token)   (socket)        (rest)       (wire)     (reads, rest)
//! ```
//!
//! The PBX stamps nothing, replays nothing and says of a change only that there was one; what that
//! takes is told in `connection.rs` and `reads.rs`. Whatever it sends wrong is counted and logged,
//! and ends nothing. A connection that fails is opened again, for ever.

mod connection;
mod diary;
mod error;
mod faults;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod http;
mod reads;
mod rest;
mod socket;
mod token;
mod wire;
mod xapi;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{error, info, warn};
use url::Url;

pub use self::error::SourceError;

use self::connection::{Connection, NobodyListens};
use self::faults::Faults;
use self::http::Http;
use self::reads::Reads;
use self::rest::Rest;
use self::socket::Socket;
use self::token::{Token, Tokens};
use self::xapi::Wishes;
use crate::clock::Clock;
use crate::config::Secret;
use crate::metrics::PbxMetrics;
use crate::source::notice::{Dn, Notice, Seen};
use crate::tls;

/// A connection that held so long was a good one: the next loss is waited for as briefly as the
/// first.
const STABLE: Duration = Duration::from_secs(30);

/// What to watch, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address of the web client: `https://pbx.example.com`, with a port if it is not 443.
    pub url: Url,
    /// The client id, which is also the number of the app's route point. Each watcher needs its
    /// own: 3CX keeps one token per client id.
    pub client_id: String,
    /// The API key that 3CX displayed once.
    pub client_secret: Secret,
    /// Look for recordings in the PBX's call log after a talk.
    pub recordings: bool,
    /// For so long after a call went out of sight, look into the log for an ordered callback; zero
    /// for not at all.
    pub callbacks: Duration,
    /// How often to compare with everything that is visible, in case an event was missed.
    pub snapshot_every: Duration,
    /// PEM file with certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
}

/// Watches one PBX.
#[derive(Debug)]
pub struct Watcher {
    rest: Arc<Rest>,
    clock: Clock,
    metrics: PbxMetrics,
    snapshot_every: Duration,
    insecure: bool,
    wishes: Wishes,
    /// Only tests choose other times.
    pace: Pace,
}

/// How patient to be.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Between pings of the event socket.
    ping_every: Duration,
    /// Half of the shortest time before connecting again; chance adds up to as much.
    first_wait: Duration,
    /// Half of the longest.
    longest_wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ping_every: socket::PING_EVERY,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
        }
    }
}

impl Pace {
    fn waits(self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.first_wait)
            .with_max_delay(self.longest_wait)
            .without_max_times()
            .with_jitter()
            .build()
    }
}

impl Watcher {
    /// Prepares to watch; nothing is sent yet. Fails if the address is no web address or the
    /// certificates cannot be read. Needs a tokio runtime.
    pub fn new(settings: Settings, clock: Clock, metrics: PbxMetrics) -> anyhow::Result<Self> {
        // Without TLS nobody's certificate is looked at, and a machine without CAs is no obstacle.
        let accept_any = settings.insecure || settings.url.scheme() == "http";
        let tls = tls::client_config(settings.ca_file.as_deref(), accept_any, None)
            .context("while preparing TLS with the PBX")?;
        let http = Http::new(settings.url, tls)?;
        let tokens =
            Tokens::new(http.clone(), settings.client_id, settings.client_secret, clock.clone());
        let faults = Faults::new(metrics.clone(), clock.clone());
        Ok(Self {
            rest: Arc::new(Rest::new(http, tokens, faults)),
            clock,
            metrics,
            snapshot_every: settings.snapshot_every.max(Duration::from_secs(1)),
            insecure: settings.insecure,
            wishes: Wishes { recordings: settings.recordings, callbacks: settings.callbacks },
            pace: Pace::default(),
        })
    }

    /// Asks for a token and for everything that is visible, once, and says which DNs are. The
    /// error names the likely cause.
    pub async fn probe(&self) -> Result<Vec<Dn>, SourceError> {
        Ok(self.rest.listing().await?.dns)
    }

    /// Watches until `shutdown` turns true (or its sender is gone), or until nobody takes notices
    /// any more. Waits if they are not taken; changes of one participant then become one.
    pub async fn run(self, notices: mpsc::Sender<Notice>, mut shutdown: watch::Receiver<bool>) {
        self.warn_of_open_doors();
        self.metrics.watched(false);
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => {}
            NobodyListens = self.watch_for_ever(&notices) => {}
            NobodyListens = xapi::keep_reading(&self.rest, &self.clock, &notices) => {}
            NobodyListens =
                xapi::keep_looking(&self.rest, &self.clock, self.wishes, &notices) => {}
        }
        self.metrics.watched(false);
        info!("The PBX is no longer watched.");
    }

    async fn watch_for_ever(&self, notices: &mpsc::Sender<Notice>) -> NobodyListens {
        let mut reads = Reads::default();
        let mut used = None;
        let mut waits = self.pace.waits();
        loop {
            let started = self.clock.now();
            let failure = match self.watch_once(&mut used, &mut reads, notices).await {
                Ok(NobodyListens) => return NobodyListens,
                Err(failure) => failure,
            };
            if self.clock.now().since(started) >= STABLE {
                waits = self.pace.waits();
            }
            let wait = waits.next().unwrap_or(self.pace.longest_wait);
            self.rest.faults.count(failure.cause());
            let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            if failure.needs_someone() {
                error!(error = %failure, retry_in_ms, "The PBX cannot be watched.");
            } else {
                warn!(error = %failure, retry_in_ms, "The PBX is not watched at the moment.");
            }
            sleep(wait).await;
        }
    }

    /// One connection. `used` is the token of the one before: each gets another, since a stale one
    /// is a reason for a connection to end.
    async fn watch_once(
        &self,
        used: &mut Option<Token>,
        reads: &mut Reads,
        notices: &mpsc::Sender<Notice>,
    ) -> Result<NobodyListens, SourceError> {
        let token = match used {
            Some(used) => self.rest.tokens.after(used).await?,
            None => self.rest.tokens.current().await?,
        };
        *used = Some(token.clone());
        let socket = Socket::open(&self.rest.http, &token, self.pace.ping_every).await?;
        self.metrics.connection();
        let mut connection = Connection::new(
            socket,
            Arc::clone(&self.rest),
            reads,
            &self.clock,
            &self.metrics,
            self.snapshot_every,
        );
        let ended = connection.watch(notices).await;
        let watched = connection.watched();
        drop(connection);
        self.metrics.watched(false);
        if watched {
            self.tell_loss(reads, notices).await;
        }
        ended
    }

    /// Tells what is known in its right order, and that nothing more is.
    async fn tell_loss(&self, reads: &mut Reads, notices: &mpsc::Sender<Notice>) {
        while let Some(notice) = reads.tell(self.clock.now()) {
            self.rest.note(&notice);
            if notices.send(notice).await.is_err() {
                return;
            }
        }
        // If nobody listens, the next connection finds that out.
        let _ = notices.send(Notice { at: self.clock.now(), what: Seen::Lost }).await;
    }

    fn warn_of_open_doors(&self) {
        if self.insecure {
            warn!(
                "Any certificate is accepted from the PBX: whoever is in between can read along."
            );
        }
        let loopback = self.rest.http.address().is_ok_and(|(host, _)| {
            host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        });
        if self.rest.http.in_clear() && !loopback {
            warn!("The secret travels to the PBX in clear text; use https in the url.");
        }
    }
}
