//! What Bitrix24 is told of each kind of call when it answers at once.

use serde_json::{Value, json};

use super::*;
use crate::answer::{Judgement, Reply, judge};
use crate::chain::Chain;
use crate::due::{Method, due};
use crate::news;

/// A portal that takes everything, and the chain that it is told of.
struct Story {
    chain: Chain,
    settings: Settings,
}

impl Story {
    fn new(set: &[(&str, &str)]) -> Self {
        Self { chain: Chain::default(), settings: settings(set) }
    }

    /// What is told because of an event: the method, and the parameters.
    fn tell(&mut self, event: &CallEvent) -> Vec<(&'static str, Value)> {
        // Nothing but what is kept goes from one event to the next.
        self.chain = Chain::from_bytes(Some(&self.chain.to_bytes()));
        if news::take(&mut self.chain, event, &self.settings, directory).is_err() {
            return Vec::new();
        }
        let mut told = Vec::new();
        let mut waiting = due(&mut self.chain, &self.settings);
        while !waiting.is_empty() {
            let call = waiting.remove(0);
            let body = match call.method {
                Method::Register => {
                    let id = call.parameters["EXTERNAL_CALL_ID"].as_str().expect("it has one");
                    json!({ "result": { "CALL_ID": format!("of {id}") } })
                }
                _ => json!({ "result": true }),
            };
            let body = body.to_string();
            let reply = Reply { status: 200, body: body.as_bytes(), attempt: 1 };
            let judged =
                judge(&mut self.chain, call.method, &call.external_id, call.user.clone(), reply);
            assert_eq!(judged, Judgement::Done);
            told.push((call.method.name(), call.parameters));
            let more = due(&mut self.chain, &self.settings);
            waiting.splice(0..0, more);
        }
        told
    }

    /// The same in short: the method, and whom it is for.
    fn gist(&mut self, event: &CallEvent) -> Vec<String> {
        let told = self.tell(event).into_iter();
        told.map(|(method, it)| {
            let user = it.get("USER_ID").or(it.get("USER_PHONE_INNER")).unwrap_or(&Value::Null);
            let particular = it.get("STATUS_CODE").or(it.get("TYPE")).unwrap_or(&Value::Null);
            format!("{method} {user} {particular}").replace('"', "").replace(" null", "")
        })
        .collect()
    }
}

const CALL_ID: &str = "of 220106205945_755-0@pbx";

#[test]
fn an_answered_call_is_registered_when_it_rings_and_finished_when_it_ends() {
    let mut story = Story::new(&[]);
    assert_eq!(
        story.tell(&ringing(0, "106")),
        [(
            "register",
            json!({
                "USER_ID": 6,
                "PHONE_NUMBER": "420774852629",
                "TYPE": 2,
                "CALL_START_DATE": "2022-01-06T20:59:45+01:00",
                "CRM_CREATE": 0,
                "SHOW": 1,
                "ADD_TO_CHAT": 1,
                "LINE_NUMBER": "420226201001",
                "EXTERNAL_CALL_ID": "220106205945_755-0@pbx",
            })
        )]
    );
    assert_eq!(story.tell(&started(1, "106")), []);
    assert_eq!(
        story.tell(&ended(1, "106", Some(204_499))),
        [(
            "finish",
            json!({
                "CALL_ID": CALL_ID,
                "USER_ID": 6,
                "DURATION": 204,
                "STATUS_CODE": "200",
                "ADD_TO_CHAT": 1,
            })
        )]
    );
    assert_eq!(story.tell(&ended(1, "106", Some(204_499))), [], "and once only");
}

#[test]
fn a_missed_call_has_no_duration_and_says_why() {
    let mut story = Story::new(&[]);
    story.tell(&ringing(0, "106"));
    assert_eq!(
        story.tell(&ended(0, "106", None)),
        [(
            "finish",
            json!({
                "CALL_ID": CALL_ID,
                "USER_ID": 6,
                "DURATION": 0,
                "STATUS_CODE": "304",
                "FAILED_REASON": "Missed incoming call",
                "ADD_TO_CHAT": 1,
            })
        )]
    );
}

#[test]
fn of_several_that_ring_one_is_registered_and_the_others_are_shown_and_hidden() {
    let mut story = Story::new(&[]);
    assert_eq!(story.gist(&ringing(0, "800")), [] as [&str; 0], "a queue is nobody");
    assert_eq!(story.gist(&ringing(0, "106")), ["register 6 2"]);
    assert_eq!(story.gist(&ringing(0, "107")), ["show 7"]);
    assert_eq!(story.gist(&ringing(0, "108")), ["show 8"]);
    assert_eq!(story.gist(&stopped(0, "106")), ["hide 6"]);
    assert_eq!(story.gist(&stopped(0, "108")), ["hide 8"]);
    assert_eq!(story.gist(&started(1, "107")), [] as [&str; 0]);
    assert_eq!(story.gist(&ended(1, "107", Some(3_000))), ["finish 7 200"]);
}

