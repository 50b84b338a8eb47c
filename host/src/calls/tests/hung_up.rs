//! Who hung up, where a trunk is visible.

use super::*;
use crate::event::Side;

fn with_trunk() -> Story {
    Story::with_dns(&[
        ("106", DnType::Extension),
        ("107", DnType::Extension),
        ("10007", DnType::ExternalLine),
    ])
}

fn trunk(status: Status, leg_id: i64) -> LegSketch {
    leg("10007", 1, status).with(|leg| {
        leg.leg_id = leg_id;
        leg.party_dn = String::new();
        leg.party_dn_type = DnType::None;
        leg.originated_by_dn = String::new();
    })
}

/// Alice has answered somebody outside.
fn talk() -> Story {
    let mut story = with_trunk();
    story.leg(trunk(Status::Dialing, 1)).leg(leg("106", 2, Status::Ringing)).pass(3_000);
    story.leg(leg("106", 2, Status::Connected)).leg(trunk(Status::Connected, 1)).pass(8_000);
    story
}

fn hung_up_by(story: &Story) -> Side {
    let ends: Vec<&Ended> = story.events.iter().filter_map(end_of).collect();
    assert_eq!(ends.len(), 1, "{:?}", story.told());
    ends[0].hung_up_by
}

#[test]
fn the_side_whose_leg_goes_first_has_hung_up() {
    let mut story = talk();
    story.gone("10007", 1).pass(3).gone("106", 2).pass(3_000);
    assert_eq!(hung_up_by(&story), Side::External);
    let mut story = talk();
    story.gone("106", 2).pass(3).gone("10007", 1).pass(3_000);
    assert_eq!(hung_up_by(&story), Side::User);
}

#[test]
fn who_gives_up_calling_somebody_outside_has_hung_up() {
    let mut story = with_trunk();
    story.leg(leg("106", 2, Status::Dialing).outgoing()).leg(trunk(Status::Ringing, 2));
    story.pass(9_000).gone("106", 2).pass(3).gone("10007", 1).pass(3_000);
    assert_eq!(story.told(), ["end 106(ext) -0 Missed"]);
    assert_eq!(hung_up_by(&story), Side::User);
    // Not answered, refused, or the trunk is out of order.
    let mut story = with_trunk();
    story.leg(leg("106", 2, Status::Dialing).outgoing()).leg(trunk(Status::Ringing, 2));
    story.pass(9_000).gone("10007", 1).pass(3).gone("106", 2).pass(3_000);
    assert_eq!(hung_up_by(&story), Side::Unknown);
}

#[test]
fn who_hung_up_is_unknown_where_the_order_tells_nothing() {
    // No trunk is visible.
    let mut story = Story::new();
    story.leg(leg("106", 2, Status::Ringing)).leg(leg("106", 2, Status::Connected)).pass(8_000);
    story.gone("106", 2).pass(3_000);
    assert_eq!(hung_up_by(&story), Side::Unknown);
    // Nobody watched.
    let mut story = talk();
    story.see(Seen::Lost).pass(8_000).snapshot(vec![leg("106", 2, Status::Connected)]);
    story.pass(9_000).gone("106", 2).pass(3_000);
    assert_eq!(hung_up_by(&story), Side::Unknown);
    // The trunk's leg was there for long after Alice's: she may have sent the call away.
    let mut story = talk();
    story.gone("106", 2).pass(1_500).gone("10007", 1).pass(3_000);
    assert_eq!(hung_up_by(&story), Side::Unknown);
    // Of a conference that ends all go together.
    let mut story = talk();
    story.leg(leg("107", 5, Status::Connected).with(|leg| leg.leg_id = 3)).pass(9_000);
    story.gone("106", 2).pass(3).gone("10007", 1).pass(3).gone("107", 5).pass(3_000);
    assert_eq!(hung_up_by(&story), Side::Unknown);
}
