//! A call of a plugin with what the endpoint answered.

use std::time::Duration;

use super::bindings::{reply, types};
use super::call::{Fault, Plugin, with_hints};
use super::failure::{FailureKind, PluginFailure, own_words};
use super::memory::Memory;
use super::output;
use super::redact::one_line;
use super::store::State;
use crate::event::CallEvent;
use crate::reply::{Judgement, Reply};
use crate::request::Request;

/// Bytes that are kept of a plugin's reasons.
const MAX_REASON: usize = 1_024;

/// A request that a plugin made, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// As the plugin made it, with its tag and state.
    pub request: Request,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The answer.
    pub reply: Reply,
}

/// What a plugin makes of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of the request.
    pub judgement: Judgement,
    /// What is to be sent next, in this order. Checked: every one of them can be sent. There are
    /// none if the request itself comes again.
    pub follow_ups: Vec<Request>,
}

impl Plugin {
    /// Whether it wants to know what its requests are answered.
    pub fn replies(&self) -> bool {
        self.callable.replies.is_some()
    }

    /// Lets the plugin judge what one of its requests was answered. `hints` are those of
    /// [`Self::transform_with`]; the plugin finds them in the request's `extra`.
    ///
    /// Blocks as [`Self::transform`] does.
    pub fn on_reply(
        &self,
        hints: &[(&str, &str)],
        event: &CallEvent,
        exchange: &Exchange,
        memory: &mut Memory,
    ) -> Result<Verdict, PluginFailure> {
        let given = types::CallEvent::from(event);
        let exchange = reply::Exchange::from(exchange);
        let request = with_hints(exchange.request, hints);
        let exchange = reply::Exchange { request, ..exchange };
        let callable = &self.callable;
        self.unless_overdrawn(|| {
            callable.call_with(
                &event.event_id,
                memory,
                |store| callable.judge(store, &given, &exchange),
                verdict,
            )
        })
    }
}

/// What the plugin returned, checked.
fn verdict(
    state: &State,
    returned: Result<reply::Verdict, types::Failure>,
) -> Result<Verdict, Fault> {
    let reply::Verdict { judgement, follow_up } =
        returned.map_err(|failure| own_words(state, &failure))?;
    let reason = |text: &str| one_line(&state.environment.secrets.hide(text), MAX_REASON);
    let judgement = match judgement {
        reply::Judgement::Done => Judgement::Done,
        reply::Judgement::Retry(retry) => Judgement::Retry {
            after: retry.after_ms.map(|after| Duration::from_millis(u64::from(after))),
            reason: reason(&retry.reason),
        },
        reply::Judgement::GiveUp(why) => Judgement::GiveUp(reason(&why)),
    };
    if matches!(judgement, Judgement::Retry { .. }) && !follow_up.is_empty() {
        let message = "returned follow-ups together with `retry`; return them when the request \
                       is done or given up";
        return Err((FailureKind::BadVerdict, message.to_owned()));
    }
    let follow_ups = output::check(follow_up.into_iter().map(Into::into).collect())?;
    Ok(Verdict { judgement, follow_ups })
}
