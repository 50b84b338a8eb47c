//! Whether an endpoint can be reached, without sending anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::EndpointSettings;
use crate::tls;

/// For connecting and, with https, the handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the host of `url`, shakes hands if that is https, and hangs up. Gives the address.
pub async fn probe(url: &Url, settings: &EndpointSettings) -> anyhow::Result<SocketAddr> {
    let host = url.host_str().context("the URL has no host")?;
    let port = url.port_or_known_default().context("the URL has no port")?;
    let connected = tokio::time::timeout(PATIENCE, connect(url, host, port, settings)).await;
    connected.with_context(|| format!("{host}:{port} did not answer within {PATIENCE:?}"))?
}

async fn connect(
    url: &Url,
    host: &str,
    port: u16,
    settings: &EndpointSettings,
) -> anyhow::Result<SocketAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port))
        .await
        .with_context(|| format!("no connection to {host}:{port}"))?;
    let address = stream.peer_addr().context("the connection is gone")?;
    if url.scheme() == "https" {
        let config = tls::client_config(settings.ca_file.as_deref(), settings.insecure)?;
        let name = ServerName::try_from(bare.to_owned())
            .with_context(|| format!("{host} is no name that a certificate can have"))?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .with_context(|| format!("no secure connection to {host}:{port}"))?;
    }
    Ok(address)
}
