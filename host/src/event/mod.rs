//! The vocabulary: what a call event is, in the words of telephony.
//!
//! These types are the host's own. They know nothing of 3CX, of WebAssembly or of SQL; each of
//! those has its place where it is translated to or from them. Their JSON form (serde) is what
//! the outbox keeps, what sample events are written in, and what JSON-minded plugins send.
//!
//! Durations are whole milliseconds. `None` means "not known", never "zero".

mod id;
pub mod samples;

use serde::{Deserialize, Serialize};

pub use self::id::{CallId, ChainId, LocalTime};

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

impl StopReason {
    /// The word for it.
    pub fn name(&self) -> &str {
        match self {
            Self::AnsweredElsewhere => "answered-elsewhere",
            Self::Moved => "moved",
            Self::CallerGone => "caller-gone",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Other(name) => name,
        }
    }
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
    /// Sent where the .ini does not say which events to send: ringing, start, end.
    pub fn is_usual(&self) -> bool {
        matches!(self, Self::Ringing(_) | Self::Started(_) | Self::Ended(_))
    }

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
