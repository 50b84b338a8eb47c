//! Calls that change hands: transfer, park, pick-up, diversion, barge-in.
//!
//! No capture shows any of these on this API. The sequences are inferred from the .NET interface
//! and from call detail records: a new leg comes before the old one goes.

use crate::exchange::Exchange;
use crate::exchange::call::{Call, Who};
use crate::exchange::legs::{Fill, Origin};
use crate::exchange::participant::{Kind, Status};
use crate::exchange::plan::Join;
use crate::exchange::refused::Refused;

impl Exchange {
    /// Blind transfer: the target rings with the one who transfers as `referred_by` (documented
    /// for .NET, inferred here), the call keeps its number.
    pub fn transfer(&mut self, call: i64, by: Who<'_>, to: &str) -> Result<(), Refused> {
        self.reachable(to)?;
        let leg = self.talking(call, by)?;
        let referred = Some(self.face_of_leg(leg).dn);
        self.hand_over(call, leg, to, Origin { referred, ..Origin::default() });
        Ok(())
    }

    /// Parks: the call waits at the parking place and the phone is free.
    pub fn park(&mut self, call: i64, by: Who<'_>, place: &str) -> Result<(), Refused> {
        if self.plan.kind(place) != Kind::Parking {
            return Err(Refused::NoNumber(place.to_owned()));
        }
        let leg = self.talking(call, by)?;
        self.hand_over(call, leg, place, Origin::default());
        Ok(())
    }

    /// Takes a call that rings elsewhere, waits in a queue, or is parked: what rang or held it
    /// goes, and the taker has a connected leg.
    pub fn pick_up(&mut self, call: i64, by: &str) -> Result<(), Refused> {
        let known = self.known(call)?.clone();
        let rings_inside =
            known.offers.iter().any(|leg| self.face_of_leg(*leg).kind != Some(Kind::Trunk));
        if known.talking.is_some() || (!rings_inside && known.waiting.is_none()) {
            return Err(Refused::NotNow(call, "to ring or wait somewhere"));
        }
        if self.plan.kind(by) != Kind::Extension {
            return Err(Refused::NoNumber(by.to_owned()));
        }
        self.stop_offers(call);
        let leg = self.add_connected(call, by);
        self.with(call, |call| call.talking = Some(leg));
        self.show_anchor(call);
        self.release_waiting(call);
        Ok(())
    }

    /// A phone that rings sends the call elsewhere; other phones ring on unless something picks
    /// up by itself there.
    pub fn divert(&mut self, call: i64, by: Who<'_>, to: &str) -> Result<(), Refused> {
        let known = self.known(call)?.clone();
        self.reachable(to)?;
        let leg = self.ringing(&known, by)?;
        let dn = self.face_of_leg(leg).dn;
        if !matches!(self.plan.kind(to), Kind::Extension | Kind::None) {
            return self.go_to(call, to);
        }
        let origin = self.forwarded_by(call, &dn);
        let (gone, left): (Vec<i64>, Vec<i64>) =
            known.offers.iter().partition(|id| self.face_of_leg(**id).dn == dn);
        self.with(call, |call| call.offers = left);
        for id in gone {
            self.remove_leg(id);
        }
        self.route(call, to, origin);
        Ok(())
    }

    /// Somebody joins a conversation: a third connected leg with the same call number.
    pub fn barge_in(&mut self, call: i64, by: &str) -> Result<(), Refused> {
        if self.known(call)?.talking.is_none() {
            return Err(Refused::NotNow(call, "two who talk"));
        }
        if self.participants().any(|leg| leg.callid == call && leg.dn == by) {
            return Err(Refused::NotNow(call, "somebody who is not in it already"));
        }
        if self.plan.kind(by) != Kind::Extension {
            return Err(Refused::NoNumber(by.to_owned()));
        }
        let leg = self.add_connected(call, by);
        self.with(call, |call| call.joined.push(leg));
        Ok(())
    }

