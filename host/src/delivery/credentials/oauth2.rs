//! Tokens that are fetched once for all requests, renewed before they expire, and fetched anew
//! when the endpoint refuses them. While a token is still good, nobody waits for the next one.
//!
//! Some servers give a new refresh token with every access token and forget the old one. Such a
//! token is on disk before the access token is used: after a crash at any moment either the old
//! one was not spent, or the new one is there. The operator's word goes before what was kept:
//! once a setting that the kept token came from has changed, it counts no more. An endpoint's name
//! does not matter: see [`super::shared`].

use std::sync::{Arc, Mutex, PoisonError};
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
use super::shared::{Line, Lines, Token};
use super::token::TokenEndpoint;
use crate::clock::Clock;
use crate::config::OAuth2;
use crate::outbox::Outbox;

/// After a failure that passes, the token endpoint is left alone for so long.
const RETRY: Duration = Duration::from_secs(5);

/// The same after a failure that somebody has to mend.
const RETRY_DENIED: Duration = Duration::from_mins(1);

/// The tokens of one endpoint.
pub(super) struct Tokens {
    source: Arc<Source>,
    line: Arc<Line>,
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
    /// Until then, in monotonic time, nothing is tried, because of this. Another endpoint may have
    /// another way to the same server.
    failed: Mutex<Option<(Duration, SendFailure)>>,
}

/// What is kept of a refresh token.
#[derive(Serialize, Deserialize)]
struct Kept {
    configured: String,
    refresh_token: String,
}

impl Tokens {
    /// Goes on with those of `lines` that come from the same place; else nothing is fetched yet.
    /// Fails if what was kept cannot be read.
    pub(super) fn new(
        oauth2: &OAuth2,
        settings: &EndpointSettings,
        lines: &Lines,
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
            failed: Mutex::default(),
        };
        let line = lines.line(&source.configured, || source.kept(oauth2))?;
        Ok(Self { source: Arc::new(source), line })
    }

    /// A token that is good, as a header's value, and its number.
    pub(super) async fn current(&self) -> Result<(HeaderValue, u64), SendFailure> {
        if let Some(good) = self.good() {
            return Ok(good);
        }
        let turn = Arc::clone(&self.line.fetching).lock_owned().await;
        // Somebody else may have fetched it meanwhile.
        match self.good() {
            Some(good) => Ok(good),
            None => self.renew(turn).await,
        }
    }

    /// Gets a newer token than number `old`, unless there is one. `false` if there is none to be
    /// had.
    pub(super) async fn renewed_since(&self, old: u64) -> bool {
        let turn = Arc::clone(&self.line.fetching).lock_owned().await;
        {
            let mut state = self.line.state();
            let grant = state.grant(self.source.server.settings());
            if grant.count != old {
                return grant.current.is_some();
            }
            grant.current = None;
        }
        self.renew(turn).await.is_ok()
    }

    /// Waits until none is being fetched.
    pub(super) async fn at_rest(&self) {
        drop(self.line.fetching.lock().await);
    }

    /// The token there is, if it is good; sees to it that there is another one in time.
    fn good(&self) -> Option<(HeaderValue, u64)> {
        let now = self.source.clock.now().mono;
        let mut state = self.line.state();
        let grant = state.grant(self.source.server.settings());
        let token = grant.current.as_ref().filter(|token| !token.is_over(now))?;
        let good = (token.header.clone(), grant.count);
        let due = token.is_due(now) && self.source.resting(now).is_none();
        drop(state);
        if due && let Ok(turn) = Arc::clone(&self.line.fetching).try_lock_owned() {
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
        let (source, line) = (Arc::clone(&self.source), Arc::clone(&self.line));
        tokio::spawn(async move {
            let renewed = source.renew(&line).await;
            let mut state = line.state();
            let grant = state.grant(source.server.settings());
            let header = grant.current.as_ref().map(|token| token.header.clone());
            let none = || SendFailure::Credentials("there is no token".to_owned());
            drop(turn);
            renewed.and_then(|()| Ok((header.ok_or_else(none)?, grant.count)))
        })
    }
}

