//! The wire sequence of each kind of call, as a table: what, whose leg, how it stands, the other
//! side as DN, type and number, the origin, and the numbers of call and leg.

use crate::builder::Builder;
use crate::exchange::{Change, Exchange, Hold, Join, Participant, Plan, PolledBy, Refused, Who};
use crate::exchange::{Status, Strategy};
use crate::pbx::Pbx;

/// Who calls, and who is called outside.
const OUTSIDE: &str = "420774852629";

/// An exchange at work.
struct Desk(Exchange);

impl Desk {
    fn new() -> Self {
        Self::with(Pbx::small_office())
    }

    fn with(builder: Builder) -> Self {
        let plan: Plan = builder.counters(665, 1).plan().expect("the plan is sound");
        Self(Exchange::new(plan))
    }

    /// A caller outside calls a number of the trunk that ends like this.
    fn arrive(&mut self, did: &str) -> i64 {
        let did = format!("42022620{did}");
        self.0.arrive(OUTSIDE, "", &did).expect("the number exists")
    }

    fn dial(&mut self, from: &str, number: &str) -> i64 {
        self.0.dial(from, number).expect("the numbers exist")
    }

    fn act(&mut self, act: impl FnOnce(&mut Exchange) -> Result<(), Refused>) {
        act(&mut self.0).expect("the action makes sense");
    }

    fn answer(&mut self, call: i64, dn: &str) {
        self.act(|exchange| exchange.answer(call, Who::Dn(dn)));
    }

    fn outside_hangs_up(&mut self, call: i64) {
        self.act(|exchange| exchange.hang_up(call, Who::Outside(OUTSIDE)));
    }

    /// Forgets what happened so far.
    fn so_far(&mut self) {
        self.0.take_changes();
    }

    /// Compares what the app sees of what happened.
    #[track_caller]
    fn shows(&mut self, expected: &[&str]) {
        let changes = self.0.take_changes();
        let plan = self.0.plan();
        let seen = changes.iter().filter(|change| plan.visible(&change.participant().dn));
        same(seen, expected);
    }

    /// Compares all that happened, with trunk and menus.
    #[track_caller]
    fn does(&mut self, expected: &[&str]) {
        same(self.0.take_changes().iter(), expected);
    }
}

#[track_caller]
fn same<'a>(changes: impl Iterator<Item = &'a Change>, expected: &[&str]) {
    let lines: Vec<String> = changes.map(ToString::to_string).collect();
    assert_eq!(lines.join("\n"), expected.join("\n"));
}

#[test]
fn a_participant_has_the_eighteen_keys_of_the_captures_in_their_order() {
    let mut desk = Desk::with(Pbx::small_office().trunk("10003"));
    desk.arrive("1001");
    let leg = desk.0.participants().find(|leg| leg.dn == "106").expect("Alice's phone rings");
    let expected = concat!(
        r#"{"id":2,"status":"Ringing","dn":"106","party_caller_name":"","party_dn":"10003","#,
        r#""party_caller_id":"420774852629","party_did":"","#,
        r#""device_id":"sip:106@127.0.0.1:5483;rinstance=c2a7106","#,
        r#""party_dn_type":"Wexternalline","direct_control":false,"#,
        r#""originated_by_dn":"ROUTER","originated_by_type":"Wroutepoint","#,
        r#""referred_by_dn":"","referred_by_type":"None","on_behalf_of_dn":"","#,
        r#""on_behalf_of_type":"None","callid":665,"legid":4}"#,
    );
    assert_eq!(serde_json::to_string(leg).expect("a participant is JSON"), expected);
}

#[test]
fn an_incoming_call_rings_is_connected_and_ends() {
    let mut desk = Desk::new();
    let call = desk.arrive("1001");
    desk.does(&[
        "upsert 10007 Dialing party=/None/420774852629 call=665 leg=1",
        "upsert 106 Ringing party=10007/Wexternalline/420774852629 by=ROUTER/Wroutepoint call=665 leg=4",
        "upsert 10007 Dialing party=106/Wextension/420774852629 call=665 leg=1",
    ]);
    desk.answer(call, "106");
    desk.does(&[
        "upsert 106 Connected party=10007/Wexternalline/420774852629 by=ROUTER/Wroutepoint call=665 leg=4",
        "upsert 10007 Connected party=106/Wextension/420774852629 call=665 leg=1",
    ]);
    desk.outside_hangs_up(call);
    desk.does(&["remove 10007", "remove 106"]);
}

