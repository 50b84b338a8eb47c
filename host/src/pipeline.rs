//! The thread on which notices become requests.
//!
//! One plain thread runs the engines and the plugins: both are quick and synchronous, and two
//! threads that instantiate components only slow each other down. What follows from one notice is
//! one commit. When the outbox cannot keep up, appending blocks, the channel of notices fills,
//! and the sources coalesce what they read.
//!
//! Replies are judged here, too, between two notices, so no two calls of plugins overlap.

mod memories;
mod replies;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::memories::Known;
pub(crate) use self::memories::Unsaved;
pub(crate) use self::replies::{Judging, Replied, judge_again};
use crate::calls::{self, Engine, Step};
use crate::clock::Clock;
use crate::event::{CallEvent, EventKind, Party};
use crate::metrics::Metrics;
use crate::outbox::{Class, Commit, FailedTransform, NewRequest, Outbox, Scan, StoredEvent};
use crate::plugins::{Directory, PluginFailure};
use crate::quiet::Said;
use crate::redact;
use crate::request::Request;
use crate::routes::{self, Failed, Plan, Planned, Route};
use crate::source::notice::{Notice, Seen, Snapshot};

/// Without anything due, the thread looks again this often.
const IDLE: Duration = Duration::from_mins(1);

/// Sees every event that leaves.
pub type Observer = Box<dyn Fn(&CallEvent) + Send + Sync>;

/// A kind of failure of plugins: on what, for which endpoint, of which plugin, and what happened.
pub(crate) type Kind = (&'static str, String, String, &'static str);

/// What the thread works on, one after another.
pub(crate) enum Input {
    /// A notice, and which PBX it is of: its place in [`Pipeline::exchanges`].
    Seen(usize, Notice),
    /// Something to do between two notices: new settings, a replay.
    Job(Job),
}

/// What is done on the pipeline's thread, with nothing else going on.
pub(crate) type Job = Box<dyn FnOnce(&mut Pipeline) + Send>;

/// One PBX and what is known of its calls.
pub(crate) struct Exchange {
    /// Its name.
    pub(crate) name: String,
    /// Its calls.
    pub(crate) engine: Engine,
    /// Whether it is being watched, for whoever asks about health.
    pub(crate) watched: Arc<AtomicBool>,
}

impl Exchange {
    /// Its name, and whether it is being watched.
    pub(crate) fn watched(&self) -> (String, Arc<AtomicBool>) {
        (self.name.clone(), Arc::clone(&self.watched))
    }
}

/// Everything between the sources and the outbox.
pub(crate) struct Pipeline {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) routes: Vec<Route>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    /// What plugins keep and is not on disk yet.
    pub(crate) unsaved: Unsaved,
    /// Failures of plugins that have been said.
    pub(crate) said: Said<Kind>,
    /// The endpoints that want their replies judged, for whoever sends.
    pub(crate) judging: Arc<Judging>,
    /// Sees every event that leaves, after it is queued for the disk.
    pub(crate) observer: Option<Observer>,
}

/// What new settings change, between two notices.
#[derive(Default)]
pub(crate) struct Renewal {
    /// The exchanges that are not watched any longer, or not at the moment.
    pub(crate) lost: Vec<usize>,
    /// Those among them that nobody will watch.
    pub(crate) gone: Vec<usize>,
    /// What the engines are told from now on.
    pub(crate) engines: Vec<(usize, calls::Settings)>,
    /// Exchanges that are new.
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) routes: Vec<Route>,
    pub(crate) directory: Arc<Directory>,
}

impl Pipeline {
    /// From here on, everything is done as the new settings say.
    pub(crate) fn renew(&mut self, new: Renewal) {
        for exchange in new.lost {
            let notice = Notice { at: self.clock.now(), what: Seen::Lost };
            self.take(exchange, &notice);
        }
        // Every call that began gets an end, though nobody will see it.
        for exchange in new.gone {
            let nothing = Snapshot { after_gap: true, dns: Vec::new(), legs: Vec::new() };
            let notice = Notice { at: self.clock.now(), what: Seen::Snapshot(nothing) };
            self.take(exchange, &notice);
        }
        for (exchange, settings) in new.engines {
            if let Some(exchange) = self.exchanges.get_mut(exchange) {
                exchange.engine.adopt(settings);
            }
        }
        self.exchanges.extend(new.exchanges);
        self.judging.renew(&new.routes);
        self.routes = new.routes;
        self.directory = new.directory;
    }

