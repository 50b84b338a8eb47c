use super::KNOWN;
use crate::calls::tests::{Story, leg};
use crate::source::notice::Status;

#[test]
fn a_flood_of_calls_is_not_remembered_without_end() {
    let mut story = Story::new();
    let rings = |number: i64| leg("106", number, Status::Ringing).with(|leg| leg.call_id = number);
    let flood = i64::try_from(KNOWN).unwrap() + 100;
    // This one goes on through all of it.
    story.leg(rings(1));
    for number in 2..=flood {
        story.leg(rings(number)).gone("106", number);
    }
    story.pass(2_000).leg(rings(flood + 1)).gone("106", flood + 1).pass(2_000);
    assert_eq!(story.kept.len(), KNOWN);
    assert_eq!(story.engine.live_calls(), 1);
    assert!(story.kept.contains_key("1"), "it goes on");
    assert!(!story.kept.contains_key("2"), "it was over first");
    assert!(story.kept.contains_key(&(flood + 1).to_string()), "it was over last");
    story.restart();
    assert_eq!(story.engine.live_calls(), 1);
}
