//! Three and more in a call, inside and outside: conferences, guests, two parties outside.

use callhook_pbx::exchange::Join;

use crate::desk::Desk;
use crate::office::{CALLER, MOBILE};
use crate::scenario::Scenario;

/// Somebody outside reaches Alice.
fn alice_talks(desk: &mut Desk) -> i64 {
    let call = desk.arrives("1001");
    desk.pass(4_000).answers(call, "106").pass(10_000);
    call
}

#[test]
fn a_guest_has_the_call_while_its_transfer_rings() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.act(|exchange| exchange.barge_in(call, "107")).pass(8_000);
        desk.transfers(call, "106", "109").pass(5_000).answers(call, "109").pass(5_000);
        desk.hangs_up(call, "107").pass(9_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "start 107(ext) 1-2 Accomp",
        "end 107(ext) 1-2 Ok moved",
        "start 109(ext) 1-3 Blind",
        "end 109(ext) 1-3 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_guest_of_two_who_are_outside_talks_with_whoever_stays() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", MOBILE).pass(5_000).outside_answers(call, MOBILE);
        desk.pass(9_000).act(|exchange| exchange.barge_in(call, "107")).pass(8_000);
        desk.caller_hangs_up(call).pass(9_000).hangs_up(call, "107");
    })
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "start 107(ext) 1-2 Blind",
        "end 107(ext) 1-2 Ok",
        "out start 107(ext) 1-3 Accomp",
        "out end 107(ext) 1-3 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_consultation_outside_that_still_rings_is_not_answered_by_whom_it_is_joined_to() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        let consultation = desk.dials("106", MOBILE);
        desk.pass(3_000);
        let call = desk.joins(call, consultation, "106");
        desk.pass(9_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "out end 106(ext) 2-0 Missed",
        "end 106(ext) 1-1 Ok moved",
    ])
    .with(|wire| wire.join = Join::LegReplaced)
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "out end 106(ext) 2-0 Missed",
        "end 106(ext) 1-1 Ok moved",
    ])
    .with(|wire| wire.join = Join::OtherSideMoves)
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok",
        "out end 106(ext) 2-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_forward_outside_that_somebody_inside_answers_first_is_an_internal_call() {
    Scenario::of(|desk| {
        let call = desk.dials("110", "810");
        desk.pass(3_000).diverts(call, "107", MOBILE).pass(3_000).answers(call, "109");
        desk.pass(9_000).hangs_up(call, "109");
    })
    .with_internal()
    .tells(&[
        "internal ringing 107(ext) 1-0",
        "internal ringing 108(ext) 1-0",
        "internal ringing 109(ext) 1-0",
        "internal end 810(other) 1-0 Missed moved",
        "out end 110(ext) 1-1 Missed",
        "internal start 109(ext) 1-2 NotDef",
        "internal end 109(ext) 1-2 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_number_that_the_exchange_tries_instead_is_the_one_that_answers() {
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(3_000).goes_to(call, MOBILE).pass(3_000).outside_answers(call, MOBILE);
        let answered = desk.events.iter().filter(|event| event.kind.is_usual());
        assert!(answered.map(|event| &event.caller_id).all(|number| number == MOBILE));
        desk.pass(9_000).hangs_up(call, "106");
    })
    .tells(&["out start 106(ext) 1-1 NotDef", "out end 106(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_outgoing_call_that_the_far_side_sends_back_inside_is_over() {
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(3_000).goes_to(call, "109").pass(3_000).answers(call, "109");
        desk.pass(9_000).hangs_up(call, "106");
    })
    .with_internal()
    .tells(&[
        "out end 106(ext) 1-0 Missed",
        "internal ringing 109(ext) 1-1",
        "internal start 109(ext) 1-1 NotDef",
        "internal end 109(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_queue_whose_leg_stays_does_not_ring_again_in_the_call_it_comes_along_to() {
    Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(4_000).answers(call, "107").pass(9_000);
        let consultation = desk.dials("107", MOBILE);
        desk.pass(3_000);
        let call = desk.joins(call, consultation, "107");
        desk.pass(9_000).caller_hangs_up(call);
    })
    .with(|wire| {
        wire.queue_leg_stays = true;
        wire.join = Join::OtherSideMoves;
    })
    .tells(&[
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "start 107(ext) 1-1 NotDef",
        "end 107(ext) 1-1 Ok",
        "out end 107(ext) 2-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn those_who_talk_on_inside_for_long_are_not_told_of() {
    Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(4_000).answers(call, "106").pass(9_000);
        desk.act(|exchange| exchange.barge_in(call, "107")).pass(8_000);
        desk.caller_hangs_up(call).pass(1_900_000).snapshot(true);
        desk.hangs_up(call, "106");
    })
    .with(|wire| wire.queue_leg_stays = true)
    .tells(&[
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_conference_room_is_no_person() {
    Scenario::of(|desk| {
        let call = desk.arrives("1011");
        desk.pass(60_000).caller_hangs_up(call);
    })
    .tells(&["ringing 700(other) 1-0", "end 700(other) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", "700").pass(60_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "ringing 700(other) 1-2",
        "end 700(other) 1-2 Missed",
    ])
    .hiding(&["700"])
    .tells(&["ringing 106(ext) 1-0", "start 106(ext) 1-1 NotDef", "end 106(ext) 1-1 Ok moved"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_transfer_to_a_fax_is_answered_by_nobody() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", "888").pass(40_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "ringing 888(other) 1-2",
        "end 888(other) 1-2 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn forwards_always_busy_and_unanswered_go_anywhere() {
    Scenario::of(|desk| {
        for wait in [0, 5, 15_000] {
            for to in ["109", MOBILE, "666"] {
                let call = desk.arrives("1001");
                desk.pass(wait).goes_to(call, to).pass(9_000).caller_hangs_up(call).pass(3_000);
            }
        }
    })
    .tells(&[
        "ringing 106(ext) 1-0",
        "ringing 109(ext) 1-0",
        "end 109(ext) 1-0 Missed",
        "ringing 106(ext) 2-0",
        "end 106(ext) 2-0 Missed",
        "ringing 106(ext) 3-0",
        "ringing 666(other) 3-0",
        "end 106(ext) 3-0 Missed",
        "ringing 106(ext) 4-0",
        "ringing 109(ext) 4-0",
        "end 109(ext) 4-0 Missed",
        "ringing 106(ext) 5-0",
        "end 106(ext) 5-0 Missed",
        "ringing 106(ext) 6-0",
        "ringing 666(other) 6-0",
        "end 106(ext) 6-0 Missed",
        "ringing 106(ext) 7-0",
        "ringing 109(ext) 7-0",
        "end 109(ext) 7-0 Missed",
        "ringing 106(ext) 8-0",
        "end 106(ext) 8-0 Missed",
        "ringing 106(ext) 9-0",
        "ringing 666(other) 9-0",
        "end 106(ext) 9-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_transferred_call_that_is_taken_from_the_phone_it_rings_at() {
    Scenario::of(|desk| {
        let call = alice_talks(desk);
        desk.transfers(call, "106", "107").pass(5_000).picks_up(call, "109").pass(9_000);
        desk.caller_hangs_up(call);
    })
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "ringing 107(ext) 1-2",
        "start 109(ext) 1-2 Blind",
        "end 109(ext) 1-2 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}
