//! The mapping by itself. The same goldens go through the component in `host/tests/plugins.rs`.

use super::*;
use crate::bindings::callhook::plugin::types::{
    Callback, Did, Ended, Field, OtherEvent, Party, Recording, Ringing, RingingStopped, Side,
    Started, Timestamp,
};

const BASE: &str = "https://webhook.site/";

fn event(direction: Direction, kind: EventKind) -> CallEvent {
    let at =
        Timestamp { text: "2022-01-06T20:59:45.000+01:00".into(), epoch_ms: 1_641_499_185_000 };
    let party = Party { number: "106".into(), kind: PartyKind::Extension, name: None, email: None };
    CallEvent {
        event_id: "pbx-220106205945_755-1".into(),
        id: "220106205945_755-1".into(),
        chain_id: "220106205945_755".into(),
        link: 1,
        sequence: 1,
        pbx: "pbx".into(),
        direction,
        caller_id: "420774852629".into(),
        caller_name: None,
        user: party,
        did: Some(Did { number: "420226201001".into(), name: Some("PragueDID".into()) }),
        queue: None,
        arrived_at: at.clone(),
        occurred_at: at,
        resynced: false,
        kind,
        extra: Vec::new(),
    }
}

fn started(transfer: TransferType) -> EventKind {
    EventKind::Started(Started {
        transfer,
        transferred_by: None,
        rang_at: None,
        ring_ms: None,
        wait_ms: 1,
    })
}

fn ended(finish: FinishType, transferred: bool) -> EventKind {
    EventKind::Ended(Ended {
        finish,
        transferred,
        transferred_to: None,
        hung_up_by: Side::Unknown,
        title: "Incoming call, 3:24".into(),
        rang_at: None,
        answered_at: None,
        ring_ms: None,
        wait_ms: 1,
        talk_ms: None,
        callback_ordered: Callback::Unknown,
        unanswered: Vec::new(),
    })
}

fn ringing() -> EventKind {
    EventKind::Ringing(Ringing { transfer: TransferType::NotDef, transferred_by: None })
}

fn url(event: &CallEvent) -> String {
    url_in(Dialect::Classic, event)
}

fn url_in(dialect: Dialect, event: &CallEvent) -> String {
    with_parameters(BASE, &parameters(event, dialect).expect("an event with parameters"))
}

#[test]
fn a_ringing_is_byte_for_byte_the_original_one() {
    let mut event = event(Direction::Incoming, ringing());
    event.user.kind = PartyKind::Other("ring-group".into());
    event.id = "211230100614_665-0".into();
    assert_eq!(
        url(&event),
        "https://webhook.site/?event=ringing&callerid=420774852629&user=106&usertype=other\
         &did=PragueDID&id=211230100614_665-0"
    );
}

#[test]
fn a_start_is_byte_for_byte_the_original_one() {
    assert_eq!(
        url(&event(Direction::Incoming, started(TransferType::NotDef))),
        "https://webhook.site/?callerid=420774852629&event=hangupincoming&user=106&did=PragueDID\
         &trtype=NotDef&id=220106205945_755-1"
    );
}

#[test]
fn an_outgoing_start_has_no_did() {
    assert_eq!(
        url(&event(Direction::Outgoing, started(TransferType::Blind))),
        "https://webhook.site/?callerid=420774852629&event=hangupoutgoing&user=106&trtype=Blind\
         &id=220106205945_755-1"
    );
}

#[test]
fn an_end_carries_finish_type_transfer_and_title() {
    assert_eq!(
        url(&event(Direction::Incoming, ended(FinishType::Ok, true))),
        "https://webhook.site/?callerid=420774852629&event=incoming&user=106&finishtype=Ok\
         &transfer=true&title=Incoming%20call%2C%203%3A24&id=220106205945_755-1"
    );
    assert_eq!(
        url(&event(Direction::Outgoing, ended(FinishType::Missed, false))),
        "https://webhook.site/?callerid=420774852629&event=outgoing&user=106&finishtype=Missed\
         &transfer=false&title=Incoming%20call%2C%203%3A24&id=220106205945_755-1"
    );
}

#[test]
fn internal_calls_say_so_and_unknown_ones_count_as_incoming() {
    let internal = url(&event(Direction::Internal, started(TransferType::Accomp)));
    assert!(internal.contains("event=hangupinternal&user=106&trtype=Accomp"), "{internal}");
    let internal = url(&event(Direction::Internal, ended(FinishType::Ok, false)));
    assert!(internal.contains("event=internal&"), "{internal}");
    let unknown = url(&event(Direction::Unknown, started(TransferType::NotDef)));
    assert!(unknown.contains("event=hangupincoming&user=106&did=PragueDID"), "{unknown}");
}

