//! What the writer does when the file fails it.
//!
//! - No space: the log is carried over, and less is taken; see [`super::space`].
//! - An error of the disk: what is in memory of the file may differ from what is on the disk (a
//!   failed fsync forgets what it could not write). So the file is closed, opened again, written
//!   through and compared with what was confirmed, before anything else is.
//! - Damage: the file is repaired (see [`super::salvage`]) on the spot, and the service goes on.
//!   Nothing is handed out or confirmed meanwhile. Who wants to read waits; who settles does not.

use anyhow::ensure;
use rusqlite::{Connection, ErrorCode, ffi};

use super::file::{self, Opened};
use super::writer::{Writer, checkpoint};
use super::{salvage, shared::Closed};

/// What may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// Only time, or space.
    Wait,
    Reopen,
    Repair,
}

fn remedy(error: &rusqlite::Error) -> Remedy {
    if file::is_corrupt(error) {
        return Remedy::Repair;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Remedy::Wait
        }
        _ => Remedy::Reopen,
    }
}

/// The error that stands for a file that could not be opened again yet.
pub(super) fn closed() -> rusqlite::Error {
    failure(ErrorCode::CannotOpen, ffi::SQLITE_CANTOPEN, "it could not be opened again yet")
}

/// The error that stands for damage that somebody else came across.
pub(super) fn damaged() -> rusqlite::Error {
    failure(ErrorCode::DatabaseCorrupt, ffi::SQLITE_CORRUPT, "the file is damaged")
}

fn failure(code: ErrorCode, extended_code: i32, text: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error { code, extended_code }, Some(text.to_owned()))
}

impl Writer {
    /// Does what may help against `error`. `true` if the file was opened again.
    pub(super) fn recover(&mut self, error: &rusqlite::Error) -> bool {
        let remedy = remedy(error);
        if remedy == Remedy::Wait {
            // What the log holds may fit where it belongs, and its space can then be used again.
            if let Some(Err(error)) = self.connection.as_ref().map(|it| checkpoint(it, "PASSIVE")) {
                tracing::debug!(%error, "The outbox's log cannot be carried over either.");
            }
            return false;
        }
        let done = match remedy {
            Remedy::Repair => self.repair(&error.to_string()),
            _ => match self.reopen() {
                Err(error) if file::is_damage(&error) => self.repair(&format!("{error:#}")),
                done => done,
            },
        };
        let hindrance = done.err().map(|error| format!("{error:#}"));
        let opened = hindrance.is_none();
        // It is tried several times a second.
        if self.hindrance != hindrance {
            if let Some(why) = &hindrance {
                tracing::warn!("The outbox cannot be opened again yet, which is tried on: {why}.");
            }
            self.hindrance = hindrance;
        }
        opened
    }

    /// Closes the file, opens it again and makes sure of it.
    fn reopen(&mut self) -> anyhow::Result<()> {
        let closed = self.close()?;
        let opened = file::open(&self.path)?;
        // Reads the log as it is, writes it to where it belongs, and waits for the disk.
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: bool = opened.connection.query_row(sql, [], |row| row.get(0))?;
        ensure!(!busy, "another process reads it and does not let go");
        closed.reopen(self.take_up(opened));
        Ok(())
    }

    /// Replaces the file by what can be read of it.
    fn repair(&mut self, why: &str) -> anyhow::Result<()> {
        tracing::error!(why, "The outbox is damaged; it is being repaired.");
        let closed = self.close()?;
        let now = self.shared.timeline.stamp().wall;
        if self.path.exists() {
            let report = salvage::repair(&self.path, self.commits, now)?;
            report.tell();
        }
        self.shared.metrics.outbox_repairs.inc();
        let opened = file::open(&self.path)?;
        closed.reopen(self.take_up(opened));
        self.shared.forget_damage();
        Ok(())
    }

    /// Closes the file. Whoever wants to read waits until what this returns is gone.
    fn close(&mut self) -> rusqlite::Result<Closed> {
        self.connection = None;
        Closed::new(&self.shared)
    }

    /// Goes on with what was opened. Gives back the connection that is for reading.
    fn take_up(&mut self, opened: Opened) -> Connection {
        let progress = opened.progress;
        let missing = self.commits - progress.commits;
        if missing > 0 {
            tracing::error!(missing, "Transactions that were confirmed are not in the outbox.");
        }
        self.commits = progress.commits;
        self.own = progress.own;
        self.connection = Some(opened.connection);
        self.shared.metrics.outbox_pending.set(progress.pending);
        self.upkeep.forget(progress.oldest);
        tracing::info!(pending = progress.pending, "The outbox was opened again.");
        opened.reader
    }
}
