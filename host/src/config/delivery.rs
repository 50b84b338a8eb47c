//! How one endpoint is delivered to. What it all means is in the module that does it,
//! the stage `delivery`.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::secret::Secret;

/// How one endpoint is delivered to.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryConfig {
    /// What a request that fails does to those behind it in its lane.
    pub order: Order,
    /// The waits before the second attempt, the third and so on; then the request is dead.
    pub schedule: Vec<Duration>,
    /// How long an event is worth sending that only matters while it is new: all but start, end
    /// and recording.
    pub popup_expiry: Duration,
    /// Statuses that are a success beside 2xx.
    pub success: Vec<u16>,
    /// So many attempts at a request that is refused (4xx) before it is dead.
    pub refusals: u32,
    /// For one whole exchange: connecting, headers and body.
    pub timeout: Duration,
    /// For the connection alone, within `timeout`.
    pub connect_timeout: Duration,
    /// A connection older than this takes no more requests.
    pub connection_age: Duration,
    /// When to stop trying for a while.
    pub breaker: BreakerConfig,
    /// So many exchanges at once at most.
    pub concurrency: usize,
    /// Keys of Standard Webhooks signatures, the newest first; several while keys are changed.
    pub signing_keys: Vec<Secret>,
    /// What the host adds to each request, so that the endpoint lets it in.
    pub credentials: Credentials,
    /// Other hosts than the endpoint's own that plugins may send to: names, and `*.name` for all
    /// below a name.
    pub allow_hosts: Vec<String>,
    /// Private networks that may be connected to.
    pub allow_networks: Vec<IpNet>,
    /// PEM file with certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
    /// What the host shows of itself in TLS.
    pub client_certificate: Option<ClientCertificate>,
    /// An HTTP proxy to go through.
    pub proxy: Option<Url>,
}

/// What a request that fails does to those behind it in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// They wait, but not longer than this.
    Bounded(Duration),
    /// They wait until it is delivered, dead or expired.
    Strict,
    /// Nothing: they do not wait for each other at all.
    None,
}

/// When an endpoint is given up for a while, and how it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// So many attempts within `window`, at least, tell enough; half of them failed.
    pub attempts: u32,
    /// How far back attempts count.
    pub window: Duration,
    /// So many connections in a row that could not be made.
    pub connects: u32,
    /// The wait before the first probe.
    pub first_probe: Duration,
    /// The longest wait between two probes.
    pub last_probe: Duration,
}

/// A certificate with its key, both in PEM format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What the host adds to each request, so that the endpoint lets it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    None,
    /// `Authorization: Basic`, RFC 7617.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// `Authorization: Bearer`, RFC 6750.
    Bearer(Secret),
    /// A header.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// A parameter of the URL's query.
    Query {
        /// Its name.
        name: String,
        /// Its value, not yet encoded.
        value: Secret,
    },
    /// A bearer token that is fetched and renewed, RFC 6749.
    OAuth2(OAuth2),
}

/// How to get a token, RFC 6749.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2 {
    /// The token endpoint.
    pub token_url: Url,
    /// Who we are.
    pub client_id: String,
    /// The proof of it; public clients have none.
    pub client_secret: Option<Secret>,
    /// What to ask for, as the server names it.
    pub scope: Option<String>,
    /// The grant of section 6 with this token, until a newer one is given, where there is one;
    /// else the grant of section 4.4 (client credentials).
    pub refresh_token: Option<Secret>,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            attempts: 20,
            window: Duration::from_secs(30),
            connects: 5,
            first_probe: Duration::from_secs(5),
            last_probe: Duration::from_mins(5),
        }
    }
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        // Thirteen attempts within about three days.
        let schedule = [1, 5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 86_400];
        Self {
            order: Order::Bounded(Duration::from_mins(1)),
            schedule: schedule.map(Duration::from_secs).to_vec(),
            popup_expiry: Duration::from_mins(1),
            success: Vec::new(),
            refusals: 3,
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            connection_age: Duration::from_mins(10),
            breaker: BreakerConfig::default(),
            concurrency: 32,
            signing_keys: Vec::new(),
            credentials: Credentials::None,
            allow_hosts: Vec::new(),
            allow_networks: Vec::new(),
            ca_file: None,
            insecure: false,
            client_certificate: None,
            proxy: None,
        }
    }
}
