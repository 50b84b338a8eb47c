//! Those who transfer a call and stay until it is answered.

use super::*;

/// Alice talks and Bob's phone rings.
fn sent(by: &str) -> Story {
    let mut story = Story::new();
    story.leg(leg("106", 2, Status::Ringing)).pass(1_000);
    story.leg(leg("106", 2, Status::Connected)).pass(9_000);
    story.leg(leg("107", 5, Status::Ringing).with(|leg| leg.referred_by_dn = by.into()));
    story.pass(10_000);
    story
}

#[test]
fn a_ringing_that_waits_for_the_one_who_transfers_is_told_before_the_start() {
    for by in ["106", ""] {
        let mut story = sent(by);
        story.leg(leg("107", 5, Status::Connected)).pass(20).gone("106", 2).pass(9_000);
        story.gone("107", 5).pass(3_000);
        assert_eq!(
            story.told_of_all_kinds()[2..],
            [
                "end 106(ext) -1 Ok moved",
                "ringing 107(ext) -2",
                "start 107(ext) -2 Blind",
                "end 107(ext) -2 Ok"
            ]
        );
        let EventKind::Started(started) = &story.events[4].kind else { panic!("not a start") };
        assert_eq!(started.ring_ms, Some(10_020), "its phone rang while the other stayed");
    }
}

#[test]
fn a_ringing_that_nobody_answers_while_the_one_who_transfers_stays_is_not_told() {
    let mut story = sent("106");
    story.gone("107", 5).pass(9_000).gone("106", 2).pass(3_000);
    assert_eq!(story.told()[2..], ["end 106(ext) -1 Ok"]);
}
