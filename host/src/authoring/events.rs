//! Events for a rehearsal: the samples, and those of a file.
//!
//! A file holds JSON: one event in the form of the samples, or a delivery as `callhook deliveries
//! show --json` and `export` write it; several of them in a list or one after the other, and replies
//! between them.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::replies::{self, Recorded};
use crate::config::nearest;
use crate::event::samples::{self, Sample};
use crate::event::{CallEvent, Ended, Recording, Ringing, RingingStopped, Started};

/// More than any event has; a file of calls may have many of them.
const LARGEST: u64 = 64 << 20;

/// An event, and where it comes from.
#[derive(Clone, Debug)]
pub struct Given {
    /// The name of the sample, or the file and the place in it.
    pub source: String,
    /// What happens, in a few words, where somebody has said it.
    pub what: Option<&'static str>,
    /// The event.
    pub event: CallEvent,
}

/// What a plugin is given.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are few of them")]
pub enum Step {
    /// An event.
    Event(Given),
    /// A reply to the next request of the same call.
    Reply(Recorded),
}

/// All samples.
pub fn sample_events() -> Vec<Step> {
    samples::ALL.iter().map(given).collect()
}

/// The samples that a name stands for; fails if there are none.
pub fn named_events(name: &str) -> anyhow::Result<Vec<Step>> {
    let found = samples::named(name);
    if !found.is_empty() {
        return Ok(found.into_iter().map(given).collect());
    }
    let known = || samples::ALL.iter().flat_map(|sample| [sample.name, sample.call]);
    // Beginnings come first: `ring` is far from `ringing` if letters are counted.
    let begun = || (name.len() > 2).then(|| known().find(|it| it.starts_with(name))).flatten();
    let hint = match nearest(name, known()).or_else(|| begun().map(str::to_owned)) {
        Some(near) => format!("did you mean {near}?"),
        None => "`callhook plugin samples` lists them".to_owned(),
    };
    bail!("there is no sample event {name:?}; {hint}")
}

fn given(sample: &Sample) -> Step {
    let (source, what) = (sample.name.to_owned(), Some(sample.what));
    Step::Event(Given { source, what, event: sample.event() })
}

/// The events of a file, and the replies that stand between them; `-` is standard input.
pub fn read_steps(path: &Path) -> anyhow::Result<Vec<Step>> {
    let steps = values(path, "event")?.into_iter().map(|(source, value)| {
        if replies::is_reply(&value) {
            let reply = replies::reply(&value).with_context(|| source.clone())?;
            return Ok(Step::Reply(Recorded { source, reply }));
        }
        let event = event(value).with_context(|| source.clone())?;
        Ok(Step::Event(Given { source, what: None, event }))
    });
    steps.collect()
}

/// The JSON values of a file, each with its place; `what` they are. Fails if there are none.
pub(super) fn values(path: &Path, what: &str) -> anyhow::Result<Vec<(String, Value)>> {
    let text = read(path)?;
    let name = path.display().to_string();
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        match value.with_context(|| format!("{name}: this is not JSON"))? {
            Value::Array(values) => found.extend(values),
            value => found.push(value),
        }
    }
    if found.is_empty() {
        bail!("{name}: there is no {what} in it");
    }
    let alone = found.len() == 1;
    let place = |(place, value)| {
        let place = if alone { name.clone() } else { format!("{name}, {what} {}", place + 1) };
        (place, value)
    };
    Ok(found.into_iter().enumerate().map(place).collect())
}

/// The text of a file; `-` is standard input.
fn read(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let mut text = String::new();
    let done = if path == Path::new("-") {
        std::io::stdin().lock().take(LARGEST).read_to_string(&mut text)
    } else {
        let file =
            std::fs::File::open(path).with_context(|| format!("{name}: cannot be opened"))?;
        file.take(LARGEST).read_to_string(&mut text)
    };
    done.with_context(|| format!("{name}: cannot be read"))?;
    Ok(text)
}

/// The event that a JSON value is, or that is in a delivery.
fn event(mut value: Value) -> anyhow::Result<CallEvent> {
    if let Some(within) = value.get_mut("event_data").map(Value::take) {
        if within.is_null() {
            bail!("the event of this delivery is not kept any more");
        }
        value = within;
    }
    if !value.is_object() {
        bail!("expected an event, a JSON object such as `callhook plugin samples ringing` prints");
    }
    let event: CallEvent = match decode(&value, "") {
        Ok(event) => event,
        Err(error) => return Err(closer(&value).err().unwrap_or(error)),
    };
    let known = serde_json::to_value(&event).context("while writing the event")?;
    if let Some(field) = unknown(&value, &known) {
        bail!("field {field}: events have no such field");
    }
    Ok(event)
}

/// A look at what is particular about an event: where in it the fault is.
fn closer(value: &Value) -> anyhow::Result<()> {
    let Some(kind) = value.get("kind").filter(|kind| kind.is_object()) else { return Ok(()) };
    match kind.get("type").and_then(Value::as_str) {
        Some("ringing") => decode::<Ringing>(kind, "kind.").map(drop),
        Some("started") => decode::<Started>(kind, "kind.").map(drop),
        Some("ended") => decode::<Ended>(kind, "kind.").map(drop),
        Some("ringing-stopped") => decode::<RingingStopped>(kind, "kind.").map(drop),
        Some("recording") => decode::<Recording>(kind, "kind.").map(drop),
        Some(_) => Ok(()),
        None => bail!("field kind.type: expected what happened, such as \"ringing\""),
    }
}

/// Reads a value; an error names the field, with `within` before it.
pub(super) fn decode<T: DeserializeOwned>(value: &Value, within: &str) -> anyhow::Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "" } else { path.as_str() };
        let field = format!("{within}{path}");
        match field.trim_end_matches('.') {
            "" => anyhow::anyhow!("{}", error.inner()),
            field => anyhow::anyhow!("field {field}: {}", error.inner()),
        }
    })
}

/// The first field of `given` that `known` does not have.
fn unknown(given: &Value, known: &Value) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(name, value)| {
            let within = match known.get(name) {
                // A field that may be left out may as well be null.
                None => return (!value.is_null()).then(|| name.clone()),
                Some(known) => unknown(value, known)?,
            };
            let dot = if within.starts_with('[') { "" } else { "." };
            Some(format!("{name}{dot}{within}"))
        }),
        (Value::Array(given), Value::Array(known)) => {
            given.iter().zip(known).enumerate().find_map(|(place, (given, known))| {
                Some(format!("[{place}].{}", unknown(given, known)?))
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_known_is_answered_with_one_that_is() {
        let said = |name| named_events(name).unwrap_err().to_string();
        for (name, near) in [("rining", "ringing"), ("ring", "ringing"), ("answ", "answered")] {
            assert_eq!(
                said(name),
                format!("there is no sample event {name:?}; did you mean {near}?")
            );
        }
        assert!(said("x").ends_with("`callhook plugin samples` lists them"));
    }
}
