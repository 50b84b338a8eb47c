//! One request out, one reply in.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;

use super::failure::{SendFailure, chain};
use super::settings::EndpointSettings;
use super::signature::Signer;
use super::stamp::stamp;
use crate::outbox::Claimed;
use crate::tls;

/// For a TCP connection; shared evenly among a host's addresses.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Less than the 60 to 75 seconds after which servers usually close idle connections, because a
/// request sent just then is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// So much of a reply is read and kept; a connection with more on it is dropped.
const REPLY_LIMIT: usize = 16 * 1024;

/// What a request may not bring along, because it decides where a message goes and where it ends.
const RESERVED: [HeaderName; 7] =
    [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, TE, UPGRADE, EXPECT];

/// The connections to one endpoint.
#[derive(Clone)]
pub(super) struct Client {
    connections: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// For the whole exchange.
    timeout: Duration,
    signer: Signer,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The beginning of it.
    pub(super) body: Vec<u8>,
    /// There was more than `body`.
    pub(super) truncated: bool,
}

impl Client {
    /// Nothing is connected yet. Fails if the TLS settings or the signing keys cannot be used.
    pub(super) fn new(settings: &EndpointSettings, most: usize) -> anyhow::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config(settings.ca_file.as_deref(), settings.insecure)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let connections = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(most)
            .http1_max_headers(100)
            .http1_max_buf_size(64 * 1024)
            .build(connector);
        let signer = Signer::new(&settings.signing_keys)?;
        Ok(Self { connections, timeout: settings.timeout, signer })
    }

    /// Sends the request once, as it is `now`, and reads the reply. Redirects are not followed, and nothing is
    /// unpacked.
    pub(super) async fn send(
        &self,
        claimed: &Claimed,
        now: Timestamp,
    ) -> Result<Reply, SendFailure> {
        let mut message = message(claimed)?;
        stamp(message.headers_mut(), claimed, &self.signer, now)?;
        let exchange = async {
            let response = self.connections.request(message).await;
            read(response.map_err(|error| SendFailure::of(&error))?).await
        };
        match tokio::time::timeout(self.timeout, exchange).await {
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
        if !self.status.is_redirection() {
            return Some(SendFailure::Status(self.status));
        }
        let location = self.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.and_then(|text| text.split(['?', '#']).next());
        let location = location.filter(|text| !text.is_empty()).map(str::to_owned);
        Some(SendFailure::Redirect { status: self.status, location })
    }
}

/// The host that a request goes to, as far as that can be told.
pub(super) fn host(claimed: &Claimed) -> Option<String> {
    let url: Uri = claimed.request.url.parse().ok()?;
    url.host().map(str::to_owned)
}

/// The request as it goes out, without the host's own headers.
fn message(claimed: &Claimed) -> Result<Request<Full<Bytes>>, SendFailure> {
    let unsendable = |what: &str, why: String| SendFailure::Unsendable(format!("{what}: {why}"));
    let request = &claimed.request;
    let method: Method =
        request.method.parse().map_err(|_| unsendable("no method", request.method.clone()))?;
    let url: Uri = request
        .url
        .parse()
        .map_err(|error: hyper::http::uri::InvalidUri| unsendable("no URL", chain(&error)))?;
    if url.host().is_none() || !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(unsendable("no URL", "neither http://host nor https://host".to_owned()));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let key: HeaderName =
            name.parse().map_err(|_| unsendable("no header name", name.clone()))?;
        if RESERVED.contains(&key) {
            return Err(unsendable("a header that is the service's own", name.clone()));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| unsendable("no header value", format!("that of {name}")))?;
        headers.append(key, value);
    }
    let mut message = Request::new(Full::new(Bytes::from(request.body.clone())));
    *message.method_mut() = method;
    *message.uri_mut() = url;
    *message.headers_mut() = headers;
    Ok(message)
}

/// Reads the reply up to the limit.
async fn read(response: Response<Incoming>) -> Result<Reply, SendFailure> {
    let (head, mut rest) = response.into_parts();
    let mut body = Vec::new();
    let mut truncated = false;
    while let Some(frame) = rest.frame().await {
        let frame = frame.map_err(|error| SendFailure::Broken(chain(&error)))?;
        let Some(data) = frame.data_ref() else { continue };
        let room = REPLY_LIMIT.saturating_sub(body.len());
        body.extend(data.iter().take(room));
        if data.len() > room {
            truncated = true;
            break;
        }
    }
    Ok(Reply { status: head.status, headers: head.headers, body, truncated })
}
