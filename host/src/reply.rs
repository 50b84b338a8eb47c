//! What an endpoint answered, and what that means to a plugin.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Names and values in order; what is no text in a value is replaced.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The beginning of the body.
    #[serde(default)]
    pub body: Vec<u8>,
    /// There was more than `body`.
    #[serde(default)]
    pub truncated: bool,
}

/// What a plugin makes of a reply. It outranks the HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The request did what it should.
    Done,
    /// The endpoint wants it later.
    Retry {
        /// Not before this time; without one, as the endpoint's schedule says.
        after: Option<Duration>,
        /// Why, in one line.
        reason: String,
    },
    /// It will never work, for this reason.
    GiveUp(String),
}

impl Judgement {
    /// As the WIT package calls it, for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry { .. } => "retry",
            Self::GiveUp(_) => "give-up",
        }
    }
}
