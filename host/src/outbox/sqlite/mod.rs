//! The outbox in one SQLite file.
//!
//! One thread writes, in transactions of whatever has queued up meanwhile; a second, read-only
//! connection claims. Everybody else may read the file at any time (`sqlite3 -readonly`).
//!
//! Times in the file are milliseconds since 1970. Those that say when something is due are read
//! off a [`Timeline`](timeline::Timeline), which does not jump when the machine's clock does.
//!
//! A damaged file is repaired, at the start and while it is used; see [`salvage`].

mod append;
mod apply;
mod attempts;
mod change;
mod check;
mod events;
mod external;
mod file;
mod follow_ups;
mod head;
mod leases;
mod list;
mod look;
mod memory;
mod progress;
mod prune;
mod queue;
mod reader;
mod recovery;
mod salvage;
mod schema;
mod settle;
mod shared;
mod space;
mod statements;
mod stock;
#[cfg(test)]
mod tests;
mod timeline;
mod upkeep;
mod watch;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::Notify;

use self::change::{Change, ChangeStep};
pub use self::external::{SqliteEditor, SqliteReader};
use self::file::{Lock, Opened};
pub use self::look::may_be_at;
use self::prune::Pruned;
use self::queue::{Operation, Work};
use self::settle::Place;
use self::shared::Shared;
use self::space::Space;
use self::watch::Check;
use self::writer::Writer;
use super::receipt::Done;
use super::{
    Claimed, Claims, Commit, DeliveryDetail, DeliveryFilter, DeliveryRow, FailedReply, Held,
    Judged, MemoryScope, Outbox, Pressure, Receipt, Scan, Selection, Settlement, StoredEvent,
};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// The outbox in one SQLite file. Dropping it writes what is queued and closes the file.
#[derive(Debug)]
pub struct SqliteOutbox {
    shared: Arc<Shared>,
    path: PathBuf,
    clock: Clock,
    /// How far old events were looked at.
    pruned: Arc<Pruned>,
    /// Joined on drop.
    writer: Option<JoinHandle<Option<Connection>>>,
    /// Looks through a large file after the start.
    check: Option<Check>,
    /// The writer's, once that has ended. It must be closed after the reader's in `shared`: the
    /// last one to close carries the log over into the file, and a reader cannot.
    last: Mutex<Option<Connection>>,
    /// Held until everything else is closed.
    _lock: Lock,
}

impl SqliteOutbox {
    /// Opens the file at `path`, or creates it, readable for its owner only, in a folder that
    /// must exist. If it is damaged, it is repaired first. Fails if another process has it open
    /// for writing, if it is no outbox, or if a newer version of the service wrote it.
    pub fn open(path: &Path, clock: Clock, metrics: Metrics) -> anyhow::Result<Self> {
        let shown = path.display();
        // By whichever of its names, a file has one lock.
        let real = fs::canonicalize(path);
        let path = real.as_deref().unwrap_or(path);
        let open = || {
            let mut lock = file::lock(path)?;
            failpoint!("outbox-before-opening");
            if lock.marked {
                lock.mark();
            }
            let opened = open_or_repair(path, &lock, &clock, &metrics)?;
            failpoint!("outbox-opened");
            lock.mark();
            Self::start(path, opened, lock, clock, metrics)
        };
        open().with_context(|| format!("while opening the outbox {shown}"))
    }

    /// Opens the file at `path`, which a service may be using, for reading only.
    pub fn open_reader(path: &Path, clock: Clock) -> anyhow::Result<SqliteReader> {
        SqliteReader::open(path, clock)
    }

    /// Opens the file at `path`, which a service may be using, for small changes.
    pub fn open_editor(path: &Path, clock: Clock) -> anyhow::Result<SqliteEditor> {
        SqliteEditor::open(path, clock)
    }

