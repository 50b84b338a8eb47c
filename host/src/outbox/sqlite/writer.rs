//! The one thread that writes.
//!
//! A transaction that fails is tried again until it succeeds; meanwhile the queue fills and those
//! who append wait. Nothing queued is dropped except what gives way when there is no space, which
//! is counted, and no receipt is given for what is not on disk. See [`super::recovery`] for what
//! happens between two tries.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::apply::{Effects, apply};
use super::progress::Author;
use super::queue::Operation;
use super::space::Space;
use super::statements::Statements;
use super::{Shared, hold, progress, recovery, upkeep};
use crate::outbox::{Class, Pressure};

/// How long to wait before a failed transaction is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// From so many pages (4 MiB) on, the log is carried over into the file when nothing else is to do.
/// It is cheaper the more of it there is, and must not run inside a commit that somebody waits for.
/// On few in unit tests, so that it happens while they harm the file.
const LOG_PAGES: i64 = if cfg!(test) { 16 } else { 1_024 };

/// What the writer has in hand.
pub(super) struct Writer {
    /// Nothing while the file cannot be opened.
    pub(super) connection: Option<Connection>,
    pub(super) shared: Arc<Shared>,
    pub(super) path: PathBuf,
    /// The number of the last transaction that was confirmed.
    pub(super) commits: i64,
    /// The number of the last one of the service itself, as the file had it when it was opened.
    pub(super) own: i64,
    pub(super) space: Space,
    pub(super) upkeep: upkeep::State,
    /// Why the file could not be opened again, as it was told last.
    pub(super) hindrance: Option<String>,
}

/// Why a batch is not on disk.
pub(super) struct Failure {
    pub(super) error: rusqlite::Error,
    /// What follows from the batch, if it should turn out to be on disk all the same.
    effects: Option<Box<Effects>>,
}

impl Writer {
    /// Writes what comes through the queue until that is closed and empty, then hands back the
    /// connection.
    pub(super) fn run(mut self) -> Option<Connection> {
        let mut batch = Vec::new();
        while self.shared.queue.take(&mut batch, upkeep::EVERY) {
            failpoint!("outbox-taken");
            self.keep_up(&mut batch);
            if batch.is_empty() {
                self.idle();
                continue;
            }
            let Some(effects) = self.commit_at_last(&batch) else {
                let lost = batch.len();
                tracing::error!(lost, "The outbox closes with operations that are not on disk.");
                return self.connection;
            };
            failpoint!("outbox-before-publish");
            self.publish(effects);
            failpoint!("outbox-before-acknowledge");
            batch.drain(..).for_each(|operation| operation.done.confirm());
            failpoint!("outbox-acknowledged");
            if self.shared.queue.is_empty() {
                self.idle();
            }
        }
        failpoint!("outbox-drained");
        self.connection
    }

    /// Tries until the batch is on disk. `None` if it fails and the outbox is being closed.
    fn commit_at_last(&mut self, batch: &[Operation]) -> Option<Effects> {
        loop {
            let failure = match self.commit(batch) {
                Ok(effects) => {
                    self.set_writable(None);
                    return Some(effects);
                }
                Err(failure) => failure,
            };
            self.set_writable(Some(&failure.error));
            if self.recover(&failure.error)
                && let Some(effects) = failure.effects.filter(|done| done.commits == self.own)
            {
                // It was on disk, only nobody could say so.
                self.set_writable(None);
                return Some(*effects);
            }
            if self.gave_way(&failure.error) {
                continue;
            }
            let closed = self.shared.queue.pause(PAUSE);
            self.look_around();
            if self.shared.damage_reported() {
                self.recover(&recovery::damaged());
            }
            if closed {
                return self.commit(batch).ok();
            }
        }
    }

