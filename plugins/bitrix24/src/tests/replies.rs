//! What each reply comes to.

use serde_json::{Value, json};

use super::*;
use crate::answer::{Judgement, Reply, judge};
use crate::chain::{Chain, Registration, User};
use crate::due::{Call, Method, due};
use crate::news;

/// A chain with one call that rings at 106 and 107 and is being registered.
fn asked() -> (Chain, Call) {
    let mut chain = Chain::default();
    for number in ["106", "107"] {
        let taken = news::take(&mut chain, &ringing(0, number), &settings(&[]), directory);
        taken.expect("of interest");
    }
    let mut calls = due(&mut chain, &settings(&[]));
    assert_eq!(calls.len(), 1);
    (chain, calls.remove(0))
}

/// The same call, registered and ended, and its `finish`.
fn over() -> (Chain, Call) {
    let (mut chain, call) = asked();
    reply(&mut chain, &call, 200, &json!({ "result": { "CALL_ID": "c" } }));
    let taken = news::take(&mut chain, &ended(1, "107", Some(1_000)), &settings(&[]), directory);
    taken.expect("of interest");
    let mut calls = due(&mut chain, &settings(&[]));
    let finish = calls.pop().expect("it is finished");
    (chain, finish)
}

fn reply(chain: &mut Chain, call: &Call, status: u16, body: &Value) -> Judgement {
    attempt(chain, call, 1, status, &body.to_string())
}

fn attempt(chain: &mut Chain, call: &Call, attempt: u32, status: u16, body: &str) -> Judgement {
    let reply = Reply { status, body: body.as_bytes(), attempt };
    judge(chain, call.method, &call.external_id, call.user.clone(), reply)
}

fn error(code: &str, description: &str) -> Value {
    json!({ "error": code, "error_description": description })
}

#[test]
fn what_passes_is_asked_again() {
    for (status, body, after) in [
        (503, error("QUERY_LIMIT_EXCEEDED", "Too many requests"), Some(2_000)),
        (429, error("QUERY_LIMIT_EXCEEDED", "Too many requests"), Some(2_000)),
        (200, error("QUERY_LIMIT_EXCEEDED", "Too many requests"), Some(2_000)),
        (429, error("OPERATION_TIME_LIMIT", "Method is blocked"), Some(60_000)),
        (429, json!("slow down"), None),
        (500, error("INTERNAL_SERVER_ERROR", "Internal server error"), None),
        (502, json!("<html>"), None),
    ] {
        for method in Method::ALL {
            let (mut chain, call) = asked();
            let before = chain.clone();
            let call = Call { method, ..call };
            let judged = reply(&mut chain, &call, status, &body);
            let Judgement::Retry(wait, _) = judged else { panic!("{method:?} {body}: {judged:?}") };
            assert_eq!(wait, after, "{body}");
            assert_eq!(chain, before, "and nothing else comes of it");
        }
    }
}

#[test]
fn a_page_instead_of_an_answer_is_asked_again_and_a_refusal_without_words_three_times() {
    let (mut chain, call) = asked();
    assert_eq!(
        attempt(&mut chain, &call, 9, 200, "<html>Welcome</html>"),
        Judgement::Retry(
            None,
            "the answer is none of Bitrix24's REST API: is the endpoint's url right?".to_owned()
        )
    );
    let said = "Bitrix24 answered 403".to_owned();
    assert_eq!(attempt(&mut chain, &call, 2, 403, ""), Judgement::Retry(None, said.clone()));
    assert_eq!(attempt(&mut chain, &call, 3, 403, ""), Judgement::GiveUp(said));
}

#[test]
fn a_user_whom_bitrix24_does_not_know_is_passed_over() {
    for description in
        ["USER_ID or USER_PHONE_INNER should be set", "User is not found or is not active"]
    {
        let (mut chain, call) = asked();
        let judged = reply(&mut chain, &call, 400, &error("ERROR_CORE", description));
        assert_eq!(
            judged,
            Judgement::Settled(format!(
                "Bitrix24 does not know the user 6 (Bitrix24 says ERROR_CORE: {description})"
            ))
        );
        let next = due(&mut chain, &settings(&[])).remove(0);
        assert_eq!((next.method, next.user), (Method::Register, Some(User::Id(7))));
        assert_eq!(next.parameters["SHOW"], 1, "whose phone rings");
    }
}

#[test]
fn a_call_of_whose_people_bitrix24_knows_none_is_not_logged_and_that_is_said() {
    let (mut chain, call) = asked();
    let stranger = error("ERROR_CORE", "User is not found or is not active");
    reply(&mut chain, &call, 400, &stranger);
    let next = due(&mut chain, &settings(&[])).remove(0);
    news::take(&mut chain, &ended(0, "800", None), &settings(&[]), directory).expect("news");
    let judged = reply(&mut chain, &next, 400, &stranger);
    let Judgement::Settled(why) = judged else { panic!("{judged:?}") };
    assert!(why.starts_with("the call is not logged: Bitrix24 knows none of its people"), "{why}");
    assert_eq!(due(&mut chain, &settings(&[])), []);
}

