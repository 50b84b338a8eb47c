//! The exchange's API on a port of the loopback: tokens, reads, actions, and the socket of
//! notices, as section 1 and 2 of the documentation of the Call Control API have them.

mod actions;
mod counts;
mod faults;
mod history;
mod http;
mod read;
mod settings;
mod socket;
mod state;
mod token;
mod xapi;

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub use crate::server::counts::{Counts, Waited};
pub use crate::server::faults::{Faults, Looked};
pub(crate) use crate::server::settings::Settings;
pub use crate::server::settings::{Casing, ExpiresIn};
pub(crate) use crate::server::socket::Socket;
pub(crate) use crate::server::state::{Shared, State};

/// Serves until the task is aborted; then all connections end with it. Sockets end when the
/// state forgets them.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // What happens is told at once, not when the last thing told was acknowledged.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "A connection may be slow.");
                    }
                    connections.spawn(serve_connection(stream, Arc::clone(&shared)));
                }
                // Too many open files or an aborted handshake: others may still get through.
                Err(error) => {
                    tracing::debug!(%error, "A connection could not be accepted.");
                    tokio::task::yield_now().await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until it ends or the exchange drops all connections.
async fn serve_connection(stream: TcpStream, shared: Arc<Shared>) {
    let mut dropped = shared.drop_connections.subscribe();
    let for_requests = Arc::clone(&shared);
    let service = service_fn(move |request| http::handle(Arc::clone(&for_requests), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        served = connection => {
            if let Err(error) = served {
                tracing::debug!(%error, "A connection broke.");
            }
        }
        _ = dropped.changed() => {}
    }
}
