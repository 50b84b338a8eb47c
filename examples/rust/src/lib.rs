//! An example plugin: every event becomes a JSON POST with the caller's number in the form that
//! this CRM wants, and calls of short internal numbers are skipped.

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "plugin" });
}

use bindings::callhook::plugin::settings;
use bindings::callhook::plugin::types::{CallEvent, EventKind, Failure, Header, HttpRequest};
use bindings::exports::callhook::plugin::about::{self, Description, Problem, Setting};
use bindings::exports::callhook::plugin::transform::{self, Outcome};
use serde_json::json;

/// The plugin.
pub struct Example;

impl about::Guest for Example {
    fn describe() -> Description {
        let setting = |name: &str, help: &str, default: &str| Setting {
            name: name.to_owned(),
            help: help.to_owned(),
            default: Some(default.to_owned()),
            required: false,
            secret: false,
        };
        Description {
            name: "example-rust".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Sends every event as a JSON POST".to_owned(),
            settings: vec![setting("source", "what the CRM shows as the origin", "callhook")],
        }
    }

    fn check() -> Vec<Problem> {
        match settings::get("source").as_deref() {
            Some("") => vec![Problem {
                setting: "source".to_owned(),
                message: "it must not be empty".to_owned(),
            }],
            _ => Vec::new(),
        }
    }
}

impl transform::Guest for Example {
    fn transform(event: CallEvent, draft: HttpRequest) -> Result<Outcome, Failure> {
        let Some(number) = normalised(&event.caller_id) else {
            return Ok(Outcome::Skip("an internal number".to_owned()));
        };
        let (kind, answered) = match &event.kind {
            EventKind::Ringing(_) => ("ringing", false),
            EventKind::Started(_) => ("answered", true),
            EventKind::Ended(ended) => ("ended", ended.talk_ms.is_some()),
            _ => return Ok(Outcome::Skip("not of interest".to_owned())),
        };
        let body = json!({
            "call": event.id,
            "event": kind,
            "number": number,
            "extension": event.user.number,
            "answered": answered,
            "at": event.occurred_at.text,
        });
        let header = |name: &str, value: String| Header { name: name.to_owned(), value };
        let request = HttpRequest {
            method: "POST".to_owned(),
            headers: vec![
                header("content-type", "application/json".to_owned()),
                header("x-source", settings::get("source").unwrap_or("callhook".to_owned())),
            ],
            body: body.to_string().into_bytes(),
            ..draft
        };
        Ok(Outcome::Send(vec![request]))
    }
}

/// `+` and digits only; `None` for what is too short to be a number outside.
fn normalised(number: &str) -> Option<String> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    (digits.len() > 5).then(|| format!("+{digits}"))
}

// Only a component exports; natively the crate is built for its tests.
#[cfg(target_arch = "wasm32")]
bindings::export!(Example with_types_in bindings);

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn numbers_get_one_form_and_short_ones_are_internal() {
        for number in ["420774852629", "+420 774 852 629", "00420774852629"] {
            assert_eq!(normalised(number).as_deref(), Some("+420774852629"));
        }
        assert_eq!(normalised("106"), None);
    }
}
