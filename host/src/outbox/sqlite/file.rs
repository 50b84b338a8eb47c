//! The file: who may open it, with which guarantees, and whether it is what was written.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::progress::{Progress, progress};
use super::schema;

/// How long to wait for a stranger who writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// At so many pages (64 MiB) the log is carried over within a commit: there was no idle gap.
const LOG_CAP_PAGES: u32 = 16_384;

/// So much of the file (8 MiB; negative because it is no number of pages) the writer keeps in
/// memory: the tips of all tables and indexes that it adds to.
const CACHE: i32 = -8_192;

/// A file of up to this size is looked through before it is used; a larger one afterwards.
pub(super) const CHECKED_AT_ONCE: u64 = 32 << 20;

/// In the lock's file once an outbox of this schema was there: what is at its path then is an
/// outbox, however damaged, and no stranger's or newer service's file. Each version of the schema
/// has a mark of its own, as long as the others, written before it migrates.
const MARK: &str = "callhook outbox, schema 6\n";

/// The marks of versions that this service takes over.
const EARLIER_MARKS: [&str; 4] = [
    "callhook outbox, schema 2\n",
    "callhook outbox, schema 3\n",
    "callhook outbox, schema 4\n",
    "callhook outbox, schema 5\n",
];

/// Something is wrong with the file that SQLite itself did not complain about.
#[derive(Debug)]
pub(super) struct Damage(pub(super) String);

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file is damaged: {}", self.0)
    }
}

impl std::error::Error for Damage {}

/// The right to use an outbox, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// An outbox was there before.
    pub(super) marked: bool,
    /// The mark is that of this version.
    current: bool,
}

/// The file, opened twice.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) reader: Connection,
    pub(super) progress: Progress,
}

/// Reserves the outbox at `path` for this process until what it returns is dropped. The lock
/// lies beside the database, because SQLite loses its own locks on a file when the process closes
/// any other handle of that file.
pub(super) fn lock(path: &Path) -> anyhow::Result<Lock> {
    let folder = folder_of(path);
    let shown = folder.display();
    ensure!(folder.is_dir(), "the folder {shown} does not exist; create it for the service's user");
    let lock_path = beside(path, ".lock");
    let shown = lock_path.display();
    let mut options = OpenOptions::new();
    let mut file = private(options.read(true).write(true).create(true).truncate(false), &lock_path)
        .with_context(|| format!("while creating {shown}; is its folder writable?"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            bail!("another service uses it ({shown} is locked); stop that one or set another path")
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("while locking {shown}"));
        }
    }
    let mut mark = Vec::new();
    let read = file.by_ref().take(64).read_to_end(&mut mark);
    read.with_context(|| format!("while reading {shown}"))?;
    Ok(Lock { file, marked: is_mark(&mark), current: mark == MARK.as_bytes() })
}

/// Whether what a lock's file holds says that an outbox was there.
pub(super) fn is_mark(mark: &[u8]) -> bool {
    [MARK].iter().chain(&EARLIER_MARKS).any(|known| mark == known.as_bytes())
}

/// Where the file is.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

impl Lock {
    /// Remembers that an outbox is there. What hinders that (a full disk) hinders nothing else.
    pub(super) fn mark(&mut self) {
        if !self.current {
            self.current = self.file.write_all_at(MARK.as_bytes(), 0).is_ok();
        }
    }
}

/// The path with `suffix` at its end.
pub(super) fn beside(path: &Path, suffix: impl AsRef<OsStr>) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens the file at `path`, or creates it, and brings its schema up to date. Fails if it is
/// damaged, as far as that is seen at once.
pub(super) fn open(path: &Path) -> anyhow::Result<Opened> {
    let mut connection = connect(path)?;
    schema::migrate(&mut connection)?;
    if !schema::is_whole(&connection)? {
        bail!(Damage("its tables are not an outbox's".to_owned()));
    }
    if fs::metadata(path).context("while looking at the file")?.len() <= CHECKED_AT_ONCE {
        look_through(&connection)?;
    }
    let progress = progress(&connection).map_err(explain)?;
    let reader = connect_reader(path)?;
    Ok(Opened { connection, reader, progress })
}

