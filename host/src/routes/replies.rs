//! What the plugins of an endpoint make of a reply.
//!
//! In a chain `a, b, c` the last plugin that exports `reply` judges, for it is the nearest to what
//! was sent. What it wants to send next are drafts for the plugins behind it.

use super::{Learnt, Memories, Route, Walk};
use crate::event::CallEvent;
use crate::plugins::{Exchange, FailureKind, Plugin, PluginFailure};
use crate::reply::Judgement;
use crate::request::Request;

/// So many requests follow on one another at most: meant to stop plugins that ask for ever. The
/// longest chain that a CRM is known to need has five.
pub const MAX_GENERATIONS: u32 = 16;

/// What became of a reply.
#[derive(Debug)]
pub struct Judged {
    /// What becomes of the request.
    pub judgement: Judgement,
    /// What to send next, in order.
    pub follow_ups: Vec<Request>,
    /// What the plugins keep.
    pub learnt: Vec<Learnt>,
}

impl Route {
    /// The place in the chain of the plugin that judges replies, if there is one.
    fn judge(&self) -> Option<usize> {
        self.chain.iter().rposition(|plugin| plugin.replies())
    }

    /// Whether one of the plugins judges replies.
    pub fn judges(&self) -> bool {
        self.judge().is_some()
    }
}

/// Lets the plugins of `route` judge what a request for `event` was answered, which follows from
/// `depth` others. `None` if none of them judges.
pub fn judge(
    route: &Route,
    event: &CallEvent,
    exchange: &Exchange,
    depth: u32,
    memories: &mut dyn Memories,
) -> Option<Result<Judged, PluginFailure>> {
    let (_, behind) = route.chain.split_at_checked(route.judge()?)?;
    let (plugin, rest) = behind.split_first()?;
    let mut walk = Walk { route, event, memories, learnt: Vec::new() };
    let judged = walk.judge(plugin, exchange, depth).and_then(|(judgement, drafts)| {
        let follow_ups = walk.transform(rest, drafts)?;
        Ok((judgement, follow_ups))
    });
    let learnt = walk.learnt;
    Some(judged.map(|(judgement, follow_ups)| Judged { judgement, follow_ups, learnt }))
}

impl Walk<'_> {
    fn judge(
        &mut self,
        plugin: &Plugin,
        exchange: &Exchange,
        depth: u32,
    ) -> Result<(Judgement, Vec<Request>), PluginFailure> {
        let mut memory = self.recall(plugin)?;
        let verdict = plugin.on_reply(&self.hints(), self.event, exchange, &mut memory)?;
        if !verdict.follow_ups.is_empty() && depth >= MAX_GENERATIONS {
            let message = format!(
                "returned follow-ups without end: {MAX_GENERATIONS} requests lead to this one \
                 already; look for a reply after which it should stop asking"
            );
            let limit = MAX_GENERATIONS;
            return Err(plugin.not_called(FailureKind::EndlessFollowUps { limit }, &message));
        }
        self.learn(plugin, memory);
        Ok((verdict.judgement, verdict.follow_ups))
    }
}
