//! Operations as statements, within a transaction that the writer opened.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::queue::{Operation, Work};
use crate::outbox::{Attempt, Class, Commit, FailedTransform, NewRequest, Settlement, StoredEvent};

/// So many attempts at a request are kept with their replies: the last ones.
const ATTEMPTS_KEPT: i64 = 5;

/// So many rows of each kind are removed at once, so that nobody waits long for the disk.
const CHUNK: i64 = 500;

/// What a transaction changes outside the file, once it is committed.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// By how much the number of waiting requests grows.
    pub(super) pending: i64,
    /// Requests that were there already.
    pub(super) collapsed: u64,
    /// Requests that are no longer claimed.
    pub(super) settled: Vec<String>,
    /// Endpoints for which a claim may now find something else.
    pub(super) changed: BTreeSet<String>,
}

/// Carries out `operation` and notes in `effects` what follows from it.
pub(super) fn apply(
    connection: &Connection,
    operation: &Operation,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    match &operation.work {
        Work::Append(commit) => append(connection, commit, operation.at, effects),
        Work::Settle { id, settlement } => {
            settle(connection, id, settlement, operation.at, effects)
        }
        Work::Keep { name, value } => keep(connection, name, value.as_deref()),
        Work::Prune(age) => prune(connection, *age, operation.at),
    }
}

fn append(
    connection: &Connection,
    commit: &Commit,
    now: i64,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    for (key, state) in &commit.calls {
        store_call(connection, &commit.pbx, key, state.as_deref())?;
    }
    for event in &commit.events {
        store_event(connection, event, now)?;
    }
    for request in &commit.requests {
        if store_request(connection, request, now)? {
            effects.pending += 1;
            effects.changed.insert(request.endpoint.clone());
        } else {
            effects.collapsed += 1;
        }
    }
    for failure in &commit.failures {
        store_failure(connection, failure, now)?;
    }
    Ok(())
}

fn store_call(
    connection: &Connection,
    pbx: &str,
    key: &str,
    state: Option<&[u8]>,
) -> rusqlite::Result<()> {
    match state {
        Some(state) => connection
            .prepare_cached(
                "INSERT INTO calls (pbx, key, state) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET state = excluded.state",
            )?
            .execute(params![pbx, key, state])?,
        None => connection
            .prepare_cached("DELETE FROM calls WHERE pbx = ?1 AND key = ?2")?
            .execute(params![pbx, key])?,
    };
    Ok(())
}

fn store_event(connection: &Connection, event: &StoredEvent, now: i64) -> rusqlite::Result<()> {
    let StoredEvent { event_id, pbx, chain, kind, json } = event;
    connection
        .prepare_cached(
            "INSERT INTO events (event_id, pbx, chain, kind, json, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![event_id, pbx, chain, kind, json, now])?;
    Ok(())
}

/// `false` if the request was there already.
fn store_request(connection: &Connection, new: &NewRequest, now: i64) -> rusqlite::Result<bool> {
    let NewRequest { event_id, endpoint, index: _, lane, sequence, generation, .. } = new;
    let request = &new.request;
    let expires = new.expires_in.map(|wait| now.saturating_add(millis(wait)));
    let class = match new.class {
        Class::Extra => 0,
        Class::Popup => 1,
        Class::Core => 2,
    };
    let headers = serde_json::to_string(&request.headers)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let due = now.saturating_add(i64::from(request.delay_ms));
    let inserted = connection
        .prepare_cached(
            "INSERT INTO requests (id, event_id, endpoint, lane, sequence, created, due, due_set,
                method, url, headers, body, tag, plugin_state, generation, expires, class, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, ?8, ?9, ?10, ?11, ?12, ?13,
                ?14, ?15, ?16,
                CASE WHEN EXISTS (SELECT 1 FROM requests WHERE endpoint = ?3 AND lane = ?4
                    AND state IN ('waiting', 'behind') AND aside = 0) THEN 'behind' ELSE 'waiting' END)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            new.id(),
            event_id,
            endpoint,
            lane,
            sequence,
            now,
            due,
            request.method,
            request.url,
            headers,
            request.body,
            request.tag,
            request.state,
            generation,
            expires,
            class,
        ])?;
    Ok(inserted == 1)
}

