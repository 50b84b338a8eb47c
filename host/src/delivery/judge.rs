//! Replies that somebody else judges: the plugin that made the request.
//!
//! Delivery knows nothing of plugins. It hands over the reply, and with it what is left to be done
//! once the judgement is there; whoever judges settles the request, too, so that what follows from
//! the judgement is committed together with it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::endpoint::{Endpoint, Turn};
use super::exchange;
use super::failure::{Patience, SendFailure};
use super::outcome::Outcome;
use crate::outbox::{Claimed, Settlement};
use crate::reply::{Judgement, Reply};

/// Judges replies.
pub trait Judge: Send + Sync {
    /// Whether it wants the replies of this endpoint.
    fn wants(&self, endpoint: &str) -> bool;

    /// Judges a reply and settles its request. Resolves when that is on disk; fails if it never
    /// will be, and then the request is sent again some time.
    fn judge(&self, case: Case) -> BoxFuture<'_, anyhow::Result<()>>;
}

/// A reply to be judged.
pub struct Case {
    /// The endpoint's name.
    pub endpoint: String,
    /// The request, as it was sent.
    pub claimed: Claimed,
    /// What was answered.
    pub reply: Reply,
    /// What becomes of the request, by the judgement or, without one, by the HTTP status.
    pub conclude: Conclude,
}

/// Learns from a judgement, and says what becomes of the request.
pub type Conclude = Box<dyn FnOnce(Option<&Judgement>) -> Settlement + Send>;

/// The reply that is to be judged, if there is one. What says that nobody is let in, or that there
/// is nobody, is no answer to the request.
pub(super) fn reply_of(outcome: &Outcome) -> Option<&exchange::Reply> {
    let patience = outcome.failure.as_ref().map(SendFailure::patience);
    let shut = matches!(patience, Some(Patience::Shut | Patience::Gone));
    outcome.reply.as_ref().filter(|_| !shut)
}

impl Endpoint {
    /// What somebody else is to judge.
    pub(super) fn case(
        self: &Arc<Self>,
        claimed: &Claimed,
        reply: Reply,
        outcome: Outcome,
        turn: Turn,
    ) -> Case {
        let (endpoint, request) = (Arc::clone(self), claimed.clone());
        let conclude = move |judgement: Option<&Judgement>| {
            endpoint.conclude(&request, outcome, turn, judgement)
        };
        Case {
            endpoint: self.settings.name.clone(),
            claimed: claimed.clone(),
            reply,
            conclude: Box::new(conclude),
        }
    }
}

impl From<&exchange::Reply> for Reply {
    fn from(reply: &exchange::Reply) -> Self {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = reply.headers.iter();
        Self {
            status: reply.status.as_u16(),
            headers: headers
                .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
                .collect(),
            body: reply.body.clone(),
            truncated: reply.truncated,
        }
    }
}
