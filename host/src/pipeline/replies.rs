//! Replies that plugins judge, between two notices.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;

use super::memories::Known;
use super::{Pipeline, Unsaved, class, is_popup};
use crate::event::CallEvent;
use crate::outbox::{
    self, Claimed, FailedReply, FollowUp, Judged, MemoryChange, Receipt, Rejudged, Scan, Settlement,
};
use crate::plugins::{Exchange, PluginFailure};
use crate::redact;
use crate::reply::{Judgement, Reply};
use crate::request::Request;
use crate::routes::{self, Route};

/// The endpoints that have a plugin which judges replies, as today's settings say.
#[derive(Debug)]
pub(crate) struct Judging(RwLock<HashSet<String>>);

/// A reply to be judged.
pub(crate) struct Replied {
    /// The endpoint's name.
    pub(crate) endpoint: String,
    /// The request, as it was sent.
    pub(crate) claimed: Claimed,
    /// What was answered.
    pub(crate) reply: Reply,
}

/// What the plugins make of a reply.
struct Answer {
    judgement: Judgement,
    follow_ups: Vec<FollowUp>,
    memory: Vec<MemoryChange>,
}

/// A request that is being settled.
#[must_use = "until it is confirmed, nothing is known to be on disk"]
pub(crate) struct Settled {
    receipt: Receipt,
    /// Tells what plugins keep that it is on disk.
    saved: Arc<AtomicBool>,
}

impl Judging {
    /// Those of these routes.
    pub(crate) fn new(routes: &[Route]) -> Self {
        let judging = Self(RwLock::default());
        judging.renew(routes);
        judging
    }

    /// Whether this endpoint has one.
    pub(crate) fn has(&self, endpoint: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(endpoint)
    }

    /// From now on it is as these routes say.
    pub(super) fn renew(&self, routes: &[Route]) {
        let judges = routes.iter().filter(|route| route.judges());
        let names = judges.map(|route| route.endpoint.name.clone()).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = names;
    }
}

impl Pipeline {
    /// Lets the endpoint's plugins judge a reply; `conclude` says what becomes of the request by
    /// that, or by the HTTP status where there is no judgement. All that follows is one commit.
    ///
    /// A plugin that fails here is never the reason to send the request again: that may have done
    /// what it should.
    pub(crate) fn judge(
        &mut self,
        replied: Replied,
        conclude: impl FnOnce(Option<&Judgement>) -> Settlement,
    ) -> Settled {
        failpoint!("reply-taken");
        let Replied { endpoint, claimed, reply } = replied;
        let attempt = claimed.attempts.saturating_add(1);
        let exchange = Exchange { request: claimed.request.clone(), attempt, reply };
        let Some(answer) = self.ask(&endpoint, &claimed, &exchange) else {
            let receipt = self.outbox.settle(&claimed, conclude(None));
            return Settled { receipt, saved: Arc::default() };
        };
        failpoint!("reply-judged");
        let judged = match answer {
            Ok(Answer { judgement, follow_ups, memory }) => {
                self.metrics.reply(&endpoint, judgement.name());
                let settlement = conclude(Some(&judgement));
                Judged { settlement, follow_ups, memory, failure: None }
            }
            Err(failure) => {
                self.metrics.reply(&endpoint, "failed");
                self.metrics.plugin_failure(failure.kind.name());
                let settlement = conclude(None);
                if let Some(more) = self.news("reply", &endpoint, &failure) {
                    tell(&endpoint, &claimed.id, &failure, more);
                }
                let failure = Some(dead_letter(endpoint, &claimed, exchange, &failure));
                Judged { settlement, follow_ups: Vec::new(), memory: Vec::new(), failure }
            }
        };
        failpoint!("reply-before-settle");
        let receipt = self.outbox.settle_judged(&claimed, judged);
        failpoint!("reply-queued");
        Settled { receipt, saved: self.unsaved.settling() }
    }

    /// Asks the plugins, with the event that the request was made of. Nothing if none of them
    /// judges, or if there is no event to judge by.
    fn ask(
        &mut self,
        endpoint: &str,
        claimed: &Claimed,
        exchange: &Exchange,
    ) -> Option<Result<Answer, PluginFailure>> {
        let route = self.routes.iter().find(|route| route.endpoint.name == endpoint)?;
        let known = Known { unsaved: &mut self.unsaved, scan: &*self.outbox };
        match ask(route, &claimed.id, &claimed.event_id, exchange, known) {
            Ok(answer) => answer,
            Err(error) => {
                let (request, error) = (&claimed.id, format!("{error:#}"));
                tracing::error!(endpoint, request, error, "A reply is judged by its status alone.");
                None
            }
        }
    }
}

