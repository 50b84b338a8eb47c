//! The doors through which fuzzing reaches this module.

use std::collections::BTreeMap;

use super::{token, wire, xapi};
use crate::clock::Moment;
use crate::source::notice::{DnType, LegKey, Participant, Status};

fn key() -> LegKey {
    LegKey { dn: "106".to_owned(), id: 1 }
}

/// A phone that rings for somebody outside.
pub(crate) fn ringing() -> Participant {
    Participant {
        key: key(),
        call_id: 1,
        leg_id: 2,
        status: Status::Ringing,
        party_dn: "10007".to_owned(),
        party_dn_type: DnType::ExternalLine,
        party_caller_id: "420774852629".to_owned(),
        party_caller_name: String::new(),
        party_did: String::new(),
        originated_by_dn: "ROUTER".to_owned(),
        originated_by_type: DnType::RoutePoint,
        referred_by_dn: String::new(),
        referred_by_type: DnType::None,
        on_behalf_of_dn: String::new(),
        on_behalf_of_type: DnType::None,
        device_id: String::new(),
    }
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
