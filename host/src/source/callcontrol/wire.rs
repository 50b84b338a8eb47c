//! Reads what the Call Control API sends: frames of the socket, DNs, participants. Pure.
//!
//! Documentation and captures disagree on the casing of keys, and other builds were seen to send
//! other shapes. So keys are compared without regard to case and underscores, numbers may come as
//! text and text as numbers, what is unknown is kept or skipped, and only what a leg cannot do
//! without (its id and the number of its call) is demanded.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::source::notice::{Dn, DnType, LegKey, Participant, Status};

/// What is wrong with a text of the PBX. Says where, never what it held: that may be private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed(String);

/// A message of the event socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The participant is new or has changed.
    Upsert {
        /// Which one.
        key: LegKey,
        /// Its state, if the frame carries it. Documented, but null in all captures.
        attached: Option<Box<Participant>>,
    },
    /// The participant is gone.
    Remove(LegKey),
    /// Nothing about a participant. Says what, for counting.
    Other(&'static str),
}

/// The reply to `GET /callcontrol`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// All visible DNs.
    pub(super) dns: Vec<Dn>,
    /// Their participants.
    pub(super) legs: Vec<Participant>,
    /// DNs of whose participants at least one could not be read: what is missing there need not
    /// be gone.
    pub(super) doubtful: Vec<String>,
    /// Whether some DN could not be read at all: a DN that is missing may still be there.
    pub(super) incomplete: bool,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a text frame of the event socket.
pub(super) fn frame(text: &str) -> Result<Frame, Malformed> {
    let value = json(text.as_bytes())?;
    let envelope = object(&value, "frame")?;
    let event = match field(envelope, "event") {
        Some(event) => object(event, "event")?,
        None => envelope,
    };
    let kind = field(event, "eventtype").ok_or_else(|| Malformed::new("event without type"))?;
    let Some(upsert) = event_type(kind) else {
        return Ok(Frame::Other("event-type"));
    };
    let entity = text_of(event, "entity");
    let Some(key) = participant_path(&entity) else {
        return Ok(Frame::Other("entity"));
    };
    if !upsert {
        return Ok(Frame::Remove(key));
    }
    let attached = field(event, "attacheddata").and_then(|data| attached(data, &key));
    Ok(Frame::Upsert { key, attached })
}

/// Whether the event is an upsert, or a removal; none if it is neither.
fn event_type(kind: &Value) -> Option<bool> {
    match int(kind) {
        Some(0) => Some(true),
        Some(1) => Some(false),
        Some(_) => None,
        // The names are documented, but were never seen on the wire.
        None => match kind.as_str()?.to_ascii_lowercase().as_str() {
            "upsert" | "upset" => Some(true),
            "remove" => Some(false),
            _ => None,
        },
    }
}

/// Reads `/callcontrol/{dn}/participants/{id}`.
fn participant_path(entity: &str) -> Option<LegKey> {
    let mut parts = entity.split('/').filter(|part| !part.is_empty());
    let root = parts.next()?;
    let dn = parts.next()?;
    let folder = parts.next()?;
    let id = parts.next()?.trim().parse().ok()?;
    let matches = parts.next().is_none()
        && root.eq_ignore_ascii_case("callcontrol")
        && folder.eq_ignore_ascii_case("participants");
    let dn = percent_decode_str(dn).decode_utf8().ok()?.into_owned();
    matches.then_some(LegKey { dn, id })
}

/// The participant that a frame carries: taken only if it is a whole one and the one announced.
fn attached(data: &Value, key: &LegKey) -> Option<Box<Participant>> {
    let fields = data.as_object()?;
    field(fields, "status")?;
    participant_of(fields, &key.dn).ok().filter(|found| found.key == *key).map(Box::new)
}

/// Reads the reply to `GET /callcontrol/{dn}/participants/{id}`.
pub(super) fn participant(body: &[u8], asked: &LegKey) -> Result<Participant, Malformed> {
    let value = json(body)?;
    let found = participant_of(object(&value, "participant")?, &asked.dn)?;
    if found.key.id == asked.id {
        return Ok(found);
    }
    Err(Malformed::new("participant with another id than the one asked for"))
}

/// Reads the reply to `GET /callcontrol/{dn}/participants` and finds one participant in it.
/// Fails rather than says "not there" if some participant cannot be read.
pub(super) fn find_participant(
    body: &[u8],
    key: &LegKey,
) -> Result<Option<Participant>, Malformed> {
    let value = json(body)?;
    let mut unreadable = None;
    for item in array(&value, "list of participants")? {
        match object(item, "participant").and_then(|fields| participant_of(fields, &key.dn)) {
            Ok(found) if found.key.id == key.id => return Ok(Some(found)),
            Ok(_) => {}
            Err(malformed) => unreadable = Some(malformed),
        }
    }
    unreadable.map_or(Ok(None), Err)
}

