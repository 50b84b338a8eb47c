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
mod records;
mod replies;
mod sqlite;
mod values;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

pub use receipt::{Held, Receipt};
pub use records::{
    Cursor, DeliveryDetail, DeliveryFilter, DeliveryRow, DeliveryState, Pressure, Selection,
};
pub use replies::{
    FailedReply, FollowUp, Judged, MemoryChange, MemoryScope, Rejudged, depth, follow_up_id,
    parent_id,
};
pub use sqlite::{SqliteEditor, SqliteOutbox, SqliteReader, may_be_at};
pub use values::{
    Attempt, Charge, Claimed, Claims, Class, Commit, FailedTransform, NewRequest, Settlement,
    StoredEvent, request_id,
};

/// What can be read of an outbox without taking part in it.
pub trait Scan {
    /// The deliveries that `filter` lets through: first the events of which a plugin could make no
    /// request, then the replies that one could not judge, then the requests, oldest first each.
    fn list(&self, filter: &DeliveryFilter) -> anyhow::Result<Vec<DeliveryRow>>;

    /// All that is known of the delivery with this id.
    fn show(&self, id: &str) -> anyhow::Result<Option<DeliveryDetail>>;

    /// At most `limit` events that were stored at `from` or later and before `until`, oldest
    /// first, beginning behind the event with the id `after`. What cannot be read is left out and
    /// logged, so only an empty answer means that there are no more.
    fn events(
        &self,
        from: jiff::Timestamp,
        until: jiff::Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> anyhow::Result<Vec<StoredEvent>>;

    /// The event with this id, if it is there.
    fn event(&self, id: &str) -> anyhow::Result<Option<StoredEvent>>;

    /// The reply to this request that a plugin could not judge, if there is one.
    fn failed_reply(&self, request: &str) -> anyhow::Result<Option<FailedReply>>;

    /// All that a plugin keeps of a chain of calls, by key.
    fn recall(&self, scope: &MemoryScope) -> anyhow::Result<Vec<(String, Vec<u8>)>>;

    /// The generation of what a replay of this event makes for `endpoint`; 1 for the first replay.
    fn next_generation(&self, event_id: &str, endpoint: &str) -> anyhow::Result<u32>;
}

/// A durable queue of requests, in lanes, together with the engine's state.
///
/// A lane is an endpoint and a chain of calls. Of each lane one request at a time has its turn:
/// the oldest that is neither finished nor set aside. A request that was set aside holds up nobody
/// and is held up by nobody. What follows from the reply to a request takes that one's place, so
/// it comes before all that waited behind it.
///
/// Several hosts may share one outbox: a claim is a lease with a number. An implementation for
/// several hosts stores that number, and when it runs out, with the request; this one keeps both
/// in memory, and a claim lasts as long as the process. In either case a settlement counts only
/// if its lease is still the request's.
pub trait Outbox: Scan + Send + Sync {
    /// Queues `commit`, which becomes durable as a whole or not at all, and in the order of calls.
    ///
    /// An event or a request whose id is there already is left as it is: what a restart produces
    /// again collapses onto the first. While the disk is nearly full, requests that give way are
    /// left out and counted; see [`Outbox::pressure`]. While the queue is full, which it is when
    /// the disk cannot keep up, this blocks; so call it from a plain thread, not from a task.
    fn append(&self, commit: Commit) -> Receipt;

    /// The keys and states of all calls of `pbx`, as the last commits left them.
    fn load_calls(&self, pbx: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>>;

    /// Hands out at most `max` requests to `endpoint` that have their turn and are due. Nobody
    /// else gets them until they are settled, or the lease has run out.
    ///
    /// The longest due come first; but if there are more than `max`, every fourth is taken from
    /// those that came due last, so that what happens now does not wait behind a backlog. One that
    /// is no longer worth sending is handed out with `expired` set, unless the outbox itself has
    /// settled it as expired before.
    fn claim<'a>(&'a self, endpoint: &'a str, max: usize) -> BoxFuture<'a, anyhow::Result<Claims>>;

    /// Settles a claim. When the request is finished or set aside, the next of the lane has its
    /// turn. A claim whose lease is no longer the request's settles nothing, which is no error.
    fn settle(&self, claimed: &Claimed, settlement: Settlement) -> Receipt;

    /// The same for whoever does not wait for it: `held` is dropped once that is on disk, or if it
    /// never will be, or if there is nothing to settle.
    fn settle_holding(&self, claimed: &Claimed, settlement: Settlement, held: Held);

    /// Settles a claim of which a plugin has judged the reply, or has failed to, together with
    /// what follows from that: as a whole or not at all. If somebody else has finished the
    /// request meanwhile, nothing follows; the attempt and what the plugin keeps are stored.
    fn settle_judged(&self, claimed: &Claimed, judged: Judged) -> Receipt;

    /// Makes the selected requests that are dead, expired or waiting due now, with all attempts
    /// before them, under the same ids; what was finished no longer has an expiry. Those that were finished queue up
    /// in their lanes again, in their old order, behind what is being sent there. Says how many.
    fn retry<'a>(&'a self, which: &'a Selection) -> BoxFuture<'a, anyhow::Result<u64>>;

    /// Makes the selected requests that wait dead for this reason. What is in flight is buried
    /// all the same, and the next of its lane has its turn; if it arrives, it is delivered. Says how
    /// many.
    fn bury<'a>(
        &'a self,
        which: &'a Selection,
        reason: &'a str,
    ) -> BoxFuture<'a, anyhow::Result<u64>>;

    /// Has every request to `endpoint` that waits for another attempt leave its turn so long after
    /// its first attempt failed, as settlements before a restart may have said.
    fn let_pass(&self, endpoint: &str, after: Duration) -> anyhow::Result<()>;

    /// Queues the removal of a chunk of what was finished longer than `age` ago: requests that
    /// were delivered, expired or are dead, and events of which no request is left.
    fn prune(&self, age: Duration) -> Receipt;

    /// Fires whenever a commit may have changed what a claim for `endpoint` returns. One waiter
    /// per endpoint: what fires while nobody waits is kept for the next.
    fn changed(&self, endpoint: &str) -> Arc<Notify>;

    /// `false` while commits fail. What was queued is kept and tried again.
    fn is_writable(&self) -> bool;

    /// How much room the disk leaves, not older than a second.
    fn pressure(&self) -> Pressure;

    /// Keeps a `value` for later starts under a `name` that only the caller uses (a token that a
    /// server rotates, an endpoint that is switched off); `None` forgets it.
    fn keep(&self, name: &str, value: Option<&str>) -> Receipt;

    /// What was kept under `name` last.
    fn kept(&self, name: &str) -> anyhow::Result<Option<String>>;

    /// The endpoints beside `known` that requests wait for, and how many for each.
    fn stranded(&self, known: &[&str]) -> anyhow::Result<Vec<(String, u64)>>;
}
