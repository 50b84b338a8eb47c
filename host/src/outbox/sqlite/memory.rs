//! What plugins keep of chains of calls: a row for every key.

use rusqlite::{Connection, params};

use super::check::sum;
use super::timeline::Stamp;
use crate::outbox::{MemoryChange, MemoryScope};

/// Stores a change.
pub(super) fn store(
    connection: &Connection,
    change: &MemoryChange,
    now: Stamp,
) -> rusqlite::Result<()> {
    let MemoryChange { scope, key, value } = change;
    let MemoryScope { pbx, chain, endpoint, plugin } = scope;
    match value {
        Some(value) => connection.prepare_cached(SET)?.execute(params![
            pbx,
            chain,
            endpoint,
            plugin,
            key,
            value,
            now.wall,
            memory_sum(scope, key, value),
        ])?,
        None => connection
            .prepare_cached(REMOVE)?
            .execute(params![pbx, chain, endpoint, plugin, key])?,
    };
    Ok(())
}

const SET: &str = "
INSERT INTO memory (pbx, chain, endpoint, plugin, key, value, touched, sum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT DO UPDATE SET value = excluded.value, touched = excluded.touched, sum = excluded.sum";

const REMOVE: &str = "
DELETE FROM memory WHERE pbx = ?1 AND chain = ?2 AND endpoint = ?3 AND plugin = ?4 AND key = ?5";

/// See [`Scan::recall`](crate::outbox::Scan::recall).
pub(super) fn recall(
    connection: &Connection,
    scope: &MemoryScope,
) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
    let MemoryScope { pbx, chain, endpoint, plugin } = scope;
    let mut statement = connection.prepare_cached(RECALL)?;
    let mut rows = statement.query(params![pbx, chain, endpoint, plugin])?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next()? {
        let (key, value): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if row.get::<_, i64>(2)? == memory_sum(scope, &key, &value) {
            kept.push((key, value));
        } else {
            tracing::error!(plugin, endpoint, chain, "What a plugin kept is damaged; forgotten.");
        }
    }
    Ok(kept)
}

pub(super) const RECALL: &str = "
SELECT key, value, sum FROM memory
WHERE pbx = ?1 AND chain = ?2 AND endpoint = ?3 AND plugin = ?4";

/// The sum of what is kept under a key.
fn memory_sum(scope: &MemoryScope, key: &str, value: &[u8]) -> i64 {
    let MemoryScope { pbx, chain, endpoint, plugin } = scope;
    let [pbx, chain, endpoint, plugin] = [pbx, chain, endpoint, plugin].map(String::as_bytes);
    sum(&[pbx, chain, endpoint, plugin, key.as_bytes(), value])
}
