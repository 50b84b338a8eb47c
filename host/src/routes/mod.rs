//! Which events go to which endpoints, and through which chain of plugins.
//!
//! For every endpoint that wants an event, a draft (`GET` to the endpoint's URL) goes through the
//! endpoint's plugins in order; every request that one returns is the draft of the next. With each
//! draft a plugin is told which endpoint it is for, and that endpoint's dialect. If one
//! of them fails, the endpoint gets nothing for this event, and the failure is kept with it: half
//! of what a mapping meant is worse than a dead letter that can be replayed.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;

use crate::config::{EndpointConfig, Order};
use crate::event::CallEvent;
use crate::hosts::Hosts;
use crate::plugins::{Outcome, Plugin, PluginFailure};
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
    /// An endpoint wanted the event, so it is worth keeping.
    pub wanted: bool,
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

impl Route {
    /// The way to `endpoint` through these plugins.
    pub fn new(endpoint: EndpointConfig, chain: Vec<Arc<Plugin>>) -> Self {
        let hosts = Hosts::new(&endpoint.url, &endpoint.delivery.allow_hosts).ok();
        Self { endpoint, chain, hosts }
    }

    /// Sends drafts through the chain.
    fn requests(&self, event: &CallEvent) -> Result<Vec<Request>, PluginFailure> {
        let endpoint = &self.endpoint;
        let hints = [("endpoint", endpoint.name.as_str()), ("dialect", endpoint.dialect.name())];
        let mut drafts = vec![Request::draft(self.endpoint.url.as_str())];
        for plugin in &self.chain {
            let mut made = Vec::new();
            for draft in &drafts {
                match plugin.transform_for(&hints, event, draft)? {
                    Outcome::Send(requests) => made.extend(requests),
                    Outcome::Skip(reason) => tracing::debug!(
                        event = event.event_id,
                        endpoint = self.endpoint.name,
                        plugin = plugin.name(),
                        reason,
                        "Plugin skips the event."
                    ),
                }
            }
            drafts = made;
        }
        self.refuse_other_hosts(&drafts)?;
        Ok(drafts)
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
                plugin
                    .refused_host(format!("made request {place} for endpoint {endpoint:?}: {why}"))
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
pub fn plan<'a>(routes: impl IntoIterator<Item = &'a Route>, event: &CallEvent) -> Plan {
    let mut plan = Plan::default();
    for route in routes.into_iter().filter(|route| route.endpoint.wants(event)) {
        plan.wanted = true;
        match route.requests(event) {
            Ok(requests) => {
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
