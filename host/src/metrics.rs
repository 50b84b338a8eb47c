//! What the service counts, in the format that Prometheus reads.
//!
//! Names end in their unit; no label names a call, so the number of series stays small.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// One label, whose meaning the metric's help text says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Label {
    /// The value.
    pub kind: String,
}

/// An endpoint and what became of a request to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndpointLabel {
    /// The endpoint's name.
    pub endpoint: String,
    /// `delivered`, `retried`, `dead`, `expired`.
    pub outcome: String,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OneEndpoint {
    /// The endpoint's name.
    pub endpoint: String,
}

/// An endpoint and how an attempt went.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabel {
    /// The endpoint's name.
    pub endpoint: String,
    /// `success`, or the class of failure.
    pub class: String,
}

/// Durations by endpoint.
#[derive(Clone, Debug)]
pub struct Durations(Family<OneEndpoint, Histogram, fn() -> Histogram>);

/// All counters of the service. Cheap to clone: every part is shared.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// 1 while the PBX is watched, 0 otherwise.
    pub pbx_connected: Gauge,
    /// Connections to the PBX's event socket that were opened.
    pub pbx_connections: Counter,
    /// What the PBX sent wrong or failed to answer, by cause.
    pub pbx_faults: Family<Label, Counter>,
    /// Events that the engine made, by kind.
    pub events: Family<Label, Counter>,
    /// Calls of plugins that failed, by kind of failure.
    pub plugin_failures: Family<Label, Counter>,
    /// Requests by endpoint and outcome.
    pub deliveries: Family<EndpointLabel, Counter>,
    /// Attempts by endpoint and class.
    pub attempts: Family<AttemptLabel, Counter>,
    /// 0 while everything is sent to the endpoint, 1 while a probe is under way, 2 while it is
    /// given up for now, 3 while it is disabled.
    pub breaker_state: Family<OneEndpoint, Gauge>,
    /// So many attempts at once may be made.
    pub concurrency_limit: Family<OneEndpoint, Gauge>,
    /// Attempts under way.
    pub in_flight: Family<OneEndpoint, Gauge>,
    /// How long attempts took.
    pub request_duration: Durations,
    /// Requests that wait to be sent.
    pub outbox_pending: Gauge,
    /// Requests that a restart or a resync made again, and that were there already.
    pub outbox_collapsed: Counter,
    /// 1 while the outbox can commit, 0 while it cannot.
    pub outbox_writable: Gauge,
}

impl Durations {
    /// Those of one endpoint.
    pub fn of(&self, endpoint: &OneEndpoint) -> Histogram {
        self.0.get_or_create(endpoint).clone()
    }
}

impl Default for Durations {
    fn default() -> Self {
        // The buckets of OpenTelemetry's conventions for HTTP, in seconds, and the longest
        // time-out that makes sense.
        Self(Family::new_with_constructor(|| {
            Histogram::new([
                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
                30.0,
            ])
        }))
    }
}

impl Metrics {
    /// Counts one fault of the PBX.
    pub fn pbx_fault(&self, cause: &str) {
        self.pbx_faults.get_or_create(&Label { kind: cause.to_owned() }).inc();
    }

    /// Counts one event.
    pub fn event(&self, kind: &str) {
        self.events.get_or_create(&Label { kind: kind.to_owned() }).inc();
    }

    /// Counts one failed call of a plugin.
    pub fn plugin_failure(&self, kind: &str) {
        self.plugin_failures.get_or_create(&Label { kind: kind.to_owned() }).inc();
    }

    /// Counts what became of one attempt at a request.
    pub fn delivery(&self, endpoint: &str, outcome: &str) {
        let label = EndpointLabel { endpoint: endpoint.to_owned(), outcome: outcome.to_owned() };
        self.deliveries.get_or_create(&label).inc();
    }

    /// Everything in the text format of OpenMetrics.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("callhook");
        let r = &mut registry;
        r.register("pbx_connected", "Whether the PBX is watched", self.pbx_connected.clone());
        r.register("pbx_connections", "Event sockets opened", self.pbx_connections.clone());
        r.register("pbx_faults", "Faults of the PBX by cause", self.pbx_faults.clone());
        r.register("events", "Events by kind", self.events.clone());
        r.register("plugin_failures", "Failed plugin calls", self.plugin_failures.clone());
        r.register("deliveries", "Attempts by endpoint and outcome", self.deliveries.clone());
        r.register("attempts", "Attempts by endpoint and class", self.attempts.clone());
        r.register(
            "breaker_state",
            "0 closed, 1 half open, 2 open, 3 disabled",
            self.breaker_state.clone(),
        );
        r.register(
            "concurrency_limit",
            "Attempts that may be made at once",
            self.concurrency_limit.clone(),
        );
        r.register("in_flight", "Attempts under way", self.in_flight.clone());
        r.register_with_unit(
            "http_client_request_duration",
            "How long attempts took",
            Unit::Seconds,
            self.request_duration.0.clone(),
        );
        r.register("outbox_pending", "Requests that wait", self.outbox_pending.clone());
        r.register("outbox_collapsed", "Requests made again", self.outbox_collapsed.clone());
        r.register("outbox_writable", "Whether commits succeed", self.outbox_writable.clone());
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}
