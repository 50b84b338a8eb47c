//! Legs that come over from another call: who was asked to take the call, and who fetches it.
//!
//! - In a consultation whoever has the call has asked somebody, whose leg then comes over: an
//!   attended transfer.
//! - Somebody takes a call that rings elsewhere or is parked, by dialling a code or the place
//!   where it waits. That is a call of its own, until its leg comes over (inferred). They have
//!   asked nobody, and their own call was the way there and nothing else.
//!
//! So a leg that comes over was asked if the call that it leaves has, or had, one of those in it
//! who have, or have just had, the call that it comes to. If that one is out of sight, whoever was
//! called there was asked, and whoever has called fetches the call (inferred).

use super::call::Call;
use super::leg::{Leg, Origin, Role};
use super::{Engine, Pass};
use crate::event::{Direction, PartyKind};
use crate::source::notice::LegKey;

impl Engine {
    /// What a leg of the call `from` is to the call `to`, that it comes over to.
    pub(super) fn origin(&self, key: &LegKey, from: i64, to: i64) -> Origin {
        let Some(from) = self.calls.get(&from) else { return Origin::New };
        let Some((_, leg)) = from.legs.iter().find(|(known, _)| known == key) else {
            return Origin::New;
        };
        if from.is_idle(leg) {
            Origin::MovedIdle
        } else if from.has_asked(leg, self.calls.get(&to)) {
            Origin::Asked
        } else {
            Origin::Fetches
        }
    }

    /// A leg goes over to another call.
    pub(super) fn leave(&mut self, key: &LegKey, origin: Origin, pass: &mut Pass) {
        let own = self.legs.get(key).and_then(|number| self.calls.get_mut(number));
        if let Some(call) = own.filter(|_| origin == Origin::Fetches) {
            call.was_a_way();
        }
        self.forget(key, pass);
    }
}

impl Call {
    /// A leg that has had nothing to do since somebody answered. A queue's leg may stay while an
    /// agent talks (inferred).
    fn is_idle(&self, leg: &Leg) -> bool {
        let answered = self.link.talk.as_ref().map_or(0, |talk| talk.born);
        leg.facts.role == Role::System && leg.born < answered
    }

    /// Whether the owner of this leg was asked here to take the call `first` over.
    pub(super) fn has_asked(&self, leg: &Leg, first: Option<&Self>) -> bool {
        let was_called = !leg.facts.originates;
        let Some(link) = first.map(|first| &first.link) else { return was_called };
        let talks = link.talk.as_ref().map(|talk| &talk.user);
        let by_holder = [talks, link.transferred_by.as_ref(), link.dialer.as_ref()]
            .into_iter()
            .flatten()
            .any(|holder| holder.number != leg.facts.party.number && self.has(&holder.number));
        by_holder || (talks.is_none() && was_called)
    }

    /// Somebody with this number takes part here, or has.
    fn has(&self, number: &str) -> bool {
        let talks = self.link.talk.as_ref().map(|talk| &talk.user);
        talks.into_iter().chain(&self.link.dialer).any(|party| party.number == number)
            || self.legs.iter().any(|(_, leg)| leg.facts.shows_inside(number))
    }

    /// Whoever talks or dials here takes part in the other call, too; or, if nobody does, somebody
    /// has dialled in the other call the place where this one waits.
    pub(super) fn is_led_by_one_of(&self, other: &Self) -> bool {
        let talks = self.link.talk.as_ref().map(|talk| &talk.user);
        let legs = || other.legs.iter().map(|(_, leg)| &leg.facts);
        match (talks.or(self.link.dialer.as_ref()), self.link.rang.last()) {
            (Some(leader), _) => legs().any(|facts| facts.shows_inside(&leader.number)),
            (None, Some(place)) if place.kind != PartyKind::Extension => {
                legs().any(|facts| facts.originates && facts.peer == place.number)
            }
            _ => false,
        }
    }

    /// Whoever called here has only dialled for another call: nothing was told, and nothing will
    /// be.
    pub(super) fn was_a_way(&mut self) {
        let is_inside = matches!(self.direction, Some(Direction::Internal | Direction::Unknown));
        if is_inside && self.sequence == 0 && self.legs.len() == 1 && self.link.talk.is_none() {
            self.link.open = false;
        }
    }
}
