//! What people do with ordinary calls: make, answer, reject, leave them.

use crate::exchange::Exchange;
use crate::exchange::call::{Call, Who};
use crate::exchange::legs::{Face, Fill, Origin};
use crate::exchange::participant::{Kind, Status};
use crate::exchange::refused::Refused;

/// In the capture of a ringing extension of an inbound call its leg has number 4; the trunk has
/// the first, so routing takes two (inferred).
const LEGS_TAKEN_BY_ROUTING: i64 = 2;

impl Exchange {
    /// Somebody outside calls a number of the trunk. The call goes where the plan says; the
    /// extension rings with the trunk as its party and `ROUTER` as origin (observed).
    pub fn arrive(&mut self, number: &str, name: &str, did: &str) -> Result<i64, Refused> {
        let Some(found) = self.plan.dids.get(did).cloned() else {
            return Err(Refused::NoDid(did.to_owned()));
        };
        self.reachable(&found.to)?;
        let call = self.open_call();
        if !found.rule.is_empty() {
            self.with(call, |call| call.prefix = format!("{}:", found.rule));
        }
        let number_only =
            Face { number: number.to_owned(), name: name.to_owned(), ..Face::default() };
        let fill = Fill { party: number_only, did: did.to_owned(), ..Fill::default() };
        let trunk = self.add_leg(call, self.face_outside(number, name), Status::Dialing, fill);
        self.with(call, |call| {
            call.anchor = trunk;
            call.legs_made += LEGS_TAKEN_BY_ROUTING;
        });
        self.route(call, &found.to, Origin::router());
        Ok(call)
    }

    /// An extension dials, inside or outside. Its leg dials without a party, then with one
    /// (repeated Dialing upserts are observed; that the first lacks the party is so in the
    /// reply of makecall).
    pub fn dial(&mut self, from: &str, number: &str) -> Result<i64, Refused> {
        self.reachable(number)?;
        if !matches!(self.plan.kind(from), Kind::Extension | Kind::RoutePoint) {
            return Err(Refused::NoNumber(from.to_owned()));
        }
        let devices = self.plan.dns.get(from).map(|found| found.devices.clone());
        let device = devices.unwrap_or_default().into_iter().next().unwrap_or_default();
        let call = self.open_call();
        let dialled = Face { number: number.to_owned(), ..Face::default() };
        let fill = Fill { party: dialled, device, ..Fill::default() };
        let leg = self.add_leg(call, self.face_of(from), Status::Dialing, fill);
        self.with(call, |call| call.anchor = leg);
        self.route(call, number, Origin::default());
        Ok(call)
    }

    /// Somebody whose phone rings answers. The other phones stop (2 to 7 ms later in call detail
    /// records), the caller is connected, and a queue's or receptionist's leg goes (inferred).
    pub fn answer(&mut self, call: i64, who: Who<'_>) -> Result<(), Refused> {
        let known = self.known(call)?.clone();
        let winner = self.ringing(&known, who)?;
        self.with(call, |call| {
            call.offers.clear();
            call.talking = Some(winner);
        });
        self.connect_leg(call, winner, Status::Connected);
        for other in known.offers.into_iter().filter(|other| *other != winner) {
            self.remove_leg(other);
        }
        self.show_anchor(call);
        self.release_waiting(call);
        Ok(())
    }

    /// The leg of the queue or menu goes when somebody took the call, but a queue's may stay.
    pub(crate) fn release_waiting(&mut self, call: i64) {
        let waiting = self.with(call, |call| call.waiting);
        let Some(waiting) = waiting else { return };
        let is_queue = self.face_of_leg(waiting).kind == Some(Kind::Queue);
        if is_queue && self.plan.wire.queue_leg_stays {
            return;
        }
        self.with(call, |call| call.waiting = None);
        self.remove_leg(waiting);
    }

    /// Somebody whose phone rings does not want the call. All their phones stop; a queue goes on
    /// without them, anything else goes where the plan says or ends.
    pub fn reject(&mut self, call: i64, who: Who<'_>) -> Result<(), Refused> {
        let known = self.known(call)?.clone();
        let leg = self.ringing(&known, who)?;
        let face = self.face_of_leg(leg);
        let same = |exchange: &Self, id: i64| exchange.face_of_leg(id) == face;
        let (gone, left): (Vec<i64>, Vec<i64>) =
            known.offers.iter().partition(|id| same(self, **id));
        let nobody_left = left.is_empty();
        self.with(call, |call| call.offers = left);
        for id in gone {
            self.remove_leg(id);
        }
        if nobody_left && !self.in_queue(&known) {
            let dn = known.group.map_or(face.dn, |group| group.dn);
            self.unanswered(call, &dn, leg);
        }
        Ok(())
    }

    /// The phones have rung long enough. A queue waits on; anything else goes where the plan says
    /// or ends.
    pub fn ring_out(&mut self, call: i64) -> Result<(), Refused> {
        let known = self.known(call)?.clone();
        let Some(&first) = known.offers.first() else {
            return Err(Refused::NotNow(call, "a ringing phone"));
        };
        let dn = match &known.group {
            Some(group) => group.dn.clone(),
            None => self.face_of_leg(first).dn,
        };
        self.stop_offers(call);
        if !self.in_queue(&known) {
            self.unanswered(call, &dn, first);
        }
        Ok(())
    }

