//! Callers whose number is not told: nobody is taken for them, and they for nobody.

use super::*;

const OTHER: &str = "420774852631";

/// The other side outside does not tell its number.
fn withheld(sketch: LegSketch) -> LegSketch {
    sketch.with(|leg| leg.party_caller_id = String::new())
}

fn in_call(number: i64, sketch: LegSketch) -> LegSketch {
    sketch.with(|leg| leg.call_id = number)
}

/// Kind, user, call and link, and what is particular, of what is not internal.
fn told(story: &Story) -> Vec<String> {
    let external = |event: &&CallEvent| event.direction != Direction::Internal;
    let calls = story.events.iter().filter(|event| event.kind.is_usual());
    let calls = calls.filter(external).map(|event| event.id.to_string());
    let lines =
        story.lines(|event| event.kind.is_usual() && event.direction != Direction::Internal);
    let number = |id: String| id.split_once('_').map(|(_, id)| id.to_owned()).unwrap_or(id);
    calls.map(number).zip(lines).map(|(id, line)| format!("{id}: {line}")).collect()
}

#[test]
fn a_call_is_not_taken_for_that_of_somebody_who_withholds_the_number() {
    let mut story = Story::new();
    let dialing = |status| in_call(2, leg("106", 10, status).outgoing());
    story.leg(in_call(1, withheld(leg("106", 2, Status::Ringing)))).pass(1_000);
    story.leg(in_call(1, withheld(leg("106", 2, Status::Connected)))).pass(9_000);
    // Alice calls somebody else; whom, the first notice does not tell (observed of `makecall`).
    story.leg(withheld(dialing(Status::Dialing)).with(|leg| {
        leg.party_dn = String::new();
        leg.party_dn_type = DnType::None;
    }));
    story.pass(60).leg(dialing(Status::Dialing)).pass(4_000);
    story.leg(dialing(Status::Connected)).pass(20_000).gone("106", 10).pass(3_000);
    story.gone("106", 2).pass(3_000);
    assert_eq!(
        told(&story),
        [
            "1-0: ringing 106(ext) -0",
            "1-1: start 106(ext) -1 NotDef",
            "2-1: start 106(ext) -1 NotDef",
            "2-1: end 106(ext) -1 Ok",
            "1-1: end 106(ext) -1 Ok",
        ]
    );
}

#[test]
fn an_attended_transfer_is_not_absorbed_by_somebody_who_withholds_the_number() {
    let mut story = Story::new();
    story.leg(in_call(1, leg("106", 2, Status::Ringing))).pass(1_000);
    story.leg(in_call(1, leg("106", 2, Status::Connected))).pass(9_000);
    let anonymous = |status| in_call(4, withheld(leg("106", 8, status)));
    story.leg(anonymous(Status::Ringing)).pass(1_000).leg(anonymous(Status::Connected));
    story.pass(5_000);
    let asks = leg("106", 10, Status::Connected).with_extension("107").with(|leg| leg.leg_id = 1);
    story.leg(in_call(5, asks));
    story.leg(in_call(5, leg("107", 11, Status::Connected).with_extension("106"))).pass(5_000);
    // The caller is handed over to Bob, whose leg stays in the consultation.
    story.leg(in_call(5, leg("107", 11, Status::Connected))).gone("106", 10).gone("106", 2);
    story.pass(9_000).gone("107", 11).pass(3_000).gone("106", 8).pass(3_000);
    assert_eq!(
        told(&story),
        [
            "1-0: ringing 106(ext) -0",
            "1-1: start 106(ext) -1 NotDef",
            "4-0: ringing 106(ext) -0",
            "4-1: start 106(ext) -1 NotDef",
            "1-1: end 106(ext) -1 Ok moved",
            "1-2: start 107(ext) -2 Accomp",
            "1-2: end 107(ext) -2 Ok",
            "4-1: end 106(ext) -1 Ok",
        ]
    );
}

