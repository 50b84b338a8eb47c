//! Legs: how they come, change and go, and what each shows of its other side.

use crate::exchange::Exchange;
use crate::exchange::call::{Call, Who};
use crate::exchange::participant::{Change, Kind, Participant, Status};
use crate::exchange::refused::Refused;

/// A participant, and how the other side sees its owner.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    /// What the wire shows.
    pub(crate) shown: Participant,
    /// What the other side's `party_*` fields say while connected to this leg.
    pub(crate) face: Face,
}

/// How somebody looks from the other end of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Face {
    /// The DN: extension, queue, trunk.
    pub(crate) dn: String,
    /// What that is.
    pub(crate) kind: Option<Kind>,
    /// The number: extension, or the number outside.
    pub(crate) number: String,
    /// The display name.
    pub(crate) name: String,
}

/// Who made a leg, as its last six text fields tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// `originated_by_*`.
    pub(crate) by: Option<(String, Kind)>,
    /// `referred_by_*`: the extension that transferred.
    pub(crate) referred: Option<String>,
    /// `on_behalf_of_*`: the extension that forwarded.
    pub(crate) behalf: Option<String>,
}

impl Origin {
    /// What the inbound router makes (observed).
    pub(crate) fn router() -> Self {
        Self { by: Some(("ROUTER".to_owned(), Kind::RoutePoint)), ..Self::default() }
    }
}

impl Exchange {
    /// What a forward makes: on behalf of the extension, by the router if the call came from a
    /// trunk (inferred).
    pub(crate) fn forwarded_by(&self, call: i64, dn: &str) -> Origin {
        let anchor = self.calls.get(&call).map(|call| self.face_of_leg(call.anchor));
        let from_trunk = anchor.is_some_and(|face| face.kind == Some(Kind::Trunk));
        let origin = if from_trunk { Origin::router() } else { Origin::default() };
        Origin { behalf: Some(dn.to_owned()), ..origin }
    }

    /// How the owner of an internal number looks.
    pub(crate) fn face_of(&self, dn: &str) -> Face {
        Face {
            dn: dn.to_owned(),
            kind: Some(self.plan.kind(dn)),
            number: dn.to_owned(),
            name: self.plan.dns.get(dn).map(|found| found.name.clone()).unwrap_or_default(),
        }
    }

