//! Queues and ring groups.

use callhook_pbx::exchange::PolledBy;

use crate::office::{EXTENSIONS, TRUNK};
use crate::scenario::Scenario;

const QUEUES: &[&str] = &["800", "801", "802"];

#[test]
fn a_queue_that_rings_everybody() {
    Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(6_000).answers(call, "107").pass(30_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "start 107(ext) 1-1 NotDef",
        "end 107(ext) 1-1 Ok",
    ])
    .hiding(&["800"])
    .tells(&[
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "start 107(ext) 1-1 NotDef",
        "end 107(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_queue_that_hunts_and_an_agent_who_is_offered_the_call_again() {
    Scenario::of(|desk| {
        let call = desk.arrives("1005");
        desk.pass(4_000).rejects(call, "106").pass(350).polls_again(call);
        desk.pass(4_000).rejects(call, "107").pass(350).polls_again(call);
        desk.pass(4_000).rejects(call, "108").pass(350).polls_again(call);
        desk.pass(4_000).answers(call, "106").pass(9_000).hangs_up(call, "106");
    })
    .tells(&[
        "ringing 801(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 108(ext) 1-0",
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok",
    ])
    .hiding(&[TRUNK, "801"])
    .tells(&[
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 108(ext) 1-0",
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_call_that_is_given_up_in_the_queue_is_missed_by_the_queue() {
    let story = |desk: &mut crate::desk::Desk| {
        let call = desk.arrives("1002");
        desk.pass(20_000).caller_hangs_up(call);
    };
    let told = [
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "end 800(queue) 1-0 Missed",
    ];
    Scenario::of(story)
        .tells(&told)
        .with(|wire| wire.polled_by = PolledBy::Router)
        .tells(&told)
        .with(|wire| wire.polled_by = PolledBy::Group)
        .hiding(&["800"])
        .tells(&["ringing 106(ext) 1-0", "ringing 107(ext) 1-0", "end 800(queue) 1-0 Missed"])
        .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_agent_who_diverts_to_somebody_else() {
    Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(4_000).diverts(call, "106", "109").pass(3_000).answers(call, "109");
        desk.pass(9_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 109(ext) 1-0",
        "start 109(ext) 1-1 NotDef",
        "end 109(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_agent_who_diverts_to_voicemail() {
    Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(4_000).diverts(call, "106", "666").pass(30_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 666(other) 1-0",
        "end 800(queue) 1-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_long_wait_in_a_queue_of_which_nothing_is_visible() {
    Scenario::of(|desk| {
        let call = desk.arrives("1001");
        desk.pass(4_000).answers(call, "106").pass(9_000).transfers(call, "106", "802");
        desk.pass(211_000).goes_to(call, "107").pass(4_000).answers(call, "107");
        desk.pass(9_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "ringing 802(queue) 1-2",
        "ringing 107(ext) 1-2",
        "start 107(ext) 1-2 Blind",
        "end 107(ext) 1-2 Ok",
    ])
    .hiding(QUEUES)
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "ringing 107(ext) 1-2",
        "start 107(ext) 1-2 Blind",
        "end 107(ext) 1-2 Ok",
    ])
    .hiding(&["802", TRUNK])
    .tells(&[
        "ringing 106(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok",
        "ringing 107(ext) 1-2",
        "start 107(ext) 1-2 Blind",
        "end 107(ext) 1-2 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_queue_that_gives_up_and_goes_on_elsewhere() {
    Scenario::of(|desk| {
        let call = desk.arrives("1009");
        desk.pass(60_000).goes_to(call, "800").pass(20_000).goes_to(call, "109");
        desk.pass(20_000).goes_to(call, "850").pass(9_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 802(queue) 1-0",
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 109(ext) 1-0",
        "ringing 850(other) 1-0",
        "end 850(other) 1-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_call_that_leaves_the_queue_is_missed_by_whom_it_went_to() {
    Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(20_000).goes_to(call, "109").pass(20_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 109(ext) 1-0",
        "end 109(ext) 1-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn from_a_queue_to_a_ring_group_to_a_queue() {
    Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(20_000).goes_to(call, "811").pass(20_000).goes_to(call, "801");
        desk.pass(9_000).rings_out(call).polls_again(call).pass(20_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 801(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "end 801(queue) 1-0 Missed",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn an_agent_who_transfers_back_into_the_queue() {
    Scenario::of(|desk| {
        let call = desk.arrives("1002");
        desk.pass(4_000).answers(call, "106").pass(9_000).transfers(call, "106", "800");
        desk.pass(4_000).answers(call, "107").pass(9_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 800(queue) 1-0",
        "ringing 106(ext) 1-0",
        "ringing 107(ext) 1-0",
        "start 106(ext) 1-1 NotDef",
        "end 106(ext) 1-1 Ok moved",
        "ringing 800(queue) 1-2",
        "ringing 107(ext) 1-2",
        "start 107(ext) 1-2 Blind",
        "end 107(ext) 1-2 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_ring_group_that_rings_everybody_rings_each_person_once() {
    Scenario::of(|desk| {
        let call = desk.arrives("1003");
        desk.pass(4_000).answers(call, "108").pass(9_000).caller_hangs_up(call);
    })
    .tells(&[
        "ringing 107(ext) 1-0",
        "ringing 108(ext) 1-0",
        "ringing 109(ext) 1-0",
        "start 108(ext) 1-1 NotDef",
        "end 108(ext) 1-1 Ok",
    ])
    .with(|wire| wire.group_leg = true)
    .tells(&[
        "ringing 810(other) 1-0",
        "ringing 107(ext) 1-0",
        "ringing 108(ext) 1-0",
        "ringing 109(ext) 1-0",
        "start 108(ext) 1-1 NotDef",
        "end 108(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn a_ring_group_that_hunts_is_missed_by_the_group() {
    Scenario::of(|desk| {
        let call = desk.arrives("1006");
        desk.pass(9_000).rejects(call, "107");
    })
    .tells(&["ringing 107(ext) 1-0", "end 811(other) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
    Scenario::of(|desk| {
        let call = desk.arrives("1006");
        desk.pass(9_000).polls_again(call).pass(2_000).answers(call, "109").pass(9_000);
        desk.caller_hangs_up(call);
    })
    .tells(&[
        "ringing 107(ext) 1-0",
        "ringing 109(ext) 1-0",
        "start 109(ext) 1-1 NotDef",
        "end 109(ext) 1-1 Ok",
    ])
    .keeps_its_word_whatever_is_hidden();
}

#[test]
fn somebody_takes_a_call_that_waits_in_a_queue() {
    Scenario::of(|desk| {
        let call = desk.arrives("1009");
        desk.pass(60_000).picks_up(call, "109").pass(9_000).caller_hangs_up(call);
    })
    .tells(&["ringing 802(queue) 1-0", "start 109(ext) 1-1 NotDef", "end 109(ext) 1-1 Ok"])
    .hiding(&EXTENSIONS)
    .tells(&["ringing 802(queue) 1-0", "end 802(queue) 1-0 Missed"])
    .keeps_its_word_whatever_is_hidden();
}
