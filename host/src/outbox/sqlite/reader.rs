//! Claims: what is due, and what is in somebody's hands already.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::outbox::{Claimed, Claims};
use crate::request::Request;

/// A connection for reading, and the memory of what was handed out. They are under one lock: a
/// request that is settled while a claim reads would otherwise be found still waiting, and no
/// longer claimed.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    /// The ids of requests handed out and not yet settled.
    claimed: HashSet<String>,
}

impl Reader {
    /// A reader that has handed out nothing yet.
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, claimed: HashSet::new() }
    }

    /// See [`Outbox::load_calls`](crate::outbox::Outbox::load_calls).
    pub(super) fn load_calls(&self, pbx: &str) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
        self.connection
            .prepare_cached("SELECT key, state FROM calls WHERE pbx = ?1 ORDER BY key")?
            .query_map(params![pbx], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    /// See [`Outbox::kept`](crate::outbox::Outbox::kept).
    pub(super) fn kept(&self, name: &str) -> rusqlite::Result<Option<String>> {
        self.connection
            .prepare_cached("SELECT value FROM kept WHERE name = ?1")?
            .query_row(params![name], |row| row.get(0))
            .optional()
    }

    /// See [`Outbox::claim`](crate::outbox::Outbox::claim).
    pub(super) fn claim(&mut self, endpoint: &str, now: i64, max: usize) -> anyhow::Result<Claims> {
        let requests = self.due(endpoint, now, max)?;
        let next: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT min(due) FROM requests
                 WHERE state = 'waiting' AND endpoint = ?1 AND due > ?2",
            )?
            .query_row(params![endpoint, now], |row| row.get(0))?;
        self.claimed.extend(requests.iter().map(|request| request.id.clone()));
        let next_in = next.and_then(|due| u64::try_from(due.saturating_sub(now)).ok());
        Ok(Claims { requests, next_in: next_in.map(Duration::from_millis) })
    }

    fn due(&self, endpoint: &str, now: i64, max: usize) -> anyhow::Result<Vec<Claimed>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, event_id, lane, sequence, attempts, method, url, headers, body, tag,
                plugin_state, expires, failing
             FROM requests WHERE state = 'waiting' AND endpoint = ?1 AND due <= ?2
             ORDER BY due, seq",
        )?;
        let mut rows = statement.query(params![endpoint, now])?;
        let mut requests = Vec::new();
        while requests.len() < max
            && let Some(row) = rows.next()?
        {
            let id: String = row.get(0)?;
            if !self.claimed.contains(&id) {
                let context = format!("while reading the request {id}");
                requests.push(claimed(id, now, row).context(context)?);
            }
        }
        Ok(requests)
    }

    /// Forgets that these are claimed.
    pub(super) fn release(&mut self, ids: &[String]) {
        for id in ids {
            self.claimed.remove(id);
        }
    }
}

fn claimed(id: String, now: i64, row: &Row<'_>) -> anyhow::Result<Claimed> {
    let headers: String = row.get(7)?;
    let expires: Option<i64> = row.get(11)?;
    let failing: Option<i64> = row.get(12)?;
    let since = |then: i64| Duration::from_millis(u64::try_from(now - then).unwrap_or(0));
    Ok(Claimed {
        id,
        event_id: row.get(1)?,
        lane: row.get(2)?,
        sequence: row.get(3)?,
        attempts: row.get(4)?,
        failing_for: failing.map(since),
        expired: expires.is_some_and(|expires| expires <= now),
        // One process, one claim at a time.
        lease: 0,
        request: Request {
            method: row.get(5)?,
            url: row.get(6)?,
            headers: serde_json::from_str(&headers)?,
            body: row.get(8)?,
            tag: row.get(9)?,
            state: row.get(10)?,
            delay_ms: 0,
        },
    })
}
