//! Removing what was finished long ago, a chunk at a time.

use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::apply::millis;
use super::statements::Statements;
use super::timeline::Stamp;
use super::{attempts, hold};

/// So many rows of each kind are looked at or removed at once, so that nobody waits long for the
/// disk.
const CHUNK: u32 = 500;

/// So many pages that hold nothing are worth giving back (4 MiB).
const FREE_PAGES: i64 = 1_024;

/// So many are given back at once.
const VACUUM_PAGES: i64 = 256;

/// What plugins keep of a chain of calls is kept so long after the last that happened in it.
const QUIET: Duration = Duration::from_hours(24);

/// What was looked at last, by time and place. What is still needed is passed by, so without it
/// that would be looked at again every time.
#[derive(Debug)]
pub(super) struct Pruned {
    events: Mutex<(i64, i64)>,
    memory: Mutex<(i64, i64)>,
}

impl Default for Pruned {
    fn default() -> Self {
        Self { events: Mutex::new(START), memory: Mutex::new(START) }
    }
}

/// Before everything.
const START: (i64, i64) = (i64::MIN, 0);

/// Removes what was finished longer than `age` before `now`, a chunk of it.
pub(super) fn prune(
    statements: &Statements<'_>,
    age: Duration,
    place: &Pruned,
    now: Stamp,
) -> rusqlite::Result<()> {
    // A clock that is set ahead makes nothing older.
    let now = now.wall.min(now.due);
    let before = now.saturating_sub(millis(age));
    let seqs: Vec<i64> = statements
        .prepare_cached(OLD_REQUESTS)?
        .query_map(params![before, CHUNK], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for seq in seqs {
        attempts::remove(statements, seq)?;
        statements.execute("DELETE FROM requests WHERE seq = ?1", params![seq])?;
    }
    for statement in STATEMENTS {
        statements.execute(statement, params![before, CHUNK])?;
    }
    pass_by(statements, [OLD_EVENTS, DELETE_EVENT], before, &place.events)?;
    let quiet = now.saturating_sub(millis(QUIET));
    pass_by(statements, [OLD_MEMORY, DELETE_MEMORY], quiet, &place.memory)
}

/// Not the newest: its number would be given once more, to one that is taken for an older one.
pub(super) const OLD_REQUESTS: &str = "
SELECT seq FROM requests WHERE finished < ?1 AND seq < (SELECT max(seq) FROM requests)
ORDER BY finished, seq LIMIT ?2";

pub(super) const STATEMENTS: [&str; 2] = [
    "DELETE FROM failed_transforms WHERE rowid IN
        (SELECT rowid FROM failed_transforms WHERE created < ?1 ORDER BY created LIMIT ?2)",
    "DELETE FROM failed_replies WHERE rowid IN
        (SELECT rowid FROM failed_replies WHERE created < ?1 ORDER BY created LIMIT ?2)",
];

/// Old events, and whether a request is left of each.
pub(super) const OLD_EVENTS: &str = "
SELECT created, rowid, EXISTS (SELECT 1 FROM requests r WHERE r.event_id = e.event_id)
    OR EXISTS (SELECT 1 FROM failed_transforms f WHERE f.event_id = e.event_id)
FROM events e WHERE (created, rowid) > (?1, ?2) AND created < ?3
ORDER BY created, rowid LIMIT ?4";

const DELETE_EVENT: &str = "DELETE FROM events WHERE rowid = ?1";

/// What plugins keep and have not changed for long, and whether it may still be needed: something
/// of its chain happened not long ago, or waits, or is dead and may be sent again.
pub(super) const OLD_MEMORY: &str = "
SELECT touched, rowid, EXISTS (
    SELECT 1 FROM events e WHERE e.chain = m.chain AND e.pbx = m.pbx AND (
        e.created >= ?3
        OR EXISTS (SELECT 1 FROM requests r WHERE r.event_id = e.event_id
            AND (r.finished IS NULL OR r.finished >= ?3 OR r.state = 'dead'))
        OR EXISTS (SELECT 1 FROM failed_transforms f WHERE f.event_id = e.event_id)
        OR EXISTS (SELECT 1 FROM failed_replies f WHERE f.event_id = e.event_id)))
FROM memory m WHERE (touched, rowid) > (?1, ?2) AND touched < ?3
ORDER BY touched, rowid LIMIT ?4";

const DELETE_MEMORY: &str = "DELETE FROM memory WHERE rowid = ?1";

/// Looks at a chunk of what is `old` and from before that time, and removes what is not needed.
fn pass_by(
    connection: &Connection,
    [old, delete]: [&str; 2],
    before: i64,
    place: &Mutex<(i64, i64)>,
) -> rusqlite::Result<()> {
    let (time, rowid) = *hold(place);
    let old: Vec<(i64, i64, bool)> = connection
        .prepare_cached(old)?
        .query_map(params![time, rowid, before, CHUNK], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    for (_, rowid, _) in old.iter().filter(|(_, _, needed)| !needed) {
        connection.prepare_cached(delete)?.execute(params![rowid])?;
    }
    // From the beginning again when the end is reached. If this transaction fails, what is passed
    // by now comes up then.
    let last = old.last().filter(|_| old.len() >= CHUNK as usize);
    *hold(place) = last.map_or(START, |(time, rowid, _)| (*time, *rowid));
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
