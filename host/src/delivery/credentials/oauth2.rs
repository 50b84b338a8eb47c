//! Tokens that are fetched once for all requests, renewed before they expire, and fetched anew
//! when the endpoint refuses them. While a token is still good, nobody waits for the next one.
//!
//! Some servers give a new refresh token with every access token and forget the old one. Such a
//! token is on disk before the access token is used: after a crash at any moment either the old
//! one was not spent, or the new one is there. The operator's word goes before what was kept:
//! once a setting that the kept token came from has changed, it is forgotten. Other settings share
//! the tokens with those before them, so that no refresh token is spent twice.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use super::super::connector::Connector;
use super::super::failure::SendFailure;
use super::super::resolver::Resolver;
use super::super::settings::EndpointSettings;
use super::sensitive;
use super::token::{Granted, TokenEndpoint};
use crate::clock::Clock;
use crate::config::OAuth2;
use crate::outbox::Outbox;

/// A token is renewed this long before it expires, or after nine tenths of its life.
const EARLY: Duration = Duration::from_mins(1);

/// After a failure that passes, the token endpoint is left alone for so long.
const RETRY: Duration = Duration::from_secs(5);

/// The same after a failure that somebody has to mend.
const RETRY_DENIED: Duration = Duration::from_mins(1);

/// The tokens of one endpoint.
pub(super) struct Tokens {
    source: Arc<Source>,
    shared: Arc<Shared>,
}

/// What is shared by all who show these tokens.
struct Shared {
    state: Mutex<State>,
    /// Held while a token is fetched, so that there is one who fetches.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

/// The right to fetch.
type Turn = OwnedMutexGuard<()>;

/// What it takes to get one.
struct Source {
    /// The endpoint's name.
    endpoint: String,
    server: TokenEndpoint,
    outbox: Arc<dyn Outbox>,
    clock: Clock,
    /// Tells the settings that the refresh token came from.
    configured: String,
}

struct State {
    /// The newest; `None` for client credentials.
    refresh_token: Option<String>,
    current: Option<Token>,
    /// How many there were.
    count: u64,
    /// Until then, in monotonic time, nothing is tried, because of this.
    failed: Option<(Duration, SendFailure)>,
    /// The settings by which the last two came about.
    settings: OAuth2,
}

/// An access token. Times are monotonic.
struct Token {
    header: HeaderValue,
    renew_at: Option<Duration>,
    expires_at: Option<Duration>,
}

/// What is kept of a refresh token.
#[derive(Serialize, Deserialize)]
struct Kept {
    configured: String,
    refresh_token: String,
}

impl Tokens {
    /// Goes on with those `before` if they come from the same place; else nothing is fetched yet.
    /// Fails if what was kept cannot be read.
    pub(super) fn new(
        oauth2: &OAuth2,
        settings: &EndpointSettings,
        before: Option<&Self>,
        resolver: &Arc<dyn Resolver>,
        outbox: &Arc<dyn Outbox>,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let connector = Connector::to(&oauth2.token_url, &[], settings, resolver)?;
        let source = Source {
            endpoint: settings.name.clone(),
            server: TokenEndpoint::new(oauth2, connector, settings.timeout)?,
            outbox: Arc::clone(outbox),
            clock: clock.clone(),
            configured: fingerprint(oauth2),
        };
        let before = before.filter(|before| before.source.configured == source.configured);
        let shared = match before {
            Some(before) => Arc::clone(&before.shared),
            None => Arc::new(Shared::new(source.kept(oauth2)?, oauth2)),
        };
        Ok(Self { source: Arc::new(source), shared })
    }

    /// A token that is good, as a header's value, and its number.
    pub(super) async fn current(&self) -> Result<(HeaderValue, u64), SendFailure> {
        if let Some(good) = self.good() {
            return Ok(good);
        }
        let turn = Arc::clone(&self.shared.fetching).lock_owned().await;
        // Somebody else may have fetched it meanwhile.
        match self.good() {
            Some(good) => Ok(good),
            None => self.renew(turn).await,
        }
    }

    /// Gets a newer token than number `old`, unless there is one. `false` if there is none to be
    /// had.
    pub(super) async fn renewed_since(&self, old: u64) -> bool {
        let turn = Arc::clone(&self.shared.fetching).lock_owned().await;
        {
            let mut state = self.state();
            if state.count != old {
                return state.current.is_some();
            }
            state.current = None;
        }
        self.renew(turn).await.is_ok()
    }

    /// Waits until none is being fetched.
    pub(super) async fn at_rest(&self) {
        drop(self.shared.fetching.lock().await);
    }

    /// The token there is, if it is good; sees to it that there is another one in time.
    fn good(&self) -> Option<(HeaderValue, u64)> {
        let now = self.source.clock.now().mono;
        let state = self.state();
        let token = state.current.as_ref().filter(|token| !token.is_over(now))?;
        let good = (token.header.clone(), state.count);
        let resting = state.failed.as_ref().is_some_and(|(until, _)| now < *until);
        let due = token.is_due(now) && !resting;
        drop(state);
        if due && let Ok(turn) = Arc::clone(&self.shared.fetching).try_lock_owned() {
            drop(self.fetch(turn));
        }
        Some(good)
    }

    async fn renew(&self, turn: Turn) -> Result<(HeaderValue, u64), SendFailure> {
        let renewal = self.fetch(turn).await;
        renewal.unwrap_or_else(|error| Err(SendFailure::Credentials(error.to_string())))
    }

