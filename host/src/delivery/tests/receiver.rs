//! A receiver that answers as it is told and remembers what it saw.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// What the receiver does with a request.
pub(super) enum Answer {
    Status(u16),
    Headers(u16, Vec<(&'static str, String)>),
    Body(u16, Vec<u8>),
    /// 200, and a body that says to be gzip.
    Packed(&'static [u8]),
    /// 200, and a byte now and then.
    Endless,
    /// 200, once there is a permit.
    When(Arc<Semaphore>),
    /// 200 and a body, once there is a permit.
    BodyWhen(Arc<Semaphore>, Vec<u8>),
    /// Hangs up.
    Close,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: String,
    headers: HeaderMap,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> String {
        self.headers.get(name).unwrap().to_str().unwrap().to_owned()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The event that the request was made of.
    pub(super) fn event(&self) -> String {
        self.header("webhook-id").split(':').next().unwrap().to_owned()
    }

    /// An address on the receiver itself.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.header("host"))
    }
}

type Handler = Arc<dyn Fn(&Seen) -> Answer + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1/";

thread_local! {
    static LAST: Cell<Option<String>> = const { Cell::new(None) };
}

/// Listens until it is stopped or dropped.
pub(super) struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn start(handler: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), handler).await
    }

    pub(super) async fn start_at(
        address: SocketAddr,
        handler: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(address, None, Arc::new(handler)).await
    }

    /// With a certificate that nobody knows; it comes along in PEM format.
    pub(super) async fn start_tls(
        handler: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let any = "127.0.0.1:0".parse().unwrap();
        (Self::listen(any, Some(acceptor), Arc::new(handler)).await, made.cert.pem())
    }

    async fn listen(address: SocketAddr, tls: Option<TlsAcceptor>, handler: Handler) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&connections);
        let listening = tokio::spawn(accept(listener, tls, handler, Arc::clone(&seen), counted));
        let receiver = Self { address, scheme, seen, connections, listening };
        LAST.set(Some(receiver.url("/")));
        receiver
    }

    /// Where the last receiver is that this thread's test has started.
    pub(super) fn last_url() -> String {
        LAST.take().inspect(|url| LAST.set(Some(url.clone()))).unwrap_or(NOWHERE.to_owned())
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Stops listening and says where it did.
    pub(super) async fn stop(mut self) -> SocketAddr {
        self.listening.abort();
        assert!((&mut self.listening).await.is_err());
        self.address
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    handler: Handler,
    seen: Arc<Mutex<Vec<Seen>>>,
    counted: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        counted.fetch_add(1, Ordering::Relaxed);
        let (handler, seen, tls) = (Arc::clone(&handler), Arc::clone(&seen), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, handler, seen).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, handler, seen).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    handler: Handler,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let service = service_fn(|request| answer(request, &handler, &seen));
    // Who hangs up is no concern of the receiver's.
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

async fn answer(
    request: Request<Incoming>,
    handler: &Handler,
    all: &Mutex<Vec<Seen>>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let seen = Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        body: String::from_utf8_lossy(&body).into_owned(),
        headers: head.headers,
    };
    all.lock().unwrap().push(seen.clone());
    let mut response = Response::new(Full::default().boxed_unsync());
    let status = match handler(&seen) {
        Answer::Status(status) => status,
        Answer::Headers(status, headers) => {
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            status
        }
        Answer::Body(status, body) => {
            *response.body_mut() = Full::from(body).boxed_unsync();
            status
        }
        Answer::Packed(body) => {
            response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
            *response.body_mut() = Full::from(body).boxed_unsync();
            200
        }
        Answer::Endless => {
            *response.body_mut() = endless();
            200
        }
        Answer::When(gate) => {
            gate.acquire().await.unwrap().forget();
            200
        }
        Answer::BodyWhen(gate, body) => {
            gate.acquire().await.unwrap().forget();
            *response.body_mut() = Full::from(body).boxed_unsync();
            200
        }
        Answer::Close => return Err(io::Error::other("hang up")),
    };
    *response.status_mut() = status.try_into().unwrap();
    Ok(response)
}

fn endless() -> Body {
    let drops = stream::unfold(0_u32, |count| async move {
        if count > 1_000 {
            pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        Some((Ok(Frame::data(Bytes::from_static(b"x"))), count + 1))
    });
    StreamBody::new(drops).boxed_unsync()
}
