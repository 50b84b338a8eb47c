//! What goes into the outbox and what comes out of it.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::Context;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::MemoryChange;
use crate::event::CallEvent;
use crate::request::Request;

/// What stays readable in an id; a `.` does not, because a `webhook-id` may not contain one.
const ID_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// What follows from one notice of the PBX: durable together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The PBX that `calls` belong to.
    pub pbx: String,
    /// The engine's state by call; `None` forgets the call.
    pub calls: Vec<(String, Option<Vec<u8>>)>,
    /// What happened.
    pub events: Vec<StoredEvent>,
    /// What is to be sent, in order.
    pub requests: Vec<NewRequest>,
    /// Events of which a plugin could not make requests.
    pub failures: Vec<FailedTransform>,
    /// What the plugins keep.
    pub memory: Vec<MemoryChange>,
}

/// An event as it is kept, so that it can be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Unique.
    pub event_id: String,
    /// The name of the PBX.
    pub pbx: String,
    /// The chain of calls.
    pub chain: String,
    /// The kind's name as the .ini writes it.
    pub kind: String,
    /// The whole event.
    pub json: String,
}

/// A request to be sent to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRequest {
    /// The event that it was made of.
    pub event_id: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// Its place among the requests of this event to this endpoint, from 0.
    pub index: u32,
    /// Requests to one endpoint with the same lane are sent one after another.
    pub lane: String,
    /// The place of the event in its chain of calls.
    pub sequence: u32,
    /// 0 for what the event became at first; counts up each time it is replayed.
    pub generation: u32,
    /// How long it is worth sending, from now; for ever without. One that is never claimed
    /// expires all the same.
    pub expires_in: Option<Duration>,
    /// What it gives way to when the disk is full.
    pub class: Class,
    /// The endpoint's `url`, so that what hangs on it follows it when it changes.
    pub base: String,
    /// What to send; its `delay_ms` puts off the first attempt.
    pub request: Request,
}

/// What gives way first when the disk is full, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Kinds of event that somebody had to opt in to.
    Extra,
    /// Ringing: worth something only while it rings.
    Popup,
    /// Start, end and what follows from them: never gives way.
    Core,
}

/// An event of which a plugin could not make requests for an endpoint: a dead letter without a
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTransform {
    /// The event.
    pub event_id: String,
    /// The endpoint that gets nothing for it.
    pub endpoint: String,
    /// The plugin that failed.
    pub plugin: String,
    /// The kind of failure.
    pub kind: String,
    /// What the plugin, or the host about the plugin, said.
    pub message: String,
    /// What helps its author, in several lines: what it wrote, and where it was.
    pub details: String,
}

/// What a claim found.
#[derive(Debug)]
pub struct Claims {
    /// The claimed requests, the longest due first.
    pub requests: Vec<Claimed>,
    /// When the next one comes due, if nothing changes before.
    pub next_in: Option<Duration>,
}

/// A request whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The request's id: the same for every attempt.
    pub id: String,
    /// The event that it was made of.
    pub event_id: String,
    /// The lane within the endpoint.
    pub lane: String,
    /// The place of the event in its chain of calls.
    pub sequence: u32,
    /// How often it was tried so far, as far as that is charged to it.
    pub attempts: u32,
    /// How many of those were refused.
    pub refusals: u32,
    /// How long ago the first attempt failed, if one did.
    pub failing_for: Option<Duration>,
    /// It was worth sending only up to now.
    pub expired: bool,
    /// Tells this claim from earlier and later ones of the same request.
    pub lease: i64,
    /// The endpoint's `url` when it was made, if that is known.
    pub base: Option<String>,
    /// What to send.
    pub request: Request,
}

/// What became of a claimed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The attempt succeeded.
    Delivered(Attempt),
    /// The attempt failed, and the request is due again after a while.
    Later {
        /// The attempt.
        attempt: Attempt,
        /// When it is due again, from now.
        wait: Duration,
        /// What it costs the request.
        charge: Charge,
        /// After so long, the request leaves its turn to the next of the lane and waits aside,
        /// unless it is tried again before. An outbox may forget that over a restart; see
        /// [`Outbox::let_pass`](super::Outbox::let_pass).
        aside: Option<Duration>,
    },
    /// There will be no other attempt, for this reason.
    Dead {
        /// The last attempt.
        attempt: Attempt,
        /// Why.
        reason: String,
    },
    /// It is no longer worth sending.
    Expired,
    /// It was not tried; it is due again after this time.
    GivenBack(Duration),
}

