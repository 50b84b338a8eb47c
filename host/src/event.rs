//! The vocabulary: what a call event is, in the words of telephony.
//!
//! These types are the host's own. They know nothing of 3CX, of WebAssembly or of SQL; each of
//! those has its place where it is translated to or from them. Their JSON form (serde) is what
//! the outbox keeps, what sample events are written in, and what JSON-minded plugins send.
//!
//! Durations are whole milliseconds. `None` means "not known", never "zero".

use std::fmt;

use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

/// A point in time together with the offset from UTC that the PBX had then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime {
    epoch_ms: i64,
    offset_seconds: i32,
}

impl LocalTime {
    /// `at` as the clock on the wall of `zone` shows it.
    pub fn new(at: jiff::Timestamp, zone: &TimeZone) -> Self {
        Self { epoch_ms: at.as_millisecond(), offset_seconds: zone.to_offset(at).seconds() }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn epoch_ms(self) -> i64 {
        self.epoch_ms
    }

    fn zoned(self) -> jiff::Zoned {
        let offset = Offset::from_seconds(self.offset_seconds).unwrap_or(Offset::UTC);
        let at = jiff::Timestamp::from_millisecond(self.epoch_ms).unwrap_or_default();
        at.to_zoned(offset.to_time_zone())
    }

    /// The date and time part of a call id: `yyMMddHHmmss`.
    pub fn stamp(self) -> String {
        self.zoned().strftime("%y%m%d%H%M%S").to_string()
    }
}

/// RFC 3339 with milliseconds: `2026-03-05T09:15:02.120+01:00`.
impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.zoned().strftime("%Y-%m-%dT%H:%M:%S%.3f%:z"))
    }
}

impl Serialize for LocalTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let pieces = jiff::fmt::temporal::Pieces::parse(&text).map_err(serde::de::Error::custom)?;
        let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        let offset = pieces.to_numeric_offset().map_or(0, Offset::seconds);
        Ok(Self { epoch_ms: at.as_millisecond(), offset_seconds: offset })
    }
}

/// All links of one call share this: `yyMMddHHmmss_number`, e.g. `210701165649_698`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(String);

