//! Sums that tell whether a row is what was written.
//!
//! The file's format has none of its own: a bit that flipped in a URL would be sent as it is.

use crc32fast::Hasher;

/// What of a request must not have changed since it was written: where it goes and what is sent.
pub(super) struct RequestParts<'a> {
    pub(super) id: &'a str,
    pub(super) event_id: &'a str,
    pub(super) endpoint: &'a str,
    pub(super) lane: &'a str,
    pub(super) sequence: i64,
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) headers: &'a str,
    pub(super) body: &'a [u8],
    pub(super) tag: Option<&'a str>,
    pub(super) state: &'a [u8],
    /// Rows of versions before 3 have none.
    pub(super) base: Option<&'a str>,
}

impl RequestParts<'_> {
    /// Its sum.
    pub(super) fn sum(&self) -> i64 {
        let sequence = self.sequence.to_le_bytes();
        let mut parts = vec![
            self.id.as_bytes(),
            self.event_id.as_bytes(),
            self.endpoint.as_bytes(),
            self.lane.as_bytes(),
            &sequence,
            self.method.as_bytes(),
            self.url.as_bytes(),
            self.headers.as_bytes(),
            self.body,
            self.tag.unwrap_or_default().as_bytes(),
            self.state,
        ];
        parts.extend(self.base.map(str::as_bytes));
        sum(&parts)
    }
}

/// The sum of these parts, each with its length.
pub(super) fn sum(parts: &[&[u8]]) -> i64 {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(&part.len().to_le_bytes());
        hasher.update(part);
    }
    i64::from(hasher.finalize())
}
