//! What came of rehearsals: for people, for programs, and for a shell.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::curl;
use super::trial::{Answered, Heard, Stage, Trial};
use crate::plugins::{Memory, Outcome, PluginFailure, Rehearsed, Verdict};
use crate::reply::Judgement;
use crate::request::Request;

/// The plugin and its limits, as a heading for people.
pub fn heading(stage: &Stage) -> String {
    let Stage { subject, plugin, .. } = stage;
    let mut text = format!(
        "{} {}: {}\nmay take {} and {} per event\n",
        plugin.name(),
        plugin.version(),
        plugin.summary(),
        humantime::format_duration(subject.plugin.deadline),
        size(subject.plugin.memory),
    );
    if let Some(took) = plugin.description().compiled_in {
        say(&mut text, &format!("compiled in {} ms", took.as_millis()));
    }
    for note in &subject.notes {
        say(&mut text, &format!("note: {note}"));
    }
    text
}

/// A rehearsal, for people.
pub fn text(stage: &Stage, trial: &Trial) -> String {
    let mut text = String::new();
    say(&mut text, &format!("\n=== {}", title(trial)));
    match trial {
        Trial::Event(heard) => {
            match &heard.rehearsed.result {
                Ok(Outcome::Send(requests)) => tell_requests(&mut text, stage, requests),
                Ok(Outcome::Skip(reason)) => say(&mut text, &format!("skipped: {reason}")),
                Err(failure) => tell_failure(&mut text, failure),
            }
            tell_rest(&mut text, stage, &heard.rehearsed, &heard.kept);
        }
        Trial::Reply(answered) => {
            match &answered.rehearsed.result {
                Ok(verdict) => {
                    say(&mut text, &judgement(&verdict.judgement));
                    tell_requests(&mut text, stage, &verdict.follow_ups);
                }
                Err(failure) => tell_failure(&mut text, failure),
            }
            tell_rest(&mut text, stage, &answered.rehearsed, &answered.kept);
        }
    }
    text
}

/// What every call of a plugin leaves behind.
fn tell_rest<T>(text: &mut String, stage: &Stage, seen: &Rehearsed<T>, kept: &Memory) {
    for line in &seen.log {
        say(text, &format!("log {}: {}", line.level, line.message));
    }
    if seen.log_dropped > 0 {
        say(text, &format!("log: {} more lines were dropped", seen.log_dropped));
    }
    if !seen.written.is_empty() && seen.result.is_ok() {
        say(text, &format!("it wrote:\n{}", indented(&seen.written)));
    }
    for (key, value) in kept.entries() {
        let value = printable(&stage.secrets.hide(&String::from_utf8_lossy(value)));
        say(text, &format!("keeps {key} = {value}"));
    }
    say(text, &format!("took {} and {}", millis(seen.took), size(seen.memory)));
}

/// What a plugin makes of a reply, in a line.
fn judgement(judgement: &Judgement) -> String {
    match judgement {
        Judgement::Done => "done".to_owned(),
        Judgement::Retry { after: None, reason } => format!("again later: {reason}"),
        Judgement::Retry { after: Some(after), reason } => {
            format!("again after {}: {reason}", humantime::format_duration(*after))
        }
        Judgement::GiveUp(why) => format!("given up: {why}"),
    }
}

/// A rehearsal, for a shell.
pub fn commands(stage: &Stage, trial: &Trial) -> String {
    let mut text = String::new();
    say(&mut text, &comment(&title(trial)));
    let requests = match trial {
        Trial::Event(heard) => match &heard.rehearsed.result {
            Ok(Outcome::Send(requests)) => Ok(requests),
            Ok(Outcome::Skip(reason)) => Err(format!("skipped: {reason}")),
            Err(failure) => Err(format!("failed: {failure}")),
        },
        Trial::Reply(answered) => match &answered.rehearsed.result {
            Ok(verdict) => {
                say(&mut text, &comment(&judgement(&verdict.judgement)));
                Ok(&verdict.follow_ups)
            }
            Err(failure) => Err(format!("failed: {failure}")),
        },
    };
    match requests {
        Ok(requests) => {
            for request in requests {
                tell_command(&mut text, stage, request);
            }
        }
        Err(why) => say(&mut text, &comment(&why)),
    }
    text
}

fn tell_command(text: &mut String, stage: &Stage, request: &Request) {
    if let Some(refusal) = stage.subject.endpoint.refusal(&request.url) {
        say(text, &comment(&format!("would not be sent: {refusal}")));
    }
    if request.delay_ms > 0 {
        say(text, &comment(&format!("after {} ms", request.delay_ms)));
    }
    say(text, &curl::command(request, &stage.subject.endpoint, &stage.secrets));
}