/// Whether every page of the file is what it must be; reads all of it.
pub(super) fn look_through(connection: &Connection) -> anyhow::Result<()> {
    let sql = "PRAGMA integrity_check(1)";
    let found: String = connection.query_row(sql, [], |row| row.get(0)).map_err(explain)?;
    if found != "ok" {
        bail!(Damage(found.replace('\n', "; ")));
    }
    let contradicted: bool =
        connection.query_row(CONTRADICTED, [], |row| row.get(0)).map_err(explain)?;
    if contradicted {
        bail!(Damage("a request is finished by one column and waits by another".to_owned()));
    }
    Ok(())
}

/// No index knows the state of what is behind others, so nothing else finds that out.
const CONTRADICTED: &str = "
SELECT EXISTS (SELECT 1 FROM requests
    WHERE (finished IS NULL) <> (state IN ('waiting', 'behind')))";

/// Opens the file at `path` for writing; creates it if it is not there.
pub(super) fn connect(path: &Path) -> anyhow::Result<Connection> {
    let created = private(OpenOptions::new().write(true).create_new(true), path);
    match created {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => keep_private(path),
        other => drop(other.context("while creating the file")?),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection).map_err(explain)?;
    Ok(connection)
}

/// Takes the file and its log from the eyes of everybody, as whoever copied it may have left them.
/// What the owner's group may do is somebody's decision.
fn keep_private(path: &Path) {
    const OTHERS: u32 = 0o007;
    for suffix in ["", "-wal", "-shm"] {
        let file = beside(path, suffix);
        let open = fs::metadata(&file).is_ok_and(|it| it.permissions().mode() & OTHERS != 0);
        if !open {
            continue;
        }
        let file_name = file.display();
        match fs::set_permissions(&file, Permissions::from_mode(0o600)) {
            Ok(()) => tracing::warn!(
                file = %file_name,
                "Everybody on this machine could read who calls whom; now the file's owner alone can."
            ),
            Err(error) => tracing::warn!(
                file = %file_name, %error,
                "Everybody on this machine can read who calls whom; chmod 600 the file."
            ),
        }
    }
}

/// Opens the file at `path`, which is there, for reading only.
pub(super) fn connect_reader(path: &Path) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    compile_once(&connection)?;
    Ok(connection)
}

/// Opens the file at `path`, which is there, for small changes beside a service that may run.
pub(super) fn connect_editor(path: &Path) -> anyhow::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    compile_once(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // That is the service's business.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
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
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    compile_once(connection)
}

/// Keeps statements compiled. Without the guarantee of stable plans SQLite compiles a statement
/// anew for other values, wherever a partial index might matter.
fn compile_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// Says what to do about a file that SQLite cannot read.
pub(super) fn explain(error: rusqlite::Error) -> anyhow::Error {
    if is_corrupt(&error) {
        anyhow::Error::new(error)
            .context("the file is damaged or no outbox; move it away to begin with an empty one")
    } else {
        anyhow::Error::new(error)
    }
}

/// Whether somebody broke it off.
pub(super) fn is_interrupted(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<rusqlite::Error>())
        .any(|error| error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted))
}

/// Whether the cause is that the file is not what was written.
pub(super) fn is_damage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Damage>() || cause.downcast_ref::<rusqlite::Error>().is_some_and(is_corrupt)
    })
}

/// The same of an error of SQLite, or of a value that is not of the kind that was written.
pub(super) fn is_corrupt(error: &rusqlite::Error) -> bool {
    let short = ffi::SQLITE_IOERR_SHORT_READ;
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
        || error.sqlite_error().is_some_and(|error| error.extended_code == short)
        || is_misread(error)
}

/// A value is not of the kind that was written, such as a text that is no UTF-8.
fn is_misread(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
    )
}

/// Nothing in the place of a row that cannot be read, where others can go on without it.
pub(super) fn leave_out<T>(error: rusqlite::Error) -> rusqlite::Result<Option<T>> {
    if is_misread(&error) { Ok(None) } else { Err(error) }
}

/// Opens a file that, if it is created, only its owner can read.
pub(super) fn private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(0o600).open(path)
}
