//! An example plugin: every event of a call becomes a JSON POST, with the caller's number in the
//! form that this CRM wants. Calls of internal numbers are skipped.

mod bindings {
    // Makes Rust of the WIT in `wit/`.
    wit_bindgen::generate!({ world: "plugin" });
}

use bindings::callhook::plugin::settings;
use bindings::callhook::plugin::types::{
    CallEvent, Direction, EventKind, Failure, Header, HttpRequest,
};
use bindings::exports::callhook::plugin::about::{self, Description, Problem, Setting};
use bindings::exports::callhook::plugin::transform::{self, Outcome};
use serde::Serialize;

/// The plugin.
pub struct Example;

/// What the CRM gets, in this order.
#[derive(Serialize)]
struct Body<'a> {
    call: &'a str,
    event: &'a str,
    direction: &'a str,
    /// `null` if withheld.
    number: Option<String>,
    name: Option<&'a str>,
    extension: &'a str,
    answered: bool,
    at: &'a str,
}

impl about::Guest for Example {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Sends every event as a JSON POST".to_owned(),
            settings: vec![Setting {
                name: "source".to_owned(),
                help: "what the CRM shows as the origin".to_owned(),
                default: Some("callhook".to_owned()),
                required: false,
                secret: false,
            }],
        }
    }

    fn check() -> Vec<Problem> {
        let source = source();
        let message = if source.is_empty() {
            "it must not be empty"
        } else if !source.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            "it must be plain ASCII, because it is sent as a header"
        } else {
            return Vec::new();
        };
        vec![Problem { setting: "source".to_owned(), message: message.to_owned() }]
    }
}

impl transform::Guest for Example {
    fn transform(event: CallEvent, draft: HttpRequest) -> Result<Outcome, Failure> {
        let number = digits(&event.caller_id);
        if event.direction == Direction::Internal || (1..=5).contains(&number.len()) {
            return Ok(Outcome::Skip("an internal number".to_owned()));
        }
        let (kind, answered) = match &event.kind {
            EventKind::Ringing(_) => ("ringing", false),
            EventKind::Started(_) => ("answered", true),
            EventKind::Ended(ended) => ("ended", ended.talk_ms.is_some()),
            _ => return Ok(Outcome::Skip("not of interest".to_owned())),
        };
        let body = Body {
            call: &event.id,
            event: kind,
            direction: match event.direction {
                Direction::Incoming => "incoming",
                Direction::Outgoing => "outgoing",
                Direction::Internal => "internal",
                Direction::Unknown => "unknown",
            },
            number: (!number.is_empty()).then(|| format!("+{number}")),
            name: event.caller_name.as_deref(),
            extension: &event.user.number,
            answered,
            at: &event.occurred_at.text,
        };
        let body = serde_json::to_vec(&body).map_err(|error| Failure::Other(error.to_string()))?;
        let request = HttpRequest {
            method: "POST".to_owned(),
            headers: vec![
                header("content-type", "application/json".to_owned()),
                header("x-source", source()),
            ],
            body,
            ..draft
        };
        Ok(Outcome::Send(vec![request]))
    }
}

fn source() -> String {
    settings::get("source").unwrap_or_default()
}

fn header(name: &str, value: String) -> Header {
    Header { name: name.to_owned(), value }
}

/// The digits of a number, without the `00` of an international call.
fn digits(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.strip_prefix("00").unwrap_or(&digits).to_owned()
}

// Only a component exports; natively the crate is built for its tests.
#[cfg(target_arch = "wasm32")]
bindings::export!(Example with_types_in bindings);

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn numbers_get_one_form() {
        for number in ["420774852629", "+420 774 852 629", "00420774852629"] {
            assert_eq!(digits(number), "420774852629");
        }
        assert_eq!(digits("anonymous"), "");
    }
}
