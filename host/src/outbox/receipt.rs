//! The promise that something queued will be on disk.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::anyhow;
use tokio::sync::oneshot;

/// Resolves once what it stands for is on disk; fails if the outbox closed before it was.
///
/// To be awaited in a task, or waited for in a plain thread. It may also be dropped: the work is
/// done all the same.
#[derive(Debug)]
#[must_use = "until the receipt resolves, nothing is known to be on disk"]
pub struct Receipt(oneshot::Receiver<()>);

impl Receipt {
    /// A receipt, and what its writer sends when the work is on disk.
    pub(super) fn new() -> (oneshot::Sender<()>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// Whether the work is on disk, as far as is known now.
    pub fn has_resolved(&mut self) -> bool {
        self.0.try_recv().is_ok()
    }

    /// Blocks until the work is on disk. For plain threads: it panics inside a task.
    pub fn wait(self) -> anyhow::Result<()> {
        self.0.blocking_recv().map_err(|_| closed())
    }
}

impl Future for Receipt {
    type Output = anyhow::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(|_| closed())
    }
}

fn closed() -> anyhow::Error {
    anyhow!("the outbox was closed before this was on disk")
}
