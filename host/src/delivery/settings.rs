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
        let schedule = vec![
            Duration::from_secs(1),
            Duration::from_secs(5),
            Duration::from_secs(30),
            Duration::from_mins(2),
            Duration::from_mins(10),
            Duration::from_mins(30),
            Duration::from_hours(1),
            Duration::from_hours(3),
            Duration::from_hours(6),
            Duration::from_hours(12),
            Duration::from_hours(24),
            Duration::from_hours(24),
        ];
        Self {
            name: name.to_owned(),
            timeout: Duration::from_secs(15),
            schedule,
            ca_file: None,
            insecure: false,
        }
    }
}
