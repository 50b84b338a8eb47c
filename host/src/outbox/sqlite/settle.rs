//! What becomes of requests that were claimed, or whose time is over.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::apply::{Effects, millis};
use super::timeline::Stamp;
use crate::outbox::{Attempt, Charge, Settlement};

/// So many attempts at a request are kept with their replies: the last ones.
const ATTEMPTS_KEPT: i64 = 5;

/// The place of a request in the file.
struct Place {
    endpoint: String,
    lane: String,
}

/// How a request ends.
struct End<'a> {
    state: &'a str,
    reason: Option<&'a str>,
    /// By how much its attempts grow.
    charge: u32,
}

/// How an attempt failed.
#[derive(Clone, Copy)]
struct Failing {
    charge: Charge,
    aside: bool,
}

/// Settles the request at `seq`. Does nothing if somebody else has finished it meanwhile.
pub(super) fn settle(
    connection: &Connection,
    seq: i64,
    settlement: &Settlement,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    effects.settled.push(seq);
    let end = |state, reason, charge| finish(connection, seq, &End { state, reason, charge }, now);
    let (place, attempt) = match settlement {
        Settlement::Delivered(attempt) => (end("delivered", None, 1)?, Some(attempt)),
        Settlement::Dead { attempt, reason } => (end("dead", Some(reason), 1)?, Some(attempt)),
        Settlement::Expired => (end("expired", Some(EXPIRED), 0)?, None),
        Settlement::Later { attempt, wait, charge, aside } => {
            let failing = Failing { charge: *charge, aside: *aside };
            (put_off(connection, seq, *wait, Some(failing), now)?, Some(attempt))
        }
        Settlement::GivenBack(wait) => (put_off(connection, seq, *wait, None, now)?, None),
    };
    let Some(place) = place else { return Ok(()) };
    if let Some(attempt) = attempt {
        store_attempt(connection, seq, attempt)?;
    }
    let finished = !matches!(settlement, Settlement::Later { .. } | Settlement::GivenBack(_));
    effects.pending -= i64::from(finished);
    if finished || matches!(settlement, Settlement::Later { aside: true, .. }) {
        give_turn(connection, &place.endpoint, &place.lane)?;
    }
    effects.changed.insert(place.endpoint);
    Ok(())
}

const EXPIRED: &str = "it could not be sent in time";

/// Finishes those of `seqs` that still wait as expired. None of them is claimed.
pub(super) fn expire(
    connection: &Connection,
    seqs: &[i64],
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    for &seq in seqs {
        effects.settled.push(seq);
        let end = End { state: "expired", reason: Some(EXPIRED), charge: 0 };
        if let Some(place) = finish(connection, seq, &end, now)? {
            give_turn(connection, &place.endpoint, &place.lane)?;
            effects.pending -= 1;
            effects.expired.push(place.endpoint.clone());
            effects.changed.insert(place.endpoint);
        }
    }
    Ok(())
}

/// Makes the request at `seq` dead, unless it is finished.
pub(super) fn bury(
    connection: &Connection,
    seq: i64,
    reason: &str,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<bool> {
    let end = End { state: "dead", reason: Some(reason), charge: 0 };
    let Some(place) = finish(connection, seq, &end, now)? else { return Ok(false) };
    give_turn(connection, &place.endpoint, &place.lane)?;
    effects.pending -= 1;
    effects.changed.insert(place.endpoint);
    Ok(true)
}

fn finish(
    connection: &Connection,
    seq: i64,
    end: &End<'_>,
    now: Stamp,
) -> rusqlite::Result<Option<Place>> {
    connection
        .prepare_cached(
            "UPDATE requests
             SET state = ?2, reason = ?3, finished = ?4, attempts = attempts + ?5
             WHERE seq = ?1 AND state IN ('waiting', 'behind') RETURNING endpoint, lane",
        )?
        .query_row(params![seq, end.state, end.reason, now.wall, end.charge], place)
        .optional()
}

fn put_off(
    connection: &Connection,
    seq: i64,
    wait: Duration,
    failing: Option<Failing>,
    now: Stamp,
) -> rusqlite::Result<Option<Place>> {
    let charge = failing.map_or(Charge::Nothing, |failing| failing.charge);
    let (charged, refused) = (charge != Charge::Nothing, charge == Charge::Refusal);
    let aside = failing.is_some_and(|failing| failing.aside);
    let due = now.due.saturating_add(millis(wait));
    // What is not its own fault does not cost it its turn.
    let failed = charged.then_some(now.due);
    connection
        .prepare_cached(
            "UPDATE requests SET due = ?2, due_set = ?3, attempts = attempts + ?4,
                aside = max(aside, ?5), failing = coalesce(failing, ?6), refusals = refusals + ?7
             WHERE seq = ?1 AND state = 'waiting' RETURNING endpoint, lane",
        )?
        .query_row(params![seq, due, now.due, charged, aside, failed, refused], place)
        .optional()
}

fn place(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place { endpoint: row.get(0)?, lane: row.get(1)? })
}

fn store_attempt(connection: &Connection, request: i64, done: &Attempt) -> rusqlite::Result<()> {
    let Attempt { at, took, status, error, reply, truncated } = done;
    let number: i64 = connection
        .prepare_cached(
            "INSERT INTO attempts
                (request, number, at, took_ms, status, error, reply, truncated)
             VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE request = ?1),
                ?2, ?3, ?4, ?5, ?6, ?7) RETURNING number",
        )?
        .query_row(
            params![request, at.as_millisecond(), millis(*took), status, error, reply, truncated],
            |row| row.get(0),
        )?;
    if number > ATTEMPTS_KEPT {
        connection
            .prepare_cached("DELETE FROM attempts WHERE request = ?1 AND number <= ?2")?
            .execute(params![request, number - ATTEMPTS_KEPT])?;
    }
    Ok(())
}

/// Unless a request of the lane has its turn, gives it to the oldest that waits for one.
pub(super) fn give_turn(
    connection: &Connection,
    endpoint: &str,
    lane: &str,
) -> rusqlite::Result<()> {
    connection.prepare_cached(GIVE_TURN)?.execute(params![endpoint, lane])?;
    Ok(())
}

pub(super) const GIVE_TURN: &str = "
UPDATE requests SET state = 'waiting' WHERE seq = (
    SELECT seq FROM requests
    WHERE endpoint = ?1 AND lane = ?2 AND state IN ('waiting', 'behind') AND state = 'behind'
    ORDER BY seq LIMIT 1)
AND NOT EXISTS (
    SELECT 1 FROM requests
    WHERE endpoint = ?1 AND lane = ?2 AND state IN ('waiting', 'behind')
        AND state = 'waiting' AND aside = 0)";
