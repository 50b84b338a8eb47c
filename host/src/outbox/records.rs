//! What an operator sees of the outbox, and can ask of it.

use std::time::Duration;

use super::{Attempt, Class};
use crate::request::Request;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It is to be sent, now or later.
    Waiting,
    /// The receiver has it.
    Delivered,
    /// It will not be sent, for a reason that is kept with it.
    Dead,
    /// It was worth sending only up to a time that has passed.
    Expired,
}

/// Which deliveries to list or to change: those to which all that is set applies.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// One of these states; any if empty.
    pub states: Vec<DeliveryState>,
    /// To this endpoint.
    pub endpoint: Option<String>,
    /// Of this chain of calls.
    pub chain: Option<String>,
    /// Made at this time or later.
    pub since: Option<jiff::Timestamp>,
    /// Made before this time.
    pub until: Option<jiff::Timestamp>,
    /// So many at most.
    pub limit: usize,
    /// What comes after this place.
    pub after: Option<Cursor>,
}

/// A place in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cursor {
    /// Among what no request could be made of, which comes first.
    Failed(i64),
    /// Among the replies that could not be judged, which come next.
    Reply(i64),
    /// Among the requests.
    Request(i64),
}

/// Which requests to change.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Those with these ids.
    Ids(Vec<String>),
    /// Those that the filter lets through; `limit` and `after` do not count.
    Filter(DeliveryFilter),
}

/// A delivery in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Where the listing goes on.
    pub cursor: Cursor,
    /// The request's id; `EVENT:ENDPOINT` if a plugin could make no request of the event;
    /// `REQUEST/reply` if a plugin could not judge a reply.
    pub id: String,
    /// The event.
    pub event_id: String,
    /// The endpoint.
    pub endpoint: String,
    /// The lane within the endpoint; nothing for what is no request.
    pub lane: Option<String>,
    /// Where it stands.
    pub state: DeliveryState,
    /// It waits for an earlier one of its lane.
    pub behind: bool,
    /// How often it was tried, as far as that is charged to it.
    pub attempts: u32,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// When it was finished, if it is.
    pub finished: Option<jiff::Timestamp>,
    /// How long until it is due, if it waits; zero if it is overdue.
    pub due_in: Option<Duration>,
    /// Why it is dead or expired.
    pub reason: Option<String>,
}

/// All that is known of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryDetail {
    /// As it is listed.
    pub row: DeliveryRow,
    /// 0 for what the event became at first; counts up each time it is replayed.
    pub generation: u32,
    /// What it gives way to when the disk is full.
    pub class: Class,
    /// The endpoint's `url` when it was made, if that is known.
    pub base: Option<String>,
    /// What is sent, if there is a request and it can be read.
    pub request: Option<Request>,
    /// The event as JSON, if it is still there.
    pub event: Option<String>,
    /// The last attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Of an event that a plugin failed on: what the plugin wrote, and where it was.
    pub details: String,
}

/// How much room the disk leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Enough for everything.
    #[default]
    None,
    /// Requests of [`Class::Extra`] are not taken.
    Extras,
    /// Requests of [`Class::Popup`] are not taken either.
    Popups,
    /// Nothing can be committed, what must not get lost waits.
    Full,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Dead, Self::Expired];

    /// As a user writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Expired => "expired",
        }
    }
}

impl Pressure {
    /// Whether requests of `class` are not taken.
    pub fn sheds(self, class: Class) -> bool {
        match class {
            Class::Extra => self >= Self::Extras,
            Class::Popup => self >= Self::Popups,
            Class::Core => false,
        }
    }
}
