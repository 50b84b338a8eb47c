//! A small HTTP receiver: what a CRM looks like from callhook's side.
//!
//! It keeps every request that arrives, in the order of arrival, and answers as it is told. The
//! demo shows what it got, the tests hold it against what should have come, and the program
//! `receiver` prints it for whoever wants to look at webhooks without a CRM.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A body larger than this is not taken.
const MAX_BODY: usize = 1024 * 1024;

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    /// The headers, names in lower case.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What it was answered.
    pub answer: u16,
}

/// Decides what a request is answered; the number counts requests from 0.
pub type Answer = Box<dyn Fn(usize, &Request<()>) -> Response<Full<Bytes>> + Send + Sync>;

struct Shared {
    arrived: watch::Sender<Vec<Webhook>>,
    answer: Mutex<Answer>,
}

/// A receiver that listens until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Webhook {
    /// A header as text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Receiver {
    /// Listens on a free port of the loopback address and answers 200.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens on `address` and answers 200.
    pub async fn start_at(address: SocketAddr) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        let address = listener.local_addr().context("asking for the receiver's own address")?;
        let answer: Answer = Box::new(|_, _| Response::new(Full::default()));
        let shared = Arc::new(Shared {
            arrived: watch::Sender::new(Vec::new()),
            answer: Mutex::new(answer),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://address/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on, requests are answered like this.
    pub fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// From now on, requests are answered with this status and no body.
    pub fn answer_status(&self, status: u16) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.answer(Box::new(move |_, _| {
            let mut response = Response::new(Full::default());
            *response.status_mut() = status;
            response
        }));
    }

    /// All that arrived so far.
    pub fn arrived(&self) -> Vec<Webhook> {
        self.shared.arrived.borrow().clone()
    }

    /// Told at each arrival.
    pub fn subscribe(&self) -> watch::Receiver<Vec<Webhook>> {
        self.shared.arrived.subscribe()
    }

    /// Waits until what arrived satisfies `enough`, at most for `limit`; an error says what had
    /// arrived by then.
    pub async fn wait_until(
        &self,
        limit: Duration,
        enough: impl FnMut(&Vec<Webhook>) -> bool,
    ) -> anyhow::Result<Vec<Webhook>> {
        let mut arrived = self.subscribe();
        let waited = tokio::time::timeout(limit, arrived.wait_for(enough)).await;
        if let Ok(Ok(webhooks)) = waited {
            return Ok(webhooks.clone());
        }
        let targets: Vec<String> = self.arrived().into_iter().map(|w| w.target).collect();
        anyhow::bail!("not what was waited for within {limit:?}, but {targets:#?}")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Ends with this task, so that a dropped receiver answers nobody any more.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| receive(request, Arc::clone(&shared)));
            // A client that breaks off is its own affair.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn receive(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        let mut refusal = Response::new(Full::default());
        *refusal.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(refusal);
    };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let webhook = Webhook {
        method: head.method.to_string(),
        target,
        headers: head.headers.clone(),
        body: body.to_bytes(),
        answer: 0,
    };
    let request = Request::from_parts(head, ());
    let answer = shared.answer.lock().unwrap_or_else(PoisonError::into_inner);
    let mut response = Response::default();
    shared.arrived.send_modify(|arrived| {
        response = answer(arrived.len(), &request);
        arrived.push(Webhook { answer: response.status().as_u16(), ..webhook });
    });
    Ok(response)
}
