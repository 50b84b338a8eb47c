//! The place in the chain of transfers that a call is at.

use serde::{Deserialize, Serialize};

use super::time::At;
use crate::event::{Party, PartyKind, TransferType};
use crate::source::notice::LegKey;

/// Of the parties that rang on one link, this many are remembered.
pub(super) const MAX_RANG: usize = 64;

/// What is told under one id: from the ringing to the end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) number: u32,
    pub(super) began: At,
    /// Something was told, or is going to be told at its end at the latest.
    pub(super) open: bool,
    pub(super) transfer: TransferType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) transferred_by: Option<Party>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) talk: Option<Talk>,
    /// Who called, for an outgoing or internal link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dialer: Option<Party>,
    /// Whom the dialer called, as far as known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) dialed: String,
    /// Whose ringing was told and has not stopped, as far as that was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ringers: Vec<Ringer>,
    /// Who was offered the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rang: Vec<Party>,
    /// The queue or group that has the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) level: Option<Level>,
}

/// A conversation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Talk {
    pub(super) leg: LegKey,
    pub(super) user: Party,
    pub(super) since: At,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rang_at: Option<At>,
    /// Its place in the order in which legs appeared and talks began.
    pub(super) born: u32,
    /// The user has put the other side on hold, and that was told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) on_hold: bool,
}

/// A party whose ringing was told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ringer {
    pub(super) party: Party,
    pub(super) since: At,
    /// Its last phone has stopped; why is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stopped: Option<Stopped>,
}

/// When a ringing stopped.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Stopped {
    pub(super) at: At,
    /// That was found by comparing snapshots.
    pub(super) resynced: bool,
}

/// A queue or a group that looks for somebody.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Level {
    pub(super) party: Party,
    /// It has, or had, a leg of its own that is visible.
    pub(super) seen: bool,
    /// Since when that leg is gone. A call that ends now or a moment later ended here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) left: Option<At>,
}

impl Link {
    /// A link of which nothing is known but how it came to be.
    pub(super) fn new(number: u32, began: At, transfer: TransferType, by: Option<Party>) -> Self {
        Self {
            number,
            began,
            open: false,
            transfer,
            transferred_by: by,
            talk: None,
            dialer: None,
            dialed: String::new(),
            ringers: Vec::new(),
            rang: Vec::new(),
            level: None,
        }
    }
}

impl Level {
    /// Where the call is with `party` from now on.
    pub(super) fn new(party: Party, seen: bool) -> Self {
        Self { party, seen, left: None }
    }

    /// The leg of the queue or group is there.
    pub(super) fn is_here(&self) -> bool {
        self.seen && self.left.is_none()
    }
}

/// Whether a call that is there was missed before.
pub(super) fn is_voicemail(party: &Party) -> bool {
    party.kind == PartyKind::Other("voicemail".to_owned())
}

/// Whether a call that is there waits to be given to somebody.
pub(super) fn is_level(party: &Party) -> bool {
    party.kind == PartyKind::Queue || party.kind == PartyKind::Other("ring-group".to_owned())
}
