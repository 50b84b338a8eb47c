//! Ringing that is told late.
//!
//! While somebody talks, nothing else is told to ring: whom they send the call to rings for the
//! next link, which begins when they leave (ours). If they stay until that one answers, both come
//! at once, and the ringing still comes before the start.

use super::call::{Call, Context};
use super::link::MAX_RANG;
use crate::source::notice::LegKey;

impl Call {
    /// Tells the ringing of whoever takes the call over, if their phone rang and that was not
    /// told.
    pub(super) fn ring_late(&mut self, heir: &LegKey, cx: &mut Context<'_>) {
        let Some((_, leg)) = self.legs.iter_mut().find(|(key, _)| key == heir) else { return };
        let was_called = leg.facts.is_answered() && !leg.facts.originates;
        if leg.announced || leg.joined || leg.rang.is_none() || !was_called {
            return;
        }
        leg.announced = true;
        let party = leg.facts.party.clone();
        self.link.open = true;
        if self.link.rang.len() < MAX_RANG {
            self.link.rang.push(party.clone());
        }
        self.tell_ringing(party, cx);
    }
}
