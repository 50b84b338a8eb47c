//! What the operator, and whatever watches over the machine, can ask a running service over HTTP:
//! whether it lives, whether it is ready, and what it counted.
//!
//! Nothing can be changed here and nothing tells of a single call. There is no password, so the
//! console listens on this machine only unless told otherwise, and answers only requests that
//! name this machine or its address as the host: a web page that makes a browser resolve its own
//! name to this address (DNS rebinding) gets nothing.

mod answer;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use self::answer::Console;
use crate::metrics::Metrics;

/// More connections than any monitoring needs; others wait.
const CONNECTIONS: usize = 64;

/// How long a request may take to arrive, and an open one to end at shutdown.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the service can do its work. Asked for at every request, so it must answer at once.
pub trait Health: Send + Sync {
    /// What is missing for it, a sentence each; nothing if all is well.
    fn missing(&self) -> Vec<String>;

    /// What does not work as it should but does not keep the service from its work, a sentence
    /// each.
    fn degraded(&self) -> Vec<String>;
}

/// Answers on `listener` until `stopped` turns true, then lets open requests end.
pub async fn serve(
    listener: TcpListener,
    health: Arc<dyn Health>,
    metrics: Metrics,
    mut stopped: watch::Receiver<bool>,
) {
    let console = Arc::new(Console { health, metrics });
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let connection_stopped = stopped.clone();
        let (stream, place) = tokio::select! {
            () = raised(&mut stopped) => break,
            accepted = next(&listener, &places) => accepted,
        };
        let console = Arc::clone(&console);
        connections.spawn(async move {
            converse(stream, console, connection_stopped).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    if tokio::time::timeout(PATIENCE, async { while connections.join_next().await.is_some() {} })
        .await
        .is_err()
    {
        debug!("Console connections were cut.");
    }
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<tokio::sync::OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there always is a permit.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                // Most likely too many open files; trying again at once would only burn time.
                warn!(%error, "The console could not accept a connection.");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn converse(stream: TcpStream, console: Arc<Console>, mut stopped: watch::Receiver<bool>) {
    let Ok(local) = stream.local_addr() else { return };
    let service = service_fn(move |request| {
        let answer = console.answer(&request, local.ip());
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = raised(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "A console connection broke.");
    }
}

/// Resolves once it is time to stop.
async fn raised(stopped: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same as a word from it.
    drop(stopped.wait_for(|stop| *stop).await);
}
