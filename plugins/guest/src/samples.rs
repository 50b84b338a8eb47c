//! An event of each kind, for tests and for plugins that try their settings out before the first
//! event comes.

use crate::{
    CallEvent, Callback, Did, Direction, Ended, EventKind, FinishType, Party, PartyKind, Recording,
    Ringing, RingingStopped, Side, Started, StopReason, Timestamp, TransferType,
};

/// When the sample call arrived: 2026-03-05T09:15:00+01:00.
const ARRIVED_MS: u64 = 1_772_698_500_000;

/// One event of each kind that 1.0.0 has, of an incoming call that is known in full; the end is
/// that of a conversation.
pub fn all() -> Vec<CallEvent> {
    let kinds = [
        ringing(),
        started(),
        ended(FinishType::Ok),
        ringing_stopped(),
        EventKind::Dialing,
        EventKind::Hold,
        EventKind::Resume,
        recording(),
    ];
    kinds.into_iter().map(event).collect()
}

/// An event of an incoming call that is known in full.
pub fn event(kind: EventKind) -> CallEvent {
    let direction = match kind {
        EventKind::Dialing => Direction::Outgoing,
        _ => Direction::Incoming,
    };
    CallEvent {
        event_id: "pbx-260305091500_698-1".to_owned(),
        id: "260305091500_698-1".to_owned(),
        chain_id: "260305091500_698".to_owned(),
        link: 1,
        sequence: 1,
        pbx: "pbx".to_owned(),
        direction,
        caller_id: "420774852629".to_owned(),
        caller_name: Some("Jan Novak".to_owned()),
        user: extension("106", "Alice Novak"),
        did: (direction == Direction::Incoming)
            .then(|| Did { number: "420226201001".to_owned(), name: Some("PragueDID".to_owned()) }),
        queue: (direction == Direction::Incoming).then(queue),
        arrived_at: after(0),
        occurred_at: after(occurred(&kind)),
        resynced: false,
        kind,
        extra: Vec::new(),
    }
}

/// The same event with nothing known that may be unknown.
pub fn sparse(event: CallEvent) -> CallEvent {
    let bare = |party: Party| Party { name: None, email: None, ..party };
    let kind = match event.kind {
        EventKind::Ringing(it) => EventKind::Ringing(Ringing { transferred_by: None, ..it }),
        EventKind::Started(it) => {
            EventKind::Started(Started { transferred_by: None, rang_at: None, ring_ms: None, ..it })
        }
        EventKind::Ended(it) => EventKind::Ended(Ended {
            transferred_to: None,
            hung_up_by: Side::Unknown,
            rang_at: None,
            ring_ms: None,
            callback_ordered: Callback::Unknown,
            unanswered: Vec::new(),
            ..it
        }),
        EventKind::Recording(it) => EventKind::Recording(Recording { duration_ms: None, ..it }),
        other => other,
    };
    CallEvent {
        caller_id: String::new(),
        caller_name: None,
        user: bare(event.user),
        did: None,
        queue: None,
        kind,
        ..event
    }
}

/// Alice's phone rings.
pub fn ringing() -> EventKind {
    EventKind::Ringing(Ringing {
        transfer: TransferType::Blind,
        transferred_by: Some(extension("107", "Bob Marek")),
    })
}

/// Alice answers.
pub fn started() -> EventKind {
    EventKind::Started(Started {
        transfer: TransferType::NotDef,
        transferred_by: None,
        rang_at: Some(after(8_000)),
        ring_ms: Some(4_000),
        wait_ms: 12_000,
    })
}

/// Alice's part of the call ends: after a conversation, or without one.
pub fn ended(finish: FinishType) -> EventKind {
    let talked = finish == FinishType::Ok;
    let title = if talked {
        "Incoming call from 420774852629 to 106 via PragueDID, 3:24"
    } else {
        "Missed incoming call from 420774852629 to 106 via PragueDID, waited 0:12"
    };
    EventKind::Ended(Ended {
        finish,
        transferred: false,
        transferred_to: None,
        hung_up_by: Side::External,
        title: title.to_owned(),
        rang_at: Some(after(8_000)),
        answered_at: talked.then(|| after(12_000)),
        ring_ms: Some(4_000),
        wait_ms: 12_000,
        talk_ms: talked.then_some(204_000),
        callback_ordered: Callback::No,
        unanswered: vec![extension("107", "Bob Marek")],
    })
}

/// Alice's phone stops ringing.
pub fn ringing_stopped() -> EventKind {
    EventKind::RingingStopped(RingingStopped {
        reason: StopReason::AnsweredElsewhere,
        rang_ms: 4_000,
    })
}

/// The recording is there.
pub fn recording() -> EventKind {
    EventKind::Recording(Recording {
        url: "https://pbx.example.com/recordings/698.wav".to_owned(),
        duration_ms: Some(204_000),
    })
}

/// A person's phone.
pub fn extension(number: &str, name: &str) -> Party {
    Party {
        number: number.to_owned(),
        kind: PartyKind::Extension,
        name: Some(name.to_owned()),
        email: Some(format!("{number}@example.com")),
    }
}

fn queue() -> Party {
    Party {
        number: "800".to_owned(),
        kind: PartyKind::Queue,
        name: Some("Sales".to_owned()),
        email: None,
    }
}

/// How long after the arrival it happened, in milliseconds.
fn occurred(kind: &EventKind) -> u64 {
    match kind {
        EventKind::Dialing => 0,
        EventKind::Ringing(_) => 8_000,
        EventKind::Hold => 60_000,
        EventKind::Resume => 90_000,
        EventKind::Ended(ended) if ended.finish == FinishType::Ok => 216_000,
        EventKind::Recording(_) => 246_000,
        _ => 12_000,
    }
}

/// A time so many milliseconds after the arrival; within its hour.
fn after(ms: u64) -> Timestamp {
    let seconds = ms / 1_000;
    let (minute, second) = (15 + seconds / 60, seconds % 60);
    Timestamp {
        text: format!("2026-03-05T09:{minute:02}:{second:02}.{:03}+01:00", ms % 1_000),
        epoch_ms: ARRIVED_MS + ms,
    }
}
