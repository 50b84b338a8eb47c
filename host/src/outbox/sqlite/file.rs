//! The file: who may open it, and with which guarantees.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How long to wait for a stranger who writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// At so many pages (64 MiB) the log is carried over into the file even if there is no idle gap.
const LOG_CAP_PAGES: u32 = 16_384;

/// Reserves the outbox at `path` for this process until the returned file is dropped. The lock
/// lies beside the database, because SQLite loses its own locks on a file when the process closes
/// any other handle of that file.
pub(super) fn lock(path: &Path) -> anyhow::Result<File> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let shown = folder.display();
    ensure!(folder.is_dir(), "the folder {shown} does not exist; create it for the service's user");
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let shown = lock_path.display();
    let file = private(OpenOptions::new().write(true).create(true).truncate(false), &lock_path)
        .with_context(|| format!("while creating {shown}; is its folder writable?"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another service uses it ({shown} is locked); stop that one or set another path")
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("while locking {shown}"))
        }
    }
}

/// Opens the file at `path` for writing; creates it if it is not there.
pub(super) fn connect(path: &Path) -> anyhow::Result<Connection> {
    let created = private(OpenOptions::new().write(true).create_new(true), path);
    match created {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).context("while creating the file");
        }
        _ => {}
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection).map_err(explain)?;
    Ok(connection)
}

/// Opens the file at `path`, which is there, for reading only.
pub(super) fn connect_reader(path: &Path) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Makes each commit survive a loss of power, and keeps readers out of the writer's way.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Only has an effect in an empty file, and could not be had later.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_CAP_PAGES)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Says what to do about a file that SQLite cannot read.
pub(super) fn explain(error: rusqlite::Error) -> anyhow::Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => anyhow::Error::new(error)
            .context("the file is damaged or no outbox; move it away to begin with an empty one"),
        _ => anyhow::Error::new(error),
    }
}

/// Opens a file that, if it is created, only its owner can read.
fn private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(0o600).open(path)
}
