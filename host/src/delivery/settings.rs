//! What delivery to one endpoint is told.

use std::net::SocketAddr;
use std::ops::Deref;

use url::Url;

use crate::config::DeliveryConfig;

/// Where to deliver, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSettings {
    /// The name that requests in the outbox carry.
    pub name: String,
    /// The endpoint's own address; its host is where the operator said.
    pub url: Url,
    /// How to deliver there.
    pub delivery: DeliveryConfig,
    /// Where the service listens itself, so that no plugin gets at it.
    pub forbidden: Vec<SocketAddr>,
}

impl EndpointSettings {
    /// Whether what they mean may change while they stay the same.
    pub fn names_files(&self) -> bool {
        self.delivery.ca_file.is_some() || self.delivery.client_certificate.is_some()
    }
}

impl Deref for EndpointSettings {
    type Target = DeliveryConfig;

    fn deref(&self) -> &DeliveryConfig {
        &self.delivery
    }
}
