//! Keeps secrets out of what people read of a plugin, and keeps what a plugin says in one line of
//! bounded length.
//!
//! A plugin says what it likes, and may cut a secret to pieces before it does. So a secret is
//! hidden as a whole, in the spellings in which it travels, and any longer part of it.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::redact::holds_a_key;

/// Values that must not appear in a log line or in the message of a failure.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    /// Each in all its spellings.
    whole: BTreeSet<String>,
    /// What they are hidden by where only a part of one appears.
    parts: BTreeSet<[u8; PART]>,
}

/// Shorter values are not hidden: they would turn up inside ordinary words.
const SHORTEST: usize = 4;

/// So many bytes in a row that stand in a secret are hidden wherever they are.
const PART: usize = 8;

/// What stands in the place of a secret.
const MASK: &str = "***";

/// What most encoders leave as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Secrets {
    /// These values.
    pub(super) fn new<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut secrets = Self::default();
        for value in values.into_iter().filter(|value| value.len() >= SHORTEST) {
            secrets.whole.extend(spellings(value));
            for word in telling_words(value).flat_map(spellings) {
                let parts = word.as_bytes().windows(PART);
                secrets.parts.extend(parts.filter_map(|part| <[u8; PART]>::try_from(part).ok()));
            }
        }
        secrets
    }

    /// `text` without them.
    pub(super) fn hide(&self, text: &str) -> String {
        if self.whole.is_empty() {
            return text.to_owned();
        }
        let secret = self.found(text);
        let mut shown = String::with_capacity(text.len());
        let mut within = false;
        for (start, character) in text.char_indices() {
            let bytes = secret.get(start..start + character.len_utf8());
            let hidden = bytes.is_some_and(|bytes| bytes.contains(&true));
            if !hidden {
                shown.push(character);
            } else if !within {
                shown.push_str(MASK);
            }
            within = hidden;
        }
        shown
    }

    /// Of each byte of `text`, whether it belongs to a secret.
    fn found(&self, text: &str) -> Vec<bool> {
        let mut secret = vec![false; text.len()];
        let mut mark = |start: usize, length: usize| {
            if let Some(bytes) = secret.get_mut(start..start + length) {
                bytes.fill(true);
            }
        };
        for value in &self.whole {
            text.match_indices(value.as_str()).for_each(|(start, _)| mark(start, value.len()));
        }
        for (start, part) in text.as_bytes().windows(PART).enumerate() {
            if self.parts.contains(part) {
                mark(start, PART);
            }
        }
        secret
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values", self.whole.len())
    }
}

/// A secret as it is, and, where that is different, as it stands in a URL, in a form and in JSON.
pub fn spellings(value: &str) -> Vec<String> {
    let json = serde_json::Value::from(value).to_string();
    let encoded = [
        utf8_percent_encode(value, UNRESERVED).to_string(),
        utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
        url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
        json.get(1..json.len() - 1).unwrap_or_default().to_owned(),
    ];
    let mut spellings = vec![value.to_owned()];
    for text in encoded {
        if !spellings.contains(&text) {
            spellings.push(text);
        }
    }
    spellings
}

/// The words of a secret of which a part is to be recognised. What has several words may be a
/// template that comes from a file: of such a text only what looks like a key is none of the
/// plugin's own vocabulary.
fn telling_words(value: &str) -> impl Iterator<Item = &str> {
    let one_word = !value.contains(char::is_whitespace);
    value.split_whitespace().filter(move |word| one_word || holds_a_key(word))
}

/// `text` in one line of at most `limit` bytes: control characters become spaces, and an ellipsis
/// tells that something is missing.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for character in text.trim().chars() {
        if line.len() + character.len_utf8() > limit {
            line.push('…');
            break;
        }
        line.push(if character.is_control() { ' ' } else { character });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_longest_first_and_short_values_stay() {
        let secrets = Secrets::new(["abcd", "abcdef", "no"]);
        assert_eq!(secrets.hide("key abcdef, no abcd"), "key ***, no ***");
        assert_eq!(format!("{secrets:?}"), "2 values");
    }

    #[test]
    fn secrets_are_hidden_in_every_spelling_in_which_they_travel() {
        let secrets = Secrets::new(["a b\"c/é"]);
        let spelled = ["a b\"c/é", "a%20b%22c%2F%C3%A9", "a+b%22c%2F%C3%A9", "a b\\\"c/é"];
        for spelling in spelled {
            assert_eq!(secrets.hide(&format!("<{spelling}>")), "<***>");
        }
    }

    #[test]
    fn a_part_of_a_secret_is_hidden_too() {
        let secrets = Secrets::new(["canary-of-the-template"]);
        assert_eq!(secrets.hide("behind `-of-the-template\", \"n\":`"), "behind `***\", \"n\":`");
        assert_eq!(secrets.hide("canary-of-the-temp…"), "***…");
        assert_eq!(secrets.hide("a canary of the plugin"), "a canary of the plugin");
        let accented = Secrets::new(["kůňkůňkůň"]);
        assert_eq!(accented.hide("ůňkůňk"), "***");
    }

    #[test]
    fn a_template_that_comes_from_a_file_keeps_its_vocabulary_and_hides_its_keys() {
        let template = "{\n  \"tel\": \"{{ caller_id }}\",\n  \"token\": \"abc123DEF456ghi\"\n}";
        let secrets = Secrets::new([template]);
        assert_eq!(secrets.hide("there is no `caller_id`"), "there is no `caller_id`");
        assert_eq!(secrets.hide("behind `123DEF456ghi\"`"), "behind `***`");
        assert_eq!(secrets.hide(template), "***");
    }

    #[test]
    fn what_a_plugin_says_stays_in_one_line() {
        assert_eq!(one_line(" a\nb\u{1b}[31m\n", 100), "a b [31m");
        assert_eq!(one_line("kůň", 3), "ků…");
        assert_eq!(one_line("kůň", 2), "k…");
    }
}
