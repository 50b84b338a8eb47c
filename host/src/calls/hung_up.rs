//! Who hung up.
//!
//! The PBX does not tell, but where the trunk's leg is visible, the side whose leg goes first is
//! taken to have done it (inferred: no capture shows in which order the two go). Nothing is said
//!
//! - of what was found by comparing snapshots, or came in the same millisecond;
//! - of a trunk's leg that goes long after the user's: they may have sent the call elsewhere;
//! - of a call with others inside: of a conference that ends all go together (inferred);
//! - of a call to somebody outside that was not answered and whose trunk's leg went first: it was
//!   refused, or nobody was there, or the trunk is out of order.

use super::call::{Call, Context};
use super::leg::Role;
use super::stop::MOMENT;
use crate::event::{Direction, Side};

impl Call {
    /// The side that ended the call now, if the order in which the legs went tells.
    pub(super) fn hung_up_by(&self, cx: &Context<'_>) -> Side {
        let unseen = cx.resynced || self.quiet.as_ref().is_some_and(|quiet| quiet.resynced);
        if unseen || !self.outside_left() {
            return Side::Unknown;
        }
        let talks = self.link.talk.as_ref();
        let Some(quiet) = &self.quiet else {
            let stays = talks.is_some_and(|talk| self.facts(&talk.leg).is_some());
            return if stays { Side::External } else { Side::Unknown };
        };
        let gone_for = cx.at.ms_since(quiet.since);
        let just_before = gone_for > 0 && cx.at.steady() < quiet.since.plus(MOMENT);
        let others = self.legs.iter().any(|(_, leg)| leg.facts.role == Role::User);
        let had_it = talks.is_some()
            || (self.direction == Some(Direction::Outgoing) && self.link.dialer.is_some());
        if just_before && had_it && !others { Side::User } else { Side::Unknown }
    }
}
