//! Calls that an app makes for somebody: their own phone rings first (documented), then dials.

use crate::exchange::Exchange;
use crate::exchange::call::Who;
use crate::exchange::legs::{Face, Fill, Origin};
use crate::exchange::participant::{Kind, Status};
use crate::exchange::refused::Refused;

impl Exchange {
    /// An app has `from` call a number. Their own phone rings, as the first leg of the call and
    /// without a party (inferred; the reply of makecall has no party).
    pub fn make_call(&mut self, from: &str, number: &str) -> Result<i64, Refused> {
        self.reachable(number)?;
        if self.plan.kind(from) != Kind::Extension {
            return Err(Refused::NoNumber(from.to_owned()));
        }
        let call = self.open_call();
        let dialled = Face { number: number.to_owned(), ..Face::default() };
        let fill = Fill { party: dialled, device: self.first_device(from), ..Fill::default() };
        let leg = self.add_leg(call, self.face_of(from), Status::Ringing, fill);
        self.with(call, |call| call.anchor = leg);
        Ok(call)
    }

    /// They pick up their own phone, which dials now.
    pub fn take_own_call(&mut self, call: i64, who: Who<'_>) -> Result<(), Refused> {
        let anchor = self.known(call)?.anchor;
        let rings = self.participant(anchor).filter(|leg| leg.status == Status::Ringing);
        let number = rings.map(|leg| leg.party_caller_id.clone());
        let (Some(number), Some(_)) = (number, self.find(who, [anchor])) else {
            return Err(Refused::NotIn(who.to_string(), "was not called back", call));
        };
        let origin = Origin::default();
        self.change_leg(anchor, |leg| leg.status = Status::Dialing);
        self.route(call, &number, origin);
        Ok(())
    }

    /// The phone an extension uses by default.
    fn first_device(&self, dn: &str) -> String {
        let devices = self.plan.dns.get(dn).map(|found| found.devices.clone());
        devices.unwrap_or_default().into_iter().next().unwrap_or_default()
    }
}
