//! When to stop: SIGTERM or Ctrl-C.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal as on};

/// Resolves at the first SIGTERM or Ctrl-C from now on. SIGHUP is taken and ignored, with a word
/// in the log, so that a habit of other services does not end this one.
pub(crate) fn signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = on(SignalKind::terminate()).context("while listening for SIGTERM")?;
    let mut interrupt = on(SignalKind::interrupt()).context("while listening for Ctrl-C")?;
    let mut hang_up = on(SignalKind::hangup()).context("while listening for SIGHUP")?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hang_up.recv() => tracing::warn!(
                    "SIGHUP is ignored; restart the service to read the settings again."
                ),
            }
        }
    })
}
