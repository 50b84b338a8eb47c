//! What the operator can ask a running service over HTTP.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// Whether the service can do its work.
pub trait Health: Send + Sync {
    /// What is missing for it, a sentence each; nothing if all is well.
    fn missing(&self) -> Vec<String>;
}

/// Answers until `stopped` turns true.
pub async fn serve(
    _listener: TcpListener,
    _health: Arc<dyn Health>,
    _metrics: Metrics,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stopped.wait_for(|stop| *stop).await;
}
