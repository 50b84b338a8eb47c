//! What the host adds to a request, so that the endpoint lets it in.
//!
//! It is added after the last plugin, so no plugin sees it, and only to requests to the endpoint's
//! own host and port: what is sent to one of `allow_hosts` carries what the plugin gave it.

mod oauth2;
mod query;
mod shared;
mod token;

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::http::request::Parts;

use self::oauth2::Tokens;
pub(super) use self::shared::Lines;
use super::failure::SendFailure;
use super::resolver::Resolver;
use super::settings::EndpointSettings;
use crate::clock::Clock;
use crate::config;
use crate::outbox::Outbox;

/// What one endpoint is shown.
pub(super) struct Credentials(Shown);

enum Shown {
    Nothing,
    Header(HeaderName, HeaderValue),
    /// A name and a value, neither encoded.
    Query(String, config::Secret),
    Token(Tokens),
}

/// What a request was given, so that the right one is renewed when it is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// Which of the tokens.
    token: Option<u64>,
}

impl Credentials {
    /// The credentials of an endpoint; tokens are shared through `lines`. Fails if they cannot be put
    /// into HTTP, or if what was kept of them cannot be read.
    pub(super) fn new(
        settings: &EndpointSettings,
        lines: &Lines,
        resolver: &Arc<dyn Resolver>,
        outbox: &Arc<dyn Outbox>,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let shown = match &settings.credentials {
            config::Credentials::None => Shown::Nothing,
            config::Credentials::Basic { user, password } => {
                ensure!(!user.contains(':'), "the credentials' user has a colon in it");
                let pair = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
                Shown::Header(AUTHORIZATION, sensitive(&format!("Basic {pair}"))?)
            }
            config::Credentials::Bearer(token) => {
                Shown::Header(AUTHORIZATION, sensitive(&format!("Bearer {}", token.expose()))?)
            }
            config::Credentials::Header { name, value } => {
                let name = name.parse().context("the credentials' header has an unusable name")?;
                Shown::Header(name, sensitive(value.expose())?)
            }
            config::Credentials::Query { name, value } => Shown::Query(name.clone(), value.clone()),
            config::Credentials::OAuth2(oauth2) => {
                Shown::Token(Tokens::new(oauth2, settings, lines, resolver, outbox, clock)?)
            }
        };
        Ok(Self(shown))
    }

    /// The header that is not the plugin's to set; `None` if there are no credentials.
    pub(super) fn header(&self) -> Option<&HeaderName> {
        match &self.0 {
            Shown::Nothing => None,
            Shown::Header(name, _) => Some(name),
            Shown::Query(..) | Shown::Token(_) => Some(&AUTHORIZATION),
        }
    }

    /// Whether they may be refused only because there are newer ones.
    pub(super) fn may_wear_out(&self) -> bool {
        matches!(self.0, Shown::Token(_))
    }

    /// Adds them to a request to the endpoint itself. This may have to wait for a new token; the
    /// failures are [`SendFailure::Denied`], which lasts until the operator acts, and
    /// [`SendFailure::Credentials`], which passes.
    pub(super) async fn apply(&self, request: &mut Parts) -> Result<Applied, SendFailure> {
        match &self.0 {
            Shown::Nothing => {}
            Shown::Header(name, value) => {
                request.headers.insert(name, value.clone());
            }
            Shown::Query(name, value) => {
                request.uri = query::with(&request.uri, name, value.expose())?;
            }
            Shown::Token(tokens) => {
                let (value, token) = tokens.current().await?;
                request.headers.insert(AUTHORIZATION, value);
                return Ok(Applied { token: Some(token) });
            }
        }
        Ok(Applied::default())
    }

    /// Called when a request was answered with 401. `true` if there is something newer to show
    /// than what was `applied`, so that it makes sense to send the request again at once, once.
    pub(super) async fn refused(&self, applied: Applied) -> bool {
        match (&self.0, applied.token) {
            (Shown::Token(tokens), Some(token)) => tokens.renewed_since(token).await,
            _ => false,
        }
    }

    /// Waits until no token is on its way.
    pub(super) async fn at_rest(&self) {
        if let Shown::Token(tokens) = &self.0 {
            tokens.at_rest().await;
        }
    }
}

/// A header's value that is kept out of logs.
fn sensitive(text: &str) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .context("the credentials hold what no header can hold, such as a line break")?;
    value.set_sensitive(true);
    Ok(value)
}
