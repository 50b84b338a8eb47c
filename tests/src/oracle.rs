//! A receiver that is a witness: it writes down everything that arrives, in the order of arrival,
//! and answers by a script, however ill-mannered that is.
//!
//! It reads HTTP/1.1 by hand, because most of what it has to do no HTTP library lets one do. Its
//! only client is callhook, which says how long each body is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The longest head and the longest body that are read.
const MOST: u64 = 4 * 1024 * 1024;

/// How far apart the bytes of a dripping answer are.
const DRIP: Duration = Duration::from_millis(50);

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When its last byte had arrived.
    pub at: Instant,
    /// The same by the clock on the wall.
    pub wall: SystemTime,
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    /// The headers; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// The status that it was answered with, or began to be; 0 for none.
    pub status: u16,
}

/// What a request gets.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status and no body.
    Status(u16),
    /// A status, headers and a body.
    With(u16, Vec<(&'static str, String)>, String),
    /// The answer, later.
    After(Duration, Box<Self>),
    /// The answer, once the gate is open.
    Behind(Arc<watch::Sender<bool>>, Box<Self>),
    /// Nothing, for as long as the client waits.
    Never,
    /// 200, and a byte of the body now and then, for ever.
    Drip,
    /// 200, and a body without end, as fast as it is taken.
    Endless,
    /// 100 Continue without end, as fast as it is taken.
    Interim,
    /// 200 and headers without end, as fast as they are taken.
    Headers,
    /// 200 with a longer body promised than follows before the connection ends.
    Short,
    /// The receiver's side of the connection ends in the middle of the status line.
    HalfClose,
    /// The connection is reset.
    Reset,
    /// Something that is no HTTP.
    Garbage,
}

/// Decides what an arrival gets; the number counts arrivals from 0.
type Script = dyn Fn(usize, &Arrival) -> Answer + Send + Sync;

struct Shared {
    arrived: Mutex<Vec<Arrival>>,
    script: Mutex<Arc<Script>>,
    /// Counts arrivals and changes, for those who wait.
    bell: watch::Sender<u64>,
    /// Connections that were accepted.
    connections: Mutex<usize>,
}

/// The receiver. Listens until it is closed or dropped.
pub struct Oracle {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Arrival {
    /// A header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The `webhook-id`.
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.header("x-callhook-attempt").parse().unwrap_or(0)
    }

    /// Whether it was answered with a 2xx.
    pub fn was_taken(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Answer {
    /// A status with one header.
    pub fn header(status: u16, name: &'static str, value: &str) -> Self {
        Self::With(status, vec![(name, value.to_owned())], String::new())
    }

    /// The status that the client gets to see, if any.
    fn status(&self) -> u16 {
        match self {
            Self::Status(status) | Self::With(status, ..) => *status,
            Self::After(_, answer) | Self::Behind(_, answer) => answer.status(),
            // Its beginning is enough.
            Self::Endless => 200,
            Self::Never
            | Self::Drip
            | Self::Interim
            | Self::Headers
            | Self::Short
            | Self::HalfClose
            | Self::Reset
            | Self::Garbage => 0,
        }
    }
}

impl Oracle {
    /// Listens on a free port of the loopback and answers 200.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub async fn start() -> Self {
        let shared = Shared {
            arrived: Mutex::default(),
            script: Mutex::new(Arc::new(|_, _| Answer::Status(200))),
            bell: watch::Sender::new(0),
            connections: Mutex::new(0),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut oracle = Self { address, shared: Arc::new(shared), listening: Mutex::default() };
        let listener = TcpListener::bind(address).await.expect("a free port");
        oracle.address = listener.local_addr().expect("it has an address");
        oracle.serve(listener);
        oracle
    }

    fn serve(&self, listener: TcpListener) {
        let task = tokio::spawn(accept(listener, Arc::clone(&self.shared)));
        *hold(&self.listening) = Some(task);
    }

    /// Listens again where it did before.
    ///
    /// # Panics
    ///
    /// If somebody else does.
    pub async fn open(&self) {
        self.serve(TcpListener::bind(self.address).await.expect("the port is still free"));
    }

    /// Refuses connections from now on, and ends those that are open.
    pub async fn close(&self) {
        let task = hold(&self.listening).take();
        if let Some(task) = task {
            task.abort();
            // That it was aborted is what was wanted.
            let _ = task.await;
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://address/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on, requests are answered by this script.
    pub fn script(&self, script: impl Fn(usize, &Arrival) -> Answer + Send + Sync + 'static) {
        *hold(&self.shared.script) = Arc::new(script);
    }

    /// From now on, all requests get this answer.
    pub fn answer(&self, answer: Answer) {
        self.script(move |_, _| answer.clone());
    }

    /// What arrived so far.
    pub fn arrived(&self) -> Vec<Arrival> {
        hold(&self.shared.arrived).clone()
    }

    /// How much arrived so far.
    pub fn count(&self) -> usize {
        hold(&self.shared.arrived).len()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        *hold(&self.shared.connections)
    }

    /// Waits until what arrived satisfies `enough`, at most for `limit`.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn wait_within(
        &self,
        limit: Duration,
        what: &str,
        mut enough: impl FnMut(&[Arrival]) -> bool,
    ) {
        let mut bell = self.shared.bell.subscribe();
        let waited = tokio::time::timeout(limit, async {
            while !enough(&hold(&self.shared.arrived)) {
                if bell.changed().await.is_err() {
                    return;
                }
            }
        });
        if waited.await.is_err() {
            let arrived = self.arrived();
            let last: Vec<_> = arrived.iter().rev().take(5).collect();
            panic!("waited {limit:?} for {what}; {} arrived, the last: {last:#?}", arrived.len());
        }
    }

    /// The same with the usual patience.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn wait(&self, what: &str, enough: impl FnMut(&[Arrival]) -> bool) {
        self.wait_within(crate::PATIENCE, what, enough).await;
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        if let Some(task) = hold(&self.listening).take() {
            task.abort();
        }
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Ends with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        *hold(&shared.connections) += 1;
        connections.spawn(converse(BufReader::new(stream), Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection to its end.
async fn converse(mut stream: BufReader<TcpStream>, shared: Arc<Shared>) {
    // An answer in a single segment should not wait for an acknowledgement.
    let _ = stream.get_ref().set_nodelay(true);
    while let Some(mut arrival) = read(&mut stream).await {
        let script = Arc::clone(&hold(&shared.script));
        let number = hold(&shared.arrived).len();
        let answer = script(number, &arrival);
        arrival.status = answer.status();
        hold(&shared.arrived).push(arrival);
        shared.bell.send_modify(|rung| *rung += 1);
        if say(stream.get_mut(), answer).await.is_none() {
            return;
        }
    }
}

/// One request; `None` if the connection ends or says what it should not.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Arrival> {
    let mut line = String::new();
    let mut head = Vec::new();
    loop {
        line.clear();
        if stream.take(MOST).read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let mut words = head.first()?.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let headers: BTreeMap<String, String> = head
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: u64 = headers.get("content-length").map_or(Some(0), |text| text.parse().ok())?;
    let mut body = vec![0; usize::try_from(length.min(MOST)).ok()?];
    stream.read_exact(&mut body).await.ok()?;
    let (at, wall) = (Instant::now(), SystemTime::now());
    Some(Arrival { at, wall, method, target, headers, body, status: 0 })
}

/// Answers; `None` if the connection must end, or has.
async fn say(stream: &mut TcpStream, mut answer: Answer) -> Option<()> {
    loop {
        answer = match answer {
            Answer::After(wait, later) => {
                tokio::time::sleep(wait).await;
                *later
            }
            Answer::Behind(gate, later) => {
                gate.subscribe().wait_for(|open| *open).await.ok()?;
                *later
            }
            _ => break,
        };
    }
    match answer {
        Answer::Status(status) => write(stream, &whole(status, &[], "")).await,
        Answer::With(status, headers, body) => write(stream, &whole(status, &headers, &body)).await,
        Answer::Never => gone(stream).await,
        Answer::Drip => {
            write(stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await?;
            for_ever(stream, "a", Some(DRIP)).await
        }
        Answer::Endless => {
            write(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            for_ever(stream, &format!("1000\r\n{}\r\n", "a".repeat(0x1000)), None).await
        }
        Answer::Interim => for_ever(stream, "HTTP/1.1 100 Continue\r\n\r\n", None).await,
        Answer::Headers => {
            write(stream, "HTTP/1.1 200 OK\r\n").await?;
            for_ever(stream, &format!("x-more: {}\r\n", "a".repeat(100)), None).await
        }
        Answer::Short => {
            write(stream, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nnot a hundred").await?;
            None
        }
        Answer::HalfClose => {
            write(stream, "HTTP/1.1 2").await?;
            stream.shutdown().await.ok()?;
            gone(stream).await
        }
        Answer::Reset => {
            reset(stream);
            None
        }
        Answer::Garbage => {
            write(stream, "220 mail.example.com ESMTP\r\n").await?;
            None
        }
        Answer::After(..) | Answer::Behind(..) => None,
    }
}

/// Has the connection end with a reset when it is dropped.
pub(crate) fn reset(stream: &TcpStream) {
    // If it cannot be, it ends in the usual way.
    let _ = stream.set_zero_linger();
}

fn whole(status: u16, headers: &[(&'static str, String)], body: &str) -> String {
    let length = body.len();
    let lines: String =
        headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    // A status without a body must not announce one.
    let length = if status == 204 || status == 304 {
        String::new()
    } else {
        format!("content-length: {length}\r\n")
    };
    format!("HTTP/1.1 {status} Told\r\n{lines}{length}\r\n{body}")
}

async fn write(stream: &mut TcpStream, text: &str) -> Option<()> {
    stream.write_all(text.as_bytes()).await.ok()
}

async fn for_ever(stream: &mut TcpStream, text: &str, pause: Option<Duration>) -> Option<()> {
    loop {
        write(stream, text).await?;
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

/// Waits until the client has gone away, whatever it says until then.
async fn gone(stream: &mut TcpStream) -> Option<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await.ok()? > 0 {}
    None
}