impl Source {
    /// The newest refresh token: the one that was kept, or that of the settings.
    fn kept(&self, oauth2: &OAuth2) -> anyhow::Result<Option<String>> {
        let Some(token) = &oauth2.refresh_token else { return Ok(None) };
        if let Some(kept) = self.kept_as(&name(&self.configured))? {
            return Ok(Some(kept));
        }
        // Earlier versions kept it under the endpoint's name.
        let old_name = name(&self.endpoint);
        let Some(kept) = self.kept_as(&old_name)? else {
            return Ok(Some(token.expose().to_owned()));
        };
        // They become durable in this order; whoever sends waits for what it keeps later.
        drop(self.outbox.keep(&name(&self.configured), Some(&self.to_keep(&kept)?)));
        drop(self.outbox.keep(&old_name, None));
        Ok(Some(kept))
    }

    /// What is kept under this name, if it comes from these settings.
    fn kept_as(&self, name: &str) -> anyhow::Result<Option<String>> {
        let kept = self.outbox.kept(name)?;
        let kept: Option<Kept> = kept.and_then(|text| serde_json::from_str(&text).ok());
        let kept = kept.filter(|kept| kept.configured == self.configured);
        Ok(kept.map(|kept| kept.refresh_token).filter(|token| !token.is_empty()))
    }

    fn to_keep(&self, refresh_token: &str) -> serde_json::Result<String> {
        let (configured, refresh_token) = (self.configured.clone(), refresh_token.to_owned());
        serde_json::to_string(&Kept { configured, refresh_token })
    }

    /// Puts a new token into the line, or leaves one there that is not new but still good.
    async fn renew(&self, line: &Line) -> Result<(), SendFailure> {
        let now = self.clock.now().mono;
        let outcome = match self.resting(now) {
            Some(failure) => Err(failure),
            None => self.fetch(line).await.inspect_err(|failure| self.rest(failure)),
        };
        let mut state = line.state();
        let current = state.grant(self.server.settings()).current.as_ref();
        if current.is_some_and(|token| !token.is_over(now)) { Ok(()) } else { outcome }
    }

    /// Why nothing is tried now, if that is so.
    fn resting(&self, now: Duration) -> Option<SendFailure> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(until, _)| now < *until).map(|(_, failure)| failure.clone())
    }

    /// Leaves the server alone for a while.
    fn rest(&self, failure: &SendFailure) {
        self.report(failure);
        let denied = matches!(failure, SendFailure::Denied(_));
        let until = self.clock.now().mono + if denied { RETRY_DENIED } else { RETRY };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = Some((until, failure.clone()));
    }

    /// For whoever has the turn.
    async fn fetch(&self, line: &Line) -> Result<(), SendFailure> {
        let asked = self.clock.now().mono;
        let spent = line.state().refresh_token.clone();
        let granted = self.server.ask(spent.as_deref()).await?;
        // Whatever else is wrong with what was granted: the old refresh token is spent.
        if let Some(newer) = granted.newer_than(spent.as_deref()) {
            line.state().refresh_token = Some(newer.to_owned());
            self.keep(newer).await?;
        }
        let token = Token::new(&granted, asked)?;
        let mut state = line.state();
        let grant = state.grant(self.server.settings());
        grant.current = Some(token);
        grant.count = grant.count.wrapping_add(1);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        tracing::debug!(endpoint = self.endpoint, "There is a new access token.");
        Ok(())
    }

    async fn keep(&self, refresh_token: &str) -> Result<(), SendFailure> {
        let unkept = |why: String| SendFailure::Credentials(format!("a token is not kept: {why}"));
        let text = self.to_keep(refresh_token).map_err(|error| unkept(error.to_string()))?;
        let receipt = self.outbox.keep(&name(&self.configured), Some(&text));
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

/// What the refresh token is kept under. What it comes from looks like the name of no endpoint.
fn name(from: &str) -> String {
    format!("oauth:{from}")
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
