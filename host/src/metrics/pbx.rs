//! What is counted of one PBX.

use prometheus_client::encoding::EncodeLabelSet;

use super::Metrics;

/// A PBX.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OnePbx {
    /// Its name in the settings.
    pub pbx: String,
}

/// A PBX and what it did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PbxFault {
    /// Its name in the settings.
    pub pbx: String,
    /// The cause.
    pub kind: String,
}

/// The metrics of one PBX. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PbxMetrics {
    one: OnePbx,
    metrics: Metrics,
}

impl Metrics {
    /// Those of the PBX of this name.
    pub fn of_pbx(&self, name: &str) -> PbxMetrics {
        PbxMetrics { one: OnePbx { pbx: name.to_owned() }, metrics: self.clone() }
    }
}

impl PbxMetrics {
    /// Shows whether it is watched.
    pub fn watched(&self, watched: bool) {
        self.metrics.pbx_connected.get_or_create(&self.one).set(i64::from(watched));
    }

    /// Counts a connection to its event socket.
    pub fn connection(&self) {
        self.metrics.pbx_connections.get_or_create(&self.one).inc();
    }

    /// Counts one fault.
    pub fn fault(&self, cause: &str) {
        let label = PbxFault { pbx: self.one.pbx.clone(), kind: cause.to_owned() };
        self.metrics.pbx_faults.get_or_create(&label).inc();
    }

    /// Nobody wants to watch it any more.
    pub fn gone(&self) {
        self.metrics.pbx_connected.remove(&self.one);
    }
}