#[test]
fn of_a_large_group_of_strangers_ten_are_tried() {
    let mut chain = Chain::default();
    for number in 200..220 {
        let event = ringing(0, &number.to_string());
        news::take(&mut chain, &event, &settings(&[]), directory).expect("of interest");
    }
    let stranger = error("ERROR_CORE", "USER_ID or USER_PHONE_INNER should be set");
    let mut calls = due(&mut chain, &settings(&[]));
    let mut tried = 0;
    while let Some(call) = calls.pop() {
        tried += 1;
        reply(&mut chain, &call, 400, &stranger);
        calls = due(&mut chain, &settings(&[]));
    }
    assert_eq!(tried, 10);
}

#[test]
fn a_registration_that_will_never_work_is_given_up_and_can_be_sent_again_by_hand() {
    let (mut chain, call) = asked();
    let refused = error("ERROR_CORE", "Unsupported phone number format");
    let judged = reply(&mut chain, &call, 400, &refused);
    let said = "Bitrix24 says ERROR_CORE: Unsupported phone number format".to_owned();
    assert_eq!(judged, Judgement::GiveUp(said));
    news::take(&mut chain, &ended(0, "106", None), &settings(&[]), directory).expect("news");
    assert_eq!(due(&mut chain, &settings(&[])), [], "there is nothing to finish");
    // The operator has mended it, and sends the same request again.
    reply(&mut chain, &call, 200, &json!({ "result": { "CALL_ID": "c" } }));
    let calls = due(&mut chain, &settings(&[]));
    let methods: Vec<_> = calls.iter().map(|call| call.method).collect();
    assert_eq!(methods, [Method::Finish]);
}

#[test]
fn a_webhook_that_may_not_register_calls_is_told_as_such() {
    let (mut chain, call) = asked();
    let body = error("WRONG_AUTH_TYPE", "Current authorization type is denied for this method");
    let judged = reply(&mut chain, &call, 403, &body);
    let Judgement::GiveUp(why) = judged else { panic!("{judged:?}") };
    assert!(why.contains("use OAuth"), "{why}");
}

#[test]
fn a_registration_that_is_answered_twice_stays_what_it_was() {
    let (mut chain, call) = asked();
    for id in ["first", "second"] {
        reply(&mut chain, &call, 200, &json!({ "result": { "CALL_ID": id } }));
    }
    let known = Registration::Known { user: User::Id(6), call_id: "first".to_owned() };
    assert_eq!(chain.links()[0].registration, known);
}

#[test]
fn a_registration_without_a_call_id_is_given_up() {
    for body in [json!({ "result": {} }), json!({ "result": { "CALL_ID": "" } })] {
        let (mut chain, call) = asked();
        let judged = reply(&mut chain, &call, 200, &body);
        let why = "Bitrix24 has registered the call without a CALL_ID".to_owned();
        assert_eq!(judged, Judgement::GiveUp(why));
    }
}

#[test]
fn a_finish_whose_reply_was_lost_is_settled_by_the_second_one() {
    let (mut chain, finish) = over();
    let body =
        error("ERROR_CORE", "Call is not found (call should be registered prior to finishing)");
    let judged = reply(&mut chain, &finish, 400, &body);
    assert!(matches!(judged, Judgement::Settled(_)), "{judged:?}");
    assert_eq!(due(&mut chain, &settings(&[])), []);
}

#[test]
fn a_finish_for_somebody_unknown_goes_to_whom_the_call_was_registered_for() {
    let (mut chain, finish) = over();
    assert_eq!(finish.user, Some(User::Id(7)));
    let stranger = error("ERROR_CORE", "User is not found or is not active");
    let judged = reply(&mut chain, &finish, 400, &stranger);
    assert!(matches!(judged, Judgement::Settled(_)), "{judged:?}");
    let again = due(&mut chain, &settings(&[])).remove(0);
    assert_eq!((again.method, &again.user), (Method::Finish, &Some(User::Id(6))));
    // And if that one is gone as well, somebody has to look at it.
    let judged = reply(&mut chain, &again, 400, &stranger);
    assert!(matches!(judged, Judgement::GiveUp(_)), "{judged:?}");
    assert_eq!(due(&mut chain, &settings(&[])), []);
}

#[test]
fn a_card_of_a_call_that_is_gone_is_no_fault() {
    let (mut chain, call) = over();
    for method in [Method::Show, Method::Hide] {
        let call = Call { method, ..call.clone() };
        assert_eq!(reply(&mut chain, &call, 200, &json!({ "result": false })), Judgement::Done);
    }
}

#[test]
fn a_recording_waits_until_its_call_is_finished_and_for_the_portal_to_fetch_it() {
    let (mut chain, finish) = over();
    news::take(&mut chain, &recorded(1, "107"), &settings(&[]), directory).expect("news");
    assert_eq!(due(&mut chain, &settings(&[])), []);
    assert_eq!(reply(&mut chain, &finish, 200, &json!({ "result": {} })), Judgement::Done);
    let attach = due(&mut chain, &settings(&[])).remove(0);
    assert_eq!(attach.method, Method::AttachRecord);
    let body = error("ERROR_CORE", "Server returns HTTP error code 404").to_string();
    assert!(matches!(attempt(&mut chain, &attach, 1, 400, &body), Judgement::Retry(..)));
    assert!(matches!(attempt(&mut chain, &attach, 3, 400, &body), Judgement::GiveUp(_)));
}
