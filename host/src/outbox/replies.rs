//! What goes into the outbox when a plugin has judged a reply, and what plugins keep meanwhile.

use std::time::Duration;

use super::{Class, Settlement};
use crate::reply::{Judgement, Reply};
use crate::request::Request;

/// Whose memory it is: that of one plugin, for one chain of calls, at one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemoryScope {
    /// The name of the PBX.
    pub pbx: String,
    /// The chain of calls.
    pub chain: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The plugin's name.
    pub plugin: String,
}

/// Something that a plugin keeps from now on, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryChange {
    /// Whose memory it is.
    pub scope: MemoryScope,
    /// Under which key.
    pub key: String,
    /// What; nothing if it is forgotten.
    pub value: Option<Vec<u8>>,
}

/// All that follows from a reply that a plugin was asked about: durable together or not at all.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What becomes of the request.
    pub settlement: Settlement,
    /// What is sent next in its lane, in this order, if the request is finished by this.
    pub follow_ups: Vec<FollowUp>,
    /// What the plugins keep.
    pub memory: Vec<MemoryChange>,
    /// The plugin failed, so it was not the plugin that judged.
    pub failure: Option<FailedReply>,
}

/// A request that follows from the reply to another one. It takes the other one's place in the
/// lane, and has its event, endpoint and sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowUp {
    /// How long it is worth sending, from now; for ever without, and for what a replay made.
    pub expires_in: Option<Duration>,
    /// What it gives way to when the disk is full.
    pub class: Class,
    /// The endpoint's `url`.
    pub base: String,
    /// What to send.
    pub request: Request,
}

/// A reply that a plugin could not judge: a dead letter beside the request, which was settled
/// without the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedReply {
    /// The request's id.
    pub request: String,
    /// The event that it was made of.
    pub event_id: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The plugin that failed.
    pub plugin: String,
    /// The kind of failure.
    pub kind: String,
    /// What the plugin, or the host about the plugin, said.
    pub message: String,
    /// What helps the plugin's author.
    pub details: String,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// What was answered.
    pub reply: Reply,
}

/// All that follows from a reply that was judged long after it came.
#[derive(Clone, Debug)]
pub struct Rejudged {
    /// The request's id.
    pub request: String,
    /// What becomes of it.
    pub judgement: Judgement,
    /// What is sent next in its lane, in this order.
    pub follow_ups: Vec<FollowUp>,
    /// What the plugins keep.
    pub memory: Vec<MemoryChange>,
}

impl FailedReply {
    /// The id of this dead letter, e.g. `pbx-210701165649_698-3:crm:0/reply`.
    pub fn id(&self) -> String {
        failed_reply_id(&self.request)
    }
}

/// The id of the follow-up number `number` (from 1) of a request, e.g.
/// `pbx-210701165649_698-3:crm:0/1`.
pub fn follow_up_id(parent: &str, number: u64) -> String {
    format!("{parent}/{number}")
}

/// The id of the request that this one follows from, if it follows from one.
pub fn parent_id(id: &str) -> Option<&str> {
    id.rsplit_once('/').map(|(parent, _)| parent)
}

/// So many requests lead to the one with this id, one following from the other.
pub fn depth(id: &str) -> u32 {
    u32::try_from(id.matches('/').count()).unwrap_or(u32::MAX)
}

/// The id of the dead letter that says that a reply to this request could not be judged.
pub(super) fn failed_reply_id(request: &str) -> String {
    format!("{request}/reply")
}

/// The request that such an id names.
pub(super) fn failed_reply_of(id: &str) -> Option<&str> {
    id.strip_suffix("/reply")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follow_ups_id_names_what_it_follows_from() {
        let first = "a%2Fb:crm:0:2";
        assert_eq!((parent_id(first), depth(first)), (None, 0));
        let second = follow_up_id(&follow_up_id(first, 3), 1);
        assert_eq!(second, "a%2Fb:crm:0:2/3/1");
        assert_eq!((parent_id(&second), depth(&second)), (Some("a%2Fb:crm:0:2/3"), 2));
        assert_eq!(failed_reply_of(&failed_reply_id(&second)), Some(second.as_str()));
    }
}