/// All rehearsals, for programs. Everything but `took_us` is the same in every run.
///
/// A reply is with the event that was given before it.
pub fn json(stage: &Stage, trials: &[Trial]) -> Value {
    let Stage { subject, plugin, .. } = stage;
    let mut events: Vec<Value> = Vec::new();
    for trial in trials {
        match trial {
            Trial::Event(heard) => events.push(event_as_json(stage, heard)),
            Trial::Reply(answered) => {
                let replies = events.last_mut().and_then(|event| event.get_mut("replies"));
                if let Some(Value::Array(replies)) = replies {
                    replies.push(reply_as_json(stage, answered));
                }
            }
        }
    }
    json!({
        "plugin": {
            "name": plugin.name(),
            "version": plugin.version(),
            "summary": plugin.summary(),
        },
        "limits": {
            "deadline_ms": subject.plugin.deadline.as_millis(),
            "memory_bytes": subject.plugin.memory,
        },
        "notes": subject.notes,
        "events": events,
    })
}

fn event_as_json(stage: &Stage, heard: &Heard) -> Value {
    let event = &heard.given.event;
    let mut value = json!({
        "source": heard.given.source,
        "event": event.kind.name(),
        "event_id": event.event_id,
        "id": event.id.to_string(),
        "replies": [],
    });
    let (outcome, key, what) = match &heard.rehearsed.result {
        Ok(Outcome::Send(requests)) => ("send", "requests", requests_as_json(stage, requests)),
        Ok(Outcome::Skip(reason)) => ("skip", "reason", json!(reason)),
        Err(failure) => ("failed", "failure", failure_as_json(failure)),
    };
    add(&mut value, "outcome", json!(outcome));
    add(&mut value, key, what);
    add_rest(&mut value, stage, &heard.rehearsed, &heard.kept);
    value
}

fn reply_as_json(stage: &Stage, answered: &Answered) -> Value {
    let mut value = json!({
        "source": answered.given.source,
        "status": answered.given.reply.status,
        "attempt": answered.exchange.attempt,
        "to": request_as_json(stage, &answered.exchange.request),
    });
    match &answered.rehearsed.result {
        Ok(Verdict { judgement, follow_ups }) => {
            add(&mut value, "outcome", json!(judgement.name()));
            match judgement {
                Judgement::Done => {}
                Judgement::Retry { after, reason } => {
                    add(&mut value, "after_ms", json!(after.map(|after| after.as_millis())));
                    add(&mut value, "reason", json!(reason));
                }
                Judgement::GiveUp(why) => add(&mut value, "reason", json!(why)),
            }
            add(&mut value, "requests", requests_as_json(stage, follow_ups));
        }
        Err(failure) => {
            add(&mut value, "outcome", json!("failed"));
            add(&mut value, "failure", failure_as_json(failure));
        }
    }
    add_rest(&mut value, stage, &answered.rehearsed, &answered.kept);
    value
}

/// What every call of a plugin leaves behind.
fn add_rest<T>(value: &mut Value, stage: &Stage, seen: &Rehearsed<T>, kept: &Memory) {
    let log = seen.log.iter().map(|line| json!({ "level": line.level, "message": line.message }));
    let kept = kept.entries().map(|(key, value)| {
        (key.to_owned(), json!(stage.secrets.hide(&String::from_utf8_lossy(value))))
    });
    add(value, "log", log.collect());
    add(value, "log_dropped", json!(seen.log_dropped));
    add(value, "stderr", json!(seen.written));
    add(value, "kept", Value::Object(kept.collect()));
    add(value, "took_us", json!(seen.took.as_micros()));
    add(value, "memory_bytes", json!(seen.memory));
}

fn requests_as_json(stage: &Stage, requests: &[Request]) -> Value {
    requests.iter().map(|request| request_as_json(stage, request)).collect()
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
        "lasting": shown.lasting,
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
    match trial {
        Trial::Event(Heard { given, .. }) => {
            let what = given.what.map_or(String::new(), |what| format!(": {what}"));
            format!("{} ({} {}){what}", given.source, given.event.kind.name(), given.event.id)
        }
        Trial::Reply(Answered { given, exchange, .. }) => {
            let method = &exchange.request.method;
            let to = exchange.request.tag.as_ref().map_or(String::new(), |tag| format!(" {tag}"));
            format!("{} ({} to {method}{to})", given.source, given.reply.status)
        }
    }
}

fn tell_requests(text: &mut String, stage: &Stage, requests: &[Request]) {
    for request in requests {
        tell_request(text, stage, request);
    }
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