    /// In a task of its own: who waits for it may give up, but a refresh token that is on its way
    /// must not be lost.
    fn fetch(&self, turn: Turn) -> JoinHandle<Result<(HeaderValue, u64), SendFailure>> {
        let (source, shared) = (Arc::clone(&self.source), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let renewed = source.renew(&shared).await;
            let state = shared.state();
            let header = state.current.as_ref().map(|token| token.header.clone());
            let none = || SendFailure::Credentials("there is no token".to_owned());
            drop(turn);
            renewed.and_then(|()| Ok((header.ok_or_else(none)?, state.count)))
        })
    }

    /// What there is by these settings.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.shared.state();
        state.adopt(self.source.server.settings());
        state
    }
}

impl Shared {
    fn new(refresh_token: Option<String>, settings: &OAuth2) -> Self {
        let settings = settings.clone();
        let state = State { refresh_token, current: None, count: 0, failed: None, settings };
        Self { state: Mutex::new(state), fetching: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What came about by other settings (another scope, another secret) is none of theirs.
    fn adopt(&mut self, settings: &OAuth2) {
        if self.settings != *settings {
            self.settings = settings.clone();
            self.current = None;
            self.failed = None;
        }
    }
}

impl Source {
    /// The newest refresh token: the one that was kept, or that of the settings.
    fn kept(&self, oauth2: &OAuth2) -> anyhow::Result<Option<String>> {
        let Some(token) = &oauth2.refresh_token else { return Ok(None) };
        let kept = self.outbox.kept(&name(&self.endpoint))?;
        let kept: Option<Kept> = kept.and_then(|text| serde_json::from_str(&text).ok());
        let kept = kept.filter(|kept| kept.configured == self.configured);
        Ok(Some(kept.map_or_else(|| token.expose().to_owned(), |kept| kept.refresh_token)))
    }

    /// Puts a new token into the state, or leaves one there that is not new but still good.
    async fn renew(&self, shared: &Shared) -> Result<(), SendFailure> {
        let now = self.clock.now().mono;
        let resting = shared.state().failed.clone().filter(|(until, _)| now < *until);
        let outcome = match resting {
            Some((_, failure)) => Err(failure),
            None => self.fetch(shared).await.inspect_err(|failure| {
                self.report(failure);
                let denied = matches!(failure, SendFailure::Denied(_));
                let pause = if denied { RETRY_DENIED } else { RETRY };
                let until = self.clock.now().mono + pause;
                shared.state().failed = Some((until, failure.clone()));
            }),
        };
        let good = shared.state().current.as_ref().is_some_and(|token| !token.is_over(now));
        if good { Ok(()) } else { outcome }
    }

    /// For whoever has the turn.
    async fn fetch(&self, shared: &Shared) -> Result<(), SendFailure> {
        let asked = self.clock.now().mono;
        let spent = shared.state().refresh_token.clone();
        let granted = self.server.ask(spent.as_deref()).await?;
        // Whatever else is wrong with what was granted: the old refresh token is spent.
        if let Some(newer) = granted.refresh_token.clone().filter(|_| spent.is_some())
            && spent.as_ref() != Some(&newer)
        {
            shared.state().refresh_token = Some(newer.clone());
            self.keep(newer).await?;
        }
        let token = Token::new(&granted, asked)?;
        let mut state = shared.state();
        state.adopt(self.server.settings());
        state.current = Some(token);
        state.count = state.count.wrapping_add(1);
        state.failed = None;
        tracing::debug!(endpoint = self.endpoint, "There is a new access token.");
        Ok(())
    }

    async fn keep(&self, refresh_token: String) -> Result<(), SendFailure> {
        let unkept = |why: String| SendFailure::Credentials(format!("a token is not kept: {why}"));
        let kept = Kept { configured: self.configured.clone(), refresh_token };
        let text = serde_json::to_string(&kept).map_err(|error| unkept(error.to_string()))?;
        let receipt = self.outbox.keep(&name(&self.endpoint), Some(&text));
        receipt.await.map_err(|error| unkept(format!("{error:#}")))
    }

    fn report(&self, failure: &SendFailure) {
        let endpoint = &self.endpoint;
        if matches!(failure, SendFailure::Denied(_)) {
            tracing::error!(endpoint, %failure, "There is no access token; see [webhook] auth.");
        } else {
            tracing::warn!(endpoint, %failure, "There is no new access token; trying again.");
        }
    }
}

impl Token {
    fn new(granted: &Granted, asked: Duration) -> Result<Self, SendFailure> {
        let header = sensitive(&format!("Bearer {}", granted.access_token)).map_err(|_| {
            SendFailure::Credentials("the access token is none that HTTP can carry".to_owned())
        })?;
        let lifetime = granted.lifetime();
        let renew_at =
            lifetime.and_then(|life| asked.checked_add(life.saturating_sub(EARLY.min(life / 10))));
        Ok(Self { header, renew_at, expires_at: lifetime.and_then(|life| asked.checked_add(life)) })
    }

    fn is_due(&self, now: Duration) -> bool {
        self.renew_at.is_some_and(|at| now >= at)
    }

    fn is_over(&self, now: Duration) -> bool {
        self.expires_at.is_some_and(|at| now >= at)
    }
}

/// What the refresh token is kept under.
fn name(endpoint: &str) -> String {
    format!("oauth:{endpoint}")
}

/// Tells whether the settings are still those that a kept token came from, without telling what
/// they are.
fn fingerprint(oauth2: &OAuth2) -> String {
    let token = oauth2.refresh_token.as_ref().map_or("", |token| token.expose());
    let mut hash = Context::new(&SHA256);
    for part in [oauth2.token_url.as_str(), oauth2.client_id.as_str(), token] {
        hash.update(&part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    BASE64_STANDARD.encode(hash.finish())
}
