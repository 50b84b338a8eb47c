//! Which row of the PBX's call log belongs to which end that was told. Pure.
//!
//! The log knows calls by other ids than the Call Control API, so all of this is inferred: from
//! who talked with whom, and from when. What fits more than one talk, or more than one call, fits
//! none: rather no event than a wrong one.

use jiff::Timestamp;

use super::leg::same_number;
use crate::event::{CallEvent, Callback, EventKind, PartyKind};
use crate::source::notice::{LogParty, LogRow};

/// The PBX's clock and ours, and what both take for the answer, may be apart by this.
const WINDOW_MS: i64 = 10_000;

/// Where a queue sends a caller who orders a callback (documented for call detail records).
const CALLBACK_DN: &str = "QCB";

/// A number with fewer digits is no external one.
const FEWEST_DIGITS: usize = 6;

/// The talk that a row is of, by its end: the user on one side, the other party on the other, and
/// answered at the same time. Neither may there be another such talk, nor another call in the log
/// that fits that talk.
pub(super) fn talk<'a>(
    row: &LogRow,
    log: &[LogRow],
    ends: impl Iterator<Item = &'a CallEvent>,
) -> Option<&'a CallEvent> {
    let mut fitting = ends.filter(|end| is_of(row, end));
    let end = fitting.next()?;
    let is_other = |other: &&LogRow| other.call != row.call && is_of(other, end);
    (fitting.next().is_none() && !log.iter().any(|other| is_other(&other))).then_some(end)
}

/// Whether a callback was ordered in the call that ended so; `None` while the log does not tell.
pub(super) fn callback(log: &[LogRow], end: &CallEvent) -> Option<Callback> {
    let is_order = |row: &LogRow| row.to.dn.eq_ignore_ascii_case(CALLBACK_DN);
    let is_queue = |row: &LogRow| row.to.dn == end.user.number;
    let (from, to) = (end.arrived_at.epoch_ms(), end.occurred_at.epoch_ms());
    let is_here = |row: &&LogRow| {
        let began = row.started.as_millisecond();
        (is_order(row) || is_queue(row))
            && is_outside(&row.from, &end.caller_id)
            && (from - WINDOW_MS..=to + WINDOW_MS).contains(&began)
    };
    if end.user.kind != PartyKind::Queue {
        return None;
    }
    let rows: Vec<&LogRow> = log.iter().filter(is_here).collect();
    let call = &rows.first()?.call;
    if rows.iter().any(|row| row.call != *call) {
        return None;
    }
    if rows.iter().any(|row| is_order(row)) {
        return Some(Callback::Yes);
    }
    // Whoever was in the queue twice may have left the second time with an order.
    let is_last = |row: &&LogRow| match (row.ringing_ms, row.talking_ms) {
        (None, None) => true,
        (ringing, talking) => {
            let lasted = i64::from(ringing.unwrap_or(0)) + i64::from(talking.unwrap_or(0));
            row.started.as_millisecond() + lasted >= to - WINDOW_MS
        }
    };
    rows.iter().any(is_last).then_some(Callback::No)
}

fn is_of(row: &LogRow, end: &CallEvent) -> bool {
    let EventKind::Ended(ended) = &end.kind else { return false };
    let Some(answered_at) = ended.answered_at else { return false };
    if !row.answered || !is_answered_at(row, answered_at.epoch_ms(), end) {
        return false;
    }
    let is_between = |user: &LogParty, other: &LogParty| {
        user.dn == end.user.number && is_outside(other, &end.caller_id)
    };
    is_between(&row.from, &row.to) || is_between(&row.to, &row.from)
}

/// Where the row does not tell how long it rang, it may have rung since the call arrived.
fn is_answered_at(row: &LogRow, answered_ms: i64, end: &CallEvent) -> bool {
    let started: Timestamp = row.started;
    let began = started.as_millisecond();
    match row.ringing_ms {
        Some(ringing) => (began + i64::from(ringing) - answered_ms).abs() <= WINDOW_MS,
        None => (end.arrived_at.epoch_ms() - WINDOW_MS..=answered_ms + WINDOW_MS).contains(&began),
    }
}

/// Whether a side is the other party. One that withholds its number has none in the log either.
fn is_outside(party: &LogParty, number: &str) -> bool {
    let digits = party.number.chars().filter(char::is_ascii_digit).count();
    if number.is_empty() {
        return digits < FEWEST_DIGITS;
    }
    party.dn == number || (!party.number.is_empty() && same_number(&party.number, number))
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
