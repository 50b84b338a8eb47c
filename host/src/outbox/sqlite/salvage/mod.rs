//! A damaged outbox: set aside, and what can be read of it carried over into a new one.
//!
//! SQLite stops at the first page that it cannot make sense of, so the rows are read here, page by
//! page, straight from the file and its log. Each row must fit its sum. What was free is left out,
//! so that nothing comes back that was removed.
//!
//! The steps are such that a crash between any two of them loses nothing: the new file is complete
//! under another name before the old one is moved.

mod image;
mod record;
mod rows;
pub(super) mod symptoms;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rusqlite::Connection;

use self::image::{Image, Kind};
use self::rows::Rows;
use super::file::{beside, connect, is_damage, private};
use super::schema;

/// What a repair came to.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// So many rows were carried over.
    pub(super) kept: u64,
    /// So many there were, as far as can be told.
    pub(super) about: u64,
    /// Where the damaged file is now.
    pub(super) aside: PathBuf,
}

impl Report {
    /// Tells the operator.
    pub(super) fn tell(&self) {
        tracing::error!(
            kept = self.kept,
            about = self.about,
            aside = %self.aside.display(),
            "The outbox was damaged and is repaired; the damaged file is set aside."
        );
    }
}

/// Puts a new outbox with all that can be read in the place of the one at `path`, which nobody
/// has open. `commits` is the number of its last transaction, as far as that is known.
pub(super) fn repair(path: &Path, commits: i64, now: i64) -> anyhow::Result<Report> {
    let doing = || format!("while repairing {}", path.display());
    let half = beside(path, ".repairing");
    remove(&half).with_context(doing)?;
    let (kept, about) = rebuild(path, &half, commits, now).with_context(doing)?;
    fs::rename(&half, repaired(path)).with_context(doing)?;
    let aside = exchange(path, now).with_context(doing)?;
    Ok(Report { kept, about, aside })
}

/// Whether a repair may help against the error with which the outbox at `path` did not open.
pub(super) fn calls_for_repair(path: &Path, error: &anyhow::Error) -> bool {
    is_damage(error) || symptoms::header_is_wrong(path)
}

/// Completes a repair that a crash interrupted.
pub(super) fn complete(path: &Path, now: i64) -> anyhow::Result<()> {
    if repaired(path).exists() {
        exchange(path, now).context("while completing a repair")?;
    }
    remove(&beside(path, ".repairing")).context("while removing half a repair")
}

fn repaired(path: &Path) -> PathBuf {
    beside(path, ".repaired")
}

/// Sets the damaged file aside with its log, and puts the repaired one in its place.
fn exchange(path: &Path, now: i64) -> anyhow::Result<PathBuf> {
    let time = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
    let mut aside = beside(path, format!(".damaged-{}", time.strftime("%Y%m%dT%H%M%SZ")));
    while aside.exists() {
        aside = beside(&aside, "x");
    }
    // The log first: without it the file is older, but with the wrong log it is worthless.
    for suffix in ["-wal", ""] {
        match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    remove(&beside(path, "-shm"))?;
    fs::rename(repaired(path), path)?;
    if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
        File::open(folder)?.sync_all()?;
    }
    Ok(aside)
}

fn remove(path: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Writes what can be read at `from` into a new file. Gives how many rows that is, and of how many.
fn rebuild(from: &Path, to: &Path, commits: i64, now: i64) -> anyhow::Result<(u64, u64)> {
    let mut image = Image::open(from).context("while reading the damaged file")?;
    let mut connection = connect(to)?;
    schema::migrate(&mut connection)?;
    // Nobody reads it before it is complete.
    connection.pragma_update(None, "journal_mode", "OFF")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    let transaction = connection.transaction()?;
    let mut rows = Rows::new(&transaction);
    for number in 2..=image.pages() {
        match image.kind(number) {
            Kind::Free | Kind::Map | Kind::Overflow => {}
            Kind::Tree | Kind::Unknown => image.leaf(number, &mut rows)?,
        }
    }
    let (kept, lost) = (rows.kept(), rows.lost());
    let full_pages = image.leaves().max(1);
    let about = kept + lost + image.unreadable() * (kept / full_pages);
    rows.tidy(commits, now)?;
    transaction.commit()?;
    finish(connection, to)?;
    Ok((kept, about))
}

/// Closes the new file and sees that it is on disk.
fn finish(connection: Connection, path: &Path) -> anyhow::Result<()> {
    connection.close().map_err(|(_, error)| error)?;
    private(File::options().read(true).write(true), path)?.sync_all()?;
    Ok(())
}
