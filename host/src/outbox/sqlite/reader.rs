//! Claims: what is due, and what is in somebody's hands already.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, ffi, params};

use super::check::{RequestParts, sum};
use super::recovery::closed;
use crate::outbox::{Claimed, Claims};
use crate::request::Request;

/// Every so many requests, one is taken from those that came due last.
const SHARE: usize = 4;

/// So many that are past their time are taken at once.
const SWEEP: usize = 500;

/// A connection for reading, and the memory of what was handed out. They are under one lock: a
/// request that is settled while a claim reads would otherwise be found still waiting, and no
/// longer claimed.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    /// `false` while the file could not be opened again.
    open: bool,
    /// It is being opened again.
    pub(super) opening: bool,
    /// What was handed out and is not yet settled, by place.
    claimed: HashMap<i64, Lease>,
    /// The same by id.
    places: HashMap<String, i64>,
    /// The number of the last claim of a request.
    leases: i64,
    /// How many requests were handed out, for taking turns between old and new ones.
    turns: usize,
}

#[derive(Debug)]
struct Lease {
    /// Without one, the outbox itself has it in hand.
    id: Option<String>,
    number: i64,
    /// Its settlement is on its way to the disk.
    settling: bool,
}

/// What a look for due requests found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) claims: Claims,
    /// Requests that cannot be read, and why.
    pub(super) spoilt: Vec<(i64, String)>,
}

