//! `[titles]`: the wording of the readable phrase of an end event.
//!
//! The engine fills the templates in: `{name}` is a part, and a piece in square brackets is left
//! out when a part within it is empty. Here it is only seen to that they can be filled in.

use super::error::Fault;
use super::section::{Reader, Value};
use super::value;

/// The parts that a template may name.
const PARTS: [&str; 8] =
    ["caller", "user", "did", "queue", "duration", "wait", "callback", "transfer"];

/// One template per outcome; none where the usual one is to be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Titles {
    /// An incoming call that was answered.
    pub incoming: Option<String>,
    /// One that nobody answered.
    pub incoming_missed: Option<String>,
    /// One that ended while it waited in a queue.
    pub incoming_missed_queue: Option<String>,
    /// An outgoing call that was answered.
    pub outgoing: Option<String>,
    /// One that was not.
    pub outgoing_missed: Option<String>,
    /// An internal call that was answered.
    pub internal: Option<String>,
    /// One that was not.
    pub internal_missed: Option<String>,
}

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Titles {
    Titles {
        incoming: reader.optional("incoming", template),
        incoming_missed: reader.optional("incoming-missed", template),
        incoming_missed_queue: reader.optional("incoming-missed-queue", template),
        outgoing: reader.optional("outgoing", template),
        outgoing_missed: reader.optional("outgoing-missed", template),
        internal: reader.optional("internal", template),
        internal_missed: reader.optional("internal-missed", template),
    }
}

fn template(value: &Value<'_>) -> Result<String, Fault> {
    let text = value::text(value)?;
    for (opening, closing) in [('{', '}'), ('[', ']')] {
        if !paired(&text, opening, closing) {
            return Err(value.wrong(format!("every {opening} to be closed by a {closing}")));
        }
    }
    for part in text.split('{').skip(1).filter_map(|behind| behind.split('}').next()) {
        if !PARTS.contains(&part) {
            let known = PARTS.map(str::to_owned).to_vec();
            return Err(value::unknown_word(value, part, "placeholder", known));
        }
    }
    Ok(text)
}

/// Whether each opening bracket has its closing one before the next opens.
fn paired(text: &str, opening: char, closing: char) -> bool {
    let mut open = false;
    for ch in text.chars().filter(|&ch| ch == opening || ch == closing) {
        if (ch == opening) == open {
            return false;
        }
        open = !open;
    }
    !open
}
