//! What goes before what where several sources know something of a number.

use super::super::tests::{CALLER, LegSketch, Story, leg};
use crate::event::{CallEvent, PartyKind};
use crate::source::notice::{DnType, Known, KnownDid, KnownNumber, Seen, Status};

const NUMBER: &str = "420226201002";

fn number(number: &str, kind: DnType, name: &str) -> KnownNumber {
    let (name, email) = (Some(name.into()), Some(format!("{number}@example.com")));
    KnownNumber { number: number.into(), kind, name, email }
}

fn books() -> Seen {
    let did = |number: &str, name: &str| KnownDid { number: number.into(), name: name.into() };
    Seen::Known(Box::new(Known {
        // The settings call the first one PragueDID.
        dids: vec![did("420226201001", "Other"), did("+420226201002", "Brno"), did("*003", "Zlin")],
        numbers: vec![
            number("106", DnType::Extension, "Alice Novak"),
            number("800", DnType::Queue, "Sales"),
            number("820", DnType::RingGroup, "Office"),
            number("850", DnType::Queue, "Menu"),
        ],
    }))
}

/// The exchange with its books, and one ringing leg.
fn first_event(sketch: LegSketch) -> CallEvent {
    let mut story = Story::with_dns(&[("106", DnType::Extension), ("850", DnType::Receptionist)]);
    story.see(books()).leg(sketch);
    story.events[0].clone()
}

fn dialled(number: &str) -> LegSketch {
    leg("106", 1, Status::Ringing).with(|leg| leg.party_did = number.into())
}

fn shown(name: &str) -> LegSketch {
    leg("106", 1, Status::Ringing).with(|leg| leg.party_caller_name = name.into())
}

/// Number and label of the DID, the queue, and the caller's name.
fn gist(event: &CallEvent) -> [&str; 4] {
    let did = event.did.as_ref();
    [
        did.map_or("", |did| &did.number),
        did.map_or("", |did| did.label()),
        event.queue.as_ref().map_or("", |queue| &queue.number),
        event.caller_name.as_deref().unwrap_or_default(),
    ]
}

#[test]
fn the_settings_name_a_did_before_the_books() {
    assert_eq!(gist(&first_event(dialled("420226201001"))), ["420226201001", "PragueDID", "", ""]);
    assert_eq!(gist(&first_event(dialled(NUMBER))), [NUMBER, "Brno", "", ""]);
    assert_eq!(gist(&first_event(dialled("00420226201002"))), ["00420226201002", "Brno", "", ""]);
    assert_eq!(gist(&first_event(dialled("420226201003"))), ["420226201003", "Zlin", "", ""]);
    assert_eq!(
        gist(&first_event(dialled("420226201004"))),
        ["420226201004", "420226201004", "", ""]
    );
}

#[test]
fn known_prefixes_of_a_display_name_tell_queue_and_did() {
    for (name, expected) in [
        ("Sales:Brno:Jan Novak", ["", "Brno", "800", "Jan Novak"]),
        ("PragueDID:Jan Novak", ["", "PragueDID", "", "Jan Novak"]),
        ("Brno:", ["", "Brno", "", ""]),
        // A number as a name is no name.
        ("Sales:+420774852629", ["", "", "800", ""]),
        // What is not known is the caller's own.
        ("Firm: Jan", ["", "", "", "Firm: Jan"]),
        ("Sales:Firm:Brno:Jan", ["", "", "800", "Firm:Brno:Jan"]),
        ("Brno", ["", "", "", "Brno"]),
    ] {
        assert_eq!(gist(&first_event(shown(name))), expected, "{name}");
    }
    let both = dialled(NUMBER).with(|leg| leg.party_caller_name = "PragueDID:Jan".into());
    assert_eq!(gist(&first_event(both)), [NUMBER, "Brno", "", "Jan"], "the number's own rule");
    let unknown = dialled("420226201009").with(|leg| leg.party_caller_name = "Brno:Jan".into());
    assert_eq!(gist(&first_event(unknown)), ["420226201009", "Brno", "", "Jan"]);
}

#[test]
fn a_did_with_a_number_is_not_replaced_by_a_mere_name() {
    let mut story = Story::with_dns(&[("106", DnType::Extension), ("107", DnType::Extension)]);
    story.see(books()).leg(dialled("420226201001"));
    story.leg(shown("Brno:Jan").with(|leg| leg.key.dn = "107".into()));
    let last = story.events.last().unwrap();
    assert_eq!(last.user.number, "107");
    assert_eq!(gist(last), ["420226201001", "PragueDID", "", "Jan"]);
}

#[test]
fn a_snapshot_says_what_a_dn_is_before_the_books() {
    let ringing = |dn: &str| first_event(leg(dn, 1, Status::Ringing)).user;
    assert_eq!(ringing("850").kind, PartyKind::Other("receptionist".into()));
    assert_eq!(ringing("820").kind, PartyKind::Other("ring-group".into()));
    assert_eq!(ringing("107").kind, PartyKind::Extension);
}

#[test]
fn the_books_say_who_somebody_is() {
    let user = first_event(leg("106", 1, Status::Ringing)).user;
    assert_eq!(user.name.as_deref(), Some("Alice Novak"));
    assert_eq!(user.email.as_deref(), Some("106@example.com"));
}

#[test]
fn books_that_come_during_a_call_tell_nothing_twice() {
    let mut story = Story::with_dns(&[("106", DnType::Extension), ("800", DnType::Queue)]);
    let ringing = || shown("Sales:Brno:Jan");
    story.leg(ringing()).see(books()).leg(ringing());
    story.snapshot(vec![ringing()]).restart().snapshot(vec![ringing()]);
    story.snapshot(Vec::new()).pass(5_000);
    let kinds: Vec<&str> = story.events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(kinds, ["ringing", "ringing-stopped", "end"]);
    assert_eq!(story.events[2].caller_id, CALLER);
}
