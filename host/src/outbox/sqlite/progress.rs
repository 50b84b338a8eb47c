//! What every transaction notes of the whole, so that nobody has to count a long backlog.
//!
//! The note names the transaction that wrote it. One that an older service left behind, or that a
//! repair brought back, does not fit the number of transactions, and all is counted anew.

use rusqlite::{Connection, OptionalExtension, params};

use super::apply::Effects;
use super::timeline::Stamp;

/// Under this name it is kept.
pub(super) const NAME: &str = "outbox:progress";

/// Where the outbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// So many transactions there were.
    pub(super) commits: i64,
    /// So many requests wait.
    pub(super) pending: i64,
    /// None of them was put off later than this, on the timeline.
    pub(super) newest: i64,
    /// No request that waits lies before this place.
    pub(super) oldest: i64,
    /// The last transaction of the service itself; 0 if nobody has noted which one that was.
    pub(super) own: i64,
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// The service, which has found this out before.
    Service(Option<Passed>),
    /// A command beside it.
    Another,
}

/// A place that was found to have no request that waits before it, after so many transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) commits: i64,
    pub(super) oldest: i64,
}

/// Notes the transaction, as the last thing in it.
pub(super) fn note(
    connection: &Connection,
    now: Stamp,
    author: Author,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    let sql = "UPDATE progress SET commits = commits + 1 RETURNING commits";
    let commits: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    effects.commits = commits;
    let before = noted(connection)?.filter(|noted| noted.commits == commits - 1);
    let mut progress = match before {
        Some(before) => Progress { commits, pending: before.pending + effects.pending, ..before },
        None => counted(connection)?,
    };
    if let Author::Service(passed) = author {
        progress.own = commits;
        // Whoever else has written meanwhile may have brought back something older.
        if let Some(passed) = passed.filter(|passed| passed.commits == commits - 1) {
            progress.oldest = progress.oldest.max(passed.oldest);
        }
    }
    progress.oldest = effects.revived.map_or(progress.oldest, |seq| progress.oldest.min(seq));
    progress.newest = if progress.pending > 0 { progress.newest.max(now.due) } else { 0 };
    let Progress { commits, pending, newest, oldest, own } = progress;
    connection
        .prepare_cached(
            "INSERT INTO kept (name, value) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET value = excluded.value",
        )?
        .execute(params![NAME, format!("{commits} {pending} {newest} {oldest} {own}")])?;
    Ok(())
}

/// Has everything counted by whoever comes next.
pub(super) fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM kept WHERE name = ?1", params![NAME]).map(drop)
}

/// Where the outbox stands now.
pub(super) fn progress(connection: &Connection) -> rusqlite::Result<Progress> {
    let commits = commits(connection)?;
    match noted(connection)?.filter(|noted| noted.commits == commits) {
        Some(noted) => Ok(noted),
        None => counted(connection),
    }
}

fn commits(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT max(commits) FROM progress")?.query_row([], |row| row.get(0))
}

fn noted(connection: &Connection) -> rusqlite::Result<Option<Progress>> {
    let text: Option<String> = connection
        .prepare_cached("SELECT value FROM kept WHERE name = ?1")?
        .query_row(params![NAME], |row| row.get(0))
        .optional()?;
    let numbers = text.map(|text| text.split(' ').map(str::parse).collect::<Result<Vec<i64>, _>>());
    Ok(match numbers.as_ref().map(|numbers| numbers.as_deref()) {
        Some(Ok(&[commits, pending, newest, oldest, own])) => {
            Some(Progress { commits, pending, newest, oldest, own })
        }
        _ => None,
    })
}

fn counted(connection: &Connection) -> rusqlite::Result<Progress> {
    let commits = commits(connection)?;
    connection.prepare_cached(COUNT)?.query_row([], |row| {
        let (pending, newest, oldest) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Progress { commits, pending, newest, oldest, own: 0 })
    })
}

/// All answers come out of one index.
pub(super) const COUNT: &str = "
SELECT count(*), coalesce(max(due_set), 0), coalesce(min(seq), 0)
FROM requests WHERE finished IS NULL";
