//! The outbox in one SQLite file.
//!
//! One thread writes, in transactions of whatever has queued up meanwhile; a second, read-only
//! connection claims. Everybody else may read the file at any time (`sqlite3 -readonly`).
//!
//! Times in the file are milliseconds since 1970. Those that say when something is due are read
//! off a [`Timeline`], which does not jump when the machine's clock does.

mod apply;
mod file;
mod queue;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod timeline;
mod writer;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::Notify;

use self::queue::{Operation, Queue, Work};
use self::reader::Reader;
use self::timeline::Timeline;
use super::{Claimed, Claims, Commit, Outbox, Receipt, Settlement};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// The outbox in one SQLite file. Dropping it writes what is queued and closes the file.
#[derive(Debug)]
pub struct SqliteOutbox {
    shared: Arc<Shared>,
    /// Joined on drop.
    writer: Option<JoinHandle<Connection>>,
    /// The writer's, once that has ended. It must be closed after the reader's in `shared`: the
    /// last one to close carries the log over into the file, and a reader cannot.
    last: Mutex<Option<Connection>>,
    /// Held until everything else is closed.
    _lock: File,
}

/// What the writer thread and the callers share.
#[derive(Debug)]
struct Shared {
    /// What the writer has to do.
    queue: Queue,
    /// Who claims, and what is claimed.
    reader: Mutex<Reader>,
    /// Who is told of changes, by endpoint.
    changed: Mutex<HashMap<String, Arc<Notify>>>,
    /// Whether the last transaction was committed.
    writable: AtomicBool,
    timeline: Timeline,
    metrics: Metrics,
}

impl SqliteOutbox {
    /// Opens the file at `path`, or creates it, readable for its owner only, in a folder that
    /// must exist. Fails if another process has it open for writing, if it is damaged or no
    /// outbox, or if a newer version of the service wrote it.
    pub fn open(path: &Path, clock: Clock, metrics: Metrics) -> anyhow::Result<Self> {
        let open = || {
            let lock = file::lock(path)?;
            let mut connection = file::connect(path)?;
            failpoint!("outbox-before-migration");
            schema::migrate(&mut connection)?;
            failpoint!("outbox-migrated");
            let reader = file::connect_reader(path)?;
            Self::start(connection, reader, lock, clock, metrics)
        };
        open().with_context(|| format!("while opening the outbox {}", path.display()))
    }

    /// Starts the writer on `connection`, to a file with today's schema that `lock` reserves.
    fn start(
        connection: Connection,
        reader: Connection,
        lock: File,
        clock: Clock,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let timeline = Timeline::new(clock);
        metrics.outbox_pending.set(schema::take_over(&connection, timeline.now())?);
        metrics.outbox_writable.set(1);
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            reader: Mutex::new(Reader::new(reader)),
            changed: Mutex::default(),
            writable: AtomicBool::new(true),
            timeline,
            metrics,
        });
        let writer = thread::Builder::new().name("outbox".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || writer::run(connection, &shared)
        });
        let writer = writer.context("while starting the outbox's thread")?;
        Ok(Self { shared, writer: Some(writer), last: Mutex::default(), _lock: lock })
    }

    /// Queues what needs no limit of its own, because not much of it can wait.
    fn push(&self, work: Work) -> Receipt {
        let (done, receipt) = Receipt::new();
        self.shared.queue.push(Operation { work, at: self.shared.timeline.now(), done });
        receipt
    }
}

impl Outbox for SqliteOutbox {
    fn append(&self, commit: Commit) -> Receipt {
        let (done, receipt) = Receipt::new();
        let work = Work::Append(commit);
        self.shared.queue.push_when_room(Operation { work, at: self.shared.timeline.now(), done });
        receipt
    }

    fn load_calls(&self, pbx: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        hold(&self.shared.reader)
            .load_calls(pbx)
            .with_context(|| format!("while reading the calls of {pbx} from the outbox"))
    }

    fn claim<'a>(&'a self, endpoint: &'a str, max: usize) -> BoxFuture<'a, anyhow::Result<Claims>> {
        let shared = Arc::clone(&self.shared);
        let name = endpoint.to_owned();
        Box::pin(async move {
            let claim = move || {
                let now = shared.timeline.now();
                hold(&shared.reader).claim(&name, now, max)
            };
            // The disk may be slow.
            let claims = tokio::task::spawn_blocking(claim).await?;
            claims.with_context(|| format!("while claiming requests to {endpoint}"))
        })
    }

    fn settle(&self, claimed: &Claimed, settlement: Settlement) -> Receipt {
        self.push(Work::Settle { id: claimed.id.clone(), settlement })
    }

    fn prune(&self, age: Duration) -> Receipt {
        self.push(Work::Prune(age))
    }

    fn changed(&self, endpoint: &str) -> Arc<Notify> {
        Arc::clone(hold(&self.shared.changed).entry(endpoint.to_owned()).or_default())
    }

    fn is_writable(&self) -> bool {
        self.shared.writable.load(Ordering::Relaxed)
    }

    fn keep(&self, name: &str, value: Option<&str>) -> Receipt {
        self.push(Work::Keep { name: name.to_owned(), value: value.map(str::to_owned) })
    }

    fn kept(&self, name: &str) -> anyhow::Result<Option<String>> {
        hold(&self.shared.reader)
            .kept(name)
            .with_context(|| format!("while reading {name} from the outbox"))
    }
}

impl Drop for SqliteOutbox {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take() {
            if let Ok(connection) = writer.join() {
                *hold(&self.last) = Some(connection);
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
