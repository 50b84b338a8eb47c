//! Keeps settings that a plugin declared secret out of what people read, and keeps what a plugin
//! says in one line of bounded length.

/// Values that must not appear in a log line or in the message of a failure.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

/// Shorter values are not hidden: they would turn up inside ordinary words.
const SHORTEST: usize = 4;

/// What stands in the place of a secret.
const MASK: &str = "***";

impl Secrets {
    /// These values.
    pub(super) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<_> =
            values.into_iter().filter(|value| value.len() >= SHORTEST).collect();
        // A secret that contains another one has to go first.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values)
    }

    /// `text` without them.
    pub(super) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values", self.0.len())
    }
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
        let secrets = Secrets::new(["abcd".to_owned(), "abcdef".to_owned(), "no".to_owned()]);
        assert_eq!(secrets.hide("key abcdef, no abcd"), "key ***, no ***");
        assert_eq!(format!("{secrets:?}"), "2 values");
    }

    #[test]
    fn what_a_plugin_says_stays_in_one_line() {
        assert_eq!(one_line(" a\nb\u{1b}[31m\n", 100), "a b [31m");
        assert_eq!(one_line("kůň", 3), "ků…");
        assert_eq!(one_line("kůň", 2), "k…");
    }
}