    /// Works until the channel is closed and empty. Call it on a plain thread.
    pub(crate) fn run(mut self, mut inputs: mpsc::Receiver<Input>, runtime: &Handle) {
        // What was due while nobody ran is not kept waiting for the PBX.
        self.tick();
        loop {
            let wait = self.until_next_tick();
            if wait.is_zero() {
                // However busy the others are.
                self.tick();
            }
            // While there is something to do, nobody is asked to wait for it.
            let input = match inputs.try_recv() {
                Ok(input) => Ok(Some(input)),
                Err(_) => runtime.block_on(async { timeout(wait, inputs.recv()).await }),
            };
            match input {
                Ok(Some(Input::Seen(exchange, notice))) => self.take(exchange, &notice),
                Ok(Some(Input::Job(job))) => job(&mut self),
                Ok(None) => return,
                Err(_) => self.tick(),
            }
        }
    }

    fn until_next_tick(&self) -> Duration {
        let now = self.clock.now().mono;
        let next = self.exchanges.iter().filter_map(|exchange| exchange.engine.next_tick()).min();
        next.map_or(IDLE, |due| due.saturating_sub(now)).min(IDLE)
    }

    fn tick(&mut self) {
        for exchange in 0..self.exchanges.len() {
            let notice = Notice { at: self.clock.now(), what: Seen::Tick };
            self.take(exchange, &notice);
        }
    }

    fn take(&mut self, exchange: usize, notice: &Notice) {
        failpoint!("pipeline-taken");
        let Some(exchange) = self.exchanges.get_mut(exchange) else { return };
        match &notice.what {
            Seen::Snapshot(_) => exchange.watched.store(true, Ordering::Release),
            Seen::Lost => exchange.watched.store(false, Ordering::Release),
            Seen::Leg(leg) => {
                tracing::debug!(leg = %leg.key, call = leg.call_id, status = ?leg.status, "Leg seen.");
            }
            Seen::LegGone(leg) => tracing::debug!(%leg, "Leg gone."),
            Seen::Logged { rows } => tracing::debug!(rows = rows.len(), "Call log seen."),
            Seen::Active { calls } => tracing::debug!(calls = calls.len(), "Active calls seen."),
            Seen::Known(_) | Seen::Tick => {}
        }
        let mut step = exchange.engine.apply(notice);
        if step.events.is_empty() && step.state.is_empty() {
            return;
        }
        for event in &mut step.events {
            event.parties_mut().for_each(|party| introduce(party, &self.directory));
        }
        failpoint!("pipeline-before-plugins");
        let commit = Commit { pbx: exchange.name.clone(), ..Commit::default() };
        let commit = self.commit(commit, &step);
        failpoint!("pipeline-before-append");
        // Durable in the order of appending; nobody waits for it here.
        self.unsaved.appended(self.outbox.append(commit));
        failpoint!("pipeline-after-append");
        for event in &step.events {
            self.metrics.event(event.kind.name());
            if let Some(observer) = &self.observer {
                observer(event);
            }
        }
    }
}

impl Pipeline {
    /// Adds to `commit` everything that follows from one step of the engine.
    fn commit(&mut self, mut commit: Commit, step: &Step) -> Commit {
        commit.calls.clone_from(&step.state);
        for event in &step.events {
            tracing::debug!(
                event = event.event_id,
                id = %event.id,
                kind = event.kind.name(),
                user = event.user.number,
                resynced = event.resynced,
                "Call event."
            );
            let mut known = Known { unsaved: &mut self.unsaved, scan: &*self.outbox };
            let plan = routes::plan(&self.routes, event, &mut known);
            for failed in &plan.failures {
                if let Some(more) = self.news("event", &failed.endpoint, &failed.failure) {
                    tell(event, failed, more);
                }
            }
            if plan.wanted {
                add(&mut commit, event, plan, &mut self.unsaved, &self.metrics);
            }
        }
        commit
    }

    /// A plugin failed on something for an endpoint. If that is to be said, how often it happened
    /// unsaid before.
    fn news(&mut self, on: &'static str, endpoint: &str, failure: &PluginFailure) -> Option<u64> {
        let kind = (on, endpoint.to_owned(), failure.plugin.to_string(), failure.kind.name());
        self.said.loss(kind, self.clock.now().mono)
    }
}

/// Says that a plugin failed on an event, and how often it did unsaid before.
fn tell(event: &CallEvent, failed: &Failed, more: u64) {
    let Failed { endpoint, failure } = failed;
    tracing::error!(
        event = event.event_id,
        endpoint,
        more,
        "Plugin failed, the event is kept as a dead letter: {}.",
        redact::numbers(&failure.to_string())
    );
    tracing::debug!(event = event.event_id, stderr = failure.stderr, "What the plugin wrote.");
}