    /// A queue or group rings its members again, all or the next.
    pub fn poll_again(&mut self, call: i64) -> Result<(), Refused> {
        let known = self.known(call)?.clone();
        if known.group.is_none() || known.talking.is_some() {
            return Err(Refused::NotNow(call, "a queue or ring group that looks for somebody"));
        }
        self.poll(call);
        Ok(())
    }

    /// The queue, group or receptionist gives up: the call goes where the plan says or ends.
    pub fn time_out(&mut self, call: i64) -> Result<(), Refused> {
        let known = self.known(call)?.clone();
        if known.talking.is_some() {
            return Err(Refused::NotNow(call, "to be without an answer"));
        }
        let holder = known.waiting.map(|id| self.face_of_leg(id).dn);
        let Some(dn) = known.group.map(|group| group.dn).or(holder) else {
            return Err(Refused::NotNow(call, "a queue, ring group or receptionist that waits"));
        };
        self.stop_offers(call);
        self.unanswered(call, &dn, known.waiting.unwrap_or(known.anchor));
        Ok(())
    }

    /// Sends a call that nobody has taken somewhere else: what a receptionist's caller chose, a
    /// forward on no answer, voicemail. Phones that ring stop first; a menu's leg goes last.
    pub fn go_to(&mut self, call: i64, to: &str) -> Result<(), Refused> {
        let known = self.known(call)?.clone();
        self.reachable(to)?;
        if known.talking.is_some() {
            return Err(Refused::NotNow(call, "to be without an answer; transfer it instead"));
        }
        if known.offers.is_empty() && known.waiting.is_none() {
            return Err(Refused::NotNow(call, "to ring or wait somewhere"));
        }
        let from = known.waiting.or(known.offers.first().copied());
        let from = from.map(|leg| self.face_of_leg(leg).dn).unwrap_or_default();
        self.forward(call, to, &from);
        Ok(())
    }

    /// Sends the call from `from` to a reachable number.
    fn forward(&mut self, call: i64, to: &str, from: &str) {
        let origin = match self.plan.kind(from) {
            Kind::None => Origin::default(),
            Kind::Extension => self.forwarded_by(call, from),
            kind => Origin { by: Some((from.to_owned(), kind)), ..Origin::default() },
        };
        let old_waiting = self.with(call, |call| call.waiting);
        self.stop_offers(call);
        self.with(call, |call| {
            call.group = None;
            call.waiting = None;
        });
        self.route(call, to, origin);
        if let Some(waiting) = old_waiting {
            self.remove_leg(waiting);
        }
        self.show_anchor(call);
    }

    /// Somebody leaves. Of two who talk, the other's leg goes with theirs; a phone that rings is
    /// a rejection.
    pub fn hang_up(&mut self, call: i64, who: Who<'_>) -> Result<(), Refused> {
        let known = self.known(call)?.clone();
        if self.find(who, known.offers.iter().copied()).is_some() {
            return self.reject(call, who);
        }
        let parts = known.joined.iter().copied().chain(known.talking).chain([known.anchor]);
        let Some(leg) = self.find(who, parts) else {
            return Err(Refused::NotIn(who.to_string(), "has no part", call));
        };
        let Some(&stays) = known.joined.first() else {
            self.end_call(call, leg);
            return Ok(());
        };
        self.with(call, |call| {
            if call.anchor == leg {
                call.anchor = stays;
            } else if call.talking == Some(leg) {
                call.talking = Some(stays);
            }
            call.joined.retain(|id| *id != leg && (*id != stays || known.joined.contains(&leg)));
        });
        self.remove_leg(leg);
        if let Some(talking) = self.with(call, |call| call.talking) {
            self.connect_leg(call, talking, Status::Connected);
        }
        self.show_anchor(call);
        Ok(())
    }

    /// The leg of `who` among those that ring.
    pub(crate) fn ringing(&self, call: &Call, who: Who<'_>) -> Result<i64, Refused> {
        self.find(who, call.offers.iter().copied())
            .ok_or_else(|| Refused::NotIn(who.to_string(), "does not ring", call.id))
    }

    /// Stops all phones that ring.
    pub(crate) fn stop_offers(&mut self, call: i64) {
        for leg in self.with(call, |call| std::mem::take(&mut call.offers)) {
            self.remove_leg(leg);
        }
    }

    /// Whether a queue holds the call.
    fn in_queue(&self, call: &Call) -> bool {
        call.group.as_ref().is_some_and(|group| self.plan.kind(&group.dn) == Kind::Queue)
    }

    /// Nobody took the call at `dn`: it goes where the plan says, or ends.
    fn unanswered(&mut self, call: i64, dn: &str, first: i64) {
        let next = self.plan.dns.get(dn).and_then(|found| found.if_not_answered.clone());
        match next {
            Some(to) if self.reachable(&to).is_ok() => self.forward(call, &to, dn),
            _ if self.guest_stays(call) => {}
            _ => self.end_call(call, first),
        }
    }

    /// Whoever listened in talks with the caller now, where nobody else does.
    fn guest_stays(&mut self, call: i64) -> bool {
        let guest = self.with(call, |call| {
            let guest = call.joined.first().copied()?;
            call.joined.remove(0);
            call.talking = Some(guest);
            call.group = None;
            Some(guest)
        });
        let Some(guest) = guest else { return false };
        self.connect_leg(call, guest, Status::Connected);
        self.show_anchor(call);
        self.release_waiting(call);
        true
    }
}
