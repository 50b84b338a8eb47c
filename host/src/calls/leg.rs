//! What one leg tells about its call: the few facts that the engine concludes from.
//!
//! All knowledge of how 3CX describes a leg is here, with the strength of its evidence. A change
//! of the participant that changes none of these facts is a repeat, and nothing follows from it.

use serde::{Deserialize, Serialize};

use super::Settings;
use super::known::{KnownDns, kind_of};
use super::stop::MOMENT;
use super::time::At;
use crate::event::{Did, Direction, Party, PartyKind};
use crate::source::notice::{DnType, Participant, Status};

/// Whose leg it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    /// A trunk's: the external side.
    Trunk,
    /// A person's phone.
    User,
    /// A queue's, a receptionist's, voicemail's: it picks up, but that is not an answer.
    System,
}

/// What a participant says, reduced to what matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) role: Role,
    /// The DN whose leg it is.
    pub(super) party: Party,
    pub(super) status: Status,
    /// This side called, rather than being called.
    pub(super) originates: bool,
    /// The other side is voicemail or another menu: being connected to it is never an answer.
    pub(super) to_menu: bool,
    /// The other side is a queue, a group, a receptionist: for whoever called it, being connected
    /// is no answer.
    pub(super) to_system: bool,
    /// The external number, if the other side is an external one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) external: Option<String>,
    /// The other side's number where that is internal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) peer: String,
    /// The other side's display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) direction: Direction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) did: Option<Did>,
    /// The queue or group that offered the call here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) offered_by: Option<Party>,
    /// The queue whose name stands before the caller's: the call came through it, some time.
    #[serde(default)]
    pub(super) past_queue: Option<Party>,
    /// Who transferred the call here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) referred_by: Option<String>,
}

/// Where a leg that is new in a call was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nowhere, as far as known.
    New,
    /// In another call, where its owner was asked to take this one over.
    Asked,
    /// In another call, which was there only to fetch this one.
    Fetches,
    /// In another call, and had nothing to do there since somebody had answered.
    MovedIdle,
}

/// One leg of a call, as long as it lives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Leg {
    pub(super) facts: Facts,
    /// Its place in the order in which the call's legs appeared and talks began.
    pub(super) born: u32,
    /// Since when it rings or dials; `None` if it was first seen connected.
    pub(super) rang: Option<At>,
    /// Since when it is connected.
    pub(super) connected: Option<At>,
    /// Its ringing was told.
    pub(super) announced: bool,
    /// It came over from another call, or took part while somebody else still talked: whoever
    /// takes the call over with it has been in it before.
    #[serde(default)]
    pub(super) joined: bool,
    /// Who transferred the call here; told only while it rings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) referred_by: Option<String>,
}

impl Leg {
    /// It took part for some time when whoever had the call `left`. Who has just come has the call
    /// from them.
    pub(super) fn is_guest(&self, left: At) -> bool {
        let stayed = |since: At| since.plus(MOMENT) <= left.steady();
        self.joined && self.connected.is_some_and(stayed)
    }
}

impl Facts {
    /// Reads a participant. Which side called is decided when a leg is `first` seen.
    pub(super) fn read(
        leg: &Participant,
        first: Option<&Self>,
        settings: &Settings,
        known: &KnownDns,
    ) -> Self {
        let kind = known.party_kind(&leg.key.dn, settings);
        let role = match (known.dn_type(&leg.key.dn), &kind) {
            (Some(DnType::ExternalLine), _) => Role::Trunk,
            (_, PartyKind::Extension) => Role::User,
            _ => Role::System,
        };
        let originates = first.map_or_else(|| originates(leg), |first| first.originates);
        let external = external_number(leg, role, originates, known);
        let shown = known.unprefixed(&leg.party_caller_name, settings);
        Self {
            role,
            party: Party { number: leg.key.dn.clone(), kind, name: None, email: None },
            status: leg.status.clone(),
            originates,
            to_menu: leg.party_dn_type == DnType::SpecialMenu,
            to_system: is_system(&leg.party_dn_type),
            direction: direction(leg, role, external.is_some(), originates),
            peer: if leg.party_dn.is_empty() { &leg.party_caller_id } else { &leg.party_dn }
                .clone(),
            name: display_name(&shown.name, leg),
            did: known.did(&leg.party_did, shown.rule, settings),
            offered_by: offered_by(leg),
            past_queue: shown.queue,
            referred_by: referred_by(leg, known, settings),
            external,
        }
    }

    /// The phone rings, or the system destination has the call.
    pub(super) fn is_offered(&self) -> bool {
        match self.role {
            Role::Trunk => false,
            Role::User => self.status == Status::Ringing && !self.originates,
            Role::System => !self.originates,
        }
    }

    /// Two people talk, as far as this leg can tell. A queue, a menu or voicemail that picks up
    /// also shows `Connected` (observed for voicemail).
    pub(super) fn is_answered(&self) -> bool {
        let to_a_machine = self.to_menu || (self.originates && self.to_system);
        self.role == Role::User && self.is_up() && !to_a_machine
    }

    /// The other side is this number outside.
    pub(super) fn shows(&self, number: &str) -> bool {
        self.external.as_ref().is_some_and(|external| same_number(external, number))
    }