#[test]
fn a_did_is_named_by_its_rule_else_by_its_number_else_empty() {
    let mut event = event(Direction::Incoming, ringing());
    event.did = Some(Did { number: "+420226201001".into(), name: None });
    assert!(url(&event).contains("&did=%2B420226201001&"));
    event.did = None;
    assert!(url(&event).contains("&did=&id="));
}

#[test]
fn further_events_go_by_their_own_name() {
    let url = |kind| url(&event(Direction::Incoming, kind));
    assert_eq!(
        url(EventKind::Hold),
        "https://webhook.site/?event=hold&callerid=420774852629&user=106&id=220106205945_755-1"
    );
    let stopped =
        EventKind::RingingStopped(RingingStopped { reason: StopReason::CallerGone, rang_ms: 1 });
    assert_eq!(
        url(stopped),
        "https://webhook.site/?event=ringing-stopped&callerid=420774852629&user=106&usertype=ext\
         &did=PragueDID&reason=caller-gone&id=220106205945_755-1"
    );
    let recording = EventKind::Recording(Recording {
        url: "https://pbx.example.com/r/1.wav".into(),
        duration_ms: None,
    });
    assert_eq!(
        url(recording),
        "https://webhook.site/?event=recording&callerid=420774852629&user=106\
         &url=https%3A%2F%2Fpbx.example.com%2Fr%2F1.wav&id=220106205945_755-1"
    );
    let later = EventKind::Other(OtherEvent { name: "parked".into(), fields: Vec::new() });
    assert!(parameters(&event(Direction::Incoming, later), Dialect::Pickup).is_none());
}

#[test]
fn the_dialect_pickup_says_pickup_and_adds_chain_and_dialled_number() {
    let url = |event: &CallEvent| url_in(Dialect::Pickup, event);
    let mut start = event(Direction::Incoming, started(TransferType::NotDef));
    assert_eq!(
        url(&start),
        "https://webhook.site/?callerid=420774852629&event=pickupincoming&user=106&did=PragueDID\
         &trtype=NotDef&id=220106205945_755-1&chid=220106205945_755&inbound_did=420226201001"
    );
    start.direction = Direction::Outgoing;
    start.did = None;
    assert_eq!(
        url(&start),
        "https://webhook.site/?callerid=420774852629&event=pickupoutgoing&user=106\
         &trtype=NotDef&id=220106205945_755-1&chid=220106205945_755&inbound_did="
    );
    for kind in [ringing(), ended(FinishType::Ok, false), EventKind::Dialing, EventKind::Hold] {
        let event = event(Direction::Incoming, kind);
        let added = "&chid=220106205945_755&inbound_did=420226201001";
        let classic = url_in(Dialect::Classic, &event);
        assert_eq!(url_in(Dialect::Pickup, &event), format!("{classic}{added}"));
    }
}

#[test]
fn the_dialect_is_that_of_the_draft_and_classic_where_it_says_none() {
    let draft = |said: &[(&str, &str)]| HttpRequest {
        method: "GET".into(),
        url: BASE.into(),
        headers: Vec::new(),
        body: Vec::new(),
        tag: None,
        state: Vec::new(),
        delay_ms: 0,
        extra: said
            .iter()
            .map(|(name, value)| Field { name: (*name).into(), value: (*value).into() })
            .collect(),
    };
    assert_eq!(Dialect::of(&draft(&[])), Dialect::Classic);
    assert_eq!(Dialect::of(&draft(&[("dialect", "classic")])), Dialect::Classic);
    assert_eq!(Dialect::of(&draft(&[("endpoint", "x"), ("dialect", "pickup")])), Dialect::Pickup);
    assert_eq!(Dialect::of(&draft(&[("dialect", "of the future")])), Dialect::Classic);
}

#[test]
fn parameters_are_appended_to_whatever_address_is_given() {
    let add = |base| with_parameters(base, &[("a", "1")]);
    assert_eq!(add("https://crm.example"), "https://crm.example?a=1");
    assert_eq!(add("https://crm.example/x?key=v"), "https://crm.example/x?key=v&a=1");
    assert_eq!(add("https://crm.example/x?"), "https://crm.example/x?a=1");
    assert_eq!(add("https://crm.example/x?key=v&"), "https://crm.example/x?key=v&a=1");
    assert_eq!(add("https://crm.example/x#part?no"), "https://crm.example/x?a=1");
}

#[test]
fn values_are_percent_encoded_as_utf_8() {
    let url = with_parameters(BASE, &[("t", "Žluťoučký kůň & 100% +~-._/")]);
    assert_eq!(
        url,
        "https://webhook.site/?t=%C5%BDlu%C5%A5ou%C4%8Dk%C3%BD%20k%C5%AF%C5%88%20%26%20100%25%20%2B\
         ~-._%2F"
    );
}
