//! What calls do without a notice: when that is due, and that they are looked at then.

use std::time::Duration;

use super::call::{Call, Context};
use super::time::At;
use super::{Engine, Step};

/// A call that was over is remembered this long, in case it shows up again from a place that is
/// not visible. Calls waited 211 s in a queue without any visible leg (observed).
const LINGER: Duration = Duration::from_mins(10);

/// So many calls are known at once at most, unless more than that go on: what is remembered of those
/// that were over takes memory, and time at the next start. So many begin in [`LINGER`] where it is 33
/// a second.
const KNOWN: usize = 20_000;

/// The first timers are those of calls that go on; among so many the first of another kind is
/// looked for.
const AHEAD: usize = 1_000;

impl Engine {
    /// The reading of the monotonic clock at which
    /// [`Seen::Tick`](crate::source::notice::Seen::Tick) is due, if ever.
    pub fn next_tick(&self) -> Option<Duration> {
        let calls = self.timers.first().filter(|_| self.watching).map(|(due, _)| *due);
        let due = calls.into_iter().chain(self.afterwards.due()).min()?;
        Some(self.timeline.mono(due))
    }

    pub(super) fn run_timers(&mut self, at: At, step: &mut Step) {
        while let Some((due, number)) = self.timers.first().copied() {
            if due > at.steady() {
                break;
            }
            self.timers.pop_first();
            let Some(call) = self.calls.get_mut(&number) else { continue };
            call.due = None;
            if call.over.is_some() && !call.legs.is_empty() {
                // Those inside talk on among themselves; their legs are not a new call.
                call.over = Some(at);
                self.keep(number, step);
                continue;
            }
            if call.over.is_some() {
                self.remove(number);
                step.state.push((number.to_string(), None));
                continue;
            }
            let mut cx =
                Context { settings: &self.settings, at, resynced: false, events: &mut step.events };
            call.wake(&mut cx);
            self.keep(number, step);
        }
        while self.calls.len() > KNOWN
            && let Some(number) = self.longest_over()
        {
            self.remove(number);
            step.state.push((number.to_string(), None));
        }
    }

    /// The call that has been over for the longest time.
    fn longest_over(&self) -> Option<i64> {
        let over = |call: &Call| call.over.is_some() && call.legs.is_empty();
        let mut first = self.timers.iter().take(AHEAD).map(|(_, number)| *number);
        first.find(|number| self.calls.get(number).is_some_and(over))
    }

    /// Notes the call's new state, and when to look at it again.
    pub(super) fn keep(&mut self, number: i64, step: &mut Step) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        let due = due(call, self.settings.settle);
        if due != call.due {
            self.timers.extend(due.map(|due| (due, number)));
            if let Some(old) = std::mem::replace(&mut call.due, due) {
                self.timers.remove(&(old, number));
            }
        }
        let state = match serde_json::to_vec(call) {
            Ok(state) => Some(state),
            Err(error) => {
                tracing::error!(call = %call.chain, %error, "Cannot keep the state of a call.");
                return;
            }
        };
        step.state.push((number.to_string(), state));
    }
}

/// When a call has something to do, in steady milliseconds.
pub(super) fn due(call: &Call, settle: Duration) -> Option<i64> {
    if let Some(over) = &call.over {
        return Some(over.plus(LINGER));
    }
    [call.settles_at(settle), call.takes_over_at(), call.tells_stop_at()]
        .into_iter()
        .flatten()
        .min()
}

#[cfg(test)]
#[path = "timers_tests.rs"]
mod tests;
