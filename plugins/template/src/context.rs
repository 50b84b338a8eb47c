//! What templates can name: the event's data, the endpoint, and its address.

use std::collections::BTreeMap;
use std::sync::Arc;

use callhook_plugin::{CallEvent, HttpRequest, json};
use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind};

use crate::names::nearest;

/// All variables. Those that an event does not have are undefined: nothing in a text, `null` in
/// JSON, false in a condition.
pub(crate) const NAMES: &[&str] = &[
    "event",
    "event_id",
    "id",
    "chain_id",
    "link",
    "sequence",
    "pbx",
    "direction",
    "caller_id",
    "caller_name",
    "user",
    "did",
    "queue",
    "arrived_at",
    "occurred_at",
    "resynced",
    "transfer",
    "transferred_by",
    "rang_at",
    "ring_ms",
    "wait_ms",
    "finish",
    "transferred",
    "transferred_to",
    "hung_up_by",
    "title",
    "answered_at",
    "talk_ms",
    "callback_ordered",
    "unanswered",
    "reason",
    "rang_ms",
    "recording_url",
    "duration_ms",
    "extra",
    "endpoint",
    "url",
];

/// What the engine brings.
pub(crate) const FUNCTIONS: &[&str] = &["range", "dict", "namespace", "debug", "loop"];

const PARTY: &[&str] = &["number", "kind", "name", "email"];
const DID: &[&str] = &["number", "name"];

/// What can stand behind the dot of a variable; none if that is not known.
pub(crate) fn members(name: &str) -> Option<&'static [&'static str]> {
    match name {
        "user" | "queue" | "transferred_by" | "transferred_to" => Some(PARTY),
        "did" => Some(DID),
        _ => None,
    }
}

/// The variables for an event, and for the draft that the request starts from.
pub(crate) fn variables(event: &CallEvent, draft: &HttpRequest) -> Value {
    let mut all: BTreeMap<&'static str, Value> = BTreeMap::new();
    let mut fields = json::event(event);
    // `url` is the endpoint's.
    if let Some(url) = fields.remove("url") {
        fields.insert("recording_url".to_owned(), url);
    }
    // Free names: one that is missing here may be there with the next event.
    let extra = fields.remove("extra").map(Value::from_serialize);
    for name in NAMES {
        all.insert(name, fields.remove(*name).map_or(Value::UNDEFINED, value));
    }
    all.insert("extra", extra.unwrap_or_default());
    all.insert("url", Value::from_safe_string(base(&draft.url).to_owned()));
    all.insert("endpoint", draft.extra("endpoint").map_or(Value::UNDEFINED, Value::from));
    Value::from_iter(all)
}

/// The endpoint's address as others are made of it: without a slash at its end.
fn base(url: &str) -> &str {
    let url = url.split('#').next().unwrap_or_default();
    if url.contains('?') { url } else { url.trim_end_matches('/') }
}

/// The same for the engine. What is not known is undefined, so that `default` and `or` serve.
fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::UNDEFINED,
        serde_json::Value::Bool(it) => it.into(),
        serde_json::Value::Number(number) => Value::from_serialize(number),
        serde_json::Value::String(text) => text.into(),
        serde_json::Value::Array(items) => items.into_iter().map(value).collect(),
        serde_json::Value::Object(members) => Value::from_object(Record(
            members.into_iter().map(|(name, it)| (Arc::from(name), value(it))).collect(),
        )),
    }
}

/// A group of values. To ask it for a name that it does not have is an error.
#[derive(Debug)]
struct Record(BTreeMap<Arc<str>, Value>);

impl Object for Record {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let typed = key.as_str()?;
        if let Some(found) = self.0.get(typed) {
            return Some(found.clone());
        }
        let names = self.0.keys().map(|name| &**name);
        let hint = match nearest(typed, names.clone()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no `{typed}`; {hint}");
        Some(Value::from(Error::new(ErrorKind::UndefinedError, message)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(|name| Value::from(Arc::clone(name))).collect())
    }
}