#[test]
fn a_missed_incoming_call_shows_no_more_than_that_the_phone_rang() {
    for ends in [
        |exchange: &mut Exchange, call| exchange.hang_up(call, Who::Outside(OUTSIDE)),
        |exchange: &mut Exchange, call| exchange.reject(call, Who::Dn("106")),
        |exchange: &mut Exchange, call| exchange.ring_out(call),
    ] {
        let mut desk = Desk::new();
        let call = desk.arrive("1001");
        desk.act(|exchange| ends(exchange, call));
        desk.shows(&[
            "upsert 106 Ringing party=10007/Wexternalline/420774852629 by=ROUTER/Wroutepoint call=665 leg=4",
            "remove 106",
        ]);
        assert_eq!(desk.0.participants().count(), 0);
    }
}

#[test]
fn an_outgoing_call_dials_twice_then_is_connected() {
    let mut desk = Desk::new();
    let call = desk.dial("107", OUTSIDE);
    desk.shows(&[
        "upsert 107 Dialing party=/None/420774852629 call=665 leg=1",
        "upsert 107 Dialing party=10007/Wexternalline/420774852629 call=665 leg=1",
    ]);
    desk.act(|exchange| exchange.answer(call, Who::Outside(OUTSIDE)));
    desk.does(&[
        "upsert 10007 Connected party=107/Wextension/420774852629 call=665 leg=2",
        "upsert 107 Connected party=10007/Wexternalline/420774852629 call=665 leg=1",
    ]);
    desk.act(|exchange| exchange.hang_up(call, Who::Dn("107")));
    desk.does(&["remove 107", "remove 10007"]);
}

#[test]
fn an_outgoing_call_that_nobody_answers_is_never_connected() {
    let mut desk = Desk::new();
    let call = desk.dial("107", OUTSIDE);
    desk.so_far();
    desk.act(|exchange| exchange.reject(call, Who::Outside(OUTSIDE)));
    desk.does(&["remove 10007", "remove 107"]);
}

#[test]
fn an_internal_call_has_a_participant_on_either_side() {
    let mut desk = Desk::new();
    let call = desk.dial("106", "107");
    desk.shows(&[
        "upsert 106 Dialing party=/None/107 call=665 leg=1",
        "upsert 107 Ringing party=106/Wextension/106 call=665 leg=2",
        "upsert 106 Dialing party=107/Wextension/107 call=665 leg=1",
    ]);
    desk.answer(call, "107");
    desk.shows(&[
        "upsert 107 Connected party=106/Wextension/106 call=665 leg=2",
        "upsert 106 Connected party=107/Wextension/107 call=665 leg=1",
    ]);
    desk.act(|exchange| exchange.hang_up(call, Who::Dn("106")));
    desk.shows(&["remove 106", "remove 107"]);
}

#[test]
fn a_queue_is_connected_at_once_and_the_first_agent_to_answer_ends_the_ringing_of_the_others() {
    let mut desk = Desk::new();
    let call = desk.arrive("1002");
    desk.shows(&[
        "upsert 800 Ringing party=10007/Wexternalline/420774852629 by=ROUTER/Wroutepoint call=665 leg=4",
        "upsert 800 Connected party=10007/Wexternalline/420774852629 by=ROUTER/Wroutepoint call=665 leg=4",
        "upsert 106 Ringing party=10007/Wexternalline/420774852629 by=800/Wqueue call=665 leg=5",
        "upsert 107 Ringing party=10007/Wexternalline/420774852629 by=800/Wqueue call=665 leg=6",
    ]);
    desk.answer(call, "107");
    desk.shows(&[
        "upsert 107 Connected party=10007/Wexternalline/420774852629 by=800/Wqueue call=665 leg=6",
        "remove 106",
        "remove 800",
    ]);
}

