//! Which events go to which endpoints, and through which chain of plugins.
//!
//! For every endpoint that wants an event, a draft (`GET` to the endpoint's URL) goes through the
//! endpoint's plugins in order; every request that one returns is the draft of the next. With each
//! draft a plugin is told which endpoint it is for, and that endpoint's dialect. If one
//! of them fails, the endpoint gets nothing for this event, and the failure is kept with it: half
//! of what a mapping meant is worse than a dead letter that can be replayed.

mod replies;

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;

pub use self::replies::{Judged, MAX_GENERATIONS, judge};
use crate::config::{EndpointConfig, Order};
use crate::event::CallEvent;
use crate::hosts::Hosts;
use crate::plugins::{FailureKind, Memory, Outcome, Plugin, PluginFailure};
use crate::request::Request;

/// An endpoint and the way to it.
pub struct Route {
    /// What goes there.
    pub endpoint: EndpointConfig,
    /// Its plugins, in order.
    pub chain: Vec<Arc<Plugin>>,
    /// Where its requests may go. `None` if its settings name no host; delivery does not begin
    /// with such settings.
    hosts: Option<Hosts>,
}

/// What the endpoints get for one event.
#[derive(Debug, Default)]
pub struct Plan {
    /// The requests, endpoint by endpoint in order.
    pub requests: Vec<Planned>,
    /// The endpoints that get nothing because a plugin failed.
    pub failures: Vec<Failed>,
    /// What the plugins keep. Nothing of an endpoint at which one failed.
    pub learnt: Vec<Learnt>,
    /// An endpoint wanted the event, so it is worth keeping.
    pub wanted: bool,
}

/// What a plugin keeps of the event's chain of calls after it was called.
#[derive(Debug)]
pub struct Learnt {
    /// The endpoint's name.
    pub endpoint: String,
    /// The plugin's name.
    pub plugin: String,
    /// What it keeps, and what of that it has changed.
    pub memory: Memory,
}

/// Knows what plugins keep.
pub trait Memories {
    /// What `plugin` keeps of the chain of calls of `event` at `endpoint`.
    fn recall(&mut self, event: &CallEvent, endpoint: &str, plugin: &str)
    -> anyhow::Result<Memory>;
}

/// An event on its way through the plugins of an endpoint.
struct Walk<'a> {
    route: &'a Route,
    event: &'a CallEvent,
    memories: &'a mut dyn Memories,
    learnt: Vec<Learnt>,
}

/// A request for an endpoint.
#[derive(Debug)]
pub struct Planned {
    /// The endpoint's name.
    pub endpoint: String,
    /// Its place among the requests of this event to this endpoint, from 0.
    pub index: u32,
    /// The endpoint's `url`.
    pub base: String,
    /// What to send.
    pub request: Request,
    /// How long it is worth sending if it matters only while it is new.
    pub popup_expiry: Duration,
    /// It waits for those of the same call before it.
    pub ordered: bool,
}

/// An endpoint that gets nothing, and why.
#[derive(Debug)]
pub struct Failed {
    /// The endpoint's name.
    pub endpoint: String,
    /// What went wrong in which plugin.
    pub failure: PluginFailure,
}

impl<'a> Walk<'a> {
    /// What a plugin is told of the endpoint.
    fn hints(&self) -> [(&'static str, &'a str); 3] {
        let endpoint = &self.route.endpoint;
        [
            ("endpoint", endpoint.name.as_str()),
            ("dialect", endpoint.dialect.name()),
            ("url", endpoint.url.as_str()),
        ]
    }

