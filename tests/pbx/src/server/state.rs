//! What the server knows, under one lock, and the bell that rings when it changes.
//!
//! An action and the notices of it happen under the same hold of the lock, so that all sockets
//! tell changes in the order in which they happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::exchange::{Change, Exchange, Refused};
use crate::server::counts::{Counts, Logged};
use crate::server::faults::Switches;
use crate::server::history::History;
use crate::server::settings::Settings;
use crate::server::socket::{Out, Socket};
use crate::server::token::Tokens;

/// How many requests the log keeps.
const LOG_LENGTH: usize = 10_000;

/// The server's state, shared by its connections and by those who act.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Choices that do not change.
    pub(crate) settings: Settings,
    /// Everything that changes.
    state: Mutex<State>,
    /// Rings after each change.
    bell: watch::Sender<u64>,
    /// Makes all HTTP connections end.
    pub(crate) drop_connections: watch::Sender<u64>,
}

/// Everything that changes.
#[derive(Debug)]
pub(crate) struct State {
    /// The calls.
    pub(crate) exchange: Exchange,
    /// Who may ask.
    pub(crate) tokens: Tokens,
    /// What goes wrong by intention.
    pub(crate) switches: Switches,
    /// The open sockets.
    pub(crate) sockets: BTreeMap<u64, Socket>,
    /// Sockets that are open but dead, kept from closing.
    pub(crate) deaf: Vec<Socket>,
    /// The number of the next socket.
    pub(crate) next_socket: u64,
    /// Lists that were read since a socket was opened.
    pub(crate) lists_since_socket: u64,
    /// Visible participants whose latest state nobody has read.
    pub(crate) unread: BTreeSet<i64>,
    /// What was counted.
    pub(crate) counts: Counts,
    /// The call log.
    pub(crate) history: History,
    /// The last requests.
    pub(crate) log: VecDeque<Logged>,
}

impl Shared {
    /// The state of an exchange that nobody watches yet.
    pub(crate) fn new(exchange: Exchange, settings: Settings) -> Self {
        let state = State {
            exchange,
            tokens: Tokens::default(),
            switches: Switches::default(),
            sockets: BTreeMap::new(),
            deaf: Vec::new(),
            next_socket: 1,
            lists_since_socket: 0,
            unread: BTreeSet::new(),
            counts: Counts::default(),
            history: History::default(),
            log: VecDeque::new(),
        };
        Self {
            settings,
            state: Mutex::new(state),
            bell: watch::Sender::new(0),
            drop_connections: watch::Sender::new(0),
        }
    }

    /// Looks at the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state and rings the bell.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.lock());
        self.bell.send_modify(|rung| *rung += 1);
        result
    }

    /// Lets somebody act, and sends out what comes of it.
    pub(crate) fn act<T>(
        &self,
        act: impl FnOnce(&mut Exchange) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        self.change(|state| {
            let result = act(&mut state.exchange);
            for change in state.exchange.take_changes() {
                state.publish(&change, &self.settings);
            }
            result
        })
    }

    /// Waits, as long as it takes, until the state is as wished.
    pub(crate) async fn until(&self, wished: impl Fn(&State) -> bool) {
        let mut bell = self.bell.subscribe();
        // The sender lives in `self`, so an error, a bell that is gone, cannot come.
        while !self.look(&wished) && bell.changed().await.is_ok() {}
    }

    /// Makes all HTTP connections end that are not upgraded.
    pub(crate) fn hang_up_on_all(&self) {
        self.drop_connections.send_modify(|times| *times += 1);
    }

    /// A panic of another holder leaves nothing half done that a test would mind.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells all sockets of a change, if its DN is visible.
    fn publish(&mut self, change: &Change, settings: &Settings) {
        self.history.note(change, self.exchange.plan(), settings);
        let participant = change.participant();
        if !self.exchange.plan().visible(&participant.dn) {
            return;
        }
        let (event_type, times) = match change {
            Change::Upsert(_) => (0, if settings.duplicates { 2 } else { 1 }),
            Change::Remove(_) => (1, 1),
        };
        if event_type == 0 {
            self.unread.insert(participant.id);
        } else {
            self.unread.remove(&participant.id);
        }
        let entity = format!("/callcontrol/{}/participants/{}", participant.dn, participant.id);
        for socket in self.sockets.values_mut() {
            for _ in 0..times {
                socket.tell(settings.casing, event_type, &entity, None);
            }
        }
    }

    /// Sends the same order to all sockets and forgets them.
    pub(crate) fn end_sockets(&mut self, how: &Out) {
        for (_, mut socket) in std::mem::take(&mut self.sockets) {
            socket.send(how.clone());
        }
    }

    /// Notes a request in the log.
    pub(crate) fn log(&mut self, entry: Logged) {
        if self.log.len() == LOG_LENGTH {
            self.log.pop_front();
        }
        self.log.push_back(entry);
        self.counts.requests += 1;
    }
}
