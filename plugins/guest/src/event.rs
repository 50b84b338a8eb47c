//! The words of an event as text, in the spelling of the contract.

use crate::{
    CallEvent, Callback, Did, Direction, EventKind, FinishType, HttpRequest, PartyKind, Side,
    StopReason, TransferType,
};

impl CallEvent {
    /// Everything in `extra` under this name.
    pub fn extra(&self, name: &str) -> Option<&str> {
        self.extra.iter().find(|field| field.name == name).map(|field| field.value.as_str())
    }

    /// Whether this is the last event of the whole chain of calls.
    pub fn is_last(&self) -> bool {
        matches!(&self.kind, EventKind::Ended(ended) if !ended.transferred)
    }
}

impl HttpRequest {
    /// In a draft: what the host says of the endpoint, such as `endpoint` and `dialect`.
    pub fn extra(&self, name: &str) -> Option<&str> {
        self.extra.iter().find(|field| field.name == name).map(|field| field.value.as_str())
    }
}

impl EventKind {
    /// The name by which the .ini's `events` selects this kind.
    pub fn name(&self) -> &str {
        match self {
            Self::Ringing(_) => "ringing",
            Self::Started(_) => "start",
            Self::Ended(_) => "end",
            Self::RingingStopped(_) => "ringing-stopped",
            Self::Dialing => "dialing",
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Recording(_) => "recording",
            Self::Other(other) => &other.name,
        }
    }
}

impl Direction {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Internal => "internal",
            Self::Unknown => "unknown",
        }
    }
}

impl PartyKind {
    /// The word for it.
    pub fn name(&self) -> &str {
        match self {
            Self::Extension => "extension",
            Self::Queue => "queue",
            Self::Other(name) => name,
        }
    }
}

impl Did {
    /// The rule's name where one is known, else the number.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.number)
    }
}

impl TransferType {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotDef => "not-def",
            Self::Blind => "blind",
            Self::Accomp => "accomp",
        }
    }
}

impl FinishType {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missed => "missed",
        }
    }
}

impl Side {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::User => "user",
            Self::Unknown => "unknown",
        }
    }
}

impl Callback {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
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
