//! The last attempts at each request. Those at one follow each other in the file, so that they
//! need no index beside their table.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::apply::millis;
use super::list::time;
use super::statements::Statements;
use crate::outbox::Attempt;

/// So many attempts at a request are kept with their replies: the last ones.
const KEPT: i64 = 5;

/// There is a place for so many attempts at each request; the last place is taken by all later
/// ones.
const PLACES: i64 = 1 << 16;

/// The place before the first attempt at the request at `seq`, and the last one. No file has so
/// many requests that their places end, but damage may have given one a number beyond that.
fn places(seq: i64) -> [i64; 2] {
    let before = (seq & (i64::MAX / PLACES)) * PLACES;
    [before, before + (PLACES - 1)]
}

/// Where an attempt at the request at `seq` is, going by its number from 1 on.
pub(super) fn place(seq: i64, number: i64) -> i64 {
    let [before, last] = places(seq);
    before.saturating_add(number).clamp(before, last)
}

/// Stores an attempt at the request at `seq`.
pub(super) fn store(
    statements: &Statements<'_>,
    seq: i64,
    attempt: &Attempt,
) -> rusqlite::Result<()> {
    let Attempt { at, took, status, error, reply, truncated } = attempt;
    let [before, last] = places(seq);
    let newest: Option<i64> = statements.query_row(
        "SELECT max(place) FROM attempts WHERE place BETWEEN ?1 AND ?2",
        [before, last],
        |row| row.get(0),
    )?;
    let place = newest.unwrap_or(before).saturating_add(1).min(last);
    if place - before > KEPT {
        statements.execute(DELETE, [before, place - KEPT])?;
    }
    let (at, took) = (at.as_millisecond(), millis(*took));
    statements.execute(
        "INSERT OR REPLACE INTO attempts (place, at, took_ms, status, error, reply, truncated)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![place, at, took, status, error, reply, truncated],
    )?;
    Ok(())
}

const DELETE: &str = "DELETE FROM attempts WHERE place BETWEEN ?1 AND ?2";

/// Removes what is known of the attempts at the request at `seq`.
pub(super) fn remove(statements: &Statements<'_>, seq: i64) -> rusqlite::Result<()> {
    statements.execute(DELETE, places(seq)).map(drop)
}

/// The attempts at the request at `seq`, as far as they are kept.
pub(super) fn read(connection: &Connection, seq: i64) -> rusqlite::Result<Vec<Attempt>> {
    connection
        .prepare_cached(
            "SELECT at, took_ms, status, error, reply, truncated FROM attempts
             WHERE place BETWEEN ?1 AND ?2 ORDER BY place",
        )?
        .query_map(places(seq), |row| {
            let took = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
            Ok(Attempt {
                at: time(row.get(0)?),
                took: Duration::from_millis(took),
                status: row.get(2)?,
                error: row.get(3)?,
                reply: row.get(4)?,
                truncated: row.get(5)?,
            })
        })?
        .collect()
}