#[test]
fn a_queue_where_nobody_answers_rings_again_with_new_legs_until_the_caller_leaves() {
    let mut desk = Desk::new();
    let call = desk.arrive("1002");
    desk.so_far();
    desk.act(|exchange| exchange.reject(call, Who::Dn("106")));
    desk.act(|exchange| exchange.ring_out(call));
    desk.act(|exchange| exchange.poll_again(call));
    desk.shows(&[
        "remove 106",
        "remove 107",
        "upsert 106 Ringing party=10007/Wexternalline/420774852629 by=800/Wqueue call=665 leg=7",
        "upsert 107 Ringing party=10007/Wexternalline/420774852629 by=800/Wqueue call=665 leg=8",
    ]);
    desk.outside_hangs_up(call);
    desk.does(&["remove 10007", "remove 106", "remove 107", "remove 800"]);
}

#[test]
fn a_queue_leaves_out_those_who_talk() {
    let mut desk = Desk::new();
    let other = desk.arrive("1001");
    desk.answer(other, "106");
    let call = desk.arrive("1002");
    desk.so_far();
    desk.act(|exchange| exchange.ring_out(call));
    desk.shows(&["remove 107"]);
}

#[test]
fn a_queue_that_hunts_rings_one_after_the_other() {
    let hunting = Pbx::small_office().queue("800", "Sales", &["106", "107"], Strategy::Hunt);
    let mut desk = Desk::with(hunting);
    let call = desk.arrive("1002");
    let ringing = |desk: &Desk| -> Vec<String> {
        let legs = desk.0.participants().filter(|leg| leg.status == Status::Ringing);
        legs.map(|leg| leg.dn.clone()).collect()
    };
    for agent in ["106", "107", "106"] {
        assert_eq!(ringing(&desk), [agent]);
        desk.act(|exchange| exchange.ring_out(call));
        desk.act(|exchange| exchange.poll_again(call));
    }
}

#[test]
fn a_queue_that_times_out_sends_the_call_where_the_plan_says() {
    let mut desk = Desk::with(Pbx::small_office().if_not_answered("800", "109"));
    let call = desk.arrive("1002");
    desk.so_far();
    desk.act(|exchange| exchange.time_out(call));
    desk.shows(&[
        "remove 106",
        "remove 107",
        "upsert 109 Ringing party=10007/Wexternalline/420774852629 by=800/Wqueue call=665 leg=7",
        "remove 800",
    ]);
}

#[test]
fn a_ring_group_rings_every_phone_without_a_leg_of_its_own() {
    let mut desk = Desk::new();
    let call = desk.arrive("1003");
    desk.shows(&[
        "upsert 107 Ringing party=10007/Wexternalline/420774852629 by=810/Wringgroup call=665 leg=4",
        "upsert 108 Ringing party=10007/Wexternalline/420774852629 by=810/Wringgroup call=665 leg=5",
        "upsert 108 Ringing party=10007/Wexternalline/420774852629 by=810/Wringgroup call=665 leg=6",
        "upsert 109 Ringing party=10007/Wexternalline/420774852629 by=810/Wringgroup call=665 leg=7",
    ]);
    desk.act(|exchange| exchange.answer(call, Who::Phone("108", 1)));
    desk.shows(&[
        "upsert 108 Connected party=10007/Wexternalline/420774852629 by=810/Wringgroup call=665 leg=6",
        "remove 107",
        "remove 108",
        "remove 109",
    ]);
}

#[test]
fn a_ring_group_where_nobody_answers_ends_the_call() {
    let mut desk = Desk::new();
    let call = desk.arrive("1003");
    desk.so_far();
    desk.act(|exchange| exchange.ring_out(call));
    desk.does(&["remove 107", "remove 108", "remove 108", "remove 109", "remove 10007"]);
}

#[test]
fn a_receptionist_is_connected_until_the_chosen_number_rings() {
    let mut desk = Desk::new();
    let call = desk.arrive("1004");
    desk.shows(&[
        "upsert 850 Ringing party=10007/Wexternalline/420774852629 by=ROUTER/Wroutepoint call=665 leg=4",
        "upsert 850 Connected party=10007/Wexternalline/420774852629 by=ROUTER/Wroutepoint call=665 leg=4",
    ]);
    desk.act(|exchange| exchange.go_to(call, "106"));
    desk.shows(&[
        "upsert 106 Ringing party=10007/Wexternalline/420774852629 by=850/Wivr call=665 leg=5",
        "remove 850",
    ]);
}