/// Asks the plugins of `route`. Nothing if none of them judges; fails if there is no event to
/// judge by.
fn ask(
    route: &Route,
    request: &str,
    event_id: &str,
    exchange: &Exchange,
    mut known: Known<'_>,
) -> anyhow::Result<Option<Result<Answer, PluginFailure>>> {
    if !route.judges() {
        return Ok(None);
    }
    let event = event(known.scan, event_id)?;
    let judged = routes::judge(route, &event, exchange, outbox::depth(request), &mut known);
    let answer = |routes::Judged { judgement, follow_ups, learnt }| Answer {
        judgement,
        follow_ups: follow_ups.into_iter().map(|next| follow_up(route, &event, next)).collect(),
        memory: known.unsaved.learn(&event, learnt),
    };
    Ok(judged.map(|judged| judged.map(answer)))
}

/// Lets today's plugins of `route` judge a reply that one could not judge before; `request` is what
/// was sent. Without a judgement, the reply as it is to be kept on.
pub(crate) fn judge_again(
    route: &Route,
    failed: FailedReply,
    request: Request,
    kept: &dyn Scan,
) -> anyhow::Result<Result<Rejudged, FailedReply>> {
    let FailedReply { attempt, reply, .. } = failed.clone();
    let exchange = Exchange { request, attempt, reply };
    let known = Known { unsaved: &mut Unsaved::default(), scan: kept };
    let answer = ask(route, &failed.request, &failed.event_id, &exchange, known)?;
    let answer = answer.with_context(|| {
        let endpoint = &route.endpoint.name;
        format!("no plugin of the endpoint {endpoint} judges replies")
    })?;
    Ok(match answer {
        Ok(Answer { judgement, follow_ups, memory }) => {
            Ok(Rejudged { request: failed.request, judgement, follow_ups, memory })
        }
        Err(failure) => Err(FailedReply {
            plugin: failure.plugin.to_string(),
            kind: failure.kind.name().to_owned(),
            message: failure.to_string(),
            details: failure.details(),
            ..failed
        }),
    })
}

impl Settled {
    /// Resolves when it is on disk.
    pub(crate) async fn confirmed(self) -> anyhow::Result<()> {
        self.receipt.await?;
        self.saved.store(true, Ordering::Release);
        Ok(())
    }
}

fn event(kept: &dyn Scan, id: &str) -> anyhow::Result<CallEvent> {
    let stored = kept.event(id)?;
    let stored = stored.with_context(|| format!("its event {id} is no longer kept"))?;
    serde_json::from_str(&stored.json).with_context(|| format!("while reading the event {id}"))
}

/// A follow-up matters as long as its event does, unless the plugin says otherwise.
fn follow_up(route: &Route, event: &CallEvent, request: Request) -> FollowUp {
    let delivery = &route.endpoint.delivery;
    FollowUp {
        expires_in: is_popup(&event.kind, &request).then_some(delivery.popup_expiry),
        class: class(&event.kind, &request),
        base: route.endpoint.url.to_string(),
        request,
    }
}

/// Says that a plugin failed to judge a reply, and how often it did unsaid before.
fn tell(endpoint: &str, request: &str, failure: &PluginFailure, more: u64) {
    tracing::error!(
        request,
        endpoint,
        more,
        "Plugin failed to judge a reply; the request is settled by its status, and the reply kept \
         as a dead letter: {}.",
        redact::numbers(&failure.to_string())
    );
    tracing::debug!(request, stderr = failure.stderr, "What the plugin wrote.");
}

fn dead_letter(
    endpoint: String,
    claimed: &Claimed,
    exchange: Exchange,
    failure: &PluginFailure,
) -> FailedReply {
    FailedReply {
        request: claimed.id.clone(),
        event_id: claimed.event_id.clone(),
        endpoint,
        plugin: failure.plugin.to_string(),
        kind: failure.kind.name().to_owned(),
        message: failure.to_string(),
        details: failure.details(),
        attempt: exchange.attempt,
        reply: exchange.reply,
    }
}
