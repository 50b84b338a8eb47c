//! The plugin without host and network: events and replies in, calls out.

mod order;
mod replies;
mod stories;
mod whole;

use crate::settings::{KEYS, Settings};
use callhook_plugin::{
    CallEvent, Callback, Did, Direction, Ended, EventKind, FinishType, Party, PartyKind, Recording,
    Ringing, RingingStopped, Side, Started, StopReason, Timestamp, TransferType,
};

/// An extension, or a queue if it begins with 8.
fn party(number: &str) -> Party {
    let kind = if number.starts_with('8') { PartyKind::Queue } else { PartyKind::Extension };
    Party { number: number.to_owned(), kind, name: None, email: None }
}

fn event(link: u32, user: &str, kind: EventKind) -> CallEvent {
    let at = |text: &str| Timestamp { text: text.to_owned(), epoch_ms: 1_641_499_185_120 };
    CallEvent {
        event_id: "pbx-220106205945_755-1".to_owned(),
        id: format!("220106205945_755-{link}"),
        chain_id: "220106205945_755".to_owned(),
        link,
        sequence: 1,
        pbx: "pbx".to_owned(),
        direction: Direction::Incoming,
        caller_id: "420774852629".to_owned(),
        caller_name: None,
        user: party(user),
        did: Some(Did { number: "420226201001".to_owned(), name: Some("PragueDID".to_owned()) }),
        queue: None,
        arrived_at: at("2022-01-06T20:59:45.120+01:00"),
        occurred_at: at("2022-01-06T21:07:00.999+01:00"),
        resynced: false,
        kind,
        extra: Vec::new(),
    }
}

fn ringing(link: u32, user: &str) -> CallEvent {
    let kind = Ringing { transfer: TransferType::NotDef, transferred_by: None };
    event(link, user, EventKind::Ringing(kind))
}

fn stopped(link: u32, user: &str) -> CallEvent {
    let kind = RingingStopped { reason: StopReason::Unknown, rang_ms: 4_000 };
    event(link, user, EventKind::RingingStopped(kind))
}

fn started(link: u32, user: &str) -> CallEvent {
    let kind = Started {
        transfer: TransferType::NotDef,
        transferred_by: None,
        rang_at: None,
        ring_ms: None,
        wait_ms: 1,
    };
    event(link, user, EventKind::Started(kind))
}

fn ended(link: u32, user: &str, talk_ms: Option<u32>) -> CallEvent {
    let kind = Ended {
        finish: if talk_ms.is_some() { FinishType::Ok } else { FinishType::Missed },
        transferred: false,
        transferred_to: None,
        hung_up_by: Side::Unknown,
        title: "Missed incoming call".to_owned(),
        rang_at: None,
        answered_at: None,
        ring_ms: None,
        wait_ms: 1,
        talk_ms,
        callback_ordered: Callback::Unknown,
        unanswered: Vec::new(),
    };
    event(link, user, EventKind::Ended(kind))
}

fn recorded(link: u32, user: &str) -> CallEvent {
    let kind = Recording { url: "https://pbx.example/1.wav".to_owned(), duration_ms: None };
    event(link, user, EventKind::Recording(kind))
}

fn settings(set: &[(&str, &str)]) -> Settings {
    let (settings, problems) = Settings::read(|name| {
        let usual = KEYS.iter().find(|key| key.0 == name).expect("a key that is listed").2;
        let set = set.iter().find(|pair| pair.0 == name).map(|pair| pair.1);
        set.or(usual).map(str::to_owned)
    });
    assert_eq!(problems, []);
    settings
}

/// The directory of the tests: 106 to 108 have a user in Bitrix24.
fn directory(extension: &str) -> Option<String> {
    match extension {
        "106" => Some("6".to_owned()),
        "107" => Some("7".to_owned()),
        "108" => Some("8".to_owned()),
        _ => None,
    }
}
