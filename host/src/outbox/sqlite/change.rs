//! What an operator changes: requests that are tried again, or given up.

use std::sync::Mutex;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::apply::Effects;
use super::hold;
use super::list::conditions;
use super::settle::{Place, bury, give_turn};
use super::statements::Statements;
use super::timeline::Stamp;
use crate::outbox::{Cursor, DeliveryFilter, Selection};

/// So many requests change in one transaction, so that nobody waits long for the disk.
pub(super) const CHUNK: usize = 500;

/// What happens to each.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Retry,
    Bury(String),
}

/// One chunk of a change.
#[derive(Debug)]
pub(super) struct ChangeStep {
    pub(super) change: Change,
    pub(super) which: Selection,
    /// How many ids, or up to which request, was done before.
    pub(super) from: i64,
    /// What it came to, once it is committed.
    pub(super) outcome: Mutex<Outcome>,
}

impl ChangeStep {
    /// A chunk that is still to be done.
    pub(super) fn new(change: Change, which: Selection, from: i64) -> Self {
        Self { change, which, from, outcome: Mutex::default() }
    }
}

/// What a chunk came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// So many were changed.
    pub(super) changed: u64,
    /// Where the next chunk begins, if there is one.
    pub(super) next: Option<i64>,
}

/// Carries out one chunk.
pub(super) fn carry_out(
    statements: &Statements<'_>,
    step: &ChangeStep,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    let (seqs, next) = chosen(statements, &step.which, step.from)?;
    let changed = change_each(statements, &step.change, &seqs, now, effects)?;
    *hold(&step.outcome) = Outcome { changed, next };
    Ok(())
}

/// The chunk of `which` that begins at `from`, and where the next one does. This may read the whole
/// table.
pub(super) fn chosen(
    connection: &Connection,
    which: &Selection,
    from: i64,
) -> rusqlite::Result<(Vec<i64>, Option<i64>)> {
    match which {
        Selection::Ids(ids) => by_id(connection, ids, from),
        Selection::Filter(filter) => by_filter(connection, filter, from),
    }
}

/// Changes these requests, as far as they still can be. Says how many.
pub(super) fn change_each(
    statements: &Statements<'_>,
    change: &Change,
    seqs: &[i64],
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<u64> {
    let mut changed = 0;
    for &seq in seqs {
        let done = match change {
            Change::Retry => retry(statements, seq, now, effects)?,
            Change::Bury(reason) => bury(statements, seq, reason, now, effects)?,
        };
        changed += u64::from(done);
    }
    effects.reshuffled = true;
    Ok(changed)
}

fn by_id(
    connection: &Connection,
    ids: &[String],
    from: i64,
) -> rusqlite::Result<(Vec<i64>, Option<i64>)> {
    let from = usize::try_from(from).unwrap_or(0);
    let mut seqs = Vec::new();
    let mut find = connection.prepare_cached("SELECT seq FROM requests WHERE id = ?1")?;
    for id in ids.iter().skip(from).take(CHUNK) {
        seqs.extend(find.query_row(params![id], |row| row.get::<_, i64>(0)).optional()?);
    }
    let next = from.saturating_add(CHUNK);
    let next = if next < ids.len() { i64::try_from(next).ok() } else { None };
    Ok((seqs, next))
}

fn by_filter(
    connection: &Connection,
    filter: &DeliveryFilter,
    from: i64,
) -> rusqlite::Result<(Vec<i64>, Option<i64>)> {
    let filter = DeliveryFilter { after: Some(Cursor::Request(from)), ..filter.clone() };
    let (terms, mut values) = conditions(&filter);
    values.push(Value::Integer(i64::try_from(CHUNK).unwrap_or(i64::MAX)));
    let sql = format!("SELECT seq FROM requests WHERE {terms} ORDER BY seq LIMIT ?");
    let seqs: Vec<i64> = connection
        .prepare_cached(&sql)?
        .query_map(params_from_iter(values), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let next = if seqs.len() == CHUNK { seqs.last().copied() } else { None };
    Ok((seqs, next))
}

/// Lets a request be tried as if it were new. `false` if the receiver has it.
pub(super) fn retry(
    statements: &Statements<'_>,
    seq: i64,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<bool> {
    let found: Option<(Place, bool)> = statements
        .prepare_cached(
            "SELECT endpoint, lane, finished IS NOT NULL FROM requests
             WHERE seq = ?1 AND state <> 'delivered'",
        )?
        .query_row(params![seq], |row| {
            Ok((Place { endpoint: row.get(0)?, lane: row.get(1)? }, row.get(2)?))
        })
        .optional()?;
    let Some((place, was_finished)) = found else { return Ok(false) };
    // One that waits keeps its place and its turn: it may be in somebody's hands.
    statements
        .prepare_cached(
            "UPDATE requests SET due = ?2, due_set = ?2, attempts = 0, refusals = 0,
                expires = CASE WHEN finished IS NULL THEN expires END, failing = NULL, reason = NULL, finished = NULL,
                aside = CASE WHEN finished IS NULL THEN aside ELSE 0 END,
                state = CASE WHEN finished IS NULL THEN state ELSE 'behind' END
             WHERE seq = ?1",
        )?
        .execute(params![seq, now.due])?;
    if was_finished {
        give_turn(statements, &place, now, effects)?;
        effects.pending += 1;
    }
    effects.revived = Some(effects.revived.map_or(seq, |oldest| oldest.min(seq)));
    effects.change(&place.endpoint);
    Ok(true)
}
