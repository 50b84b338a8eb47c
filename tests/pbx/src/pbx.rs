//! The simulated exchange, running: its address, its people, its faults, and what it saw.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::builder::Builder;
use crate::exchange::{Exchange, Participant, Plan, Strategy};
use crate::people::{Call, Outsider, Person};
use crate::server::{Counts, Faults, Settings, Shared, Socket, State, Waited, serve};

/// A simulated 3CX. Stops, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Pbx {
    /// What the server's tasks share with those who act.
    shared: Arc<Shared>,
    /// The address.
    url: String,
    /// The task that serves.
    server: JoinHandle<()>,
}

impl Drop for Pbx {
    fn drop(&mut self) {
        self.server.abort();
        // A socket's task ends when the state forgets its socket.
        self.shared.change(|state| {
            state.sockets.clear();
            state.deaf.clear();
        });
    }
}

impl Pbx {
    /// An exchange without numbers, to be filled.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// An exchange with a few numbers of each kind: Alice Novak 106, Bob Marek 107, Carol Tesar
    /// 108 with two phones, Dan Urban 109; queue 800, ring group 810, receptionist 850; and the
    /// numbers 420226201001 to 420226201004 that lead to Alice, queue, group and receptionist.
    pub fn small_office() -> Builder {
        Self::builder()
            .extension("106", "Alice Novak")
            .extension("107", "Bob Marek")
            .extension_with_phones("108", "Carol Tesar", 2)
            .extension("109", "Dan Urban")
            .queue("800", "Sales", &["106", "107"], Strategy::RingAll)
            .ring_group("810", "Office", &["107", "108", "109"], Strategy::RingAll)
            .receptionist("850", "Main menu")
            .did("420226201001", "106")
            .did("420226201002", "800")
            .did("420226201003", "810")
            .did("420226201004", "850")
    }

    /// Opens the port and starts to serve.
    pub(crate) async fn start(plan: Plan, settings: Settings) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", settings.port))
            .await
            .with_context(|| format!("while opening port {} of the loopback", settings.port))?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::new(Exchange::new(plan), settings));
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, url, server })
    }

    /// The address, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The client id.
    pub fn client_id(&self) -> &str {
        &self.shared.settings.client_id
    }

    /// The client secret.
    pub fn client_secret(&self) -> &str {
        &self.shared.settings.client_secret
    }

    /// Whether the client may read the Configuration API.
    pub fn has_books(&self) -> bool {
        self.shared.settings.configuration_api
    }

    /// Somebody inside, by the number.
    pub fn person(&self, number: &str) -> Person {
        Person::new(Arc::clone(&self.shared), number)
    }

    /// Somebody outside, by the number.
    pub fn outside(&self, number: &str) -> Outsider {
        Outsider::new(Arc::clone(&self.shared), number)
    }

    /// The call with this number.
    pub fn call(&self, id: i64) -> Call {
        Call::new(Arc::clone(&self.shared), id)
    }

    /// What can go wrong.
    pub fn faults(&self) -> Faults<'_> {
        Faults { shared: &self.shared }
    }
}

/// What was seen, and waiting for it.
impl Pbx {
    /// All participants of the moment, visible or not.
    pub fn participants(&self) -> Vec<Participant> {
        self.shared.look(|state| state.exchange.participants().cloned().collect())
    }

    /// What was counted since the start.
    pub fn counts(&self) -> Counts {
        self.shared.look(|state| state.counts)
    }

    /// How many tokens were issued.
    pub fn tokens_issued(&self) -> u64 {
        self.shared.look(|state| state.tokens.issued)
    }

    /// How many sockets are open now.
    pub fn open_sockets(&self) -> usize {
        self.shared.look(|state| state.sockets.len())
    }

    /// The last requests as lines, `GET /callcontrol 200`, oldest first.
    pub fn requests(&self) -> Vec<String> {
        self.shared.look(|state| state.log.iter().map(ToString::to_string).collect())
    }

    /// Waits until a socket is open.
    pub async fn wait_for_socket(&self) -> Result<(), Waited> {
        self.wait("an open socket", |state| !state.sockets.is_empty()).await
    }

    /// Waits until no socket is open.
    pub async fn wait_for_no_socket(&self) -> Result<(), Waited> {
        self.wait("no open socket", |state| state.sockets.is_empty()).await
    }

    /// Waits until a watcher is in the picture: a socket is open, and a list was read since.
    pub async fn wait_for_watcher(&self) -> Result<(), Waited> {
        let ready = |state: &State| !state.sockets.is_empty() && state.lists_since_socket > 0;
        self.wait("an open socket and a list read since", ready).await
    }

    /// Waits until the watcher has caught up: every visible participant that is still there was
    /// read in its present state, and the watcher has taken all frames from its socket.
    pub async fn wait_until_caught_up(&self) -> Result<(), Waited> {
        let caught_up = |state: &State| {
            let drained = state.sockets.values().all(Socket::is_drained);
            drained && !state.sockets.is_empty() && state.unread.is_empty()
        };
        self.wait("the watcher to catch up", caught_up).await?;
        self.shared.change(|state| state.sockets.values_mut().for_each(Socket::ping));
        self.wait("the watcher to answer a ping", caught_up).await
    }

    /// Waits until the counters are as wished; `what` names the wish in the error.
    pub async fn wait_until(
        &self,
        what: &str,
        wished: impl Fn(&Counts) -> bool,
    ) -> Result<(), Waited> {
        self.wait(what, |state| wished(&state.counts)).await
    }

    /// Waits, but not longer than the settings allow.
    async fn wait(&self, what: &str, wished: impl Fn(&State) -> bool) -> Result<(), Waited> {
        let patience = self.shared.settings.patience;
        let done = self.shared.until(wished);
        tokio::time::timeout(patience, done)
            .await
            .map_err(|_| Waited { what: what.to_owned(), counts: self.counts() })
    }
}
