//! The durable queue and the engine's state: the only place that names SQL.
//!
//! What the engine learned, the events that follow from it and the requests that the plugins made
//! of them are one [`Commit`]: on disk as a whole or not at all. Delivery claims requests that are
//! due and settles each claim: delivered, put off, dead, expired or given back.
//!
//! [`Outbox`] is the contract. It has no clock in it (a claim says how long to wait, a reschedule
//! how long to put off), no file and no thread, so that an implementation may as well live on a
//! server that several hosts share. [`SqliteOutbox`] keeps everything in one file.

mod receipt;
mod sqlite;
mod values;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

pub use receipt::Receipt;
pub use sqlite::SqliteOutbox;
pub use values::{
    Attempt, Claimed, Claims, Class, Commit, FailedTransform, NewRequest, Settlement, StoredEvent,
    request_id,
};

/// A durable queue of requests, in lanes, together with the engine's state.
///
/// A lane is an endpoint and a chain of calls. Of each lane one request at a time has its turn:
/// the oldest that is neither finished nor set aside. Several hosts may share one outbox: a claim
/// is a lease, and who settles a claim that meanwhile went to another settles nothing.
pub trait Outbox: Send + Sync {
    /// Queues `commit`, which becomes durable as a whole or not at all, and in the order of calls.
    ///
    /// An event or a request whose id is there already is left as it is: what a restart produces
    /// again collapses onto the first. While the queue is full, which it is when the disk cannot
    /// keep up, this blocks; so call it from a plain thread, not from a task.
    fn append(&self, commit: Commit) -> Receipt;

    /// The keys and states of all calls of `pbx`, as the last commits left them.
    fn load_calls(&self, pbx: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>>;

    /// Hands out at most `max` requests to `endpoint` that have their turn and are due, the
    /// longest due first. Nobody else gets them until they are settled, or the lease has run out.
    fn claim<'a>(&'a self, endpoint: &'a str, max: usize) -> BoxFuture<'a, anyhow::Result<Claims>>;

    /// Settles a claim. When the request is finished or set aside, the next of the lane has its
    /// turn.
    fn settle(&self, claimed: &Claimed, settlement: Settlement) -> Receipt;

    /// Queues the removal of a chunk of what was finished longer than `age` ago: requests that
    /// were delivered, expired or are dead, and events of which no request is left.
    fn prune(&self, age: Duration) -> Receipt;

    /// Fires whenever a commit may have changed what a claim for `endpoint` returns. One waiter
    /// per endpoint: what fires while nobody waits is kept for the next.
    fn changed(&self, endpoint: &str) -> Arc<Notify>;

    /// `false` while commits fail. What was queued is kept and tried again.
    fn is_writable(&self) -> bool;

    /// Keeps a `value` for later starts under a `name` that only the caller uses (a token that a
    /// server rotates, an endpoint that is switched off); `None` forgets it.
    fn keep(&self, name: &str, value: Option<&str>) -> Receipt;

    /// What was kept under `name` last.
    fn kept(&self, name: &str) -> anyhow::Result<Option<String>>;
}
