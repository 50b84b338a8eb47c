//! Tokens as all endpoints share them that show the same credentials.
//!
//! A server that rotates refresh tokens knows one line of them: of two endpoints with a line each,
//! the second would spend what the first has spent already. So there is one line for a token URL, a
//! client and a configured refresh token, whatever the endpoints are called; of access tokens there
//! is one for each scope and secret that they are asked for with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::header::HeaderValue;

use super::super::failure::SendFailure;
use super::sensitive;
use super::token::Granted;
use crate::config::OAuth2;

/// A token is renewed this long before it expires, or after nine tenths of its life.
const EARLY: Duration = Duration::from_mins(1);

/// The lines of all endpoints of this process, by what they come from.
#[derive(Clone, Default)]
pub(in crate::delivery) struct Lines(Arc<Mutex<BTreeMap<String, Weak<Line>>>>);

/// What is shared by all who show these tokens.
pub(super) struct Line {
    state: Mutex<State>,
    /// Held while a token is fetched, so that there is one who fetches.
    pub(super) fetching: Arc<tokio::sync::Mutex<()>>,
}

/// The newest of each kind.
pub(super) struct State {
    /// `None` for client credentials.
    pub(super) refresh_token: Option<String>,
    /// Those that came about by these settings; there are few.
    grants: Vec<Grant>,
}

/// An access token and its successors.
pub(super) struct Grant {
    /// By which they came about.
    settings: OAuth2,
    /// The newest, until it is refused.
    pub(super) current: Option<Token>,
    /// How many there were.
    pub(super) count: u64,
}

/// An access token. Times are monotonic.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    renew_at: Option<Duration>,
    expires_at: Option<Duration>,
}

impl Lines {
    /// The line that comes from there. If nobody has it yet, it begins with the refresh token that
    /// `begin` finds.
    pub(super) fn line(
        &self,
        from: &str,
        begin: impl FnOnce() -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<Arc<Line>> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(from).and_then(Weak::upgrade) {
            return Ok(line);
        }
        let state = Mutex::new(State { refresh_token: begin()?, grants: Vec::new() });
        let line = Arc::new(Line { state, fetching: Arc::default() });
        lines.retain(|_, line| line.strong_count() > 0);
        lines.insert(from.to_owned(), Arc::downgrade(&line));
        Ok(line)
    }
}

impl Line {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What came about by these settings. What came about by others (another scope, another
    /// secret) is none of theirs.
    pub(super) fn grant(&mut self, settings: &OAuth2) -> &mut Grant {
        let known = self.grants.iter().position(|grant| grant.settings == *settings);
        let grant = known.map_or_else(|| Grant::new(settings), |at| self.grants.swap_remove(at));
        self.grants.push_mut(grant)
    }
}

impl Grant {
    fn new(settings: &OAuth2) -> Self {
        Self { settings: settings.clone(), current: None, count: 0 }
    }
}

impl Token {
    /// What was granted to whoever `asked` at this time. Fails if it cannot be shown to anybody.
    pub(super) fn new(granted: &Granted, asked: Duration) -> Result<Self, SendFailure> {
        let unusable = |why: &str| SendFailure::Credentials(format!("the access token is {why}"));
        if granted.access_token.trim().is_empty() {
            return Err(unusable("empty; the token endpoint gave none"));
        }
        let header = sensitive(&format!("Bearer {}", granted.access_token))
            .map_err(|_| unusable("none that HTTP can carry"))?;
        let lifetime = granted.lifetime();
        let renew_at =
            lifetime.and_then(|life| asked.checked_add(life.saturating_sub(EARLY.min(life / 10))));
        Ok(Self { header, renew_at, expires_at: lifetime.and_then(|life| asked.checked_add(life)) })
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.renew_at.is_some_and(|at| now >= at)
    }

    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.expires_at.is_some_and(|at| now >= at)
    }
}
