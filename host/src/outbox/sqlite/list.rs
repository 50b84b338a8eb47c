//! What became of events, for whoever looks.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::append::class_of;
use super::attempts;
use crate::outbox::replies::{failed_reply_id, failed_reply_of};
use crate::outbox::values::{failure_id, failure_of};
use crate::outbox::{
    Attempt, Class, Cursor, DeliveryDetail, DeliveryFilter, DeliveryRow, DeliveryState,
};
use crate::request::Request;

/// The requests that `filter` lets through, as terms and their values; without its limit.
pub(super) fn conditions(filter: &DeliveryFilter) -> (String, Vec<Value>) {
    let mut terms = vec!["seq > ?"];
    let mut values = vec![Value::Integer(match filter.after {
        Some(Cursor::Request(seq)) => seq,
        _ => i64::MIN,
    })];
    let states: Vec<&str> = filter.states.iter().map(|state| quoted(*state)).collect();
    let states = format!("state IN ({})", states.join(", "));
    if !filter.states.is_empty() {
        terms.push(&states);
        if filter.states == [DeliveryState::Waiting] {
            // So that the index of these can be used.
            terms.push("finished IS NULL");
        }
        if filter.states.iter().all(|x| matches!(x, DeliveryState::Dead | DeliveryState::Expired)) {
            // The same.
            terms.push("state IN ('dead', 'expired')");
        }
    }
    common_conditions(filter, &mut terms, &mut values);
    (terms.join(" AND "), values)
}

fn common_conditions(filter: &DeliveryFilter, terms: &mut Vec<&str>, values: &mut Vec<Value>) {
    if let Some(endpoint) = &filter.endpoint {
        terms.push("endpoint = ?");
        values.push(Value::Text(endpoint.clone()));
    }
    if let Some(chain) = &filter.chain {
        terms.push("event_id IN (SELECT event_id FROM events WHERE chain = ?)");
        values.push(Value::Text(chain.clone()));
    }
    if let Some(since) = filter.since {
        terms.push("created >= ?");
        values.push(Value::Integer(since.as_millisecond()));
    }
    if let Some(until) = filter.until {
        terms.push("created < ?");
        values.push(Value::Integer(until.as_millisecond()));
    }
}

fn quoted(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "'waiting', 'behind'",
        DeliveryState::Delivered => "'delivered'",
        DeliveryState::Dead => "'dead'",
        DeliveryState::Expired => "'expired'",
    }
}

/// See [`Scan::list`](crate::outbox::Scan::list); `now` is on the timeline.
pub(super) fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
    now: i64,
) -> rusqlite::Result<Vec<DeliveryRow>> {
    let dead = filter.states.is_empty() || filter.states.contains(&DeliveryState::Dead);
    let mut rows = Vec::new();
    if dead && matches!(filter.after, None | Some(Cursor::Failed(_))) {
        rows = list_failures(connection, filter)?;
    }
    if dead && !matches!(filter.after, Some(Cursor::Request(_))) {
        rows.extend(list_failed_replies(connection, filter, filter.limit - rows.len())?);
    }
    let left = filter.limit.saturating_sub(rows.len());
    let (terms, mut values) = conditions(filter);
    values.push(Value::Integer(i64::try_from(left).unwrap_or(i64::MAX)));
    let sql = format!("SELECT {COLUMNS} FROM requests WHERE {terms} ORDER BY seq LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    for row in statement.query_map(params_from_iter(values), |row| delivery(row, now))? {
        rows.push(row?);
    }
    Ok(rows)
}

const COLUMNS: &str = "seq, id, event_id, endpoint, lane, state, attempts, created, finished, due,
    reason, generation, class";

fn delivery(row: &Row<'_>, now: i64) -> rusqlite::Result<DeliveryRow> {
    let state: String = row.get(5)?;
    let due = row.get::<_, i64>(9)?.saturating_sub(now);
    let known = match state.as_str() {
        "delivered" => DeliveryState::Delivered,
        "dead" => DeliveryState::Dead,
        "expired" => DeliveryState::Expired,
        _ => DeliveryState::Waiting,
    };
    let waits = known == DeliveryState::Waiting;
    Ok(DeliveryRow {
        cursor: Cursor::Request(row.get(0)?),
        id: row.get(1)?,
        event_id: row.get(2)?,
        endpoint: row.get(3)?,
        lane: row.get(4)?,
        state: known,
        behind: state == "behind",
        attempts: row.get(6)?,
        created: time(row.get(7)?),
        finished: row.get::<_, Option<i64>>(8)?.map(time),
        due_in: waits.then(|| Duration::from_millis(u64::try_from(due).unwrap_or(0))),
        reason: row.get(10)?,
    })
}