    /// Starts the writer on what was opened at `path`, which `lock` reserves.
    fn start(
        path: &Path,
        opened: Opened,
        lock: Lock,
        clock: Clock,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let Opened { connection, reader, progress } = opened;
        let shared = Arc::new(Shared::new(reader, clock.clone(), metrics));
        if shared.timeline.reach(progress.newest) {
            tracing::warn!("The clock went back since the last run; what waits waits as long.");
        }
        shared.metrics.outbox_pending.set(progress.pending);
        let mut writer = Writer {
            connection: Some(connection),
            shared: Arc::clone(&shared),
            path: path.to_owned(),
            commits: progress.commits,
            own: progress.own,
            space: Space::new(path),
            upkeep: upkeep::State::new(progress.oldest),
            hindrance: None,
        };
        writer.look_around();
        let check = Check::start(path, &shared).context("while starting to check the outbox")?;
        let thread = thread::Builder::new().name("outbox".to_owned()).spawn(move || writer.run());
        let writer = thread.context("while starting the outbox's thread")?;
        let (path, pruned) = (path.to_owned(), Arc::default());
        let (writer, last) = (Some(writer), Mutex::default());
        Ok(Self { shared, path, clock, pruned, writer, check, last, _lock: lock })
    }

    /// Queues what needs no limit of its own, because not much of it can wait.
    fn push(&self, work: Work) -> Receipt {
        let (done, receipt) = Receipt::new();
        self.shared.queue.push(Operation { work, at: self.shared.timeline.stamp(), done });
        receipt
    }

    /// Queues what settles this claim, unless the claim has run out.
    fn settle_by(&self, claimed: &Claimed, done: Done, work: impl FnOnce(i64, Place) -> Work) {
        let settling = hold(&self.shared.reader).settling(claimed);
        if let Some((seq, place)) = settling {
            let (work, at) = (work(seq, place), self.shared.timeline.stamp());
            self.shared.queue.push(Operation { work, at, done });
        } else {
            tracing::debug!(request = claimed.id, "A claim that ran out settles nothing.");
            done.confirm();
        }
    }

    /// Changes what is selected, one chunk after another.
    async fn change(&self, change: Change, which: &Selection) -> anyhow::Result<u64> {
        let mut next = Some(0);
        let mut changed = 0;
        while let Some(from) = next {
            let step = Arc::new(ChangeStep::new(change.clone(), which.clone(), from));
            self.push(Work::Change(Arc::clone(&step))).await?;
            let outcome = *hold(&step.outcome);
            changed += outcome.changed;
            next = outcome.next;
        }
        Ok(changed)
    }

    /// A connection of its own for each look, so that a long one is in nobody's way.
    fn scan(&self) -> anyhow::Result<SqliteReader> {
        SqliteReader::open(&self.path, self.clock.clone())
    }
}

fn open_or_repair(
    path: &Path,
    lock: &Lock,
    clock: &Clock,
    metrics: &Metrics,
) -> anyhow::Result<Opened> {
    let now = clock.now().wall.as_millisecond();
    salvage::complete(path, now)?;
    let symptom = if lock.marked { salvage::symptoms::symptom(path) } else { None };
    let why = match symptom {
        Some(symptom) => symptom,
        None => match file::open(path) {
            Err(error) if lock.marked && salvage::calls_for_repair(path, &error) => {
                format!("{error:#}")
            }
            Err(error) if file::is_damage(&error) && !lock.marked => {
                return Err(error.context(
                    "nothing beside it says that it is an outbox: move it away to begin with an \
                     empty one, or bring the .lock file that was beside it back to have it repaired",
                ));
            }
            opened => return opened,
        },
    };
    tracing::error!(why, "The outbox is damaged; it is being repaired.");
    salvage::repair(path, 0, now)?.tell();
    metrics.outbox_repairs.inc();
    file::open(path)
}

impl Scan for SqliteOutbox {
    fn list(&self, filter: &DeliveryFilter) -> anyhow::Result<Vec<DeliveryRow>> {
        self.scan()?.list(filter)
    }

    fn show(&self, id: &str) -> anyhow::Result<Option<DeliveryDetail>> {
        self.scan()?.show(id)
    }

    fn events(
        &self,
        from: Timestamp,
        until: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> anyhow::Result<Vec<StoredEvent>> {
        self.scan()?.events(from, until, after, limit)
    }

    fn event(&self, id: &str) -> anyhow::Result<Option<StoredEvent>> {
        self.shared.read(|reader| reader.event(id)).context("while reading an event")
    }

    fn failed_reply(&self, request: &str) -> anyhow::Result<Option<FailedReply>> {
        self.scan()?.failed_reply(request)
    }

    fn recall(&self, scope: &MemoryScope) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let kept = self.shared.read(|reader| reader.recall(scope));
        kept.context("while reading what a plugin keeps")
    }

    fn next_generation(&self, event_id: &str, endpoint: &str) -> anyhow::Result<u32> {
        self.scan()?.next_generation(event_id, endpoint)
    }
}

