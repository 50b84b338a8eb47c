//! What becomes of requests that were claimed, or whose time is over.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::append::LED;
use super::apply::{Effects, millis};
use super::head::{head, head_columns};
use super::reader::inconsistent;
use super::statements::Statements;
use super::timeline::Stamp;
use super::{attempts, follow_ups, memory};
use crate::outbox::{Attempt, Charge, Judged, Pressure, Settlement};

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

/// What a request was before it was finished.
#[derive(Clone, Copy, Debug)]
enum Was {
    /// It had the turn of its lane.
    First,
    /// It waited for the turn, or had stepped aside.
    Another,
}

/// Who gets the turn of a lane.
enum Next {
    Nobody,
    This(i64),
    /// The oldest, or what comes before it.
    Somebody,
}

/// How an attempt failed.
#[derive(Clone, Copy)]
struct Failing<'a> {
    attempt: &'a Attempt,
    charge: Charge,
    aside: Option<Duration>,
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
    let (end, attempt) = match settlement {
        Settlement::Delivered(attempt) => {
            (End { state: "delivered", reason: None, charge: 1 }, Some(attempt))
        }
        Settlement::Dead { attempt, reason } => {
            (End { state: "dead", reason: Some(reason), charge: 1 }, Some(attempt))
        }
        Settlement::Expired => (End::EXPIRED, None),
        Settlement::Later { attempt, wait, charge, aside } => {
            let failing = Failing { attempt, charge: *charge, aside: *aside };
            return put_off(statements, (seq, place), *wait, Some(failing), now, effects);
        }
        Settlement::GivenBack(wait) => {
            return put_off(statements, (seq, place), *wait, None, now, effects);
        }
    };
    let was = finish(statements, seq, &end, now)?;
    if let Some(attempt) = attempt
        && (was.is_some() || is_there(statements, seq)?)
    {
        attempts::store(statements, seq, attempt)?;
    }
    let Some(was) = was else {
        // Somebody has given it up, but the receiver has it.
        if matches!(settlement, Settlement::Delivered(_)) {
            statements.execute(ARRIVED, params![seq])?;
        }
        return Ok(());
    };
    effects.pending -= 1;
    effects.change(&place.endpoint);
    more(effects)?;
    match was {
        Was::First => pass_turn(statements, place, now, effects),
        Was::Another => give_turn(statements, place, now, effects),
    }
}

impl End<'_> {
    const EXPIRED: Self =
        Self { state: "expired", reason: Some("it could not be sent in time"), charge: 0 };
}

/// Finishes those of `seqs` that still wait as expired. None of them is claimed. One that somebody
/// wants all the same meanwhile is due instead.
pub(super) fn expire(
    statements: &Statements<'_>,
    seqs: &[i64],
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    for &seq in seqs {
        effects.finished(seq);
        if !statements.exists(PAST, params![seq, now.due])? {
            effects.reshuffled = true;
        } else if let Some(place) = end(statements, seq, &End::EXPIRED, now, effects)? {
            effects.expired.push(place.endpoint);
        }
    }
    Ok(())
}

const PAST: &str = "SELECT 1 FROM requests WHERE seq = ?1 AND expires <= ?2";

/// Has those of `seqs` that wait for a later attempt leave their turns. None of them is in
/// somebody's hands: those are not due later.
pub(super) fn step_aside(
    statements: &Statements<'_>,
    seqs: &[i64],
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    for &seq in seqs {
        if statements.execute(STEP_ASIDE, params![seq, now.due])? == 1
            && let Some(place) = place(statements, seq)?
        {
            give_turn(statements, &place, now, effects)?;
            effects.change(&place.endpoint);
        }
    }
    Ok(())
}

const STEP_ASIDE: &str = "
UPDATE requests SET aside = 1
WHERE seq = ?1 AND finished IS NULL AND state = 'waiting' AND aside = 0
    AND failing IS NOT NULL AND due > ?2";

