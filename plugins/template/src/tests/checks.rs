//! What `callhook check` says of templates.

use callhook_plugin::Plugin;

use super::{Template, host};

/// All problems with these settings, a line each.
fn told(settings: &[(&str, &str)]) -> Vec<String> {
    host(settings).install();
    Template::check().into_iter().map(|it| format!("{}: {}", it.setting, it.message)).collect()
}

#[test]
fn a_slip_is_told_with_its_place_and_what_was_probably_meant() {
    for (setting, template, expected) in [
        ("body", "{{ caler_id }}", "column 4: there is no `caler_id`; did you mean `caller_id`?"),
        (
            "end.body",
            "{\n \"a\": {{ user.nmae }}\n}",
            "line 2, column 15: there is no `user.nmae`; did you mean `name`?",
        ),
        (
            "body",
            "{{ caller_id | e146 }}",
            "column 16: there is no filter `e146`; did you mean `e164`?",
        ),
        (
            "header.X-A",
            "{% if event == 'end' %}{{ id | uper }}{% endif %}",
            "column 32: there is no filter `uper`; did you mean `upper`?",
        ),
        (
            "when",
            "directoin == 'incoming'",
            "column 1: there is no `directoin`; did you mean `direction`?",
        ),
        ("when", "id }} or user", "column 4: an expression stands without braces around it"),
        ("when", "a)(}}x", "column 4: an expression stands without braces around it"),
        (
            "body",
            "{{ {'a': {'b': caler_id}} | tojson }}",
            "column 16: there is no `caler_id`; did you mean `caller_id`?",
        ),
        ("heade.X-A", "1", "unknown setting; did you mean `header.X-A`?"),
        ("end.bdy", "1", "unknown setting; did you mean `end.body`?"),
        ("header.Host", "1", "this header is set by callhook itself"),
        ("header.webhook-id", "1", "this header is set by callhook itself"),
        ("header.content-type", "1", "use `content_type`, which also says how values are escaped"),
        ("header.a b", "1", "this is no name of a header"),
        ("header.", "1", "a name is missing behind the dot"),
        ("country", "CZ", "expected digits, such as 420"),
    ] {
        let problems = told(&[(setting, template), ("query.x", "1")]);
        assert_eq!(problems, [format!("{setting}: {expected}")]);
    }
}

#[test]
fn broken_templates_are_told_with_their_place() {
    for (template, start) in [
        ("{\n{{ id }", "body: line 2, column "),
        ("{% if id %}", "body: column "),
        ("{% fi id %}", "body: column "),
        ("{{ id | }}", "body: column "),
    ] {
        let problems = told(&[("body", template)]);
        assert!(problems.len() == 1 && problems[0].starts_with(start), "{problems:?}");
        assert!(problems[0].contains("syntax error: "), "{problems:?}");
    }
}

#[test]
fn what_does_not_come_out_as_json_is_told_without_the_values_in_it() {
    assert_eq!(
        told(&[("body", r#"{"from": "{{ caller_id }}" "to": 1}"#)]),
        [
            r#"body: what comes out is not JSON: expected `,` or `}`, behind `{"from": "…"` (tried with a sample of ringing)"#
        ]
    );
    let problems = told(&[("end.body", "{{ title }}, {{ title }}")]);
    assert_eq!(
        problems,
        [
            "end.body: what comes out is not JSON: trailing characters, behind `…` (tried with a sample of end)"
        ]
    );
    assert_eq!(
        told(&[("body", r#"{"token": "canary-of-the-template-0123", "n": oops }"#)]),
        [
            r#"body: what comes out is not JSON: expected value, behind `{"token": "…", "n":` (tried with a sample of ringing)"#
        ]
    );
    assert_eq!(
        told(&[("body", "{{ title }}, {{ title }}"), ("content_type", "text/plain")]),
        [""; 0]
    );
}

#[test]
fn a_name_within_a_loop_is_told_too() {
    let body = "[{% for p in unanswered %}{{ p.nubmer }}{% endfor %}]";
    let problems = told(&[("end.body", body)]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("there is no `nubmer`; did you mean `number`?"), "{problems:?}");
}

#[test]
fn what_fails_for_some_events_only_is_no_problem_and_what_always_fails_is_one() {
    assert_eq!(told(&[("body", "{{ talk_ms / 1000 }}")]), [""; 0]);
    let problems = told(&[("end.body", "{{ user / 1000 }}")]);
    assert!(problems[0].ends_with("(tried with a sample of end)"), "{problems:?}");
    let problems = told(&[("query.x", "{{ user }}")]);
    assert!(problems[0].contains("several values where one is wanted"), "{problems:?}");
}

#[test]
fn nothing_to_send_and_two_bodies_are_told() {
    assert_eq!(
        told(&[("when", "1")]),
        ["body: nothing says what to send: set `body`, or `query.NAME`, `form.NAME`, `url`"]
    );
    assert_eq!(
        told(&[("body", "1"), ("form.a", "1")]),
        ["body: there is a form as well; take one of them"]
    );
}

#[test]
fn every_filter_that_is_known_by_name_is_there() {
    for name in crate::filters::OWN.iter().chain(crate::filters::BUILT_IN) {
        let template = format!("{{{{ caller_id | {name} }}}}");
        let problems = told(&[("content_type", "text/plain"), ("body", &template)]);
        assert!(
            problems.iter().all(|it| !it.contains("no filter") && !it.contains("unknown filter")),
            "{name}: {problems:?}"
        );
    }
}

#[test]
fn every_variable_of_the_readme_is_there_and_every_one_is_in_the_readme() {
    let readme = include_str!("../../README.md");
    let table = readme.split("| variable | is |").nth(1).and_then(|rest| rest.split("\n\n").next());
    let first = |line: &str| line.split('|').nth(1).unwrap_or_default().to_owned();
    let cells: String = table.unwrap().lines().map(first).collect();
    let mut shown: Vec<_> = cells.split('`').skip(1).step_by(2).collect();
    let mut known = crate::context::NAMES.to_vec();
    shown.sort_unstable();
    known.sort_unstable();
    assert_eq!(shown, known);
}
