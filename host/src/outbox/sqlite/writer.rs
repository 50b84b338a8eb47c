//! The one thread that writes.
//!
//! A transaction that fails, because the disk is full or broken, is tried again until it
//! succeeds; meanwhile the queue fills and those who append wait. Nothing queued is dropped, and
//! no receipt is given for what is not on disk.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::apply::{Effects, apply};
use super::queue::Operation;
use super::{Shared, hold};

/// How long to wait before a failed transaction is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// From so many pages (4 MiB) on, the log is carried over into the file when nothing else is to do.
/// It is cheaper the more of it there is, and must not run inside a commit that somebody waits for.
const LOG_PAGES: i64 = 1_024;

/// Writes what comes through the queue until that is closed and empty, then hands back the
/// connection.
pub(super) fn run(mut connection: Connection, shared: &Shared) -> Connection {
    let mut batch = Vec::new();
    while shared.queue.take(&mut batch) {
        failpoint!("outbox-taken");
        let Some(effects) = commit_at_last(&mut connection, shared, &batch) else {
            let lost = batch.len();
            tracing::error!(lost, "The outbox closes with operations that are not on disk.");
            return connection;
        };
        failpoint!("outbox-before-publish");
        publish(shared, &effects);
        failpoint!("outbox-before-acknowledge");
        for operation in batch.drain(..) {
            // Who dropped the receipt does not want to know.
            let _unheard = operation.done.send(());
        }
        failpoint!("outbox-acknowledged");
        if shared.queue.is_empty() {
            carry_over(&connection);
        }
    }
    failpoint!("outbox-drained");
    connection
}

/// Tries until the batch is on disk. `None` if it fails and the outbox is being closed.
fn commit_at_last(
    connection: &mut Connection,
    shared: &Shared,
    batch: &[Operation],
) -> Option<Effects> {
    loop {
        match commit(connection, batch) {
            Ok(effects) => {
                set_writable(shared, None);
                return Some(effects);
            }
            Err(error) => set_writable(shared, Some(&error)),
        }
        // What the log holds may fit where it belongs, and its space can then be used again.
        if let Err(error) = checkpoint(connection, "PASSIVE") {
            tracing::debug!(%error, "The outbox's log cannot be carried over either.");
        }
        if shared.queue.pause(PAUSE) {
            return commit(connection, batch).ok();
        }
    }
}

fn commit(connection: &mut Connection, batch: &[Operation]) -> rusqlite::Result<Effects> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    failpoint!("outbox-begun");
    let mut effects = Effects::default();
    for operation in batch {
        apply(&transaction, operation, &mut effects)?;
        failpoint!("outbox-applied");
    }
    failpoint!("outbox-before-commit");
    transaction.commit()?;
    failpoint!("outbox-committed");
    Ok(effects)
}

fn set_writable(shared: &Shared, failure: Option<&rusqlite::Error>) {
    let before = shared.writable.swap(failure.is_none(), Ordering::Relaxed);
    shared.metrics.outbox_writable.set(i64::from(failure.is_none()));
    match failure {
        Some(error) if before => tracing::error!(
            %error,
            "The outbox cannot be written; nothing is lost, but nothing new is accepted."
        ),
        None if !before => tracing::info!("The outbox can be written again."),
        _ => {}
    }
}

fn publish(shared: &Shared, effects: &Effects) {
    shared.metrics.outbox_pending.inc_by(effects.pending);
    shared.metrics.outbox_collapsed.inc_by(effects.collapsed);
    if !effects.settled.is_empty() {
        hold(&shared.reader).release(&effects.settled);
    }
    let changed = hold(&shared.changed);
    for endpoint in &effects.changed {
        if let Some(notify) = changed.get(endpoint) {
            notify.notify_one();
        }
    }
}

/// Carries the log over into the file if it is worth it.
fn carry_over(connection: &Connection) {
    let done = match checkpoint(connection, "NOOP") {
        Ok((log, carried)) if log - carried >= LOG_PAGES => {
            failpoint!("outbox-before-checkpoint");
            let done = checkpoint(connection, "PASSIVE");
            failpoint!("outbox-after-checkpoint");
            done
        }
        small => small,
    };
    if let Err(error) = done {
        tracing::warn!(%error, "The outbox's log could not be carried over; it will be tried again.");
    }
}

/// The pages in the log, and how many of them are carried over.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<(i64, i64)> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}
