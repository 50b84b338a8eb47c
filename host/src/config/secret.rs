//! A text that is never printed.

use std::fmt;

/// A password, a key or a token. Its `Debug` form is `***`, and it has no `Display`; whoever
/// needs the text has to ask for it by name, which is easy to find in a review.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being printed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether a key is named as secrets usually are. The host does not know a plugin's settings.
pub(super) fn sounds_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["secret", "token", "password", "key", "auth_value"].iter().any(|word| key.ends_with(word))
}
