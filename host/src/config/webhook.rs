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
    /// Which calls to send.
    pub filter: Filter,
    /// How it is delivered to.
    pub delivery: DeliveryConfig,
}

/// The kinds of event that this version can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedEvent {
    /// A destination starts to ring.
    Ringing,
    /// Somebody answered.
    Start,
    /// A link ended.
    End,
}

const SERVED: [(&str, ServedEvent); 3] =
    [("ringing", ServedEvent::Ringing), ("start", ServedEvent::Start), ("end", ServedEvent::End)];

/// Kinds of event that have a name but are not made yet.
const NOT_SERVED: [&str; 5] = ["ringing-stopped", "dialing", "hold", "resume", "recording"];

impl ServedEvent {
    /// The name in the .ini, the same as [`crate::event::EventKind::name`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Start => "start",
            Self::End => "end",
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
    let plugins = reader.or("plugins", vec![PLAIN_GET.to_owned()], chain);
    let events = reader.or("events", SERVED.map(|(_, kind)| kind).to_vec(), events);
    let internal = reader.or("internal", false, value::flag);
    reader.optional("dialect", dialect);
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
        if NOT_SERVED.contains(&word) {
            let served = SERVED.map(|(name, _)| name).join(", ");
            return Err(Fault::NotServed { value: word.to_owned(), served });
        }
        let event = value::word(value, word, "event", &SERVED)?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    Ok(events)
}

/// The spelling of the plain GET; only the original one so far.
fn dialect(value: &Value<'_>) -> Result<(), Fault> {
    match value.text.as_str() {
        "pickup" => {
            let served = "classic".to_owned();
            Err(Fault::NotServed { value: value.text.clone(), served })
        }
        text => value::word(value, text, "dialect", &[("classic", ())]),
    }
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
