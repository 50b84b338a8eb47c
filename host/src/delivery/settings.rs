//! What can be set for an endpoint.

use std::path::PathBuf;
use std::time::Duration;

/// How to deliver to one endpoint.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// The name that requests in the outbox carry.
    pub name: String,
    /// For a whole exchange: connecting, sending, and reading the reply.
    pub timeout: Duration,
    /// How long to wait after each failed attempt, give or take a fifth. When it is used up, the
    /// request is dead.
    pub schedule: Vec<Duration>,
    /// Certificates in PEM format to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Trust whoever answers.
    pub insecure: bool,
}

impl EndpointSettings {
    /// The defaults: 15 seconds for an exchange, and 13 attempts in about three days.
    pub fn new(name: &str) -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let waits = [
            1,
            5,
            30,
            2 * MINUTE,
            10 * MINUTE,
            30 * MINUTE,
            HOUR,
            3 * HOUR,
            6 * HOUR,
            12 * HOUR,
            24 * HOUR,
            24 * HOUR,
        ];
        Self {
            name: name.to_owned(),
            timeout: Duration::from_secs(15),
            schedule: waits.map(Duration::from_secs).to_vec(),
            ca_file: None,
            insecure: false,
        }
    }
}
