//! Removing what was finished long ago, a chunk at a time.

use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::apply::millis;
use super::hold;
use super::timeline::Stamp;

/// So many rows of each kind are looked at or removed at once, so that nobody waits long for the
/// disk.
const CHUNK: u32 = 500;

/// So many pages that hold nothing are worth giving back (4 MiB).
const FREE_PAGES: i64 = 1_024;

/// So many are given back at once.
const VACUUM_PAGES: i64 = 256;

/// The event that was looked at last, by time and place. Events whose requests still wait are
/// passed by, so without it they would be looked at again every time.
pub(super) type Pruned = Mutex<(i64, i64)>;

/// Removes what was finished longer than `age` before `now`, a chunk of it.
pub(super) fn prune(
    connection: &Connection,
    age: Duration,
    place: &Pruned,
    now: Stamp,
) -> rusqlite::Result<()> {
    let before = now.wall.saturating_sub(millis(age));
    for statement in STATEMENTS {
        connection.prepare_cached(statement)?.execute(params![before, CHUNK])?;
    }
    prune_events(connection, before, place)
}

pub(super) const STATEMENTS: [&str; 3] = [
    "DELETE FROM attempts WHERE request IN
        (SELECT seq FROM requests WHERE finished < ?1 ORDER BY finished, seq LIMIT ?2)",
    "DELETE FROM requests WHERE seq IN
        (SELECT seq FROM requests WHERE finished < ?1 ORDER BY finished, seq LIMIT ?2)",
    "DELETE FROM failed_transforms WHERE rowid IN
        (SELECT rowid FROM failed_transforms WHERE created < ?1 ORDER BY created LIMIT ?2)",
];

/// Old events, and whether a request is left of each.
pub(super) const OLD_EVENTS: &str = "
SELECT created, rowid, EXISTS (SELECT 1 FROM requests r WHERE r.event_id = e.event_id)
    OR EXISTS (SELECT 1 FROM failed_transforms f WHERE f.event_id = e.event_id)
FROM events e WHERE (created, rowid) > (?1, ?2) AND created < ?3
ORDER BY created, rowid LIMIT ?4";

fn prune_events(connection: &Connection, before: i64, place: &Pruned) -> rusqlite::Result<()> {
    let (created, rowid) = *hold(place);
    let old: Vec<(i64, i64, bool)> = connection
        .prepare_cached(OLD_EVENTS)?
        .query_map(params![created, rowid, before, CHUNK], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    for (_, rowid, _) in old.iter().filter(|(_, _, needed)| !needed) {
        let sql = "DELETE FROM events WHERE rowid = ?1";
        connection.prepare_cached(sql)?.execute(params![rowid])?;
    }
    // From the beginning again when the end is reached. If this transaction fails, what is passed
    // by now comes up then.
    let last = old.last().filter(|_| old.len() >= CHUNK as usize);
    *hold(place) = last.map_or((i64::MIN, 0), |(created, rowid, _)| (*created, *rowid));
    Ok(())
}

/// Gives a few pages back to the disk if many are free.
pub(super) fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let number = |pragma: &str| -> rusqlite::Result<i64> {
        connection.prepare_cached(pragma)?.query_row([], |row| row.get(0))
    };
    let free = number("PRAGMA freelist_count")?;
    if free < FREE_PAGES || free < number("PRAGMA page_count")? / 4 {
        return Ok(());
    }
    let sql = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
