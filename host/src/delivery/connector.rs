//! Connections to those whom the guard lets through, and to nobody else.
//!
//! An address is resolved once, judged and then dialled as it was judged; nobody looks the name
//! up a second time. With a proxy, the proxy's address is judged in this way, and the target by
//! its host alone, because it is the proxy that resolves it: a proxy has to be trusted to keep to
//! its own rules.
//!
//! Each step has a deadline of its own: resolving, dialling, and the handshakes with the proxy
//! and in TLS.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HeaderMap, PROXY_AUTHORIZATION};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{StatusCode, Uri};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::{Host, Url};

use super::age::Birth;
use super::exchange::Reply;
use super::failure::SendFailure;
use super::guard::Guard;
use super::proxy::Proxy;
use super::resolver::{DEADLINE, Resolver, addresses};
use super::settings::EndpointSettings;
use crate::hosts::Target;
use crate::tls::{self, Identity};

/// Less than the 60 to 75 seconds after which servers usually close idle connections, because a
/// request sent just then is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 20 });

/// So many addresses of a host are tried at most.
const ADDRESSES: usize = 8;

/// Connects for one endpoint, or for one service that the endpoint needs.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    guard: Guard,
    dialler: Dialler,
    tls: TlsConnector,
    proxy: Option<Proxy>,
}

/// Makes TCP connections.
#[derive(Clone)]
pub(super) struct Dialler {
    pub(super) resolver: Arc<dyn Resolver>,
    /// For all addresses together, and again for each handshake.
    pub(super) timeout: Duration,
}

/// A connection, encrypted or not.
pub(super) type Stream = MaybeHttpsStream<Wire>;

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: TokioIo<TcpStream>,
    /// Who is at the other end, or the proxy.
    peer: SocketAddr,
    /// At the other end is a proxy, which wants to see whole URLs.
    pub(super) proxied: bool,
}

impl Connector {
    /// Connects to what is at `own`, and to `allow_hosts`. Fails if the settings cannot be used.
    pub(super) fn to(
        own: &Url,
        allow_hosts: &[String],
        settings: &EndpointSettings,
        resolver: &Arc<dyn Resolver>,
    ) -> anyhow::Result<Self> {
        let guard = Guard::new(own, allow_hosts, &settings.allow_networks, &settings.forbidden)?;
        let dialler = Dialler { resolver: Arc::clone(resolver), timeout: settings.connect_timeout };
        let identity = settings
            .client_certificate
            .as_ref()
            .map(|ours| Identity { certificate: &ours.certificate, key: &ours.key });
        let ca_file = settings.ca_file.as_deref();
        let mut tls = tls::client_config(ca_file, settings.insecure, identity)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let proxy = match &settings.proxy {
            None => None,
            Some(proxy) => {
                let guard = Guard::new(&proxy.url, &[], &[], &settings.forbidden)?;
                Some(Proxy::new(proxy, guard)?)
            }
        };
        let tls = TlsConnector::from(Arc::new(tls));
        Ok(Self(Arc::new(Inner { guard, dialler, tls, proxy })))
    }

    /// A pool of connections, of which up to `most` are kept while they are idle.
    pub(super) fn client(&self, most: usize) -> legacy::Client<Self, Full<Bytes>> {
        legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(most)
            .http1_max_headers(100)
            .http1_max_buf_size(64 * 1024)
            .build(self.clone())
    }

    /// Judges a URL by its host.
    pub(super) fn admit(&self, url: &Uri) -> Result<Target, SendFailure> {
        self.0.guard.admit(url)
    }

