//! A request that has its turn: as the writer has just stored it, or as it is in the file.

use std::time::Duration;

use rusqlite::Row;

use super::check::RequestParts;
use crate::outbox::{Claimed, NewRequest};
use crate::request::Request;

/// A request that has its turn and is due.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) seq: i64,
    pub(super) endpoint: String,
    pub(super) due: i64,
    pub(super) expires: Option<i64>,
    /// When its first attempt failed.
    pub(super) failing: Option<i64>,
    /// Without what depends on when it is claimed.
    pub(super) claimed: Claimed,
}

impl Head {
    /// What was just stored at `seq`.
    pub(super) fn stored(
        seq: i64,
        id: String,
        new: &NewRequest,
        due: i64,
        expires: Option<i64>,
    ) -> Self {
        let claimed = Claimed {
            id,
            event_id: new.event_id.clone(),
            lane: new.lane.clone(),
            sequence: new.sequence,
            attempts: 0,
            refusals: 0,
            failing_for: None,
            expired: false,
            lease: 0,
            base: Some(new.base.clone()),
            request: new.request.clone(),
        };
        Self { seq, endpoint: new.endpoint.clone(), due, expires, failing: None, claimed }
    }

    /// Hands it out.
    pub(super) fn claim(self, now: i64, lease: i64) -> Claimed {
        let since = |then: i64| u64::try_from(now.saturating_sub(then)).unwrap_or(0);
        Claimed {
            failing_for: self.failing.map(|then| Duration::from_millis(since(then))),
            expired: self.expires.is_some_and(|expires| expires <= now),
            lease,
            ..self.claimed
        }
    }

    /// About as much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let request = &self.claimed.request;
        request.url.len() + request.body.len() + request.state.len()
    }

    /// What comes due first comes first, and of those at the same time what was made first.
    pub(super) fn place(&self) -> (i64, i64) {
        (self.due, self.seq)
    }
}

/// The columns of which a [`Head`] is read.
macro_rules! head_columns {
    () => {
        "seq, id, event_id, endpoint, lane, sequence, attempts, due, expires, failing, method, url,
            headers, body, tag, plugin_state, sum, state, base, refusals"
    };
}
pub(super) use head_columns;

/// A request that has its turn, of a row of [`head_columns`]. Fails if it cannot be sent.
pub(super) fn head(row: &Row<'_>) -> anyhow::Result<Head> {
    let headers: String = row.get(12)?;
    let claimed = Claimed {
        id: row.get(1)?,
        event_id: row.get(2)?,
        lane: row.get(4)?,
        sequence: row.get(5)?,
        attempts: row.get(6)?,
        refusals: row.get(19)?,
        failing_for: None,
        expired: false,
        lease: 0,
        base: row.get(18)?,
        request: Request {
            method: row.get(10)?,
            url: row.get(11)?,
            headers: serde_json::from_str(&headers)?,
            body: row.get(13)?,
            tag: row.get(14)?,
            state: row.get(15)?,
            ..Request::default()
        },
    };
    let endpoint: String = row.get(3)?;
    let written: Option<i64> = row.get(16)?;
    let right = parts(&claimed, &endpoint, &headers).sum();
    anyhow::ensure!(written.is_none_or(|sum| sum == right), "it is not what was written");
    let (seq, due) = (row.get(0)?, row.get(7)?);
    Ok(Head { seq, endpoint, due, expires: row.get(8)?, failing: row.get(9)?, claimed })
}

fn parts<'a>(claimed: &'a Claimed, endpoint: &'a str, headers: &'a str) -> RequestParts<'a> {
    let request = &claimed.request;
    RequestParts {
        id: &claimed.id,
        event_id: &claimed.event_id,
        endpoint,
        lane: &claimed.lane,
        sequence: i64::from(claimed.sequence),
        method: &request.method,
        url: &request.url,
        headers,
        body: &request.body,
        tag: request.tag.as_deref(),
        state: &request.state,
        base: claimed.base.as_deref(),
    }
}
