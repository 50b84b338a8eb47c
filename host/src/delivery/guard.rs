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

use hyper::Uri;
use ipnet::IpNet;
use url::Url;

use super::address::{Class, class};
use super::failure::SendFailure;
use crate::hosts::{Hosts, Target};

/// Judges for one endpoint, or for one service that the endpoint needs.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: Hosts,
    /// Networks other than the public one on which hosts that are not our own may be.
    networks: Vec<IpNet>,
    /// Where we listen ourselves.
    forbidden: Vec<SocketAddr>,
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
        Ok(Self {
            hosts: Hosts::new(own, allow_hosts)?,
            networks: allow_networks.to_vec(),
            forbidden: forbidden.to_vec(),
        })
    }

    /// Judges a URL by its host.
    pub(super) fn admit(&self, url: &Uri) -> Result<Target, SendFailure> {
        self.hosts.admit(url).map_err(SendFailure::Refused)
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
