//! An HTTP proxy on the way: https goes through a tunnel (RFC 9110, section 9.3.6), http is
//! handed to it with the whole URL.
//!
//! It is set for an endpoint, and never taken from the environment.

use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use tower_service::Service;

use super::connector::{Dialler, Wire};
use super::failure::{SendFailure, chain};
use super::guard::Guard;
use crate::config::{self, Secret};
use crate::hosts::Target;

/// The proxy of an endpoint.
pub(super) struct Proxy {
    /// Without user and password.
    url: Uri,
    /// Lets the proxy through, wherever the operator put it.
    guard: Guard,
    /// The user and the password that it wants to see.
    authorization: Option<HeaderValue>,
}

/// A connection to the proxy that is there already.
struct Connected(Option<Wire>);

impl Proxy {
    /// The proxy that `settings` name.
    pub(super) fn new(settings: &config::Proxy, guard: Guard) -> anyhow::Result<Self> {
        let config::Proxy { url, user } = settings;
        let shown = user.as_ref().map(|(user, password)| basic(user, password)).transpose();
        let authorization = shown.context("while reading the proxy's user and password")?;
        let port = url.port_or_known_default().unwrap_or(80);
        let host = url.host_str().context("the proxy's URL has no host")?;
        let url = format!("http://{host}:{port}").parse().context("while reading its URL")?;
        Ok(Self { url, guard, authorization })
    }

    /// What a request in the open has to show the proxy.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Connects to the proxy and, if TLS is spoken with `target`, through it.
    pub(super) async fn connect(
        &self,
        dialler: &Dialler,
        target: &Target,
    ) -> Result<Wire, SendFailure> {
        let mut wire = dialler.dial(&self.guard, &self.guard.admit(&self.url)?).await?;
        if !target.tls {
            wire.proxied = true;
            return Ok(wire);
        }
        let authority = format!("https://{}:{}", target.origin.host, target.origin.port);
        let failed = |why: String| SendFailure::Connect(format!("the proxy {}: {why}", self.url));
        let through: Uri = authority.parse().map_err(|_| failed("no URL".to_owned()))?;
        let mut tunnel = Tunnel::new(self.url.clone(), Connected(Some(wire)));
        if let Some(authorization) = &self.authorization {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        match tokio::time::timeout(dialler.timeout, tunnel.call(through)).await {
            Ok(Ok(wire)) => Ok(wire),
            Ok(Err(error)) => Err(failed(chain(&error))),
            Err(_) => Err(failed(format!("no tunnel within {:?}", dialler.timeout))),
        }
    }
}

impl Service<Uri> for Connected {
    type Response = Wire;
    type Error = io::Error;
    type Future = Ready<io::Result<Wire>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

/// RFC 7617.
fn basic(user: &str, password: &Secret) -> anyhow::Result<HeaderValue> {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))?;
    value.set_sensitive(true);
    Ok(value)
}
