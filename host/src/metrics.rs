//! What the service counts, in the format that Prometheus reads.
//!
//! Names end in their unit; no label names a call, so the number of series stays small.

mod pbx;

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub use self::pbx::{OnePbx, PbxFault, PbxMetrics};

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
    /// `delivered`, `retried`, `dead`, `expired`; of a reply `done`, `retry`, `give-up`, `failed`.
    pub outcome: String,
}

/// How long commits took, from a tenth of a millisecond to ten seconds.
#[derive(Clone, Debug)]
pub struct Seconds(pub Histogram);

impl Default for Seconds {
    fn default() -> Self {
        let buckets = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0];
        Self(Histogram::new(buckets))
    }
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

/// A plugin.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OnePlugin {
    /// Its name in the settings.
    pub plugin: String,
}

/// A plugin, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PluginLabel {
    /// Its name in the settings.
    pub plugin: String,
    /// The version that it gives itself.
    pub version: String,
    /// The beginning of the component's SHA-256.
    pub hash: String,
}

/// Durations by endpoint.
#[derive(Clone, Debug)]
pub struct Durations(Family<OneEndpoint, Histogram, fn() -> Histogram>);

/// All counters of the service. Cheap to clone: every part is shared.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// 1 while the PBX is watched, 0 otherwise.
    pub pbx_connected: Family<OnePbx, Gauge>,
    /// Connections to the PBX's event socket that were opened.
    pub pbx_connections: Family<OnePbx, Counter>,
    /// What the PBX sent wrong or failed to answer, by cause.
    pub pbx_faults: Family<PbxFault, Counter>,
    /// Events that the engine made, by kind.
    pub events: Family<Label, Counter>,
    /// Calls of plugins that failed, by kind of failure.
    pub plugin_failures: Family<Label, Counter>,
    /// Replies that plugins judged, by endpoint and judgement.
    pub replies: Family<EndpointLabel, Counter>,
    /// 1 for each plugin that is in service.
    pub plugin_info: Family<PluginLabel, Gauge>,
    /// Changed plugins that could not be used.
    pub plugin_reload_failures: Family<OnePlugin, Counter>,
    /// New settings that were faulty.
    pub settings_reload_failures: Counter,
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
    /// By how many seconds the endpoint's clock is ahead of ours.
    pub clock_skew: Family<OneEndpoint, Gauge>,
    /// How long attempts took.
    pub request_duration: Durations,
    /// Requests that wait to be sent.
    pub outbox_pending: Gauge,
    /// Requests that a restart or a resync made again, and that were there already.
    pub outbox_collapsed: Counter,
    /// 1 while the outbox can commit, 0 while it cannot.
    pub outbox_writable: Gauge,
    /// Requests that were not taken because the disk is nearly full, by class.
    pub outbox_shed: Family<Label, Counter>,
    /// What gives way: 0 nothing, 1 extras, 2 pop-ups too, 3 nothing can be committed.
    pub outbox_pressure: Gauge,
    /// How long ago the oldest request that waits was made; 0 if none waits.
    pub outbox_oldest_pending: Gauge,
    /// The size of the outbox's log.
    pub outbox_wal: Gauge,
    /// What is left on the outbox's disk.
    pub outbox_disk_free: Gauge,
    /// How long commits took.
    pub outbox_commit: Seconds,
    /// How often a damaged outbox was repaired.
    pub outbox_repairs: Counter,
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
    /// Counts one event.
    pub fn event(&self, kind: &str) {
        self.events.get_or_create(&Label { kind: kind.to_owned() }).inc();
    }

    /// Counts one failed call of a plugin.
    pub fn plugin_failure(&self, kind: &str) {
        self.plugin_failures.get_or_create(&Label { kind: kind.to_owned() }).inc();
    }

    /// Counts a changed plugin that could not be used.
    pub fn plugin_reload_failure(&self, plugin: &str) {
        let label = OnePlugin { plugin: plugin.to_owned() };
        self.plugin_reload_failures.get_or_create(&label).inc();
    }

    /// From now on these plugins are in service, each with its version and hash.
    pub fn plugins_in_service<'a>(&self, plugins: impl Iterator<Item = (&'a str, String, String)>) {
        self.plugin_info.clear();
        for (plugin, version, hash) in plugins {
            let label = PluginLabel { plugin: plugin.to_owned(), version, hash };
            self.plugin_info.get_or_create(&label).set(1);
        }
    }

    /// Counts what became of one attempt at a request.
    pub fn delivery(&self, endpoint: &str, outcome: &str) {
        let label = EndpointLabel { endpoint: endpoint.to_owned(), outcome: outcome.to_owned() };
        self.deliveries.get_or_create(&label).inc();
    }

    /// Counts what a plugin made of one reply.
    pub fn reply(&self, endpoint: &str, outcome: &str) {
        let label = EndpointLabel { endpoint: endpoint.to_owned(), outcome: outcome.to_owned() };
        self.replies.get_or_create(&label).inc();
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
        r.register("replies", "Replies judged by plugins, and how", self.replies.clone());
        self.register_reloads(r);
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
            "clock_skew",
            "By how much the endpoint's clock is ahead of ours",
            Unit::Seconds,
            self.clock_skew.clone(),
        );
        r.register_with_unit(
            "http_client_request_duration",
            "How long attempts took",
            Unit::Seconds,
            self.request_duration.0.clone(),
        );
        r.register("outbox_pending", "Requests that wait", self.outbox_pending.clone());
        r.register("outbox_collapsed", "Requests made again", self.outbox_collapsed.clone());
        r.register("outbox_writable", "Whether commits succeed", self.outbox_writable.clone());
        self.register_outbox(r);
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// Counts one request of this class that was not taken.
    pub fn shed(&self, class: &str) {
        self.outbox_shed.get_or_create(&Label { kind: class.to_owned() }).inc();
    }

    fn register_reloads(&self, r: &mut Registry) {
        r.register("plugin_info", "1 for each plugin in service", self.plugin_info.clone());
        let (help, failures) =
            ("Changed plugins that could not be used", self.plugin_reload_failures.clone());
        r.register("plugin_reload_failures", help, failures);
        let help = "New settings that were faulty";
        r.register("settings_reload_failures", help, self.settings_reload_failures.clone());
    }

    fn register_outbox(&self, r: &mut Registry) {
        let bytes = || Unit::Bytes;
        r.register("outbox_shed", "Requests dropped for lack of space", self.outbox_shed.clone());
        let help = "What gives way: 0 nothing, 1 extras, 2 pop-ups too, 3 nothing is committed";
        r.register("outbox_pressure", help, self.outbox_pressure.clone());
        let (help, oldest) = ("Age of the oldest waiting request", &self.outbox_oldest_pending);
        r.register_with_unit("outbox_oldest_pending", help, Unit::Seconds, oldest.clone());
        let log = "Size of the outbox's log";
        r.register_with_unit("outbox_wal", log, bytes(), self.outbox_wal.clone());
        let free = "Space left on the outbox's disk";
        r.register_with_unit("outbox_disk_free", free, bytes(), self.outbox_disk_free.clone());
        let (help, commits) = ("How long commits took", self.outbox_commit.0.clone());
        r.register_with_unit("outbox_commit", help, Unit::Seconds, commits);
        r.register("outbox_repairs", "Repairs of a damaged outbox", self.outbox_repairs.clone());
    }
}
