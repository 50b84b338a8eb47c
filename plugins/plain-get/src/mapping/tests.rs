//! The mapping by itself. The same goldens go through the component in `host/tests/plugins.rs`.

use callhook_plugin::url::with_query;
use callhook_plugin::{
    Ended, Field, OtherEvent, Recording, Ringing, RingingStopped, Started, StopReason, samples,
    testing,
};

use super::*;

const BASE: &str = "https://webhook.site/";

fn event(direction: Direction, kind: EventKind) -> CallEvent {
    CallEvent {
        id: "220106205945_755-1".into(),
        chain_id: "220106205945_755".into(),
        direction,
        did: Some(Did { number: "420226201001".into(), name: Some("PragueDID".into()) }),
        ..samples::event(kind)
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
    match samples::ended(finish) {
        EventKind::Ended(ended) => {
            EventKind::Ended(Ended { transferred, title: "Incoming call, 3:24".into(), ..ended })
        }
        other => other,
    }
}

fn ringing() -> EventKind {
    EventKind::Ringing(Ringing { transfer: TransferType::NotDef, transferred_by: None })
}

fn url(event: &CallEvent) -> String {
    url_in(Dialect::Classic, event)
}

fn url_in(dialect: Dialect, event: &CallEvent) -> String {
    with_query(BASE, parameters(event, dialect).expect("an event with parameters"))
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
        extra: said
            .iter()
            .map(|(name, value)| Field { name: (*name).into(), value: (*value).into() })
            .collect(),
        ..testing::draft(BASE)
    };
    assert_eq!(Dialect::of(&draft(&[])), Dialect::Classic);
    assert_eq!(Dialect::of(&draft(&[("dialect", "classic")])), Dialect::Classic);
    assert_eq!(Dialect::of(&draft(&[("endpoint", "x"), ("dialect", "pickup")])), Dialect::Pickup);
    assert_eq!(Dialect::of(&draft(&[("dialect", "of the future")])), Dialect::Classic);
}
