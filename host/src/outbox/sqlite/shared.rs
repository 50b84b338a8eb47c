//! What the writer's thread and the callers share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Notify;

use super::file::is_corrupt;
use super::hold;
use super::queue::{Operation, Queue, Work};
use super::reader::Reader;
use super::timeline::Timeline;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::outbox::{Claims, Pressure, Receipt};

/// What the writer's thread and the callers share.
#[derive(Debug)]
pub(super) struct Shared {
    /// What the writer has to do.
    pub(super) queue: Queue,
    /// Who claims, and what is claimed. Never locked for longer than a look takes; see
    /// [`Shared::reading`].
    pub(super) reader: Mutex<Reader>,
    /// Rings when the file is open again, or is not being opened any longer.
    opened: Condvar,
    /// Who is told of changes, by endpoint.
    pub(super) changed: Mutex<HashMap<String, Arc<Notify>>>,
    /// Whether the last transaction was committed.
    pub(super) writable: AtomicBool,
    pub(super) timeline: Timeline,
    pub(super) metrics: Metrics,
    /// A [`Pressure`], as a number.
    pressure: AtomicU8,
    /// Somebody came across damage.
    damaged: AtomicBool,
}

impl Shared {
    /// Nothing is queued, nothing is claimed.
    pub(super) fn new(reader: Connection, clock: Clock, metrics: Metrics) -> Self {
        metrics.outbox_writable.set(1);
        Self {
            queue: Queue::default(),
            reader: Mutex::new(Reader::new(reader)),
            opened: Condvar::new(),
            changed: Mutex::default(),
            writable: AtomicBool::new(true),
            timeline: Timeline::new(clock),
            metrics,
            pressure: AtomicU8::new(0),
            damaged: AtomicBool::new(false),
        }
    }

    /// See [`Outbox::claim`](crate::outbox::Outbox::claim); nothing if the file has to be read.
    pub(super) fn claim_at_hand(&self, endpoint: &str, max: usize) -> Option<Claims> {
        hold(&self.reader).claim_at_hand(endpoint, self.timeline.now(), max)
    }

    /// To read the file. Waits while it is opened anew, which may take as long as a repair does;
    /// so call it from a thread that may wait.
    pub(super) fn reading(&self) -> MutexGuard<'_, Reader> {
        let reader = hold(&self.reader);
        let waited = self.opened.wait_while(reader, |reader| reader.opening);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Outbox::claim`](crate::outbox::Outbox::claim).
    pub(super) fn claim(&self, endpoint: &str, max: usize) -> anyhow::Result<Claims> {
        let found = self.reading().claim(endpoint, self.timeline.now(), max);
        if let Err(error) = &found
            && is_corrupt(error)
        {
            self.report_damage();
        }
        let found = found?;
        for (seq, why) in found.spoilt {
            tracing::error!(endpoint, seq, why, "A request in the outbox is damaged; it is dead.");
            let reason = format!("damaged in the outbox: {why}");
            let (done, _) = Receipt::new();
            let (work, at) = (Work::Spoilt { seq, reason }, self.timeline.stamp());
            self.queue.push(Operation { work, at, done });
        }
        Ok(found.claims)
    }

    /// Reads something; tells the writer of damage that this comes across.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Reader) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let found = read(&self.reading());
        if let Err(error) = &found
            && is_corrupt(error)
        {
            self.report_damage();
        }
        found
    }

    /// Whether the last transaction was committed.
    pub(super) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    /// What gives way.
    pub(super) fn pressure(&self) -> Pressure {
        match self.pressure.load(Ordering::Relaxed) {
            0 => Pressure::None,
            1 => Pressure::Extras,
            2 => Pressure::Popups,
            _ => Pressure::Full,
        }
    }

    /// Says what gives way now. Gives what gave way before.
    pub(super) fn set_pressure(&self, pressure: Pressure) -> Pressure {
        let before = self.pressure();
        let level = match pressure {
            Pressure::None => 0,
            Pressure::Extras => 1,
            Pressure::Popups => 2,
            Pressure::Full => 3,
        };
        self.pressure.store(level, Ordering::Relaxed);
        self.metrics.outbox_pressure.set(i64::from(level));
        before
    }

    /// Has the writer repair the file.
    pub(super) fn report_damage(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    /// Whether somebody came across damage.
    pub(super) fn damage_reported(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// The file is another one now.
    pub(super) fn forget_damage(&self) {
        self.damaged.store(false, Ordering::Relaxed);
    }
}

/// The file is closed, and about to be opened again. Dropping this means that it is not.
pub(super) struct Closed(Arc<Shared>);

impl Closed {
    /// Closes the file for whoever reads.
    pub(super) fn new(shared: &Arc<Shared>) -> rusqlite::Result<Self> {
        let mut reader = hold(&shared.reader);
        reader.close()?;
        reader.opening = true;
        Ok(Self(Arc::clone(shared)))
    }

    /// Goes on with this connection.
    pub(super) fn reopen(self, connection: Connection) {
        hold(&self.0.reader).reopen(connection);
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        hold(&self.0.reader).opening = false;
        self.0.opened.notify_all();
    }
}