fn store_failure(
    connection: &Connection,
    failure: &FailedTransform,
    now: i64,
) -> rusqlite::Result<()> {
    let FailedTransform { event_id, endpoint, plugin, kind, message } = failure;
    connection
        .prepare_cached(
            "INSERT INTO failed_transforms (event_id, endpoint, plugin, kind, message, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![event_id, endpoint, plugin, kind, message, now])?;
    Ok(())
}

/// The place of a request in the file.
struct Place {
    seq: i64,
    endpoint: String,
    lane: String,
    attempts: i64,
}

fn settle(
    connection: &Connection,
    id: &str,
    settlement: &Settlement,
    now: i64,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    effects.settled.push(id.to_owned());
    let (place, attempt) = match settlement {
        Settlement::Delivered(attempt) => {
            (finish(connection, id, "delivered", None, 1, now)?, Some(attempt))
        }
        Settlement::Dead { attempt, reason } => {
            (finish(connection, id, "dead", Some(reason), 1, now)?, Some(attempt))
        }
        Settlement::Expired => (finish(connection, id, "expired", None, 0, now)?, None),
        Settlement::Later { attempt, wait, charged, aside } => {
            let failing = Failing { charged: *charged, aside: *aside };
            (put_off(connection, id, *wait, Some(failing), now)?, Some(attempt))
        }
        Settlement::GivenBack(wait) => (put_off(connection, id, *wait, None, now)?, None),
    };
    // Otherwise somebody else has settled it meanwhile.
    let Some(place) = place else { return Ok(()) };
    if let Some(attempt) = attempt {
        store_attempt(connection, &place, attempt)?;
    }
    let finished = !matches!(settlement, Settlement::Later { .. } | Settlement::GivenBack(_));
    effects.pending -= i64::from(finished);
    if finished || matches!(settlement, Settlement::Later { aside: true, .. }) {
        give_turn(connection, &place)?;
    }
    effects.changed.insert(place.endpoint);
    Ok(())
}

fn finish(
    connection: &Connection,
    id: &str,
    state: &str,
    reason: Option<&str>,
    charge: u32,
    now: i64,
) -> rusqlite::Result<Option<Place>> {
    connection
        .prepare_cached(
            "UPDATE requests
             SET state = ?2, reason = ?3, finished = ?4, attempts = attempts + ?5
             WHERE id = ?1 AND state = 'waiting' RETURNING seq, endpoint, lane, attempts",
        )?
        .query_row(params![id, state, reason, now, charge], place)
        .optional()
}

/// How an attempt failed.
#[derive(Clone, Copy)]
struct Failing {
    charged: bool,
    aside: bool,
}

fn put_off(
    connection: &Connection,
    id: &str,
    wait: Duration,
    failing: Option<Failing>,
    now: i64,
) -> rusqlite::Result<Option<Place>> {
    let charge = failing.is_some_and(|failing| failing.charged);
    let aside = failing.is_some_and(|failing| failing.aside);
    connection
        .prepare_cached(
            "UPDATE requests SET due = ?2, due_set = ?3, attempts = attempts + ?4,
                aside = max(aside, ?5), failing = coalesce(failing, ?6)
             WHERE id = ?1 AND state = 'waiting' RETURNING seq, endpoint, lane, attempts",
        )?
        .query_row(
            params![id, now.saturating_add(millis(wait)), now, charge, aside, failing.map(|_| now)],
            place,
        )
        .optional()
}

fn keep(connection: &Connection, name: &str, value: Option<&str>) -> rusqlite::Result<()> {
    match value {
        Some(value) => connection
            .prepare_cached(
                "INSERT INTO kept (name, value) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET value = excluded.value",
            )?
            .execute(params![name, value])?,
        None => {
            connection.prepare_cached("DELETE FROM kept WHERE name = ?1")?.execute(params![name])?
        }
    };
    Ok(())
}

fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}

fn place(row: &rusqlite::Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place { seq: row.get(0)?, endpoint: row.get(1)?, lane: row.get(2)?, attempts: row.get(3)? })
}

fn store_attempt(connection: &Connection, place: &Place, done: &Attempt) -> rusqlite::Result<()> {
    let Attempt { at, took, status, error, reply, truncated } = done;
    let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT INTO attempts
                (request, number, at, took_ms, status, error, reply, truncated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            place.seq,
            place.attempts,
            at.as_millisecond(),
            took,
            status,
            error,
            reply,
            truncated,
        ])?;
    if place.attempts > ATTEMPTS_KEPT {
        connection
            .prepare_cached("DELETE FROM attempts WHERE request = ?1 AND number <= ?2")?
            .execute(params![place.seq, place.attempts - ATTEMPTS_KEPT])?;
    }
    Ok(())
}

/// Lets the oldest request of the lane that is left have its turn.
fn give_turn(connection: &Connection, place: &Place) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE requests SET state = 'waiting' WHERE seq = (
                SELECT seq FROM requests
                WHERE endpoint = ?1 AND lane = ?2 AND state IN ('waiting', 'behind')
                    AND aside = 0
                ORDER BY seq LIMIT 1)",
        )?
        .execute(params![place.endpoint, place.lane])?;
    Ok(())
}

/// Removes what was finished longer than `age` before `now`, a chunk of it.
fn prune(connection: &Connection, age: Duration, now: i64) -> rusqlite::Result<()> {
    let before = now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let statements = [
        "DELETE FROM attempts WHERE request IN
            (SELECT seq FROM requests WHERE finished < ?1 ORDER BY finished, seq LIMIT ?2)",
        "DELETE FROM requests WHERE seq IN
            (SELECT seq FROM requests WHERE finished < ?1 ORDER BY finished, seq LIMIT ?2)",
        "DELETE FROM failed_transforms WHERE rowid IN
            (SELECT rowid FROM failed_transforms WHERE created < ?1 LIMIT ?2)",
        "DELETE FROM events WHERE rowid IN
            (SELECT e.rowid FROM events e WHERE e.created < ?1 AND NOT EXISTS
                (SELECT 1 FROM requests r WHERE r.event_id = e.event_id)
             ORDER BY e.created LIMIT ?2)",
    ];
    for statement in statements {
        connection.prepare_cached(statement)?.execute(params![before, CHUNK])?;
    }
    Ok(())
}
