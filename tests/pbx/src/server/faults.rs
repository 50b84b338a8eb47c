//! What goes wrong by intention, switched by tests while everything runs.

use std::time::Duration;

use crate::server::http::Reply;
use crate::server::socket::Out;
use crate::server::state::Shared;

/// The switches as they stand.
#[expect(clippy::struct_excessive_bools, reason = "switches that know nothing of each other")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Switches {
    /// Logins get 401.
    pub(crate) refuse_logins: bool,
    /// Upgrades get this status.
    pub(crate) refuse_sockets: Option<u16>,
    /// Everything but logins gets 403.
    pub(crate) forbidden: bool,
    /// Everything gets 502.
    pub(crate) down: bool,
    /// Nothing gets an answer.
    pub(crate) silent: bool,
    /// What reads of one participant get instead of the truth.
    pub(crate) reads: Instead,
    /// What reads of lists get instead of the truth.
    pub(crate) lists: Instead,
    /// What reads of the call log get instead of the truth.
    pub(crate) log: Instead,
    /// Reads of one participant wait for this.
    pub(crate) delay: Option<(Duration, Looked)>,
    /// Reads of one participant wait for the release.
    pub(crate) held: Option<Looked>,
}

/// When a late answer to a read looked at the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// When the question came: the answer is out of date when it arrives.
    AtArrival,
    /// When the answer goes: the participant may be gone by then.
    AtRelease,
}

/// An answer that is given instead of the true one, so many times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instead {
    /// The answer.
    reply: Option<Reply>,
    /// How many times still.
    times: u32,
}

impl Instead {
    /// The wrong answer, if one is due.
    pub(crate) fn take(&mut self) -> Option<Reply> {
        self.times = self.times.checked_sub(1)?;
        self.reply.clone()
    }

    /// Gives an empty answer with this status.
    fn status(status: u16, times: u32) -> Self {
        Self { reply: Some(Reply::error(status, "error", "switched on by a test")), times }
    }

    /// Gives something that is no JSON.
    fn garbage(times: u32) -> Self {
        let body = r#"{"id":1,"status":"Ring"#.to_owned();
        Self { reply: Some(Reply { status: 200, body }), times }
    }
}

/// The switches, for tests. Each holds until it is switched back.
#[derive(Clone, Copy, Debug)]
pub struct Faults<'a> {
    /// What they act on.
    pub(crate) shared: &'a Shared,
}

