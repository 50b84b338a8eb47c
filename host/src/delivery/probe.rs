//! Whether an endpoint can be reached, without sending anything.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use url::Url;

use super::EndpointSettings;
use super::connector::{Connector, peer};
use super::resolver;

/// For connecting and, with https, the handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the certificates and keys that the settings name can be used. Nobody is connected to.
pub fn try_settings(settings: &EndpointSettings) -> anyhow::Result<()> {
    Connector::to(&settings.url, &[], settings, &resolver::system()).map(drop)
}

/// Connects to the host of `url` as delivery does, shakes hands if that is https, and hangs up.
/// Gives the address, which is the proxy's if there is one.
pub async fn probe(url: &Url, settings: &EndpointSettings) -> anyhow::Result<SocketAddr> {
    let host = url.host_str().context("the URL has no host")?;
    let port = url.port_or_known_default().context("the URL has no port")?;
    let connector = Connector::to(url, &[], settings, &resolver::system())?;
    let target = url.as_str().parse().context("while reading the URL")?;
    let connected = tokio::time::timeout(PATIENCE, connector.connect(&target)).await;
    let connected =
        connected.with_context(|| format!("{host}:{port} did not answer within {PATIENCE:?}"))?;
    let stream = connected.with_context(|| format!("while connecting to {host}:{port}"))?;
    Ok(peer(&stream))
}
