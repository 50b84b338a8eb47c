//! Cases: events, and what a plugin must make of them, in folders that lie beside it.
//!
//! `cases/NAME/event.json` holds the events of the case, and replies between them, `expect.json` what must come of each of
//! them, in the form of `callhook plugin try --json`. What `expect.json` leaves out may be
//! anything. A `config.ini` names the plugin with other settings.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use super::events::{Step, read_steps};
use super::report::json;
use super::trial::{Stage, Trial};

/// One folder.
#[derive(Clone, Debug)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    folder: PathBuf,
}

/// The cases in a folder, by name. Fails if there are none, or if a folder there is no case: who
/// made it takes it for one that holds.
pub fn cases(folder: &Path) -> anyhow::Result<Vec<Case>> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("{}: the folder of cases cannot be read", folder.display()))?;
    let (mut cases, mut empty) = (Vec::new(), Vec::new());
    for entry in entries {
        let folder = entry.context("while reading the folder of cases")?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if folder.join("event.json").is_file() {
            cases.push(Case { name, folder });
        } else if folder.is_dir() && !name.starts_with('.') {
            empty.push(folder.display().to_string());
        }
    }
    if !empty.is_empty() {
        empty.sort();
        bail!("there is no event.json in {}", empty.join(", "));
    }
    if cases.is_empty() {
        bail!("{}: there is no NAME/event.json in it", folder.display());
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

impl Case {
    /// Its own settings.
    pub fn config(&self) -> Option<PathBuf> {
        let path = self.folder.join("config.ini");
        path.is_file().then_some(path)
    }

    /// Its events, with the replies that stand between them.
    pub fn steps(&self) -> anyhow::Result<Vec<Step>> {
        read_steps(&self.folder.join("event.json"))
    }

    /// Nobody has said yet what must come.
    pub fn is_open(&self) -> bool {
        !self.expectations().is_file()
    }

    /// Where what came differs from what must come, a line each.
    pub fn judge(&self, stage: &Stage, trials: &[Trial]) -> anyhow::Result<Vec<String>> {
        let path = self.expectations();
        let name = path.display();
        let text = fs::read_to_string(&path).with_context(|| format!("{name}: cannot be read"))?;
        let expected: Value =
            serde_json::from_str(&text).with_context(|| format!("{name}: this is not JSON"))?;
        // Of a single event no list is needed.
        let expected = match expected {
            Value::Array(events) => events,
            event => vec![event],
        };
        let came = field(&json(stage, trials), "events").clone();
        let mut differences = Vec::new();
        compare(&Value::Array(expected), &came, "", &mut differences);
        Ok(differences)
    }

    /// Writes down what came as what must come from now on.
    pub fn record(&self, stage: &Stage, trials: &[Trial]) -> anyhow::Result<()> {
        let came = field(&json(stage, trials), "events").clone();
        let kept: Vec<Value> = came.as_array().into_iter().flatten().map(essence).collect();
        let path = self.expectations();
        fs::write(&path, format!("{:#}\n", Value::Array(kept)))
            .with_context(|| format!("{}: cannot be written", path.display()))
    }

    fn expectations(&self) -> PathBuf {
        self.folder.join("expect.json")
    }
}

/// What matters of an event's outcome: no times, no words for the log.
fn essence(event: &Value) -> Value {
    let request = |request: &Value| {
        let mut kept = only(request, &["method", "url", "headers", "body_base64"]);
        match field(request, "body").as_str() {
            None | Some("") => {}
            Some(body) => {
                let parsed = serde_json::from_str(body).ok().filter(Value::is_object);
                kept.insert("body".to_owned(), parsed.unwrap_or_else(|| json!(body)));
            }
        }
        Value::Object(kept)
    };
    let mut kept = only(event, &["outcome", "reason"]);
    if let Some(requests) = field(event, "requests").as_array() {
        kept.insert("requests".to_owned(), requests.iter().map(request).collect());
    }
    if let Some(replies) = field(event, "replies").as_array().filter(|replies| !replies.is_empty())
    {
        kept.insert("replies".to_owned(), replies.iter().map(essence).collect());
    }
    if let Some(failure) = event.get("failure") {
        kept.insert("failure".to_owned(), Value::Object(only(failure, &["kind"])));
    }
    Value::Object(kept)
}

fn only(value: &Value, names: &[&str]) -> Map<String, Value> {
    let field = |name: &&str| Some(((*name).to_owned(), value.get(name)?.clone()));
    names.iter().filter_map(field).collect()
}

/// Notes where `came` is not what is `expected`. Of objects, only what is expected is looked at.
fn compare(expected: &Value, came: &Value, place: &str, differences: &mut Vec<String>) {
    match (expected, came) {
        (Value::Object(fields), Value::Array(pairs)) if place.ends_with("headers") => {
            for (name, value) in fields {
                let came = header(pairs, name);
                compare(value, &came, &format!("{place}.{name}"), differences);
            }
        }
        (Value::Object(_), Value::String(text)) if place.ends_with("body") => {
            match serde_json::from_str::<Value>(text) {
                Ok(parsed @ Value::Object(_)) => compare(expected, &parsed, place, differences),
                _ => differences.push(format!("{place}: expected JSON, got {came}")),
            }
        }
        (Value::Object(expected), Value::Object(came)) => {
            for (name, value) in expected {
                let dot = if place.is_empty() { "" } else { "." };
                let came = came.get(name).unwrap_or(&Value::Null);
                compare(value, came, &format!("{place}{dot}{name}"), differences);
            }
        }
        (Value::Array(expected), Value::Array(came)) => {
            if expected.len() != came.len() {
                let (expected, came) = (expected.len(), came.len());
                let what = if place.is_empty() { "events" } else { place };
                differences.push(format!("{what}: expected {expected}, got {came}"));
            }
            for (index, (expected, came)) in expected.iter().zip(came).enumerate() {
                compare(expected, came, &format!("{place}[{index}]"), differences);
            }
        }
        (expected, came) if expected == came => {}
        (expected, came) => differences.push(format!("{place}: expected {expected}, got {came}")),
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// The value of a header, whatever the case of its name; null if it is not there.
fn header(pairs: &[Value], name: &str) -> Value {
    let named = |pair: &Value| match pair.as_array()?.as_slice() {
        [Value::String(known), value] if known.eq_ignore_ascii_case(name) => Some(value.clone()),
        _ => None,
    };
    pairs.iter().find_map(named).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(expected: &Value) -> Vec<String> {
        let came = json!([{
            "outcome": "send",
            "requests": [{
                "headers": [["X-Source", "callhook"]],
                "body": "{\"number\":\"+420\",\"answered\":false}",
            }],
        }]);
        let mut differences = Vec::new();
        compare(expected, &came, "", &mut differences);
        differences
    }

    #[test]
    fn a_folder_without_events_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["answered", "missed", "lost", ".git"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        fs::write(folder.path().join("answered/event.json"), "{}").unwrap();
        fs::write(folder.path().join("missed/events.json"), "{}").unwrap();
        let said = cases(folder.path()).unwrap_err().to_string();
        let of = |name| folder.path().join(name).display().to_string();
        assert_eq!(said, format!("there is no event.json in {}, {}", of("lost"), of("missed")));
        fs::rename(
            folder.path().join("missed/events.json"),
            folder.path().join("missed/event.json"),
        )
        .unwrap();
        fs::remove_dir(folder.path().join("lost")).unwrap();
        let found = cases(folder.path()).unwrap();
        assert_eq!(
            found.iter().map(|case| &*case.name).collect::<Vec<_>>(),
            ["answered", "missed"]
        );
    }

    #[test]
    fn what_is_not_named_may_be_anything() {
        let requests =
            json!([{ "headers": { "x-source": "callhook" }, "body": { "number": "+420" } }]);
        assert_eq!(differences(&json!([{ "requests": requests }])), [""; 0]);
    }

    #[test]
    fn every_difference_is_told_with_its_place() {
        let requests =
            json!([{ "headers": { "x-key": "1" }, "body": { "number": "420", "x": 1 } }]);
        assert_eq!(
            differences(&json!([{ "outcome": "skip", "requests": requests }, {}])),
            [
                "events: expected 2, got 1",
                "[0].outcome: expected \"skip\", got \"send\"",
                "[0].requests[0].body.number: expected \"420\", got \"+420\"",
                "[0].requests[0].body.x: expected 1, got null",
                "[0].requests[0].headers.x-key: expected \"1\", got null",
            ]
        );
    }
}
