//! Calls that are out of sight, against the PBX's list of the active ones.
//!
//! A call without any visible leg is over after the settling time: that is a guess, and wrong
//! where the call waits in a queue, or talks to somebody, that is not visible. Where the PBX's
//! list of active calls can be read, it says better:
//!
//! - A call that is listed goes on. If it is still listed after the settling time, whoever talked
//!   has left it: the PBX may list a call a moment longer than its last leg lives.
//! - A call that was listed and is not any more is over, at once.
//! - That a call was never listed says nothing: a client may not know of all calls (inferred: its
//!   role is one within a department).
//!
//! That the list's id is the run-time number is reported, not documented.

use std::collections::HashSet;
use std::time::Duration;

use super::call::{Call, Context, Quiet};
use super::{Engine, Pass};
use crate::event::TransferType;

/// A call that was listed is taken to go on for this long without another word.
pub(super) const TRUST: Duration = Duration::from_secs(15);

impl Engine {
    /// Takes in which calls are listed.
    pub(super) fn hear_active(&mut self, listed: &[i64], pass: &mut Pass) {
        let listed: HashSet<i64> = listed.iter().copied().collect();
        let out_of_sight = |call: &&Call| call.quiet.is_some() && call.legs.is_empty();
        let mut numbers: Vec<i64> =
            self.calls.values().filter(out_of_sight).map(|call| call.number).collect();
        numbers.sort_unstable();
        for number in numbers {
            let Some(call) = self.calls.get_mut(&number) else { continue };
            let is_listed =
                listed.contains(&number) || call.aliases.iter().any(|alias| listed.contains(alias));
            if call.hear_active(is_listed, &mut pass.context(&self.settings)) {
                self.keep(number, &mut pass.step);
            }
        }
    }
}

impl Engine {
    /// Nobody could ask meanwhile, and the list is asked for next: what it said last holds until
    /// then.
    pub(super) fn trust_again(&mut self, pass: &mut Pass) {
        let listed = |call: &&mut Call| call.quiet.as_ref().is_some_and(|it| it.listed.is_some());
        let mut numbers = Vec::new();
        for call in self.calls.values_mut().filter(listed) {
            if let Some(quiet) = &mut call.quiet {
                quiet.listed = Some(pass.at);
            }
            numbers.push(call.number);
        }
        numbers.sort_unstable();
        for number in numbers {
            self.keep(number, &mut pass.step);
        }
    }
}

impl Call {
    /// False if that changes nothing.
    fn hear_active(&mut self, is_listed: bool, cx: &mut Context<'_>) -> bool {
        let Some(quiet) = &mut self.quiet else { return false };
        let since = quiet.since;
        match (is_listed, quiet.listed) {
            (false, None) => return false,
            (false, Some(_)) => {
                // A queue that was visible had it until it went; else it has waited until now.
                let left = self.link.level.as_ref().is_some_and(|level| level.left.is_some());
                if self.link.talk.is_none() && !left {
                    quiet.since = cx.at;
                }
                self.finish(cx);
            }
            (true, _) => {
                quiet.listed = Some(cx.at);
                let (passed, resynced) = (cx.at.ms_since(since), quiet.resynced);
                if Duration::from_millis(passed.into()) < cx.settings.settle {
                    return true;
                }
                self.tell_what_stopped(cx);
                if self.link.talk.is_some() {
                    self.hand_over(None, TransferType::Blind, cx);
                    let listed = Some(cx.at);
                    self.quiet = Some(Quiet { since: cx.at, resynced, settled: false, listed });
                }
            }
        }
        true
    }
}

#[cfg(test)]
#[path = "active_tests.rs"]
mod tests;
