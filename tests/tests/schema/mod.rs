//! Judges a body by the schema in a vendor's description of its interface: as much of the
//! schemas of `OpenAPI` as the descriptions of calls use. A word that is not known here fails the test.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Words that allow or forbid nothing.
const SILENT: [&str; 4] = ["description", "example", "title", "nullable"];

/// Holds that `value` is what the schema allows. `place` is for messages.
///
/// # Panics
///
/// If it is not.
pub(crate) fn judge(schema: &Value, place: &str, value: &Value) {
    let words = schema.as_object().unwrap_or_else(|| panic!("{place}: there is no schema"));
    for (word, rule) in words {
        let holds = match word.as_str() {
            "type" => is_of_type(value, rule.as_str().expect("a type")),
            "enum" => rule.as_array().expect("a list").contains(value),
            "format" => has_format(value, rule.as_str().expect("a format")),
            "required" => names(rule).all(|name| value.get(name).is_some()),
            "properties" => {
                judge_members(rule.as_object().expect("members"), place, value);
                true
            }
            "additionalProperties" => {
                let listed = schema.get("properties").and_then(Value::as_object);
                let free = value.as_object().into_iter().flatten();
                let free =
                    free.filter(|(name, _)| !listed.is_some_and(|it| it.contains_key(*name)));
                free.for_each(|(name, member)| judge(rule, &format!("{place}.{name}"), member));
                true
            }
            "items" => {
                // What a reference leads to is not needed for lists that are empty.
                let items = value.as_array().into_iter().flatten();
                items.for_each(|item| judge(rule, &format!("{place}[]"), item));
                true
            }
            word => {
                assert!(SILENT.contains(&word), "{place}: {word} is not known here");
                true
            }
        };
        assert!(holds, "{place}: {word} {rule} does not allow {value}");
    }
}

fn judge_members(members: &Map<String, Value>, place: &str, value: &Value) {
    for (name, member) in value.as_object().into_iter().flatten() {
        if let Some(schema) = members.get(name) {
            judge(schema, &format!("{place}.{name}"), member);
        }
    }
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => panic!("{name} is no type"),
    }
}

fn has_format(value: &Value, name: &str) -> bool {
    let text = value.as_str().unwrap_or_default();
    match name {
        "date-time" => text.contains('T') && text.parse::<Timestamp>().is_ok(),
        _ => panic!("the format {name} is not known here"),
    }
}

/// What stands in a file of YAML under a key, given with its indentation: mappings and lists in
/// lines of their own, and scalars in one line. That is all that such descriptions use.
pub(crate) fn of_yaml(text: &str, key: &str) -> Value {
    let mut lines = text.lines().skip_while(|line| *line != key);
    let depth = indent(lines.next().expect("the key"));
    let below: Vec<&str> = lines
        .filter(|line| !line.trim().is_empty())
        .take_while(|line| indent(line) > depth)
        .collect();
    node(&below)
}

fn node(lines: &[&str]) -> Value {
    let Some(depth) = lines.first().map(|line| indent(line)) else { return Value::Null };
    let starts: Vec<usize> = (0..lines.len()).filter(|&at| indent(lines[at]) == depth).collect();
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    let parts = starts.iter().zip(ends).map(|(&start, end)| &lines[start..end]);
    if lines[0].trim_start().starts_with("- ") {
        return parts.map(|part| scalar(part[0].trim_start_matches([' ', '-']))).collect();
    }
    let member = |part: &[&str]| {
        let (name, rest) = part[0].trim().split_once(':')?;
        let value = if rest.trim().is_empty() { node(&part[1..]) } else { scalar(rest.trim()) };
        Some((name.trim_matches(['\'', '"']).to_owned(), value))
    };
    Value::Object(parts.filter_map(member).collect())
}

fn scalar(text: &str) -> Value {
    Value::from(text.trim_matches(['\'', '"']))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
