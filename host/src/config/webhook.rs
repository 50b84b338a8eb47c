//! `[webhook]`: an endpoint, which events go there and through which plugins.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

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
    /// For one whole exchange: connecting, headers and body.
    pub timeout: Duration,
    /// The waits before the second attempt, the third and so on; then the request is dead.
    pub schedule: Vec<Duration>,
    /// PEM file with certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
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
    /// A recording of an ended link is there.
    Recording,
}

const SERVED: [(&str, ServedEvent); 4] = [
    ("ringing", ServedEvent::Ringing),
    ("start", ServedEvent::Start),
    ("end", ServedEvent::End),
    ("recording", ServedEvent::Recording),
];

/// What is sent unless something else is asked for.
const USUAL: [ServedEvent; 3] = [ServedEvent::Ringing, ServedEvent::Start, ServedEvent::End];

/// Kinds of event that have a name but are not made yet.
const NOT_SERVED: [&str; 4] = ["ringing-stopped", "dialing", "hold", "resume"];

impl ServedEvent {
    /// The name in the .ini, the same as [`crate::event::EventKind::name`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Start => "start",
            Self::End => "end",
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
    const SECOND: Duration = Duration::from_secs(1);
    let url = reader.required("url", "the address that events are sent to", value::address);
    let plugins = reader.or("plugins", vec![PLAIN_GET.to_owned()], chain);
    let events = reader.or("events", USUAL.to_vec(), events);
    let internal = reader.or("internal", false, value::flag);
    reader.optional("dialect", dialect);
    let filter = Filter {
        did: reader.or("did", Vec::new(), patterns),
        user: reader.or("user", Vec::new(), patterns),
        queue: reader.or("queue", Vec::new(), patterns),
        direction: reader.or("direction", Vec::new(), directions),
    };
    let timeout = value::duration(SECOND / 10, SECOND * 300);
    let timeout = reader.or("timeout", SECOND * 15, timeout);
    let schedule = value::durations(SECOND / 1000, SECOND * 7 * 86_400);
    let schedule = reader.or("schedule", usual_schedule(), schedule);
    let ca_file = reader.optional("ca_file", value::file);
    let insecure = reader.or("insecure", false, value::flag);

    if url.as_ref().is_some_and(value::travels_in_the_open) {
        reader.warn("url", "http: who calls whom can be read on its way; use https");
    }
    if insecure {
        reader.warn("insecure", "any certificate is accepted, so anybody can pose as the receiver");
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
        timeout,
        schedule,
        ca_file,
        insecure,
    })
}

/// Thirteen attempts within about three days.
fn usual_schedule() -> Vec<Duration> {
    [1, 5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 86_400]
        .map(Duration::from_secs)
        .to_vec()
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
