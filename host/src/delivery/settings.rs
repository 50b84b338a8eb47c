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
