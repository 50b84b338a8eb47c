//! Those who take part in a call that somebody else has.

use super::*;

/// Alice talks with somebody outside, and Bob has come in on it.
fn with_a_guest() -> Story {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(1_000);
    story.leg(leg("106", 1, Status::Connected)).pass(9_000);
    story.leg(leg("107", 5, Status::Connected).with(|leg| leg.leg_id = 3)).pass(20_000);
    story
}

#[test]
fn whoever_is_in_a_call_that_ends_a_little_longer_has_not_got_it() {
    let mut story = with_a_guest();
    story.leg(leg("108", 6, Status::Connected).with(|leg| leg.leg_id = 4)).pass(9_000);
    story.gone("106", 1).pass(4).gone("107", 5).pass(4).gone("108", 6).pass(3_000);
    assert_eq!(
        story.told(),
        ["ringing 106(ext) -0", "start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]
    );
    assert_eq!(end_of(&story.events[2]).unwrap().talk_ms, Some(38_000));
}

#[test]
fn a_guest_who_stays_has_the_call_from_when_the_other_left() {
    for restarts in [false, true] {
        let mut story = with_a_guest();
        story.gone("106", 1).pass(400);
        if restarts {
            story.restart();
            story.snapshot(vec![leg("107", 5, Status::Connected).with(|leg| leg.leg_id = 3)]);
        }
        story.pass(200);
        let told = [
            "ringing 106(ext) -0",
            "start 106(ext) -1 NotDef",
            "end 106(ext) -1 Ok moved",
            "start 107(ext) -2 Accomp",
        ];
        assert_eq!(story.told(), told);
        assert_eq!(story.events[2].occurred_at, story.events[3].occurred_at);
        assert_eq!(end_of(&story.events[2]).unwrap().talk_ms, Some(29_000));
    }
}

#[test]
fn who_was_asked_and_gets_the_call_is_no_guest() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(1_000);
    story.leg(leg("106", 1, Status::Connected)).pass(9_000);
    let asked = |sketch: LegSketch| sketch.with(|leg| leg.call_id = 5);
    let asks = leg("106", 10, Status::Connected).with_extension("107").with(|leg| leg.leg_id = 1);
    story.leg(asked(asks));
    story.leg(asked(leg("107", 11, Status::Connected).with_extension("106"))).pass(9_000);
    // Bob's leg stays, and shows the caller.
    story.leg(asked(leg("107", 11, Status::Connected))).pass(5).gone("106", 10).gone("106", 1);
    let told = story.told();
    assert_eq!(told[told.len() - 2..], ["end 106(ext) -1 Ok moved", "start 107(ext) -2 Accomp"]);
}