/// The endpoints that requests wait for: from one to the next through the index, so that a long
/// backlog costs nothing.
const WAITED_FOR: &str = "
WITH RECURSIVE names (name) AS (
    SELECT min(endpoint) FROM requests WHERE state IN ('waiting', 'behind')
    UNION ALL
    SELECT (SELECT min(endpoint) FROM requests
            WHERE state IN ('waiting', 'behind') AND endpoint > name)
    FROM names WHERE name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL";

impl Reader {
    /// A reader that has handed out nothing yet.
    pub(super) fn new(connection: Connection) -> Self {
        let (claimed, places) = (HashMap::new(), HashMap::new());
        Self { connection, open: true, opening: false, claimed, places, leases: 0, turns: 0 }
    }

    /// Closes the file, until [`Reader::reopen`].
    pub(super) fn close(&mut self) -> rusqlite::Result<()> {
        self.open = false;
        self.connection = Connection::open_in_memory()?;
        Ok(())
    }

    /// Goes on with another connection.
    pub(super) fn reopen(&mut self, connection: Connection) {
        self.connection = connection;
        self.open = true;
    }

    /// See [`Outbox::load_calls`](crate::outbox::Outbox::load_calls).
    pub(super) fn load_calls(&self, pbx: &str) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, state, sum FROM calls WHERE pbx = ?1 ORDER BY key")?;
        let mut rows = statement.query(params![pbx])?;
        let mut calls = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, state): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let right = sum(&[pbx.as_bytes(), key.as_bytes(), &state]);
            if row.get::<_, Option<i64>>(2)?.is_some_and(|written| written != right) {
                tracing::error!(pbx, "The state of a call is damaged; it is forgotten.");
            } else {
                calls.push((key, state));
            }
        }
        Ok(calls)
    }

    /// See [`Outbox::kept`](crate::outbox::Outbox::kept).
    pub(super) fn kept(&self, name: &str) -> rusqlite::Result<Option<String>> {
        self.connection
            .prepare_cached("SELECT value FROM kept WHERE name = ?1")?
            .query_row(params![name], |row| row.get(0))
            .optional()
    }

    /// See [`Outbox::stranded`](crate::outbox::Outbox::stranded).
    pub(super) fn stranded(&self, known: &[&str]) -> rusqlite::Result<Vec<(String, u64)>> {
        let mut statement = self.connection.prepare(WAITED_FOR)?;
        let names: Vec<String> =
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let strangers = names.into_iter().filter(|name| !known.contains(&name.as_str()));
        let count = |name: String| {
            let sql = "SELECT count(*) FROM requests
                 WHERE state IN ('waiting', 'behind') AND endpoint = ?1";
            let count: i64 = self.connection.query_row(sql, params![name], |row| row.get(0))?;
            Ok((name, u64::try_from(count).unwrap_or(0)))
        };
        strangers.map(count).collect()
    }

    /// See [`Outbox::claim`](crate::outbox::Outbox::claim).
    pub(super) fn claim(
        &mut self,
        endpoint: &str,
        now: i64,
        max: usize,
    ) -> rusqlite::Result<Found> {
        if !self.open {
            return Err(closed());
        }
        // One transaction, so that all of it sees the same state.
        self.connection.execute_batch("BEGIN")?;
        let found = self.claim_within(endpoint, now, max);
        let ended = self.connection.execute_batch("ROLLBACK");
        // What was found is handed out, however the transaction ends.
        if found.is_err() {
            ended?;
        }
        found
    }

    fn claim_within(&mut self, endpoint: &str, now: i64, max: usize) -> rusqlite::Result<Found> {
        let mut found =
            Found { claims: Claims { requests: Vec::new(), next_in: None }, spoilt: Vec::new() };
        let mut leases = self.leases;
        let mut handed_out = Vec::new();
        for seq in self.due(endpoint, now, max)? {
            match self.read(seq, now)? {
                Ok(claimed) => {
                    leases += 1;
                    let id = Some(claimed.id.clone());
                    handed_out.push((seq, Lease { id, number: leases, settling: false }));
                    found.claims.requests.push(Claimed { lease: leases, ..claimed });
                }
                Err(reason) => {
                    handed_out.push((seq, Lease { id: None, number: 0, settling: true }));
                    found.spoilt.push((seq, reason));
                }
            }
        }
        let next: Option<i64> = self
            .connection
            .prepare_cached(NEXT)?
            .query_row(params![endpoint, now], |row| row.get(0))?;
        let next = next.and_then(|due| u64::try_from(due.saturating_sub(now)).ok());
        found.claims.next_in = next.map(Duration::from_millis);
        // From here on nothing fails: nobody would ever settle these otherwise.
        self.leases = leases;
        self.turns = self.turns.wrapping_add(found.claims.requests.len());
        for (seq, lease) in handed_out {
            if let Some(id) = &lease.id {
                self.places.insert(id.clone(), seq);
            }
            self.claimed.insert(seq, lease);
        }
        Ok(found)
    }

    /// The places of at most `max` requests that are due and free.
    fn due(&self, endpoint: &str, now: i64, max: usize) -> rusqlite::Result<Vec<i64>> {
        let mut seqs = self.free(OLDEST, endpoint, now, max)?;
        let share = (self.turns % SHARE).saturating_add(seqs.len()) / SHARE;
        if seqs.len() == max && share > 0 {
            let newest = self.free(NEWEST, endpoint, now, share)?;
            let newest: Vec<i64> = newest.into_iter().filter(|seq| !seqs.contains(seq)).collect();
            seqs.truncate(max - newest.len());
            seqs.extend(newest);
        }
        Ok(seqs)
    }

    fn free(&self, sql: &str, endpoint: &str, now: i64, max: usize) -> rusqlite::Result<Vec<i64>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![endpoint, now])?;
        let mut seqs = Vec::new();
        while seqs.len() < max
            && let Some(row) = rows.next()?
        {
            let seq = row.get(0)?;
            if !self.claimed.contains_key(&seq) {
                seqs.push(seq);
            }
        }
        Ok(seqs)
    }

    /// The request at `seq`, or why it cannot be sent. Fails if the index that named it is wrong.
    fn read(&self, seq: i64, now: i64) -> rusqlite::Result<Result<Claimed, String>> {
        let mut statement = self.connection.prepare_cached(READ)?;
        let mut rows = statement.query(params![seq])?;
        match rows.next()? {
            Some(row) if row.get_ref(13)?.as_str().is_ok_and(|state| state == "waiting") => {
                Ok(claimed(row, now).map_err(|error| error.to_string()))
            }
            _ => Err(inconsistent()),
        }
    }

    /// Takes at most so many requests that are past their time and in nobody's hands, so that
    /// nobody else gets them until they are released.
    pub(super) fn take_expired(&mut self, now: i64) -> rusqlite::Result<Vec<i64>> {
        if !self.open {
            return Ok(Vec::new());
        }
        let mut seqs = Vec::new();
        {
            let mut statement = self.connection.prepare_cached(EXPIRED)?;
            let mut rows = statement.query(params![now])?;
            while seqs.len() < SWEEP
                && let Some(row) = rows.next()?
            {
                let seq = row.get(0)?;
                if !self.claimed.contains_key(&seq) {
                    seqs.push(seq);
                }
            }
        }
        for &seq in &seqs {
            self.claimed.insert(seq, Lease { id: None, number: 0, settling: true });
        }
        Ok(seqs)
    }

    /// The place of a request, if this claim of it is to be settled; and that only once.
    pub(super) fn settling(&mut self, claimed: &Claimed) -> Option<i64> {
        let seq = *self.places.get(&claimed.id)?;
        let lease = self.claimed.get_mut(&seq)?;
        if lease.settling || lease.number != claimed.lease {
            return None;
        }
        lease.settling = true;
        Some(seq)
    }

    /// Forgets that these are claimed.
    pub(super) fn release(&mut self, seqs: &[i64]) {
        for seq in seqs {
            if let Some(id) = self.claimed.remove(seq).and_then(|lease| lease.id) {
                self.places.remove(&id);
            }
        }
    }
}

