//! Rows that were found, on their way into the new file.
//!
//! Which table a row belongs to is told by its shape: that works without the tree above it.

use rusqlite::{Connection, params, params_from_iter};

use super::super::check::{RequestParts, sum};
use super::super::{attempts, progress};
use super::record::Cell;

/// A day in milliseconds.
const DAY: i64 = 86_400_000;

/// Where the rows go.
pub(super) struct Rows<'a> {
    connection: &'a Connection,
    kept: u64,
    lost: u64,
    commits: i64,
}

impl<'a> Rows<'a> {
    /// Into this file.
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, kept: 0, lost: 0, commits: 0 }
    }

    /// So many rows are in the new file.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// So many were there, but not as they were written.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// A row that cannot be read.
    pub(super) fn lose(&mut self) {
        self.lost += 1;
    }

    /// Puts a row where it belongs, if it is whole.
    pub(super) fn take(&mut self, rowid: i64, mut cells: Vec<Cell>) -> rusqlite::Result<()> {
        use Cell::{Blob, Integer, Null, Text};
        let (sql, whole) = match &cells[..] {
            [Null, Text(_), Text(_), ..] if (19..=29).contains(&cells.len()) => {
                let whole = request_is_whole(&cells);
                cells.resize(29, Null);
                default_to(&mut cells, &[(19, 0), (21, 2), (23, 0), (26, 0), (28, 0)]);
                if let Some(seq) = cells.first_mut() {
                    *seq = Integer(rowid);
                }
                (REQUEST, whole)
            }
            [Text(_), Text(_), Text(_), Text(_), Text(_), Integer(_), Text(_)] => (FAILURE, true),
            [Text(_), Text(_), Text(_), Text(_), Text(json), Integer(_), ..]
                if cells.len() == 7 || (cells.len() == 6 && json.starts_with('{')) =>
            {
                let whole = is_whole(&cells, 5, 6);
                cells.resize(7, Null);
                (EVENT, whole)
            }
            [Text(_), Text(_), Text(_), Text(_), Text(_), Integer(_)] => {
                cells.push(Text(String::new()));
                (FAILURE, true)
            }
            [Text(_), Text(_), Text(_), Text(_), Text(_), Blob(_), Integer(_), Integer(_)] => {
                (MEMORY, is_whole(&cells, 6, 7))
            }
            [Text(_), Text(_), Text(_), Text(_), Text(_), Text(_), Integer(_), ..]
                if cells.len() == 13 =>
            {
                (FAILED_REPLY, true)
            }
            [Text(_), Text(_), Blob(_), ..] if cells.len() <= 4 => {
                let whole = is_whole(&cells, 3, 3);
                cells.resize(4, Null);
                (CALL, whole)
            }
            [Null, Integer(_), Integer(_), _, _, Blob(_), Integer(_)] => {
                cells.splice(..1, [Integer(rowid)]);
                (ATTEMPT, true)
            }
            // Until version 5.
            [Integer(seq), Integer(number), Integer(_), Integer(_), _, _, Blob(_), Integer(_)] => {
                let place = attempts::place(*seq, *number);
                cells.splice(..2, [Integer(place)]);
                (ATTEMPT, true)
            }
            [Text(_), Text(_)] => (KEPT, true),
            [Integer(commits)] => {
                self.commits = self.commits.max(*commits);
                return Ok(());
            }
            // A row of SQLite's own table of tables.
            [Text(_), Text(_), Text(_), Integer(_), _] => return Ok(()),
            _ => {
                self.lost += 1;
                return Ok(());
            }
        };
        if !whole {
            self.lost += 1;
            return Ok(());
        }
        // What its table does not take (a number where there must be one) is not whole either.
        match self.connection.prepare_cached(sql)?.execute(params_from_iter(cells)) {
            Ok(_) => self.kept += 1,
            Err(error) if is_constraint(&error) => self.lost += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Makes what the rows say of each other right again.
    pub(super) fn tidy(&self, commits: i64, now: i64) -> rusqlite::Result<()> {
        let commits = commits.max(self.commits);
        self.connection.execute("UPDATE progress SET commits = ?1", params![commits])?;
        // It says how it was before.
        progress::forget(self.connection)?;
        self.connection.execute(DUE, params![now, DAY])?;
        self.connection.execute_batch(TURNS)
    }
}

/// Nothing waits longer than the longest wait there is, whatever a flipped bit says, and a state
/// that does not exist means that the request is still to be sent.
const DUE: &str = "
UPDATE requests SET
    due = CASE WHEN due > ?1 + 2 * ?2 THEN ?1 ELSE due END, due_set = min(due_set, ?1),
    state = CASE WHEN finished IS NULL THEN 'waiting'
        WHEN state IN ('delivered', 'dead', 'expired') THEN state ELSE 'dead' END
WHERE finished IS NULL OR state NOT IN ('delivered', 'dead', 'expired')";

/// Of each lane the first has its turn: the oldest, or what follows from an older one.
const TURNS: &str = "
UPDATE requests SET state = 'behind' WHERE state = 'waiting' AND aside = 0
    AND seq NOT IN (SELECT seq FROM (
        SELECT seq, row_number() OVER (PARTITION BY endpoint, lane
            ORDER BY coalesce(place, seq), depth DESC, seq) AS number
        FROM requests WHERE state = 'waiting' AND aside = 0) WHERE number = 1);";

const REQUEST: &str = "
INSERT INTO requests (seq, id, event_id, endpoint, lane, sequence, state, reason, attempts, created,
    due, due_set, finished, method, url, headers, body, tag, plugin_state,
    generation, expires, class, failing, aside, sum, base, refusals, place, depth)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
    ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)
