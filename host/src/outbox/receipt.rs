//! The promise that something queued will be on disk.

use std::fmt;
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

/// Something that is dropped once what it stands for is on disk, or never will be.
pub type Held = Box<dyn Send>;

/// Who hears that work is on disk. Dropped, it says that it never will be.
pub(super) enum Done {
    Tell(oneshot::Sender<()>),
    Drop(Held),
}

impl Done {
    /// It is on disk.
    pub(super) fn confirm(self) {
        match self {
            // Who dropped the receipt does not want to know.
            Self::Tell(sender) => drop(sender.send(())),
            Self::Drop(held) => drop(held),
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}

impl Receipt {
    /// A receipt, and what its writer confirms when the work is on disk.
    pub(super) fn new() -> (Done, Self) {
        let (sender, receiver) = oneshot::channel();
        (Done::Tell(sender), Self(receiver))
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