#[test]
fn voicemail_of_an_outside_caller_shows_only_that_the_phone_stops() {
    let mut desk = Desk::with(Pbx::small_office().if_not_answered("106", "666"));
    let call = desk.arrive("1001");
    desk.so_far();
    desk.act(|exchange| exchange.ring_out(call));
    desk.shows(&["remove 106"]);
    assert!(desk.0.call(call).is_some(), "the caller leaves a message");
    desk.outside_hangs_up(call);
    desk.does(&["remove 10007", "remove 666"]);
}

#[test]
fn voicemail_of_an_inside_caller_turns_their_own_leg_connected_with_the_dialled_number() {
    let mut desk = Desk::new();
    let call = desk.dial("106", "107");
    desk.so_far();
    desk.act(|exchange| exchange.go_to(call, "666"));
    desk.shows(&[
        "remove 107",
        "upsert 106 Dialing party=666/Wspecialmenu/107 call=665 leg=1",
        "upsert 106 Connected party=666/Wspecialmenu/107 call=665 leg=1",
    ]);
}

#[test]
fn a_blind_transfer_keeps_the_number_and_tells_who_referred_while_it_rings() {
    let mut desk = Desk::new();
    let call = desk.arrive("1001");
    desk.answer(call, "106");
    desk.so_far();
    desk.act(|exchange| exchange.transfer(call, Who::Dn("106"), "107"));
    desk.answer(call, "107");
    desk.shows(&[
        "upsert 107 Ringing party=10007/Wexternalline/420774852629 referred=106 call=665 leg=5",
        "remove 106",
        "upsert 107 Connected party=10007/Wexternalline/420774852629 call=665 leg=5",
    ]);
}

#[test]
fn a_caller_who_transfers_leaves_the_called_one_with_the_target() {
    let mut desk = Desk::new();
    let call = desk.dial("107", OUTSIDE);
    desk.act(|exchange| exchange.answer(call, Who::Outside(OUTSIDE)));
    desk.so_far();
    desk.act(|exchange| exchange.transfer(call, Who::Dn("107"), "800"));
    desk.answer(call, "106");
    desk.outside_hangs_up(call);
    // Bob talks no more when the queue looks for somebody, but his leg is still there.
    desk.shows(&[
        "upsert 800 Ringing party=10007/Wexternalline/420774852629 referred=107 call=665 leg=3",
        "upsert 800 Connected party=10007/Wexternalline/420774852629 call=665 leg=3",
        "upsert 106 Ringing party=10007/Wexternalline/420774852629 by=800/Wqueue call=665 leg=4",
        "remove 107",
        "upsert 106 Connected party=10007/Wexternalline/420774852629 by=800/Wqueue call=665 leg=4",
        "remove 800",
        "remove 106",
    ]);
}

/// Alice answers, consults Bob, and joins the caller with him.
fn consult(join: Join, bob_answers: bool) -> (Desk, i64) {
    let mut desk = Desk::with(Pbx::small_office().join(join));
    let call = desk.arrive("1001");
    desk.answer(call, "106");
    let consultation = desk.dial("106", "107");
    if bob_answers {
        desk.answer(consultation, "107");
    }
    desk.so_far();
    let survivor = desk.0.join(call, consultation, "106").expect("both calls are Alice's");
    (desk, survivor)
}

#[test]
fn an_attended_transfer_moves_the_consulted_leg() {
    let (mut desk, survivor) = consult(Join::LegMoves, true);
    assert_eq!(survivor, 665);
    desk.shows(&[
        "upsert 107 Connected party=10007/Wexternalline/420774852629 call=665 leg=5",
        "remove 106",
        "remove 106",
    ]);
    desk.outside_hangs_up(survivor);
    desk.does(&["remove 10007", "remove 107"]);
}

