//! The tables and their versions.
//!
//! No table refers to another by a foreign key and none has a check: nothing in the data may make
//! a transaction fail, because a transaction that fails is tried until it succeeds.

use std::collections::BTreeSet;

use anyhow::ensure;
use rusqlite::{Connection, TransactionBehavior};

use super::file::explain;

/// Marks the file as an outbox ("call").
pub(super) const APPLICATION: i64 = 0x6361_6c6c;

/// What leads from each version to the next; the first from an empty file. Never change one that
/// was released.
const MIGRATIONS: [&str; 6] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6];

const VERSION_1: &str = "
-- The engine's state by call.
CREATE TABLE calls (
    pbx TEXT NOT NULL,
    key TEXT NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (pbx, key)
) STRICT;

-- What happened, as JSON.
CREATE TABLE events (
    event_id TEXT NOT NULL PRIMARY KEY,
    pbx TEXT NOT NULL,
    chain TEXT NOT NULL,
    kind TEXT NOT NULL,
    json TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE INDEX events_created ON events (created);

-- What is to be sent. States: 'behind' an earlier one of its endpoint and lane, 'waiting' for its
-- time with its turn come, 'delivered', 'dead' for the reason given.
CREATE TABLE requests (
    seq INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    event_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    lane TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    due INTEGER NOT NULL,
    due_set INTEGER NOT NULL,
    finished INTEGER,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    tag TEXT,
    plugin_state BLOB NOT NULL
) STRICT;
CREATE INDEX requests_due ON requests (endpoint, due) WHERE state = 'waiting';
-- The last two columns are there so that counting at the start reads nothing else.
CREATE INDEX requests_lane ON requests (endpoint, lane, seq, due_set, state)
    WHERE state IN ('waiting', 'behind');
CREATE INDEX requests_event ON requests (event_id);
CREATE INDEX requests_finished ON requests (finished, seq) WHERE finished IS NOT NULL;

-- The last attempts at each request.
CREATE TABLE attempts (
    request INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    reply BLOB NOT NULL,
    truncated INTEGER NOT NULL,
    PRIMARY KEY (request, number)
) STRICT;

-- Events of which a plugin could not make requests.
CREATE TABLE failed_transforms (
    event_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    plugin TEXT NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (event_id, endpoint)
) STRICT;
";

const VERSION_2: &str = "
ALTER TABLE requests ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
-- When it is no longer worth sending, if ever.
ALTER TABLE requests ADD COLUMN expires INTEGER;
-- What gives way first when the disk is full: 0 extras, 1 pop-ups, 2 never.
ALTER TABLE requests ADD COLUMN class INTEGER NOT NULL DEFAULT 2;
-- When its first attempt failed.
ALTER TABLE requests ADD COLUMN failing INTEGER;
-- It left its turn to the next of its lane. States 'expired' and, beside 'dead', a reason.
ALTER TABLE requests ADD COLUMN aside INTEGER NOT NULL DEFAULT 0;
-- Check what is sent and where, the event, the state; rows of version 1 have none.
ALTER TABLE requests ADD COLUMN sum INTEGER;
ALTER TABLE events ADD COLUMN sum INTEGER;
ALTER TABLE calls ADD COLUMN sum INTEGER;

CREATE INDEX requests_expires ON requests (expires)
    WHERE expires IS NOT NULL AND state IN ('waiting', 'behind');
CREATE INDEX requests_failed ON requests (seq) WHERE state IN ('dead', 'expired');
CREATE INDEX events_chain ON events (chain);
CREATE INDEX failed_created ON failed_transforms (created);

-- What parts of the service keep for later starts.
CREATE TABLE kept (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- How many transactions there were.
CREATE TABLE progress (commits INTEGER NOT NULL) STRICT;
INSERT INTO progress VALUES (0);
";

const VERSION_3: &str = "
-- The endpoint's url when it was made; what hangs on it follows it. Rows of before have none.
ALTER TABLE requests ADD COLUMN base TEXT;
-- How many of its attempts were refused.
ALTER TABLE requests ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
";

const VERSION_4: &str = "
-- What helps the plugin's author: what it wrote, and where it was.
ALTER TABLE failed_transforms ADD COLUMN details TEXT NOT NULL DEFAULT '';
";

const VERSION_5: &str = "
-- What follows from the reply to a request takes that one's place (its seq) in the lane; depth
-- says how many requests lead to it.
ALTER TABLE requests ADD COLUMN place INTEGER;
ALTER TABLE requests ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
CREATE INDEX requests_following ON requests (endpoint, lane, place, depth DESC, seq)
    WHERE state = 'behind' AND depth > 0;

-- What plugins keep of chains of calls.
CREATE TABLE memory (
    pbx TEXT NOT NULL,
    chain TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    plugin TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    touched INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (pbx, chain, endpoint, plugin, key)
) STRICT;
CREATE INDEX memory_touched ON memory (touched);

-- Replies that a plugin could not judge, the last one of each request.
CREATE TABLE failed_replies (
    request TEXT NOT NULL PRIMARY KEY,
    event_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    plugin TEXT NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    created INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    truncated INTEGER NOT NULL,
    details TEXT NOT NULL
) STRICT;
CREATE INDEX failed_replies_created ON failed_replies (created);
CREATE INDEX failed_replies_event ON failed_replies (event_id);
";

const VERSION_6: &str = "
-- By whether it is finished and not by its state, so that who gets a turn stays where it is. The
-- last columns are there so that counting at the start, and looking whether somebody has the turn,
-- read nothing else.
DROP INDEX requests_lane;
CREATE INDEX requests_lane ON requests (endpoint, lane, seq, aside, due_set, finished)
    WHERE finished IS NULL;
DROP INDEX requests_expires;
CREATE INDEX requests_expires ON requests (expires)
    WHERE expires IS NOT NULL AND finished IS NULL;

-- The attempts at a request follow each other: its seq * 65536 + 1 and so on.
CREATE TABLE attempts_by_place (
    place INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    reply BLOB NOT NULL,
    truncated INTEGER NOT NULL
) STRICT;
INSERT INTO attempts_by_place
    SELECT (request & 140737488355327) * 65536 + min(number, 65535), at, took_ms, status, error, reply, truncated
    FROM attempts WHERE true ORDER BY request, number
    ON CONFLICT DO UPDATE SET at = excluded.at, took_ms = excluded.took_ms,
        status = excluded.status, error = excluded.error, reply = excluded.reply,
        truncated = excluded.truncated;
DROP TABLE attempts;
ALTER TABLE attempts_by_place RENAME TO attempts;
";

/// The version that this service writes.
pub(super) const NEWEST: usize = MIGRATIONS.len();

/// Brings the file up to the version that this service writes.
pub(super) fn migrate(connection: &mut Connection) -> anyhow::Result<()> {
    let version = number(connection, "PRAGMA user_version").map_err(explain)?;
    let application = number(connection, "PRAGMA application_id").map_err(explain)?;
    let tables = number(connection, "SELECT count(*) FROM sqlite_schema").map_err(explain)?;
    let empty = version == 0 && application == 0 && tables == 0;
    let version = if empty { 0 } else { known(version, application)? };
    // What is sorted for a new index need not fit into memory.
    connection.pragma_update(None, "temp_store", "FILE")?;
    for (reached, sql) in (1_i64..).zip(MIGRATIONS).skip(version) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step(&transaction, sql, reached)?;
        transaction.commit()?;
    }
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

/// Leads to the version `reached`, within a transaction.
fn step(transaction: &Connection, sql: &str, reached: i64) -> rusqlite::Result<()> {
    transaction.execute_batch(sql)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", reached)
}

/// Whether all tables and indexes are what the migrations made. A flipped bit in the name of a
/// column leaves a file that is well formed, and a text that may be none.
pub(super) fn is_whole(connection: &Connection) -> anyhow::Result<bool> {
    let mut fresh = Connection::open_in_memory()?;
    migrate(&mut fresh)?;
    let read = |connection: &Connection| -> rusqlite::Result<BTreeSet<(Vec<u8>, Vec<u8>)>> {
        let sql = "SELECT CAST(coalesce(name, '') AS BLOB), CAST(coalesce(sql, '') AS BLOB)
             FROM sqlite_schema";
        let mut statement = connection.prepare(sql)?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let expected = read(&fresh)?;
    Ok(expected.is_subset(&read(connection).map_err(explain)?))
}

/// Fails unless an outside reader can read the file as it is.
pub(super) fn expect_newest(connection: &Connection) -> anyhow::Result<()> {
    let version = number(connection, "PRAGMA user_version").map_err(explain)?;
    let application = number(connection, "PRAGMA application_id").map_err(explain)?;
    ensure!(
        known(version, application)? == NEWEST,
        "an older service wrote it; start this one once to bring it up to date"
    );
    Ok(())
}

/// The version of the schema, if it is one that this service knows.
fn known(version: i64, application: i64) -> anyhow::Result<usize> {
    ensure!(application == APPLICATION, "the file is a database, but no outbox; set another path");
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    ensure!(
        version <= NEWEST,
        "a newer service wrote it (its schema is {version}, this one knows up to {NEWEST}); \
         install that version or a newer one"
    );
    Ok(version)
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}

/// The migrations from one version to another, for a test that does not let them end there.
#[cfg(test)]
pub(super) fn migrate_within(connection: &Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    let steps = (1_i64..).zip(MIGRATIONS).filter(|(reached, _)| (from + 1..=to).contains(reached));
    steps.into_iter().try_for_each(|(reached, sql)| step(connection, sql, reached))
}
