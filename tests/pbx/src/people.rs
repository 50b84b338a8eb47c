//! People who use the exchange, so that a test reads like the story it tells.
//!
//! Whoever acts does it at once: when a function returns, the exchange has changed and the
//! notices are on their way. What makes no sense is [`Refused`].

use std::sync::Arc;

use crate::exchange::{Exchange, Participant, Refused, Status, Who};
use crate::server::Shared;

/// What an action comes to.
type Done = Result<(), Refused>;

/// Somebody with an extension.
#[derive(Clone, Debug)]
pub struct Person {
    /// The exchange.
    shared: Arc<Shared>,
    /// Their number.
    number: String,
    /// The phone they use, where they have several.
    phone: Option<usize>,
}

/// Somebody outside.
#[derive(Clone, Debug)]
pub struct Outsider {
    /// The exchange.
    shared: Arc<Shared>,
    /// Their number.
    number: String,
    /// The name their carrier tells; most tell none.
    name: String,
}

/// A call, by its number. It may be over.
#[derive(Clone, Debug)]
pub struct Call {
    /// The exchange.
    shared: Arc<Shared>,
    /// Its number, as in `callid`.
    id: i64,
}

impl Person {
    /// Somebody who uses whichever phone is at hand.
    pub(crate) fn new(shared: Arc<Shared>, number: &str) -> Self {
        Self { shared, number: number.to_owned(), phone: None }
    }

    /// The same person at the phone with this place, from 0.
    #[must_use]
    pub fn at_phone(&self, place: usize) -> Self {
        Self { phone: Some(place), ..self.clone() }
    }

    /// Their number.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// How the exchange knows them.
    fn who(&self) -> Who<'_> {
        self.phone.map_or(Who::Dn(&self.number), |place| Who::Phone(&self.number, place))
    }

    /// Lets them do something with a call.
    fn act(&self, call: &Call, act: impl FnOnce(&mut Exchange, i64, Who<'_>) -> Done) -> Done {
        self.shared.act(|exchange| act(exchange, call.id, self.who()))
    }

    /// Calls somebody inside or outside.
    pub fn dials(&self, number: &str) -> Result<Call, Refused> {
        let id = self.shared.act(|exchange| exchange.dial(&self.number, number))?;
        Ok(Call::new(Arc::clone(&self.shared), id))
    }

    /// Picks up their ringing phone.
    pub fn answers(&self, call: &Call) -> Done {
        self.act(call, Exchange::answer)
    }

    /// Rejects the call on their ringing phone.
    pub fn rejects(&self, call: &Call) -> Done {
        self.act(call, Exchange::reject)
    }

    /// Ends their part of the call.
    pub fn hangs_up(&self, call: &Call) -> Done {
        self.act(call, Exchange::hang_up)
    }

    /// Transfers the one they talk with, without asking.
    pub fn transfers(&self, call: &Call, to: &str) -> Done {
        self.act(call, |exchange, id, who| exchange.transfer(id, who, to))
    }

    /// Joins the one they talk with to the one they called in the meantime, who may still ring,
    /// and leaves. Returns the call that remains.
    pub fn joins(&self, call: &Call, consultation: &Call) -> Result<Call, Refused> {
        let join = |exchange: &mut Exchange| exchange.join(call.id, consultation.id, &self.number);
        Ok(Call::new(Arc::clone(&self.shared), self.shared.act(join)?))
    }

    /// Sends the call on their ringing phone elsewhere.
    pub fn diverts(&self, call: &Call, to: &str) -> Done {
        self.act(call, |exchange, id, who| exchange.divert(id, who, to))
    }

    /// Parks the one they talk with.
    pub fn parks(&self, call: &Call, place: &str) -> Done {
        self.act(call, |exchange, id, who| exchange.park(id, who, place))
    }

    /// Takes a call that rings, waits or is parked elsewhere.
    pub fn picks_up(&self, call: &Call) -> Done {
        self.shared.act(|exchange| exchange.pick_up(call.id, &self.number))
    }

    /// Joins a conversation of others.
    pub fn barges_into(&self, call: &Call) -> Done {
        self.shared.act(|exchange| exchange.barge_in(call.id, &self.number))
    }

    /// Puts the one they talk with on hold.
    pub fn holds(&self, call: &Call) -> Done {
        self.act(call, Exchange::hold)
    }

    /// Takes the one on hold back.
    pub fn resumes(&self, call: &Call) -> Done {
        self.act(call, Exchange::resume)
    }
}

