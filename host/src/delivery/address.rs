//! What kind of network an IP address belongs to.
//!
//! The ranges are those of the IANA registries of special-purpose addresses (RFC 6890 and what
//! followed it), and the addresses at which clouds hand out credentials to whoever asks. An IPv6
//! address that embeds an IPv4 address is judged by that one, because that is where it leads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What kind of network an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Anywhere in the world.
    Global,
    /// This machine.
    Loopback,
    /// A network of somebody's own, shared address space of providers included.
    Private,
    /// Documentation, benchmarks, the future, or a transition to IPv6 that is over.
    Reserved,
    /// No machine, or this one.
    Unspecified,
    /// The cable that this machine is on.
    LinkLocal,
    /// Where a cloud hands out a machine's credentials.
    Metadata,
    /// Many machines.
    Multicast,
    /// All machines.
    Broadcast,
}

const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    // Alibaba, Oracle, Azure.
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];

const METADATA_V6: [Ipv6Addr; 3] = [
    // Amazon, Google, Scaleway.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

/// The first that holds the address counts.
const V4: [(Ipv4Net, Class); 17] = [
    (v4(0, 0, 0, 0, 8), Class::Unspecified),
    (v4(10, 0, 0, 0, 8), Class::Private),
    (v4(100, 64, 0, 0, 10), Class::Private),
    (v4(127, 0, 0, 0, 8), Class::Loopback),
    (v4(169, 254, 0, 0, 16), Class::LinkLocal),
    (v4(172, 16, 0, 0, 12), Class::Private),
    (v4(192, 0, 0, 0, 24), Class::Reserved),
    (v4(192, 0, 2, 0, 24), Class::Reserved),
    (v4(192, 88, 99, 0, 24), Class::Reserved),
    (v4(192, 168, 0, 0, 16), Class::Private),
    (v4(198, 18, 0, 0, 15), Class::Reserved),
    (v4(198, 51, 100, 0, 24), Class::Reserved),
    (v4(203, 0, 113, 0, 24), Class::Reserved),
    (v4(224, 0, 0, 0, 4), Class::Multicast),
    (v4(255, 255, 255, 255, 32), Class::Broadcast),
    (v4(240, 0, 0, 0, 4), Class::Reserved),
    (v4(0, 0, 0, 0, 0), Class::Global),
];

/// The first that holds the address counts; what is in none is not in use.
const V6: [(Ipv6Net, Class); 9] = [
    (v6([0xfc00, 0, 0], 7), Class::Private),
    (v6([0xfe80, 0, 0], 10), Class::LinkLocal),
    (v6([0xfec0, 0, 0], 10), Class::Private),
    (v6([0xff00, 0, 0], 8), Class::Multicast),
    // Protocol assignments: Teredo, benchmarks, ORCHID.
    (v6([0x2001, 0, 0], 23), Class::Reserved),
    (v6([0x2001, 0xdb8, 0], 32), Class::Reserved),
    (v6([0x3fff, 0, 0], 20), Class::Reserved),
    (v6([0x2000, 0, 0], 3), Class::Global),
    // 100::/64, 5f00::/16, 64:ff9b:1::/48 and what nobody was given yet.
    (v6([0, 0, 0], 0), Class::Reserved),
];

impl Class {
    /// Nobody has an endpoint there.
    pub(super) fn never(self) -> bool {
        matches!(
            self,
            Self::Unspecified
                | Self::LinkLocal
                | Self::Metadata
                | Self::Multicast
                | Self::Broadcast
        )
    }

    /// The class in words, with the article.
    pub(super) fn described(self) -> &'static str {
        match self {
            Self::Global => "a public address",
            Self::Loopback => "an address of this machine",
            Self::Private => "a private address",
            Self::Reserved => "an address reserved for special purposes",
            Self::Unspecified => "an address of no machine",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "an address where a cloud hands out credentials",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
        }
    }
}

/// The class of an address.
pub(super) fn class(address: IpAddr) -> Class {
    match address.to_canonical() {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    if METADATA_V4.contains(&address) {
        return Class::Metadata;
    }
    let found = V4.iter().find(|(range, _)| range.contains(&address));
    found.map_or(Class::Reserved, |(_, class)| *class)
}

fn class_v6(address: Ipv6Addr) -> Class {
    if METADATA_V6.contains(&address) {
        return Class::Metadata;
    }
    if address.is_loopback() {
        return Class::Loopback;
    }
    if address.is_unspecified() {
        return Class::Unspecified;
    }
    if let Some(target) = led_to(address) {
        return class_v4(target);
    }
    let found = V6.iter().find(|(range, _)| range.contains(&address));
    let own = found.map_or(Class::Reserved, |(_, class)| *class);
    hidden(address).into_iter().flatten().map(class_v4).fold(own, worse)
}

/// The IPv4 address that packets to this one arrive at.
fn led_to(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        // NAT64, RFC 6052 (all that an IPv6-only network sees of the rest), and 6to4, RFC 3056.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
}

/// IPv4 addresses that packets to this one may arrive at.
fn hidden(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    match address.segments() {
        // IPv4-compatible, RFC 4291 section 2.5.5.1, and NAT64 within a network, RFC 8215.
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, .., high, low] => {
            [Some(joined(high, low)), None]
        }
        // Teredo, RFC 4380: the server, and the client with its bits turned over.
        [0x2001, 0, high, low, .., client_high, client_low] => {
            [Some(joined(high, low)), Some(joined(!client_high, !client_low))]
        }
        // ISATAP, RFC 5214.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => [Some(joined(high, low)), None],
        _ => [None, None],
    }
}

fn worse(one: Class, other: Class) -> Class {
    let first = one.never() || (one != Class::Global && !other.never());
    if first { one } else { other }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(start: [u16; 3], length: u8) -> Ipv6Net {
    let [a, b, c] = start;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}