    fn commit(&mut self, batch: &[Operation]) -> Result<Effects, Failure> {
        let began = Instant::now();
        let pressure = self.shared.pressure();
        let early = |error| Failure { error, effects: None };
        let connection = self.connection.as_mut().ok_or_else(|| early(recovery::closed()))?;
        let behavior = TransactionBehavior::Immediate;
        let transaction = connection.transaction_with_behavior(behavior).map_err(early)?;
        failpoint!("outbox-begun");
        let mut effects = Effects::default();
        let statements = Statements::of(&transaction);
        for operation in batch {
            apply(&statements, operation, pressure, &mut effects).map_err(early)?;
            failpoint!("outbox-applied");
        }
        drop(statements);
        let (now, passed) = (self.shared.timeline.stamp(), self.upkeep.passed());
        progress::note(&transaction, now, Author::Service(passed), &mut effects).map_err(early)?;
        failpoint!("outbox-before-commit");
        match transaction.commit() {
            Ok(()) => {
                failpoint!("outbox-committed");
                self.commits = effects.commits;
                self.shared.metrics.outbox_commit.0.observe(began.elapsed().as_secs_f64());
                Ok(effects)
            }
            Err(error) => Err(Failure { error, effects: Some(Box::new(effects)) }),
        }
    }

    /// Whether more gives way than when the disk turned out to be full, so that it is worth
    /// trying again at once.
    fn gave_way(&mut self, error: &rusqlite::Error) -> bool {
        if error.sqlite_error_code() != Some(ErrorCode::DiskFull) {
            return false;
        }
        let before = self.shared.pressure();
        let now = self.space.failed_at(before);
        self.set_pressure(now);
        now > before
    }

    /// Tells everybody whom `failure` of the last commit, or that there was none, concerns.
    pub(super) fn set_writable(&self, failure: Option<&rusqlite::Error>) {
        let before = self.shared.writable.swap(failure.is_none(), Ordering::Relaxed);
        self.shared.metrics.outbox_writable.set(i64::from(failure.is_none()));
        match failure {
            Some(error) if before => tracing::error!(
                %error,
                "The outbox cannot be written; nothing is lost, but nothing new is accepted."
            ),
            None if !before => tracing::info!("The outbox can be written again."),
            _ => {}
        }
    }

    /// Tells everybody what gives way.
    pub(super) fn set_pressure(&self, pressure: Pressure) {
        let before = self.shared.set_pressure(pressure);
        if pressure > before {
            tracing::warn!(
                ?pressure,
                "The disk is nearly full; requests that matter less are dropped and counted."
            );
        } else if pressure < before && pressure == Pressure::None {
            tracing::info!("The disk has room again; everything is taken.");
        }
    }

    fn publish(&mut self, mut effects: Effects) {
        let metrics = &self.shared.metrics;
        metrics.outbox_pending.inc_by(effects.pending);
        metrics.outbox_collapsed.inc_by(effects.collapsed);
        effects.shed.iter().map(|class: &Class| class.name()).for_each(|name| metrics.shed(name));
        effects.expired.iter().for_each(|endpoint| metrics.delivery(endpoint, "expired"));
        self.upkeep.revived(effects.revived);
        self.upkeep.leave_turns(std::mem::take(&mut effects.asides));
        self.stock_up(&mut effects);
        let changed = hold(&self.shared.changed);
        for endpoint in &effects.changed {
            if let Some(notify) = changed.get(endpoint) {
                notify.notify_one();
            }
        }
    }

    /// Lets those who claim have what they may have from now on.
    fn stock_up(&self, effects: &mut Effects) {
        let mut reader = hold(&self.shared.reader);
        reader.release(&effects.settled);
        effects.heads.drain(..).for_each(|head| reader.offer(head));
        effects.due.iter().for_each(|(endpoint, due)| reader.comes_due(endpoint, *due));
        if effects.reshuffled {
            reader.forget_stocks();
        }
    }

    /// Carries the log over into the file if it is worth it, and gives free space back.
    fn idle(&mut self) {
        let Some(connection) = &self.connection else { return };
        let done = match checkpoint(connection, "NOOP") {
            Ok((log, carried)) if log - carried >= LOG_PAGES => {
                failpoint!("outbox-before-checkpoint");
                let done = checkpoint(connection, "PASSIVE").map(drop);
                failpoint!("outbox-after-checkpoint");
                done
            }
            small => small.map(drop),
        };
        if let Err(error) = done.and_then(|()| upkeep::give_back(connection)) {
            tracing::warn!(%error, "The outbox could not be tidied up; it will be tried again.");
            self.recover(&error);
        }
    }
}

/// The pages in the log, and how many of them are carried over.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<(i64, i64)> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}