    /// Sends drafts through these plugins.
    fn transform(
        &mut self,
        plugins: &[Arc<Plugin>],
        mut drafts: Vec<Request>,
    ) -> Result<Vec<Request>, PluginFailure> {
        let hints = self.hints();
        for plugin in plugins {
            let mut memory = self.recall(plugin)?;
            let mut made = Vec::new();
            for draft in &drafts {
                match plugin.transform_with(&hints, self.event, draft, &mut memory)? {
                    Outcome::Send(requests) => made.extend(requests),
                    Outcome::Skip(reason) => tracing::debug!(
                        event = self.event.event_id,
                        endpoint = self.route.endpoint.name,
                        plugin = plugin.name(),
                        reason,
                        "Plugin skips the event."
                    ),
                }
            }
            self.learn(plugin, memory);
            drafts = made;
        }
        self.route.refuse_other_hosts(&drafts)?;
        Ok(drafts)
    }

    fn recall(&mut self, plugin: &Plugin) -> Result<Memory, PluginFailure> {
        if !plugin.remembers() {
            return Ok(Memory::default());
        }
        // One that is named twice in a chain has one memory.
        if let Some(known) = self.learnt.iter().position(|learnt| learnt.plugin == plugin.name()) {
            return Ok(self.learnt.swap_remove(known).memory);
        }
        let endpoint = &self.route.endpoint.name;
        self.memories.recall(self.event, endpoint, plugin.name()).map_err(|error| {
            let message = format!("was not called, because its memory cannot be read: {error:#}");
            plugin.not_called(FailureKind::Other, &message)
        })
    }

    fn learn(&mut self, plugin: &Plugin, memory: Memory) {
        if memory.changes().next().is_some() {
            let (endpoint, plugin) = (self.route.endpoint.name.clone(), plugin.name().to_owned());
            self.learnt.push(Learnt { endpoint, plugin, memory });
        }
    }
}

impl Route {
    /// The way to `endpoint` through these plugins.
    pub fn new(endpoint: EndpointConfig, chain: Vec<Arc<Plugin>>) -> Self {
        let hosts = Hosts::new(&endpoint.url, &endpoint.delivery.allow_hosts).ok();
        Self { endpoint, chain, hosts }
    }

    /// Fails if a request would go where the operator did not say. It would not be sent, but here
    /// its author hears of it while the event can still be replayed.
    fn refuse_other_hosts(&self, requests: &[Request]) -> Result<(), PluginFailure> {
        let (Some(hosts), Some(plugin)) = (&self.hosts, self.chain.last()) else { return Ok(()) };
        for (place, request) in (1..).zip(requests) {
            // What a plugin returns has been parsed once.
            let Ok(url) = request.url.parse::<Uri>() else { continue };
            hosts.admit(&url).map_err(|why| {
                let endpoint = &self.endpoint.name;
                let message = format!("made request {place} for endpoint {endpoint:?}: {why}");
                plugin.refused_host(&message)
            })?;
        }
        Ok(())
    }

    fn planned(&self, index: u32, request: Request) -> Planned {
        let delivery = &self.endpoint.delivery;
        Planned {
            endpoint: self.endpoint.name.clone(),
            index,
            base: self.endpoint.url.to_string(),
            request,
            popup_expiry: delivery.popup_expiry,
            ordered: delivery.order != Order::None,
        }
    }
}

/// What the endpoints of all these `routes` get for `event`.
pub fn plan<'a>(
    routes: impl IntoIterator<Item = &'a Route>,
    event: &CallEvent,
    memories: &mut dyn Memories,
) -> Plan {
    let mut plan = Plan::default();
    for route in routes.into_iter().filter(|route| route.endpoint.wants(event)) {
        plan.wanted = true;
        let mut walk = Walk { route, event, memories: &mut *memories, learnt: Vec::new() };
        let drafts = vec![Request::draft(route.endpoint.url.as_str())];
        match walk.transform(&route.chain, drafts) {
            Ok(requests) => {
                plan.learnt.append(&mut walk.learnt);
                let planned = |(index, request)| route.planned(index, request);
                plan.requests.extend((0..).zip(requests).map(planned));
            }
            Err(failure) => {
                plan.failures.push(Failed { endpoint: route.endpoint.name.clone(), failure });
            }
        }
    }
    plan
}
