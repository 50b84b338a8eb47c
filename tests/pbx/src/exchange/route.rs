//! Where a call goes: to phones, into a queue, to a menu, or out over the trunk.

use crate::exchange::Exchange;
use crate::exchange::call::Poll;
use crate::exchange::legs::{Face, Fill, Origin};
use crate::exchange::participant::{Kind, Status};
use crate::exchange::plan::{PolledBy, Strategy};
use crate::exchange::refused::Refused;

/// Shorter numbers that are not in the plan are mistakes, not numbers of the outside.
const SHORTEST_OUTSIDE_NUMBER: usize = 6;

impl Exchange {
    /// Says why a call cannot go to `number`.
    pub(crate) fn reachable(&self, number: &str) -> Result<(), Refused> {
        let known = !matches!(self.plan.kind(number), Kind::None | Kind::Trunk);
        let digits = number.strip_prefix('+').unwrap_or(number);
        let outside = digits.len() >= SHORTEST_OUTSIDE_NUMBER
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if known || outside { Ok(()) } else { Err(Refused::NoNumber(number.to_owned())) }
    }

    /// Sends the anchor of the call to a reachable number.
    pub(crate) fn route(&mut self, call: i64, to: &str, origin: Origin) {
        match self.plan.kind(to) {
            Kind::Extension => self.offer(call, to, &origin),
            Kind::RingGroup => self.ring_group(call, to, origin),
            Kind::Queue => self.queue(call, to, origin),
            Kind::None | Kind::Trunk => self.offer_outside(call, to, origin),
            Kind::Receptionist
            | Kind::RoutePoint
            | Kind::SpecialMenu
            | Kind::Parking
            | Kind::Fax
            | Kind::Conference => self.enter(call, to, origin),
        }
        self.show_anchor(call);
    }

    /// Rings all phones of an extension. One participant for each phone is inferred from the
    /// `fork` of call detail records.
    pub(crate) fn offer(&mut self, call: i64, dn: &str, origin: &Origin) {
        let devices = self.plan.dns.get(dn).map(|found| found.devices.clone()).unwrap_or_default();
        for device in devices {
            let fill = Fill {
                party: self.anchor_seen(call),
                origin: origin.clone(),
                did: self.did_told(call),
                device,
            };
            let leg = self.add_leg(call, self.face_of(dn), Status::Ringing, fill);
            self.with(call, |call| call.offers.push(leg));
        }
    }

    /// The dialled number as an extension's leg tells it: nothing in all captures.
    fn did_told(&self, call: i64) -> String {
        let anchor = self.calls.get(&call).and_then(|call| self.legs.get(&call.anchor));
        match anchor {
            Some(leg) if self.plan.wire.party_did => leg.shown.party_did.clone(),
            _ => String::new(),
        }
    }

    /// Rings a number outside. The trunk's leg counts as ringing until the far side answers
    /// (inferred from the .NET interface: initiated by the other).
    fn offer_outside(&mut self, call: i64, number: &str, origin: Origin) {
        let seen = self.anchor_seen(call);
        let party = Face { number: number.to_owned(), name: String::new(), ..seen };
        let fill = Fill { party, origin, ..Fill::default() };
        let leg = self.add_leg(call, self.face_outside(number, ""), Status::Ringing, fill);
        self.with(call, |call| call.offers.push(leg));
    }

    /// Enters something that picks up by itself: it rings and is connected at once, so a reader
    /// rarely sees it ring. The caller sees it while dialling, then connected (observed for
    /// voicemail; inferred for the rest).
    fn enter(&mut self, call: i64, dn: &str, origin: Origin) {
        let party = self.anchor_seen(call);
        let fill = Fill { party, origin, ..Fill::default() };
        let leg = self.add_leg(call, self.face_of(dn), Status::Ringing, fill);
        self.with(call, |call| call.waiting = Some(leg));
        self.show_anchor(call);
        self.connect_leg(call, leg, Status::Connected);
        self.show_anchor(call);
    }

    /// Enters a queue: its own leg is connected as soon as it answers (reported by a client's
    /// author), then it rings its agents.
    fn queue(&mut self, call: i64, dn: &str, origin: Origin) {
        self.enter(call, dn, origin);
        if self.plan.wire.queue_prefix {
            let name = self.face_of(dn).name;
            self.with(call, |call| call.prefix.insert_str(0, &format!("{name}:")));
        }
        self.with(call, |call| call.group = Some(Poll { dn: dn.to_owned(), rounds: 0 }));
        self.poll(call);
    }

    /// Rings the members of a group. That the group has no leg is inferred; where the plan says
    /// that it has one, it rings as long as its members do.
    fn ring_group(&mut self, call: i64, dn: &str, origin: Origin) {
        if self.plan.wire.group_leg {
            let party = self.anchor_seen(call);
            let fill = Fill { party, origin, ..Fill::default() };
            let leg = self.add_leg(call, self.face_of(dn), Status::Ringing, fill);
            self.with(call, |call| call.waiting = Some(leg));
        }
        self.with(call, |call| call.group = Some(Poll { dn: dn.to_owned(), rounds: 0 }));
        self.poll(call);
    }

    /// Rings the members of the call's group, all or the next. A queue leaves out those who talk.
    /// Each offer is a new participant (observed in call detail records).
    pub(crate) fn poll(&mut self, call: i64) {
        let Some(group) = self.calls.get(&call).and_then(|call| call.group.clone()) else {
            return;
        };
        let Some(found) = self.plan.dns.get(&group.dn).cloned() else { return };
        let is_queue = found.kind == Kind::Queue;
        let free: Vec<String> = found
            .members
            .iter()
            .filter(|member| !self.has_leg(member, call, is_queue))
            .cloned()
            .collect();
        let chosen = match found.strategy {
            Strategy::RingAll => free,
            Strategy::Hunt if free.is_empty() => free,
            Strategy::Hunt => free.iter().cycle().skip(group.rounds).take(1).cloned().collect(),
        };
        let origin = self.polled_by(&group.dn, found.kind);
        for member in chosen {
            self.offer(call, &member, &origin);
        }
        self.with(call, |call| {
            if let Some(group) = &mut call.group {
                group.rounds += 1;
            }
        });
    }

    /// Whether an extension already rings in this call, or talks at all if that matters.
    fn has_leg(&self, dn: &str, call: i64, talking_matters: bool) -> bool {
        self.participants().any(|leg| {
            let talks = talking_matters && leg.status != Status::Ringing;
            leg.dn == dn && (leg.callid == call || talks)
        })
    }

    /// Who is told as the origin of a polled leg (inferred, therefore a choice).
    fn polled_by(&self, dn: &str, kind: Kind) -> Origin {
        match self.plan.wire.polled_by {
            PolledBy::Group => Origin { by: Some((dn.to_owned(), kind)), ..Origin::default() },
            PolledBy::Router => Origin::router(),
            PolledBy::Nobody => Origin::default(),
        }
    }
}
