//! Calls that become one: attended transfers.
//!
//! A consultation is a call of its own. When the two are joined, at least one leg that stays
//! changes its call's number or is replaced (inferred from call detail records). What remains is
//! the conversation with the party outside, so its chain goes on, whichever number it bears:
//!
//! - The consulted party's leg moves to the first call, or is replaced there: nothing to do, the
//!   first call has an heir.
//! - The outside party goes over to the consultation's number. Seen from its own leg, if the
//!   trunk is visible, or from any leg of the consultation whose other side is, all of a sudden,
//!   outside. Then the consultation is over, its legs belong to the first call, and its number is
//!   another number of that.
//!
//! What somebody dials to fetch a call ends the same way; see `fetch.rs`.

use super::leg::{Facts, Leg, Role};
use super::{Call, Engine, Pass};
use crate::event::{Direction, StopReason};
use crate::source::notice::LegKey;

impl Engine {
    /// Whether a leg that goes from one call to another takes its own call along.
    pub(super) fn is_taken_along(&self, own: i64, other: i64) -> bool {
        let has_outside = |number| self.calls.get(&number).is_some_and(Call::has_outside);
        has_outside(own) && !has_outside(other)
    }

    /// The call of a leg that shows this number: another one, if this is a consultation whose
    /// other side has just handed over somebody outside.
    pub(super) fn rejoin(&mut self, number: i64, facts: &Facts, pass: &mut Pass) -> i64 {
        // Of a call that nobody is shown in yet, it is not known whether it is one.
        let known = |call: &Call| call.direction.is_some_and(|way| way != Direction::Unknown);
        let asks = |call: &&Call| known(call) && !call.has_outside();
        let consultation = self.calls.get(&number).filter(asks);
        let (Some(outside), Some(consultation)) = (&facts.external, consultation) else {
            return number;
        };
        let handed_over =
            |call: &&Call| call.is_with(outside) && call.is_led_by_one_of(consultation);
        let first = self.calls.values().filter(handed_over).map(|call| call.number).max();
        match first {
            Some(first) => {
                self.absorb(first, number, pass);
                first
            }
            None => number,
        }
    }

    /// Makes `number` another number of the call `first`, and its legs that call's.
    pub(super) fn absorb(&mut self, first: i64, number: i64, pass: &mut Pass) {
        let mut aliases = vec![number];
        if let Some(mut consultation) = self.remove(number) {
            let first_call = self.calls.get(&first);
            let legs = consultation.legs.iter();
            let asked: Vec<bool> =
                legs.map(|(_, leg)| consultation.has_asked(leg, first_call)).collect();
            if !asked.contains(&true) {
                consultation.was_a_way();
            }
            let legs = std::mem::take(&mut consultation.legs);
            aliases.append(&mut consultation.aliases);
            if consultation.over.is_none() {
                consultation.stop_all(&StopReason::Moved, &mut pass.context(&self.settings));
                consultation.finish(&mut pass.context(&self.settings));
            }
            pass.step.state.push((number.to_string(), None));
            // Where they talk already, what rang before has had its time.
            let settled = consultation.link.talk.is_some();
            for ((key, leg), asked) in legs.into_iter().zip(asked) {
                let joined = asked && leg.facts.role == Role::User;
                // Here it is connected from now on.
                let connected = leg.connected.map(|_| pass.at);
                let leg = Leg { announced: settled, joined, connected, ..leg };
                self.hand_leg_over(first, key, leg);
            }
        }
        if let Some(call) = self.calls.get_mut(&first) {
            self.aliases.extend(aliases.iter().map(|alias| (*alias, first)));
            call.aliases.append(&mut aliases);
            call.joined = Some(pass.at);
            pass.touched.insert(first);
        }
    }

    fn hand_leg_over(&mut self, number: i64, key: LegKey, mut leg: Leg) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        leg.born = call.next_birth();
        if call.take_over(key.clone(), leg) {
            self.legs.insert(key, number);
        }
    }
}
