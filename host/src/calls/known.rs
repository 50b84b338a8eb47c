//! What is known about the exchange's numbers.

use std::collections::HashMap;

use super::Settings;
use crate::event::PartyKind;
use crate::source::notice::{Dn, DnType};

/// The DNs that the last snapshots showed.
#[derive(Debug, Default)]
pub(super) struct KnownDns {
    types: HashMap<String, DnType>,
}

impl KnownDns {
    /// Takes in what a snapshot says.
    pub(super) fn learn(&mut self, dns: &[Dn]) {
        for dn in dns {
            self.types.insert(dn.number.clone(), dn.kind.clone());
        }
    }

    /// What the PBX says the DN is, where it is visible.
    pub(super) fn dn_type(&self, number: &str) -> Option<&DnType> {
        self.types.get(number)
    }

    /// The .ini's `[dn]` first, then the PBX; a number that neither knows is an extension.
    pub(super) fn party_kind(&self, number: &str, settings: &Settings) -> PartyKind {
        settings
            .dns
            .get(number)
            .cloned()
            .or_else(|| self.dn_type(number).map(kind_of))
            .unwrap_or(PartyKind::Extension)
    }
}

/// What the PBX's word says of a DN.
pub(super) fn kind_of(dn_type: &DnType) -> PartyKind {
    let name = match dn_type {
        DnType::Extension | DnType::None => return PartyKind::Extension,
        DnType::Queue => return PartyKind::Queue,
        DnType::RingGroup => "ring-group",
        DnType::Receptionist => "receptionist",
        DnType::RoutePoint => "route-point",
        DnType::ExternalLine => "line",
        DnType::SpecialMenu => "voicemail",
        DnType::Fax => "fax",
        DnType::Conference => "conference",
        DnType::Parking => "parking",
        DnType::Other(word) => word,
    };
    PartyKind::Other(name.to_owned())
}
