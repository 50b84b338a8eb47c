//! Storing what follows from a reply.
//!
//! A follow-up has the place of the request that it follows: its lane is ordered by that place,
//! then what follows from follow-ups before what they were made beside, then by age.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::append::{Following, insert};
use super::apply::Effects;
use super::statements::Statements;
use super::timeline::Stamp;
use super::{change, memory, settle};
use crate::outbox::replies::follow_up_id;
use crate::outbox::{Class, FailedReply, FollowUp, NewRequest, Pressure, Rejudged};
use crate::reply::{Judgement, Reply};

/// The request that something follows from.
struct Parent {
    id: String,
    event_id: String,
    endpoint: String,
    lane: String,
    sequence: u32,
    generation: u32,
    /// Its place in the lane.
    place: i64,
    depth: i64,
}

/// Stores what follows from the request at `seq`, next in its lane; nobody has the turn yet that
/// it had.
///
/// The ids follow from that request's, so what is judged again after a crash collapses onto what
/// is there. Only what is something else under the same id, because an operator had the request
/// sent again, gets the next id that is free.
pub(super) fn store(
    statements: &Statements<'_>,
    seq: i64,
    follow_ups: &[FollowUp],
    now: Stamp,
    pressure: Pressure,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    if follow_ups.is_empty() {
        return Ok(());
    }
    let parent = statements.query_row(PARENT, params![seq], parent)?;
    let mut number = 0;
    for follow_up in follow_ups {
        let new = parent.followed_by(follow_up);
        if pressure.sheds(new.class) {
            number += 1;
            effects.shed.push(new.class);
            continue;
        }
        let following = Some(Following { place: parent.place, depth: parent.depth + 1 });
        loop {
            number += 1;
            let id = follow_up_id(&parent.id, number);
            let (stored, sum) = insert(statements, id.clone(), &new, following, now, effects)?;
            if stored {
                effects.pending += 1;
                break;
            }
            if sum_of(statements, &id)? == Some(sum) {
                effects.collapsed += 1;
                break;
            }
        }
    }
    Ok(())
}

const PARENT: &str = "
SELECT id, event_id, endpoint, lane, sequence, generation, coalesce(place, seq), depth
FROM requests WHERE seq = ?1";

fn parent(row: &Row<'_>) -> rusqlite::Result<Parent> {
    Ok(Parent {
        id: row.get(0)?,
        event_id: row.get(1)?,
        endpoint: row.get(2)?,
        lane: row.get(3)?,
        sequence: row.get(4)?,
        generation: row.get(5)?,
        place: row.get(6)?,
        depth: row.get(7)?,
    })
}

impl Parent {
    fn followed_by(&self, follow_up: &FollowUp) -> NewRequest {
        // What was asked for long after its time matters all the same.
        let replayed = self.generation > 0;
        NewRequest {
            event_id: self.event_id.clone(),
            endpoint: self.endpoint.clone(),
            index: 0,
            lane: self.lane.clone(),
            sequence: self.sequence,
            generation: self.generation,
            expires_in: follow_up.expires_in.filter(|_| !replayed),
            class: if replayed { Class::Core } else { follow_up.class },
            base: follow_up.base.clone(),
            request: follow_up.request.clone(),
        }
    }
}

fn sum_of(connection: &Connection, id: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT sum FROM requests WHERE id = ?1";
    connection.prepare_cached(sql)?.query_row(params![id], |row| row.get(0))
}

/// Keeps a reply that a plugin could not judge; the last one of each request.
pub(super) fn store_failure(
    connection: &Connection,
    failure: &FailedReply,
    now: Stamp,
) -> rusqlite::Result<()> {
    let FailedReply { request, event_id, endpoint, plugin, kind, message, .. } = failure;
    let FailedReply { details, attempt, reply, .. } = failure;
    let headers = serde_json::to_string(&reply.headers)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO failed_replies
                (request, event_id, endpoint, plugin, kind, message, created, attempt, status,
                 headers, body, truncated, details)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            request,
            event_id,
            endpoint,
            plugin,
            kind,
            message,
            now.wall,
            attempt,
            reply.status,
            headers,
            reply.body,
            reply.truncated,
            details,
        ])?;
    Ok(())
}

/// A reply to this request was judged at last.
pub(super) fn forget_failure(connection: &Connection, request: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM failed_replies WHERE request = ?1";
    connection.prepare_cached(sql)?.execute(params![request]).map(drop)
}

/// The reply to this request that could not be judged.
pub(super) fn failure(
    connection: &Connection,
    request: &str,
) -> rusqlite::Result<Option<FailedReply>> {
    let sql = "SELECT event_id, endpoint, plugin, kind, message, attempt, status, headers, body,
                   truncated, details FROM failed_replies WHERE request = ?1";
    let failure = |row: &Row<'_>| {
        let headers: String = row.get(7)?;
        let reply = Reply {
            status: row.get(6)?,
            headers: serde_json::from_str(&headers).unwrap_or_default(),
            body: row.get(8)?,
            truncated: row.get(9)?,
        };
        Ok(FailedReply {
            request: request.to_owned(),
            event_id: row.get(0)?,
            endpoint: row.get(1)?,
            plugin: row.get(2)?,
            kind: row.get(3)?,
            message: row.get(4)?,
            details: row.get(10)?,
            attempt: row.get(5)?,
            reply,
        })
    };
    connection.prepare_cached(sql)?.query_row(params![request], failure).optional()
}

/// Carries out what a plugin made of a reply to a request that was finished without it. `false` if
/// the request is not finished.
pub(super) fn rejudge(
    connection: &Connection,
    rejudged: &Rejudged,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<bool> {
    let (state, reason) = match &rejudged.judgement {
        Judgement::Done => ("delivered", None),
        Judgement::Retry { reason, .. } => ("dead", Some(reason)),
        Judgement::GiveUp(why) => ("dead", Some(why)),
    };
    let found: Option<(i64, String, String)> = connection
        .prepare_cached(
            "UPDATE requests SET state = ?2, reason = ?3 WHERE id = ?1 AND finished IS NOT NULL
             RETURNING seq, endpoint, lane",
        )?
        .query_row(params![rejudged.request, state, reason], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((seq, endpoint, lane)) = found else { return Ok(false) };
    let statements = Statements::of(connection);
    store(&statements, seq, &rejudged.follow_ups, now, Pressure::None, effects)?;
    settle::give_turn(&statements, &settle::Place { endpoint, lane }, now, effects)?;
    if matches!(rejudged.judgement, Judgement::Retry { .. }) {
        change::retry(&statements, seq, now, effects)?;
    }
    for change in &rejudged.memory {
        memory::store(connection, change, now)?;
    }
    forget_failure(connection, &rejudged.request)?;
    Ok(true)
}