#[test]
fn somebody_who_withholds_the_number_can_be_handed_over() {
    let mut story = Story::new();
    story.leg(in_call(1, withheld(leg("106", 2, Status::Ringing)))).pass(1_000);
    story.leg(in_call(1, withheld(leg("106", 2, Status::Connected)))).pass(9_000);
    let known =
        |status| in_call(4, leg("106", 8, status).with(|leg| leg.party_caller_id = OTHER.into()));
    story.leg(known(Status::Ringing)).pass(1_000).leg(known(Status::Connected)).pass(5_000);
    let asks = leg("106", 10, Status::Connected).with_extension("107").with(|leg| leg.leg_id = 1);
    story.leg(in_call(5, asks));
    story.leg(in_call(5, leg("107", 11, Status::Connected).with_extension("106"))).pass(5_000);
    story.leg(in_call(5, withheld(leg("107", 11, Status::Connected))));
    story.gone("106", 10).gone("106", 2).pass(9_000).gone("107", 11).pass(3_000);
    let told = told(&story);
    assert_eq!(
        told[4..],
        [
            "1-1: end 106(ext) -1 Ok moved",
            "1-2: start 107(ext) -2 Accomp",
            "1-2: end 107(ext) -2 Ok"
        ]
    );
}

/// A queue that is not visible names itself as the other side of its agent's leg.
fn offered(status: Status, caller: &str) -> LegSketch {
    leg("106", 2, status).with(|leg| {
        leg.party_dn = "800".into();
        leg.party_dn_type = DnType::Queue;
        leg.originated_by_dn = "800".into();
        leg.originated_by_type = DnType::Queue;
        leg.party_caller_id = caller.into();
    })
}

#[test]
fn who_withholds_the_number_in_a_queue_out_of_sight_is_outside() {
    let mut story = Story::with_dns(&[("106", DnType::Extension)]);
    story.leg(offered(Status::Ringing, "")).pass(3_000).leg(offered(Status::Connected, ""));
    story.pass(5_000).gone("106", 2).pass(3_000);
    assert_eq!(
        told(&story),
        [
            "755-0: ringing 106(ext) -0",
            "755-1: start 106(ext) -1 NotDef",
            "755-1: end 106(ext) -1 Ok"
        ]
    );
    assert!(story.events.iter().all(|event| event.direction == Direction::Incoming));
}

#[test]
fn an_extension_out_of_sight_that_calls_a_queue_is_inside() {
    let mut story = Story::with_dns(&[("106", DnType::Extension)]);
    story.leg(offered(Status::Ringing, "108")).pass(3_000).leg(offered(Status::Connected, "108"));
    story.pass(5_000).gone("106", 2).pass(3_000);
    assert!(told(&story).is_empty());
    assert!(!story.events.is_empty());
}

#[test]
fn a_number_that_is_told_a_moment_later_is_taken_over() {
    let none = |sketch| {
        withheld(sketch).with(|leg| {
            leg.party_dn = String::new();
            leg.party_dn_type = DnType::None;
        })
    };
    for first in [withheld, none] {
        let mut story = Story::new();
        story.leg(first(leg("106", 2, Status::Ringing))).pass(30);
        story.leg(leg("106", 2, Status::Ringing)).pass(3_000);
        story.leg(leg("106", 2, Status::Connected)).pass(3_000).gone("106", 2).pass(3_000);
        let numbers: Vec<&str> = story.events.iter().map(|it| it.caller_id.as_str()).collect();
        assert_eq!(numbers, ["", CALLER, CALLER]);
    }
    let mut story = Story::new();
    story.leg(withheld(leg("106", 2, Status::Dialing).outgoing())).pass(30);
    story.leg(leg("106", 2, Status::Dialing).outgoing()).pass(3_000).gone("106", 2).pass(3_000);
    assert_eq!(story.told(), ["end 106(ext) -0 Missed"]);
    assert_eq!(story.events.last().unwrap().caller_id, CALLER);
}

#[test]
fn whom_a_withheld_call_is_forwarded_to_is_not_taken_for_the_caller() {
    let mut story = Story::with_dns(&[("106", DnType::Extension), ("10007", DnType::ExternalLine)]);
    story.leg(withheld(leg("106", 2, Status::Ringing))).pass(9_000);
    let mobile = leg("10007", 3, Status::Ringing).with(|leg| leg.party_caller_id = OTHER.into());
    story.leg(mobile).pass(5).gone("106", 2).pass(9_000).gone("10007", 3).pass(3_000);
    assert!(story.events.iter().all(|event| event.caller_id.is_empty()));
}