#[test]
fn an_attended_transfer_may_replace_the_consulted_leg() {
    let (mut desk, survivor) = consult(Join::LegReplaced, true);
    assert_eq!(survivor, 665);
    desk.shows(&[
        "upsert 107 Connected party=10007/Wexternalline/420774852629 call=665 leg=5",
        "remove 107",
        "remove 106",
        "remove 106",
    ]);
    desk.outside_hangs_up(survivor);
    desk.does(&["remove 10007", "remove 107"]);
}

#[test]
fn an_attended_transfer_may_move_the_outside_leg() {
    let (mut desk, survivor) = consult(Join::OtherSideMoves, true);
    assert_eq!(survivor, 666);
    desk.shows(&[
        "upsert 107 Connected party=10007/Wexternalline/420774852629 call=666 leg=2",
        "remove 106",
        "remove 106",
    ]);
    desk.outside_hangs_up(survivor);
    desk.does(&["remove 10007", "remove 107"]);
}

#[test]
fn an_attended_transfer_may_be_complete_before_the_target_answers() {
    for join in [Join::LegMoves, Join::LegReplaced, Join::OtherSideMoves] {
        let (mut desk, survivor) = consult(join, false);
        desk.so_far();
        desk.answer(survivor, "107");
        let call = desk.0.call(survivor).expect("they talk");
        let talking = call.talking.and_then(|leg| desk.0.participant(leg));
        assert_eq!(talking.map(|leg| leg.dn.as_str()), Some("107"));
        assert_eq!(desk.0.participants().count(), 2);
    }
}

#[test]
fn a_parked_call_is_taken_back_by_another() {
    let mut desk = Desk::new();
    let call = desk.arrive("1001");
    desk.answer(call, "106");
    desk.so_far();
    desk.act(|exchange| exchange.park(call, Who::Dn("106"), "SP0"));
    desk.act(|exchange| exchange.pick_up(call, "107"));
    desk.shows(&[
        "remove 106",
        "upsert 107 Connected party=10007/Wexternalline/420774852629 call=665 leg=6",
    ]);
}

#[test]
fn a_pick_up_stops_the_ringing_phone_and_connects_the_picker() {
    let mut desk = Desk::new();
    let call = desk.arrive("1001");
    desk.so_far();
    desk.act(|exchange| exchange.pick_up(call, "109"));
    desk.shows(&[
        "remove 106",
        "upsert 109 Connected party=10007/Wexternalline/420774852629 call=665 leg=5",
    ]);
}

#[test]
fn a_polled_phone_that_diverts_lets_the_others_ring_on() {
    let mut desk = Desk::new();
    let call = desk.arrive("1002");
    desk.so_far();
    desk.act(|exchange| exchange.divert(call, Who::Dn("106"), "109"));
    desk.answer(call, "109");
    desk.shows(&[
        "remove 106",
        "upsert 109 Ringing party=10007/Wexternalline/420774852629 by=ROUTER/Wroutepoint behalf=106 call=665 leg=7",
        "upsert 109 Connected party=10007/Wexternalline/420774852629 by=ROUTER/Wroutepoint behalf=106 call=665 leg=7",
        "remove 107",
        "remove 800",
    ]);
}

#[test]
fn a_phone_that_forwards_outside_leaves_nothing_to_see_but_the_trunk() {
    let mut desk = Desk::with(Pbx::small_office().visible(&["106", "10007"]));
    let call = desk.arrive("1001");
    desk.so_far();
    desk.act(|exchange| exchange.divert(call, Who::Dn("106"), "420774852640"));
    desk.act(|exchange| exchange.answer(call, Who::Outside("420774852640")));
    desk.shows(&[
        "remove 106",
        "upsert 10007 Ringing party=10007/Wexternalline/420774852640 by=ROUTER/Wroutepoint behalf=106 call=665 leg=5",
        "upsert 10007 Dialing party=10007/Wexternalline/420774852629 call=665 leg=1",
        "upsert 10007 Connected party=10007/Wexternalline/420774852640 by=ROUTER/Wroutepoint behalf=106 call=665 leg=5",
        "upsert 10007 Connected party=10007/Wexternalline/420774852629 call=665 leg=1",
    ]);
}

