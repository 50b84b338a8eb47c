//! The events in the file, for whoever makes requests of them once more.

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::append::event_sum;
use super::file::leave_out;
use crate::outbox::StoredEvent;

/// See [`Scan::events`](crate::outbox::Scan::events).
pub(super) fn events(
    connection: &Connection,
    from: Timestamp,
    until: Timestamp,
    after: Option<&str>,
    limit: usize,
) -> anyhow::Result<Vec<StoredEvent>> {
    let mut place = (from.as_millisecond(), i64::MIN);
    if let Some(after) = after {
        let found = connection
            .prepare_cached("SELECT created, rowid FROM events WHERE event_id = ?1")?
            .query_row(params![after], |row| Ok((row.get(0)?, row.get(1)?)));
        place = found.with_context(|| format!("while looking for the event {after}"))?;
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    while found.is_empty() {
        let mut statement = connection.prepare_cached(EVENTS)?;
        let until = until.as_millisecond();
        let mut rows = statement.query(params![place.0, place.1, until, limit])?;
        let before = place;
        while let Some(row) = rows.next()? {
            place = (row.get(5)?, row.get(6)?);
            found.extend(stored_event(row)?);
        }
        if place == before {
            break;
        }
    }
    Ok(found)
}

pub(super) const EVENTS: &str = "
SELECT event_id, pbx, chain, kind, json, created, rowid, sum FROM events
WHERE (created, rowid) > (?1, ?2) AND created < ?3 ORDER BY created, rowid LIMIT ?4";

/// Nothing, and a word in the log, if it is not what was written.
fn stored_event(row: &Row<'_>) -> rusqlite::Result<Option<StoredEvent>> {
    let event = written_event(row).or_else(leave_out)?;
    if event.is_none() {
        let event = String::from_utf8_lossy(row.get_ref(0)?.as_bytes().unwrap_or_default());
        tracing::error!(%event, "An event in the outbox is damaged; left out.");
    }
    Ok(event)
}

fn written_event(row: &Row<'_>) -> rusqlite::Result<Option<StoredEvent>> {
    let event = StoredEvent {
        event_id: row.get(0)?,
        pbx: row.get(1)?,
        chain: row.get(2)?,
        kind: row.get(3)?,
        json: row.get(4)?,
    };
    let sum: Option<i64> = row.get(7)?;
    Ok(sum.is_none_or(|sum| sum == event_sum(&event)).then_some(event))
}

/// See [`Scan::event`](crate::outbox::Scan::event).
pub(super) fn stored(connection: &Connection, id: &str) -> rusqlite::Result<Option<StoredEvent>> {
    let sql = "SELECT event_id, pbx, chain, kind, json, created, rowid, sum FROM events
               WHERE event_id = ?1";
    let found = connection.prepare_cached(sql)?.query_row(params![id], stored_event).optional()?;
    Ok(found.flatten())
}

/// See [`Scan::next_generation`](crate::outbox::Scan::next_generation).
pub(super) fn next_generation(
    connection: &Connection,
    event_id: &str,
    endpoint: &str,
) -> rusqlite::Result<u32> {
    connection
        .prepare_cached(
            "SELECT coalesce(max(generation), 0) + 1 FROM requests
             WHERE event_id = ?1 AND endpoint = ?2",
        )?
        .query_row(params![event_id, endpoint], |row| row.get(0))
}
