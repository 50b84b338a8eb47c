//! Who may be connected to.
//!
//! What a plugin asks for is judged twice: the URL by its host, before anything happens, and
//! every address that the host turns out to have, before it is dialled. Names are never judged by
//! how they look, only addresses are: `0x7f.1` is as much this machine as `localhost` is.
//!
//! The endpoint's own host and port are where the operator said, on whatever network that is. Any
//! other host needs to be in `allow_hosts`, and its address to be public or in `allow_networks`.
//! Nobody gets to link-local, metadata and multicast addresses, and to the console.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::Context as _;
use hyper::Uri;
use ipnet::IpNet;
use url::{Host, Url};

use super::address::{Class, class};
use super::failure::SendFailure;

/// Judges for one endpoint, or for one service that the endpoint needs.
#[derive(Debug)]
pub(super) struct Guard {
    /// Where the operator said.
    own: Origin,
    /// The operator wrote https, so this host gets nothing in the open.
    secure: bool,
    /// The other hosts.
    hosts: Vec<Pattern>,
    /// Networks other than the public one on which the other hosts may be.
    networks: Vec<IpNet>,
    /// Where we listen ourselves.
    forbidden: Vec<SocketAddr>,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Names in lower case, without the dot at the end; addresses in their one form.
    pub(super) host: Host,
    pub(super) port: u16,
}

/// A URL that was judged by its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Where it leads.
    pub(super) origin: Origin,
    /// It is the endpoint's own.
    pub(super) own: bool,
    /// TLS is spoken there.
    pub(super) tls: bool,
}

/// What an entry of `allow_hosts` says.
#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    /// This host.
    Host(Host),
    /// Everything below: `.name`.
    Below(String),
}

impl Guard {
    /// A guard for what is at `own`. Fails if `own` has no host, or if an entry of `allow_hosts`
    /// is none.
    pub(super) fn new(
        own: &Url,
        allow_hosts: &[String],
        allow_networks: &[IpNet],
        forbidden: &[SocketAddr],
    ) -> anyhow::Result<Self> {
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
            hosts: allow_hosts.iter().map(pattern).collect::<anyhow::Result<_>>()?,
            networks: allow_networks.to_vec(),
            forbidden: forbidden.to_vec(),
        })
    }

    /// Judges a URL by its host.
    pub(super) fn admit(&self, url: &Uri) -> Result<Target, SendFailure> {
        let (Some(authority), Some(scheme)) = (url.authority(), url.scheme_str()) else {
            return Err(refused("the URL is not absolute"));
        };
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(refused("the URL is neither http nor https")),
        };
        if authority.as_str().contains('@') {
            return Err(refused("the URL has a user name in it; use auth for credentials"));
        }
        let host = normal(authority.host())
            .ok_or_else(|| refused(format!("{} is no host", authority.host())))?;
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // `host:` and `host:99999` have one that is none.
            None if authority.as_str() != authority.host() => {
                return Err(refused("the URL's port is no number up to 65535"));
            }
            None if tls => 443,
            None => 80,
        };
        let origin = Origin { host, port };
        if self.secure && !tls && origin.host == self.own.host {
            let host = &origin.host;
            return Err(refused(format!("{host} gets https only, as in the endpoint's url")));
        }
        let own = origin == self.own;
        if !own && !self.hosts.iter().any(|pattern| pattern.matches(&origin.host)) {
            let Origin { host, port } = origin;
            return Err(refused(format!(
                "{host}, port {port}, is not the endpoint's own; allow_hosts = {host} would allow it"
            )));
        }
        Ok(Target { origin, own, tls })
    }

    /// Judges an address that a target has.
    pub(super) fn judge(&self, target: &Target, address: SocketAddr) -> Result<(), SendFailure> {
        let (ip, host) = (address.ip(), &target.origin.host);
        let class = class(ip);
        if class.never() {
            let what = class.described();
            return Err(refused(format!("{host} is at {ip}, {what}; nothing is sent there")));
        }
        if self.forbidden.iter().any(|listening| is_same(*listening, address)) {
            return Err(refused(format!("{host} is at {address}, the service's own console")));
        }
        let allowed = target.own
            || class == Class::Global
            || self.networks.iter().any(|network| network.contains(&ip));
        if !allowed {
            let (what, network) = (class.described(), IpNet::from(ip));
            return Err(refused(format!(
                "{host} is at {ip}, {what}; allow_networks = {network} would allow it"
            )));
        }
        Ok(())
    }
}

/// Why a request of a plugin for `url` would be refused at once by an endpoint at `own`; `None` if
/// it depends on what its host turns out to be.
pub fn refusal(own: &Url, allow_hosts: &[String], url: &str) -> Option<String> {
    let judged = Guard::new(own, allow_hosts, &[], &[]).map(|guard| match url.parse::<Uri>() {
        Ok(url) => guard.admit(&url).err().map(|failure| failure.to_string()),
        Err(error) => Some(error.to_string()),
    });
    judged.unwrap_or_else(|error| Some(error.to_string()))
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

/// Whether who dials `address` gets to who listens at `listening`.
fn is_same(listening: SocketAddr, address: SocketAddr) -> bool {
    let (own, ip) = (listening.ip().to_canonical(), address.ip().to_canonical());
    listening.port() == address.port()
        && (own == ip || (own.is_unspecified() && (ip.is_loopback() || is_this_machine(ip))))
}

/// Whether packets to `ip` stay here: then they would also come from there. Sends nothing.
fn is_this_machine(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

fn refused(why: impl Into<String>) -> SendFailure {
    SendFailure::Refused(why.into())
}
