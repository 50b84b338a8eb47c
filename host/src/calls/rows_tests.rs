use super::*;
use crate::event::{CallId, ChainId, Direction, Ended, FinishType, LocalTime, Party, Side};

const CALLER: &str = "420774852629";

/// The end of a talk, or of waiting in a queue if it was never answered. It arrived in second 90
/// and ended in second 170.
fn ended(user: &str, caller: &str, answered: Option<i64>) -> CallEvent {
    let at =
        |second| LocalTime::new(Timestamp::from_second(second).unwrap(), &jiff::tz::TimeZone::UTC);
    let chain = ChainId::new(at(90), answered.unwrap_or_default());
    let kind = if answered.is_some() { PartyKind::Extension } else { PartyKind::Queue };
    CallEvent {
        event_id: String::new(),
        id: CallId { chain, link: 1 },
        sequence: 3,
        pbx: "pbx".into(),
        direction: Direction::Incoming,
        caller_id: caller.into(),
        caller_name: None,
        user: Party { number: user.into(), kind, name: None, email: None },
        did: None,
        queue: None,
        arrived_at: at(90),
        occurred_at: at(170),
        resynced: false,
        kind: EventKind::Ended(Ended {
            finish: if answered.is_some() { FinishType::Ok } else { FinishType::Missed },
            transferred: false,
            transferred_to: None,
            hung_up_by: Side::Unknown,
            title: String::new(),
            rang_at: None,
            answered_at: answered.map(at),
            ring_ms: None,
            wait_ms: 0,
            talk_ms: None,
            callback_ordered: Callback::Unknown,
            unanswered: Vec::new(),
        }),
    }
}

fn row(call: &str, from: (&str, &str), to: (&str, &str), second: i64) -> LogRow {
    let party = |(dn, number): (&str, &str)| LogParty { dn: dn.into(), number: number.into() };
    LogRow {
        call: call.into(),
        from: party(from),
        to: party(to),
        started: Timestamp::from_second(second).unwrap(),
        ringing_ms: Some(4_000),
        talking_ms: Some(60_000),
        answered: true,
        recordings: vec!["106/a.wav".into()],
    }
}

/// From the caller to Alice, who answers in second 104.
fn incoming() -> LogRow {
    row("h1", ("10007", "+420774852629"), ("106", "106"), 100)
}

fn fits(row: &LogRow, log: &[LogRow], ends: &[CallEvent]) -> Option<String> {
    talk(row, log, ends.iter()).map(|end| end.id.to_string())
}

#[test]
fn a_talk_is_found_by_its_parties_and_the_time_of_the_answer() {
    let ends = [
        ended("106", CALLER, Some(104)),
        ended("107", CALLER, Some(104)),
        ended("106", "1199", Some(104)),
    ];
    let own = Some(ends[0].id.to_string());
    let row = incoming();
    assert_eq!(fits(&row, &[], &ends), own);
    let turned = LogRow { from: row.to.clone(), to: row.from.clone(), ..row.clone() };
    assert_eq!(fits(&turned, &[], &ends), own, "whoever called");
    let late = LogRow { ringing_ms: Some(60_000), ..row.clone() };
    assert_eq!(fits(&late, &[], &ends), None, "answered at another time");
    let missed = LogRow { answered: false, ..row };
    assert_eq!(fits(&missed, &[], &ends), None);
}

#[test]
fn what_fits_more_than_one_fits_none() {
    let ends = [ended("106", CALLER, Some(104)), ended("106", CALLER, Some(108))];
    let row = incoming();
    assert_eq!(fits(&row, &[], &ends), None, "two talks");
    let other = LogRow { call: "h2".into(), ..row.clone() };
    assert_eq!(fits(&row, &[row.clone(), other], &ends[..1]), None, "two calls in the log");
    assert!(fits(&row, std::slice::from_ref(&row), &ends[..1]).is_some());
}

#[test]
fn a_withheld_number_is_none_in_the_log_either() {
    let ends = [ended("106", "", Some(104))];
    assert_eq!(fits(&incoming(), &[], &ends), None);
    let withheld = row("h1", ("10007", "anonymous"), ("106", "106"), 100);
    assert!(fits(&withheld, &[], &ends).is_some());
}

#[test]
fn a_row_to_the_callback_menu_is_an_order() {
    let end = ended("800", CALLER, None);
    let queue = LogRow {
        ringing_ms: Some(0),
        talking_ms: Some(79_000),
        ..row("h1", ("10007", CALLER), ("800", "800"), 91)
    };
    let order = row("h1", ("10007", CALLER), ("QCB", "QCB"), 120);
    assert_eq!(callback(&[], &end), None, "the log does not know the call yet");
    assert_eq!(callback(std::slice::from_ref(&queue), &end), Some(Callback::No));
    assert_eq!(callback(&[order.clone(), queue.clone()], &end), Some(Callback::Yes));
    let another = LogRow { call: "h2".into(), ..order.clone() };
    assert_eq!(callback(&[another, queue.clone()], &end), None, "whose order is it?");
    let stranger = row("h2", ("10007", "420602111222"), ("QCB", "QCB"), 120);
    assert_eq!(callback(&[stranger, queue.clone()], &end), Some(Callback::No));
    let yesterday = LogRow { started: Timestamp::from_second(-80_000).unwrap(), ..order };
    assert_eq!(callback(&[yesterday, queue], &end), Some(Callback::No));
}

#[test]
fn a_queue_that_had_the_caller_earlier_says_nothing_of_how_it_ended() {
    let end = ended("800", CALLER, None);
    let ended_at = end.occurred_at.epoch_ms();
    let queue = row("h1", ("10007", CALLER), ("800", "800"), 91);
    let lasting = |talking_ms| LogRow { ringing_ms: Some(0), talking_ms, ..queue.clone() };
    let to_the_end = u32::try_from(ended_at - queue.started.as_millisecond()).unwrap();
    assert!(to_the_end > 20_000, "{to_the_end}");
    assert_eq!(callback(&[lasting(Some(5_000))], &end), None);
    assert_eq!(callback(&[lasting(Some(to_the_end))], &end), Some(Callback::No));
}
