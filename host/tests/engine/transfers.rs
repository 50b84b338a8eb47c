//! Calls that change hands.

use callhook_pbx::exchange::Join;

use crate::desk::Desk;
use crate::office::{CALLER, EXTENSIONS, MOBILE, TRUNK};
use crate::scenario::Scenario;

/// Everybody whose number is not 106.
const OTHERS: &[&str] = &["107", "108", "109", "110", "111"];

/// Somebody outside reaches Alice.
fn alice_talks(desk: &mut Desk) -> i64 {
    let call = desk.arrives("1001");
    desk.pass(4_000).answers(call, "106").pass(10_000);
    call
}

const ALICE_MOVES_ON: [&str; 3] =
    ["ringing 106(ext) 1-0", "start 106(ext) 1-1 NotDef", "end 106(ext) 1-1 Ok moved"];

/// What is told after Alice has let the call go.
fn then(more: &[&'static str]) -> Vec<&'static str> {
    ALICE_MOVES_ON.iter().chain(more).copied().collect()
}

#[test]
fn a_blind_transfer_that_is_answered() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", "107").pass(5_000).answers(call, "107").pass(9_000);
        desk.caller_hangs_up(call);
    })
    .tells(&then(&["ringing 107(ext) 1-2", "start 107(ext) 1-2 Blind", "end 107(ext) 1-2 Ok"]))
    .hiding(&[TRUNK])
    .tells(&then(&["ringing 107(ext) 1-2", "start 107(ext) 1-2 Blind", "end 107(ext) 1-2 Ok"]))
    .hiding(OTHERS)
    .tells(&ALICE_MOVES_ON)
    .hiding(&["106", TRUNK])
    .tells(&["ringing 107(ext) 1-0", "start 107(ext) 1-1 Blind", "end 107(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_blind_transfer_that_nobody_answers() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", "107").pass(15_000).caller_hangs_up(call);
    })
    .tells(&then(&["ringing 107(ext) 1-2", "end 107(ext) 1-2 Missed"]))
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_blind_transfer_to_somebody_busy_ends_the_call() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", "107").pass(5).rejects(call, "107");
    })
    .tells(&then(&["ringing 107(ext) 1-2", "end 107(ext) 1-2 Missed"]))
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_blind_transfer_that_comes_back() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", "107").pass(15_000).goes_to(call, "106");
        desk.pass(3_000).answers(call, "106").pass(9_000).hangs_up(call, "106");
    })
    .tells(&then(&[
        "ringing 107(ext) 1-2",
        "ringing 106(ext) 1-2",
        "start 106(ext) 1-2 Blind",
        "end 106(ext) 1-2 Ok",
    ]))
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_blind_transfer_to_a_queue() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", "801").pass(9_000).rings_out(call).pass(350);
        desk.polls_again(call).pass(5_000).answers(call, "107").pass(9_000);
        desk.hangs_up(call, "107");
    })
    .tells(&then(&[
        "ringing 801(queue) 1-2",
        "ringing 107(ext) 1-2",
        "ringing 107(ext) 1-2",
        "start 107(ext) 1-2 Blind",
        "end 107(ext) 1-2 Ok",
    ]))
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_blind_transfer_outside_leaves_nobody_inside_to_tell_of() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", MOBILE).pass(5_000).outside_answers(call, MOBILE);
        desk.pass(60_000).caller_hangs_up(call);
    })
    .tells(&ALICE_MOVES_ON)
    .hiding(&[TRUNK])
    .tells(&["ringing 106(ext) 1-0", "start 106(ext) 1-1 NotDef", "end 106(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_blind_transfer_to_voicemail() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", "666").pass(20_000).caller_hangs_up(call);
    })
    .tells(&then(&["ringing 666(other) 1-2", "end 666(other) 1-2 Missed"]))
    .hiding(&["666"])
    .tells(&ALICE_MOVES_ON)
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_outgoing_call_that_is_transferred() {
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(5_000).outside_answers(call, CALLER).pass(9_000);
        desk.transfers(call, "106", "107").pass(4_000).answers(call, "107").pass(9_000);
        desk.caller_hangs_up(call);
    })
    .tells(&[
        "out start 106(ext) 1-1 NotDef",
        "out end 106(ext) 1-1 Ok moved",
        "out ringing 107(ext) 1-2",
        "out start 107(ext) 1-2 Blind",
        "out end 107(ext) 1-2 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_outgoing_call_whose_transfer_nobody_takes_is_missed_by_the_target() {
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(5_000).outside_answers(call, CALLER).pass(9_000);
        desk.transfers(call, "106", "107").pass(14_000).caller_hangs_up(call);
    })
    .tells(&[
        "out start 106(ext) 1-1 NotDef",
        "out end 106(ext) 1-1 Ok moved",
        "out ringing 107(ext) 1-2",
        "out end 107(ext) 1-2 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_chain_of_five_transfers() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        for (from, to) in EXTENSIONS.iter().zip(&EXTENSIONS[1..]) {
            desk.transfers(call, from, to).pass(4_000).answers(call, to).pass(9_000);
        }
        desk.caller_hangs_up(call);
    })
    .tells(&then(&[
        "ringing 107(ext) 1-2",
        "start 107(ext) 1-2 Blind",
        "end 107(ext) 1-2 Ok moved",
        "ringing 108(ext) 1-3",
        "start 108(ext) 1-3 Blind",
        "end 108(ext) 1-3 Ok moved",
        "ringing 109(ext) 1-4",
        "start 109(ext) 1-4 Blind",
        "end 109(ext) 1-4 Ok moved",
        "ringing 110(ext) 1-5",
        "start 110(ext) 1-5 Blind",
        "end 110(ext) 1-5 Ok moved",
        "ringing 111(ext) 1-6",
        "start 111(ext) 1-6 Blind",
        "end 111(ext) 1-6 Ok",
    ]))
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_attended_transfer() {
    let told = then(&["start 107(ext) 1-2 Accomp", "end 107(ext) 1-2 Ok"]);
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        let consultation = desk.dials("106", "107");
        desk.pass(3_000).answers(consultation, "107").pass(8_000);
        let call = desk.joins(call, consultation, "106");
        desk.pass(9_000).caller_hangs_up(call);
    })
    .tells(&told)
    .with(|wire| wire.join = Join::LegReplaced)
    .tells(&told)
    .with(|wire| wire.join = Join::OtherSideMoves)
    .tells(&told)
    .hiding(&[TRUNK])
    .tells(&told)
    .with(|wire| wire.join = Join::LegReplaced)
    .tells(&told)
    .with(|wire| wire.join = Join::LegMoves)
    .tells(&told)
    .with_internal()
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "internal ringing 107(ext) 2-0",
        "internal start 107(ext) 2-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "start 107(ext) 1-2 Accomp",
        "internal end 107(ext) 2-1 Ok",
        "end 107(ext) 1-2 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_attended_transfer_by_somebody_who_is_not_visible() {
    let hidden = ["106", TRUNK];
    let story: fn(&mut Desk) = |desk| {
        let call = alice_talks(desk);
        let consultation = desk.dials("106", "107");
        desk.pass(3_000).answers(consultation, "107").pass(8_000);
        let call = desk.joins(call, consultation, "106");
        desk.pass(9_000).caller_hangs_up(call);
    };
    Scenario::of(story)
        .hiding(&hidden)
        .tells(&["start 107(ext) 1-1 Accomp", "end 107(ext) 1-1 Ok"])
        .with(|wire| wire.join = Join::OtherSideMoves)
        .tells(&["start 107(ext) 2-2 Accomp", "end 107(ext) 2-2 Ok"]);
}

