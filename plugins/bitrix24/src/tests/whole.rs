//! The plugin as the host calls it, with settings, directory and memory.

use callhook_plugin::reply::{Exchange, HttpReply, Judgement, Verdict};
use callhook_plugin::testing::{Host, draft};
use callhook_plugin::{Field, HttpRequest, Outcome, Plugin as _, Replies as _};

use super::*;
use crate::Bitrix24;
use crate::settings::KEYS;

const URL: &str = "https://portal.example/rest/1/secret/";

fn host() -> Host {
    let defaults = KEYS.iter().filter_map(|(name, _, usual)| Some((*name, (*usual)?)));
    let host = defaults.fold(Host::new(), |host, (name, usual)| host.setting(name, usual));
    host.person("106", [("Bitrix24_User", "6")])
}

fn sent(outcome: Outcome) -> Vec<HttpRequest> {
    match outcome {
        Outcome::Send(requests) => requests,
        Outcome::Skip(reason) => panic!("skipped: {reason}"),
    }
}

/// Bitrix24's answer to a request, which comes back as the host gives it.
fn answer(request: &HttpRequest, status: u16, body: &str) -> Verdict {
    let mut request = request.clone();
    request.extra = vec![Field { name: "url".to_owned(), value: URL.to_owned() }];
    let body = body.as_bytes().to_owned();
    let reply = HttpReply { status, headers: Vec::new(), body, truncated: false };
    let verdict = Bitrix24::on_reply(ringing(0, "106"), Exchange { request, attempt: 1, reply });
    verdict.expect("a reply to its own request")
}

#[test]
fn what_one_event_learns_the_next_one_knows() {
    host().install();
    let register = sent(Bitrix24::transform(ringing(0, "106"), draft(URL)).expect("it works"));
    assert_eq!(register.len(), 1);
    assert_eq!(register[0].url, format!("{URL}telephony.externalCall.register.json"));
    let skipped = Bitrix24::transform(ended(0, "106", None), draft(URL)).expect("it works");
    assert!(matches!(skipped, Outcome::Skip(_)), "the call has no name yet: {skipped:?}");

    let verdict = answer(&register[0], 200, r#"{"result":{"CALL_ID":"c"}}"#);
    assert!(matches!(verdict.judgement, Judgement::Done), "{verdict:?}");
    let finish = &verdict.follow_up[0];
    assert_eq!(finish.url, format!("{URL}telephony.externalCall.finish.json"));
    let body = String::from_utf8(finish.body.clone()).expect("text");
    assert!(body.contains(r#""CALL_ID":"c""#) && body.contains(r#""USER_ID":6"#), "{body}");

    let again = answer(finish, 503, r#"{"error":"QUERY_LIMIT_EXCEEDED"}"#);
    let Judgement::Retry(retry) = &again.judgement else { panic!("{again:?}") };
    assert_eq!((retry.after_ms, again.follow_up.len()), (Some(2_000), 0));
    assert!(answer(finish, 200, r#"{"result":{}}"#).follow_up.is_empty());
}

#[test]
fn a_reply_to_somebody_elses_request_is_a_failure() {
    host().install();
    let reply = HttpReply { status: 200, headers: vec![], body: vec![], truncated: false };
    let exchange = Exchange { request: draft(URL), attempt: 1, reply };
    assert!(Bitrix24::on_reply(ringing(0, "106"), exchange).is_err());
}

#[test]
fn wrong_settings_are_found_at_the_start() {
    Host::new().setting("show", "perhaps").install();
    let problems = Bitrix24::check();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].setting, "show");
}
