//! Whatever is in a value, it does not leave the place where it stands.

use callhook_plugin::{CallEvent, Failure, Plugin, testing::draft};
use proptest::prelude::*;
use serde_json::Value;

use super::{Template, URL, host, ringing, sent};

/// Text that is meant to break out, with anything around it.
fn hostile() -> impl Strategy<Value = String> {
    let evil = prop::sample::select(vec![
        "\"",
        "\\",
        "\\\"",
        "\"}",
        "}}",
        "{{",
        "{{ 7*7 }}",
        "{% raw %}",
        "\r\nHost: evil",
        "\n",
        "\0",
        "&admin=1",
        "#",
        "?",
        "/../..",
        "%00",
        "+",
        " ",
        "</x>",
        "]]>",
        "'",
        "\u{2028}",
        "ů",
        "📞",
    ]);
    prop::collection::vec(prop_oneof![evil.prop_map(str::to_owned), any::<String>()], 0..5)
        .prop_map(|parts| parts.concat())
}

fn from(caller: &str) -> CallEvent {
    CallEvent { caller_id: caller.to_owned(), caller_name: Some(caller.to_owned()), ..ringing() }
}

proptest! {
    #[test]
    fn json_parses_back_to_the_value(caller in hostile()) {
        let body = r#"{"a": "<{{ caller_id }}>", "b": {{ caller_name }}, "c": ["{{ caller_name }}"]}"#;
        let request = sent(&[("body", body)], &from(&caller));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        prop_assert_eq!(body, serde_json::json!({
            "a": format!("<{caller}>"), "b": caller.clone(), "c": [caller],
        }));
    }

    #[test]
    fn an_address_parses_back_to_the_value(caller in hostile()) {
        let settings = [
            ("url", "https://crm.example/a/x{{ caller_id }}/c?d={{ caller_id }}&e=1"),
            ("query.f", "{{ caller_id }}"),
        ];
        let url = url::Url::parse(&sent(&settings, &from(&caller)).url).unwrap();
        let pairs: Vec<_> = url.query_pairs().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut expected = vec![pair("d", &caller), pair("e", "1")];
        if !caller.is_empty() {
            expected.push(pair("f", &caller));
        }
        prop_assert_eq!(pairs, expected);
        prop_assert_eq!(url.host_str(), Some("crm.example"));
        prop_assert_eq!(url.path_segments().unwrap().count(), 3);
        prop_assert_eq!(url.fragment(), None);
    }

    #[test]
    fn a_form_parses_back_to_the_value(caller in hostile()) {
        let expected = vec![("a".to_owned(), caller.clone()), ("b".to_owned(), "1".to_owned())];
        let body = "a={{ caller_id }}&\n  b=1";
        let form = "application/x-www-form-urlencoded";
        let request = sent(&[("content_type", form), ("body", body)], &from(&caller));
        let pairs = |body: &[u8]| -> Vec<(String, String)> {
            url::form_urlencoded::parse(body).into_owned().collect()
        };
        prop_assert_eq!(pairs(&request.body), expected.clone());
        let request = sent(&[("form.a", "-{{ caller_id }}"), ("form.b", "1")], &from(&caller));
        prop_assert_eq!(&pairs(&request.body)[0].1, &format!("-{caller}"));
        prop_assert_eq!(pairs(&request.body).len(), 2);
    }

    #[test]
    fn a_header_is_one_line_of_ascii(caller in hostile()) {
        let request = sent(&[("header.X-From", "from {{ caller_id }}"), ("body", "1")], &from(&caller));
        let value = &request.headers.iter().find(|it| it.name == "X-From").unwrap().value;
        prop_assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{value:?}");
        prop_assert_eq!(request.headers.len(), 2);
    }

    #[test]
    fn xml_has_no_more_tags_than_the_template(caller in hostile()) {
        let body = "<a b=\"{{ caller_id }}\">{{ caller_id }}</a>";
        let request = sent(&[("content_type", "text/xml"), ("body", body)], &from(&caller));
        let text = String::from_utf8(request.body).unwrap();
        prop_assert_eq!(text.matches('<').count(), 2);
        prop_assert_eq!(text.matches('>').count(), 2);
        prop_assert_eq!(text.matches('"').count(), 2);
    }

    #[test]
    fn no_template_and_no_event_makes_the_plugin_panic(template in "[{}()%\"'a-z|.# -]{0,40}", caller in hostile()) {
        host(&[("body", &template), ("url", &template), ("when", &template)]).install();
        let _checked = Template::check();
        let _made = Template::transform(from(&caller), draft(URL));
    }
}

#[test]
fn what_a_block_has_collected_is_escaped_where_it_is_used() {
    let body = r#"{% set x %}{{ caller_id }}"{% endset %}{"a": "{{ x }}", "b": {{ x | length }}}"#;
    let request = sent(&[("body", body)], &from("\"1"));
    assert_eq!(request.body, br#"{"a": "\"1\"", "b": 3}"#);
}

#[test]
fn a_value_is_no_way_out_of_a_path() {
    host(&[("url", "https://crm.example/users/{{ caller_id }}/delete")]).install();
    let failure = Template::transform(from(".."), draft(URL)).unwrap_err();
    let Failure::BadMapping(message) = failure else { panic!("{failure:?}") };
    assert_eq!(
        message,
        "`url`: a part of the path comes out as `.` or `..`, which leads elsewhere (event ringing)"
    );
}

#[test]
fn an_address_may_be_written_on_several_lines_and_a_header_too() {
    let request = sent(
        &[
            ("url", "\n  {{ url }}\n  &from={{ caller_id }}\n  &text=a b ů\n"),
            ("header.X-A", " a\n  b "),
        ],
        &from("1 2"),
    );
    assert_eq!(request.url, format!("{URL}&from=1%202&text=a%20b%20%C5%AF"));
    assert_eq!(request.headers[0].value, "a b");
}

#[test]
fn safe_is_the_authors_word_in_an_address_and_counts_for_nothing_in_json() {
    let request = sent(&[("url", "https://crm.example/{{ 'a/b' | safe }}")], &ringing());
    assert_eq!(request.url, "https://crm.example/a/b");
    let request =
        sent(&[("body", r#"["{{ caller_id | safe }}", {{ caller_id | safe }}]"#)], &from("\""));
    assert_eq!(request.body, br#"["\"", "\""]"#);
}

#[test]
fn a_value_behind_a_backslash_is_refused() {
    host(&[("body", r#""\{{ caller_id }}""#)]).install();
    let failure = Template::transform(from("\" + 1"), draft(URL)).unwrap_err();
    assert!(
        format!("{failure:?}").contains("a value cannot stand behind a backslash"),
        "{failure:?}"
    );
}
