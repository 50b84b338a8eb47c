//! What came of rehearsals: for people, for programs, and for a shell.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::curl;
use super::trial::{Stage, Trial};
use crate::plugins::{Outcome, PluginFailure};
use crate::request::Request;

/// The plugin and its limits, as a heading for people.
pub fn heading(stage: &Stage) -> String {
    let Stage { subject, plugin, .. } = stage;
    let mut text = format!(
        "{} {}: {}\nmay take {} and {} per event\n",
        plugin.name(),
        plugin.version(),
        plugin.summary(),
        humantime::format_duration(subject.spec.deadline),
        size(subject.spec.memory),
    );
    for note in &subject.notes {
        say(&mut text, &format!("note: {note}"));
    }
    text
}

/// A rehearsal, for people.
pub fn text(stage: &Stage, trial: &Trial) -> String {
    let mut text = String::new();
    say(&mut text, &format!("\n=== {}", title(trial)));
    let seen = &trial.rehearsed;
    match &seen.result {
        Ok(Outcome::Send(requests)) => {
            for request in requests {
                tell_request(&mut text, stage, request);
            }
        }
        Ok(Outcome::Skip(reason)) => say(&mut text, &format!("skipped: {reason}")),
        Err(failure) => tell_failure(&mut text, failure),
    }
    for line in &seen.log {
        say(&mut text, &format!("log {}: {}", line.level, line.message));
    }
    if seen.log_dropped > 0 {
        say(&mut text, &format!("log: {} more lines were dropped", seen.log_dropped));
    }
    if !seen.written.is_empty() && seen.result.is_ok() {
        say(&mut text, &format!("it wrote:\n{}", indented(&seen.written)));
    }
    say(&mut text, &format!("took {} and {}", millis(seen.took), size(seen.memory)));
    text
}

/// A rehearsal, for a shell.
pub fn commands(stage: &Stage, trial: &Trial) -> String {
    let mut text = String::new();
    say(&mut text, &comment(&title(trial)));
    match &trial.rehearsed.result {
        Ok(Outcome::Send(requests)) => {
            for request in requests {
                if let Some(refusal) = stage.subject.endpoint.refusal(&request.url) {
                    say(&mut text, &comment(&format!("would not be sent: {refusal}")));
                }
                if request.delay_ms > 0 {
                    say(&mut text, &comment(&format!("after {} ms", request.delay_ms)));
                }
                let command = curl::command(request, &stage.subject.endpoint, &stage.secrets);
                say(&mut text, &command);
            }
        }
        Ok(Outcome::Skip(reason)) => say(&mut text, &comment(&format!("skipped: {reason}"))),
        Err(failure) => say(&mut text, &comment(&format!("failed: {failure}"))),
    }
    text
}

/// All rehearsals, for programs. Everything but `took_us` is the same in every run.
pub fn json(stage: &Stage, trials: &[Trial]) -> Value {
    let Stage { subject, plugin, .. } = stage;
    json!({
        "plugin": {
            "name": plugin.name(),
            "version": plugin.version(),
            "summary": plugin.summary(),
        },
        "limits": {
            "deadline_ms": subject.spec.deadline.as_millis(),
            "memory_bytes": subject.spec.memory,
        },
        "notes": subject.notes,
        "events": trials.iter().map(|trial| trial_as_json(stage, trial)).collect::<Vec<_>>(),
    })
}

fn trial_as_json(stage: &Stage, trial: &Trial) -> Value {
    let event = &trial.given.event;
    let seen = &trial.rehearsed;
    let mut value = json!({
        "source": trial.given.source,
        "event": event.kind.name(),
        "event_id": event.event_id,
        "id": event.id.to_string(),
        "log": seen.log.iter().map(|line| {
            json!({ "level": line.level, "message": line.message })
        }).collect::<Vec<_>>(),
        "log_dropped": seen.log_dropped,
        "stderr": seen.written,
        "took_us": seen.took.as_micros(),
        "memory_bytes": seen.memory,
    });
    let (outcome, key, what) = match &seen.result {
        Ok(Outcome::Send(requests)) => {
            let requests = requests.iter().map(|request| request_as_json(stage, request));
            ("send", "requests", requests.collect())
        }
        Ok(Outcome::Skip(reason)) => ("skip", "reason", json!(reason)),
        Err(failure) => ("failed", "failure", failure_as_json(failure)),
    };
    add(&mut value, "outcome", json!(outcome));
    add(&mut value, key, what);
    value
}

fn request_as_json(stage: &Stage, request: &Request) -> Value {
    let refused = stage.subject.endpoint.refusal(&request.url);
    let shown = stage.secrets.hidden(request);
    let mut value = json!({
        "method": shown.method,
        "url": shown.url,
        "headers": shown.headers,
        "tag": shown.tag,
        "state_base64": STANDARD.encode(&shown.state),
        "delay_ms": shown.delay_ms,
        "refused": refused,
    });
    match std::str::from_utf8(&shown.body) {
        Ok(text) => add(&mut value, "body", json!(text)),
        Err(_) => add(&mut value, "body_base64", json!(STANDARD.encode(&shown.body))),
    }
    value
}

fn add(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn failure_as_json(failure: &PluginFailure) -> Value {
    json!({
        "kind": failure.kind.name(),
        "message": failure.to_string(),
        "stderr": failure.stderr,
        "backtrace": failure.backtrace,
    })
}

fn title(trial: &Trial) -> String {
    let event = &trial.given.event;
    let mut title = format!("{} ({} {})", trial.given.source, event.kind.name(), event.id);
    if let Some(what) = trial.given.what {
        title.push_str(": ");
        title.push_str(what);
    }
    title
}

fn tell_request(text: &mut String, stage: &Stage, request: &Request) {
    let shown = stage.secrets.hidden(request);
    say(text, &format!("{} {}", shown.method, shown.url));
    for (name, value) in &shown.headers {
        say(text, &format!("{name}: {value}"));
    }
    match std::str::from_utf8(&shown.body) {
        Ok("") => {}
        Ok(body) => say(text, &format!("\n{}", printable(body))),
        Err(_) => say(text, &format!("\n({} bytes that are no text)", shown.body.len())),
    }
    if let Some(tag) = &shown.tag {
        say(text, &format!("tag: {tag}"));
    }
    if request.delay_ms > 0 {
        say(text, &format!("after {} ms", request.delay_ms));
    }
    if let Some(refusal) = stage.subject.endpoint.refusal(&request.url) {
        say(text, &format!("would not be sent: {refusal}"));
    }
    text.push('\n');
}

fn tell_failure(text: &mut String, failure: &PluginFailure) {
    say(text, &format!("failed ({}): {failure}", failure.kind.name()));
    if !failure.stderr.is_empty() {
        say(text, &format!("it wrote:\n{}", indented(&failure.stderr)));
    }
    if !failure.backtrace.is_empty() {
        say(text, &format!("it was in:\n{}", indented(&failure.backtrace.join("\n"))));
    }
}

fn say(text: &mut String, line: &str) {
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok(), "a text takes everything");
}

/// A line that a shell leaves alone.
fn comment(text: &str) -> String {
    format!("# {}", text.replace(char::is_control, " "))
}

fn indented(text: &str) -> String {
    printable(text).lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// A terminal takes orders from what is written to it.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n' && c != '\t', "\u{fffd}")
}

fn millis(took: Duration) -> String {
    format!("{:.2} ms", took.as_secs_f64() * 1_000.0)
}

/// Bytes, as people say it.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20),
    }
}