/// Makes the request at `seq` dead, unless it is finished.
pub(super) fn bury(
    statements: &Statements<'_>,
    seq: i64,
    reason: &str,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<bool> {
    let dead = End { state: "dead", reason: Some(reason), charge: 0 };
    Ok(end(statements, seq, &dead, now, effects)?.is_some())
}

/// Finishes a request of which nothing but `seq` is known. Gives its lane, unless it was finished.
fn end(
    statements: &Statements<'_>,
    seq: i64,
    end: &End<'_>,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<Option<Place>> {
    let Some(place) = place(statements, seq)? else { return Ok(None) };
    if finish(statements, seq, end, now)?.is_none() {
        return Ok(None);
    }
    give_turn(statements, &place, now, effects)?;
    effects.pending -= 1;
    effects.change(&place.endpoint);
    Ok(Some(place))
}

/// Finishes the request at `seq`, and says what it was before, unless that was finished. Asks for
/// nothing back: SQLite would keep a copy of every page that it changes until the statement is done.
fn finish(
    statements: &Statements<'_>,
    seq: i64,
    end: &End<'_>,
    now: Stamp,
) -> rusqlite::Result<Option<Was>> {
    let End { state, reason, charge } = end;
    for (sql, was) in [(FINISH_FIRST, Was::First), (FINISH, Was::Another)] {
        if statements.execute(sql, params![seq, state, reason, now.wall, charge])? == 1 {
            return Ok(Some(was));
        }
    }
    Ok(None)
}

/// Whether the request at `seq` was not removed meanwhile.
fn is_there(statements: &Statements<'_>, seq: i64) -> rusqlite::Result<bool> {
    statements.exists("SELECT 1 FROM requests WHERE seq = ?1", params![seq])
}

/// What was given up while it was under way has arrived all the same.
const ARRIVED: &str = "
UPDATE requests SET state = 'delivered', reason = NULL, attempts = attempts + 1
WHERE seq = ?1 AND state = 'dead'";

const FINISH: &str = "
UPDATE requests SET state = ?2, reason = ?3, finished = ?4, attempts = attempts + ?5
WHERE seq = ?1 AND finished IS NULL";

/// The same for one that has its turn.
const FINISH_FIRST: &str = "
UPDATE requests SET state = ?2, reason = ?3, finished = ?4, attempts = attempts + ?5
WHERE seq = ?1 AND finished IS NULL AND state = 'waiting' AND aside = 0";

/// Has the request at `seq` wait, unless it is finished already; after an attempt that failed, if
/// there was one.
fn put_off(
    statements: &Statements<'_>,
    (seq, place): (i64, &Place),
    wait: Duration,
    failing: Option<Failing<'_>>,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    let charge = failing.map_or(Charge::Nothing, |failing| failing.charge);
    let (charged, refused) = (charge != Charge::Nothing, charge == Charge::Refusal);
    let aside = failing.and_then(|failing| failing.aside);
    let now_aside = aside.is_some_and(|after| after.is_zero());
    let due = now.due.saturating_add(millis(wait));
    // What is not its own fault does not cost it its turn.
    let failed = charged.then_some(now.due);
    let waits = statements.execute(
        "UPDATE requests SET due = ?2, due_set = ?3, attempts = attempts + ?4,
         aside = max(aside, ?5), failing = coalesce(failing, ?6), refusals = refusals + ?7
         WHERE seq = ?1 AND finished IS NULL AND state = 'waiting'",
        params![seq, due, now.due, charged, now_aside, failed, refused],
    )?;
    if let Some(failing) = failing
        && (waits == 1 || is_there(statements, seq)?)
    {
        attempts::store(statements, seq, failing.attempt)?;
    }
    if waits == 0 {
        return Ok(());
    }
    effects.comes_due(&place.endpoint, due);
    effects.change(&place.endpoint);
    match aside {
        Some(Duration::ZERO) => give_turn(statements, place, now, effects),
        Some(after) => {
            effects.asides.push((now.due.saturating_add(millis(after)), seq));
            Ok(())
        }
        None => Ok(()),
    }
}

/// The lane of the request at `seq`.
fn place(statements: &Statements<'_>, seq: i64) -> rusqlite::Result<Option<Place>> {
    statements
        .query_row("SELECT endpoint, lane FROM requests WHERE seq = ?1", params![seq], |row| {
            Ok(Place { endpoint: row.get(0)?, lane: row.get(1)? })
        })
        .optional()
}

/// Gives the turn that a request of the lane had until now to the next.
fn pass_turn(
    statements: &Statements<'_>,
    place: &Place,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    let Place { endpoint, lane } = place;
    let next = statements.query_row(NEXT, params![endpoint, lane], |row| {
        let (seq, followed) = (row.get::<_, i64>(0)?, row.get(20)?);
        match row.get_ref(17)?.as_bytes().unwrap_or_default() {
            b"behind" if followed => Ok(Next::Somebody),
            b"behind" => {
                effects.has_turn(row.get(7)?, now, endpoint, || head(row));
                Ok(Next::This(seq))
            }
            // It followed from the one before.
            b"waiting" => Ok(Next::Nobody),
            _ => Err(inconsistent()),
        }
    });
    match next.optional()?.unwrap_or(Next::Nobody) {
        Next::This(seq) => {
            let sql = "UPDATE requests SET state = 'waiting' WHERE seq = ?1";
            statements.execute(sql, params![seq]).map(drop)
        }
        Next::Somebody => give_turn(statements, place, now, effects),
        Next::Nobody => Ok(()),
    }
}

/// Unless a request of the lane has its turn, gives it to the oldest that waits for one.
pub(super) fn give_turn(
    statements: &Statements<'_>,
    place: &Place,
    now: Stamp,
    effects: &mut Effects,
) -> rusqlite::Result<()> {
    let Place { endpoint, lane } = place;
    if statements.execute(GIVE_TURN, params![endpoint, lane])? == 0 {
        // Either somebody has it, or nobody is left.
        let left = statements.exists(LED, params![endpoint, lane])?;
        let stuck = left && !statements.exists(TURN, params![endpoint, lane])?;
        return if stuck { Err(inconsistent()) } else { Ok(()) };
    }
    let turn = statements.query_row(TURN, params![endpoint, lane], |row| {
        effects.has_turn(row.get(7)?, now, endpoint, || head(row));
        Ok(())
    });
    turn.optional().map(drop)
}

/// The oldest of a lane that has not stepped aside, and whether something there follows from a
/// reply, so that another one may come before it.
pub(super) const NEXT: &str = concat!(
    "SELECT ",
    head_columns!(),
    ", EXISTS (SELECT 1 FROM requests WHERE endpoint = ?1 AND lane = ?2
        AND state = 'behind' AND depth > 0)
    FROM requests WHERE endpoint = ?1 AND lane = ?2 AND finished IS NULL AND aside = 0
    ORDER BY seq LIMIT 1"
);

