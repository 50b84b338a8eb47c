//! Hold and resume. The API documents no signal for it, so what it shows is a choice.

use crate::exchange::Exchange;
use crate::exchange::call::Who;
use crate::exchange::participant::Status;
use crate::exchange::plan::Hold;
use crate::exchange::refused::Refused;

impl Exchange {
    /// One of two who talk puts the other on hold.
    pub fn hold(&mut self, call: i64, who: Who<'_>) -> Result<(), Refused> {
        self.held(call, who, Status::Hold, Status::Held)
    }

    /// They talk again.
    pub fn resume(&mut self, call: i64, who: Who<'_>) -> Result<(), Refused> {
        self.held(call, who, Status::Connected, Status::Connected)
    }

    /// Shows both sides' new status, as far as the plan says that it shows.
    fn held(&mut self, call: i64, who: Who<'_>, own: Status, far: Status) -> Result<(), Refused> {
        let leg = self.talking(call, who)?;
        let known = self.known(call)?;
        let other = if known.anchor == leg { known.talking } else { Some(known.anchor) };
        match self.plan.wire.hold {
            Hold::Silent => {}
            Hold::Repeat => self.repeat_leg(leg),
            Hold::Status => {
                self.change_leg(leg, |leg| leg.status = own);
                if let Some(other) = other {
                    self.change_leg(other, |leg| leg.status = far);
                }
            }
        }
        Ok(())
    }
}