#[test]
fn without_the_events_of_phones_that_stop_the_answer_hides_the_other_cards() {
    let mut story = Story::new(&[]);
    for number in ["106", "107", "108"] {
        story.gist(&ringing(0, number));
    }
    assert_eq!(story.gist(&started(1, "107")), ["hide [6,8]"]);
    assert_eq!(story.gist(&ended(1, "107", Some(3_000))), ["finish 7 200"]);
}

#[test]
fn a_missed_group_call_is_one_call_and_leaves_no_card() {
    let mut story = Story::new(&[]);
    for number in ["800", "106", "107", "108"] {
        story.gist(&ringing(0, number));
    }
    assert_eq!(story.gist(&ended(0, "800", None)), ["hide [7,8]", "finish 6 304"]);
}

#[test]
fn a_transfer_is_another_call_under_an_id_of_its_own() {
    let mut story = Story::new(&[]);
    assert_eq!(story.gist(&ringing(0, "106")), ["register 6 2"]);
    assert_eq!(story.gist(&started(1, "106")), [] as [&str; 0]);
    assert_eq!(story.gist(&ended(1, "106", Some(9_000))), ["finish 6 200"]);
    let (method, parameters) = story.tell(&ringing(2, "107")).remove(0);
    assert_eq!(
        (method, &parameters["USER_ID"], &parameters["TYPE"]),
        ("register", &json!(7), &json!(3))
    );
    assert_eq!(parameters["EXTERNAL_CALL_ID"], "220106205945_755-2@pbx");
    assert_eq!(parameters["CALL_START_DATE"], "2022-01-06T21:07:00+01:00", "when it was passed on");
    assert_eq!(story.gist(&started(2, "107")), [] as [&str; 0]);
    assert_eq!(story.gist(&ended(2, "107", Some(1))), ["finish 7 200"]);
}

#[test]
fn an_attended_transfer_is_registered_when_the_target_takes_over() {
    let mut story = Story::new(&[]);
    story.gist(&ringing(0, "106"));
    story.gist(&started(1, "106"));
    assert_eq!(story.gist(&ended(1, "106", Some(9_000))), ["finish 6 200"]);
    assert_eq!(story.gist(&started(2, "107")), ["register 7 3"]);
    assert_eq!(story.gist(&ended(2, "107", Some(5_000))), ["finish 7 200"]);
}

#[test]
fn a_call_that_was_lost_from_sight_and_comes_back_is_another_call() {
    let mut story = Story::new(&[]);
    story.gist(&ringing(0, "106"));
    assert_eq!(story.gist(&ended(0, "106", None)), ["finish 6 304"]);
    assert_eq!(story.gist(&started(1, "107")), ["register 7 2"]);
    assert_eq!(story.gist(&ended(1, "107", Some(5_000))), ["finish 7 200"]);
}

#[test]
fn an_outgoing_call_is_registered_when_it_is_dialled_or_else_answered() {
    let outgoing =
        |event: CallEvent| CallEvent { direction: Direction::Outgoing, did: None, ..event };
    let mut story = Story::new(&[]);
    assert_eq!(story.gist(&outgoing(event(0, "106", EventKind::Dialing))), ["register 6 1"]);
    assert_eq!(story.gist(&outgoing(started(1, "106"))), [] as [&str; 0]);
    assert_eq!(story.gist(&outgoing(ended(1, "106", Some(5_000)))), ["finish 6 200"]);

    let mut story = Story::new(&[]);
    let told = story.tell(&outgoing(started(1, "106")));
    assert_eq!((told[0].0, told[0].1.get("LINE_NUMBER")), ("register", None));
}

#[test]
fn an_outgoing_call_that_fails_says_who_gave_up() {
    for (side, status) in [(Side::User, "603-S"), (Side::External, "603"), (Side::Unknown, "304")] {
        let mut event = ended(0, "106", None);
        event.direction = Direction::Outgoing;
        if let EventKind::Ended(ended) = &mut event.kind {
            ended.hung_up_by = side;
        }
        let told = Story::new(&[]).gist(&event);
        assert_eq!(told, ["register 6 1".to_owned(), format!("finish 6 {status}")]);
    }
}

#[test]
fn an_end_of_which_nothing_was_told_before_is_registered_without_a_card() {
    let mut event = ended(0, "800", None);
    if let EventKind::Ended(ended) = &mut event.kind {
        ended.unanswered = vec![party("107"), party("108")];
    }
    let told = Story::new(&[]).tell(&event);
    assert_eq!(
        (told[0].0, &told[0].1["USER_ID"], &told[0].1["SHOW"]),
        ("register", &json!(7), &json!(0))
    );
    assert_eq!((told[1].0, &told[1].1["USER_ID"]), ("finish", &json!(7)));
}

