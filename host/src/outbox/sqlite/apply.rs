//! Operations as statements, within a transaction that the writer opened.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::queue::{Operation, Work};
use super::{append, change, prune, settle};
use crate::outbox::{Class, Pressure};

/// What a transaction changes outside the file, once it is committed.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// By how much the number of waiting requests grows.
    pub(super) pending: i64,
    /// Requests that were there already.
    pub(super) collapsed: u64,
    /// Requests that gave way.
    pub(super) shed: Vec<Class>,
    /// Requests that are no longer claimed.
    pub(super) settled: Vec<i64>,
    /// The endpoint of each request that the outbox itself settled as expired.
    pub(super) expired: Vec<String>,
    /// Endpoints for which a claim may now find something else.
    pub(super) changed: BTreeSet<String>,
    /// The oldest request that waits again.
    pub(super) revived: Option<i64>,
    /// The number of the transaction.
    pub(super) commits: i64,
}

/// Carries out `operation` and notes in `effects` what follows from it.
pub(super) fn apply(
    connection: &Connection,
    operation: &Operation,
    pressure: Pressure,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    let now = operation.at;
    match &operation.work {
        Work::Append(commit) => append::append(connection, commit, now, pressure, effects),
        Work::Settle { seq, settlement } => {
            settle::settle(connection, *seq, settlement, now, effects)
        }
        Work::Judged { seq, id, judged } => {
            settle::settle_judged(connection, (*seq, id), judged, now, pressure, effects)
        }
        Work::Expire(seqs) => settle::expire(connection, seqs, now, effects),
        Work::Spoilt { seq, reason } => {
            effects.settled.push(*seq);
            settle::bury(connection, *seq, reason, now, effects).map(drop)
        }
        Work::Change(step) => change::carry_out(connection, step, now, effects),
        Work::Keep { name, value } => keep(connection, name, value.as_deref()),
        Work::Prune { age, place } => prune::prune(connection, *age, place, now),
    }
}

/// Counts the transaction, as the last thing in it.
pub(super) fn count(connection: &Connection, effects: &mut Effects) -> rusqlite::Result<()> {
    let sql = "UPDATE progress SET commits = commits + 1 RETURNING commits";
    effects.commits = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(())
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

/// As the file has it.
pub(super) fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}
