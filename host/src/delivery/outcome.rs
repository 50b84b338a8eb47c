//! What an attempt brought, and what that says.

use std::time::Duration;

use super::breaker::Sign;
use super::exchange::Reply;
use super::failure::SendFailure;
use super::gate::Lesson;
use super::verdict;
use crate::clock::Moment;
use crate::outbox::Attempt;

/// What an attempt brought.
pub(super) struct Outcome {
    /// It was the endpoint's own host that it went to, and not one of `allow_hosts`.
    pub(super) own: bool,
    pub(super) reply: Option<Reply>,
    pub(super) failure: Option<SendFailure>,
    pub(super) began: Moment,
    pub(super) ended: Moment,
}

impl Outcome {
    /// What it says of the endpoint: nothing, if it came from another host. The reply asked to wait
    /// for so long, if it did.
    pub(super) fn lesson(&self, asked: Option<Duration>, probe: bool) -> Lesson {
        let took = self.ended.since(self.began);
        if !self.own {
            return Lesson { sign: None, took, pushed_back: false, quiet: None, probe };
        }
        let failure = self.failure.as_ref();
        let sign = failure.map_or(Some(Sign::Good), SendFailure::sign);
        let reply = self.reply.as_ref().filter(|_| failure.is_some());
        let throttled = reply.is_some_and(|reply| verdict::concerns_all(reply.status));
        let pushed_back = failure.is_some_and(SendFailure::is_push_back);
        Lesson { sign, took, pushed_back, quiet: asked.filter(|_| throttled), probe }
    }

    /// As it is kept.
    pub(super) fn record(self) -> Attempt {
        let Self { own: _, reply, failure, began, ended } = self;
        let (status, reply, truncated) = match reply {
            Some(reply) => (Some(reply.status.as_u16()), reply.body, reply.truncated),
            None => (None, Vec::new(), false),
        };
        let error = failure.map(|failure| failure.to_string());
        Attempt { at: began.wall, took: ended.since(began), status, error, reply, truncated }
    }
}
