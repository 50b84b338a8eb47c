//! Operations as statements, within a transaction that the writer opened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::head::Head;
use super::queue::{Operation, Work};
use super::statements::Statements;
use super::timeline::Stamp;
use super::{append, change, prune, settle};
use crate::outbox::{Class, Pressure};

/// So many requests are handed over in memory after one transaction.
const HANDED_OVER: usize = 1_024;

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
    /// Requests that have their turn now and are due.
    pub(super) heads: Vec<Head>,
    /// Endpoints to which something else has its turn now, and when it comes due.
    pub(super) due: BTreeMap<String, i64>,
    /// Requests that leave their turns then, if they still wait.
    pub(super) asides: Vec<(i64, i64)>,
    /// Somebody changed requests that wait.
    pub(super) reshuffled: bool,
    /// The oldest request that waits again.
    pub(super) revived: Option<i64>,
    /// The number of the transaction.
    pub(super) commits: i64,
}

impl Effects {
    /// A claim for `endpoint` may now find something else.
    pub(super) fn change(&mut self, endpoint: &str) {
        if !self.changed.contains(endpoint) {
            self.changed.insert(endpoint.to_owned());
        }
    }

    /// A request to `endpoint` has its turn and comes due at `due`; `head` reads it.
    pub(super) fn has_turn(
        &mut self,
        due: i64,
        now: Stamp,
        endpoint: &str,
        head: impl FnOnce() -> anyhow::Result<Head>,
    ) {
        // What is not handed over, or cannot be read, is found in the file.
        if due <= now.due
            && self.heads.len() < HANDED_OVER
            && let Ok(head) = head()
        {
            self.heads.push(head);
        } else {
            self.comes_due(endpoint, due);
        }
    }

    /// The outbox itself finishes a request; it may have got its turn just before.
    pub(super) fn finished(&mut self, seq: i64) {
        self.settled.push(seq);
        self.heads.retain(|head| head.seq != seq);
    }

    /// Something to `endpoint` that has its turn comes due at `due`.
    pub(super) fn comes_due(&mut self, endpoint: &str, due: i64) {
        match self.due.get_mut(endpoint) {
            Some(next) => *next = due.min(*next),
            None => drop(self.due.insert(endpoint.to_owned(), due)),
        }
    }
}

/// Carries out `operation` and notes in `effects` what follows from it.
pub(super) fn apply(
    statements: &Statements<'_>,
    operation: &Operation,
    pressure: Pressure,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    let now = operation.at;
    match &operation.work {
        Work::Append(commit) => append::append(statements, commit, now, pressure, effects),
        Work::Settle { seq, place, settlement } => {
            settle::settle(statements, (*seq, place), settlement, now, effects)
        }
        Work::Judged { seq, place, id, judged } => {
            let request = (*seq, place, id.as_str());
            settle::settle_judged(statements, request, judged, now, pressure, effects)
        }
        Work::Expire(seqs) => settle::expire(statements, seqs, now, effects),
        Work::StepAside(seqs) => settle::step_aside(statements, seqs, now, effects),
        Work::LetPass(leave) => {
            effects.asides.extend(leave);
            Ok(())
        }
        Work::Spoilt { seq, reason } => {
            effects.finished(*seq);
            settle::bury(statements, *seq, reason, now, effects).map(drop)
        }
        Work::Change(step) => change::carry_out(statements, step, now, effects),
        Work::Keep { name, value } => keep(statements, name, value.as_deref()),
        Work::Prune { age, place } => prune::prune(statements, *age, place, now),
    }
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
