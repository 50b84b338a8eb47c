//! The console answers over real connections what it promises, and nobody else's page.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A running console.
struct Running {
    address: SocketAddr,
    missing: Missing,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Missing(Arc<Mutex<Vec<String>>>, Arc<Mutex<Vec<String>>>);

impl Health for Missing {
    fn missing(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn degraded(&self) -> Vec<String> {
        self.1.lock().unwrap().clone()
    }
}

impl Running {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let missing = Missing::default();
        let metrics = Metrics::default();
        let (stop, stopped) = watch::channel(false);
        let health = Arc::new(missing.clone());
        let task = tokio::spawn(serve(listener, health, metrics.clone(), stopped));
        Self { address, missing, metrics, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Head and body of the answer.
    async fn ask(&self, method: &str, path: &str, host: &str) -> (String, String) {
        self.ask_raw(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n")).await
    }

    async fn ask_raw(&self, head: &str) -> (String, String) {
        let mut stream = self.connect().await;
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(SOON, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (String, String) {
        self.ask("GET", path, &self.address.to_string()).await
    }

    fn set(&self, missing: &[&str]) {
        *self.missing.0.lock().unwrap() = missing.iter().map(|&what| what.to_owned()).collect();
    }
}

#[tokio::test]
async fn a_live_service_says_so() {
    let console = Running::start().await;
    let (head, body) = console.get("/healthz").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, "alive\n");
}

#[tokio::test]
async fn readiness_follows_the_service_and_says_what_is_missing() {
    let console = Running::start().await;
    let (head, body) = console.get("/readyz").await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("application/json"), "{head}");
    assert_eq!(body, "{\"ready\":true,\"missing\":[],\"degraded\":[]}\n");
    console.set(&["the PBX brno is not watched", "the outbox cannot commit"]);
    let (head, body) = console.get("/readyz?verbose").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(
        body,
        "{\"ready\":false,\"missing\":[\"the PBX brno is not watched\",\
         \"the outbox cannot commit\"],\"degraded\":[]}\n"
    );
    console.set(&[]);
    console.missing.1.lock().unwrap().push("a plugin cannot be used".to_owned());
    let (head, body) = console.get("/readyz").await;
    assert!(head.starts_with("http/1.1 200 "), "it serves all the same: {head}");
    assert!(body.ends_with("\"degraded\":[\"a plugin cannot be used\"]}\n"), "{body}");
}

#[tokio::test]
async fn metrics_are_open_metrics() {
    let console = Running::start().await;
    console.metrics.of_pbx("office").connection();
    let (head, body) = console.get("/metrics").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.contains("callhook_pbx_connections_total{pbx=\"office\"} 1\n"), "{body}");
    assert!(body.ends_with("# EOF\n"), "{body}");
}

#[tokio::test]
async fn other_paths_get_a_hint() {
    let console = Running::start().await;
    let (head, body) = console.get("/health").await;
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    assert_eq!(body, "There is /healthz, /readyz and /metrics.\n");
}

#[tokio::test]
async fn the_console_can_only_be_read() {
    let console = Running::start().await;
    let host = console.address.to_string();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let (head, _) = console.ask(method, "/healthz", &host).await;
        assert!(head.starts_with("http/1.1 405 ") && head.contains("allow: get, head"), "{head}");
    }
    let (head, body) = console.ask("HEAD", "/healthz", &host).await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("content-length: 6"), "{head}");
    assert_eq!(body, "", "HEAD has no body");
}

#[tokio::test]
async fn only_requests_that_name_this_machine_are_answered() {
    let console = Running::start().await;
    let here =
        ["localhost", "LOCALHOST:8480", "127.0.0.1", "127.0.0.1:1", "[::1]:8480", "127.9.9.9"];
    for host in here {
        let (head, _) = console.ask("GET", "/readyz", host).await;
        assert!(head.starts_with("http/1.1 200 "), "{host}: {head}");
    }
    let elsewhere = [
        "evil.example",
        "evil.example:8480",
        "192.0.2.1",
        "localhost.evil.example",
        "",
        "@",
        "a b",
    ];
    for host in elsewhere {
        let (head, body) = console.ask("GET", "/readyz", host).await;
        assert!(head.starts_with("http/1.1 403 "), "{host}: {head}");
        assert!(!body.contains("ready"), "{body}");
    }
    let (head, _) = console.ask_raw("GET /readyz HTTP/1.1\r\n").await;
    assert!(head.starts_with("http/1.1 403 "), "no host: {head}");
    let (head, _) = console.ask("GET", "http://localhost/readyz", "evil.example").await;
    assert!(head.starts_with("http/1.1 403 "), "the address in the first line: {head}");
}

#[tokio::test]
async fn a_connection_serves_several_requests() {
    let console = Running::start().await;
    let mut stream = console.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"alive\n") {
            let read = timeout(SOON, stream.read_buf(&mut answer)).await.unwrap().unwrap();
            assert_ne!(read, 0, "closed early");
        }
    }
}

#[tokio::test]
async fn nonsense_is_refused_and_the_console_lives_on() {
    let console = Running::start().await;
    let (head, _) = console.ask_raw("\u{1}\u{2} nonsense\r\n").await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
    let long = "x".repeat(40_000);
    let mut stream = console.connect().await;
    stream.write_all(format!("GET /{long} HTTP/1.1\r\n\r\n").as_bytes()).await.ok();
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap().ok();
    assert!(console.get("/healthz").await.0.starts_with("http/1.1 200 "));
}

#[tokio::test]
async fn a_shutdown_closes_idle_connections_and_ends() {
    let console = Running::start().await;
    let mut idle = console.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"alive\n") {
        assert_ne!(timeout(SOON, idle.read_buf(&mut answer)).await.unwrap().unwrap(), 0);
    }
    console.stop.send_replace(true);
    timeout(SOON, console.task).await.unwrap().unwrap();
    assert_eq!(timeout(SOON, idle.read(&mut [0; 16])).await.unwrap().unwrap(), 0, "closed");
    assert!(TcpStream::connect(console.address).await.is_err(), "nobody listens");
}
