//! Claims: what is due, and what is in somebody's hands already.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, ffi, params};

use super::check::sum;
use super::file::leave_out;
use super::head::{Head, head, head_columns};
use super::leases::Leases;
use super::recovery::closed;
use super::settle::Place;
use super::stock::{self, Stock};
use super::{events, memory};
use crate::outbox::{Claimed, Claims, MemoryScope, StoredEvent};

/// Nobody else claims or settles while requests are read, so more than are wanted are read only
/// for so long: enough for all that a stock holds, if the processor is not busy with others.
const LONGEST_LOOK: Duration = Duration::from_millis(5);

/// So many that are past their time are taken at once.
const SWEEP: usize = 500;

/// A connection for reading, and the memory of what may be handed out and what was. They are under
/// one lock: a request that is settled while a claim reads would otherwise be found still waiting,
/// and no longer claimed.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    /// `false` while the file could not be opened again.
    open: bool,
    /// It is being opened again.
    pub(super) opening: bool,
    /// What can be handed out next, by endpoint.
    stocks: HashMap<String, Stock>,
    /// What was handed out and is not yet settled.
    leases: Leases,
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
    SELECT min(endpoint) FROM requests WHERE finished IS NULL
    UNION ALL
    SELECT (SELECT min(endpoint) FROM requests
            WHERE finished IS NULL AND endpoint > name)
    FROM names WHERE name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL";

/// The key and the state of a call; nothing if they are not what was written.
fn call(row: &Row<'_>, pbx: &str) -> rusqlite::Result<Option<(String, Vec<u8>)>> {
    let (key, state): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
    let right = sum(&[pbx.as_bytes(), key.as_bytes(), &state]);
    let damaged = row.get::<_, Option<i64>>(2)?.is_some_and(|written| written != right);
    Ok((!damaged).then_some((key, state)))
}

impl Reader {
    /// A reader that has handed out nothing yet.
    pub(super) fn new(connection: Connection) -> Self {
        let (stocks, leases) = (HashMap::new(), Leases::default());
        Self { connection, open: true, opening: false, stocks, leases }
    }

