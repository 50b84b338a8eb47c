//! The numbering plan of an exchange, and the choices for what is unknown on the wire.

use std::collections::{BTreeMap, BTreeSet};

use crate::exchange::participant::Kind;

/// Everything about an exchange that does not change while calls come and go.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The internal numbers.
    pub dns: BTreeMap<String, Dn>,
    /// Where calls to the numbers of the trunk go.
    pub dids: BTreeMap<String, Did>,
    /// The trunk over which calls come and go.
    pub trunk: String,
    /// The route point of the API app; its number is the client id.
    pub route_point: String,
    /// The DNs listed for the app; without a list all extensions, queues, ring groups and
    /// receptionists.
    pub listed: Option<BTreeSet<String>>,
    /// The number of the first call after a start.
    pub first_call: i64,
    /// The id of the first participant after a start.
    pub first_participant: i64,
    /// Choices for what is unknown on the wire.
    pub wire: Wire,
}

/// An internal number.
#[derive(Clone, Debug)]
pub struct Dn {
    /// Display name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// SIP contacts of its phones; each rings with a participant of its own.
    pub devices: Vec<String>,
    /// The extensions a queue or a ring group rings.
    pub members: Vec<String>,
    /// In which order it rings them.
    pub strategy: Strategy,
    /// Where a call goes that is not answered here; nowhere: it ends.
    pub if_not_answered: Option<String>,
}

/// A number of the trunk.
#[derive(Clone, Debug)]
pub struct Did {
    /// The internal number its calls go to.
    pub to: String,
    /// The name of its inbound rule, shown before the caller's name; none if empty.
    pub rule: String,
}

/// How a queue or a ring group looks for somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// All members ring at once.
    #[default]
    RingAll,
    /// One member after the other.
    Hunt,
}

/// What is not known of the wire, with the likeliest guess as default. A client should cope
/// with every value.
#[expect(clippy::struct_excessive_bools, reason = "switches that know nothing of each other")]
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// Extension legs of an inbound call tell the dialled number. In all captures they do not.
    pub party_did: bool,
    /// Who is told as the origin of a leg that a queue or a ring group offers.
    pub polled_by: PolledBy,
    /// A ring group has a Ringing participant of its own while it rings its members.
    pub group_leg: bool,
    /// The queue's participant stays while an agent talks.
    pub queue_leg_stays: bool,
    /// Names of queues stand before the caller's name.
    pub queue_prefix: bool,
    /// What an attended transfer does to the legs that remain.
    pub join: Join,
    /// What a hold shows.
    pub hold: Hold,
}

/// Who is told as the origin of a polled leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolledBy {
    /// The queue or group (inferred).
    #[default]
    Group,
    /// `ROUTER`, as for a direct call.
    Router,
    /// Nobody.
    Nobody,
}

/// What an attended transfer does. The call detail records show a common main call, so at least
/// one remaining leg moves or is replaced (inferred).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Join {
    /// The consulted party's leg keeps its id and moves to the first call's number.
    #[default]
    LegMoves,
    /// The consulted party's leg is replaced by a new one in the first call.
    LegReplaced,
    /// The first call's far leg moves to the consultation's number.
    OtherSideMoves,
}

/// What a hold shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// Nothing, as reported by one author of a client.
    #[default]
    Silent,
    /// An upsert that changes nothing.
    Repeat,
    /// The words of the .NET interface, Hold and Held.
    Status,
}

impl Plan {
    /// Whether the app sees this DN.
    pub fn visible(&self, dn: &str) -> bool {
        if dn == self.route_point {
            return true;
        }
        match (&self.listed, self.dns.get(dn)) {
            (_, None) => false,
            (Some(listed), Some(_)) => listed.contains(dn),
            (None, Some(found)) => matches!(
                found.kind,
                Kind::Extension | Kind::Queue | Kind::RingGroup | Kind::Receptionist
            ),
        }
    }

    /// What a DN is; [`Kind::None`] for an unknown one.
    pub fn kind(&self, dn: &str) -> Kind {
        self.dns.get(dn).map_or(Kind::None, |found| found.kind)
    }
}

impl Dn {
    /// A DN without phones, members or forwarding.
    pub fn new(kind: Kind, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            devices: Vec::new(),
            members: Vec::new(),
            strategy: Strategy::default(),
            if_not_answered: None,
        }
    }
}
