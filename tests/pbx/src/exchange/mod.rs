//! A small model of an exchange: numbers, calls, and the legs of calls as the wire shows them.
//!
//! Pure: no task, no socket, no clock. Each action either changes the model and leaves the
//! [`Change`]s it makes to be taken in order, or is refused and leaves everything as it was.
//! Which sequences are observed, documented or inferred stands where they are made.

mod call;
mod calls;
mod hold;
mod legs;
mod makecall;
mod participant;
mod plan;
mod refused;
mod route;
mod transfer;

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use crate::exchange::call::{Call, Who};
use crate::exchange::legs::Leg;
pub use crate::exchange::participant::{Change, Kind, Participant, Status};
pub use crate::exchange::plan::{Did, Dn, Hold, Join, Plan, PolledBy, Strategy, Wire};
pub use crate::exchange::refused::Refused;

/// The exchange: its plan, and the calls of the moment.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What does not change.
    plan: Plan,
    /// The calls of the moment by their number.
    calls: BTreeMap<i64, Call>,
    /// All legs of all calls by their id.
    legs: BTreeMap<i64, Leg>,
    /// The number of the next call.
    next_call: i64,
    /// The id of the next leg.
    next_leg: i64,
    /// What happened and was not taken yet.
    changes: Vec<Change>,
}

impl Exchange {
    /// An exchange without calls.
    pub fn new(plan: Plan) -> Self {
        Self {
            next_call: plan.first_call,
            next_leg: plan.first_participant,
            plan,
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    /// The numbering plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The call with this number, while it lasts.
    pub fn call(&self, id: i64) -> Option<&Call> {
        self.calls.get(&id)
    }

    /// All calls of the moment.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.values()
    }

    /// The participant with this id, while it lasts.
    pub fn participant(&self, id: i64) -> Option<&Participant> {
        self.legs.get(&id).map(|leg| &leg.shown)
    }

    /// All participants of the moment, oldest first.
    pub fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.legs.values().map(|leg| &leg.shown)
    }

    /// Takes what happened since the last time, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Forgets all calls without a word, as a restart does; the counters start over.
    pub fn restart(&mut self) {
        *self = Self::new(self.plan.clone());
    }
}
