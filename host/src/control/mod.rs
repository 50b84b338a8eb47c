//! The operator's orders to a running service: a Unix socket beside the database.
//!
//! Whoever may write the database may give orders, nobody else: the socket is its owner's alone.
//! One line of JSON is the order, one line of JSON is the answer. Reading needs no order; the
//! database can be read by anybody who may, at any time.

#[cfg(test)]
mod tests;

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// No order is longer. It holds some ids at most.
const ORDER_LIMIT: u64 = 1024 * 1024;

/// How long an order may take to arrive, and an answer to leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a running service can be told to do with what it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Send these again, now.
    Retry(Selection),
    /// Never send these.
    Bury {
        /// Which.
        which: Selection,
        /// Why, for those who look at them later.
        reason: String,
    },
    /// Make new requests of stored events, through today's settings and plugins.
    Replay(Replay),
    /// Deliver again to an endpoint that was switched off because its address was gone.
    Resume {
        /// Its name.
        endpoint: String,
    },
}

/// Some of the deliveries: those with these ids, or those to which all else applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Exactly these; if there are any, nothing else counts.
    pub ids: Vec<String>,
    /// In one of these states; any without.
    pub states: Vec<String>,
    /// To this endpoint.
    pub endpoint: Option<String>,
    /// Of this chain of calls.
    pub chain: Option<String>,
    /// Made at this time or later.
    pub since: Option<jiff::Timestamp>,
    /// Made before this time.
    pub until: Option<jiff::Timestamp>,
}

/// Some of the events, once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Of this time or later.
    pub from: jiff::Timestamp,
    /// Before this time.
    pub until: jiff::Timestamp,
    /// To this endpoint only.
    pub endpoint: Option<String>,
    /// Also those that only matter while they are new, such as ringing.
    pub popups: bool,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It was carried out, on so many.
    Done(Tally),
    /// It was not, or not wholly.
    Failed(String),
}

/// How many an order concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that were changed or made.
    pub done: u64,
    /// Events of which a plugin could not make requests.
    pub failed: u64,
    /// Events that were left out, because they only mattered while they were new.
    pub skipped: u64,
}

/// Who carries out orders.
pub trait Operator: Send + Sync {
    /// Carries out an order; all of what it says is on disk then.
    fn carry_out(&self, order: Order) -> BoxFuture<'_, anyhow::Result<Tally>>;
}

/// Where a service with the database at `database` takes orders.
pub fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".control");
    path.into()
}

/// Opens the socket at `path`, in place of one that an earlier process left. The caller must have
/// the database for itself.
pub fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    let opening = || format!("while opening the socket {}", path.display());
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(opening);
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(opening)?;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).with_context(opening)?;
    Ok(listener)
}

/// Takes orders until `stopped` turns true, then finishes those that were taken.
pub async fn serve(
    listener: UnixListener,
    operator: Arc<dyn Operator>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut orders = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let operator = Arc::clone(&operator);
                orders.spawn(async move {
                    if let Err(error) = converse(stream, &*operator).await {
                        tracing::debug!("An order was not taken: {error:#}.");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "The operator's socket cannot be served; trying again.");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        while orders.try_join_next().is_some() {}
    }
    while orders.join_next().await.is_some() {}
}

async fn converse(stream: UnixStream, operator: &dyn Operator) -> anyhow::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut line = String::new();
    let mut from = tokio::io::BufReader::new(from).take(ORDER_LIMIT);
    tokio::time::timeout(PATIENCE, from.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(order) => {
            tracing::info!(?order, "The operator gives an order.");
            match operator.carry_out(order).await {
                Ok(tally) => Answer::Done(tally),
                Err(error) => Answer::Failed(format!("{error:#}")),
            }
        }
        Err(error) => Answer::Failed(format!("this is no order that this version knows: {error}")),
    };
    let mut said = serde_json::to_vec(&answer)?;
    said.push(b'\n');
    tokio::time::timeout(PATIENCE, to.write_all(&said)).await??;
    Ok(())
}

/// Gives `order` to the service that listens at `path` and waits until it is carried out. `None`
/// if no service listens there.
pub fn give(path: &Path, order: &Order) -> anyhow::Result<Option<Tally>> {
    let speaking = || format!("while speaking with the service at {}", path.display());
    let stream = match BlockingStream::connect(path) {
        Ok(stream) => stream,
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(speaking),
    };
    let mut said = serde_json::to_vec(order).with_context(speaking)?;
    said.push(b'\n');
    (&stream).write_all(&said).with_context(speaking)?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).with_context(speaking)?;
    if answer.is_empty() {
        bail!("the service ended before it answered; what it did is in the database");
    }
    match serde_json::from_str(&answer).with_context(speaking)? {
        Answer::Done(tally) => Ok(Some(tally)),
        Answer::Failed(why) => bail!("the service says: {why}"),
    }
}
