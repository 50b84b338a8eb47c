//! The README shows what is sent: its examples are what the plugin makes of the sample events.

use callhook_plugin::testing::{Host, draft};
use callhook_plugin::{Outcome, Plugin, samples};
use serde_json::{Value, json};

use super::PlainPost;

const URL: &str = "https://crm.example/calls?key=1";

fn sent(event: callhook_plugin::CallEvent) -> Value {
    match PlainPost::transform(event, draft(URL)) {
        Ok(Outcome::Send(requests)) => {
            let [request] = &requests[..] else { panic!("{requests:?}") };
            assert_eq!((&*request.method, &*request.url), ("POST", URL));
            assert_eq!(request.headers[0].value, "application/json");
            serde_json::from_slice(&request.body).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// The JSON blocks of the README, by the event that each shows.
fn shown() -> Vec<Value> {
    let text = include_str!("../README.md");
    let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks
        .map(|block| serde_json::from_str(block).unwrap_or_else(|e| panic!("{e}: {block}")))
        .collect()
}

#[test]
fn the_readme_shows_what_is_sent_for_every_kind_of_event() {
    let sent: Vec<Value> = samples::all().into_iter().map(sent).collect();
    let shown = shown();
    assert_eq!(shown.len(), sent.len());
    for (shown, sent) in shown.iter().zip(&sent) {
        assert_eq!(shown, sent, "expected in the README:\n{sent:#}");
    }
}

#[test]
fn what_is_not_known_is_null_and_never_left_out() {
    for event in samples::all() {
        let whole = sent(event.clone());
        let sparse = sent(samples::sparse(event));
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&whole), names(&sparse));
        assert_eq!(sparse["did"], Value::Null);
    }
}

#[test]
fn the_settings_add_the_number_in_one_form_and_the_users_line() {
    let event = samples::event(samples::ringing());
    Host::new()
        .setting("country", "420")
        .setting("directory", "yes")
        .person("106", [("crm_id", "77")])
        .install();
    let body = sent(event.clone());
    assert_eq!(body["caller_e164"], "+420774852629");
    assert_eq!(body["user"]["columns"], json!({"crm_id": "77"}));
    let stranger = sent(samples::sparse(callhook_plugin::CallEvent {
        user: samples::extension("999", "Nobody"),
        ..event
    }));
    assert_eq!(stranger["caller_e164"], Value::Null);
    assert_eq!(stranger["user"]["columns"], json!({}));
}

#[test]
fn wrong_settings_are_told() {
    Host::new().setting("country", "CZ").setting("directory", "maybe").install();
    let problems = PlainPost::check();
    let told: Vec<_> = problems.iter().map(|it| (&*it.setting, &*it.message)).collect();
    assert_eq!(
        told,
        [("country", "expected digits, such as 420"), ("directory", "expected yes or no")]
    );
}
