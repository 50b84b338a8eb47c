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
