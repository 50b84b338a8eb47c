//! What other processes tell this one: to stop (SIGTERM, Ctrl-C), or to read the settings again
//! (SIGHUP).

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal as on};
use tokio::sync::mpsc;

/// Resolves at the first SIGTERM or Ctrl-C from now on. SIGHUP is taken and ignored, with a word
/// in the log, so that a habit of other services does not end this one.
pub(crate) fn signal() -> anyhow::Result<impl Future<Output = ()>> {
    let stop = stop()?;
    let mut hang_ups = hang_ups()?;
    Ok(async move {
        let ignore = async {
            while hang_ups.recv().await.is_some() {
                tracing::warn!("SIGHUP is ignored; there is nothing to read again.");
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = stop => {}
            () = ignore => {}
        }
    })
}

/// Resolves at the first SIGTERM or Ctrl-C from now on.
pub(crate) fn stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = on(SignalKind::terminate()).context("while listening for SIGTERM")?;
    let mut interrupt = on(SignalKind::interrupt()).context("while listening for Ctrl-C")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Tells of every SIGHUP from now on; several at once may be told as one. Needs a tokio runtime.
pub(crate) fn hang_ups() -> anyhow::Result<mpsc::Receiver<()>> {
    let mut hang_up = on(SignalKind::hangup()).context("while listening for SIGHUP")?;
    let (tell, told) = mpsc::channel(1);
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            // One that waits to be heard is enough for all.
            if let Err(mpsc::error::TrySendError::Closed(())) = tell.try_send(()) {
                return;
            }
        }
    });
    Ok(told)
}