    /// Closes the file, until [`Reader::reopen`].
    pub(super) fn close(&mut self) -> rusqlite::Result<()> {
        self.open = false;
        self.forget_stocks();
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
            let read = call(row, pbx).or_else(leave_out);
            if let Some(call) = read? {
                calls.push(call);
            } else {
                tracing::error!(pbx, "The state of a call is damaged; it is forgotten.");
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

    /// See [`Scan::event`](crate::outbox::Scan::event).
    pub(super) fn event(&self, id: &str) -> rusqlite::Result<Option<StoredEvent>> {
        if self.open { events::stored(&self.connection, id) } else { Err(closed()) }
    }

    /// See [`Scan::recall`](crate::outbox::Scan::recall).
    pub(super) fn recall(&self, scope: &MemoryScope) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
        if self.open { memory::recall(&self.connection, scope) } else { Err(closed()) }
    }

    /// For other short looks.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// See [`Outbox::stranded`](crate::outbox::Outbox::stranded).
    pub(super) fn stranded(&self, known: &[&str]) -> rusqlite::Result<Vec<(String, u64)>> {
        let mut statement = self.connection.prepare(WAITED_FOR)?;
        let names: Vec<String> =
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let strangers = names.into_iter().filter(|name| !known.contains(&name.as_str()));
        let count = |name: String| {
            let sql = "SELECT count(*) FROM requests
                 WHERE finished IS NULL AND endpoint = ?1";
            let count: i64 = self.connection.query_row(sql, params![name], |row| row.get(0))?;
            Ok((name, u64::try_from(count).unwrap_or(0)))
        };
        strangers.map(count).collect()
    }

    /// What [`Reader::claim`] would find, unless it has to read the file for that.
    pub(super) fn claim_at_hand(&mut self, endpoint: &str, now: i64, max: usize) -> Option<Claims> {
        let stock = self.stocks.get_mut(endpoint)?;
        if !self.open || !stock.suffices(max, now) {
            return None;
        }
        let heads = self.lease(endpoint, max);
        Some(self.hand_out(endpoint, heads, now))
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
        let mut spoilt = Vec::new();
        let mut heads = Vec::new();
        loop {
            let want = max - heads.len();
            let stock = self.stocks.entry(endpoint.to_owned()).or_default();
            if !stock.suffices(want, now) {
                match self.fill(endpoint, now, want) {
                    Ok(more) => spoilt.extend(more),
                    // What was found before must not be lost; the next claim fails.
                    Err(_) if !heads.is_empty() || !spoilt.is_empty() => break,
                    Err(error) => return Err(error),
                }
            }
            let leased = self.lease(endpoint, want);
            let none = leased.is_empty() && spoilt.is_empty();
            heads.extend(leased);
            let more = self.stocks.get(endpoint).is_some_and(Stock::has_more);
            // A stock has room for some only, and some may be spoilt.
            if heads.len() >= max || none || !more {
                break;
            }
        }
        Ok(Found { claims: self.hand_out(endpoint, heads, now), spoilt })
    }

    /// Takes at most `max` out of the stock; nobody else gets them.
    fn lease(&mut self, endpoint: &str, max: usize) -> Vec<(Head, i64)> {
        let heads = self.stocks.get_mut(endpoint).map_or(Vec::new(), |stock| stock.take(max));
        let lease = |head: Head| {
            let number = self.leases.give(head.seq, &head.endpoint);
            (head, number)
        };
        heads.into_iter().map(lease).collect()
    }

    fn hand_out(&self, endpoint: &str, mut heads: Vec<(Head, i64)>, now: i64) -> Claims {
        heads.sort_by_key(|(head, _)| head.place());
        let stock = self.stocks.get(endpoint);
        Claims {
            requests: heads.into_iter().map(|(head, number)| head.claim(now, number)).collect(),
            next_in: stock.and_then(|stock| stock.next_in(now)).map(Duration::from_millis),
        }
    }

    /// Fills the stock for `endpoint` from the file, with `want` at least. Gives what cannot be
    /// read, which nobody gets from here on.
    fn fill(
        &mut self,
        endpoint: &str,
        now: i64,
        want: usize,
    ) -> rusqlite::Result<Vec<(i64, String)>> {
        // One transaction, so that all of it sees the same state.
        self.connection.execute_batch("BEGIN")?;
        let mut stock = self.stocks.remove(endpoint).unwrap_or_default();
        let filled = self.fill_within(&mut stock, endpoint, now, want);
        if filled.is_err() {
            stock.forget();
        }
        self.stocks.insert(endpoint.to_owned(), stock);
        let ended = self.connection.execute_batch("ROLLBACK");
        // What was found is handed out, however the transaction ends.
        if filled.is_err() {
            ended?;
        }
        let spoilt = filled?;
        for (seq, _) in &spoilt {
            self.leases.keep(*seq);
        }
        Ok(spoilt)
    }

    fn fill_within(
        &self,
        stock: &mut Stock,
        endpoint: &str,
        now: i64,
        want: usize,
    ) -> rusqlite::Result<Vec<(i64, String)>> {
        let most = want.max(stock::OLDEST);
        let mut spoilt = Vec::new();
        let found = self.free(OLDEST, endpoint, now, most)?;
        let mut all = found.len() < most;
        stock.begin();
        let began = Instant::now();
        for (number, seq) in found.into_iter().enumerate() {
            match self.read(seq)? {
                Ok(head) => {
                    let enough = number >= want && began.elapsed() >= LONGEST_LOOK;
                    if !stock.add_old(head) || enough {
                        all = false;
                        break;
                    }
                }
                Err(why) => spoilt.push((seq, why)),
            }
        }
        if all {
            let mut next = self.connection.prepare_cached(NEXT)?;
            let next: Option<i64> = next.query_row(params![endpoint, now], |row| row.get(0))?;
            if let Some(due) = next {
                stock.comes_due(due);
            }
            return Ok(spoilt);
        }
        stock.expect_more();
        for seq in self.free(NEWEST, endpoint, now, stock::NEWEST)? {
            // One that cannot be read is found again when it is among the oldest.
            let Ok(head) = self.read(seq)? else { continue };
            if !stock.add_new(head) {
                break;
            }
        }
        Ok(spoilt)
    }

    /// The places of at most `max` requests that are due and free.
    fn free(&self, sql: &str, endpoint: &str, now: i64, max: usize) -> rusqlite::Result<Vec<i64>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![endpoint, now])?;
        let mut seqs = Vec::new();
        while seqs.len() < max
            && let Some(row) = rows.next()?
        {
            let seq = row.get(0)?;
            if !self.leases.has(seq) {
                seqs.push(seq);
            }
        }
        Ok(seqs)
    }

    /// The request at `seq`, or why it cannot be sent. Fails if the index that named it is wrong.
    fn read(&self, seq: i64) -> rusqlite::Result<Result<Head, String>> {
        let mut statement = self.connection.prepare_cached(READ)?;
        let mut rows = statement.query(params![seq])?;
        match rows.next()? {
            Some(row) if row.get_ref(17)?.as_str().is_ok_and(|state| state == "waiting") => {
                Ok(head(row).map_err(|error| error.to_string()))
            }
            _ => Err(inconsistent()),
        }
    }

    /// Takes up what has its turn now and is due.
    pub(super) fn offer(&mut self, head: Head) {
        if !self.leases.has(head.seq)
            && let Some(stock) = self.stocks.get_mut(&head.endpoint)
        {
            stock.add(head);
        }
    }

    /// How many requests to `endpoint` are kept in memory.
    #[cfg(test)]
    pub(super) fn stocked(&self, endpoint: &str) -> usize {
        self.stocks.get(endpoint).map_or(0, Stock::len)
    }

    /// Something to `endpoint` that has its turn comes due then.
    pub(super) fn comes_due(&mut self, endpoint: &str, due: i64) {
        if let Some(stock) = self.stocks.get_mut(endpoint) {
            stock.comes_due(due);
        }
    }

    /// What waits may have been changed in the file.
    pub(super) fn forget_stocks(&mut self) {
        self.stocks.values_mut().for_each(Stock::forget);
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
                if !self.leases.has(seq) {
                    seqs.push(seq);
                }
            }
        }
        for &seq in &seqs {
            self.leases.keep(seq);
            self.stocks.values_mut().for_each(|stock| stock.remove(seq));
        }
        Ok(seqs)
    }

    /// See [`Leases::settling`].
    pub(super) fn settling(&mut self, claimed: &Claimed) -> Option<(i64, Place)> {
        self.leases.settling(claimed)
    }

    /// Forgets that these are claimed.
    pub(super) fn release(&mut self, seqs: &[i64]) {
        self.leases.release(seqs);
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
WHERE expires IS NOT NULL AND finished IS NULL AND expires <= ?1 ORDER BY expires";

const READ: &str =
    concat!("SELECT ", head_columns!(), " FROM requests WHERE seq = ?1 AND finished IS NULL");

/// An index and its table contradict each other, or two columns of a row.
pub(super) fn inconsistent() -> rusqlite::Error {
    let error = ffi::Error { code: ErrorCode::DatabaseCorrupt, extended_code: ffi::SQLITE_CORRUPT };
    rusqlite::Error::SqliteFailure(
        error,
        Some("a row does not fit its index, or itself".to_owned()),
    )
}