impl Faults<'_> {
    /// Changes a switch.
    fn switch(self, act: impl FnOnce(&mut Switches)) {
        self.shared.change(|state| act(&mut state.switches));
    }

    /// Drops all open sockets without a word.
    pub fn drop_sockets(self) {
        self.shared.change(|state| state.end_sockets(&Out::Drop));
    }

    /// Closes all open sockets with a code of the WebSocket protocol, such as 1001.
    pub fn close_sockets(self, code: u16) {
        self.shared.change(|state| state.end_sockets(&Out::Close(code)));
    }

    /// Refuses new sockets with this status.
    pub fn refuse_sockets(self, status: u16) {
        self.switch(|switches| switches.refuse_sockets = Some(status));
    }

    /// Takes new sockets again.
    pub fn accept_sockets(self) {
        self.switch(|switches| switches.refuse_sockets = None);
    }

    /// Makes the token invalid, as another process does that takes one; sockets close with it
    /// unless the settings say that they outlive it.
    pub fn take_token_away(self) {
        self.shared.change(|state| {
            state.tokens.revoke();
            if !self.shared.settings.sockets_outlive_tokens {
                state.end_sockets(&Out::Close(1008));
            }
        });
    }

    /// Refuses or takes logins.
    pub fn refuse_logins(self, refuse: bool) {
        self.switch(|switches| switches.refuse_logins = refuse);
    }

    /// Forbids or allows everything but logins, as without a licence.
    pub fn forbid_everything(self, forbid: bool) {
        self.switch(|switches| switches.forbidden = forbid);
    }

    /// Answers the next reads of single participants with a status, so many times.
    pub fn fail_reads(self, status: u16, times: u32) {
        self.switch(|switches| switches.reads = Instead::status(status, times));
    }

    /// Answers the next reads of single participants with broken JSON, so many times.
    pub fn garble_reads(self, times: u32) {
        self.switch(|switches| switches.reads = Instead::garbage(times));
    }

    /// Answers the next reads of DNs or lists with a status, so many times.
    pub fn fail_lists(self, status: u16, times: u32) {
        self.switch(|switches| switches.lists = Instead::status(status, times));
    }

    /// Answers the next reads of DNs or lists with broken JSON, so many times.
    pub fn garble_lists(self, times: u32) {
        self.switch(|switches| switches.lists = Instead::garbage(times));
    }

    /// Answers the next reads of the call log with a status, so many times.
    pub fn fail_log(self, status: u16, times: u32) {
        self.switch(|switches| switches.log = Instead::status(status, times));
    }

    /// Answers the next reads of the call log with broken JSON, so many times.
    pub fn garble_log(self, times: u32) {
        self.switch(|switches| switches.log = Instead::garbage(times));
    }

    /// Answers reads of single participants late.
    pub fn delay_reads(self, by: Duration, looked: Looked) {
        self.switch(|switches| switches.delay = Some((by, looked)));
    }

    /// Answers reads of single participants in time again.
    pub fn stop_delaying_reads(self) {
        self.switch(|switches| switches.delay = None);
    }

    /// Lets reads of single participants wait until [`Self::release_reads`].
    pub fn hold_reads(self, looked: Looked) {
        self.switch(|switches| switches.held = Some(looked));
    }

    /// Answers the reads that wait, and lets none wait any more.
    pub fn release_reads(self) {
        self.switch(|switches| switches.held = None);
    }

    /// Sends a text to all open sockets that no exchange would send.
    pub fn send_garbage(self, text: &str) {
        self.shared.change(|state| {
            for socket in state.sockets.values_mut() {
                socket.send(Out::Frame(text.to_owned()));
            }
        });
    }

    /// Sends an event of any type about any entity to all open sockets, such as that of a phone
    /// which registered.
    pub fn send_event(self, event_type: u8, entity: &str) {
        self.shared.change(|state| {
            for socket in state.sockets.values_mut() {
                socket.tell(self.shared.settings.casing, event_type, entity, None);
            }
        });
    }

    /// Stops the API: sockets and connections are dropped, requests get 502. Calls go on.
    pub fn gateway_down(self) {
        self.shared.change(|state| {
            state.switches.down = true;
            state.end_sockets(&Out::Drop);
        });
        self.shared.hang_up_on_all();
    }

    /// Starts the API again. Tokens of before are not valid (inferred).
    pub fn gateway_up(self) {
        self.shared.change(|state| {
            state.switches.down = false;
            state.tokens.revoke();
        });
    }

    /// Restarts the exchange: sockets and connections are dropped, calls are gone, counters
    /// start over, tokens are not valid any more.
    pub fn restart(self) {
        self.shared.change(|state| {
            state.end_sockets(&Out::Drop);
            state.exchange.restart();
            state.unread.clear();
            state.tokens.revoke();
        });
        self.shared.hang_up_on_all();
    }

    /// Goes silent: sockets stay open but say and hear nothing any more, for ever; requests get
    /// no answer until [`Self::speak`].
    pub fn go_silent(self) {
        self.shared.change(|state| {
            state.switches.silent = true;
            for (_, mut socket) in std::mem::take(&mut state.sockets) {
                socket.send(Out::Deafen);
                state.deaf.push(socket);
            }
        });
    }

    /// Answers requests and takes sockets again. Those that were open stay dead.
    pub fn speak(self) {
        self.switch(|switches| switches.silent = false);
    }
}
