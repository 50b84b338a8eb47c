//! What becomes of requests that were claimed, or whose time is over.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::apply::{Effects, millis};
use super::head::{head, head_columns};
use super::statements::Statements;
use super::timeline::Stamp;
use super::{follow_ups, memory};
use crate::outbox::{Attempt, Charge, Judged, Pressure, Settlement};

/// So many attempts at a request are kept with their replies: the last ones.
const ATTEMPTS_KEPT: i64 = 5;

/// The lane of a request.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) endpoint: String,
    pub(super) lane: String,
}

/// How a request ends.
struct End<'a> {
    state: &'a str,
    reason: Option<&'a str>,
    /// By how much its attempts grow.
    charge: u32,
}

/// How an attempt failed.
#[derive(Clone, Copy)]
struct Failing {
    charge: Charge,
    aside: bool,
}

/// Settles the request at `seq`, which is of the lane at `place`. Does nothing if somebody else
/// has finished it meanwhile.
pub(super) fn settle(
    statements: &Statements<'_>,
    (seq, place): (i64, &Place),
    settlement: &Settlement,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    settle_and(statements, (seq, place), settlement, now, effects, |_| Ok(()))
}

/// [`settle`], and all that follows from a reply that a plugin was asked about. `id` is that of
/// the request.
pub(super) fn settle_judged(
    statements: &Statements<'_>,
    (seq, place, id): (i64, &Place, &str),
    judged: &Judged,
    now: Stamp,
    pressure: Pressure,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    let Judged { settlement, follow_ups: next, memory, failure } = judged;
    settle_and(statements, (seq, place), settlement, now, effects, |effects| {
        follow_ups::store(statements, seq, next, now, pressure, effects)
    })?;
    for change in memory {
        memory::store(statements, change, now)?;
    }
    match failure {
        Some(failure) => follow_ups::store_failure(statements, failure, now),
        None => follow_ups::forget_failure(statements, id),
    }
}

/// Settles the request at `seq`, and does `more` before another one gets the turn that it had, if
/// it is finished by this.
fn settle_and(
    statements: &Statements<'_>,
    (seq, place): (i64, &Place),
    settlement: &Settlement,
    now: Stamp,
    effects: &mut Effects,
    more: impl FnOnce(&mut Effects) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    effects.settled.push(seq);
    let end = |state, reason, charge| finish(statements, seq, &End { state, reason, charge }, now);
    let (waited, attempt) = match settlement {
        Settlement::Delivered(attempt) => (end("delivered", None, 1)?, Some(attempt)),
        Settlement::Dead { attempt, reason } => (end("dead", Some(reason), 1)?, Some(attempt)),
        Settlement::Expired => (end("expired", Some(EXPIRED), 0)?, None),
        Settlement::Later { attempt, wait, charge, aside } => {
            let failing = Failing { charge: *charge, aside: *aside };
            (put_off(statements, seq, *wait, Some(failing), now)?, Some(attempt))
        }
        Settlement::GivenBack(wait) => (put_off(statements, seq, *wait, None, now)?, None),
    };
    if !waited {
        return Ok(());
    }
    if let Some(attempt) = attempt {
        store_attempt(statements, seq, attempt)?;
    }
    let finished = !matches!(settlement, Settlement::Later { .. } | Settlement::GivenBack(_));
    effects.pending -= i64::from(finished);
    if finished {
        more(effects)?;
    }
    if let Settlement::Later { wait, .. } | Settlement::GivenBack(wait) = settlement {
        effects.comes_due(&place.endpoint, now.due.saturating_add(millis(*wait)));
    }
    if finished || matches!(settlement, Settlement::Later { aside: true, .. }) {
        give_turn(statements, place, now, effects)?;
    }
    effects.change(&place.endpoint);
    Ok(())
}

const EXPIRED: &str = "it could not be sent in time";

/// Finishes those of `seqs` that still wait as expired. None of them is claimed.
pub(super) fn expire(
    statements: &Statements<'_>,
    seqs: &[i64],
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    for &seq in seqs {
        effects.finished(seq);
        let end = End { state: "expired", reason: Some(EXPIRED), charge: 0 };
        let place = place(statements, seq)?;
        if finish(statements, seq, &end, now)?
            && let Some(place) = place
        {
            give_turn(statements, &place, now, effects)?;
            effects.pending -= 1;
            effects.change(&place.endpoint);
            effects.expired.push(place.endpoint);
        }
    }
    Ok(())
}

