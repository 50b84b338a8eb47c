//! The outline of a piece of JSON: what there is, without what it says.

/// What stands in the place of what is left out.
const LEFT_OUT: char = '…';

/// Bytes of a word outside of strings that say nothing of anybody.
const SHORT: usize = 3;

/// The beginning of something that may be JSON, without what its strings hold and without long
/// words; the names of members stay.
pub(crate) fn outline(json: &str) -> String {
    let mut shown = String::new();
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let Some(end) = end_of_string(rest) else {
                shown.extend(['"', LEFT_OUT]);
                return shown;
            };
            let (string, behind) = rest.split_at(end);
            let is_name = behind.trim_start().starts_with(':');
            shown.push_str(if is_name || string == "\"\"" { string } else { "\"…\"" });
            rest = behind;
        } else if is_part_of_word(first) {
            let end = rest.find(|c| !is_part_of_word(c)).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            if word.len() <= SHORT || matches!(word, "true" | "false" | "null") {
                shown.push_str(word);
            } else {
                shown.push(LEFT_OUT);
            }
            rest = behind;
        } else {
            shown.push(first);
            rest = rest.strip_prefix(first).unwrap_or_default();
        }
    }
    shown
}

fn is_part_of_word(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '{' | '}' | '[' | ']' | ',' | ':' | '"' | LEFT_OUT)
}

/// Where the string ends with which the text begins; none if it does not.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::outline;

    #[test]
    fn strings_and_long_words_are_left_out_and_names_stay() {
        for (json, shown) in [
            (r#"{"token": "secret", "n":"#, r#"{"token": "…", "n":"#),
            (r#"{"a" : "say \"b\": c", "d": """#, r#"{"a" : "…", "d": """#),
            ("[true, null, 12, 123456, secret:", "[true, null, 12, …, …:"),
            (r#"{"a": "not closed"#, r#"{"a": "…"#),
            (r#"{"a": "ends in a \""#, r#"{"a": "…"#),
            (r#"{"a": …, "b": "…""#, r#"{"a": …, "b": "…""#),
            ("", ""),
        ] {
            assert_eq!(outline(json), shown, "{json}");
        }
    }
}