    /// Adds what a request to `target` has to show the proxy, if there is one that sees it.
    pub(super) fn greet_proxy(&self, target: &Target, headers: &mut HeaderMap) {
        let proxy = self.0.proxy.as_ref().filter(|_| !target.tls);
        if let Some(authorization) = proxy.and_then(Proxy::authorization) {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
    }

    /// Whether this is the proxy's answer, and not that of who was asked: it wants credentials.
    pub(super) fn is_of_proxy(&self, reply: &Reply) -> bool {
        self.0.proxy.is_some()
            && reply.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            && reply.asked.scheme_str() == Some("http")
    }

    /// Connects to the host of `url`.
    pub(super) async fn connect(&self, url: &Uri) -> Result<Stream, SendFailure> {
        let Inner { guard, dialler, tls, proxy } = &*self.0;
        let target = guard.admit(url)?;
        let wire = match proxy {
            None => dialler.dial(guard, &target).await?,
            Some(proxy) => {
                if let Some(ip) = literal(&target.origin.host) {
                    guard.judge(&target, SocketAddr::new(ip, target.origin.port))?;
                }
                proxy.connect(dialler, &target).await?
            }
        };
        if !target.tls {
            return Ok(MaybeHttpsStream::Http(wire));
        }
        let handshake = tls.connect(server_name(&target)?, TokioIo::new(wire));
        match tokio::time::timeout(dialler.timeout, handshake).await {
            Ok(Ok(stream)) => Ok(MaybeHttpsStream::from(stream)),
            Ok(Err(error)) => Err(SendFailure::handshake(&error)),
            Err(_) => {
                let within = dialler.timeout;
                Err(SendFailure::Tls(format!("the handshake did not end within {within:?}")))
            }
        }
    }
}

/// Who is at the other end, or the proxy.
pub(super) fn peer(stream: &Stream) -> SocketAddr {
    match stream {
        MaybeHttpsStream::Http(wire) => wire.peer,
        MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner().peer,
    }
}

impl Dialler {
    /// Connects to one of the addresses of `target` that `guard` lets through.
    pub(super) async fn dial(&self, guard: &Guard, target: &Target) -> Result<Wire, SendFailure> {
        let found = match (literal(&target.origin.host), &target.origin.host) {
            (None, Host::Domain(name)) => addresses(&*self.resolver, name, DEADLINE).await?,
            (literal, _) => literal.into_iter().collect(),
        };
        let mut refusal = None;
        let mut judged = Vec::new();
        for ip in found {
            let address = SocketAddr::new(ip.to_canonical(), target.origin.port);
            match guard.judge(target, address) {
                Ok(()) => judged.push(address),
                Err(failure) => refusal = Some(failure),
            }
        }
        judged.truncate(ADDRESSES);
        let Ok(count) = u32::try_from(judged.len()) else { return Err(nowhere()) };
        let mut failure = match refusal {
            // A name may have a wrong address for a while.
            Some(refusal) if matches!(target.origin.host, Host::Domain(_)) => {
                SendFailure::Resolve(refusal.to_string())
            }
            Some(refusal) => refusal,
            None => nowhere(),
        };
        for address in judged {
            match dial(address, self.timeout / count).await {
                Ok(wire) => return Ok(wire),
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }
}

async fn dial(address: SocketAddr, within: Duration) -> Result<Wire, SendFailure> {
    let failed = |error| SendFailure::Connect(format!("{address}: {error}"));
    let tcp = tokio::time::timeout(within, TcpStream::connect(address))
        .await
        .map_err(|_| SendFailure::Connect(format!("{address} did not answer within {within:?}")))?
        .map_err(failed)?;
    let peer = tcp.peer_addr().map_err(failed)?;
    if peer != address {
        return Err(SendFailure::Refused(format!("{peer} answered instead of {address}")));
    }
    tcp.set_nodelay(true).map_err(failed)?;
    Ok(Wire { tcp: TokioIo::new(tcp), peer, proxied: false })
}

fn nowhere() -> SendFailure {
    SendFailure::Resolve("there is no address to connect to".to_owned())
}

fn literal(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
    }
}

/// Whom the certificate has to name.
fn server_name(target: &Target) -> Result<ServerName<'static>, SendFailure> {
    match &target.origin.host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| {
            SendFailure::Tls(format!("{name} is no name that a certificate can have"))
        }),
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::from(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::from(*address))),
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = SendFailure;
    type Future = BoxFuture<'static, Result<Stream, SendFailure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&url).await })
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.tcp.connected().proxy(self.proxied).extra(Birth::now())
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(context, bytes)
    }
}
