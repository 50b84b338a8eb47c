//! What a source says about the exchange: plain values, no more than the PBX told.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;

/// Something that a source saw, with the time at which it arrived here. 3CX stamps nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// When it was seen.
    pub at: Moment,
    /// What was seen.
    pub what: Seen,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "kebab-case")]
pub enum Seen {
    /// A participant exists, and this is its state now. Repeats are routine.
    Leg(Box<Participant>),
    /// A participant is gone.
    LegGone(LegKey),
    /// Everything that is visible now: what is not in it is gone.
    Snapshot(Snapshot),
    /// What the PBX's books say of its numbers. Replaces what they said before.
    Known(Box<Known>),
    /// What the PBX's call log says of the last calls, as far as it was asked for. That it comes
    /// at all, be it empty, shows that the log can be read.
    Logged {
        /// The rows.
        rows: Vec<LogRow>,
    },
    /// The calls that are going on, of those that the client may know of, by their run-time
    /// numbers. Told only while a call is out of sight.
    Active {
        /// The numbers.
        calls: Vec<i64>,
    },
    /// The PBX can no longer be watched. A snapshot follows when it can.
    Lost,
    /// Nothing new, but time has passed.
    Tick,
}

/// All visible DNs with all their participants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The first one of a connection: things may have happened unseen before it.
    pub after_gap: bool,
    /// The DNs.
    pub dns: Vec<Dn>,
    /// Their participants.
    pub legs: Vec<Participant>,
}

/// A visible number of the exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dn {
    /// The number.
    pub number: String,
    /// What it is.
    pub kind: DnType,
}

/// What the PBX's books say, as far as they are open to us.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The dialled numbers that have a rule with a name.
    pub dids: Vec<KnownDid>,
    /// The internal numbers, visible or not.
    pub numbers: Vec<KnownNumber>,
}

/// A dialled number and its rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDid {
    /// The number; `*` before it stands for any digits.
    pub number: String,
    /// The name of the rule; never empty.
    pub name: String,
}

/// An internal number and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownNumber {
    /// The number.
    pub number: String,
    /// What it is; [`DnType::None`] where the books do not say.
    pub kind: DnType,
    /// The name of the person, the queue and so on; never empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The person's e-mail address; never empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// A row of the PBX's call log: one segment of a call, between two parties. The log knows calls by
/// other ids than the run-time numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// The same on all rows of one call; empty where the PBX tells none.
    pub call: String,
    /// Who called.
    pub from: LogParty,
    /// Who was called.
    pub to: LogParty,
    /// When the segment began, by the PBX's clock.
    pub started: jiff::Timestamp,
    /// How long it rang.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ringing_ms: Option<u32>,
    /// How long they talked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talking_ms: Option<u32>,
    /// Whether it was answered, by whomever.
    pub answered: bool,
    /// Where its recordings are, as the PBX tells it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<String>,
}

/// A side of a segment. Texts are empty where the PBX says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogParty {
    /// The internal number: extension, queue, trunk.
    pub dn: String,
    /// The number that is shown: the one outside, for a trunk.
    pub number: String,
}

/// A leg of a call: one participant of one DN. Ids are run-time counters of the PBX and start
/// over when it restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LegKey {
    /// The DN that owns the leg.
    pub dn: String,
    /// The participant's id.
    pub id: i64,
}

impl fmt::Display for LegKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.dn, self.id)
    }
}

/// The state of a leg, as the Call Control API's participant object tells it. Texts are empty
/// where the PBX says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Which leg.
    #[serde(flatten)]
    pub key: LegKey,
    /// The run-time number of the call; the same on all legs of one conversation.
    pub call_id: i64,
    /// Number of the leg in the call; in all captures 1 is the one who calls.
    pub leg_id: i64,
    /// Where the leg stands.
    pub status: Status,
    /// The other side's DN: extension, trunk, or empty while unknown.
    pub party_dn: String,
    /// What that DN is.
    pub party_dn_type: DnType,
    /// The other side's number: the caller id, the dialled number, the extension.
    pub party_caller_id: String,
    /// The other side's display name, possibly with prefixes from queue and DID rule.
    pub party_caller_name: String,
    /// The dialled number; empty in every capture of an extension's leg.
    pub party_did: String,
    /// Who created the leg; `ROUTER` for incoming calls.
    pub originated_by_dn: String,
    /// What that is.
    pub originated_by_type: DnType,
    /// Who transferred the call here (only while ringing, inferred).
    pub referred_by_dn: String,
    /// What that is.
    pub referred_by_type: DnType,
    /// For whom the leg was made.
    pub on_behalf_of_dn: String,
    /// What that is.
    pub on_behalf_of_type: DnType,
    /// The SIP contact of the phone.
    pub device_id: String,
}

/// Where a leg stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// This DN calls, and nobody accepted yet.
    Dialing,
    /// This DN is being called.
    Ringing,
    /// Answered, by whomever: a person, a queue, voicemail.
    Connected,
    /// A word that is not known yet; it ends nothing.
    Other(String),
}

/// What a DN is. 3CX's words are `W` + class name; only some were ever observed, so they are
/// recognised by parts of the word, in any casing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnType {
    /// A person's extension (`Wextension`, observed).
    Extension,
    /// A call queue (`Wqueue`, documented).
    Queue,
    /// A ring group (inferred).
    RingGroup,
    /// A digital receptionist (`Wivr`, documented).
    Receptionist,
    /// A route point: the app itself, or `ROUTER` (`Wroutepoint`, observed).
    RoutePoint,
    /// A trunk (`Wexternalline`, observed).
    ExternalLine,
    /// Voicemail and other menus (`Wspecialmenu`, observed).
    SpecialMenu,
    /// A fax DN (inferred).
    Fax,
    /// A conference (inferred).
    Conference,
    /// A parking place (inferred).
    Parking,
    /// `None`: nothing is known (observed), or the field was empty.
    None,
    /// A word that is not known yet.
    Other(String),
}

impl DnType {
    /// Reads 3CX's word.
    pub fn parse(word: &str) -> Self {
        let lower = word.to_ascii_lowercase();
        let known = [
            ("externalline", Self::ExternalLine),
            ("extension", Self::Extension),
            ("queue", Self::Queue),
            ("ringgroup", Self::RingGroup),
            ("ivr", Self::Receptionist),
            ("routepoint", Self::RoutePoint),
            ("specialmenu", Self::SpecialMenu),
            ("voicemail", Self::SpecialMenu),
            ("fax", Self::Fax),
            ("conference", Self::Conference),
            ("parking", Self::Parking),
        ];
        if lower.is_empty() || lower == "none" {
            return Self::None;
        }
        known
            .into_iter()
            .find_map(|(part, kind)| lower.contains(part).then_some(kind))
            .unwrap_or_else(|| Self::Other(word.to_owned()))
    }
}