/// What an attempt that failed costs its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Nothing: the endpoint was to blame.
    Nothing,
    /// One of its attempts.
    Attempt,
    /// One of its attempts, and one of the few refusals that it may have.
    Refusal,
}

/// One attempt to send a request, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: jiff::Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The reply's status, if there was a reply.
    pub status: Option<u16>,
    /// Why it failed, unless it succeeded.
    pub error: Option<String>,
    /// The beginning of the reply's body.
    pub reply: Vec<u8>,
    /// The reply was longer than `reply`.
    pub truncated: bool,
}

impl StoredEvent {
    /// `event` as it is kept.
    pub fn new(event: &CallEvent) -> anyhow::Result<Self> {
        let json = serde_json::to_string(event)
            .with_context(|| format!("while writing the event {} as JSON", event.event_id))?;
        Ok(Self {
            event_id: event.event_id.clone(),
            pbx: event.pbx.clone(),
            chain: event.id.chain.to_string(),
            kind: event.kind.name().to_owned(),
            json,
        })
    }
}

impl Class {
    /// As a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Extra => "extra",
            Self::Popup => "popup",
            Self::Core => "core",
        }
    }
}

impl FailedTransform {
    /// The id of this dead letter, e.g. `pbx-210701165649_698-3:crm`.
    pub fn id(&self) -> String {
        failure_id(&self.event_id, &self.endpoint)
    }
}

impl NewRequest {
    /// The request's id, which follows from what it was made of.
    pub fn id(&self) -> String {
        request_id(&self.event_id, &self.endpoint, self.index, self.generation)
    }
}

/// The id of the request number `index` (from 0) that the event became for the endpoint, e.g.
/// `pbx-210701165649_698-3:crm:0`; what a replay made of it ends in the replay's `generation`,
/// e.g. `:1`. Fit for the header `webhook-id`, whatever the names contain.
pub fn request_id(event_id: &str, endpoint: &str, index: u32, generation: u32) -> String {
    let event = utf8_percent_encode(event_id, ID_ESCAPES);
    let endpoint = utf8_percent_encode(endpoint, ID_ESCAPES);
    let first = format!("{event}:{endpoint}:{index}");
    if generation == 0 { first } else { format!("{first}:{generation}") }
}

/// The id of the dead letter that says that nothing could be made of the event for the endpoint.
pub(super) fn failure_id(event_id: &str, endpoint: &str) -> String {
    let event = utf8_percent_encode(event_id, ID_ESCAPES);
    format!("{event}:{}", utf8_percent_encode(endpoint, ID_ESCAPES))
}

/// The event and the endpoint that such an id names.
pub(super) fn failure_of(id: &str) -> Option<(String, String)> {
    let (event, endpoint) = id.split_once(':')?;
    let decode = |text: &str| percent_decode_str(text).decode_utf8().map(Cow::into_owned).ok();
    if endpoint.contains(':') { None } else { Some((decode(event)?, decode(endpoint)?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_readable_unique_and_fit_for_a_header() {
        assert_eq!(request_id("pbx-2107_698-3", "crm", 0, 0), "pbx-2107_698-3:crm:0");
        assert_eq!(request_id("pbx-2107_698-3", "crm", 0, 2), "pbx-2107_698-3:crm:0:2");
        assert_eq!(request_id("a.b", "č:0", 1, 0), "a%2Eb:%C4%8D%3A0:1");
        assert_ne!(request_id("a", "b:1", 0, 0), request_id("a:b", "1", 0, 0));
    }

    #[test]
    fn a_failures_id_names_event_and_endpoint_again() {
        let (event, endpoint) = ("a.b:c", "č d");
        let names = Some((event.to_owned(), endpoint.to_owned()));
        assert_eq!(failure_of(&failure_id(event, endpoint)), names);
        assert_eq!(failure_of(&request_id(event, endpoint, 0, 0)), None);
    }
}
