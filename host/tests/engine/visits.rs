//! Direct calls, menus, forwards, several phones, and what is no person at all.

use callhook_pbx::exchange::Who;

use crate::office::{CALLER, EXTENSIONS, MOBILE, TRUNK};
use crate::scenario::Scenario;

#[test]
fn a_direct_call() {
    let told = ["ringing 106(ext) 1-0", "start 106(ext) 1-1 NotDef", "end 106(ext) 1-1 Ok"];
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(4_000).answers(call, "106").pass(9_000).caller_hangs_up(call);
    })
    .tells(&told)
    .hiding(&[TRUNK])
    .tells(&told)
    .hiding(&EXTENSIONS)
    .tells(&[])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_direct_call_that_is_rejected() {
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(4_000).rejects(call, "106");
    })
    .tells(&["ringing 106(ext) 1-0", "end 106(ext) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_extension_with_several_phones_rings_once() {
    Scenario::of(|desk| {
        let call = desk.arrives("1008");
        desk.pass(4_000).act(|exchange| exchange.answer(call, Who::Phone("108", 1)));
        desk.pass(9_000).caller_hangs_up(call);
    })
    .tells(&["ringing 108(ext) 1-0", "start 108(ext) 1-1 NotDef", "end 108(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
    Scenario::of(|desk| {
        let call = desk.arrives("1008");
        desk.pass(4_000).rejects(call, "108");
    })
    .tells(&["ringing 108(ext) 1-0", "end 108(ext) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_menu_that_leads_to_another_and_to_somebody() {
    Scenario::of(|desk| {
        let call = desk.arrives("1004");
        desk.pass(9_000).goes_to(call, "851").pass(9_000).goes_to(call, "107");
        desk.pass(4_000).answers(call, "107").pass(9_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 850(other) 1-0",
        "ringing 851(other) 1-0",
        "ringing 107(ext) 1-0",
        "start 107(ext) 1-1 NotDef",
        "end 107(ext) 1-1 Ok",
    ])
    .hiding(&["850", "851", TRUNK])
    .tells(&["ringing 107(ext) 1-0", "start 107(ext) 1-1 NotDef", "end 107(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_menu_that_leads_outside_is_not_answered_inside() {
    Scenario::of(|desk| {
        let call = desk.arrives("1004");
        desk.pass(9_000).goes_to(call, MOBILE).pass(4_000).outside_answers(call, MOBILE);
        desk.pass(60_000).caller_hangs_up(call);
    })
    .tells(&["ringing 850(other) 1-0", "end 850(other) 1-0 Missed"])
    .hiding(&[TRUNK])
    .tells(&["ringing 850(other) 1-0", "end 850(other) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_menu_that_is_given_up() {
    Scenario::of(|desk| {
        let call = desk.arrives("1004");
        desk.pass(9_000).caller_hangs_up(call);
    })
    .tells(&["ringing 850(other) 1-0", "end 850(other) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_pick_up_is_a_start_for_whoever_picks_up() {
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(4_000).picks_up(call, "107").pass(9_000).caller_hangs_up(call);
    })
    .tells(&["ringing 106(ext) 1-0", "start 107(ext) 1-1 NotDef", "end 107(ext) 1-1 Ok"])
    .hiding(&[TRUNK])
    .tells(&["ringing 106(ext) 1-0", "start 107(ext) 1-1 NotDef", "end 107(ext) 1-1 Ok"])
    .hiding(&["107"])
    .tells(&["ringing 106(ext) 1-0", "end 106(ext) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_forward_to_an_extension_a_mobile_and_voicemail() {
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(15_000).goes_to(call, "109").pass(4_000).answers(call, "109");
        desk.pass(9_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 106(ext) 1-0",
        "ringing 109(ext) 1-0",
        "start 109(ext) 1-1 NotDef",
        "end 109(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.diverts(call, "106", MOBILE).pass(4_000).outside_answers(call, MOBILE);
        desk.pass(9_000).caller_hangs_up(call);
    })
    .tells(&["ringing 106(ext) 1-0", "end 106(ext) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(15_000).goes_to(call, "666").pass(9_000).caller_hangs_up(call);
    })
    .tells(&["ringing 106(ext) 1-0", "ringing 666(other) 1-0", "end 106(ext) 1-0 Missed"])
    .hiding(&["666", TRUNK])
    .tells(&["ringing 106(ext) 1-0", "end 106(ext) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_outgoing_call_begins_without_a_known_party() {
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(7_000).outside_answers(call, CALLER).pass(9_000).hangs_up(call, "106");
    })
    .tells(&["out start 106(ext) 1-1 NotDef", "out end 106(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
    Scenario::of(|desk| {
        let call = desk.dials("106", CALLER);
        desk.pass(7_000).hangs_up(call, "106");
    })
    .with_internal()
    .tells(&["out end 106(ext) 1-0 Missed"])
    .hiding(&[TRUNK])
    .tells(&["out end 106(ext) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_call_made_by_an_app_rings_the_callers_own_phone_without_a_word() {
    Scenario::of(|desk| {
        let call = desk.makes_call("106", CALLER);
        desk.pass(3_000).act(|exchange| exchange.take_own_call(call, Who::Dn("106")));
        desk.pass(5_000).outside_answers(call, CALLER).pass(9_000).caller_hangs_up(call);
    })
    .with_internal()
    .tells(&["out start 106(ext) 1-1 NotDef", "out end 106(ext) 1-1 Ok"])
    .hiding(&[TRUNK])
    .tells(&["out start 106(ext) 1-1 NotDef", "out end 106(ext) 1-1 Ok"])
    .keeps_its_word_whatever_is_hidden();
    Scenario::of(|desk| {
        let call = desk.makes_call("106", CALLER);
        desk.pass(9_000).hangs_up(call, "106");
    })
    .with_internal()
    .tells(&[])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_fax_that_picks_up_is_no_person() {
    Scenario::of(|desk| {
        let call = desk.arrives("1007");
        desk.pass(40_000).caller_hangs_up(call);
    })
    .tells(&["ringing 888(other) 1-0", "end 888(other) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_internal_call_is_told_only_as_such() {
    Scenario::of(|desk| {
        let call = desk.dials("106", "107");
        desk.pass(4_000).answers(call, "107").pass(9_000).hangs_up(call, "107");
    })
    .tells(&[])
    .with_internal()
    .tells(&[
        "internal ringing 107(ext) 1-0",
        "internal start 107(ext) 1-1 NotDef",
        "internal end 107(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_page_to_many_phones_is_one_internal_call() {
    Scenario::of(|desk| {
        let call = desk.dials("106", "810");
        desk.answers(call, "107").act(|exchange| exchange.barge_in(call, "108"));
        desk.act(|exchange| exchange.barge_in(call, "109")).pass(9_000).hangs_up(call, "109");
        desk.hangs_up(call, "108").hangs_up(call, "106");
    })
    .tells(&[])
    .keeps_its_word_whatever_is_hidden();
}
