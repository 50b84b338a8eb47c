//! From the rows of the call log and of the list of active calls to what they say. Pure.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::rows::Row;
use crate::source::callcontrol::wire::{field, int, text_of};
use crate::source::notice::{LogParty, LogRow};

/// More recordings of one segment than this are not believed.
const MOST_RECORDINGS: usize = 16;

/// A row of the call log; none if it does not say when and between whom.
pub(in super::super) fn logged(row: &Row) -> Option<LogRow> {
    let party = |side: &str| LogParty {
        dn: text(row, &format!("{side}dn")),
        number: text(row, &format!("{side}callerid")),
    };
    let (from, to) = (party("source"), party("destination"));
    if from == LogParty::default() || to == LogParty::default() {
        return None;
    }
    // The rows of calls that were joined have this one in common (documented).
    let main = text(row, "maincallhistoryid");
    Some(LogRow {
        call: if main.is_empty() { text(row, "callhistoryid") } else { main },
        from,
        to,
        started: time(&text(row, "starttime"))?,
        ringing_ms: duration(&text(row, "ringingduration")),
        talking_ms: duration(&text(row, "talkingduration")),
        answered: field(row, "answered").and_then(Value::as_bool).unwrap_or_default(),
        recordings: recordings(row),
    })
}

/// The number of an active call, which is the run-time number of Call Control (reported). One that
/// voicemail has taken does not count: for us it is over (that the callee is called so is
/// inferred from the name of that menu in captures).
pub(in super::super) fn active(row: &Row) -> Option<i64> {
    let voicemail = text_of(row, "callee").to_ascii_lowercase().contains("voicemail");
    field(row, "id").and_then(int).filter(|_| !voicemail)
}

/// The URL of the row, then those of its list, whose form is not known: texts, or objects with
/// something like a URL (inferred).
fn recordings(row: &Row) -> Vec<String> {
    let mut found = vec![text(row, "recordingurl")];
    if let Some(Value::Array(listed)) = field(row, "recordings") {
        found.extend(listed.iter().map(|item| match item {
            Value::String(url) => url.trim().to_owned(),
            Value::Object(item) => {
                let names = ["recordingurl", "url", "path"].map(|name| text(item, name));
                names.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
            }
            _ => String::new(),
        }));
    }
    let mut urls: Vec<String> = Vec::new();
    for url in found {
        if !url.is_empty() && !urls.contains(&url) && urls.len() < MOST_RECORDINGS {
            urls.push(url);
        }
    }
    urls
}

/// Times of the log are UTC (reported), also where no zone is told.
fn time(text: &str) -> Option<Timestamp> {
    let plain = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse().ok().or_else(|| plain().map(|at| at.timestamp()))
}

/// `PT1M59.975S` in milliseconds.
fn duration(text: &str) -> Option<u32> {
    let duration: SignedDuration = text.parse().ok()?;
    u32::try_from(duration.as_millis()).ok()
}

fn text(row: &Row, name: &str) -> String {
    text_of(row, name).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(value: &Value) -> Row {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_row_says_when_between_whom_and_where_the_recording_is() {
        let told = logged(&row(&json!({
            "CdrId": "c1", "CallHistoryId": "h2", "MainCallHistoryId": "h1",
            "StartTime": "2026-03-05T08:15:02.25Z",
            "SourceDn": "10007", "SourceCallerId": "+420774852629", "SourceDisplayName": "",
            "DestinationDn": "106", "DestinationCallerId": "106", "actionDnDn": null,
            "RingingDuration": "PT3.5S", "TalkingDuration": "PT1M0.25S", "Answered": true,
            "RecordingUrl": "106/a.wav", "Recordings": [{"RecordingUrl": "106/b.wav"}, "106/a.wav"],
        })));
        let told = told.unwrap();
        assert_eq!((told.call.as_str(), told.to.dn.as_str()), ("h1", "106"));
        assert_eq!(told.from.number, "+420774852629");
        assert_eq!((told.ringing_ms, told.talking_ms), (Some(3_500), Some(60_250)));
        assert_eq!(told.recordings, ["106/a.wav", "106/b.wav"]);
        assert_eq!(told.started.as_millisecond() % 1_000, 250);
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        assert_eq!(time("2026-03-05T08:15:02"), "2026-03-05T08:15:02Z".parse().ok());
        assert_eq!(time("soon"), None);
    }

    #[test]
    fn a_row_without_parties_or_time_says_nothing() {
        let empty = json!({ "StartTime": "2026-03-05T08:15:02Z", "SourceDn": "106" });
        assert_eq!(logged(&row(&empty)), None);
        let timeless = json!({ "SourceDn": "106", "DestinationDn": "107", "StartTime": null });
        assert_eq!(logged(&row(&timeless)), None);
    }

    #[test]
    fn an_active_call_counts_unless_voicemail_has_it() {
        let call = |callee: &str| row(&json!({ "Id": 7, "Callee": callee, "Status": "Talking" }));
        assert_eq!(active(&call("106 Alice Novak")), Some(7));
        assert_eq!(active(&call("Voicemail Menu")), None);
        assert_eq!(active(&row(&json!({ "Id": "x" }))), None);
    }
}
