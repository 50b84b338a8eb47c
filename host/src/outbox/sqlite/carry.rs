//! Carrying the log over into the file.
//!
//! Whoever does that writes pages all over the file, which takes a hundred milliseconds where the
//! log is long. So a thread beside the writer does it, and commits go on meanwhile. What these
//! have added is carried over between two commits once the log is long and that is little: when
//! all of it is in the file, SQLite waits for the disk, and the log begins anew. Where commits
//! are too large for that, it happens within one, when the log has reached its cap.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::file;

/// From so many pages (4 MiB) on it is worth it: it is cheaper the more of it there is.
const LOG_PAGES: i64 = if cfg!(test) { 16 } else { 1_024 };

/// From so many pages (8 MiB) on the log is to begin anew.
const LONG_PAGES: i64 = if cfg!(test) { 32 } else { 2_048 };

/// Up to so many pages are carried over between two commits.
const REST_PAGES: i64 = 256;

/// So often the thread goes after what commits add meanwhile.
const ROUNDS: u32 = 4;

/// Whether the log is being carried over.
#[derive(Debug)]
pub(super) struct Carrier {
    path: PathBuf,
    thread: Option<JoinHandle<rusqlite::Result<()>>>,
    /// The pages in the log when the thread began last: where somebody reads for a long time, it
    /// gets no further however often it begins.
    began_at: i64,
}

impl Carrier {
    /// For the file at `path`.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), thread: None, began_at: 0 }
    }

    /// Does or has done what is worth it now; `connection` writes to the file, and has just
    /// committed.
    pub(super) fn carry(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let ended = match self.thread.take_if(|thread| thread.is_finished()) {
            None if self.thread.is_some() => return Ok(()),
            None => None,
            Some(thread) => Some(matches!(thread.join(), Ok(Ok(())))),
        };
        let (log, carried) = checkpoint(connection, "NOOP")?;
        match (ended, log - carried) {
            // Whatever went wrong there shows here, where something is done about it.
            (Some(false), _) => checkpoint(connection, "PASSIVE").map(drop),
            (Some(true), 1..=REST_PAGES) if log >= LONG_PAGES => {
                checkpoint(connection, "PASSIVE").map(drop)
            }
            (_, LOG_PAGES..) if log < self.began_at || log - self.began_at >= LOG_PAGES => {
                self.began_at = log;
                self.start(connection)
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let path = self.path.clone();
        let thread = thread::Builder::new().name("outbox-log".to_owned());
        match thread.spawn(move || carry_over(&path)) {
            Ok(thread) => self.thread = Some(thread),
            // Then it takes its time.
            Err(_) => drop(checkpoint(connection, "PASSIVE")?),
        }
        Ok(())
    }

    /// Waits until nobody has the file open on its behalf.
    pub(super) fn rest(&mut self) {
        if let Some(thread) = self.thread.take() {
            // What could not be carried over is still in the log.
            let _ended = thread.join();
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.rest();
    }
}

fn carry_over(path: &Path) -> rusqlite::Result<()> {
    let connection = file::connect_carrier(path)?;
    failpoint!("outbox-before-checkpoint");
    for _ in 0..ROUNDS {
        let (log, carried) = checkpoint(&connection, "PASSIVE")?;
        if carried >= log {
            break;
        }
    }
    failpoint!("outbox-after-checkpoint");
    Ok(())
}

/// The pages in the log, and how many of them are carried over.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<(i64, i64)> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}
