//! What the templates promise, through the plugin as the host calls it, natively.

mod checks;
mod places;
mod values;

use callhook_plugin::testing::{Host, draft};
use callhook_plugin::{CallEvent, HttpRequest, Outcome, Plugin, samples};

use super::Template;

const URL: &str = "https://crm.example/calls/?key=1";

/// A host with these settings.
fn host(settings: &[(&str, &str)]) -> Host {
    settings.iter().fold(Host::new(), |host, (name, value)| host.setting(name, value))
}

/// What becomes of an event under these settings.
fn outcome(settings: &[(&str, &str)], event: &CallEvent) -> Outcome {
    host(settings).install();
    Template::transform(event.clone(), draft(URL)).unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// The request that is sent for it.
fn sent(settings: &[(&str, &str)], event: &CallEvent) -> HttpRequest {
    match outcome(settings, event) {
        Outcome::Send(mut requests) if requests.len() == 1 => requests.remove(0),
        other => panic!("{other:?}"),
    }
}

/// The body of a request that carries nothing else.
fn text(template: &str, event: &CallEvent) -> String {
    let request = sent(&[("content_type", "text/plain"), ("body", template)], event);
    String::from_utf8(request.body).unwrap()
}

fn ringing() -> CallEvent {
    samples::event(samples::ringing())
}

fn ended() -> CallEvent {
    samples::event(samples::ended(callhook_plugin::FinishType::Ok))
}

fn skipped(settings: &[(&str, &str)], event: &CallEvent) -> String {
    match outcome(settings, event) {
        Outcome::Skip(reason) => reason,
        Outcome::Send(requests) => panic!("{requests:?}"),
    }
}

#[test]
fn a_request_is_made_of_its_parts() {
    let request = sent(
        &[
            ("method", "put"),
            ("url", "{{ url }}/{{ chain_id }}"),
            ("query.from", "{{ caller_id }}"),
            ("query.queue", "{{ transferred_to.name }}"),
            ("header.X-Source", "{{ endpoint }}"),
            ("header.X-Nothing", "{{ hung_up_by }}"),
            ("body", "{\"user\": {{ user }}, \"talk\": {{ talk_ms }}}"),
        ],
        &ringing(),
    );
    assert_eq!(request.method, "PUT");
    // The endpoint's own parameters are in the middle: its owner said so.
    assert_eq!(request.url, "https://crm.example/calls/?key=1/260305091500_698&from=420774852629");
    let headers: Vec<_> = request.headers.iter().map(|it| (&*it.name, &*it.value)).collect();
    assert_eq!(headers, [("content-type", "application/json"), ("X-Source", "webhook")]);
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["user"]["number"], "106");
    assert_eq!(body["talk"], serde_json::Value::Null);
}

#[test]
fn without_a_body_it_is_a_get_and_with_one_a_post() {
    let get = sent(&[("query.id", "{{ id }}")], &ringing());
    assert_eq!(
        (&*get.method, &*get.url),
        ("GET", "https://crm.example/calls/?key=1&id=260305091500_698-1")
    );
    assert!(get.body.is_empty() && get.headers.is_empty());
    assert_eq!(sent(&[("body", "1")], &ringing()).method, "POST");
    let form = sent(&[("form.id", "{{ id }}"), ("form.no", "{{ talk_ms }}")], &ringing());
    assert_eq!((&*form.method, &*form.body), ("POST", &b"id=260305091500_698-1"[..]));
    assert_eq!(form.headers[0].value, "application/x-www-form-urlencoded");
}

#[test]
fn a_kind_of_event_has_its_own_templates_and_the_general_ones() {
    let settings = [
        ("header.X-A", "general"),
        ("header.X-B", "general"),
        ("ringing.header.X-A", "{{ event }}"),
        ("ringing.body", "\"ring\""),
        ("end.form.a", "1"),
        ("start.method", "DELETE"),
    ];
    let ring = sent(&settings, &ringing());
    let headers: Vec<_> = ring.headers.iter().map(|it| (&*it.name, &*it.value)).collect();
    assert_eq!(ring.body, b"\"ring\"");
    assert!(headers.contains(&("X-A", "ringing")) && headers.contains(&("X-B", "general")));
    assert_eq!(sent(&settings, &ended()).body, b"a=1");
    let start = sent(&settings, &samples::event(samples::started()));
    assert_eq!((&*start.method, start.body.len()), ("DELETE", 0));
    let hold = samples::event(callhook_plugin::EventKind::Hold);
    assert_eq!(skipped(&settings, &hold), "there is no template for hold");
}

#[test]
fn what_is_general_serves_every_kind_that_has_nothing_of_its_own() {
    let settings = [("body", "\"all\""), ("ringing.body", "\"ring\""), ("end.body", "")];
    assert_eq!(sent(&settings, &ringing()).body, b"\"ring\"");
    assert_eq!(sent(&settings, &samples::event(samples::started())).body, b"\"all\"");
    let end = sent(&settings, &ended());
    assert_eq!((&*end.method, end.body.len()), ("GET", 0), "an empty setting is no body");
}

#[test]
fn an_event_is_skipped_by_a_condition_or_by_an_empty_body() {
    let settings =
        [("body", "{% if finish == 'missed' %}1{% endif %}"), ("when", "direction == 'incoming'")];
    assert_eq!(skipped(&settings, &ended()), "`body` comes out empty");
    let dialing = samples::event(callhook_plugin::EventKind::Dialing);
    assert_eq!(skipped(&settings, &dialing), "`when` does not hold");
    let own = [("body", "1"), ("end.when", "not talk_ms")];
    assert_eq!(skipped(&own, &ended()), "`end.when` does not hold");
    assert_eq!(sent(&own, &ringing()).body, b"1");
}

#[test]
fn a_chain_goes_on_with_what_it_began() {
    host(&[("header.X-Case", "7")]).install();
    let before = draft(URL).with_method("PATCH").with_body("text/plain", "kept");
    let Ok(Outcome::Send(requests)) = Template::transform(ringing(), before) else { panic!() };
    assert_eq!((&*requests[0].method, &*requests[0].body), ("PATCH", &b"kept"[..]));
    assert_eq!(requests[0].headers.len(), 2);
}