impl Outsider {
    /// Somebody without a name.
    pub(crate) fn new(shared: Arc<Shared>, number: &str) -> Self {
        Self { shared, number: number.to_owned(), name: String::new() }
    }

    /// The same with a name that the carrier tells.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Their number.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Calls a number of the trunk.
    pub fn calls(&self, did: &str) -> Result<Call, Refused> {
        let arrive = |exchange: &mut Exchange| exchange.arrive(&self.number, &self.name, did);
        Ok(Call::new(Arc::clone(&self.shared), self.shared.act(arrive)?))
    }

    /// Answers a call from the exchange.
    pub fn answers(&self, call: &Call) -> Done {
        self.shared.act(|exchange| exchange.answer(call.id, Who::Outside(&self.number)))
    }

    /// Rejects a call from the exchange.
    pub fn rejects(&self, call: &Call) -> Done {
        self.shared.act(|exchange| exchange.reject(call.id, Who::Outside(&self.number)))
    }

    /// Ends the call.
    pub fn hangs_up(&self, call: &Call) -> Done {
        self.shared.act(|exchange| exchange.hang_up(call.id, Who::Outside(&self.number)))
    }

    /// Orders a callback instead of waiting on in the queue, and leaves.
    pub fn orders_callback(&self, call: &Call) -> Done {
        call.goes_to("QCB")?;
        self.hangs_up(call)
    }

    /// Chooses where a digital receptionist sends them.
    pub fn chooses(&self, call: &Call, to: &str) -> Done {
        call.goes_to(to)
    }
}

/// What the exchange does by itself.
impl Call {
    /// The call with this number.
    pub(crate) fn new(shared: Arc<Shared>, id: i64) -> Self {
        Self { shared, id }
    }

    /// The phones have rung long enough. A queue waits on; anything else goes where it is
    /// forwarded, or the call ends.
    pub fn rings_out(&self) -> Done {
        self.shared.act(|exchange| exchange.ring_out(self.id))
    }

    /// The queue or ring group rings again, all or the next.
    pub fn polls_again(&self) -> Done {
        self.shared.act(|exchange| exchange.poll_again(self.id))
    }

    /// The queue, ring group or receptionist gives up: the call goes where it is forwarded, or
    /// ends.
    pub fn times_out(&self) -> Done {
        self.shared.act(|exchange| exchange.time_out(self.id))
    }

    /// The exchange sends the call elsewhere before anybody answered.
    pub fn goes_to(&self, number: &str) -> Done {
        self.shared.act(|exchange| exchange.go_to(self.id, number))
    }

    /// The exchange sends the call to voicemail.
    pub fn goes_to_voicemail(&self) -> Done {
        self.goes_to("666")
    }
}

/// What can be asked.
impl Call {
    /// Its number, as in `callid`.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Whether a phone of this number rings for it.
    pub fn rings(&self, dn: &str) -> bool {
        self.has(dn, Status::Ringing)
    }

    /// Whether this number is connected.
    pub fn talks(&self, dn: &str) -> bool {
        self.has(dn, Status::Connected)
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.shared.look(|state| state.exchange.call(self.id).is_none())
    }

    /// Its participants, visible or not, oldest first.
    pub fn participants(&self) -> Vec<Participant> {
        self.shared.look(|state| {
            let all = state.exchange.participants();
            all.filter(|leg| leg.callid == self.id).cloned().collect()
        })
    }

    /// Whether a leg of this number stands so.
    fn has(&self, dn: &str, status: Status) -> bool {
        self.participants().iter().any(|leg| leg.dn == dn && leg.status == status)
    }
}
