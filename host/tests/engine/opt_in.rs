//! The events that are sent only where the .ini asks for them: ringing-stopped, dialing, hold and
//! resume. Here all kinds are compared.

use callhook_pbx::exchange::{Hold, Who};

use crate::desk::Desk;
use crate::office::{CALLER, EXTENSIONS, MOBILE, TRUNK};
use crate::scenario::Scenario;

const QUEUES: [&str; 3] = ["800", "801", "802"];

#[test]
fn those_who_lose_to_another_stop_before_the_start() {
    Scenario::of(|desk| {
        let call = desk.arrives("1003");
        desk.pass(4_000).answers(call, "108").pass(9_000).caller_hangs_up(call);
    })
    .tells_in_full(&[
        "ringing 107(ext) 1-0",
        "ringing 108(ext) 1-0",
        "ringing 109(ext) 1-0",
        "ringing-stopped 107(ext) 1-0 answered-elsewhere",
        "ringing-stopped 109(ext) 1-0 answered-elsewhere",
        "start 108(ext) 1-1 NotDef",
        "end 108(ext) 1-1 Ok",
    ])
    .with(|wire| wire.group_leg = true)
    .tells_in_full(&[
        "ringing 810(other) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 108(ext) 1-0",
        "ringing 109(ext) 1-0",
        "ringing-stopped 810(other) 1-0 answered-elsewhere",
        "ringing-stopped 107(ext) 1-0 answered-elsewhere",
        "ringing-stopped 109(ext) 1-0 answered-elsewhere",
        "start 108(ext) 1-1 NotDef",
        "end 108(ext) 1-1 Ok",
    ])
    .hiding(&["108", TRUNK])
    .tells_in_full(&[
        "ringing 810(other) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 109(ext) 1-0",
        "ringing-stopped 810(other) 1-0 caller-gone",
        "ringing-stopped 107(ext) 1-0 caller-gone",
        "ringing-stopped 109(ext) 1-0 caller-gone",
        "end 810(other) 1-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_queue_whose_leg_stays_has_stopped_ringing_when_somebody_answers() {
    let told = [
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing-stopped 800(queue) 1-0 answered-elsewhere",
        "ringing-stopped 106(ext) 1-0 answered-elsewhere",
        "start 107(ext) 1-1 NotDef",
        "end 107(ext) 1-1 Ok",
    ];
    Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(6_000).answers(call, "107").pass(30_000).caller_hangs_up(call);
    })
    .tells_in_full(&told)
    .with(|wire| wire.queue_leg_stays = true)
    .tells_in_full(&told)
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_caller_who_gives_up_is_gone_where_that_can_be_seen() {
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(9_000).caller_hangs_up(call);
    })
    .tells_in_full(&[
        "ringing 106(ext) 1-0",
        "ringing-stopped 106(ext) 1-0 caller-gone",
        "end 106(ext) 1-0 Missed",
    ])
    .hiding(&[TRUNK])
    .tells_in_full(&[
        "ringing 106(ext) 1-0",
        "ringing-stopped 106(ext) 1-0 unknown",
        "end 106(ext) 1-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
    let told = [
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing-stopped 800(queue) 1-0 caller-gone",
        "ringing-stopped 106(ext) 1-0 caller-gone",
        "ringing-stopped 107(ext) 1-0 caller-gone",
        "end 800(queue) 1-0 Missed",
    ];
    let in_queue = Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(9_000).caller_hangs_up(call);
    });
    in_queue.hiding(&[TRUNK]).tells_in_full(&told).keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_queue_that_hunts_moves_on_from_one_to_the_next() {
    Scenario::of(|desk| {
        let call = desk.arrives("1005");
        desk.pass(9_000).rings_out(call).pass(350).polls_again(call);
        desk.pass(4_000).answers(call, "107").pass(9_000).caller_hangs_up(call);
    })
    .tells_in_full(&[
        "ringing 801(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing-stopped 106(ext) 1-0 moved",
        "ringing 107(ext) 1-0",
        "ringing-stopped 801(queue) 1-0 answered-elsewhere",
        "start 107(ext) 1-1 NotDef",
        "end 107(ext) 1-1 Ok",
    ])
    .hiding(&[&QUEUES[..], &[TRUNK]].concat())
    .tells_in_full(&[
        "ringing 106(ext) 1-0",
        "ringing-stopped 106(ext) 1-0 moved",
        "ringing 107(ext) 1-0",
        "start 107(ext) 1-1 NotDef",
        "end 107(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_call_that_waits_on_in_the_queue_says_no_reason() {
    Scenario::of(|desk| {
        let call = desk.arrives("1005");
        desk.pass(9_000).rings_out(call).pass(30_000).caller_hangs_up(call);
    })
    .tells_in_full(&[
        "ringing 801(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing-stopped 106(ext) 1-0 unknown",
        "ringing-stopped 801(queue) 1-0 caller-gone",
        "end 801(queue) 1-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn somebody_who_rejects_while_others_ring_on() {
    let story: fn(&mut Desk) = |desk| {
        let call = desk.arrives("1003");
        desk.pass(3_000).rejects(call, "107").pass(3_000).answers(call, "109").pass(9_000);
        desk.caller_hangs_up(call);
    };
    let told = [
        "ringing 107(ext) 1-0",
        "ringing 108(ext) 1-0",
        "ringing 109(ext) 1-0",
        "ringing-stopped 107(ext) 1-0 rejected",
        "ringing-stopped 108(ext) 1-0 answered-elsewhere",
        "start 109(ext) 1-1 NotDef",
        "end 109(ext) 1-1 Ok",
    ];
    Scenario::of(story)
        .tells_in_full(&told)
        .hiding(&[TRUNK])
        .tells_in_full(&told)
        .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_agent_who_rejects_and_is_offered_the_call_again_while_another_rings_on() {
    Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(3_000).rejects(call, "106").pass(350).polls_again(call).pass(3_000);
        desk.answers(call, "106").pass(9_000).caller_hangs_up(call);
    })
    .tells_in_full(&[
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing-stopped 106(ext) 1-0 rejected",
        "ringing 106(ext) 1-0",
        "ringing-stopped 800(queue) 1-0 answered-elsewhere",
        "ringing-stopped 107(ext) 1-0 answered-elsewhere",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_single_phone_that_stops_with_the_call_may_have_been_rejected() {
    let told =
        ["ringing 106(ext) 1-0", "ringing-stopped 106(ext) 1-0 unknown", "end 106(ext) 1-0 Missed"];
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(3_000).rejects(call, "106");
    })
    .tells_in_full(&told)
    .hiding(&[TRUNK])
    .tells_in_full(&told)
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_forward_moves_the_call_also_to_where_it_cannot_be_seen() {
    let forwarded = |to: &'static str| match to {
        "666" => Scenario::of(|desk| {
            let call = desk.arrives("1001");
            desk.pass(15_000).goes_to(call, "666").pass(9_000).caller_hangs_up(call);
        }),
        _ => Scenario::of(|desk| {
            let call = desk.arrives("1001");
            desk.pass(2_000).diverts(call, "106", MOBILE).pass(4_000);
            desk.outside_answers(call, MOBILE).pass(9_000).caller_hangs_up(call);
        }),
    };
    let unseen =
        ["ringing 106(ext) 1-0", "ringing-stopped 106(ext) 1-0 moved", "end 106(ext) 1-0 Missed"];
    forwarded("666")
        .tells_in_full(&[
            "ringing 106(ext) 1-0",
            "ringing-stopped 106(ext) 1-0 moved",
            "ringing 666(other) 1-0",
            "ringing-stopped 666(other) 1-0 caller-gone",
            "end 106(ext) 1-0 Missed",
        ])
        .hiding(&["666"])
        .tells_in_full(&unseen)
        .keeps_its_word_whatever_is_hidden();
    forwarded(MOBILE).tells_in_full(&unseen).keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_menu_that_leads_to_somebody_has_moved_the_call() {
    Scenario::of(|desk| {
        let call = desk.arrives("1004");
        desk.pass(9_000).goes_to(call, "107").pass(4_000).answers(call, "107").pass(9_000);
        desk.caller_hangs_up(call);
    })
    .tells_in_full(&[
        "ringing 850(other) 1-0",
        "ringing 107(ext) 1-0",
        "ringing-stopped 850(other) 1-0 moved",
        "start 107(ext) 1-1 NotDef",
        "end 107(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_blind_transfer_that_comes_back_moves_from_the_target_to_the_transferor() {
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(4_000).answers(call, "106").pass(9_000).transfers(call, "106", "107");
        desk.pass(15_000).goes_to(call, "106").pass(3_000).answers(call, "106").pass(9_000);
        desk.caller_hangs_up(call);
    })
    .tells_in_full(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "ringing 107(ext) 1-2",
        "ringing-stopped 107(ext) 1-2 moved",
        "ringing 106(ext) 1-2",
        "start 106(ext) 1-2 Blind",
        "end 106(ext) 1-2 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_pick_up_is_an_answer_elsewhere() {
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(4_000).picks_up(call, "107").pass(9_000).caller_hangs_up(call);
    })
    .tells_in_full(&[
        "ringing 106(ext) 1-0",
        "ringing-stopped 106(ext) 1-0 answered-elsewhere",
        "start 107(ext) 1-1 NotDef",
        "end 107(ext) 1-1 Ok",
    ])
    .hiding(&["107"])
    .tells_in_full(&[
        "ringing 106(ext) 1-0",
        "ringing-stopped 106(ext) 1-0 moved",
        "end 106(ext) 1-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_extension_with_several_phones_stops_once() {
    Scenario::of(|desk| {
        let call = desk.arrives("1008");
        desk.pass(4_000).caller_hangs_up(call);
    })
    .tells_in_full(&[
        "ringing 108(ext) 1-0",
        "ringing-stopped 108(ext) 1-0 caller-gone",
        "end 108(ext) 1-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
    Scenario::of(|desk| {
        let call = desk.arrives("1008");
        desk.pass(4_000).act(|exchange| exchange.answer(call, Who::Phone("108", 1)));
        desk.pass(9_000).caller_hangs_up(call);
    })
    .tells_in_full(&["ringing 108(ext) 1-0", "start 108(ext) 1-1 NotDef", "end 108(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_consulted_party_that_rings_stops_inside_and_rings_with_the_party_outside() {
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(4_000).answers(call, "106").pass(9_000);
        let consultation = desk.dials("106", "107");
        desk.pass(3_000);
        let call = desk.joins(call, consultation, "106");
        desk.pass(4_000).answers(call, "107").pass(9_000).caller_hangs_up(call);
    })
    .tells_in_full(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "ringing 107(ext) 1-2",
        "start 107(ext) 1-2 Accomp",
        "end 107(ext) 1-2 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_internal_call_whose_caller_gives_up() {
    Scenario::of(|desk| {
        let call = desk.dials("106", "107");
        desk.pass(9_000).hangs_up(call, "106");
    })
    .tells_in_full(&[])
    .with_internal()
    .tells_in_full(&[
        "internal ringing 107(ext) 1-0",
        "internal ringing-stopped 107(ext) 1-0 caller-gone",
        "internal end 107(ext) 1-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_outgoing_call_is_dialled_whatever_becomes_of_it() {
    let answered =
        ["out dialing 106(ext) 1-0", "out start 106(ext) 1-1 NotDef", "out end 106(ext) 1-1 Ok"];
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(7_000).outside_answers(call, CALLER).pass(9_000).hangs_up(call, "106");
    })
    .tells_in_full(&answered)
    .hiding(&[TRUNK])
    .tells_in_full(&answered)
    .hiding(&EXTENSIONS)
    .tells_in_full(&[])
    .keeps_its_word_whatever_is_hidden();
    let missed = ["out dialing 106(ext) 1-0", "out end 106(ext) 1-0 Missed"];
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(7_000).hangs_up(call, "106");
    })
    .tells_in_full(&missed)
    .hiding(&[TRUNK])
    .tells_in_full(&missed)
    .keeps_its_word_whatever_is_hidden();
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(7_000).act(|exchange| exchange.reject(call, Who::Outside(CALLER)));
    })
    .tells_in_full(&missed)
    .hiding(&[TRUNK])
    .tells_in_full(&missed)
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_call_that_an_app_makes_is_dialled_when_the_callers_own_phone_is_taken() {
    Scenario::of(|desk| {
        let call = desk.makes_call("106", CALLER);
        desk.pass(3_000).act(|exchange| exchange.take_own_call(call, Who::Dn("106")));
        desk.pass(5_000).outside_answers(call, CALLER).pass(9_000).caller_hangs_up(call);
    })
    .tells_in_full(&[
        "out dialing 106(ext) 1-0",
        "out start 106(ext) 1-1 NotDef",
        "out end 106(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_outgoing_call_that_is_transferred_is_dialled_once() {
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(5_000).outside_answers(call, CALLER).pass(9_000);
        desk.transfers(call, "106", "107").pass(14_000).caller_hangs_up(call);
    })
    .tells_in_full(&[
        "out dialing 106(ext) 1-0",
        "out start 106(ext) 1-1 NotDef",
        "out end 106(ext) 1-1 Ok moved",
        "out ringing 107(ext) 1-2",
        "out ringing-stopped 107(ext) 1-2 caller-gone",
        "out end 107(ext) 1-2 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

/// Alice puts the caller on hold, and callhook is restarted meanwhile.
fn alice_holds(desk: &mut Desk) {
    let call = desk.arrives("1001");
    desk.pass(4_000).answers(call, "106").pass(9_000).holds(call, "106").pass(9_000);
    desk.begins_anew().pass(9_000).resumes(call, "106").pass(9_000);
    desk.holds(call, "106").pass(9_000).caller_hangs_up(call);
}

#[test]
fn a_hold_and_a_resume_are_told_where_they_show() {
    let held = [
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "hold 106(ext) 1-1",
        "resume 106(ext) 1-1",
        "hold 106(ext) 1-1",
        "end 106(ext) 1-1 Ok",
    ];
    let silent = ["ringing 106(ext) 1-0", "start 106(ext) 1-1 NotDef", "end 106(ext) 1-1 Ok"];
    Scenario::of(alice_holds)
        .with(|wire| wire.hold = Hold::Status)
        .tells_in_full(&held)
        .hiding(&[TRUNK])
        .tells_in_full(&held)
        .with(|wire| wire.hold = Hold::Repeat)
        .tells_in_full(&silent)
        .with(|wire| wire.hold = Hold::Silent)
        .tells_in_full(&silent)
        .keeps_its_word_whatever_is_hidden();
}

#[test]
fn who_is_put_on_hold_by_the_other_side_does_not_hold() {
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(4_000).answers(call, "106").pass(9_000);
        desk.act(|exchange| exchange.hold(call, Who::Outside(CALLER))).pass(9_000);
        desk.act(|exchange| exchange.resume(call, Who::Outside(CALLER))).pass(9_000);
        desk.caller_hangs_up(call);
    })
    .with(|wire| wire.hold = Hold::Status)
    .tells_in_full(&["ringing 106(ext) 1-0", "start 106(ext) 1-1 NotDef", "end 106(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
}
