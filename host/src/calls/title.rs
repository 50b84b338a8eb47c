//! The readable phrase that an end event carries.
//!
//! A template names its parts in braces; a part of it in square brackets is left out when one of
//! the names in it has nothing to say: `Call from {caller}[ via {did}]`.

use std::fmt::Write as _;

use crate::event::{CallEvent, Callback, Direction, EventKind, FinishType, PartyKind};

/// The names that a template may use.
pub const PLACEHOLDERS: [&str; 8] =
    ["caller", "user", "did", "queue", "duration", "wait", "callback", "transfer"];

/// One template per outcome.
#[derive(Clone, Debug)]
pub struct Titles {
    /// An incoming call that was answered.
    pub incoming: String,
    /// One that nobody answered.
    pub incoming_missed: String,
    /// One that ended while it waited in a queue.
    pub incoming_missed_queue: String,
    /// An outgoing call that was answered.
    pub outgoing: String,
    /// One that was not.
    pub outgoing_missed: String,
    /// An internal call that was answered.
    pub internal: String,
    /// One that was not.
    pub internal_missed: String,
}

impl Default for Titles {
    fn default() -> Self {
        Self {
            incoming: "Incoming call from {caller} to {user}[ via {did}][, {transfer}], {duration}"
                .into(),
            incoming_missed:
                "Missed incoming call from {caller}[ to {user}][ via {did}][, {transfer}], waited {wait}"
                    .into(),
            incoming_missed_queue:
                "Missed incoming call from {caller}[ via {did}], ended in queue {queue}[, {callback}], waited {wait}"
                    .into(),
            outgoing: "Outgoing call from {user} to {caller}[, {transfer}], {duration}".into(),
            outgoing_missed: "Outgoing call from {user} to {caller}, no answer".into(),
            internal: "Internal call from {caller} to {user}[, {transfer}], {duration}".into(),
            internal_missed: "Missed internal call from {caller} to {user}, waited {wait}".into(),
        }
    }
}

/// Gives an end event its title.
pub(super) fn entitle(event: &mut CallEvent, titles: &Titles) {
    let EventKind::Ended(ended) = &event.kind else { return };
    let template = match (event.direction, ended.finish) {
        (Direction::Outgoing, FinishType::Ok) => &titles.outgoing,
        (Direction::Outgoing, FinishType::Missed) => &titles.outgoing_missed,
        (Direction::Internal, FinishType::Ok) => &titles.internal,
        (Direction::Internal, FinishType::Missed) => &titles.internal_missed,
        (_, FinishType::Ok) => &titles.incoming,
        (_, FinishType::Missed) if event.user.kind == PartyKind::Queue => {
            &titles.incoming_missed_queue
        }
        (_, FinishType::Missed) => &titles.incoming_missed,
    };
    let title = render(template, &|name| match name {
        "caller" if event.caller_id.is_empty() => "unknown number".to_owned(),
        "caller" => event.caller_id.clone(),
        "user" => event.user.number.clone(),
        "did" => event.did.as_ref().map(|did| did.label().to_owned()).unwrap_or_default(),
        "queue" => event.queue.as_ref().map(|q| q.number.clone()).unwrap_or_default(),
        "duration" => clock_text(ended.talk_ms.unwrap_or_default()),
        "wait" => clock_text(ended.wait_ms),
        "callback" if ended.callback_ordered == Callback::Yes => "callback ordered".to_owned(),
        "transfer" if ended.transferred => match &ended.transferred_to {
            Some(to) => format!("transferred to {}", to.number),
            None => "transferred".to_owned(),
        },
        _ => String::new(),
    });
    if let EventKind::Ended(ended) = &mut event.kind {
        ended.title = title;
    }
}

/// Fills a template in. `value` gives the text of a placeholder; an empty one is "nothing to say".
pub(super) fn render(template: &str, value: &dyn Fn(&str) -> String) -> String {
    let mut title = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('[') {
        fill(before, value, &mut title);
        let (optional, behind) = after.split_once(']').unwrap_or((after, ""));
        let mut part = String::new();
        if fill(optional, value, &mut part) {
            title.push_str(&part);
        }
        rest = behind;
    }
    fill(rest, value, &mut title);
    title
}

/// Appends `text` with its placeholders filled in; false if one of them was empty.
fn fill(text: &str, value: &dyn Fn(&str) -> String, out: &mut String) -> bool {
    let mut complete = true;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        let filled = value(name);
        complete &= !filled.is_empty();
        out.push_str(&filled);
        rest = behind;
    }
    out.push_str(rest);
    complete
}

/// `3:24`, or `1:02:03` from an hour on; seconds are cut, not rounded.
pub(super) fn clock_text(ms: u32) -> String {
    let seconds = ms / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    let written = if hours > 0 {
        write!(text, "{hours}:{minutes:02}:{seconds:02}")
    } else {
        write!(text, "{minutes}:{seconds:02}")
    };
    debug_assert!(written.is_ok(), "writing to a string does not fail");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bracket_with_an_empty_name_is_left_out() {
        let value = |name: &str| match name {
            "caller" => "420774852629".to_owned(),
            "wait" => clock_text(41_999),
            _ => String::new(),
        };
        assert_eq!(
            render(&Titles::default().incoming_missed, &value),
            "Missed incoming call from 420774852629, waited 0:41"
        );
    }

    #[test]
    fn durations_read_like_a_clock() {
        for (ms, text) in [(0, "0:00"), (59_999, "0:59"), (204_000, "3:24"), (3_723_000, "1:02:03")]
        {
            assert_eq!(clock_text(ms), text);
        }
    }

    #[test]
    fn a_template_with_loose_brackets_loses_no_text() {
        assert_eq!(render("a [b {x", &|_| "1".to_owned()), "a b 1");
    }
}
