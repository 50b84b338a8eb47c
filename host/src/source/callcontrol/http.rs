//! One HTTP exchange with the PBX: with a deadline, a bounded reply, and an error that says which
//! part failed. Nothing here knows what is exchanged.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::timeout;
use url::Url;

use super::error::SourceError;

/// A connection, TLS aside, comes about in this time or not at all.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// A whole exchange, connecting included.
const EXCHANGE: Duration = Duration::from_secs(10);

/// Idle connections are dropped before a server or a firewall is likely to.
const IDLE: Duration = Duration::from_secs(30);

/// The PBX's web server.
#[derive(Clone, Debug)]
pub(super) struct Http {
    /// Where it is; its path, if any, is put before every other.
    base: Url,
    /// Shared with the event socket, so that both trust the same peers.
    tls: Arc<ClientConfig>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Http {
    /// Fails unless the address is `http` or `https` with a host.
    pub(super) fn new(base: Url, tls: ClientConfig) -> anyhow::Result<Self> {
        ensure!(
            matches!(base.scheme(), "http" | "https") && base.host().is_some(),
            "the url of the PBX must start with https:// or http:// and name a host"
        );
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self { base, tls: Arc::new(tls), client })
    }

    /// Whether what is said can be read on the way.
    pub(super) fn in_clear(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// Host and port.
    pub(super) fn address(&self) -> anyhow::Result<(String, u16)> {
        let host = match self.base.host().context("the url names no host")? {
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        };
        let port = self.base.port_or_known_default().context("the url names no port")?;
        Ok((host, port))
    }

    /// How to speak TLS with it.
    pub(super) fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// The full address of `path`, which starts with a slash, is already escaped, and may end in
    /// a query.
    pub(super) fn url(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        let mut url = self.base.clone();
        url.set_query(query);
        url.set_fragment(None);
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// Sends a request and reads the whole reply, of which a success may have `limit` bytes; the
    /// body of anything else is not read. `doing` names the exchange in errors.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
        doing: &'static str,
    ) -> Result<(StatusCode, Bytes), SourceError> {
        timeout(EXCHANGE, self.converse(request, limit))
            .await
            .unwrap_or(Err(SourceError::TimedOut(doing)))
    }

    async fn converse(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<(StatusCode, Bytes), SourceError> {
        let reply = self
            .client
            .request(request)
            .await
            .map_err(|error| SourceError::from_network(&error))?;
        let status = reply.status();
        if !status.is_success() {
            return Ok((status, Bytes::new()));
        }
        match Limited::new(reply.into_body(), limit).collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(SourceError::Garbage(format!("a reply of more than {limit} bytes")))
            }
            Err(error) => Err(SourceError::Broken(error.to_string())),
        }
    }
}