ON CONFLICT DO UPDATE SET state = excluded.state, finished = excluded.finished,
    reason = excluded.reason, attempts = excluded.attempts
WHERE excluded.finished IS NOT NULL";

const EVENT: &str = "
INSERT INTO events (event_id, pbx, chain, kind, json, created, sum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";

const FAILURE: &str = "
INSERT INTO failed_transforms (event_id, endpoint, plugin, kind, message, created, details)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";

const MEMORY: &str = "
INSERT INTO memory (pbx, chain, endpoint, plugin, key, value, touched, sum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT DO UPDATE SET value = excluded.value, touched = excluded.touched, sum = excluded.sum
WHERE excluded.touched > memory.touched";

const FAILED_REPLY: &str = "
INSERT INTO failed_replies (request, event_id, endpoint, plugin, kind, message, created, attempt,
    status, headers, body, truncated, details)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING";

const CALL: &str = "
INSERT INTO calls (pbx, key, state, sum) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";

const ATTEMPT: &str = "
INSERT INTO attempts (place, at, took_ms, status, error, reply, truncated)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";

const KEPT: &str = "INSERT INTO kept (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

fn default_to(cells: &mut [Cell], defaults: &[(usize, i64)]) {
    for &(place, value) in defaults {
        if let Some(cell @ Cell::Null) = cells.get_mut(place) {
            *cell = Cell::Integer(value);
        }
    }
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{ConstraintViolation, TypeMismatch};
    matches!(error.sqlite_error_code(), Some(ConstraintViolation | TypeMismatch))
}

/// Whether the sum of the first `parts` cells is what the cell at `place` says, if it is there.
fn is_whole(cells: &[Cell], parts: usize, place: usize) -> bool {
    let Some(Cell::Integer(written)) = cells.get(place) else { return true };
    let bytes: Vec<&[u8]> = cells.iter().take(parts).filter_map(bytes).collect();
    bytes.len() == parts && sum(&bytes) == *written
}

fn bytes(cell: &Cell) -> Option<&[u8]> {
    match cell {
        Cell::Text(text) => Some(text.as_bytes()),
        Cell::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

fn text(cell: &Cell) -> Option<&str> {
    if let Cell::Text(text) = cell { Some(text) } else { None }
}

fn request_is_whole(cells: &[Cell]) -> bool {
    let Some(Cell::Integer(written)) = cells.get(24) else { return cells.len() < 25 };
    let right = || {
        let at = |place: usize| cells.get(place);
        let Cell::Integer(sequence) = at(5)? else { return None };
        let parts = RequestParts {
            id: text(at(1)?)?,
            event_id: text(at(2)?)?,
            endpoint: text(at(3)?)?,
            lane: text(at(4)?)?,
            sequence: *sequence,
            method: text(at(13)?)?,
            url: text(at(14)?)?,
            headers: text(at(15)?)?,
            body: bytes(at(16)?)?,
            tag: at(17).and_then(text),
            state: bytes(at(18)?)?,
            base: at(25).and_then(text),
        };
        Some(parts.sum())
    };
    right() == Some(*written)
}
