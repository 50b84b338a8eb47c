//! The gate through which events leave the engine: an end may have to wait for the PBX's call log,
//! and the log may add a recording.

use super::afterwards::{self, Told};
use super::{Engine, Pass, Step};
use crate::event::{ChainId, LocalTime};
use crate::source::notice::{Notice, Seen};

impl Engine {
    /// Lets the events pass that may leave now, and adds what the call log makes of others that
    /// have left.
    pub(super) fn look_afterwards(&mut self, notice: &Notice, pass: &mut Pass) {
        let events = std::mem::take(&mut pass.step.events);
        let mut told = self.afterwards.let_pass(events, pass.at, &self.settings.titles);
        if let Seen::Logged { rows } = &notice.what {
            self.afterwards.read(rows, &self.settings.titles, &mut told);
        }
        for mut event in self.afterwards.recordings(&mut told) {
            let sequence = self.next_place(&event.id.chain, &mut pass.step);
            let at = LocalTime::new(pass.at.wall(), &self.settings.zone);
            afterwards::place(&mut event, sequence, at);
            self.afterwards.tell(event, &mut told);
        }
        self.afterwards.run_timers(pass.at, &mut told);
        let Told { events, state } = told;
        pass.step.events = events;
        pass.step.state.extend(state);
    }

    /// The next place in the sequence of a call, which may be forgotten.
    fn next_place(&mut self, chain: &ChainId, step: &mut Step) -> u32 {
        let number = chain.as_str().rsplit('_').next().and_then(|number| number.parse().ok());
        let number = number.unwrap_or_default();
        let Some(call) = self.calls.get_mut(&number).filter(|call| call.chain == *chain) else {
            return self.afterwards.sequence(chain).saturating_add(1);
        };
        call.sequence = call.sequence.saturating_add(1);
        let sequence = call.sequence;
        self.keep(number, step);
        sequence
    }
}