    /// Attended transfer: `by` talks in the first call and called somebody in the second; the
    /// two others are joined and `by` leaves. Returns the number that the joined call bears,
    /// which depends on [`Join`]. The consulted party may still ring.
    pub fn join(&mut self, first: i64, second: i64, by: &str) -> Result<i64, Refused> {
        let leaves_first = self.talking(first, Who::Dn(by))?;
        let known = self.known(second)?.clone();
        let Some(leaves_second) =
            self.find(Who::Dn(by), [known.anchor].into_iter().chain(known.talking))
        else {
            return Err(Refused::NotIn(by.to_owned(), "does not call or talk", second));
        };
        if known.others().next().is_none() || first == second {
            return Err(Refused::NotNow(second, "another party, in another call"));
        }
        self.with(first, |call| call.turn_to(leaves_first));
        // In the second call the one who leaves must be the anchor, so the other one talks.
        let other = known.talking.filter(|_| known.anchor != leaves_second).map(|_| known.anchor);
        if let Some(other) = other {
            self.with(second, |call| call.turn_to(other));
        }
        // What held the first caller before, such as a queue that stays, does so no longer if the
        // second call has something that holds.
        if known.waiting.is_some()
            && let Some(old) = self.with(first, |call| call.waiting.take())
        {
            self.remove_leg(old);
        }
        let survivor = match self.plan.wire.join {
            Join::LegMoves => self.join_into_first(first, second, Self::move_leg),
            Join::LegReplaced => self.join_into_first(first, second, Self::replace_leg),
            Join::OtherSideMoves => self.join_into_second(first, second),
        };
        self.remove_leg(leaves_second);
        self.remove_leg(leaves_first);
        self.sweep(survivor);
        self.show_anchor(survivor);
        Ok(survivor)
    }

    /// Ends the legs that have no part in the call any more, such as what held the one of two
    /// joined calls that nobody waits in now.
    fn sweep(&mut self, call: i64) {
        let Some(known) = self.calls.get(&call).cloned() else { return };
        let has_part = |id: i64| known.anchor == id || known.others().any(|other| other == id);
        let legs = self.participants().filter(|leg| leg.callid == call && !has_part(leg.id));
        let idle: Vec<i64> = legs.map(|leg| leg.id).collect();
        for leg in idle {
            self.remove_leg(leg);
        }
    }

    /// Everybody but the anchor of the second call comes over to the first.
    fn join_into_first(
        &mut self,
        first: i64,
        second: i64,
        bring: fn(&mut Self, i64, i64) -> i64,
    ) -> i64 {
        let Some(from) = self.calls.remove(&second) else { return first };
        let mut over = |leg: i64| bring(self, first, leg);
        let offers: Vec<i64> = from.offers.into_iter().map(&mut over).collect();
        let talking = from.talking.map(&mut over);
        let waiting = from.waiting.map(&mut over);
        let joined: Vec<i64> = from.joined.into_iter().map(&mut over).collect();
        self.with(first, |call| {
            call.offers = offers;
            call.talking = talking;
            call.waiting = waiting.or(call.waiting);
            call.joined.extend(joined);
            call.group = from.group;
        });
        first
    }

    /// The anchor of the first call, and what else is left of it, comes over to the second.
    fn join_into_second(&mut self, first: i64, second: i64) -> i64 {
        let Some(from) = self.calls.remove(&first) else { return second };
        self.with(second, |call| {
            call.anchor = from.anchor;
            call.prefix.clone_from(&from.prefix);
            call.joined.extend(from.joined.iter().copied());
            call.waiting = call.waiting.or(from.waiting);
        });
        let brought = [from.anchor].into_iter().chain(from.joined).chain(from.waiting);
        for leg in brought {
            self.move_leg(second, leg);
        }
        let Some(Call { offers, talking, .. }) = self.calls.get(&second).cloned() else {
            return second;
        };
        for leg in offers.into_iter().chain(talking) {
            self.connect_as_is(second, leg);
        }
        second
    }

    /// Connects a leg to the call's anchor without changing where it stands.
    fn connect_as_is(&mut self, call: i64, leg: i64) {
        if let Some(status) = self.participant(leg).map(|leg| leg.status) {
            self.connect_leg(call, leg, status);
        }
    }

    /// Adds a connected leg for an extension that takes part by its own doing.
    fn add_connected(&mut self, call: i64, dn: &str) -> i64 {
        let devices = self.plan.dns.get(dn).map(|found| found.devices.clone());
        let device = devices.unwrap_or_default().into_iter().next().unwrap_or_default();
        let fill = Fill { party: self.anchor_seen(call), device, ..Fill::default() };
        self.add_leg(call, self.face_of(dn), Status::Connected, fill)
    }

    /// The leg of `who` if they are one of two who talk.
    pub(crate) fn talking(&self, call: i64, who: Who<'_>) -> Result<i64, Refused> {
        let known = self.known(call)?;
        let both = known.talking.into_iter().flat_map(|leg| [leg, known.anchor]);
        self.find(who, both).ok_or_else(|| Refused::NotIn(who.to_string(), "does not talk", call))
    }

    /// The one with this leg leaves, and the other one goes to `to`.
    fn hand_over(&mut self, call: i64, leg: i64, to: &str, origin: Origin) {
        let old_waiting = self.with(call, |call| {
            call.turn_to(leg);
            call.talking = None;
            call.group = None;
            call.waiting.take()
        });
        self.route(call, to, origin);
        self.remove_leg(leg);
        if let Some(waiting) = old_waiting {
            self.remove_leg(waiting);
        }
        self.show_anchor(call);
    }
}
