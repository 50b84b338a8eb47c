//! Asking a token endpoint for a token, RFC 6749.
//!
//! The client shows itself by HTTP Basic, which section 2.3.1 has every server know; if a server
//! does not know the client so, once more in the body, and from then on so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy;
use serde::Deserialize;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::super::connector::Connector;
use super::super::failure::SendFailure;
use super::sensitive;
use crate::config::OAuth2;

/// A reply longer than this is none.
const REPLY_LIMIT: usize = 64 * 1024;

/// Where tokens come from.
pub(super) struct TokenEndpoint {
    connections: legacy::Client<Connector, Full<Bytes>>,
    connector: Connector,
    url: Uri,
    settings: OAuth2,
    /// For one request.
    timeout: Duration,
    /// The server wants to see the client in the body.
    in_body: AtomicBool,
}

/// What the server gives, section 5.1.
#[derive(Deserialize)]
pub(super) struct Granted {
    /// May be empty.
    pub(super) access_token: String,
    /// Seconds.
    #[serde(default)]
    pub(super) expires_in: Option<Seconds>,
    #[serde(default)]
    pub(super) refresh_token: Option<String>,
}

/// A number; some servers put it in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Seconds {
    Number(u64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

/// Why the server gives nothing, section 5.2. Its description is left out: it may repeat what it
/// was sent.
#[derive(Default, Deserialize)]
struct Denial {
    #[serde(default)]
    error: String,
}

impl TokenEndpoint {
    /// The endpoint that `settings` name, to be reached by `connector`.
    pub(super) fn new(
        settings: &OAuth2,
        connector: Connector,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let url = settings.token_url.as_str().parse().context("while reading the token's URL")?;
        let in_body = AtomicBool::new(settings.client_secret.is_none());
        let connections = connector.client(1);
        Ok(Self { connections, connector, url, settings: settings.clone(), timeout, in_body })
    }

    /// What it is asked by.
    pub(super) fn settings(&self) -> &OAuth2 {
        &self.settings
    }

    /// Asks for a token: with a refresh token by section 6, without by section 4.4.
    pub(super) async fn ask(&self, refresh_token: Option<&str>) -> Result<Granted, SendFailure> {
        let in_body = self.in_body.load(Ordering::Relaxed);
        let (status, reply) = self.exchange(refresh_token, in_body).await?;
        if in_body || error(&reply) != "invalid_client" {
            return judge(status, &reply);
        }
        let (status, reply) = self.exchange(refresh_token, true).await?;
        let granted = judge(status, &reply)?;
        self.in_body.store(true, Ordering::Relaxed);
        Ok(granted)
    }

    async fn exchange(
        &self,
        refresh_token: Option<&str>,
        in_body: bool,
    ) -> Result<(StatusCode, Bytes), SendFailure> {
        let request = self.request(refresh_token, in_body)?;
        let exchange = async {
            let response = self.connections.request(request).await;
            let (head, body) = response.map_err(|error| SendFailure::of(&error))?.into_parts();
            let body = Limited::new(body, REPLY_LIMIT).collect().await;
            let body = body.map_err(|error| SendFailure::Broken(error.to_string()))?;
            Ok((head.status, body.to_bytes()))
        };
        let timed = tokio::time::timeout(self.timeout, exchange).await;
        match timed.unwrap_or(Err(SendFailure::Timeout(self.timeout))) {
            Ok(reply) => Ok(reply),
            Err(SendFailure::Refused(why)) => {
                Err(SendFailure::Denied(format!("the token endpoint: {why}")))
            }
            Err(why) => Err(SendFailure::Credentials(format!("the token endpoint: {why}"))),
        }
    }

    fn request(
        &self,
        refresh_token: Option<&str>,
        in_body: bool,
    ) -> Result<Request<Full<Bytes>>, SendFailure> {
        let secret = self.settings.client_secret.as_ref().map_or("", |secret| secret.expose());
        let mut form = Serializer::new(String::new());
        match refresh_token {
            Some(token) => {
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token)
            }
            None => form.append_pair("grant_type", "client_credentials"),
        };
        if let Some(scope) = &self.settings.scope {
            form.append_pair("scope", scope);
        }
        if in_body {
            form.append_pair("client_id", &self.settings.client_id);
            if self.settings.client_secret.is_some() {
                form.append_pair("client_secret", secret);
            }
        }
        let unusable = |why: anyhow::Error| SendFailure::Denied(format!("{why:#}"));
        let mut request = Request::new(Full::new(Bytes::from(form.finish())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        let target = self.connector.admit(&self.url)?;
        self.connector.greet_proxy(&target, request.headers_mut());
        let headers = request.headers_mut();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !in_body {
            let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encode(&self.settings.client_id), encode(secret));
            let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
            headers.insert(AUTHORIZATION, sensitive(&value).map_err(unusable)?);
        }
        Ok(request)
    }
}

/// Section 5.2's word for what is wrong, if the reply has one.
fn error(reply: &[u8]) -> String {
    serde_json::from_slice::<Denial>(reply).unwrap_or_default().error
}

fn judge(status: StatusCode, reply: &[u8]) -> Result<Granted, SendFailure> {
    if status.is_success() {
        let granted: Option<Granted> = serde_json::from_slice(reply).ok();
        return granted.ok_or_else(|| {
            SendFailure::Credentials(format!(
                "the token endpoint answered {status} without a token"
            ))
        });
    }
    let what = match error(reply).as_str() {
        "invalid_client" => "invalid_client: it does not know the client or its secret",
        "invalid_grant" => {
            "invalid_grant: it takes the refresh token no more; get and configure a new one"
        }
        "unauthorized_client" => "unauthorized_client: the client may not have a token this way",
        "unsupported_grant_type" => "unsupported_grant_type: it knows no such grant",
        "invalid_scope" => "invalid_scope: the client may not have this scope",
        "invalid_request" => "invalid_request: it misses something in the request",
        "temporarily_unavailable" | "server_error" => {
            return Err(SendFailure::Credentials(format!("the token endpoint answered {status}")));
        }
        _ => "nothing that explains it",
    };
    let said = format!("the token endpoint answered {status}, {what}");
    let passes = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    Err(if passes { SendFailure::Credentials(said) } else { SendFailure::Denied(said) })
}

impl Granted {
    /// The refresh token to go on with, if it is another one than was spent. An empty one is none.
    pub(super) fn newer_than(&self, spent: Option<&str>) -> Option<&str> {
        let newer = self.refresh_token.as_deref().filter(|token| !token.trim().is_empty())?;
        (spent? != newer).then_some(newer)
    }

    /// How long the token is good, if the server says.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        match self.expires_in.as_ref()? {
            Seconds::Number(seconds) => Some(Duration::from_secs(*seconds)),
            Seconds::Text(text) => text.parse().ok().map(Duration::from_secs),
            Seconds::Other(_) => None,
        }
    }
}