/// What follows from something lies behind it in the file, so what has the first place is either
/// the first that follows or, if that takes a later place, the oldest of all.
pub(super) const GIVE_TURN: &str = "
UPDATE requests SET state = 'waiting' WHERE seq = coalesce(
    (SELECT seq FROM requests
    WHERE endpoint = ?1 AND lane = ?2 AND state = 'behind' AND depth > 0
        AND NOT EXISTS (
            SELECT 1 FROM requests older
            WHERE older.endpoint = ?1 AND older.lane = ?2
                AND older.finished IS NULL AND older.state = 'behind'
                AND older.seq < requests.place)
    ORDER BY place, depth DESC, seq LIMIT 1),
    (SELECT seq FROM requests
    WHERE endpoint = ?1 AND lane = ?2 AND finished IS NULL AND state = 'behind'
    ORDER BY seq LIMIT 1))
AND NOT EXISTS (
    SELECT 1 FROM requests
    WHERE endpoint = ?1 AND lane = ?2 AND finished IS NULL
        AND state = 'waiting' AND aside = 0)";

/// Who has the turn of a lane.
pub(super) const TURN: &str = concat!(
    "SELECT ",
    head_columns!(),
    " FROM requests
    WHERE endpoint = ?1 AND lane = ?2 AND finished IS NULL
        AND state = 'waiting' AND aside = 0"
);