    /// The other side inside is this number, or the leg is theirs.
    pub(super) fn shows_inside(&self, number: &str) -> bool {
        self.party.number == number || self.peer == number
    }

    /// It is known whom the call is with. The own phone of whoever an app makes a call for does
    /// not tell until it is lifted (observed: no party; inferred: that it rings first).
    pub(super) fn tells_whom(&self) -> bool {
        self.direction != Direction::Unknown
    }

    /// Accepted, by whomever. Hold and Held are words of the .NET interface; whether they occur
    /// here is not known.
    pub(super) fn is_up(&self) -> bool {
        match &self.status {
            Status::Connected => true,
            Status::Other(word) => ["hold", "held"].iter().any(|w| word.eq_ignore_ascii_case(w)),
            Status::Dialing | Status::Ringing => false,
        }
    }
}

/// In all captures of external calls the far side is `Wexternalline` and its number is the
/// party's caller id (observed). The legs of a queue's or group's agents may name the queue as
/// the other side instead; then the caller id is taken if it is no internal number (inferred).
/// A trunk's own leg is read the same way (inferred).
///
/// Who is offered a call without any number by a queue or a group is called from outside: those
/// inside do not withhold their numbers (inferred). A short number may be an extension that is not
/// visible, and says nothing.
fn external_number(
    leg: &Participant,
    role: Role,
    originates: bool,
    known: &KnownDns,
) -> Option<String> {
    let number = &leg.party_caller_id;
    let routed = leg.originated_by_dn == "ROUTER";
    let is_external = match leg.party_dn_type {
        DnType::ExternalLine => true,
        _ if role == Role::Trunk => true,
        DnType::Queue | DnType::RingGroup | DnType::Receptionist | DnType::RoutePoint => {
            let is_long = number.len() > 5 && known.dn_type(number).is_none();
            let is_group = matches!(leg.party_dn_type, DnType::Queue | DnType::RingGroup);
            let is_offer = role == Role::User && is_group && !originates;
            is_long || ((routed || is_offer) && number.is_empty())
        }
        DnType::None | DnType::Other(_) => routed,
        _ => false,
    };
    is_external.then(|| number.clone())
}

/// `Dialing` means that this DN called (documented). Otherwise the leg's number in the call tells:
/// 1 is the caller's in all captures (inferred), unless the router made it. So the caller's own
/// phone, which rings first in a call made over the API (documented), does not look called.
fn originates(leg: &Participant) -> bool {
    leg.status == Status::Dialing || (leg.leg_id == 1 && leg.originated_by_dn != "ROUTER")
}

fn direction(leg: &Participant, role: Role, external: bool, originates: bool) -> Direction {
    match (external, role) {
        // Whoever dialled, while it is not known whom.
        (false, Role::User) if originates && leg.party_dn.is_empty() => Direction::Unknown,
        (false, _) => Direction::Internal,
        // A trunk that calls brings a call in (inferred).
        (true, Role::Trunk) if originates => Direction::Incoming,
        (true, Role::Trunk) => Direction::Outgoing,
        (true, Role::User) if originates && leg.originated_by_dn != "ROUTER" => Direction::Outgoing,
        (true, Role::User | Role::System) => Direction::Incoming,
    }
}

/// Whether two texts name the same number outside, whatever stands before it: `+420`, `00420`,
/// `0`. A number that is not told may be any.
pub(super) fn same_number(a: &str, b: &str) -> bool {
    const TELLING: usize = 7;
    let ending = |number: &str| -> String { number.chars().rev().take(TELLING).collect() };
    a.is_empty() || b.is_empty() || ending(a) == ending(b)
}

/// Who transferred the call here. A queue or a menu that sends the call on may be named as well,
/// which is no transfer (inferred). What is not known to be one is a person.
fn referred_by(leg: &Participant, known: &KnownDns, settings: &Settings) -> Option<String> {
    let dn = &leg.referred_by_dn;
    let told = match &leg.referred_by_type {
        DnType::Other(_) => PartyKind::Extension,
        kind => kind_of(kind),
    };
    let is_person =
        told == PartyKind::Extension && known.party_kind(dn, settings) == PartyKind::Extension;
    (is_person && !dn.is_empty()).then(|| dn.clone())
}

fn is_system(kind: &DnType) -> bool {
    matches!(kind, DnType::Queue | DnType::RingGroup | DnType::Receptionist | DnType::RoutePoint)
}

fn display_name(name: &str, leg: &Participant) -> Option<String> {
    let is_number = name.trim_start_matches('+') == leg.party_caller_id.trim_start_matches('+');
    (!name.is_empty() && !is_number).then(|| name.to_owned())
}

/// A queue's or group's offer to a member is taken to name it as its originator (inferred).
fn offered_by(leg: &Participant) -> Option<Party> {
    let candidates = [
        (&leg.originated_by_type, &leg.originated_by_dn),
        (&leg.on_behalf_of_type, &leg.on_behalf_of_dn),
        (&leg.party_dn_type, &leg.party_dn),
    ];
    let is_group = |kind: &DnType| matches!(kind, DnType::Queue | DnType::RingGroup);
    let (kind, number) =
        candidates.into_iter().find(|(kind, dn)| is_group(kind) && !dn.is_empty())?;
    Some(Party { number: number.clone(), kind: kind_of(kind), name: None, email: None })
}