#[test]
fn an_attended_transfer_while_the_consulted_party_still_rings() {
    let told = then(&["ringing 107(ext) 1-2", "start 107(ext) 1-2 Accomp", "end 107(ext) 1-2 Ok"]);
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        let consultation = desk.dials("106", "107");
        desk.pass(3_000);
        let call = desk.joins(call, consultation, "106");
        desk.pass(4_000).answers(call, "107").pass(9_000).caller_hangs_up(call);
    })
    .tells(&told)
    .with(|wire| wire.join = Join::OtherSideMoves)
    .tells(&told)
    .hiding(&[TRUNK])
    .tells(&told)
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_attended_transfer_of_an_outgoing_call() {
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(5_000).outside_answers(call, CALLER).pass(9_000);
        let consultation = desk.dials("106", "107");
        desk.pass(3_000).answers(consultation, "107").pass(8_000);
        let call = desk.joins(call, consultation, "106");
        desk.pass(9_000).hangs_up(call, "107");
    })
    .tells(&[
        "out start 106(ext) 1-1 NotDef",
        "out end 106(ext) 1-1 Ok moved",
        "out start 107(ext) 1-2 Accomp",
        "out end 107(ext) 1-2 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_attended_transfer_of_two_outside_parties_leaves_nobody_inside() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        let consultation = desk.dials("106", MOBILE);
        desk.pass(3_000).outside_answers(consultation, MOBILE).pass(8_000);
        let call = desk.joins(call, consultation, "106");
        desk.pass(9_000).caller_hangs_up(call);
    })
    .hiding(&[TRUNK])
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "out start 106(ext) 2-1 NotDef",
        "out end 106(ext) 2-1 Ok",
        "end 106(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_consultation_that_fails_changes_nothing() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        let consultation = desk.dials("106", "107");
        desk.pass(3_000).rejects(consultation, "107").pass(8_000).caller_hangs_up(call);
    })
    .tells(&["ringing 106(ext) 1-0", "start 106(ext) 1-1 NotDef", "end 106(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn whoever_stays_in_a_conference_takes_over_in_person() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.act(|exchange| exchange.barge_in(call, "107")).pass(8_000);
        desk.hangs_up(call, "106").pass(9_000).caller_hangs_up(call);
    })
    .tells(&then(&["start 107(ext) 1-2 Accomp", "end 107(ext) 1-2 Ok"]))
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn whoever_barges_in_and_leaves_was_only_a_guest() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.act(|exchange| exchange.barge_in(call, "107")).pass(8_000);
        desk.hangs_up(call, "107").pass(9_000).caller_hangs_up(call);
    })
    .tells(&["ringing 106(ext) 1-0", "start 106(ext) 1-1 NotDef", "end 106(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_parked_call_that_somebody_else_takes_is_a_transfer() {
    let told = |by: &str| {
        then(&["ringing SP0(other) 1-2"])
            .into_iter()
            .map(str::to_owned)
            .chain([format!("start {by}(ext) 1-2 Blind"), format!("end {by}(ext) 1-2 Ok")])
            .collect::<Vec<_>>()
    };
    let others = told("107");
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.parks(call, "106").pass(30_000).picks_up(call, "107").pass(9_000);
        desk.caller_hangs_up(call);
    })
    .tells(&others.iter().map(String::as_str).collect::<Vec<_>>())
    .hiding(&["SP0"])
    .tells(&then(&["start 107(ext) 1-2 Blind", "end 107(ext) 1-2 Ok"]))
    .hiding(&["SP0", TRUNK])
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok",
        "start 107(ext) 1-2 Blind",
        "end 107(ext) 1-2 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
    let own = told("106");
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.parks(call, "106").pass(30_000).picks_up(call, "106").pass(9_000);
        desk.caller_hangs_up(call);
    })
    .tells(&own.iter().map(String::as_str).collect::<Vec<_>>())
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_parked_call_that_nobody_takes_is_missed_at_the_parking_place() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.parks(call, "106").pass(30_000).caller_hangs_up(call);
    })
    .tells(&then(&["ringing SP0(other) 1-2", "end SP0(other) 1-2 Missed"]))
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_hold_changes_nothing_of_what_is_told_by_default() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.holds(call, "106").pass(30_000).resumes(call, "106").pass(9_000);
        desk.caller_hangs_up(call);
    })
    .with(|wire| wire.hold = callhook_pbx::exchange::Hold::Status)
    .tells(&["ringing 106(ext) 1-0", "start 106(ext) 1-1 NotDef", "end 106(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_loop_of_transfers_is_told_and_leaves_a_bounded_state() {
    let mut desk = Desk::new(callhook_pbx::exchange::Wire::default(), &[]);
    let call = desk.arrives("1001");
    desk.answers(call, "106").transfers(call, "106", "107");
    let mut largest = 0;
    for round in 0..3_176 {
        desk.pass(10).goes_to(call, if round % 2 == 0 { "106" } else { "107" });
        largest = largest.max(desk.kept.values().map(Vec::len).sum());
    }
    desk.caller_hangs_up(call).is_forgotten();
    crate::invariants::check(&desk.events).unwrap();
    assert!(largest < 16_000, "the state has grown to {largest} bytes");
}
