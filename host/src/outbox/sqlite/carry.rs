//! Carrying the log over into the file.
//!
//! Whoever does that writes pages all over the file and waits for the disk, which takes a hundred
//! milliseconds where the log is long. So a thread beside the writer does it, and commits go on
//! meanwhile. Only the little that these have added is carried over between two commits: what
//! has all been carried over begins anew, and the log does not grow for ever.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::file;

/// From so many pages (4 MiB) on it is worth it: it is cheaper the more of it there is.
const LOG_PAGES: i64 = 1_024;

/// Up to so many pages are carried over between two commits.
const REST_PAGES: i64 = 256;

/// Whether the log is being carried over.
#[derive(Debug)]
pub(super) struct Carrier {
    path: PathBuf,
    thread: Option<JoinHandle<rusqlite::Result<()>>>,
}

impl Carrier {
    /// For the file at `path`.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), thread: None }
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
            (Some(false), _) | (Some(true), 1..=REST_PAGES) => {
                checkpoint(connection, "PASSIVE").map(drop)
            }
            (_, LOG_PAGES..) => self.start(connection),
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
    checkpoint(&connection, "PASSIVE")?;
    failpoint!("outbox-after-checkpoint");
    Ok(())
}

/// The pages in the log, and how many of them are carried over.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<(i64, i64)> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}
