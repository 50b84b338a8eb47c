//! Storing a commit.

use std::collections::HashSet;
use std::time::Duration;

use rusqlite::params;

use super::apply::{Effects, millis};
use super::check::{RequestParts, sum};
use super::head::Head;
use super::memory;
use super::statements::Statements;
use super::timeline::Stamp;
use crate::outbox::{Class, Commit, FailedTransform, NewRequest, Pressure, StoredEvent};

/// Stores `commit`, without what gives way under `pressure`.
pub(super) fn append(
    statements: &Statements<'_>,
    commit: &Commit,
    now: Stamp,
    pressure: Pressure,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    for (key, state) in &commit.calls {
        store_call(statements, &commit.pbx, key, state.as_deref())?;
    }
    let dropped = dropped_events(commit, pressure);
    for event in &commit.events {
        if !dropped.contains(event.event_id.as_str()) {
            store_event(statements, event, now)?;
        }
    }
    for request in &commit.requests {
        if pressure.sheds(request.class) {
            effects.shed.push(request.class);
        } else if store_request(statements, request, now, effects)? {
            effects.pending += 1;
            effects.change(&request.endpoint);
        } else {
            effects.collapsed += 1;
        }
    }
    for failure in &commit.failures {
        store_failure(statements, failure, now)?;
    }
    for change in &commit.memory {
        memory::store(statements, change, now)?;
    }
    Ok(())
}

/// The events of which no request is left under `pressure`.
fn dropped_events(commit: &Commit, pressure: Pressure) -> HashSet<&str> {
    if pressure == Pressure::None {
        return HashSet::new();
    }
    let requests = commit.requests.iter();
    let (shed, kept): (Vec<_>, Vec<_>) = requests.partition(|new| pressure.sheds(new.class));
    let mut dropped: HashSet<&str> = shed.iter().map(|new| new.event_id.as_str()).collect();
    for new in kept {
        dropped.remove(new.event_id.as_str());
    }
    dropped
}

fn store_call(
    statements: &Statements<'_>,
    pbx: &str,
    key: &str,
    state: Option<&[u8]>,
) -> rusqlite::Result<()> {
    match state {
        Some(state) => statements.execute(
            "INSERT INTO calls (pbx, key, state, sum) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET state = excluded.state, sum = excluded.sum",
            params![pbx, key, state, sum(&[pbx.as_bytes(), key.as_bytes(), state])],
        )?,
        None => statements
            .execute("DELETE FROM calls WHERE pbx = ?1 AND key = ?2", params![pbx, key])?,
    };
    Ok(())
}

fn store_event(
    statements: &Statements<'_>,
    event: &StoredEvent,
    now: Stamp,
) -> rusqlite::Result<()> {
    let StoredEvent { event_id, pbx, chain, kind, json } = event;
    statements.execute(
        "INSERT INTO events (event_id, pbx, chain, kind, json, created, sum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        params![event_id, pbx, chain, kind, json, now.wall, event_sum(event)],
    )?;
    Ok(())
}

/// The sum of an event.
pub(super) fn event_sum(event: &StoredEvent) -> i64 {
    let StoredEvent { event_id, pbx, chain, kind, json } = event;
    sum(&[event_id, pbx, chain, kind, json].map(String::as_bytes))
}

/// `false` if the request was there already.
fn store_request(
    statements: &Statements<'_>,
    new: &NewRequest,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<bool> {
    let (stored, _) = insert(statements, new.id(), new, None, now, effects)?;
    if stored && new.generation > 0 {
        // What a replay made takes the place of what could not be made.
        statements.execute(
            "DELETE FROM failed_transforms WHERE event_id = ?1 AND endpoint = ?2",
            params![new.event_id, new.endpoint],
        )?;
    }
    Ok(stored)
}

/// Where a request stands that follows from another one.
#[derive(Clone, Copy)]
pub(super) struct Following {
    /// The place that it takes.
    pub(super) place: i64,
    /// So many requests lead to it.
    pub(super) depth: i64,
}

/// Stores a request under an id, and gives its sum; `false` if there was one with this id.
pub(super) fn insert(
    statements: &Statements<'_>,
    id: String,
    new: &NewRequest,
    following: Option<Following>,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<(bool, i64)> {
    let NewRequest { event_id, endpoint, index: _, lane, sequence, generation, .. } = new;
    let request = &new.request;
    let headers = serde_json::to_string(&request.headers)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let parts = RequestParts {
        id: &id,
        event_id,
        endpoint,
        lane,
        sequence: i64::from(*sequence),
        method: &request.method,
        url: &request.url,
        headers: &headers,
        body: &request.body,
        tag: request.tag.as_deref(),
        state: &request.state,
        base: Some(&new.base),
    };
    let sum = parts.sum();
    let expires = new.expires_in.map(|wait| now.due.saturating_add(millis(wait)));
    let delay = Duration::from_millis(u64::from(request.delay_ms));
    let due = now.due.saturating_add(millis(delay));
    let behind = statements.exists(LED, params![endpoint, lane])?;
    let inserted = statements.execute(
        INSERT,
        params![
            id,
            event_id,
            endpoint,
            lane,
            sequence,
            now.wall,
            due,
            now.due,
            request.method,
            request.url,
            headers,
            request.body,
            request.tag,
            request.state,
            generation,
            expires,
            class_number(new.class),
            sum,
            new.base,
            following.map(|following| following.place),
            following.map_or(0, |following| following.depth),
            if behind { "behind" } else { "waiting" },
        ],
    )?;
    if inserted == 1 && !behind {
        let seq = statements.last_insert_rowid();
        effects.has_turn(due, now, endpoint, || Ok(Head::stored(seq, id, new, due, expires)));
    }
    Ok((inserted == 1, sum))
}

/// Whether somebody has the turn of a lane.
pub(super) const LED: &str = "
SELECT 1 FROM requests WHERE endpoint = ?1 AND lane = ?2 AND finished IS NULL AND aside = 0
LIMIT 1";

const INSERT: &str = "
INSERT INTO requests (id, event_id, endpoint, lane, sequence, created, due, due_set,
    method, url, headers, body, tag, plugin_state, generation, expires, class, sum, base,
    place, depth, state)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
    ?20, ?21, ?22)
ON CONFLICT DO NOTHING";

/// A class as the file has it.
fn class_number(class: Class) -> i64 {
    match class {
        Class::Extra => 0,
        Class::Popup => 1,
        Class::Core => 2,
    }
}

/// A class as the file had it.
pub(super) fn class_of(number: i64) -> Class {
    match number {
        0 => Class::Extra,
        1 => Class::Popup,
        _ => Class::Core,
    }
}

fn store_failure(
    statements: &Statements<'_>,
    failure: &FailedTransform,
    now: Stamp,
) -> rusqlite::Result<()> {
    let FailedTransform { event_id, endpoint, plugin, kind, message, details } = failure;
    statements.execute(
        "INSERT INTO failed_transforms
         (event_id, endpoint, plugin, kind, message, created, details)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE
         SET plugin = excluded.plugin, kind = excluded.kind, message = excluded.message,
         details = excluded.details",
        params![event_id, endpoint, plugin, kind, message, now.wall, details],
    )?;
    Ok(())
}
