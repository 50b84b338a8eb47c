//! The file in the hands of another process than the service: `callhook deliveries` and the like.

use std::path::Path;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use super::apply::Effects;
use super::change::{self, Change};
use super::progress::Author;
use super::statements::Statements;
use super::timeline::Timeline;
use super::{append, events, file, follow_ups, list, memory, progress, schema};
use crate::clock::Clock;
use crate::outbox::{
    Commit, DeliveryDetail, DeliveryFilter, DeliveryRow, FailedReply, MemoryScope, Pressure,
    Rejudged, Scan, Selection, StoredEvent,
};

/// Reads an outbox that a service may be using.
#[derive(Debug)]
pub struct SqliteReader {
    connection: Connection,
    timeline: Timeline,
}

/// Changes an outbox that a service may be using, in small transactions. The service notices
/// within a second.
#[derive(Debug)]
pub struct SqliteEditor(SqliteReader);

impl SqliteReader {
    /// Opens the file at `path`, which must be there, for reading only.
    pub fn open(path: &Path, clock: Clock) -> anyhow::Result<Self> {
        let open = || -> anyhow::Result<_> {
            ensure_there(path)?;
            Self::over(file::connect_reader(path)?, clock)
        };
        open().with_context(|| format!("while opening the outbox {}", path.display()))
    }

    fn over(connection: Connection, clock: Clock) -> anyhow::Result<Self> {
        schema::expect_newest(&connection)?;
        Ok(Self { connection, timeline: Timeline::new(clock) })
    }
}

fn ensure_there(path: &Path) -> anyhow::Result<()> {
    let there = path.try_exists().context("it cannot be looked for; run this as its user")?;
    ensure!(there, "there is none; the service makes it at its first start");
    Ok(())
}

impl Scan for SqliteReader {
    fn list(&self, filter: &DeliveryFilter) -> anyhow::Result<Vec<DeliveryRow>> {
        let rows = list::list(&self.connection, filter, self.timeline.now());
        rows.context("while listing the deliveries in the outbox")
    }

    fn show(&self, id: &str) -> anyhow::Result<Option<DeliveryDetail>> {
        let detail = list::show(&self.connection, id, self.timeline.now());
        detail.with_context(|| format!("while reading the delivery {id} from the outbox"))
    }

    fn events(
        &self,
        from: Timestamp,
        until: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> anyhow::Result<Vec<StoredEvent>> {
        let events = events::events(&self.connection, from, until, after, limit);
        events.context("while reading events from the outbox")
    }

    fn event(&self, id: &str) -> anyhow::Result<Option<StoredEvent>> {
        events::stored(&self.connection, id).context("while reading an event from the outbox")
    }

    fn failed_reply(&self, request: &str) -> anyhow::Result<Option<FailedReply>> {
        let found = follow_ups::failure(&self.connection, request);
        found.with_context(|| format!("while reading what {request} was answered"))
    }

    fn recall(&self, scope: &MemoryScope) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let kept = memory::recall(&self.connection, scope);
        kept.context("while reading what a plugin keeps")
    }

    fn next_generation(&self, event_id: &str, endpoint: &str) -> anyhow::Result<u32> {
        let generation = events::next_generation(&self.connection, event_id, endpoint);
        generation.with_context(|| format!("while looking for replays of {event_id}"))
    }
}

impl SqliteEditor {
    /// Opens the file at `path`, which must be there, for reading and for changes.
    pub fn open(path: &Path, clock: Clock) -> anyhow::Result<Self> {
        let open = || -> anyhow::Result<_> {
            ensure_there(path)?;
            Ok(Self(SqliteReader::over(file::connect_editor(path)?, clock)?))
        };
        open().with_context(|| format!("while opening the outbox {}", path.display()))
    }

    /// What can be read.
    pub fn scan(&self) -> &dyn Scan {
        &self.0
    }

    /// See [`Outbox::append`](crate::outbox::Outbox::append); on disk when this returns.
    pub fn append(&mut self, commit: &Commit) -> anyhow::Result<()> {
        let now = self.0.timeline.stamp();
        self.transact(|statements, effects| {
            append::append(statements, commit, now, Pressure::None, effects)
        })
        .context("while adding to the outbox")
    }

    /// See [`Outbox::retry`](crate::outbox::Outbox::retry).
    pub fn retry(&mut self, which: &Selection) -> anyhow::Result<u64> {
        self.change(&Change::Retry, which)
    }

    /// See [`Outbox::bury`](crate::outbox::Outbox::bury).
    pub fn bury(&mut self, which: &Selection, reason: &str) -> anyhow::Result<u64> {
        self.change(&Change::Bury(reason.to_owned()), which)
    }

    /// Carries out what a plugin made of a reply long after it came. `false` if the request is
    /// still to be sent, so that its next reply is judged.
    pub fn judge(&mut self, rejudged: &Rejudged) -> anyhow::Result<bool> {
        let now = self.0.timeline.stamp();
        let mut carried_out = false;
        self.transact(|connection, effects| {
            carried_out = follow_ups::rejudge(connection, rejudged, now, effects)?;
            Ok(())
        })
        .context("while adding what follows from a reply")?;
        Ok(carried_out)
    }

    /// Keeps on what a plugin could not judge again.
    pub fn keep_failure(&mut self, failure: &FailedReply) -> anyhow::Result<()> {
        let now = self.0.timeline.stamp();
        self.transact(|connection, _| follow_ups::store_failure(connection, failure, now))
            .context("while keeping a reply")
    }

    /// Forgets what was kept under `name`; `false` if there was nothing. See
    /// [`Outbox::keep`](crate::outbox::Outbox::keep).
    pub fn forget(&mut self, name: &str) -> anyhow::Result<bool> {
        let forgotten = self.0.connection.execute("DELETE FROM kept WHERE name = ?1", [name]);
        Ok(forgotten.context("while changing what the outbox keeps")? > 0)
    }

    fn change(&mut self, change: &Change, which: &Selection) -> anyhow::Result<u64> {
        let mut next = Some(0);
        let mut changed = 0;
        while let Some(from) = next {
            // Before the transaction: meanwhile the service could write nothing.
            let (seqs, more) = change::chosen(&self.0.connection, which, from)
                .context("while looking for the requests in the outbox")?;
            let now = self.0.timeline.stamp();
            self.transact(|statements, effects| {
                changed += change::change_each(statements, change, &seqs, now, effects)?;
                Ok(())
            })
            .context("while changing requests in the outbox")?;
            next = more;
        }
        Ok(changed)
    }

    fn transact(
        &mut self,
        work: impl FnOnce(&Statements<'_>, &mut Effects) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.0.connection.transaction_with_behavior(behavior)?;
        let mut effects = Effects::default();
        work(&Statements::of(&transaction), &mut effects)?;
        progress::note(&transaction, self.0.timeline.stamp(), Author::Another, &mut effects)?;
        transaction.commit()
    }
}