#[test]
fn a_call_that_reached_nobody_goes_to_the_default_user_or_nowhere() {
    assert_eq!(Story::new(&[]).gist(&ended(0, "800", None)), [] as [&str; 0]);
    let mut story = Story::new(&[("default_user", "1")]);
    assert_eq!(story.gist(&ended(0, "800", None)), ["register 1 2", "finish 1 304"]);
}

#[test]
fn extensions_without_an_id_are_told_by_their_number_or_skipped() {
    let mut story = Story::new(&[]);
    assert_eq!(story.gist(&ringing(0, "109")), ["register 109 2"]);
    assert_eq!(story.gist(&ringing(0, "110")), [] as [&str; 0], "show knows users by id only");
    assert_eq!(story.gist(&stopped(0, "109")), ["hide"], "but means the first one without an id");
    assert_eq!(story.gist(&started(1, "110")), [] as [&str; 0]);
    assert_eq!(story.gist(&ended(1, "110", Some(2_000))), ["finish 110 200"]);

    let mut story = Story::new(&[("without_user", "skip")]);
    assert_eq!(story.gist(&ringing(0, "109")), [] as [&str; 0]);
    assert_eq!(story.gist(&ringing(0, "106")), ["register 6 2"]);
}

#[test]
fn who_talks_without_being_known_is_stood_for_by_the_default_user() {
    let mut story = Story::new(&[("without_user", "skip"), ("default_user", "1")]);
    story.gist(&ringing(0, "106"));
    story.gist(&ringing(0, "109"));
    assert_eq!(story.gist(&started(1, "109")), ["hide 6"]);
    assert_eq!(story.gist(&ended(1, "109", Some(2_000))), ["finish 1 200"]);
}

#[test]
fn without_cards_only_the_log_is_kept() {
    let mut story = Story::new(&[("show", "no")]);
    let told = story.tell(&ringing(0, "106"));
    assert_eq!(told[0].1["SHOW"], 0);
    for event in [ringing(0, "107"), stopped(0, "106"), started(1, "107")] {
        assert_eq!(story.gist(&event), [] as [&str; 0]);
    }
    assert_eq!(story.gist(&ended(1, "107", Some(2_000))), ["finish 7 200"]);
}

#[test]
fn settings_go_into_the_registration() {
    let set = [
        ("crm_create", "yes"),
        ("crm_source", "CALL"),
        ("add_to_chat", "no"),
        ("line", "3CX"),
        ("withheld_number", "000"),
    ];
    let mut event = ringing(0, "106");
    event.caller_id = String::new();
    let told = Story::new(&set).tell(&event).remove(0).1;
    for (name, value) in [
        ("CRM_CREATE", json!(1)),
        ("CRM_SOURCE", json!("CALL")),
        ("ADD_TO_CHAT", json!(0)),
        ("LINE_NUMBER", json!("3CX")),
        ("PHONE_NUMBER", json!("000")),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
}

#[test]
fn what_is_none_of_the_crms_business_is_skipped_with_a_reason() {
    let mut withheld = ringing(0, "106");
    withheld.caller_id = String::new();
    let internal = CallEvent { direction: Direction::Internal, ..ringing(0, "106") };
    let hold = event(1, "106", EventKind::Hold);
    for (event, reason) in [
        (withheld, "the number is withheld and the setting withheld_number is not set"),
        (internal, "an internal call is none for the CRM"),
        (hold, "Bitrix24 has no use for this kind of event"),
        (ringing(0, "800"), "Bitrix24 knows no user for this number"),
        (recorded(1, "106"), "Bitrix24 was not told of the call it is of"),
    ] {
        let taken = news::take(&mut Chain::default(), &event, &settings(&[]), directory);
        assert_eq!(taken, Err(reason));
    }
}

#[test]
fn a_recording_is_attached_to_the_call_that_it_is_of() {
    let mut story = Story::new(&[]);
    story.gist(&started(1, "106"));
    story.gist(&ended(1, "106", Some(9_000)));
    story.gist(&started(2, "107"));
    let told = story.tell(&recorded(1, "106"));
    let expected = json!({ "CALL_ID": "of 220106205945_755-1@pbx", "RECORD_URL": "https://pbx.example/1.wav" });
    assert_eq!(told, [("attachRecord", expected)]);
    assert_eq!(story.tell(&recorded(1, "106")), [], "and once only");
}

#[test]
fn a_loop_of_transfers_keeps_the_memory_small() {
    let mut story = Story::new(&[]);
    for link in 1..500 {
        story.gist(&started(link, "106"));
        assert_eq!(story.gist(&ended(link, "106", Some(1_000))), ["finish 6 200"]);
        assert!(story.chain.to_bytes().len() < 32 * 1024);
    }
}