pub(super) const OLDEST: &str = "
SELECT seq FROM requests WHERE state = 'waiting' AND endpoint = ?1 AND due <= ?2
ORDER BY due, seq";

pub(super) const NEWEST: &str = "
SELECT seq FROM requests WHERE state = 'waiting' AND endpoint = ?1 AND due <= ?2
ORDER BY due DESC, seq DESC";

pub(super) const NEXT: &str = "
SELECT min(due) FROM requests WHERE state = 'waiting' AND endpoint = ?1 AND due > ?2";

pub(super) const EXPIRED: &str = "
SELECT seq FROM requests
WHERE expires IS NOT NULL AND state IN ('waiting', 'behind') AND expires <= ?1 ORDER BY expires";

const READ: &str = "
SELECT id, event_id, lane, sequence, attempts, method, url, headers, body, tag, plugin_state,
    expires, failing, state, sum, endpoint, base, refusals
FROM requests WHERE seq = ?1";

fn claimed(row: &Row<'_>, now: i64) -> anyhow::Result<Claimed> {
    let headers: String = row.get(7)?;
    let expires: Option<i64> = row.get(11)?;
    let failing: Option<i64> = row.get(12)?;
    let since = |then: i64| u64::try_from(now.saturating_sub(then)).unwrap_or(0);
    let claimed = Claimed {
        id: row.get(0)?,
        event_id: row.get(1)?,
        lane: row.get(2)?,
        sequence: row.get(3)?,
        attempts: row.get(4)?,
        refusals: row.get(17)?,
        failing_for: failing.map(|then| Duration::from_millis(since(then))),
        expired: expires.is_some_and(|expires| expires <= now),
        lease: 0,
        base: row.get(16)?,
        request: Request {
            method: row.get(5)?,
            url: row.get(6)?,
            headers: serde_json::from_str(&headers)?,
            body: row.get(8)?,
            tag: row.get(9)?,
            state: row.get(10)?,
            delay_ms: 0,
        },
    };
    let endpoint: String = row.get(15)?;
    let written: Option<i64> = row.get(14)?;
    let right = parts(&claimed, &endpoint, &headers).sum();
    anyhow::ensure!(written.is_none_or(|sum| sum == right), "it is not what was written");
    Ok(claimed)
}

fn parts<'a>(claimed: &'a Claimed, endpoint: &'a str, headers: &'a str) -> RequestParts<'a> {
    let request = &claimed.request;
    RequestParts {
        id: &claimed.id,
        event_id: &claimed.event_id,
        endpoint,
        lane: &claimed.lane,
        sequence: i64::from(claimed.sequence),
        method: &request.method,
        url: &request.url,
        headers,
        body: &request.body,
        tag: request.tag.as_deref(),
        state: &request.state,
        base: claimed.base.as_deref(),
    }
}

/// An index and its table contradict each other.
fn inconsistent() -> rusqlite::Error {
    let error = ffi::Error { code: ErrorCode::DatabaseCorrupt, extended_code: ffi::SQLITE_CORRUPT };
    rusqlite::Error::SqliteFailure(error, Some("an index does not fit its table".to_owned()))
}
