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
