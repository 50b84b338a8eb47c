//! How one endpoint is delivered to: these keys of `[webhook]`. What it all means is in the stage
//! that does it, `delivery`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use ipnet::IpNet;
use url::{Host, Url};

use super::credentials;
use super::error::Fault;
use super::proxy::{self, Proxy};
use super::secret::Secret;
use super::section::{Reader, Value, hidden};
use super::value;

/// What stands before the key in a secret of Standard Webhooks; it may be left out.
const SECRET_PREFIX: &str = "whsec_";

/// The least that Standard Webhooks allows, in bytes.
const SHORTEST_KEY: usize = 24;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

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
    pub proxy: Option<Proxy>,
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

/// Reads the keys of an endpoint that are about delivery.
pub(super) fn read(reader: &mut Reader<'_>) -> DeliveryConfig {
    let usual = DeliveryConfig::default();
    let (timeout, connect_timeout) = timeouts(reader, &usual);
    let schedule = value::durations(SECOND / 1000, DAY * 7);
    let delivery = DeliveryConfig {
        order: order(reader),
        schedule: reader.or("schedule", usual.schedule, schedule),
        popup_expiry: reader.or("popup_expiry", usual.popup_expiry, value::duration(SECOND, DAY)),
        success: reader.or("success", usual.success, statuses),
        refusals: reader.or("refusals", usual.refusals, value::number(1, 100)),
        timeout,
        connect_timeout,
        connection_age: reader.or(
            "connection_age",
            usual.connection_age,
            value::duration(SECOND, DAY),
        ),
        breaker: breaker(reader),
        concurrency: reader.or("concurrency", usual.concurrency, value::number(1, 1024)),
        signing_keys: reader.or("secret", usual.signing_keys, signing_keys),
        credentials: credentials::read(reader),
        allow_hosts: reader.or("allow_hosts", usual.allow_hosts, hosts),
        allow_networks: reader.or("allow_networks", usual.allow_networks, networks),
        ca_file: reader.optional("ca_file", value::file),
        insecure: reader.or("insecure", usual.insecure, value::flag),
        client_certificate: client_certificate(reader),
        proxy: proxy::read(reader),
    };
    if delivery.insecure {
        reader.warn("insecure", "any certificate is accepted, so anybody can pose as the receiver");
    }
    reader.warn_of_readable_secret("secret");
    delivery
}

fn order(reader: &mut Reader<'_>) -> Order {
    let words = [("bounded", "bounded"), ("strict", "strict"), ("none", "none")];
    let order = reader.or("order", "bounded", value::one_of("order", &words));
    let aside = reader.or("step_aside", MINUTE, value::duration(SECOND / 100, DAY));
    if order != "bounded" {
        reader.out_of_place("step_aside", &format!("order = {order}"), "order = bounded");
    }
    match order {
        "strict" => Order::Strict,
        "none" => Order::None,
        _ => Order::Bounded(aside),
    }
}

/// For the whole exchange, and for the connection, which is part of it.
fn timeouts(reader: &mut Reader<'_>, usual: &DeliveryConfig) -> (Duration, Duration) {
    let timeout = value::duration(SECOND / 10, MINUTE * 5);
    let timeout = reader.or("timeout", usual.timeout, timeout);
    let most = if reader.section.get("connect_timeout").is_some() { timeout } else { MINUTE * 5 };
    let connect = value::duration(SECOND / 100, most);
    let connect = reader.or("connect_timeout", usual.connect_timeout, connect);
    (timeout, connect.min(timeout))
}

fn breaker(reader: &mut Reader<'_>) -> BreakerConfig {
    let usual = BreakerConfig::default();
    let probe = value::duration(SECOND / 10, HOUR);
    let first_probe = reader.or("probe_first", usual.first_probe, probe);
    let probe = value::duration(first_probe, DAY);
    let last_probe = reader.or("probe_last", usual.last_probe.max(first_probe), probe);
    BreakerConfig {
        attempts: reader.or("breaker_attempts", usual.attempts, value::number(1, 10_000)),
        window: reader.or("breaker_window", usual.window, value::duration(SECOND, HOUR)),
        connects: reader.or("breaker_connects", usual.connects, value::number(1, 1_000)),
        first_probe,
        last_probe,
    }
}

fn statuses(value: &Value<'_>) -> Result<Vec<u16>, Fault> {
    let status = |item: &str| item.parse().ok().filter(|status| (300..600).contains(status));
    let statuses: Option<Vec<u16>> = value::list(value)?.into_iter().map(status).collect();
    statuses.ok_or_else(|| value.wrong("statuses from 300 to 599, such as 404, 409"))
}

/// Kept as they are written; those who sign decode them.
fn signing_keys(value: &Value<'_>) -> Result<Vec<Secret>, Fault> {
    let padding = DecodePaddingMode::Indifferent;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
    let base64 = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let key = |item: &str| {
        let decoded = base64.decode(item.strip_prefix(SECRET_PREFIX).unwrap_or(item));
        match decoded {
            Ok(key) if key.len() >= SHORTEST_KEY => Ok(Secret::new(item)),
            Ok(_) => Err(hidden(format!("keys of {SHORTEST_KEY} bytes or more"))),
            Err(_) => Err(hidden("keys in base64, with whsec_ in front or not")),
        }
    };
    let items = value::list(value).map_err(|_| hidden("keys with commas between them"))?;
    items.into_iter().map(key).collect()
}

/// Names of hosts, `*.` in front for all below them; in small letters, foreign ones in punycode.
fn hosts(value: &Value<'_>) -> Result<Vec<String>, Fault> {
    let host = |item: &str| {
        let (below, name) = match item.strip_prefix("*.") {
            Some(name) => ("*.", name),
            None => ("", item),
        };
        let host = Host::parse(name).ok().filter(|host| {
            let domain = matches!(host, Host::Domain(_));
            !name.contains('*') && (below.is_empty() || domain)
        });
        host.map(|host| format!("{below}{host}"))
    };
    let wrong = |item| Fault::BadValue {
        value: value.shown(item),
        expected: "names of hosts, such as api.example.com or *.example.com".to_owned(),
    };
    value::list(value)?.into_iter().map(|item| host(item).ok_or_else(|| wrong(item))).collect()
}

fn networks(value: &Value<'_>) -> Result<Vec<IpNet>, Fault> {
    let network = |item: &str| {
        let one = || item.parse().map(|ip: IpAddr| ip.into());
        item.parse().or_else(|_| one()).map(|network: IpNet| network.trunc())
    };
    let wrong = |item| Fault::BadValue {
        value: value.shown(item),
        expected: "networks such as 10.0.0.0/8, 192.168.1.7 or fd00::/8".to_owned(),
    };
    let items = value::list(value)?.into_iter();
    items.map(|item| network(item).map_err(|_| wrong(item))).collect()
}

fn client_certificate(reader: &mut Reader<'_>) -> Option<ClientCertificate> {
    let set = |key| reader.section.get(key).is_some();
    if !set("client_certificate") && !set("client_key") {
        return None;
    }
    let certificate =
        reader.required("client_certificate", "the PEM file that client_key is for", value::file);
    let key = reader.required("client_key", "the PEM file with the certificate's key", value::file);
    Some(ClientCertificate { certificate: certificate?, key: key? })
}
