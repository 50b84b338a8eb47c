use crate::calls::tests::{Story, leg};
use crate::source::notice::{Seen, Status};

fn active(calls: &[i64]) -> Seen {
    Seen::Active { calls: calls.to_vec() }
}

#[test]
fn a_call_that_waits_out_of_sight_is_not_over() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(4_000);
    story.gone("106", 1).pass(300).see(active(&[755]));
    for _ in 0..70 {
        story.pass(3_000).see(active(&[12, 755]));
    }
    story.leg(leg("107", 2, Status::Ringing)).pass(2_000);
    story.leg(leg("107", 2, Status::Connected));
    let expected = ["ringing 106(ext) -0", "ringing 107(ext) -0", "start 107(ext) -1 NotDef"];
    assert_eq!(story.told(), expected);
}

#[test]
fn a_call_that_was_listed_and_is_not_any_more_is_over_at_once() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(4_000);
    story.gone("106", 1).pass(300).see(active(&[755]));
    story.pass(3_000).see(active(&[]));
    assert_eq!(story.told(), ["ringing 106(ext) -0", "end 106(ext) -0 Missed"]);
}

#[test]
fn a_call_that_was_never_listed_is_over_after_the_settling_time() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(4_000);
    story.gone("106", 1).pass(300).see(active(&[]));
    assert_eq!(story.told().len(), 1);
    story.pass(1_700);
    assert_eq!(story.told().len(), 2);
}

#[test]
fn a_list_that_comes_no_more_keeps_no_call_alive() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(4_000);
    story.gone("106", 1).pass(300).see(active(&[755]));
    story.pass(16_000);
    assert_eq!(story.told().len(), 2);
}

#[test]
fn a_talk_that_goes_on_out_of_sight_has_moved() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Connected)).pass(60_000);
    story.gone("106", 1).pass(300).see(active(&[755]));
    assert_eq!(story.told().len(), 1, "the PBX may list it a moment too long");
    story.pass(3_000).see(active(&[755]));
    let moved = ["start 106(ext) -1 NotDef", "end 106(ext) -1 Ok moved"];
    assert_eq!(story.told(), moved);
    story.pass(3_000).see(active(&[]));
    assert_eq!(story.told(), moved);
    assert_eq!(story.engine.live_calls(), 0);
}

#[test]
fn a_talk_that_was_listed_a_moment_too_long_is_over() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Connected)).pass(60_000);
    story.gone("106", 1).pass(300).see(active(&[755]));
    story.pass(3_000).see(active(&[]));
    assert_eq!(story.told(), ["start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]);
}

#[test]
fn after_a_gap_the_list_is_asked_before_a_call_that_waits_is_over() {
    for restarted in [false, true] {
        let mut story = Story::new();
        story.leg(leg("106", 1, Status::Ringing)).pass(4_000);
        story.gone("106", 1).pass(300).see(active(&[755]));
        story.pass(3_000).see(active(&[755])).see(Seen::Lost).pass(60_000);
        if restarted {
            story.restart();
        }
        story.snapshot(Vec::new()).pass(500).see(active(&[755])).pass(3_000);
        assert_eq!(story.told(), ["ringing 106(ext) -0"], "restarted: {restarted}");
        story.see(active(&[]));
        assert_eq!(story.told().len(), 2, "restarted: {restarted}");
    }
}
