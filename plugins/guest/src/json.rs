//! The event as JSON: every field of the contract's `call-event` under its own name, with `_` for
//! `-`, and those of its kind beside them.
//!
//! Times are text as RFC 3339; what is not known is `null`. Fields in `extra` are members of an
//! object.

use serde_json::{Map, Value, json};

use crate::{
    CallEvent, Did, Ended, EventKind, Field, Party, Recording, Ringing, RingingStopped, Started,
    Timestamp,
};

/// The event as an object. `event` is its kind, by the name that the .ini's `events` has for it.
pub fn event(event: &CallEvent) -> Map<String, Value> {
    let mut map = object(json!({
        "event": event.kind.name(),
        "event_id": event.event_id,
        "id": event.id,
        "chain_id": event.chain_id,
        "link": event.link,
        "sequence": event.sequence,
        "pbx": event.pbx,
        "direction": event.direction.name(),
        "caller_id": event.caller_id,
        "caller_name": event.caller_name,
        "user": party(&event.user),
        "did": event.did.as_ref().map(did),
        "queue": event.queue.as_ref().map(party),
        "arrived_at": event.arrived_at.text,
        "occurred_at": event.occurred_at.text,
        "resynced": event.resynced,
    }));
    map.extend(kind(&event.kind));
    map.insert("extra".to_owned(), fields(&event.extra));
    map
}

/// The fields of one kind of event.
fn kind(kind: &EventKind) -> Map<String, Value> {
    object(match kind {
        EventKind::Ringing(ringing) => of_ringing(ringing),
        EventKind::Started(started) => of_started(started),
        EventKind::Ended(ended) => of_ended(ended),
        EventKind::RingingStopped(stopped) => of_ringing_stopped(stopped),
        EventKind::Recording(recording) => of_recording(recording),
        EventKind::Other(other) => json!({ "fields": fields(&other.fields) }),
        EventKind::Dialing | EventKind::Hold | EventKind::Resume => json!({}),
    })
}

fn of_ringing(ringing: &Ringing) -> Value {
    json!({
        "transfer": ringing.transfer.name(),
        "transferred_by": ringing.transferred_by.as_ref().map(party),
    })
}

fn of_started(started: &Started) -> Value {
    json!({
        "transfer": started.transfer.name(),
        "transferred_by": started.transferred_by.as_ref().map(party),
        "rang_at": started.rang_at.as_ref().map(time),
        "ring_ms": started.ring_ms,
        "wait_ms": started.wait_ms,
    })
}

fn of_ended(ended: &Ended) -> Value {
    json!({
        "finish": ended.finish.name(),
        "transferred": ended.transferred,
        "transferred_to": ended.transferred_to.as_ref().map(party),
        "hung_up_by": ended.hung_up_by.name(),
        "title": ended.title,
        "rang_at": ended.rang_at.as_ref().map(time),
        "answered_at": ended.answered_at.as_ref().map(time),
        "ring_ms": ended.ring_ms,
        "wait_ms": ended.wait_ms,
        "talk_ms": ended.talk_ms,
        "callback_ordered": ended.callback_ordered.name(),
        "unanswered": ended.unanswered.iter().map(party).collect::<Vec<_>>(),
    })
}

fn of_ringing_stopped(stopped: &RingingStopped) -> Value {
    json!({ "reason": stopped.reason.name(), "rang_ms": stopped.rang_ms })
}

fn of_recording(recording: &Recording) -> Value {
    json!({ "url": recording.url, "duration_ms": recording.duration_ms })
}

fn party(party: &Party) -> Value {
    json!({
        "number": party.number,
        "kind": party.kind.name(),
        "name": party.name,
        "email": party.email,
    })
}

fn did(did: &Did) -> Value {
    json!({ "number": did.number, "name": did.name })
}

fn time(time: &Timestamp) -> &str {
    &time.text
}

/// Fields as the members of an object.
pub fn fields(fields: &[Field]) -> Value {
    let member = |field: &Field| (field.name.clone(), Value::from(field.value.as_str()));
    fields.iter().map(member).collect::<Map<_, _>>().into()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
