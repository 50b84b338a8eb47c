//! The HTTP request on its way from a plugin to the wire.

use serde::{Deserialize, Serialize};

/// A request that a plugin returned, or the draft that it starts from. Credentials and the
/// host's own headers are not in it; delivery adds them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Absolute and already percent-encoded.
    pub url: String,
    /// Names and values in order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Empty means no body.
    #[serde(default)]
    pub body: Vec<u8>,
    /// Handed back to the plugin with the reply.
    #[serde(default)]
    pub tag: Option<String>,
    /// Handed back to the plugin with the reply, opaque.
    #[serde(default)]
    pub state: Vec<u8>,
    /// Milliseconds to wait before the first attempt.
    #[serde(default)]
    pub delay_ms: u32,
    /// Whether it is worth sending however late it is; where nothing is said, the kind of its
    /// event decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasting: Option<bool>,
}

impl Request {
    /// What the first plugin of a chain starts from.
    pub fn draft(url: &str) -> Self {
        Self { method: "GET".to_owned(), url: url.to_owned(), ..Self::default() }
    }
}