    /// How somebody outside looks.
    pub(crate) fn face_outside(&self, number: &str, name: &str) -> Face {
        Face {
            dn: self.plan.trunk.clone(),
            kind: Some(Kind::Trunk),
            number: number.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The call, or why there is none.
    pub(crate) fn known(&self, call: i64) -> Result<&Call, Refused> {
        self.calls.get(&call).ok_or(Refused::NoCall(call))
    }

    /// Changes the parts of a call that exists.
    pub(crate) fn with<T: Default>(&mut self, call: i64, act: impl FnOnce(&mut Call) -> T) -> T {
        self.calls.get_mut(&call).map(act).unwrap_or_default()
    }

    /// The first leg among `legs` that belongs to `who`.
    pub(crate) fn find(&self, who: Who<'_>, legs: impl IntoIterator<Item = i64>) -> Option<i64> {
        legs.into_iter().find(|id| {
            self.legs.get(id).is_some_and(|leg| match who {
                Who::Dn(dn) => leg.shown.dn == dn,
                Who::Phone(dn, place) => {
                    let devices = self.plan.dns.get(dn).map(|found| &found.devices);
                    let device = devices.and_then(|devices| devices.get(place));
                    leg.shown.dn == dn && device == Some(&leg.shown.device_id)
                }
                Who::Outside(number) => {
                    leg.face.kind == Some(Kind::Trunk) && leg.face.number == number
                }
                Who::Participant(wanted) => *id == wanted,
            })
        })
    }

    /// Adds a leg to a call and tells it. The other side is not known yet.
    pub(crate) fn add_leg(&mut self, call: i64, face: Face, status: Status, fill: Fill) -> i64 {
        let id = self.next_leg;
        self.next_leg += 1;
        let legid = self.with(call, |call| {
            call.legs_made += 1;
            call.legs_made
        });
        let (by_dn, by_type) = fill.origin.by.unwrap_or((String::new(), Kind::None));
        let referred = fill.origin.referred.unwrap_or_default();
        let behalf = fill.origin.behalf.unwrap_or_default();
        let shown = Participant {
            id,
            status,
            dn: face.dn.clone(),
            party_caller_name: fill.party.name,
            party_dn: fill.party.dn,
            party_caller_id: fill.party.number,
            party_did: fill.did,
            device_id: fill.device,
            party_dn_type: fill.party.kind.unwrap_or(Kind::None),
            direct_control: face.kind == Some(Kind::RoutePoint),
            originated_by_dn: by_dn,
            originated_by_type: by_type,
            referred_by_type: self.plan.kind(&referred),
            referred_by_dn: referred,
            on_behalf_of_type: self.plan.kind(&behalf),
            on_behalf_of_dn: behalf,
            callid: call,
            legid,
        };
        self.changes.push(Change::Upsert(Box::new(shown.clone())));
        self.legs.insert(id, Leg { shown, face });
        id
    }

    /// Changes what a leg shows, and tells it if it is another.
    pub(crate) fn change_leg(&mut self, id: i64, act: impl FnOnce(&mut Participant)) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let before = leg.shown.clone();
        act(&mut leg.shown);
        if leg.shown != before {
            self.changes.push(Change::Upsert(Box::new(leg.shown.clone())));
        }
    }

    /// Tells a leg again that did not change.
    pub(crate) fn repeat_leg(&mut self, id: i64) {
        if let Some(leg) = self.legs.get(&id) {
            self.changes.push(Change::Upsert(Box::new(leg.shown.clone())));
        }
    }

    /// Ends a leg and tells it.
    pub(crate) fn remove_leg(&mut self, id: i64) {
        if let Some(leg) = self.legs.remove(&id) {
            self.changes.push(Change::Remove(Box::new(leg.shown)));
        }
    }

    /// How the owner of a leg looks; like nobody if it is gone.
    pub(crate) fn face_of_leg(&self, id: i64) -> Face {
        self.legs.get(&id).map(|leg| leg.face.clone()).unwrap_or_default()
    }

    /// What a leg of the call sees of the anchor: its face, with the call's prefix before the
    /// name of somebody outside.
    pub(crate) fn anchor_seen(&self, call: i64) -> Face {
        let Some(call) = self.calls.get(&call) else { return Face::default() };
        let mut face = self.face_of_leg(call.anchor);
        if face.kind == Some(Kind::Trunk) {
            face.name.insert_str(0, &call.prefix);
        }
        face
    }

    /// Connects a leg to the other side as the anchor shows it.
    pub(crate) fn connect_leg(&mut self, call: i64, id: i64, status: Status) {
        let party = self.anchor_seen(call);
        let on_trunk = self.face_of_leg(id).kind == Some(Kind::Trunk);
        self.change_leg(id, |leg| {
            leg.status = status;
            see(leg, on_trunk, &party);
            if status == Status::Connected {
                // Inferred: the .NET interface says that it is valid only while ringing.
                leg.referred_by_dn = String::new();
                leg.referred_by_type = Kind::None;
            }
        });
    }

    /// Brings up to date what the anchor shows: who talks with it, what holds it, or what rings.
    pub(crate) fn show_anchor(&mut self, call: i64) {
        let Some(call) = self.calls.get(&call).cloned() else { return };
        let held_by = call.waiting.and_then(|id| self.legs.get(&id)).map(|leg| &leg.shown);
        let accepted =
            call.talking.is_some() || held_by.is_some_and(|leg| leg.status == Status::Connected);
        let face = match (call.talking.or(call.waiting), &call.group, call.offers.first()) {
            (None, Some(group), Some(_)) => self.face_of(&group.dn),
            (Some(id), _, _) | (None, None, Some(&id)) => self.face_of_leg(id),
            (None, _, None) => return,
        };
        let on_trunk = self.face_of_leg(call.anchor).kind == Some(Kind::Trunk);
        self.change_leg(call.anchor, |leg| {
            see(leg, on_trunk, &face);
            if accepted {
                leg.status = Status::Connected;
            }
        });
    }

    /// Ends the call: first the leg of whoever caused it, then the others, last the anchor.
    pub(crate) fn end_call(&mut self, id: i64, first: i64) {
        let Some(call) = self.calls.remove(&id) else { return };
        self.remove_leg(first);
        for leg in call.others() {
            self.remove_leg(leg);
        }
        self.remove_leg(call.anchor);
    }

    /// Opens a call with the next number.
    pub(crate) fn open_call(&mut self) -> i64 {
        let id = self.next_call;
        self.next_call += 1;
        self.calls.insert(id, Call::new(id));
        id
    }

    /// Gives a leg another call's number, and shows it that call's anchor unless it is the anchor.
    pub(crate) fn move_leg(&mut self, call: i64, id: i64) -> i64 {
        let (legid, anchor) = self.with(call, |call| {
            call.legs_made += 1;
            (call.legs_made, call.anchor)
        });
        let party = self.anchor_seen(call);
        let on_trunk = self.face_of_leg(id).kind == Some(Kind::Trunk);
        self.change_leg(id, |leg| {
            leg.callid = call;
            leg.legid = legid;
            if anchor != id {
                see(leg, on_trunk, &party);
            }
        });
        id
    }

    /// Lets a leg give way to a new one of the same owner in another call.
    pub(crate) fn replace_leg(&mut self, call: i64, id: i64) -> i64 {
        let Some(old) = self.legs.get(&id).cloned() else { return id };
        let mut party = self.anchor_seen(call);
        if old.face.kind == Some(Kind::Trunk) {
            // A trunk's own leg keeps the outside number.
            party.number = old.shown.party_caller_id;
            party.name = old.shown.party_caller_name;
        }
        let fill = Fill { party, device: old.shown.device_id, ..Fill::default() };
        let new = self.add_leg(call, old.face, old.shown.status, fill);
        self.remove_leg(id);
        new
    }
}

/// The fields of a new leg that depend on what it is for.
#[derive(Debug, Default)]
pub(crate) struct Fill {
    /// What it sees of the other side.
    pub(crate) party: Face,
    /// Who made it.
    pub(crate) origin: Origin,
    /// The dialled number, where it is told.
    pub(crate) did: String,
    /// The phone.
    pub(crate) device: String,
}

/// Shows another other side. A trunk's own leg keeps the outside number (inferred from the .NET
/// interface's `ExternalParty`), and a caller who reaches voicemail keeps the number that was
/// dialled (observed).
fn see(leg: &mut Participant, on_trunk: bool, face: &Face) {
    leg.party_dn.clone_from(&face.dn);
    leg.party_dn_type = face.kind.unwrap_or(Kind::None);
    if on_trunk {
        return;
    }
    leg.party_caller_name.clone_from(&face.name);
    if face.kind != Some(Kind::SpecialMenu) || leg.party_caller_id.is_empty() {
        leg.party_caller_id.clone_from(&face.number);
    }
}
