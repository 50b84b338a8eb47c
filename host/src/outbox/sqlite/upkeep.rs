//! What the writer does every half second, work or no work.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::apply::millis;
use super::progress::{Passed, progress};
use super::queue::{Operation, Work};
use super::writer::Writer;
use super::{file, hold, prune};
use crate::outbox::Receipt;

/// How often.
pub(super) const EVERY: Duration = Duration::from_millis(500);

/// So many requests that will leave their turns are remembered.
const ASIDES: usize = 100_000;

/// So many requests are passed by at once in search of the oldest that waits.
const STRIDE: i64 = 10_000;

/// What is remembered from one time to the next.
#[derive(Debug)]
pub(super) struct State {
    /// When it was last done.
    last: Instant,
    /// No request that waits lies before this place.
    oldest: i64,
    /// How far that was found out last, to be noted.
    passed: Option<Passed>,
    /// Tells whether another process has written to the file.
    version: Option<i64>,
    /// Requests that leave their turns then, the first ones first.
    asides: BTreeSet<(i64, i64)>,
}

impl State {
    /// Knowing that no request that waits lies before `oldest`.
    pub(super) fn new(oldest: i64) -> Self {
        let (last, passed, version) = (Instant::now(), None, None);
        Self { last, oldest, passed, version, asides: BTreeSet::new() }
    }

    /// What is to be noted with the next transaction.
    pub(super) fn passed(&self) -> Option<Passed> {
        self.passed
    }

    /// These requests leave their turns then. Those for which there is no room leave them with
    /// their next attempt.
    pub(super) fn leave_turns(&mut self, asides: Vec<(i64, i64)>) {
        self.asides.extend(asides);
        while self.asides.len() > ASIDES {
            self.asides.pop_last();
        }
    }

    /// Those that leave their turns now.
    fn take_asides(&mut self, now: i64) -> Vec<i64> {
        let later = self.asides.split_off(&(now.saturating_add(1), i64::MIN));
        let due = std::mem::replace(&mut self.asides, later);
        due.into_iter().map(|(_, seq)| seq).collect()
    }

    /// The request at this place waits again.
    pub(super) fn revived(&mut self, seq: Option<i64>) {
        self.oldest = seq.map_or(self.oldest, |seq| self.oldest.min(seq));
    }

    /// Whatever was remembered of the file may be wrong now.
    pub(super) fn forget(&mut self, oldest: i64) {
        self.oldest = oldest;
        self.passed = None;
        self.version = None;
    }
}

impl Writer {
    /// Does what is to be done, if it is time; what that writes goes into `batch`.
    pub(super) fn keep_up(&mut self, batch: &mut Vec<Operation>) {
        if self.upkeep.last.elapsed() < EVERY {
            return;
        }
        self.upkeep.last = Instant::now();
        self.look_around();
        if self.shared.damage_reported() {
            self.recover(&super::recovery::damaged());
        }
        match self.look_into() {
            Ok(work) => batch.extend(work),
            Err(error) => {
                tracing::warn!(%error, "The outbox could not be looked through.");
                self.recover(&error);
            }
        }
    }

    /// Looks at the disk.
    pub(super) fn look_around(&mut self) {
        let (free, pressure) = self.space.look(self.shared.is_writable());
        self.set_pressure(pressure);
        let metrics = &self.shared.metrics;
        let count = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        metrics.outbox_disk_free.set(free.map_or(0, count));
        let log = fs::metadata(file::beside(&self.path, "-wal")).map_or(0, |log| log.len());
        metrics.outbox_wal.set(count(log));
    }

    /// Looks at what waits. What is past its time is to be settled as expired, and what has failed
    /// for long is to leave its turn.
    fn look_into(&mut self) -> rusqlite::Result<Vec<Operation>> {
        let Some(connection) = &self.connection else { return Ok(Vec::new()) };
        let at = self.shared.timeline.stamp();
        // What is written from here on is news the next time.
        let version = data_version(connection)?;
        let from = if self.upkeep.version == Some(version) {
            self.upkeep.oldest
        } else {
            self.note_strangers(connection)?
        };
        let (oldest, created) = oldest(connection, from)?;
        self.upkeep.version = Some(version);
        self.upkeep.oldest = oldest;
        self.upkeep.passed = Some(Passed { commits: self.commits, oldest });
        let age = created.map_or(0, |created| at.wall.saturating_sub(created).max(0) / 1_000);
        let age = if self.shared.metrics.outbox_pending.get() > 0 { age } else { 0 };
        self.shared.metrics.outbox_oldest_pending.set(age);
        let expired = hold(&self.shared.reader).take_expired(at.due)?;
        let asides = self.upkeep.take_asides(at.due);
        let operation = |work| Operation { work, at, done: Receipt::new().0 };
        let expire = (!expired.is_empty()).then(|| operation(Work::Expire(expired)));
        let step_aside = (!asides.is_empty()).then(|| operation(Work::StepAside(asides)));
        Ok(expire.into_iter().chain(step_aside).collect())
    }

    /// Another process wrote to the file, or may have since the start: tells everybody. Gives where
    /// the oldest request that waits is to be looked for.
    fn note_strangers(&self, connection: &Connection) -> rusqlite::Result<i64> {
        // Their clock may run ahead of the timeline, which stands still while the machine sleeps.
        connection.execute(AHEAD, params![self.shared.timeline.stamp().due])?;
        let progress = progress(connection)?;
        self.shared.metrics.outbox_pending.set(progress.pending);
        hold(&self.shared.reader).forget_stocks();
        hold(&self.shared.changed).values().for_each(|notify| notify.notify_one());
        Ok(self.upkeep.oldest.min(progress.oldest))
    }
}

/// What was put off for a while is due after that while, counted from now.
const AHEAD: &str = "
UPDATE requests SET due = ?1 + due - due_set, due_set = ?1
WHERE finished IS NULL AND due_set > ?1";

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// The first place from `from` on at which a request waits, and when that was made; or, if there
/// is none nearby, where to go on and when what is there was made.
fn oldest(connection: &Connection, from: i64) -> rusqlite::Result<(i64, Option<i64>)> {
    let found = connection
        .prepare_cached(
            "SELECT seq, created FROM requests NOT INDEXED
             WHERE seq BETWEEN ?1 AND ?2 AND finished IS NULL ORDER BY seq LIMIT 1",
        )?
        .query_row(params![from, from.saturating_add(STRIDE)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((seq, created)) = found {
        return Ok((seq, Some(created)));
    }
    let next: Option<(i64, i64)> = connection
        .prepare_cached("SELECT seq, created FROM requests WHERE seq > ?1 ORDER BY seq LIMIT 1")?
        .query_row(params![from.saturating_add(STRIDE)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(next.map_or((from, None), |(seq, created)| (seq, Some(created))))
}

/// When the requests to `endpoint` that wait for a later attempt than `now` leave their turns: so
/// long after the first. As many as are remembered.
pub(super) fn leaving(
    connection: &Connection,
    (endpoint, now): (&str, i64),
    after: Duration,
) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut statement = connection.prepare_cached(FAILING)?;
    let rows = statement.query_map(params![endpoint, now], |row| {
        Ok((row.get::<_, i64>(1)?.saturating_add(millis(after)), row.get(0)?))
    })?;
    rows.take(ASIDES).collect()
}

pub(super) const FAILING: &str = "
SELECT seq, failing FROM requests
WHERE endpoint = ?1 AND state = 'waiting' AND due > ?2
    AND finished IS NULL AND aside = 0 AND failing IS NOT NULL";

/// Gives free space back to the disk.
pub(super) fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    prune::give_back(connection)
}
