//! Replies for a rehearsal, from a file.
//!
//! A file holds JSON: an object with `status`, `headers` and `body`, or a delivery as `callhook
//! deliveries show --json` and `export` write it, of which the last reply is taken; several of
//! them in a list or one after the other.

use std::path::Path;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::events::{decode, values};
use crate::reply::Reply;

/// What callhook keeps of a reply's body, and shows to a plugin.
const LARGEST: usize = 16 << 10;

/// A reply, and where it comes from.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The file, and the place in it.
    pub source: String,
    /// The reply.
    pub reply: Reply,
}

/// A reply as people write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    status: u16,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    body: Value,
    body_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    List(Vec<(String, String)>),
    Object(serde_json::Map<String, Value>),
}

/// An attempt of a delivery.
#[derive(Deserialize)]
struct Attempt {
    status: Option<u16>,
    #[serde(default)]
    reply: String,
    #[serde(default)]
    truncated: bool,
}

impl Default for Headers {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// The replies of a file; `-` is standard input.
pub fn read_replies(path: &Path) -> anyhow::Result<Vec<Recorded>> {
    let replies = values(path, "reply")?.into_iter().map(|(source, value)| {
        let reply = reply(&value).with_context(|| source.clone())?;
        Ok(Recorded { source, reply })
    });
    replies.collect()
}

/// Whether a value is a reply as people write it, and no event.
pub(super) fn is_reply(value: &Value) -> bool {
    value.get("status").is_some() && value.get("kind").is_none()
}

/// The reply that a JSON value is, or that is in a delivery.
pub(super) fn reply(value: &Value) -> anyhow::Result<Reply> {
    if let Some(attempts) = value.get("tries") {
        let attempts: Vec<Attempt> = decode(attempts, "tries.")?;
        let answered = attempts.into_iter().rev().find_map(|it| Some((it.status?, it)));
        let (status, last) = answered.context("no attempt of this delivery was answered")?;
        let body = last.reply.into_bytes();
        return Ok(bounded(Reply { status, headers: Vec::new(), body, truncated: last.truncated }));
    }
    if !value.is_object() {
        bail!("expected a reply, a JSON object with status, headers and body");
    }
    let written: Written = decode(value, "")?;
    if !(100..600).contains(&written.status) {
        bail!("field status: expected an HTTP status such as 200, not {}", written.status);
    }
    let headers = match written.headers {
        Headers::List(list) => list,
        Headers::Object(object) => object.into_iter().map(|(name, it)| (name, text(it))).collect(),
    };
    let body = match written.body_base64 {
        Some(encoded) => STANDARD.decode(encoded).context("field body_base64")?,
        None => text(written.body).into_bytes(),
    };
    Ok(bounded(Reply { status: written.status, headers, body, truncated: false }))
}

/// A text as it is, nothing for null, and anything else as JSON.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

/// As much of it as a plugin sees.
fn bounded(mut reply: Reply) -> Reply {
    reply.truncated |= reply.body.len() > LARGEST;
    reply.body.truncate(LARGEST);
    reply
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reply_is_written_in_several_ways() {
        let plain = reply(&json!({ "status": 200, "body": { "id": 7 } })).unwrap();
        assert_eq!((plain.status, plain.body.as_slice()), (200, &b"{\"id\":7}"[..]));
        for headers in [json!([["X-A", "1"]]), json!({ "X-A": 1 })] {
            let reply = reply(&json!({ "status": 429, "headers": headers })).unwrap();
            assert_eq!(reply.headers, [("X-A".to_owned(), "1".to_owned())]);
        }
        let tries = json!([
            { "status": 200, "reply": "first" },
            { "status": 503, "reply": "second", "truncated": true },
            { "status": null, "error": "timeout" },
        ]);
        let exported = reply(&json!({ "id": "x", "tries": tries })).unwrap();
        assert_eq!((exported.status, exported.truncated), (503, true));
        let long = reply(&json!({ "status": 200, "body": "x".repeat(20_000) })).unwrap();
        assert_eq!((long.body.len(), long.truncated), (16_384, true));
    }

    #[test]
    fn a_faulty_reply_is_told_by_its_field() {
        for (value, told) in [
            (json!({ "status": "ok" }), "field status: invalid type: string \"ok\", expected u16"),
            (json!({ "status": 99 }), "field status: expected an HTTP status such as 200, not 99"),
            (json!({ "status": 200, "boby": "" }), "unknown field `boby`"),
            (json!({ "body": "" }), "missing field `status`"),
            (json!([]), "expected a reply, a JSON object"),
            (json!({ "tries": [{ "status": null }] }), "no attempt of this delivery was answered"),
        ] {
            let error = format!("{:#}", reply(&value).unwrap_err());
            assert!(error.contains(told), "{told} is not in {error}");
        }
    }
}
