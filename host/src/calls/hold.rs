//! Hold and resume.
//!
//! The Call Control API documents no signal for a hold; reports say that there is none. Its older
//! relative, the .NET interface, has the statuses `Hold` (by the leg's owner) and `Held` (by the
//! other side). Should they occur here, they are taken for the same (inferred). A hold that the
//! PBX does not show is not told.

use super::call::{Call, Context};
use crate::event::EventKind;
use crate::source::notice::Status;

impl Call {
    /// Tells that whoever talks has put the other side on hold, or has taken it back.
    pub(super) fn hold(&mut self, cx: &mut Context<'_>) {
        let Some(talk) = &self.link.talk else { return };
        let Some(facts) = self.facts(&talk.leg) else { return };
        // Of an internal call only the caller's leg may be visible: then the user is the other.
        let own = facts.party.number == talk.user.number;
        let on_hold = match &facts.status {
            Status::Connected => false,
            Status::Other(word) => {
                let by_user = if own { "hold" } else { "held" };
                talk.on_hold || word.eq_ignore_ascii_case(by_user)
            }
            Status::Dialing | Status::Ringing => return,
        };
        if on_hold == talk.on_hold {
            return;
        }
        let user = talk.user.clone();
        if let Some(talk) = &mut self.link.talk {
            talk.on_hold = on_hold;
        }
        let kind = if on_hold { EventKind::Hold } else { EventKind::Resume };
        self.tell(user, cx.at, kind, cx);
    }
}