impl Outbox for SqliteOutbox {
    fn append(&self, commit: Commit) -> Receipt {
        let (done, receipt) = Receipt::new();
        let (work, at) = (Work::Append(commit), self.shared.timeline.stamp());
        self.shared.queue.push_when_room(Operation { work, at, done });
        receipt
    }

    fn load_calls(&self, pbx: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        self.shared
            .reading()
            .load_calls(pbx)
            .with_context(|| format!("while reading the calls of {pbx} from the outbox"))
    }

    fn claim<'a>(&'a self, endpoint: &'a str, max: usize) -> BoxFuture<'a, anyhow::Result<Claims>> {
        if let Some(claims) = self.shared.claim_at_hand(endpoint, max) {
            return Box::pin(std::future::ready(Ok(claims)));
        }
        let shared = Arc::clone(&self.shared);
        let name = endpoint.to_owned();
        Box::pin(async move {
            // The disk may be slow.
            let claims = tokio::task::spawn_blocking(move || shared.claim(&name, max)).await?;
            claims.with_context(|| format!("while claiming requests to {endpoint}"))
        })
    }

    fn settle(&self, claimed: &Claimed, settlement: Settlement) -> Receipt {
        let (done, receipt) = Receipt::new();
        self.settle_by(claimed, done, |seq, place| Work::Settle { seq, place, settlement });
        receipt
    }

    fn settle_holding(&self, claimed: &Claimed, settlement: Settlement, held: Held) {
        let done = Done::Drop(held);
        self.settle_by(claimed, done, |seq, place| Work::Settle { seq, place, settlement });
    }

    fn settle_judged(&self, claimed: &Claimed, judged: Judged) -> Receipt {
        let (id, judged) = (claimed.id.clone(), Box::new(judged));
        let (done, receipt) = Receipt::new();
        self.settle_by(claimed, done, |seq, place| Work::Judged { seq, place, id, judged });
        receipt
    }

    fn retry<'a>(&'a self, which: &'a Selection) -> BoxFuture<'a, anyhow::Result<u64>> {
        Box::pin(self.change(Change::Retry, which))
    }

    fn bury<'a>(
        &'a self,
        which: &'a Selection,
        reason: &'a str,
    ) -> BoxFuture<'a, anyhow::Result<u64>> {
        Box::pin(self.change(Change::Bury(reason.to_owned()), which))
    }

    fn prune(&self, age: Duration) -> Receipt {
        self.push(Work::Prune { age, place: Arc::clone(&self.pruned) })
    }

    fn changed(&self, endpoint: &str) -> Arc<Notify> {
        Arc::clone(hold(&self.shared.changed).entry(endpoint.to_owned()).or_default())
    }

    fn is_writable(&self) -> bool {
        self.shared.writable.load(Ordering::Relaxed)
    }

    fn pressure(&self) -> Pressure {
        self.shared.pressure()
    }

    fn let_pass(&self, endpoint: &str, after: Duration) -> anyhow::Result<()> {
        let now = self.shared.timeline.now();
        let leaving = upkeep::leaving(self.shared.reading().connection(), (endpoint, now), after);
        let leaving =
            leaving.with_context(|| format!("while looking for what fails at {endpoint}"))?;
        if !leaving.is_empty() {
            drop(self.push(Work::LetPass(leaving)));
        }
        Ok(())
    }

    fn keep(&self, name: &str, value: Option<&str>) -> Receipt {
        self.push(Work::Keep { name: name.to_owned(), value: value.map(str::to_owned) })
    }

    fn kept(&self, name: &str) -> anyhow::Result<Option<String>> {
        self.shared
            .reading()
            .kept(name)
            .with_context(|| format!("while reading {name} from the outbox"))
    }

    fn stranded(&self, known: &[&str]) -> anyhow::Result<Vec<(String, u64)>> {
        self.shared
            .reading()
            .stranded(known)
            .context("while counting requests to unknown endpoints in the outbox")
    }
}

impl Drop for SqliteOutbox {
    fn drop(&mut self) {
        self.check = None;
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            if let Ok(connection) = writer.join() {
                *hold(&self.last) = connection;
            } else {
                tracing::error!("The outbox's thread has panicked.");
            }
        }
    }
}

/// Locks `mutex`. A panic elsewhere does not make what it guards wrong: all of it is changed in
/// single steps.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
