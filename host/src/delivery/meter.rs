//! What is counted of one endpoint, looked up once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::breaker::State;
use super::gate::Gate;
use crate::metrics::{AttemptLabel, EndpointLabel, Metrics, OneEndpoint};

/// The metrics of one endpoint.
pub(super) struct Meter {
    endpoint: String,
    metrics: Metrics,
    delivered: Counter,
    succeeded: Counter,
    breaker: Gauge,
    limit: Gauge,
    in_flight: Gauge,
    duration: Histogram,
    /// The endpoint is no longer in the settings.
    gone: AtomicBool,
}

impl Meter {
    /// Those of `endpoint`, which is there from now on.
    pub(super) fn new(endpoint: &str, metrics: &Metrics) -> Self {
        let one = OneEndpoint { endpoint: endpoint.to_owned() };
        let delivered =
            EndpointLabel { endpoint: endpoint.to_owned(), outcome: "delivered".to_owned() };
        Self {
            endpoint: endpoint.to_owned(),
            metrics: metrics.clone(),
            delivered: metrics.deliveries.get_or_create(&delivered).clone(),
            succeeded: metrics.attempts.get_or_create(&label(endpoint, "success")).clone(),
            breaker: metrics.breaker_state.get_or_create(&one).clone(),
            limit: metrics.concurrency_limit.get_or_create(&one).clone(),
            in_flight: metrics.in_flight.get_or_create(&one).clone(),
            duration: metrics.request_duration.of(&one),
            gone: AtomicBool::new(false),
        }
    }

    /// The endpoint is no longer in the settings: nobody wants to know how it stands. What was
    /// counted of it stays.
    pub(super) fn forget(&self) {
        self.gone.store(true, Ordering::Relaxed);
        let Metrics { breaker_state, concurrency_limit, in_flight, clock_skew, .. } = &self.metrics;
        for gauges in [breaker_state, concurrency_limit, in_flight, clock_skew] {
            gauges.remove(&self.one());
        }
    }

    /// Shows where the gate stands.
    pub(super) fn show(&self, gate: &Gate) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let (limit, in_flight) = gate.load();
        self.limit.set(count(limit));
        self.in_flight.set(count(in_flight));
        self.breaker.set(match gate.breaker() {
            _ if gate.is_disabled() => 3,
            State::Closed => 0,
            State::HalfOpen { .. } => 1,
            State::Open { .. } => 2,
        });
    }

    /// Shows by how many seconds the endpoint's clock is ahead of ours.
    pub(super) fn skew(&self, seconds: i64) {
        if !self.gone.load(Ordering::Relaxed) {
            self.metrics.clock_skew.get_or_create(&self.one()).set(seconds);
        }
    }

    fn one(&self) -> OneEndpoint {
        OneEndpoint { endpoint: self.endpoint.clone() }
    }

    /// Counts an attempt of this class of failure, or none.
    pub(super) fn attempt(&self, class: Option<&str>, took: Duration) {
        match class {
            None => self.succeeded.inc(),
            Some(class) => self.metrics.attempts.get_or_create(&label(&self.endpoint, class)).inc(),
        };
        self.duration.observe(took.as_secs_f64());
    }

    /// Counts what became of a request.
    pub(super) fn outcome(&self, outcome: &str) {
        match outcome {
            "delivered" => {
                self.delivered.inc();
            }
            other => self.metrics.delivery(&self.endpoint, other),
        }
    }
}

fn label(endpoint: &str, class: &str) -> AttemptLabel {
    AttemptLabel { endpoint: endpoint.to_owned(), class: class.to_owned() }
}
