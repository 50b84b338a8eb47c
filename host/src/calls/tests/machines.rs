//! Queues, menus and voicemail that pass a call on.

use super::*;

#[test]
fn who_answers_what_a_receptionist_sent_has_it_by_no_transfer() {
    let sent = |status, kind: DnType| {
        leg("106", 2, status).with(|leg| {
            leg.referred_by_dn = "850".into();
            leg.referred_by_type = kind;
        })
    };
    let hidden = [("106", DnType::Extension)];
    let stories = [
        (Story::new(), DnType::Receptionist),
        (Story::new(), DnType::None),
        (Story::with_dns(&hidden), DnType::Receptionist),
    ];
    for (mut story, kind) in stories {
        story.leg(sent(Status::Ringing, kind.clone())).pass(3_000);
        story.leg(sent(Status::Connected, kind)).pass(9_000).gone("106", 2).pass(3_000);
        assert_eq!(
            story.told(),
            ["ringing 106(ext) -0", "start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]
        );
    }
}

fn with_voicemail() -> Story {
    Story::with_dns(&[
        ("106", DnType::Extension),
        ("107", DnType::Extension),
        ("666", DnType::SpecialMenu),
        ("800", DnType::Queue),
    ])
}

#[test]
fn a_queue_that_gives_up_to_voicemail_has_missed_the_call() {
    let mut story = with_voicemail();
    story.leg(queue_leg(1)).pass(20);
    story.leg(leg("106", 2, Status::Ringing)).leg(leg("107", 3, Status::Ringing)).pass(20_000);
    story.gone("106", 2).gone("107", 3).pass(30);
    story.leg(leg("666", 4, Status::Connected)).pass(5).gone("800", 1).pass(15_000);
    story.gone("666", 4).pass(3_000);
    assert_eq!(story.told()[3..], ["ringing 666(other) -0", "end 800(queue) -0 Missed"]);
}

#[test]
fn a_phone_whose_voicemail_takes_what_a_queue_sent_it_has_missed_the_call() {
    let mut story = with_voicemail();
    story.leg(queue_leg(1)).pass(9_000).leg(leg("107", 2, Status::Ringing)).pass(30);
    story.gone("800", 1).pass(20_000).leg(leg("666", 3, Status::Connected)).pass(5);
    story.gone("107", 2).pass(15_000).gone("666", 3).pass(3_000);
    assert_eq!(story.told().last().unwrap(), "end 107(ext) -0 Missed");
}