impl ChainId {
    /// From the PBX's local time when the call arrived, and the PBX's number of the call.
    pub fn new(arrived_at: LocalTime, call_number: i64) -> Self {
        Self(format!("{}_{call_number}", arrived_at.stamp()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in a chain of transfers: `yyMMddHHmmss_number-link`, e.g. `210701165649_698-2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    /// What all links share.
    pub chain: ChainId,
    /// 0 until somebody answers, 1 from the first answer, one more for each transfer.
    pub link: u32,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.chain, self.link)
    }
}

/// Which way a call goes, seen from the company.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Somebody outside called.
    Incoming,
    /// Somebody inside called out.
    Outgoing,
    /// Between two internal numbers.
    Internal,
    /// The call was already up when it was first seen, and nothing tells.
    Unknown,
}

/// What kind of internal number a party is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartyKind {
    /// A person's extension.
    Extension,
    /// A call queue.
    Queue,
    /// Anything else, by name: `ring-group`, `receptionist`, `voicemail`, `route-point`, ...
    Other(String),
}

impl PartyKind {
    /// The value of `usertype` in the plain GET.
    pub fn user_type(&self) -> &'static str {
        match self {
            Self::Extension => "ext",
            Self::Queue => "queue",
            Self::Other(_) => "other",
        }
    }
}

/// One internal side of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The internal number (DN).
    pub number: String,
    /// What the number is.
    pub kind: PartyKind,
    /// The name that the PBX or the directory gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// The number that an incoming call was dialled to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Did {
    /// As the PBX tells it; empty where only the rule's name is known.
    pub number: String,
    /// The name of the DID rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Did {
    /// The rule's name where one is known, else the number.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.number)
    }
}

/// How the answering party came to the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferType {
    /// It was called: an ordinary answer.
    NotDef,
    /// Through a blind transfer.
    Blind,
    /// Through an attended transfer.
    Accomp,
}

/// How a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinishType {
    /// There was a conversation.
    Ok,
    /// Incoming: nobody inside answered. Outgoing: the other side never picked up.
    Missed,
}

/// Which side hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The external side.
    External,
    /// The internal side.
    User,
    /// Not known.
    Unknown,
}

/// Whether the caller ordered a callback before leaving a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Callback {
    /// A callback was ordered.
    Yes,
    /// None was ordered.
    No,
    /// Not known.
    Unknown,
}

/// Why a phone stopped ringing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// Somebody else picked up.
    AnsweredElsewhere,
    /// The call went on to another destination.
    Moved,
    /// The caller hung up.
    CallerGone,
    /// The user rejected the call.
    Rejected,
    /// Not known.
    Unknown,
    /// A reason without a case of its own.
    Other(String),
}

/// A phone, a queue or another internal destination starts to ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ringing {
    /// How the call came to this party.
    pub transfer: TransferType,
    /// Who transferred it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transferred_by: Option<Party>,
}

/// Somebody answered: inside for an incoming call, outside for an outgoing one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// How the call came to this party.
    pub transfer: TransferType,
    /// Who transferred it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transferred_by: Option<Party>,
    /// When this party's phone began to ring; for an outgoing call, when it was dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rang_at: Option<LocalTime>,
    /// How long it rang.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring_ms: Option<u32>,
    /// From the arrival of this link of the call to the answer.
    pub wait_ms: u32,
}

/// A link of the call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Whether there was a conversation.
    pub finish: FinishType,
    /// The call moved on to another party, and the next link follows.
    pub transferred: bool,
    /// Where it moved to, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transferred_to: Option<Party>,
    /// Which side hung up.
    pub hung_up_by: Side,
    /// One readable phrase.
    pub title: String,
    /// When the party's phone began to ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rang_at: Option<LocalTime>,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<LocalTime>,
    /// How long the party's phone rang.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring_ms: Option<u32>,
    /// From the arrival of this link of the call to the answer, or else to the end.
    pub wait_ms: u32,
    /// The conversation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talk_ms: Option<u32>,
    /// Whether the caller ordered a callback.
    pub callback_ordered: Callback,
    /// Everybody whose phone rang on this link and who did not answer.
    pub unanswered: Vec<Party>,
}

/// A phone stopped ringing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingingStopped {
    /// Why.
    pub reason: StopReason,
    /// How long it rang.
    pub rang_ms: u32,
}

/// A recording of an ended link is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Where the PBX keeps it.
    pub url: String,
    /// Its length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u32>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum EventKind {
    /// A destination starts to ring.
    Ringing(Ringing),
    /// Somebody answered.
    Started(Started),
    /// A link ended.
    Ended(Ended),
    /// A phone stopped ringing.
    RingingStopped(RingingStopped),
    /// An outgoing call was dialled.
    Dialing,
    /// The user put the call on hold.
    Hold,
    /// The user took the call back from hold.
    Resume,
    /// A recording is there.
    Recording(Recording),
}

impl EventKind {
    /// The name by which the .ini's `events` selects this kind.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ringing(_) => "ringing",
            Self::Started(_) => "start",
            Self::Ended(_) => "end",
            Self::RingingStopped(_) => "ringing-stopped",
            Self::Dialing => "dialing",
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Recording(_) => "recording",
        }
    }
}

/// One event of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEvent {
    /// The same for every retry and every replay of this event, and for no other event:
    /// `pbx-chain-sequence`.
    pub event_id: String,
    /// Chain and link.
    pub id: CallId,
    /// Counts the events of this chain from 1.
    pub sequence: u32,
    /// The name of the PBX.
    pub pbx: String,
    /// Which way the call goes.
    pub direction: Direction,
    /// The external number; empty where withheld or unknown. For an internal call, the other
    /// extension.
    pub caller_id: String,
    /// The external side's display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_name: Option<String>,
    /// The internal side.
    pub user: Party,
    /// Incoming calls only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did: Option<Did>,
    /// The queue that the call came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Party>,
    /// When the call arrived at the PBX.
    pub arrived_at: LocalTime,
    /// When this event happened.
    pub occurred_at: LocalTime,
    /// Concluded after the PBX could not be watched for a while.
    #[serde(default)]
    pub resynced: bool,
    /// What happened.
    pub kind: EventKind,
}

impl CallEvent {
    /// All internal sides that the event names.
    pub fn parties_mut(&mut self) -> impl Iterator<Item = &mut Party> {
        let of_kind: Vec<&mut Party> = match &mut self.kind {
            EventKind::Ringing(ringing) => ringing.transferred_by.iter_mut().collect(),
            EventKind::Started(started) => started.transferred_by.iter_mut().collect(),
            EventKind::Ended(ended) => {
                ended.transferred_to.iter_mut().chain(&mut ended.unanswered).collect()
            }
            _ => Vec::new(),
        };
        std::iter::once(&mut self.user).chain(&mut self.queue).chain(of_kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_reads_as_local_arrival_number_and_link() {
        let zone = TimeZone::get("Europe/Prague").unwrap();
        let at = LocalTime::new("2021-07-01T14:56:49.250Z".parse().unwrap(), &zone);
        let id = CallId { chain: ChainId::new(at, 698), link: 2 };
        assert_eq!(id.to_string(), "210701165649_698-2");
        assert_eq!(at.to_string(), "2021-07-01T16:56:49.250+02:00");
    }

    #[test]
    fn a_local_time_survives_json() {
        for text in ["2021-07-01T16:56:49.250+02:00", "1999-12-31T23:59:59.000-03:30"] {
            let json = format!("\"{text}\"");
            let at: LocalTime = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&at).unwrap(), json);
        }
    }
}
