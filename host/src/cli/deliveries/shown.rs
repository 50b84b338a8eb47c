//! How a delivery is shown, to people and to programs.

use std::fmt::{self, Write as _};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::json;

use crate::outbox::{Attempt, DeliveryDetail, DeliveryRow, parent_id};
use crate::redact;

/// A delivery in a listing, in one line.
pub(super) struct Line<'a>(pub(super) &'a DeliveryRow);

/// All that is known of a delivery.
pub(super) struct Told<'a> {
    pub(super) detail: &'a DeliveryDetail,
    /// Where the next attempt goes, if not where the request was made for.
    pub(super) goes_to: Option<&'a str>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(row) = self;
        let state = if row.behind { "behind" } else { row.state.name() };
        let when = row.created.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S");
        write!(f, "{when}  {state:<9}  {:>2}  {}", row.attempts, row.id)?;
        if let Some(due) = row.due_in.filter(|due| !row.behind && !due.is_zero()) {
            let due = Duration::from_secs(due.as_secs());
            write!(f, "  due in {}", humantime::format_duration(due))?;
        }
        match &row.reason {
            Some(reason) => write!(f, "  {reason}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { detail, goes_to } = self;
        let row = &detail.row;
        let state = if row.behind { "waiting behind an earlier one" } else { row.state.name() };
        writeln!(f, "id        {}\nendpoint  {}\nstate     {state}", row.id, row.endpoint)?;
        if let Some(parent) = parent_id(&row.id) {
            writeln!(f, "follows   {parent}")?;
        }
        if let Some(reason) = &row.reason {
            writeln!(f, "reason    {reason}")?;
        }
        writeln!(f, "made      {}", row.created)?;
        if let Some(finished) = row.finished {
            writeln!(f, "finished  {finished}")?;
        }
        if let Some(goes_to) = goes_to {
            writeln!(f, "goes to   {goes_to}")?;
        }
        if let Some(request) = &detail.request {
            writeln!(f, "\n{} {}", request.method, request.url)?;
            for (name, value) in &request.headers {
                writeln!(f, "{name}: {}", redact::header(name, value))?;
            }
            if !request.body.is_empty() {
                writeln!(f, "\n{}", Foreign(&request.body))?;
            }
        }
        if !detail.details.is_empty() {
            writeln!(f, "\n{}", detail.details)?;
        }
        detail.attempts.iter().try_for_each(|attempt| tell_attempt(attempt, f))?;
        match &detail.event {
            Some(event) => writeln!(f, "\nevent     {event}"),
            None => Ok(()),
        }
    }
}

/// What others wrote, indented so that it cannot look like ours, and without what a terminal would
/// take for orders.
struct Foreign<'a>(&'a [u8]);

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("    ")?;
        for character in String::from_utf8_lossy(self.0).chars() {
            match character {
                '\n' => f.write_str("\n    ")?,
                '\t' => f.write_char(character)?,
                _ if character.is_control() => write!(f, "{}", character.escape_default())?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

fn tell_attempt(attempt: &Attempt, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let status = attempt.status.map_or_else(|| "no reply".to_owned(), |status| status.to_string());
    let took = Duration::from_millis(u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX));
    write!(f, "\nattempt   {} {status} after {took:?}", attempt.at)?;
    if let Some(error) = &attempt.error {
        write!(f, ": {error}")?;
    }
    writeln!(f)?;
    if !attempt.reply.is_empty() {
        writeln!(f, "{}", Foreign(attempt.reply.trim_ascii_end()))?;
    }
    Ok(())
}

/// A delivery in a listing, for programs.
pub(super) fn row_as_json(row: &DeliveryRow) -> serde_json::Value {
    json!({
        "id": row.id,
        "follows": parent_id(&row.id),
        "event": row.event_id,
        "endpoint": row.endpoint,
        "lane": row.lane,
        "state": row.state.name(),
        "behind": row.behind,
        "attempts": row.attempts,
        "created": row.created,
        "finished": row.finished,
        "due_in_ms": row.due_in.map(|due| due.as_millis()),
        "reason": row.reason,
    })
}

/// All that is known of a delivery, for programs.
pub(super) fn detail_as_json(detail: &DeliveryDetail, goes_to: Option<&str>) -> serde_json::Value {
    let mut value = row_as_json(&detail.row);
    let attempts = detail.attempts.iter().map(|attempt| {
        json!({
            "at": attempt.at,
            "took_ms": attempt.took.as_millis(),
            "status": attempt.status,
            "error": attempt.error,
            "reply": String::from_utf8_lossy(&attempt.reply),
            "truncated": attempt.truncated,
        })
    });
    let event = detail.event.as_deref().map(|event| {
        serde_json::from_str(event).unwrap_or_else(|_| serde_json::Value::from(event))
    });
    let request = detail.request.as_ref().map(|request| {
        let headers = request.headers.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name, redact::header(name, value))).collect();
        json!({
            "method": request.method,
            "url": request.url,
            "headers": headers,
            "body": String::from_utf8_lossy(&request.body),
        })
    });
    if let Some(object) = value.as_object_mut() {
        object.insert("goes_to".to_owned(), json!(goes_to));
        object.insert("generation".to_owned(), json!(detail.generation));
        object.insert("request".to_owned(), json!(request));
        object.insert("tries".to_owned(), attempts.collect());
        object.insert("details".to_owned(), json!(detail.details));
        object.insert("event_data".to_owned(), json!(event));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_gives_the_terminal_no_orders_and_is_told_from_what_we_say() {
        let reply = b"ok\x1b[2J\r\nstate     delivered\tyes \xf0\x9f\x93\x9e\n";
        let shown = Foreign(reply.trim_ascii_end()).to_string();
        assert_eq!(shown, "    ok\\u{1b}[2J\\r\n    state     delivered\tyes \u{1f4de}");
    }
}
