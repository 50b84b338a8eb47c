//! One request out, one reply in.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, LOCATION};
use hyper::http::uri::InvalidUri;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use jiff::Timestamp;

use super::age::retire_worn;
use super::connector::Connector;
use super::credentials::Credentials;
use super::failure::{SendFailure, chain};
use super::headers;
use super::resolver::Resolver;
use super::settings::EndpointSettings;
use super::signature::Signer;
use super::stamp::stamp;
use crate::hosts::Target;
use crate::outbox::Claimed;
use crate::redact;

/// So much of a reply is read and kept; a connection with more on it is dropped.
const REPLY_LIMIT: usize = 16 * 1024;

/// The connections to one endpoint.
#[derive(Clone)]
pub(super) struct Client {
    connections: legacy::Client<Connector, Full<Bytes>>,
    /// Judges where requests go.
    connector: Connector,
    credentials: Arc<Credentials>,
    /// For the whole exchange.
    timeout: Duration,
    /// For one connection.
    age: Duration,
    signer: Signer,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    /// Where the request went, with what the host added to it.
    pub(super) asked: Uri,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The beginning of it.
    pub(super) body: Vec<u8>,
    /// There was more than `body`.
    pub(super) truncated: bool,
    /// It is the endpoint's own.
    pub(super) own: bool,
}

impl Client {
    /// Nothing is connected yet. Fails if the TLS settings or the signing keys cannot be used.
    pub(super) fn new(
        settings: &EndpointSettings,
        most: usize,
        credentials: Arc<Credentials>,
        resolver: &Arc<dyn Resolver>,
    ) -> anyhow::Result<Self> {
        let connector = Connector::to(&settings.url, &settings.allow_hosts, settings, resolver)?;
        let connections = connector.client(most);
        let signer = Signer::new(&settings.signing_keys)?;
        let (timeout, age) = (settings.timeout, settings.connection_age);
        Ok(Self { connections, connector, credentials, timeout, age, signer })
    }

    /// Where the request goes, if it may go there.
    pub(super) fn admit(&self, claimed: &Claimed) -> Result<(Target, Uri), SendFailure> {
        let url = url(claimed)?;
        Ok((self.connector.admit(&url)?, url))
    }

    /// Sends the request there once, as it is `now`, and reads the reply. Redirects are not
    /// followed, and nothing is unpacked.
    pub(super) async fn send_at(
        &self,
        (target, url): (Target, Uri),
        claimed: &Claimed,
        now: Timestamp,
    ) -> Result<Reply, SendFailure> {
        let credential = self.credentials.header().filter(|_| target.own);
        let mut message = message(claimed, url, credential)?;
        stamp(message.headers_mut(), claimed, &self.signer, now)?;
        self.connector.greet_proxy(&target, message.headers_mut());
        if !target.own {
            return Ok(Reply { own: false, ..self.exchange(message).await? });
        }
        let (mut head, body) = message.into_parts();
        let again = self.credentials.may_wear_out().then(|| (head.clone(), body.clone()));
        let applied = self.credentials.apply(&mut head).await?;
        let reply = self.exchange(Request::from_parts(head, body)).await?;
        // Once, because newer credentials that are refused as well are not a matter of age.
        if reply.status == StatusCode::UNAUTHORIZED
            && let Some((mut head, body)) = again
            && self.credentials.refused(applied).await
        {
            self.credentials.apply(&mut head).await?;
            return self.exchange(Request::from_parts(head, body)).await;
        }
        Ok(reply)
    }

    async fn exchange(&self, mut message: Request<Full<Bytes>>) -> Result<Reply, SendFailure> {
        let connection = capture_connection(&mut message);
        let asked = message.uri().clone();
        let exchange = async {
            let response = self.connections.request(message).await;
            retire_worn(&connection, self.age);
            read(asked, response.map_err(|error| SendFailure::of(&error))?).await
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(Ok(reply)) if self.connector.is_of_proxy(&reply) => Err(SendFailure::Connect(
                "the proxy wants other credentials (407); see `proxy` in the settings".to_owned(),
            )),
            Ok(reply) => reply,
            Err(_) => Err(SendFailure::Timeout(self.timeout)),
        }
    }
}

impl Reply {
    /// Why this is no success, if it is none; `success` are statuses that count as one beside 2xx.
    pub(super) fn failure(&self, success: &[u16]) -> Option<SendFailure> {
        if self.status.is_success() || success.contains(&self.status.as_u16()) {
            return None;
        }
        if !self.own && matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::GONE) {
            return Some(SendFailure::Elsewhere(self.status));
        }
        if !self.status.is_redirection() {
            return Some(SendFailure::Status(self.status));
        }
        let location = self.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let asked = self.asked.to_string();
        let location = location.and_then(|location| redact::redirect(&asked, location));
        Some(SendFailure::Redirect { status: self.status, location })
    }
}

/// The host that a request goes to, as far as that can be told.
pub(super) fn host(claimed: &Claimed) -> Option<String> {
    let url: Uri = claimed.request.url.parse().ok()?;
    url.host().map(str::to_owned)
}

fn url(claimed: &Claimed) -> Result<Uri, SendFailure> {
    let unsendable = |why: &str| SendFailure::Unsendable(format!("no URL: {why}"));
    let text = &claimed.request.url;
    let url: Uri = text.parse().map_err(|error: InvalidUri| unsendable(&chain(&error)))?;
    if url.host().is_none() || !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(unsendable("neither http://host nor https://host"));
    }
    Ok(url)
}

/// The request as it goes out, without the host's own headers. `credential` is the header that is
/// not the plugin's.
fn message(
    claimed: &Claimed,
    url: Uri,
    credential: Option<&HeaderName>,
) -> Result<Request<Full<Bytes>>, SendFailure> {
    let unsendable = |what: &str, why: String| SendFailure::Unsendable(format!("{what}: {why}"));
    let request = &claimed.request;
    let method: Method =
        request.method.parse().map_err(|_| unsendable("no method", request.method.clone()))?;
    let headers = headers::checked(&request.headers, credential)?;
    let mut message = Request::new(Full::new(Bytes::from(request.body.clone())));
    *message.method_mut() = method;
    *message.uri_mut() = url;
    *message.headers_mut() = headers;
    Ok(message)
}

/// Reads the reply of whoever was `asked` up to the limit.
async fn read(asked: Uri, response: Response<Incoming>) -> Result<Reply, SendFailure> {
    let (head, mut rest) = response.into_parts();
    let mut body = Vec::new();
    let mut truncated = false;
    while let Some(frame) = rest.frame().await {
        let frame = frame.map_err(|error| SendFailure::Broken(chain(&error)))?;
        let Some(data) = frame.data_ref() else { continue };
        let room = REPLY_LIMIT.saturating_sub(body.len());
        body.extend(data.iter().take(room));
        truncated = data.len() > room || body.len() == REPLY_LIMIT && !rest.is_end_stream();
        if truncated {
            break;
        }
    }
    let (status, headers) = (head.status, head.headers);
    Ok(Reply { asked, status, headers, body, truncated, own: true })
}
