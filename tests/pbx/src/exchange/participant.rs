//! A participant, as the Call Control API shows it: the 18 keys of every capture, in their order.

use std::fmt;

use serde::Serialize;

/// One leg of a call, owned by one DN. Texts are empty, never null, where nothing is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// Run-time id, unique on the PBX, growing.
    pub id: i64,
    /// Where the leg stands.
    pub status: Status,
    /// The DN that owns the leg.
    pub dn: String,
    /// Display name of the other side, with prefixes where the plan has them.
    pub party_caller_name: String,
    /// The other side's DN; empty while unknown.
    pub party_dn: String,
    /// The other side's number: caller id, dialled number, extension.
    pub party_caller_id: String,
    /// The dialled number; empty in every capture of an extension's leg.
    pub party_did: String,
    /// SIP contact of the phone; empty for a leg without a phone.
    pub device_id: String,
    /// What `party_dn` is.
    pub party_dn_type: Kind,
    /// Whether the app may answer this leg; true for route points only.
    pub direct_control: bool,
    /// The DN that created the leg; `ROUTER` for calls from a trunk.
    pub originated_by_dn: String,
    /// What that is.
    pub originated_by_type: Kind,
    /// Who transferred the call here; told only while it rings (inferred).
    pub referred_by_dn: String,
    /// What that is.
    pub referred_by_type: Kind,
    /// For whom the leg was made.
    pub on_behalf_of_dn: String,
    /// What that is.
    pub on_behalf_of_type: Kind,
    /// Run-time number of the call.
    pub callid: i64,
    /// Number of the leg in the call.
    pub legid: i64,
}

/// Where a leg stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Status {
    /// Begun by this DN, not yet accepted (observed).
    Dialing,
    /// Offered to this DN (observed).
    Ringing,
    /// Accepted, by whomever (observed).
    Connected,
    /// On hold by this side (known from the .NET interface only; inferred here).
    Hold,
    /// Put on hold by the other side (known from the .NET interface only; inferred here).
    Held,
}

/// What a DN is, with 3CX's word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Kind {
    /// A person's extension (observed).
    #[serde(rename = "Wextension")]
    Extension,
    /// A call queue (documented).
    #[serde(rename = "Wqueue")]
    Queue,
    /// A ring group (the word is inferred).
    #[serde(rename = "Wringgroup")]
    RingGroup,
    /// A digital receptionist (documented).
    #[serde(rename = "Wivr")]
    Receptionist,
    /// The app's own DN, and the inbound router (observed).
    #[serde(rename = "Wroutepoint")]
    RoutePoint,
    /// A trunk (observed).
    #[serde(rename = "Wexternalline")]
    Trunk,
    /// Voicemail (observed).
    #[serde(rename = "Wspecialmenu")]
    SpecialMenu,
    /// A parking place (the word is inferred).
    #[serde(rename = "Wparking")]
    Parking,
    /// A fax DN (the word is inferred).
    #[serde(rename = "Wfax")]
    Fax,
    /// A conference room (the word is inferred).
    #[serde(rename = "Wconference")]
    Conference,
    /// Nothing is known (observed).
    None,
}

impl Kind {
    /// 3CX's word, as it stands in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Extension => "Wextension",
            Self::Queue => "Wqueue",
            Self::RingGroup => "Wringgroup",
            Self::Receptionist => "Wivr",
            Self::RoutePoint => "Wroutepoint",
            Self::Trunk => "Wexternalline",
            Self::SpecialMenu => "Wspecialmenu",
            Self::Parking => "Wparking",
            Self::Fax => "Wfax",
            Self::Conference => "Wconference",
            Self::None => "None",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What the exchange tells its watchers, in the order in which it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A participant was added or changed; this is its state right after.
    Upsert(Box<Participant>),
    /// A participant is gone; this is its last state, of which the wire tells only DN and id.
    Remove(Box<Participant>),
}

impl Change {
    /// The participant that changed.
    pub fn participant(&self) -> &Participant {
        match self {
            Self::Upsert(participant) | Self::Remove(participant) => participant,
        }
    }
}

/// One line of a table: what, DN, and for an upsert the state, the other side and the origin.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = self.participant();
        if matches!(self, Self::Remove(_)) {
            return write!(f, "remove {}", p.dn);
        }
        write!(f, "upsert {} {:?} party=", p.dn, p.status)?;
        write!(f, "{}/{}/{}", p.party_dn, p.party_dn_type, p.party_caller_id)?;
        if !p.originated_by_dn.is_empty() {
            write!(f, " by={}/{}", p.originated_by_dn, p.originated_by_type)?;
        }
        if !p.referred_by_dn.is_empty() {
            write!(f, " referred={}", p.referred_by_dn)?;
        }
        if !p.on_behalf_of_dn.is_empty() {
            write!(f, " behalf={}", p.on_behalf_of_dn)?;
        }
        write!(f, " call={} leg={}", p.callid, p.legid)
    }
}