/// What a replay concerns.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Only this endpoint.
    pub(crate) endpoint: Option<String>,
    /// Also events that only matter while they are new.
    pub(crate) popups: bool,
}

/// What a replay made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Replayed {
    /// New requests.
    pub(crate) requests: u64,
    /// Events that a plugin failed on.
    pub(crate) failures: u64,
    /// Events that only mattered while they were new.
    pub(crate) skipped: u64,
}

/// New requests of stored events, as `routes` make them today.
pub(crate) fn replay(
    routes: &[Route],
    events: &[StoredEvent],
    scope: &Scope,
    kept: &dyn Scan,
    metrics: &Metrics,
) -> anyhow::Result<(Commit, Replayed)> {
    let mut commit = Commit::default();
    let mut replayed = Replayed::default();
    let mut unsaved = Unsaved::default();
    for stored in events {
        let event: CallEvent = serde_json::from_str(&stored.json)
            .with_context(|| format!("while reading the event {}", stored.event_id))?;
        if class_of(&event.kind) != Class::Core && !scope.popups {
            replayed.skipped += 1;
            continue;
        }
        let mut known = Known { unsaved: &mut unsaved, scan: kept };
        let plan = routes::plan(routes, &event, &mut known);
        plan.failures.iter().for_each(|failed| tell(&event, failed, 0));
        add(&mut commit, &event, plan, &mut unsaved, metrics);
    }
    for request in &mut commit.requests {
        request.generation = kept.next_generation(&request.event_id, &request.endpoint)?;
        request.expires_in = None;
        request.class = Class::Core;
    }
    replayed.requests = commit.requests.len() as u64;
    replayed.failures = commit.failures.len() as u64;
    Ok((commit, replayed))
}

/// Adds what the directory knows of a party; it goes before what the PBX told.
fn introduce(party: &mut Party, directory: &Directory) {
    if let Some(person) = directory.find(&party.number) {
        party.name = person.name.clone().or_else(|| party.name.take());
        party.email = person.email.clone().or_else(|| party.email.take());
    }
}

fn add(
    commit: &mut Commit,
    event: &CallEvent,
    plan: Plan,
    unsaved: &mut Unsaved,
    metrics: &Metrics,
) {
    commit.memory.extend(unsaved.learn(event, plan.learnt));
    match StoredEvent::new(event) {
        Ok(stored) => commit.events.push(stored),
        Err(error) => tracing::error!(event = event.event_id, "Cannot keep the event: {error:#}."),
    }
    commit.requests.extend(plan.requests.into_iter().map(|planned| new_request(event, planned)));
    for failed in plan.failures {
        let failure = failed.failure;
        metrics.plugin_failure(failure.kind.name());
        commit.failures.push(FailedTransform {
            event_id: event.event_id.clone(),
            endpoint: failed.endpoint,
            plugin: failure.plugin.to_string(),
            kind: failure.kind.name().to_owned(),
            message: failure.to_string(),
            details: failure.details(),
        });
    }
}

fn new_request(event: &CallEvent, planned: Planned) -> NewRequest {
    let mut new = NewRequest {
        event_id: event.event_id.clone(),
        endpoint: planned.endpoint,
        index: planned.index,
        lane: format!("{}/{}", event.pbx, event.id.chain),
        sequence: event.sequence,
        generation: 0,
        expires_in: is_popup(&event.kind, &planned.request).then_some(planned.popup_expiry),
        class: class(&event.kind, &planned.request),
        base: planned.base,
        request: planned.request,
    };
    if !planned.ordered {
        // Alone in its lane it waits for nothing.
        new.lane = new.id();
    }
    new
}

/// Whether a request matters only while it is new: as its plugin says, or else as its event does.
fn is_popup(kind: &EventKind, request: &Request) -> bool {
    let lasts =
        matches!(kind, EventKind::Started(_) | EventKind::Ended(_) | EventKind::Recording(_));
    !request.lasting.unwrap_or(lasts)
}

/// What gives way to what when the disk is full.
fn class(kind: &EventKind, request: &Request) -> Class {
    match request.lasting {
        Some(true) => Class::Core,
        Some(false) => Class::Popup.min(class_of(kind)),
        None => class_of(kind),
    }
}

fn class_of(kind: &EventKind) -> Class {
    match kind {
        EventKind::Ringing(_) => Class::Popup,
        EventKind::Started(_) | EventKind::Ended(_) => Class::Core,
        _ => Class::Extra,
    }
}
