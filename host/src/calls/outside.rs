//! Who is outside, when that changes in the middle of a call.
//!
//! A call has one outside party, whose number all its events bear. It can get another one without
//! a word from the PBX: two calls with somebody outside are joined and one side leaves, or the PBX
//! tries another number for one that does not answer. And it can lose the one it had before that
//! answered, and stay as a call between those inside.

use super::call::{Call, Context};
use super::leg::{Facts, Role};
use crate::event::{Direction, TransferType};

impl Call {
    /// A call to somebody outside rings or is answered inside, and nobody outside is left: it was
    /// forwarded, or had been and was taken by somebody else meanwhile. The link ends and an
    /// internal one begins.
    pub(super) fn turn_inward(&mut self, cx: &mut Context<'_>) {
        let legs = || self.legs.iter().map(|(_, leg)| &leg.facts);
        let with_outside = |facts: &Facts| {
            facts.role == Role::Trunk || (!self.trunk_seen && facts.external.is_some())
        };
        let outgoing = self.direction == Some(Direction::Outgoing) && self.link.talk.is_none();
        if !outgoing || legs().any(with_outside) {
            return;
        }
        let inside = |facts: &&Facts| {
            let has_it = facts.is_answered() || facts.is_offered();
            has_it && !facts.originates && facts.external.is_none()
        };
        let Some(caller) = legs().find(inside).map(|facts| facts.peer.clone()) else { return };
        self.give_up(TransferType::NotDef, cx);
        self.direction = Some(Direction::Internal);
        self.caller_id = caller;
        self.trunk_seen = false;
    }

    /// The call has another outside party than before: two of them were joined and one has left,
    /// or the one that was called did not answer and the PBX has tried another number.
    pub(super) fn turn_elsewhere(&mut self, cx: &mut Context<'_>) {
        let Some((direction, number)) = self.other_outside() else { return };
        let dialing = self.direction == Some(Direction::Outgoing) && self.link.talk.is_none();
        if self.link.open && !(dialing && direction == Direction::Outgoing) {
            self.give_up(TransferType::Accomp, cx);
        }
        self.direction = Some(direction);
        self.caller_id = number;
    }

    /// Ends the link because its outside party is gone, and begins the next with those who stay.
    fn give_up(&mut self, transfer: TransferType, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.link.open) {
            self.tell_end(false, None, cx.at, cx);
        }
        self.hand_over(None, transfer, cx);
    }

    /// Who is outside, if that is certainly somebody else than whom the call was with: a leg inside
    /// says so and the trunk's legs do too. Of whom is being called, the caller's leg tells enough.
    /// A text alone may be the same number, written another way.
    fn other_outside(&self) -> Option<(Direction, String)> {
        if !self.is_external() {
            return None;
        }
        let legs = || self.legs.iter().map(|(_, leg)| &leg.facts);
        let of_trunk = |facts: &&Facts| facts.role == Role::Trunk;
        let on_trunk = |number: &str| legs().filter(of_trunk).find(|facts| facts.shows(number));
        let dials = self.direction == Some(Direction::Outgoing) && self.link.talk.is_none();
        let is_there = if legs().any(|facts| of_trunk(&facts)) {
            on_trunk(&self.caller_id).is_some()
        } else {
            legs().any(|facts| facts.shows(&self.caller_id))
        };
        // Who is called still rings, but somebody inside is connected to somebody else outside.
        let only_rings = is_there && self.far_side_rings();
        if is_there && !only_rings {
            return None;
        }
        let talks = self.link.talk.as_ref().and_then(|talk| self.facts(&talk.leg));
        let facts = legs().find(|facts| {
            let told = |number: &String| match on_trunk(number) {
                Some(trunk) if only_rings => trunk.is_up() && facts.is_answered(),
                Some(_) => true,
                None => dials && !only_rings && facts.originates,
            };
            let knows =
                |talks: &Facts| talks.external.as_deref().is_some_and(|it| on_trunk(it).is_some());
            let asked =
                talks.is_none_or(|talks| talks == *facts || (facts.is_answered() && !knows(talks)));
            asked && !of_trunk(facts) && facts.external.as_ref().is_some_and(told)
        })?;
        let number = facts.external.clone()?;
        Some((on_trunk(&number).unwrap_or(facts).direction, number))
    }

    /// The far side of an outgoing call has not answered, as its trunk's leg tells where that is
    /// visible (inferred). A phone that was connected already does not tell, and neither does the
    /// leg of somebody else outside.
    pub(super) fn far_side_rings(&self) -> bool {
        let trunks = || {
            self.legs.iter().map(|(_, leg)| &leg.facts).filter(|facts| facts.role == Role::Trunk)
        };
        let called = |facts: &&Facts| facts.shows(&self.caller_id);
        let is_up = |facts: &Facts| facts.is_up();
        let up = if trunks().any(|facts| called(&facts)) {
            trunks().filter(called).any(is_up)
        } else {
            trunks().any(is_up)
        };
        self.direction == Some(Direction::Outgoing) && self.trunk_seen && !up
    }
}
