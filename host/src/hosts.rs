//! Which hosts an endpoint's requests may go to: its own, where the operator said, and those in
//! `allow_hosts`.
//!
//! Judged twice: when a plugin has made a request, so that its author hears of it at once, and
//! again before it is sent, as the settings may have changed meanwhile.

use std::net::IpAddr;

use anyhow::Context as _;
use hyper::Uri;
use url::{Host, Url};

/// The hosts of one endpoint, or of one service that the endpoint needs.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// Where the operator said.
    own: Origin,
    /// The operator wrote https, so this host gets nothing in the open.
    secure: bool,
    /// The other hosts.
    others: Vec<Pattern>,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Names in lower case, without the dot at the end; addresses in their one form.
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// A URL that was judged by its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where it leads.
    pub(crate) origin: Origin,
    /// It is the endpoint's own.
    pub(crate) own: bool,
    /// TLS is spoken there.
    pub(crate) tls: bool,
}

/// What an entry of `allow_hosts` says.
#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    /// This host.
    Host(Host),
    /// Everything below: `.name`.
    Below(String),
}

impl Hosts {
    /// What is at `own`, and the hosts that these entries name. Fails if `own` has no host, or if
    /// an entry is none.
    pub(crate) fn new(own: &Url, allow_hosts: &[String]) -> anyhow::Result<Self> {
        let host = own.host_str().and_then(normal).context("the URL has no host")?;
        let port = own.port_or_known_default().context("the URL has no port")?;
        let pattern = |entry: &String| {
            Pattern::parse(entry).with_context(|| {
                format!("allow_hosts: {entry} is neither a host nor *. and a name")
            })
        };
        Ok(Self {
            own: Origin { host, port },
            secure: own.scheme() == "https",
            others: allow_hosts.iter().map(pattern).collect::<anyhow::Result<_>>()?,
        })
    }

    /// Judges a URL by its host; says what is wrong with it.
    pub(crate) fn admit(&self, url: &Uri) -> Result<Target, String> {
        let (Some(authority), Some(scheme)) = (url.authority(), url.scheme_str()) else {
            return Err("the URL is not absolute".to_owned());
        };
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err("the URL is neither http nor https".to_owned()),
        };
        if authority.as_str().contains('@') {
            return Err("the URL has a user name in it; use auth for credentials".to_owned());
        }
        let host =
            normal(authority.host()).ok_or_else(|| format!("{} is no host", authority.host()))?;
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // `host:` and `host:99999` have one that is none.
            None if authority.as_str() != authority.host() => {
                return Err("the URL's port is no number up to 65535".to_owned());
            }
            None if tls => 443,
            None => 80,
        };
        let origin = Origin { host, port };
        if self.secure && !tls && origin.host == self.own.host {
            let host = &origin.host;
            return Err(format!("{host} gets https only, as in the endpoint's url"));
        }
        let own = origin == self.own;
        if !own && !self.others.iter().any(|pattern| pattern.matches(&origin.host)) {
            let Origin { host, port } = origin;
            return Err(format!(
                "{host}, port {port}, is not the endpoint's own; allow_hosts = {host} would allow it"
            ));
        }
        Ok(Target { origin, own, tls })
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let below = text.strip_prefix("*.");
        let named = below.unwrap_or(text);
        if named.contains('*') {
            return None;
        }
        match below {
            None => normal(named).map(Self::Host),
            Some(name) => match normal(name)? {
                Host::Domain(name) => Some(Self::Below(format!(".{name}"))),
                Host::Ipv4(_) | Host::Ipv6(_) => None,
            },
        }
    }

    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Host(allowed), host) => allowed == host,
            (Self::Below(suffix), Host::Domain(name)) => {
                name.len() > suffix.len() && name.ends_with(suffix.as_str())
            }
            (Self::Below(_), _) => false,
        }
    }
}

/// One form for all spellings of a host, of which those of IPv4 addresses are many. IPv6 addresses
/// are in brackets.
fn normal(host: &str) -> Option<Host> {
    match Host::parse(host).ok()? {
        Host::Domain(name) => {
            let bare = name.strip_suffix('.').unwrap_or(&name);
            (!bare.is_empty() && !bare.ends_with('.')).then(|| Host::Domain(bare.to_owned()))
        }
        Host::Ipv6(address) => match IpAddr::from(address).to_canonical() {
            IpAddr::V4(address) => Some(Host::Ipv4(address)),
            IpAddr::V6(address) => Some(Host::Ipv6(address)),
        },
        Host::Ipv4(address) => Some(Host::Ipv4(address)),
    }
}
