//! The doors through which fuzzing reaches this module.

use std::collections::BTreeMap;

use super::{token, wire, xapi};
use crate::clock::Moment;
use crate::source::notice::LegKey;

fn key() -> LegKey {
    LegKey { dn: "106".to_owned(), id: 1 }
}

/// The reply to a read of one participant, of a DN's participants.
pub(crate) fn participant(data: &[u8]) {
    let _ = wire::participant(data, &key());
    let _ = wire::find_participant(data, &key());
}

/// A frame of the event socket.
pub(crate) fn frame(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = wire::frame(text);
    }
}

/// The reply to a read of everything.
pub(crate) fn listing(data: &[u8]) {
    if let Ok(listing) = wire::listing(data) {
        let _ = listing.may_miss("106");
    }
}

/// The reply to a login, with the JWT in it.
pub(crate) fn token(data: &[u8]) {
    let now = Moment { wall: jiff::Timestamp::UNIX_EPOCH, mono: std::time::Duration::ZERO };
    if let Ok((header, life)) = token::read_reply(data, now) {
        assert!(header.is_sensitive(), "a token could be printed");
        assert!(!life.is_zero(), "a token that ends at once is asked for for ever");
    }
}

/// A page of the Configuration API.
pub(crate) fn directory_page(data: &[u8]) {
    if let Ok(page) = xapi::page(data) {
        let books = [xapi::Book::Peers, xapi::Book::Users, xapi::Book::DidNumbers]
            .map(|book| (book, page.rows.clone()));
        let _ = xapi::known_from(&BTreeMap::from(books));
    }
}

/// A page of the call log, or of the active calls.
pub(crate) fn call_log_page(data: &[u8]) {
    if let Ok(page) = xapi::page(data) {
        for row in &page.rows {
            let _ = xapi::active(row);
            if let Some(row) = xapi::logged(row) {
                assert!(row.recordings.iter().all(|url| !url.is_empty()), "an empty recording");
            }
        }
    }
}
