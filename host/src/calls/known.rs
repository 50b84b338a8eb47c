//! What is known about the exchange's numbers, and what goes before what.
//!
//! - The name of a DID's rule: the .ini's `[did]`, then the PBX's books, then a prefix of the
//!   caller's display name that is the name of such a rule.
//! - What a DN is: the .ini's `[dn]`, then the Call Control API's snapshot, then the PBX's books;
//!   a number that none of them knows is an extension.
//! - Names and e-mail addresses of people: the .ini's directory (outside of the engine), then the
//!   PBX's books.

use std::collections::HashMap;

use super::Settings;
use crate::event::{CallEvent, Did, Party, PartyKind};
use crate::source::notice::{Dn, DnType, Known, KnownDid, KnownNumber};

/// What snapshots showed and the PBX's books say.
#[derive(Debug, Default)]
pub(super) struct KnownDns {
    /// From the last snapshots.
    types: HashMap<String, DnType>,
    /// From the books, by number.
    numbers: HashMap<String, KnownNumber>,
    /// From the books.
    dids: Vec<KnownDid>,
}

/// A display name, and what its prefixes said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unprefixed {
    /// Without the prefixes that are known.
    pub(super) name: String,
    /// The name of the DID's rule.
    pub(super) rule: Option<String>,
    /// The last queue that the call came through.
    pub(super) queue: Option<Party>,
}

impl KnownDns {
    /// Takes in what a snapshot says.
    pub(super) fn learn(&mut self, dns: &[Dn]) {
        for dn in dns {
            self.types.insert(dn.number.clone(), dn.kind.clone());
        }
    }

    /// Takes in what the PBX's books say, in the place of what they said before.
    pub(super) fn read_books(&mut self, known: &Known) {
        let own = |it: &KnownNumber| (it.number.clone(), it.clone());
        self.numbers = known.numbers.iter().map(own).collect();
        self.dids.clone_from(&known.dids);
    }

    /// What the PBX says the DN is.
    pub(super) fn dn_type(&self, number: &str) -> Option<&DnType> {
        let shown = self.types.get(number);
        let written = || self.numbers.get(number).map(|known| &known.kind);
        let says = |kind: &&DnType| **kind != DnType::None;
        shown.filter(says).or_else(|| written().filter(says)).or(shown)
    }

    /// What the DN is for users of events.
    pub(super) fn party_kind(&self, number: &str, settings: &Settings) -> PartyKind {
        settings
            .dns
            .get(number)
            .cloned()
            .or_else(|| self.dn_type(number).map(kind_of))
            .unwrap_or(PartyKind::Extension)
    }

    /// The dialled number with the name of its rule. `shown` is what a prefix said; it is all
    /// that is known where the PBX tells no number.
    pub(super) fn did(
        &self,
        number: &str,
        shown: Option<String>,
        settings: &Settings,
    ) -> Option<Did> {
        if number.is_empty() {
            return shown.map(|name| Did { number: String::new(), name: Some(name) });
        }
        let set = settings.dids.iter().map(|(did, name)| (did.as_str(), name));
        let written = self.dids.iter().map(|did| (did.number.as_str(), &did.name));
        let name = settings.dids.get(number).or_else(|| {
            let mut all = set.chain(written);
            all.find(|(did, _)| is_same_number(did, number)).map(|(_, name)| name)
        });
        Some(Did { number: number.to_owned(), name: name.cloned().or(shown) })
    }

    /// Takes known prefixes off a display name. In call detail records they accumulate as
    /// `<queue>:<DID rule>:`; that phones are shown the same is inferred. What is no known name
    /// of a queue or a rule belongs to the caller's own.
    pub(super) fn unprefixed(&self, name: &str, settings: &Settings) -> Unprefixed {
        let mut found = Unprefixed::default();
        let mut rest = name;
        while let Some((prefix, after)) = rest.split_once(':') {
            let prefix = prefix.trim();
            if let Some(queue) = self.queue_named(prefix) {
                found.queue.get_or_insert(queue);
            } else if self.is_rule(prefix, settings) {
                found.rule = Some(prefix.to_owned());
            } else {
                break;
            }
            rest = after;
        }
        rest.trim().clone_into(&mut found.name);
        found
    }

    fn queue_named(&self, name: &str) -> Option<Party> {
        let mut queues = self.numbers.values().filter(|it| it.kind == DnType::Queue);
        let queue = queues.find(|it| it.name.as_deref() == Some(name))?;
        let number = queue.number.clone();
        Some(Party { number, kind: PartyKind::Queue, name: None, email: None })
    }

    fn is_rule(&self, name: &str, settings: &Settings) -> bool {
        settings.dids.values().any(|rule| rule == name)
            || self.dids.iter().any(|it| it.name == name)
    }

    /// Says who the parties are. They are told apart without that, so that a call stays the same
    /// when the books come, or change, while it is going on.
    pub(super) fn introduce(&self, events: &mut [CallEvent]) {
        if self.numbers.is_empty() {
            return;
        }
        for party in events.iter_mut().flat_map(CallEvent::parties_mut) {
            if let Some(known) = self.numbers.get(&party.number) {
                party.name = party.name.take().or_else(|| known.name.clone());
                party.email = party.email.take().or_else(|| known.email.clone());
            }
        }
    }
}

/// `+420...`, `00420...` and `420...` are the same number; one after a `*` is an ending.
fn is_same_number(known: &str, number: &str) -> bool {
    let plain = |number: &str| {
        let digits = number.trim_start_matches('+');
        digits.strip_prefix("00").unwrap_or(digits).to_owned()
    };
    match known.strip_prefix('*') {
        Some(ending) => !ending.is_empty() && number.ends_with(ending),
        None => plain(known) == plain(number),
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

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
