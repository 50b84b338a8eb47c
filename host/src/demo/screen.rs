//! What the demo prints: people, events, and the webhook that arrived for each event.
//!
//! Events and webhooks come from two sides of the service and may overtake each other, so a
//! webhook is held back until its event was shown. Lines fit a terminal of 80 columns.

use std::collections::HashMap;
use std::fmt::Write as _;

use callhook_receiver::Webhook;

use crate::event::{CallEvent, EventKind};

/// Columns that a line may take.
const WIDTH: usize = 80;
/// Characters of a body that are shown.
const LONGEST: usize = 2_000;
/// Where the text of events and webhooks begins.
const INDENT: &str = "             ";

/// Collects what happens and says which lines to print.
#[derive(Debug)]
pub(super) struct Screen {
    colours: bool,
    /// There may be any number of webhooks for an event, and their bodies are shown.
    whole: bool,
    /// Events that were shown and whose webhook has not arrived, by event id.
    waiting: HashMap<String, String>,
    /// Webhooks whose event was not shown yet, by event id.
    early: HashMap<String, Vec<Webhook>>,
    counts: Counts,
}

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) events: usize,
    /// Webhooks that were accepted and belong to an event.
    pub(super) delivered: usize,
    /// Webhooks that were not expected, not accepted, or came again.
    pub(super) strange: usize,
}

#[derive(Clone, Copy)]
enum Colour {
    Bold,
    Cyan,
    Green,
    Red,
}

impl Screen {
    /// A screen for one webhook per event, or for all that a plugin makes of events.
    pub(super) fn new(colours: bool, whole: bool) -> Self {
        Self {
            colours,
            whole,
            waiting: HashMap::new(),
            early: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// What was seen so far.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// A line about what people do.
    pub(super) fn people(&self, line: &str) -> String {
        let mut text = String::from("\n");
        for line in wrap(line, WIDTH - 2, ' ') {
            let line = format!("* {line}");
            text.push_str(&self.paint(Colour::Bold, &line));
            text.push('\n');
        }
        text
    }

    /// An event, with the webhooks that came before it.
    pub(super) fn event(&mut self, event: &CallEvent) -> String {
        self.counts.events += 1;
        let name = format!("{:<8}", event.kind.name());
        let mut text = format!(
            "  {}   {} {} {}\n",
            self.paint(Colour::Cyan, "event   "),
            name,
            event.user.number,
            describe(event),
        );
        self.waiting.insert(event.event_id.clone(), event.id.to_string());
        for webhook in self.early.remove(&event.event_id).unwrap_or_default() {
            text.push_str(&self.webhook(webhook));
        }
        text
    }

    /// A webhook, if its event was shown; otherwise nothing for now.
    pub(super) fn webhook(&mut self, webhook: Webhook) -> String {
        let request_id = webhook.header("webhook-id").to_owned();
        let event_id = request_id.split(':').next().unwrap_or_default().to_owned();
        let accepted = (200..300).contains(&webhook.answer);
        let awaited = if self.whole {
            self.waiting.contains_key(&event_id)
        } else {
            self.waiting.remove(&event_id).is_some()
        };
        if accepted && awaited {
            self.counts.delivered += 1;
            return self.show(Colour::Green, &webhook);
        }
        let first = self.whole || !self.early.contains_key(&event_id);
        if accepted && !event_id.is_empty() && first {
            self.early.entry(event_id).or_default().push(webhook);
            return String::new();
        }
        self.counts.strange += 1;
        self.show(Colour::Red, &webhook)
    }

    fn show(&self, colour: Colour, webhook: &Webhook) -> String {
        let label = self.paint(colour, "webhook ");
        let line = format!("{} {} ({})", webhook.method, webhook.target, webhook.answer);
        let mut text = String::new();
        for (index, piece) in wrap(&line, WIDTH - INDENT.len(), '&').into_iter().enumerate() {
            let start = if index == 0 { format!("  {label}   ") } else { INDENT.to_owned() };
            let written = writeln!(text, "{start}{piece}");
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
        if self.whole && !webhook.body.is_empty() {
            let body: String =
                String::from_utf8_lossy(&webhook.body).chars().take(LONGEST).collect();
            for line in body.replace(|c: char| c.is_control() && c != '\n', " ").lines() {
                for piece in wrap(line, WIDTH - INDENT.len(), ',') {
                    let written = writeln!(text, "{INDENT}{piece}");
                    debug_assert!(written.is_ok(), "writing to a string does not fail");
                }
            }
        }
        text
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Bold => 1,
            Colour::Cyan => 36,
            Colour::Green => 32,
            Colour::Red => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// What is particular about an event, in a few words.
fn describe(event: &CallEvent) -> String {
    match &event.kind {
        EventKind::Ended(ended) => format!("{}: {}", event.id, ended.title),
        _ => format!("{}: {} {}", event.id, direction(event), event.caller_id),
    }
    .chars()
    .take(WIDTH - INDENT.len() - 13)
    .collect()
}

fn direction(event: &CallEvent) -> &'static str {
    match event.direction {
        crate::event::Direction::Outgoing => "to",
        _ => "from",
    }
}

/// Cuts a line into pieces of at most `width` characters, before a `mark` where there is one.
fn wrap(line: &str, width: usize, mark: char) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for word in line.split_inclusive(mark) {
        if !piece.is_empty() && piece.chars().count() + word.trim_end().chars().count() > width {
            pieces.push(std::mem::take(&mut piece));
        }
        for character in word.chars() {
            if piece.chars().count() == width {
                pieces.push(std::mem::take(&mut piece));
            }
            piece.push(character);
        }
    }
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_url_is_cut_between_parameters_and_loses_nothing() {
        let line = format!("GET /?event=ringing&{}&id=1", "x".repeat(90));
        let pieces = wrap(&line, 67, '&');
        assert!(pieces.iter().all(|piece| piece.chars().count() <= 67), "{pieces:?}");
        assert_eq!(pieces.concat(), line);
        assert_eq!(pieces[0], "GET /?event=ringing&");
    }
}
