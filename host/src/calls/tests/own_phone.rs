//! Calls that an app makes for somebody: their own phone comes first.

use super::*;

/// Alice's phone, before it is known whom it calls.
fn own(status: Status) -> LegSketch {
    leg("106", 1, status).outgoing().with(|leg| {
        leg.party_dn = String::new();
        leg.party_dn_type = DnType::None;
        leg.party_caller_id = String::new();
    })
}

#[test]
fn lifting_the_own_phone_is_no_start() {
    for dials_after in [true, false] {
        let mut story = Story::new();
        story.leg(own(Status::Ringing)).pass(3_000).leg(own(Status::Connected)).pass(100);
        if dials_after {
            story.leg(leg("106", 1, Status::Dialing).outgoing()).pass(5_000);
        }
        assert!(story.told().is_empty());
        story.leg(leg("106", 1, Status::Connected).outgoing()).pass(9_000);
        story.gone("106", 1).pass(3_000);
        assert_eq!(story.told(), ["start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]);
        assert!(story.events.iter().all(|event| event.direction == Direction::Outgoing));
        assert!(story.events.iter().all(|event| event.caller_id == CALLER));
        let ended = end_of(story.events.last().unwrap()).unwrap();
        assert_eq!(ended.talk_ms, Some(9_000), "the own phone was lifted before");
    }
}