/// Makes the request at `seq` dead, unless it is finished.
pub(super) fn bury(
    statements: &Statements<'_>,
    seq: i64,
    reason: &str,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<bool> {
    let end = End { state: "dead", reason: Some(reason), charge: 0 };
    let place = place(statements, seq)?;
    let (true, Some(place)) = (finish(statements, seq, &end, now)?, place) else {
        return Ok(false);
    };
    give_turn(statements, &place, now, effects)?;
    effects.pending -= 1;
    effects.change(&place.endpoint);
    Ok(true)
}

/// `false` if it is finished already. Asks for nothing back: SQLite would keep a copy of every
/// page that it changes until the statement is done.
fn finish(
    statements: &Statements<'_>,
    seq: i64,
    end: &End<'_>,
    now: Stamp,
) -> rusqlite::Result<bool> {
    let finished = statements.execute(
        "UPDATE requests
         SET state = ?2, reason = ?3, finished = ?4, attempts = attempts + ?5
         WHERE seq = ?1 AND state IN ('waiting', 'behind')",
        params![seq, end.state, end.reason, now.wall, end.charge],
    )?;
    Ok(finished == 1)
}

/// `false` if it is finished already.
fn put_off(
    statements: &Statements<'_>,
    seq: i64,
    wait: Duration,
    failing: Option<Failing>,
    now: Stamp,
) -> rusqlite::Result<bool> {
    let charge = failing.map_or(Charge::Nothing, |failing| failing.charge);
    let (charged, refused) = (charge != Charge::Nothing, charge == Charge::Refusal);
    let aside = failing.is_some_and(|failing| failing.aside);
    let due = now.due.saturating_add(millis(wait));
    // What is not its own fault does not cost it its turn.
    let failed = charged.then_some(now.due);
    let waits = statements.execute(
        "UPDATE requests SET due = ?2, due_set = ?3, attempts = attempts + ?4,
         aside = max(aside, ?5), failing = coalesce(failing, ?6), refusals = refusals + ?7
         WHERE seq = ?1 AND state = 'waiting'",
        params![seq, due, now.due, charged, aside, failed, refused],
    )?;
    Ok(waits == 1)
}

/// The lane of the request at `seq`.
fn place(statements: &Statements<'_>, seq: i64) -> rusqlite::Result<Option<Place>> {
    statements
        .query_row("SELECT endpoint, lane FROM requests WHERE seq = ?1", params![seq], |row| {
            Ok(Place { endpoint: row.get(0)?, lane: row.get(1)? })
        })
        .optional()
}

fn store_attempt(
    statements: &Statements<'_>,
    request: i64,
    done: &Attempt,
) -> rusqlite::Result<()> {
    let Attempt { at, took, status, error, reply, truncated } = done;
    let number: i64 = statements.query_row(
        "SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE request = ?1",
        params![request],
        |row| row.get(0),
    )?;
    let (at, took) = (at.as_millisecond(), millis(*took));
    statements.execute(
        "INSERT INTO attempts
         (request, number, at, took_ms, status, error, reply, truncated)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![request, number, at, took, status, error, reply, truncated],
    )?;
    if number > ATTEMPTS_KEPT {
        statements.execute(
            "DELETE FROM attempts WHERE request = ?1 AND number <= ?2",
            params![request, number - ATTEMPTS_KEPT],
        )?;
    }
    Ok(())
}

/// Unless a request of the lane has its turn, gives it to the oldest that waits for one.
pub(super) fn give_turn(
    statements: &Statements<'_>,
    place: &Place,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    let Place { endpoint, lane } = place;
    // Usually nobody waits for it, and looking is cheaper than changing nothing.
    let behind = statements.exists(BEHIND, params![endpoint, lane])?;
    if !behind || statements.execute(GIVE_TURN, params![endpoint, lane])? == 0 {
        return Ok(());
    }
    let turn = statements.query_row(TURN, params![endpoint, lane], |row| {
        effects.has_turn(row.get(7)?, now, endpoint, || head(row));
        Ok(())
    });
    turn.optional().map(drop)
}

/// Whether somebody waits for the turn of a lane.
pub(super) const BEHIND: &str = "
SELECT 1 FROM requests
WHERE endpoint = ?1 AND lane = ?2 AND state IN ('waiting', 'behind') AND state = 'behind' LIMIT 1";

/// What follows from something lies behind it in the file, so what has the first place is either
/// the first that follows or, if that takes a later place, the oldest of all.
pub(super) const GIVE_TURN: &str = "
UPDATE requests SET state = 'waiting' WHERE seq = coalesce(
    (SELECT seq FROM requests
    WHERE endpoint = ?1 AND lane = ?2 AND state = 'behind' AND depth > 0
        AND NOT EXISTS (
            SELECT 1 FROM requests older
            WHERE older.endpoint = ?1 AND older.lane = ?2
                AND older.state IN ('waiting', 'behind') AND older.state = 'behind'
                AND older.seq < requests.place)
    ORDER BY place, depth DESC, seq LIMIT 1),
    (SELECT seq FROM requests
    WHERE endpoint = ?1 AND lane = ?2 AND state IN ('waiting', 'behind') AND state = 'behind'
    ORDER BY seq LIMIT 1))
AND NOT EXISTS (
    SELECT 1 FROM requests
    WHERE endpoint = ?1 AND lane = ?2 AND state IN ('waiting', 'behind')
        AND state = 'waiting' AND aside = 0)";

/// Who has the turn of a lane.
pub(super) const TURN: &str = concat!(
    "SELECT ",
    head_columns!(),
    " FROM requests
    WHERE endpoint = ?1 AND lane = ?2 AND state IN ('waiting', 'behind')
        AND state = 'waiting' AND aside = 0"
);