#[test]
fn a_third_one_may_join_and_stay_when_one_of_the_two_leaves() {
    let mut desk = Desk::new();
    let call = desk.arrive("1001");
    desk.answer(call, "106");
    desk.so_far();
    desk.act(|exchange| exchange.barge_in(call, "109"));
    desk.act(|exchange| exchange.hang_up(call, Who::Dn("106")));
    desk.outside_hangs_up(call);
    desk.does(&[
        "upsert 109 Connected party=10007/Wexternalline/420774852629 call=665 leg=5",
        "remove 106",
        "upsert 10007 Connected party=109/Wextension/420774852629 call=665 leg=1",
        "remove 10007",
        "remove 109",
    ]);
}

#[test]
fn a_hold_shows_what_the_plan_says() {
    let shown = [(Hold::Silent, 0), (Hold::Repeat, 1), (Hold::Status, 2)];
    for (hold, changes) in shown {
        let mut desk = Desk::with(Pbx::small_office().hold(hold));
        let call = desk.arrive("1001");
        desk.answer(call, "106");
        desk.so_far();
        desk.act(|exchange| exchange.hold(call, Who::Dn("106")));
        assert_eq!(desk.0.take_changes().len(), changes, "{hold:?}");
    }
}

/// The first participant of Alice's or Bob's phone in a call to the queue.
fn polled(builder: Builder) -> Participant {
    let mut desk = Desk::with(builder);
    desk.arrive("1002");
    let leg = desk.0.participants().find(|leg| leg.dn == "106");
    leg.expect("Alice's phone rings").clone()
}

#[test]
fn what_is_unknown_on_the_wire_is_a_choice() {
    let office = Pbx::small_office;
    assert_eq!(polled(office().party_did(true)).party_did, "420226201002");
    assert_eq!(polled(office().polled_by(PolledBy::Router)).originated_by_dn, "ROUTER");
    assert_eq!(polled(office().polled_by(PolledBy::Nobody)).originated_by_dn, "");
    let prefixed = office().named_did("420226201002", "PragueDID", "800").queue_prefix(true);
    assert_eq!(polled(prefixed).party_caller_name, "Sales:PragueDID:");

    let mut desk = Desk::with(office().group_leg(true));
    let call = desk.arrive("1003");
    assert!(desk.0.participants().any(|leg| leg.dn == "810" && leg.status == Status::Ringing));
    desk.answer(call, "109");
    assert!(!desk.0.participants().any(|leg| leg.dn == "810"));

    let mut desk = Desk::with(office().queue_leg_stays(true));
    let call = desk.arrive("1002");
    desk.answer(call, "106");
    assert!(desk.0.participants().any(|leg| leg.dn == "800"));
    desk.outside_hangs_up(call);
    assert_eq!(desk.0.participants().count(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason_and_changes_nothing() {
    let mut desk = Desk::new();
    let call = desk.arrive("1001");
    desk.so_far();
    let refused = |result: Result<(), Refused>| result.expect_err("it makes no sense").to_string();
    let exchange = &mut desk.0;
    assert_eq!(refused(exchange.answer(call, Who::Dn("107"))), "107 does not ring in call 665");
    assert_eq!(
        refused(exchange.transfer(call, Who::Dn("106"), "107")),
        "106 does not talk in call 665"
    );
    assert_eq!(
        refused(exchange.transfer(call, Who::Dn("106"), "199")),
        "nobody has the number 199"
    );
    assert_eq!(
        refused(exchange.poll_again(call)),
        "call 665 would need a queue or ring group that looks for somebody"
    );
    assert_eq!(refused(exchange.time_out(7)), "call 7 is over or never was");
    assert_eq!(
        refused(exchange.arrive(OUTSIDE, "", "420226209999").map(|_| ())),
        "the trunk has no number 420226209999; add it to the plan"
    );
    assert_eq!(exchange.take_changes(), []);
}

#[test]
fn a_restart_starts_the_counters_over_and_tells_nothing() {
    let mut desk = Desk::new();
    assert_eq!(desk.arrive("1001"), 665);
    assert_eq!(desk.dial("107", "109"), 666);
    desk.so_far();
    desk.0.restart();
    desk.does(&[]);
    assert_eq!(desk.0.participants().count(), 0);
    assert_eq!(desk.arrive("1001"), 665);
}
