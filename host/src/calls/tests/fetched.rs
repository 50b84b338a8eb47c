//! Calls that somebody takes by dialling a code or the place where they wait.

use super::*;

const CODE: &str = "*20*106";

fn with_parking() -> Story {
    let extensions = [("106", DnType::Extension), ("107", DnType::Extension)];
    Story::with_dns(&[&extensions[..], &[("SP1", DnType::Parking)]].concat())
}

/// Bob's phone calls a number inside, in a call of its own.
fn dials(number: &str, kind: DnType) -> LegSketch {
    leg("107", 9, Status::Dialing).outgoing().with_extension(number).with(|leg| {
        leg.call_id = 756;
        leg.party_dn_type = kind;
    })
}

/// Bob's phone has what he dialled for.
fn has_it() -> LegSketch {
    leg("107", 9, Status::Connected).with(|leg| leg.leg_id = 3)
}

/// Alice has talked, and parks.
fn parked(story: &mut Story) -> &mut Story {
    story.leg(leg("106", 2, Status::Ringing)).pass(1_000);
    story.leg(leg("106", 2, Status::Connected)).pass(9_000);
    story.leg(leg("SP1", 3, Status::Connected)).pass(5).gone("106", 2).pass(30_000)
}

#[test]
fn a_pick_up_by_a_code_is_an_ordinary_answer_and_no_call_to_the_code() {
    for ringing_ends_first in [true, false] {
        let mut story = Story::new();
        story.leg(leg("106", 2, Status::Ringing)).pass(3_000);
        story.leg(dials(CODE, DnType::Extension)).pass(30);
        if ringing_ends_first {
            story.gone("106", 2).pass(2).leg(has_it());
        } else {
            story.leg(has_it()).pass(2).gone("106", 2);
        }
        story.pass(9_000).gone("107", 9).pass(3_000);
        assert_eq!(
            story.told(),
            ["ringing 106(ext) -0", "start 107(ext) -1 NotDef", "end 107(ext) -1 Ok"]
        );
    }
}

#[test]
fn who_dials_the_place_where_a_call_is_parked_has_it_by_a_blind_transfer() {
    let mut story = with_parking();
    parked(&mut story).leg(dials("SP1", DnType::Parking)).pass(50).leg(has_it());
    story.pass(5).gone("SP1", 3).pass(5_000).gone("107", 9).pass(3_000);
    assert_eq!(
        story.told()[2..],
        [
            "end 106(ext) -1 Ok moved",
            "ringing SP1(other) -2",
            "start 107(ext) -2 Blind",
            "end 107(ext) -2 Ok"
        ]
    );
}

#[test]
fn a_parked_call_may_come_to_the_number_of_whoever_fetches_it() {
    for place_goes_first in [true, false] {
        let mut story = with_parking();
        parked(&mut story).leg(dials("SP1", DnType::Parking)).pass(50);
        let has_it = || has_it().outgoing().with(|leg| leg.call_id = 756);
        if place_goes_first {
            story.gone("SP1", 3).pass(2).leg(has_it());
        } else {
            story.leg(has_it()).pass(2).gone("SP1", 3);
        }
        story.pass(5_000).gone("107", 9).pass(3_000);
        assert_eq!(story.told()[4..], ["start 107(ext) -2 Blind", "end 107(ext) -2 Ok"]);
        assert!(story.events.iter().all(|event| event.id.chain == story.events[0].id.chain));
    }
}

#[test]
fn a_call_parked_out_of_sight_is_fetched_the_same_way() {
    let mut story = Story::new();
    story.leg(leg("106", 2, Status::Ringing)).pass(1_000);
    story.leg(leg("106", 2, Status::Connected)).pass(9_000).gone("106", 2).pass(30_000);
    story.leg(dials("SP1", DnType::Parking)).pass(50).leg(has_it()).pass(5_000);
    story.gone("107", 9).pass(3_000);
    assert_eq!(story.told()[3..], ["start 107(ext) -2 Blind", "end 107(ext) -2 Ok"]);
}

#[test]
fn who_was_asked_by_somebody_out_of_sight_has_the_call_by_an_attended_transfer() {
    let mut story = Story::with_dns(&[("107", DnType::Extension)]);
    let asked = |status| leg("107", 9, status).with_extension("106").with(|leg| leg.call_id = 756);
    story.leg(asked(Status::Ringing)).pass(2_000).leg(asked(Status::Connected)).pass(5_000);
    story.leg(has_it()).pass(9_000).gone("107", 9).pass(3_000);
    let outside = story.lines(|event| event.direction == Direction::Incoming);
    assert_eq!(outside, ["start 107(ext) -1 Accomp", "end 107(ext) -1 Ok"]);
}
