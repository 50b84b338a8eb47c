//! The call log: a row for each leg that somebody was called on, written when the leg is gone.
//!
//! That 3CX's log has one row for each routing segment is documented; that a leg is one is
//! inferred. Rows appear some time after they are written, which tests count in reads.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::exchange::{Change, Kind, Participant, Plan, Status};
use crate::server::settings::Settings;

/// What the log knows.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The legs that are there, by their id.
    legs: BTreeMap<i64, Segment>,
    /// What was written, oldest first.
    rows: Vec<Row>,
}

/// A leg that is there.
#[derive(Debug)]
struct Segment {
    /// Since when it rings.
    began: Timestamp,
    /// Since when it is connected.
    answered: Option<Timestamp>,
    /// It called, so it is on the other side of somebody's row.
    calls: bool,
}

/// A row, and how many reads do not see it yet.
#[derive(Debug)]
struct Row {
    value: Value,
    hidden_for: u32,
}

impl History {
    /// Writes down what happened.
    pub(crate) fn note(&mut self, change: &Change, plan: &Plan, settings: &Settings) {
        let now = Timestamp::now();
        match change {
            Change::Upsert(leg) => {
                let calls = leg.status == Status::Dialing;
                let segment = self.legs.entry(leg.id).or_insert(Segment {
                    began: now,
                    answered: None,
                    calls,
                });
                if leg.status == Status::Connected {
                    segment.answered.get_or_insert(now);
                }
            }
            Change::Remove(leg) => {
                let Some(segment) = self.legs.remove(&leg.id).filter(|it| !it.calls) else {
                    return;
                };
                let value = row(self.rows.len(), leg, &segment, now, plan, settings);
                self.rows.push(Row { value, hidden_for: settings.log_hidden_for });
            }
        }
    }

    /// The rows that can be seen, newest first (reported), as this read counts.
    pub(crate) fn read(&mut self) -> Vec<Value> {
        let mut seen = Vec::new();
        for row in self.rows.iter_mut().rev() {
            match row.hidden_for.checked_sub(1) {
                Some(left) => row.hidden_for = left,
                None => seen.push(row.value.clone()),
            }
        }
        seen
    }
}

/// A row as the report has it (its keys are observed).
fn row(
    number: usize,
    leg: &Participant,
    segment: &Segment,
    ended: Timestamp,
    plan: &Plan,
    settings: &Settings,
) -> Value {
    let on_trunk = plan.kind(&leg.dn) == Kind::Trunk;
    let number_outside = leg.party_caller_id.as_str();
    let (source, destination) =
        if on_trunk { (leg.party_dn.as_str(), number_outside) } else { (number_outside, &*leg.dn) };
    let answered = segment.answered.is_some();
    let between =
        |from: Timestamp, to: Timestamp| format!("PT{:.6}S", to.duration_since(from).as_secs_f64());
    let is_person = on_trunk || plan.kind(&leg.dn) == Kind::Extension;
    let who = if on_trunk { &leg.party_dn } else { &leg.dn };
    let recorded = settings.recordings && answered && is_person;
    let url = recorded.then(|| format!("{who}/recording-{number}.wav"));
    let listed: Vec<Value> = url.iter().map(|url| json!({ "RecordingUrl": url })).collect();
    json!({
        "CdrId": format!("00000000-0000-0000-0000-{number:012}"),
        "CallId": 90_000 + number,
        "CallHistoryId": format!("00000000-0000-0000-0001-{:012}", leg.callid),
        "MainCallHistoryId": format!("00000000-0000-0000-0001-{:012}", leg.callid),
        "SegmentId": number,
        "Indent": 0,
        "StartTime": segment.began.to_string(),
        "SourceDn": leg.party_dn,
        "SourceCallerId": source,
        "SourceDisplayName": leg.party_caller_name,
        "DestinationDn": leg.dn,
        "DestinationCallerId": destination,
        "DestinationDisplayName": "",
        "actionDnDn": null,
        "RingingDuration": between(segment.began, segment.answered.unwrap_or(ended)),
        "TalkingDuration": segment.answered.map_or("PT0S".to_owned(), |from| between(from, ended)),
        "Answered": answered,
        "Direction": if on_trunk { "Outbound" } else { "Inbound" },
        "Status": if answered { "Answered" } else { "Unanswered" },
        "Reason": "",
        "RecordingUrl": url,
        "Recordings": listed,
    })
}