/// Reads the reply to `GET /callcontrol`.
pub(super) fn listing(body: &[u8]) -> Result<Listing, Malformed> {
    let value = json(body)?;
    let mut listing = Listing::default();
    for item in array(&value, "list of DNs")? {
        match item.as_object() {
            Some(fields) => listing.add(fields),
            None => listing.incomplete = true,
        }
    }
    Ok(listing)
}

/// Reads a participant that was found under the DN `owner`. The owner goes before what the object
/// says of itself, so that a leg has one name however it was found.
fn participant_of(fields: &Map<String, Value>, owner: &str) -> Result<Participant, Malformed> {
    let number = |name: &str| field(fields, name).and_then(int);
    let text = |name: &str| text_of(fields, name);
    let kind = |name: &str| DnType::parse(&text_of(fields, name));
    let id = number("id").ok_or_else(|| Malformed::new("participant without id"))?;
    let call_id = number("callid").ok_or_else(|| Malformed::new("participant without callid"))?;
    let dn = if owner.is_empty() { text("dn") } else { owner.to_owned() };
    Ok(Participant {
        key: LegKey { dn, id },
        call_id,
        leg_id: number("legid").unwrap_or(0),
        status: status(&text("status")),
        party_dn: text("partydn"),
        party_dn_type: kind("partydntype"),
        party_caller_id: text("partycallerid"),
        party_caller_name: text("partycallername"),
        party_did: text("partydid"),
        originated_by_dn: text("originatedbydn"),
        originated_by_type: kind("originatedbytype"),
        referred_by_dn: text("referredbydn"),
        referred_by_type: kind("referredbytype"),
        on_behalf_of_dn: text("onbehalfofdn"),
        on_behalf_of_type: kind("onbehalfoftype"),
        device_id: text("deviceid"),
    })
}

fn status(word: &str) -> Status {
    match word.to_ascii_lowercase().as_str() {
        "dialing" => Status::Dialing,
        "ringing" => Status::Ringing,
        "connected" => Status::Connected,
        _ => Status::Other(word.to_owned()),
    }
}

/// Reads JSON; `serde_json` bounds how deeply it may nest.
pub(super) fn json(body: &[u8]) -> Result<Value, Malformed> {
    serde_json::from_slice(body).map_err(|error| {
        // The error's own text can quote the input.
        let what = match error.classify() {
            serde_json::error::Category::Eof => "JSON that ends too early",
            _ => "not JSON",
        };
        Malformed(format!("{what}, line {} column {}", error.line(), error.column()))
    })
}

/// The field `name`, which is given without underscores and in lower case. Null counts as absent.
pub(super) fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let same = |key: &str| {
        let letters = key.bytes().filter(|byte| *byte != b'_').map(|b| b.to_ascii_lowercase());
        letters.eq(name.bytes())
    };
    fields.iter().find_map(|(key, value)| (same(key) && !value.is_null()).then_some(value))
}

/// The field `name` as text: empty if absent or neither text nor number.
pub(super) fn text_of(fields: &Map<String, Value>, name: &str) -> String {
    match field(fields, name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A whole number, also if it comes as text.
pub(super) fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The value as an object; `what` names it in the error.
pub(super) fn object<'a>(
    value: &'a Value,
    what: &str,
) -> Result<&'a Map<String, Value>, Malformed> {
    value.as_object().ok_or_else(|| Malformed(format!("{what} is not an object")))
}

fn array<'a>(value: &'a Value, what: &str) -> Result<&'a Vec<Value>, Malformed> {
    value.as_array().ok_or_else(|| Malformed(format!("{what} is not an array")))
}

impl Listing {
    /// Whether legs of this DN may exist that are not listed.
    pub(super) fn may_miss(&self, dn: &str) -> bool {
        self.doubtful.iter().any(|doubtful| doubtful == dn)
            || (self.incomplete && !self.dns.iter().any(|listed| listed.number == dn))
    }

    fn add(&mut self, fields: &Map<String, Value>) {
        let number = text_of(fields, "dn");
        let listed = match field(fields, "participants") {
            Some(Value::Array(listed)) => listed.as_slice(),
            Some(_) => {
                self.doubtful.push(number.clone());
                &[]
            }
            // Nullable in 3CX's own type definitions.
            None => &[],
        };
        for leg in listed {
            match object(leg, "participant").and_then(|fields| participant_of(fields, &number)) {
                Ok(leg) => self.legs.push(leg),
                Err(_) => self.doubtful.push(number.clone()),
            }
        }
        let kind = DnType::parse(&text_of(fields, "type"));
        if number.is_empty() {
            self.incomplete = true;
        } else {
            self.dns.push(Dn { number, kind });
        }
    }
}

impl Malformed {
    pub(super) fn new(what: &str) -> Self {
        Self(what.to_owned())
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
