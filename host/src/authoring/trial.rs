//! A rehearsal: a plugin that is loaded as in service, and what it makes of events and of replies
//! to its requests.
//!
//! The events of one call share the plugin's memory. Requests wait for their replies in the order
//! in which callhook would send them: what follows from a reply comes before what waited already.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context as _, bail};

use super::events::{Given, Step};
use super::replies::Recorded;
use super::secrets::Secrets;
use super::subject::Subject;
use crate::app::{self, Faults};
use crate::event::CallEvent;
use crate::plugins::{Exchange, Memory, Outcome, Plugin, Rehearsed, Runtime, Verdict};
use crate::reply::Judgement;
use crate::request::Request;

/// With these a whole endpoint lets nobody in, or is gone; callhook does not ask plugins about it.
const OF_THE_ENDPOINT: [u16; 2] = [401, 410];

/// A plugin that is ready to be tried.
pub struct Stage {
    pub(super) subject: Subject,
    pub(super) plugin: Plugin,
    pub(super) secrets: Secrets,
    /// By the event's PBX and chain.
    calls: BTreeMap<(String, String), Call>,
    /// The call of the last event.
    last: Option<(String, String)>,
}

/// What is left of the events of a call.
#[derive(Default)]
struct Call {
    memory: Memory,
    /// Requests that were not answered yet, the next one first.
    open: VecDeque<Open>,
}

/// A request that waits for its reply.
struct Open {
    event: CallEvent,
    request: Request,
    attempt: u32,
}

/// Something that was given to a plugin, and what came of it.
#[allow(clippy::large_enum_variant, reason = "there are few of them")]
pub enum Trial {
    /// An event.
    Event(Heard),
    /// A reply.
    Reply(Answered),
}

/// What a plugin made of an event.
pub struct Heard {
    /// The event.
    pub given: Given,
    /// What came of it.
    pub rehearsed: Rehearsed<Outcome>,
    /// What the plugin keeps of the call.
    pub kept: Memory,
}

/// What a plugin made of a reply.
pub struct Answered {
    /// The reply.
    pub given: Recorded,
    /// The request with the reply, as the plugin saw it.
    pub exchange: Exchange,
    /// What came of it.
    pub rehearsed: Rehearsed<Verdict>,
    /// What the plugin keeps of the call.
    pub kept: Memory,
}

impl Stage {
    /// Loads the plugin and checks its settings, as the service does.
    pub fn open(subject: Subject) -> Result<Self, Faults> {
        let spec = subject.spec();
        let plugin = Runtime::new()?
            .with_cache_of_user()
            .load(&spec, &subject.directory)
            .map_err(|error| Faults(app::plugin_faults(&subject.plugin, &error)))?;
        let secrets = Secrets::of(plugin.settings(), &spec.settings, &spec.secrets);
        Ok(Self { subject, plugin, secrets, calls: BTreeMap::new(), last: None })
    }

    /// Forgets all that was given.
    pub fn clear(&mut self) {
        self.calls.clear();
        self.last = None;
    }

    /// Gives the plugin an event or a reply.
    pub fn take(&mut self, step: Step) -> anyhow::Result<Trial> {
        match step {
            Step::Event(given) => Ok(self.give(given)),
            Step::Reply(given) => self.answer(given),
        }
    }

    /// Gives the plugin an event, at the time at which the event happened.
    fn give(&mut self, given: Given) -> Trial {
        let Self { subject, plugin, .. } = self;
        let endpoint = &subject.endpoint;
        let hints = endpoint.hints();
        let draft = Request::draft(endpoint.url.as_str());
        let event = &given.event;
        let key = (event.pbx.clone(), event.id.chain.as_str().to_owned());
        let call = self.calls.entry(key.clone()).or_default();
        let memory = &mut call.memory;
        let rehearsed = plugin.rehearse(event.occurred_at.epoch_ms(), |plugin| {
            plugin.transform_with(&hints, event, &draft, memory)
        });
        if let Ok(Outcome::Send(requests)) = &rehearsed.result {
            let open = |request: &Request| Open {
                event: event.clone(),
                request: request.clone(),
                attempt: 1,
            };
            call.open.extend(requests.iter().map(open));
        }
        self.last = Some(key);
        Trial::Event(Heard { kept: call.memory.clone(), given, rehearsed })
    }

    /// Gives the plugin a reply to the next request of the last event's call. Fails if nothing
    /// waits for one.
    fn answer(&mut self, given: Recorded) -> anyhow::Result<Trial> {
        let source = &given.source;
        if !self.plugin.replies() {
            bail!("{source}: this plugin does not read replies: it does not export `reply`");
        }
        if OF_THE_ENDPOINT.contains(&given.reply.status) {
            bail!(
                "{source}: callhook does not ask plugins about the status {}, which concerns the \
                 endpoint as a whole",
                given.reply.status
            );
        }
        let call = self.last.as_ref().and_then(|key| self.calls.get_mut(key));
        let next = call.and_then(|call| Some((call.open.pop_front()?, call)));
        let (open, call) = next.with_context(|| {
            format!("{source}: the plugin has made no request that this could be a reply to")
        })?;
        let Open { event, request, attempt } = open;
        let exchange = Exchange { request, attempt, reply: given.reply.clone() };
        let hints = self.subject.endpoint.hints();
        let memory = &mut call.memory;
        let rehearsed = self.plugin.rehearse(event.occurred_at.epoch_ms(), |plugin| {
            plugin.on_reply(&hints, &event, &exchange, memory)
        });
        if let Ok(Verdict { judgement, follow_ups }) = &rehearsed.result {
            if let Judgement::Retry { .. } = judgement {
                let request = exchange.request.clone();
                let attempt = attempt.saturating_add(1);
                call.open.push_front(Open { event: event.clone(), request, attempt });
            }
            for request in follow_ups.iter().rev() {
                let request = request.clone();
                call.open.push_front(Open { event: event.clone(), request, attempt: 1 });
            }
        }
        Ok(Trial::Reply(Answered { kept: call.memory.clone(), given, exchange, rehearsed }))
    }
}

impl Trial {
    /// The plugin failed on this.
    pub fn failed(&self) -> bool {
        match self {
            Self::Event(heard) => heard.rehearsed.result.is_err(),
            Self::Reply(answered) => answered.rehearsed.result.is_err(),
        }
    }
}
