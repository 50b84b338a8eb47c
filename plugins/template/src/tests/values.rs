//! What the filters make of values.

use callhook_plugin::testing::draft;
use callhook_plugin::{CallEvent, Plugin, samples};

use super::{Template, ended, host, ringing, sent, text};

#[test]
fn numbers_have_the_form_that_a_crm_wants() {
    let event = CallEvent { caller_id: "774 852 629".into(), ..ringing() };
    assert_eq!(text("{{ caller_id | e164('420') }}", &event), "+420774852629");
    assert_eq!(text("{{ caller_id | e164('420') | digits }}", &event), "420774852629");
    assert_eq!(text("{{ caller_id | last(4) }} {{ [1, 2] | last }}", &event), "2629 2");
    let settings = [("country", "420"), ("query.n", "{{ caller_id | e164 }}")];
    assert!(sent(&settings, &event).url.ends_with("n=%2B420774852629"));
    assert_eq!(text("<{{ user.number | e164 or user.number }}>", &event), "<106>");
}

#[test]
fn times_have_the_form_that_a_crm_wants() {
    let event = ringing();
    for (template, expected) in [
        ("{{ arrived_at }}", "2026-03-05T09:15:00.000+01:00"),
        ("{{ arrived_at | utc }}", "2026-03-05T08:15:00.000Z"),
        ("{{ arrived_at | utc('%Y-%m-%d %H:%M:%S') }}", "2026-03-05 08:15:00"),
        ("{{ arrived_at | local('%d.%m.%Y %H:%M') }}", "05.03.2026 09:15"),
        ("{{ arrived_at | local }}", "2026-03-05T09:15:00.000+01:00"),
        ("{{ arrived_at | epoch }} {{ arrived_at | epoch_ms }}", "1772698500 1772698500000"),
        ("{{ occurred_at | epoch - arrived_at | epoch }}", "8"),
        ("<{{ answered_at | utc }}>", "<>"),
    ] {
        assert_eq!(text(template, &event), expected, "{template}");
    }
}

#[test]
fn durations_have_the_unit_that_a_crm_wants() {
    let event = ended();
    assert_eq!(text("{{ talk_ms | seconds }} {{ talk_ms | minutes }}", &event), "204 3");
    assert_eq!(text("{{ talk_ms | clock }} {{ 3803600 | clock }}", &event), "3:24 1:03:24");
    assert_eq!(text("<{{ talk_ms | seconds }}>", &ringing()), "<>");
}

#[test]
fn people_are_found_in_the_directory() {
    let settings =
        [("content_type", "text/plain"), ("body", "<{{ user.number | directory('crm_id') }}>")];
    let body = |settings: &[(&str, &str)], user: &str| {
        host(settings).person("106", [("crm_id", "77")]).install();
        let event = CallEvent { user: samples::extension(user, "Somebody"), ..ringing() };
        Template::transform(event, draft("https://crm.example"))
    };
    let Ok(callhook_plugin::Outcome::Send(found)) = body(&settings, "106") else { panic!() };
    assert_eq!(found[0].body, b"<77>");
    let Ok(callhook_plugin::Outcome::Send(unknown)) = body(&settings, "999") else { panic!() };
    assert_eq!(unknown[0].body, b"<>");
    let misspelt = [("body", "{{ user.number | directory('crm_di') }}")];
    let failure = format!("{:?}", body(&misspelt, "106").unwrap_err());
    assert!(failure.contains("no column `crm_di`; did you mean `crm_id`?"), "{failure}");
}

#[test]
fn what_is_not_known_is_nothing_null_or_false() {
    let event = samples::sparse(ended());
    assert_eq!(
        text("<{{ queue.name }}{{ caller_name | upper }}{{ did.name | default('-') }}>", &event),
        "<->"
    );
    assert_eq!(text("{{ 'yes' if queue else 'no' }}", &event), "no");
    let request =
        sent(&[("body", r#"["{{ queue.name }}", {{ queue }}, {{ caller_name }}]"#)], &event);
    assert_eq!(request.body, br#"["", null, null]"#);
}

#[test]
fn lists_are_json_or_are_walked_through() {
    let event = ended();
    let request = sent(&[("body", "{{ unanswered }}")], &event);
    let list: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(list[0]["name"], "Bob Marek");
    let numbers = "{% for p in unanswered %}{{ p.number }};{% endfor %}";
    assert_eq!(text(numbers, &event), "107;");
}
