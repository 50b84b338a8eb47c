//! `[webhook]`: an endpoint, which events go there and through which plugins.

use url::Url;

use super::delivery::{self, Credentials, DeliveryConfig};
use super::error::Fault;
use super::filter::{Filter, Pattern};
use super::plugin::{self, PLAIN_GET};
use super::section::{Reader, Value};
use super::value;
use crate::event::{CallEvent, Direction};

/// Where requests go.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointConfig {
    /// `webhook` for the section without a name.
    pub name: String,
    /// What the first plugin's draft asks for. http or https.
    pub url: Url,
    /// The chain of plugins, in order; at least one.
    pub plugins: Vec<String>,
    /// The kinds of event to send; at least one.
    pub events: Vec<ServedEvent>,
    /// Whether calls between two internal numbers are sent too.
    pub internal: bool,
    /// How plain-get spells what is sent.
    pub dialect: Dialect,
    /// Which calls to send.
    pub filter: Filter,
    /// How it is delivered to.
    pub delivery: DeliveryConfig,
}

/// The kinds of event that an endpoint can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedEvent {
    /// A destination starts to ring.
    Ringing,
    /// Somebody answered.
    Start,
    /// A link ended.
    End,
    /// A phone stopped ringing without an answer of its own.
    RingingStopped,
    /// An outgoing call was dialled.
    Dialing,
    /// The user put the other side on hold.
    Hold,
    /// The user took the other side back.
    Resume,
    /// A recording is there.
    Recording,
}

/// By their names, the usual ones first.
const SERVED: [(&str, ServedEvent); 8] = [
    ("ringing", ServedEvent::Ringing),
    ("start", ServedEvent::Start),
    ("end", ServedEvent::End),
    ("ringing-stopped", ServedEvent::RingingStopped),
    ("dialing", ServedEvent::Dialing),
    ("hold", ServedEvent::Hold),
    ("resume", ServedEvent::Resume),
    ("recording", ServedEvent::Recording),
];

/// What is sent where `events` is not set.
const USUAL: [ServedEvent; 3] = [ServedEvent::Ringing, ServedEvent::Start, ServedEvent::End];

/// How plain-get spells an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As the original did at first: a start is `hangupincoming` or `hangupoutgoing`.
    #[default]
    Classic,
    /// As the original did later: a start is `pickupincoming` or `pickupoutgoing`, and every event
    /// carries `chid` and `inbound_did`.
    Pickup,
}

const DIALECTS: [(&str, Dialect); 2] = [("classic", Dialect::Classic), ("pickup", Dialect::Pickup)];

impl Dialect {
    /// The name in the .ini.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Pickup => "pickup",
        }
    }
}

impl ServedEvent {
    /// The name in the .ini, the same as [`crate::event::EventKind::name`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Start => "start",
            Self::End => "end",
            Self::RingingStopped => "ringing-stopped",
            Self::Dialing => "dialing",
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Recording => "recording",
        }
    }
}

impl EndpointConfig {
    /// Whether this event is to be sent here.
    pub fn wants(&self, event: &CallEvent) -> bool {
        self.events.iter().any(|kind| kind.name() == event.kind.name())
            && (self.internal || event.direction != Direction::Internal)
            && self.filter.matches(event)
    }
}

/// Reads the section of the endpoint called `name`.
pub(super) fn read(reader: &mut Reader<'_>, name: &str) -> Option<EndpointConfig> {
    let url = reader.required("url", "the address that events are sent to", value::address);
    reader.warn_of_readable_address("url");
    let plugins = reader.or("plugins", vec![PLAIN_GET.to_owned()], chain);
    let events = reader.or("events", USUAL.to_vec(), events);
    let internal = reader.or("internal", false, value::flag);
    let dialect = reader.or("dialect", Dialect::default(), dialect);
    let filter = Filter {
        did: reader.or("did", Vec::new(), patterns),
        user: reader.or("user", Vec::new(), patterns),
        queue: reader.or("queue", Vec::new(), patterns),
        direction: reader.or("direction", Vec::new(), directions),
    };
    let delivery = delivery::read(reader);

    if url.as_ref().is_some_and(value::travels_in_the_open) {
        reader.warn("url", "http: who calls whom can be read on its way; use https");
        if delivery.credentials != Credentials::None {
            reader.warn("auth", "http: the credentials can be read on their way; use https");
        }
    }
    if filter.direction.contains(&Direction::Internal) && !internal {
        reader.warn("direction", "internal calls are sent only with internal = yes");
    }
    Some(EndpointConfig {
        name: name.to_owned(),
        url: url?,
        plugins,
        events,
        internal,
        dialect,
        filter,
        delivery,
    })
}

fn chain(value: &Value<'_>) -> Result<Vec<String>, Fault> {
    let items = value::list(value)?.into_iter();
    items.map(|name| plugin::known(name, &value.file.plugins)).collect()
}

fn events(value: &Value<'_>) -> Result<Vec<ServedEvent>, Fault> {
    let mut events = Vec::new();
    for word in value::list(value)? {
        let event = value::word(value, word, "event", &SERVED)?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    Ok(events)
}

fn dialect(value: &Value<'_>) -> Result<Dialect, Fault> {
    value::word(value, &value.text, "dialect", &DIALECTS)
}

fn patterns(value: &Value<'_>) -> Result<Vec<Pattern>, Fault> {
    let read = |item| {
        Pattern::parse(item).ok_or_else(|| Fault::BadValue {
            value: value.shown(item),
            expected: "a range that runs upwards, such as 100-199".to_owned(),
        })
    };
    value::list(value)?.into_iter().map(read).collect()
}

fn directions(value: &Value<'_>) -> Result<Vec<Direction>, Fault> {
    let words = [
        ("incoming", Direction::Incoming),
        ("outgoing", Direction::Outgoing),
        ("internal", Direction::Internal),
    ];
    let items = value::list(value)?.into_iter();
    items.map(|item| value::word(value, item, "direction", &words)).collect()
}