fn list_failures(
    connection: &Connection,
    filter: &DeliveryFilter,
) -> rusqlite::Result<Vec<DeliveryRow>> {
    let mut terms = vec!["rowid > ?"];
    let mut values = vec![Value::Integer(match filter.after {
        Some(Cursor::Failed(rowid)) => rowid,
        _ => i64::MIN,
    })];
    common_conditions(filter, &mut terms, &mut values);
    values.push(Value::Integer(i64::try_from(filter.limit).unwrap_or(i64::MAX)));
    let terms = terms.join(" AND ");
    let sql = format!("SELECT {FAILURE} WHERE {terms} ORDER BY rowid LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params_from_iter(values), failure)?.collect()
}

const FAILURE: &str = "rowid, event_id, endpoint, plugin, kind, message, created, details
    FROM failed_transforms";

fn failure(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let (event_id, endpoint): (String, String) = (row.get(1)?, row.get(2)?);
    let (plugin, kind, message): (String, String, String) = (row.get(3)?, row.get(4)?, row.get(5)?);
    let created = time(row.get(6)?);
    Ok(DeliveryRow {
        cursor: Cursor::Failed(row.get(0)?),
        id: failure_id(&event_id, &endpoint),
        event_id,
        endpoint,
        lane: None,
        state: DeliveryState::Dead,
        behind: false,
        attempts: 0,
        created,
        finished: Some(created),
        due_in: None,
        reason: Some(format!("plugin {plugin}, {kind}: {message}")),
    })
}

fn list_failed_replies(
    connection: &Connection,
    filter: &DeliveryFilter,
    limit: usize,
) -> rusqlite::Result<Vec<DeliveryRow>> {
    let mut terms = vec!["rowid > ?"];
    let mut values = vec![Value::Integer(match filter.after {
        Some(Cursor::Reply(rowid)) => rowid,
        _ => i64::MIN,
    })];
    common_conditions(filter, &mut terms, &mut values);
    values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    let terms = terms.join(" AND ");
    let sql = format!("SELECT {FAILED_REPLY} WHERE {terms} ORDER BY rowid LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params_from_iter(values), failed_reply)?.collect()
}

const FAILED_REPLY: &str = "rowid, event_id, endpoint, plugin, kind, message, created, request,
    attempt FROM failed_replies";

fn failed_reply(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let failure = failure(row)?;
    let rowid = row.get(0)?;
    let request: String = row.get(7)?;
    let id = failed_reply_id(&request);
    Ok(DeliveryRow { cursor: Cursor::Reply(rowid), id, attempts: row.get(8)?, ..failure })
}

/// See [`Scan::show`](crate::outbox::Scan::show); `now` is on the timeline.
pub(super) fn show(
    connection: &Connection,
    id: &str,
    now: i64,
) -> rusqlite::Result<Option<DeliveryDetail>> {
    let sql = format!("SELECT {COLUMNS} FROM requests WHERE id = ?1");
    let found = connection
        .prepare_cached(&sql)?
        .query_row(params![id], |row| {
            Ok((delivery(row, now)?, row.get::<_, u32>(11)?, row.get::<_, i64>(12)?))
        })
        .optional()?;
    if let Some((row, generation, class)) = found {
        let Cursor::Request(seq) = row.cursor else { return Ok(None) };
        return Ok(Some(DeliveryDetail {
            generation,
            class: class_of(class),
            base: base(connection, seq)?,
            request: request(connection, seq)?,
            event: event(connection, &row.event_id)?,
            attempts: attempts::read(connection, seq)?,
            details: String::new(),
            row,
        }));
    }
    if let Some(request) = failed_reply_of(id) {
        return show_failed_reply(connection, request);
    }
    let Some((event_id, endpoint)) = failure_of(id) else { return Ok(None) };
    let sql = format!("SELECT {FAILURE} WHERE event_id = ?1 AND endpoint = ?2");
    let found = connection
        .prepare_cached(&sql)?
        .query_row(params![event_id, endpoint], |row| Ok((failure(row)?, row.get(7)?)))
        .optional()?;
    let Some((row, details)) = found else { return Ok(None) };
    Ok(Some(DeliveryDetail {
        row,
        generation: 0,
        class: Class::Core,
        base: None,
        request: None,
        event: event(connection, &event_id)?,
        attempts: Vec::new(),
        details,
    }))
}

fn show_failed_reply(
    connection: &Connection,
    id: &str,
) -> rusqlite::Result<Option<DeliveryDetail>> {
    let sql = format!("SELECT {FAILED_REPLY} WHERE request = ?1");
    let row = connection.prepare_cached(&sql)?.query_row(params![id], failed_reply).optional()?;
    let Some(row) = row else { return Ok(None) };
    let sql = "SELECT status, body, truncated, details FROM failed_replies WHERE request = ?1";
    let (reply, details) = connection.prepare_cached(sql)?.query_row(params![id], |reply| {
        let attempt = Attempt {
            at: row.created,
            took: Duration::ZERO,
            status: reply.get(0)?,
            error: None,
            reply: reply.get(1)?,
            truncated: reply.get(2)?,
        };
        Ok((attempt, reply.get(3)?))
    })?;
    let sql = "SELECT seq FROM requests WHERE id = ?1";
    let seq: Option<i64> =
        connection.prepare_cached(sql)?.query_row(params![id], |row| row.get(0)).optional()?;
    let (base, request) = match seq {
        Some(seq) => (base(connection, seq)?, request(connection, seq)?),
        None => (None, None),
    };
    let event = event(connection, &row.event_id)?;
    Ok(Some(DeliveryDetail {
        row,
        generation: 0,
        class: Class::Core,
        base,
        request,
        event,
        attempts: vec![reply],
        details,
    }))
}

fn base(connection: &Connection, seq: i64) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT base FROM requests WHERE seq = ?1";
    connection.prepare_cached(sql)?.query_row(params![seq], |row| row.get(0))
}

fn request(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Request>> {
    connection
        .prepare_cached(
            "SELECT method, url, headers, body, tag, plugin_state FROM requests WHERE seq = ?1",
        )?
        .query_row(params![seq], |row| {
            let headers: String = row.get(2)?;
            let Ok(headers) = serde_json::from_str(&headers) else { return Ok(None) };
            Ok(Some(Request {
                method: row.get(0)?,
                url: row.get(1)?,
                headers,
                body: row.get(3)?,
                tag: row.get(4)?,
                state: row.get(5)?,
                ..Request::default()
            }))
        })
}

fn event(connection: &Connection, event_id: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT json FROM events WHERE event_id = ?1";
    connection.prepare_cached(sql)?.query_row(params![event_id], |row| row.get(0)).optional()
}

/// Of what the file has.
pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or_default()
}
