//! Delivery's promises, against a real receiver on this machine.

mod faulty_tls;
mod headers;
mod judged;
mod oauth;
mod outages;
mod proxying;
mod receiver;
mod replies;
mod spellings;

use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use url::Url;

use self::receiver::{Answer, Receiver, Seen};
use super::credentials::Credentials;
use super::exchange::{Client, Reply};
use super::resolver::Resolver;
use super::*;
use crate::config::{BreakerConfig, DeliveryConfig, Order, Secret};
use crate::metrics::AttemptLabel;
use crate::outbox::{Claimed, Class, Commit, NewRequest, SqliteOutbox, request_id};
use crate::request::Request;

const SOON: Duration = Duration::from_millis(5);

/// An outbox, and a delivery that may run on it.
struct Rig {
    folder: TempDir,
    outbox: Option<Arc<dyn Outbox>>,
    metrics: Metrics,
    endpoints: Option<Endpoints>,
    changes: Option<Changes>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Rig {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut rig = Self {
            folder,
            outbox: None,
            metrics: Metrics::default(),
            endpoints: None,
            changes: None,
            running: None,
        };
        rig.open();
        rig
    }

    fn open(&mut self) {
        let path = self.folder.path().join("outbox.db");
        let outbox = SqliteOutbox::open(&path, Clock::system(), self.metrics.clone()).unwrap();
        self.outbox = Some(Arc::new(outbox));
    }

    fn start(&mut self, endpoints: Vec<EndpointSettings>) {
        self.start_with(endpoints, None, &Clock::system());
    }

    fn start_at(&mut self, endpoints: Vec<EndpointSettings>, clock: &Clock) {
        self.start_with(endpoints, None, clock);
    }

    fn start_judged(&mut self, endpoints: Vec<EndpointSettings>, judge: Arc<dyn Judge>) {
        self.start_with(endpoints, Some(judge), &Clock::system());
    }

    fn start_with(
        &mut self,
        endpoints: Vec<EndpointSettings>,
        judge: Option<Arc<dyn Judge>>,
        clock: &Clock,
    ) {
        let outbox = self.outbox.as_ref().unwrap();
        let delivery = Delivery::new(endpoints, outbox, judge, clock, &self.metrics).unwrap();
        self.endpoints = Some(delivery.endpoints());
        self.changes = Some(delivery.changes());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(delivery.run(async move {
            stopped.await.ok();
        }));
        self.running = Some((stop, task));
    }

    async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.send(()).unwrap();
        task.await.unwrap();
    }

    /// From now on the settings say this.
    async fn change(&self, endpoints: Vec<EndpointSettings>) {
        let changes = self.changes.as_ref().unwrap();
        changes.apply(changes.prepare(endpoints).unwrap()).await;
    }

    async fn append(&self, requests: Vec<NewRequest>) {
        let commit = Commit { pbx: "pbx".to_owned(), requests, ..Commit::default() };
        self.outbox.as_ref().unwrap().append(commit).await.unwrap();
    }

    /// As a new process finds it.
    fn reopen(&mut self) {
        self.endpoints = None;
        self.changes = None;
        self.outbox = None;
        self.open();
    }

    /// How the first endpoint stands.
    fn state(&self) -> EndpointState {
        self.endpoints.as_ref().unwrap().status()[0].state
    }

    /// Attempts that ended so, to the endpoint `crm`.
    fn attempts(&self, class: &str) -> u64 {
        let label = AttemptLabel { endpoint: "crm".to_owned(), class: class.to_owned() };
        self.metrics.attempts.get_or_create(&label).get()
    }

    fn query<T: FromSql>(&self, sql: &str) -> T {
        let path = self.folder.path().join("outbox.db");
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        file.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn count(&self, state: &str) -> i64 {
        self.query(&format!("SELECT count(*) FROM requests WHERE state = '{state}'"))
    }

    async fn wait_for(&self, count: i64, state: &str) {
        until(|| self.count(state) == count).await;
    }
}

/// Waits for a condition to hold.
async fn until(condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// An endpoint that is tried four more times without much waiting, at the receiver that was started
/// last.
fn endpoint(name: &str) -> EndpointSettings {
    EndpointSettings {
        name: name.to_owned(),
        url: Url::parse(&Receiver::last_url()).unwrap(),
        // Other receivers are on ports of their own, and the others are nowhere.
        delivery: DeliveryConfig {
            schedule: vec![SOON; 4],
            breaker: BreakerConfig {
                first_probe: SOON,
                last_probe: 4 * SOON,
                ..BreakerConfig::default()
            },
            allow_hosts: ["127.0.0.1", "crm.example", "name.invalid"].map(str::to_owned).to_vec(),
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..DeliveryConfig::default()
        },
        forbidden: Vec::new(),
    }
}

/// The endpoint `crm`, at this URL.
fn at(url: &str) -> EndpointSettings {
    EndpointSettings { url: Url::parse(url).unwrap(), ..endpoint("crm") }
}

/// The endpoint `crm`, with something set differently.
fn like(change: impl FnOnce(&mut DeliveryConfig)) -> EndpointSettings {
    let mut endpoint = endpoint("crm");
    change(&mut endpoint.delivery);
    endpoint
}

fn to(url: &str, event: &str, lane: &str) -> NewRequest {
    NewRequest {
        event_id: event.to_owned(),
        endpoint: "crm".to_owned(),
        index: 0,
        lane: lane.to_owned(),
        sequence: 3,
        generation: 0,
        expires_in: None,
        class: Class::Core,
        base: "http://127.0.0.1/".to_owned(),
        request: Request { method: "POST".to_owned(), ..Request::draft(url) },
    }
}

#[tokio::test]
async fn a_success_completes_and_carries_the_hosts_headers() {
    let receiver = Receiver::start(|_| Answer::Status(204)).await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    let mut new = to(&receiver.url("/in?caller=%2B420"), "e.1", "a");
    new.request.body = b"hello".to_vec();
    new.request.headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    rig.append(vec![new]).await;
    rig.wait_for(1, "delivered").await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].target, "/in?caller=%2B420");
    assert_eq!(seen[0].body, "hello");
    assert_eq!(seen[0].header("webhook-id"), "e%2E1:crm:0");
    assert_eq!(seen[0].header("x-callhook-attempt"), "1");
    assert_eq!(seen[0].header("x-callhook-sequence"), "3");
    assert_eq!(seen[0].header("user-agent"), concat!("callhook/", env!("CARGO_PKG_VERSION")));
    assert_eq!(seen[0].header("content-length"), "5");
    assert_eq!(seen[0].header("content-type"), "text/plain");
    assert_eq!(rig.query::<i64>("SELECT status FROM attempts"), 204);
    until(|| rig.metrics.outbox_pending.get() == 0).await;
}

#[tokio::test]
async fn what_a_receiver_missed_while_it_was_down_arrives_in_order() {
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let address = receiver.stop().await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| d.schedule = vec![SOON; 100_000])]);
    let url = format!("http://{address}/");
    rig.append((0..5).map(|number| to(&url, &format!("e{number}"), "a")).collect()).await;
    until(|| rig.query::<i64>("SELECT max(attempts) FROM requests") > 2).await;
    assert_eq!(rig.query::<i64>("SELECT sum(attempts > 0) FROM requests"), 1, "heads only");
    let said: String = rig.query("SELECT error FROM attempts LIMIT 1");
    assert!(said.starts_with(&format!("no connection: {address}: Connection refused")), "{said}");
    let receiver = Receiver::start_at(address, |_| Answer::Status(200)).await;
    rig.wait_for(5, "delivered").await;
    let order: Vec<String> = receiver.seen().iter().map(Seen::event).collect();
    assert_eq!(order, ["e0", "e1", "e2", "e3", "e4"]);
}

#[tokio::test]
async fn a_failing_request_holds_up_its_own_lane_only() {
    let receiver = Receiver::start(|seen| match seen.event().as_str() {
        "a1" => Answer::Status(500),
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| d.schedule = vec![SOON, SOON])]);
    let url = receiver.url("/");
    let new = [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("b2", "b")];
    rig.append(new.map(|(event, lane)| to(&url, event, lane)).to_vec()).await;
    rig.wait_for(4, "delivered").await;
    rig.wait_for(1, "dead").await;
    let order = |lane: &str| -> Vec<String> {
        let events = receiver.seen().into_iter().map(|seen| seen.event());
        events.filter(|event| event.starts_with(lane)).collect()
    };
    assert_eq!(order("a"), ["a1", "a1", "a1", "a2", "a3"]);
    assert_eq!(order("b"), ["b1", "b2"]);
    let attempts: Vec<String> = receiver
        .seen()
        .iter()
        .filter(|seen| seen.event() == "a1")
        .map(|seen| seen.header("x-callhook-attempt"))
        .collect();
    assert_eq!(attempts, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_refused_request_is_dead_after_three_attempts() {
    let receiver = Receiver::start(|_| Answer::Body(404, b"no such call".to_vec())).await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    rig.append(vec![to(&receiver.url("/"), "e1", "a")]).await;
    rig.wait_for(1, "dead").await;
    assert_eq!(receiver.seen().len(), 3);
    let reason = "the answer was 404 Not Found; that was attempt 3, the last one";
    assert_eq!(rig.query::<String>("SELECT reason FROM requests"), reason);
    let kept = "SELECT reply FROM attempts ORDER BY place DESC LIMIT 1";
    assert_eq!(rig.query::<Vec<u8>>(kept), b"no such call");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_target_is_named() {
    let receiver = Receiver::start(|seen| {
        Answer::Headers(308, vec![("location", format!("{}?caller=420123", seen.url("/new")))])
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    rig.append(vec![to(&receiver.url("/old"), "e1", "a")]).await;
    rig.wait_for(1, "dead").await;
    assert_eq!(receiver.seen().len(), 1);
    let reason: String = rig.query("SELECT reason FROM requests");
    assert!(reason.contains(&receiver.url("/new")), "{reason}");
    assert!(!reason.contains("420123"), "{reason}");
}

#[tokio::test]
async fn a_reply_that_never_ends_is_cut_off_by_the_deadline() {
    let receiver = Receiver::start(|seen| match seen.header("x-callhook-attempt").as_str() {
        "1" => Answer::Endless,
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    let timeout = Duration::from_millis(100);
    rig.start(vec![like(|d| d.timeout = timeout)]);
    rig.append(vec![to(&receiver.url("/"), "e1", "a")]).await;
    rig.wait_for(1, "delivered").await;
    let said: String = rig.query("SELECT error FROM attempts ORDER BY place LIMIT 1");
    assert_eq!(said, "no complete reply within 100ms");
}

#[tokio::test]
async fn a_huge_reply_is_read_up_to_sixteen_kibibytes() {
    let receiver = Receiver::start(|_| Answer::Body(200, vec![b'x'; 50 << 20])).await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    rig.append(vec![to(&receiver.url("/"), "e1", "a")]).await;
    rig.wait_for(1, "delivered").await;
    assert_eq!(rig.query::<i64>("SELECT length(reply) FROM attempts"), 16 * 1024);
    assert!(rig.query::<bool>("SELECT truncated FROM attempts"));
}

#[tokio::test]
async fn a_reply_can_ask_for_a_later_attempt() {
    let receiver =
        Receiver::start(|_| Answer::Headers(503, vec![("retry-after", "3600".to_owned())])).await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    rig.append(vec![to(&receiver.url("/"), "e1", "a")]).await;
    until(|| rig.query::<i64>("SELECT attempts FROM requests") == 1).await;
    let wait: i64 = rig.query("SELECT due - due_set FROM requests");
    assert!((3_600_000..=4_320_000).contains(&wait), "{wait}");
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn a_receiver_of_an_unknown_ca_gets_nothing_until_the_ca_is_trusted() {
    let (receiver, certificate) = Receiver::start_tls(|_| Answer::Status(200)).await;
    let mut ca_file = tempfile::NamedTempFile::new().unwrap();
    ca_file.write_all(certificate.as_bytes()).unwrap();
    let mut rig = Rig::new();
    rig.start(vec![like(|d| d.schedule = vec![SOON; 100_000])]);
    rig.append(vec![to(&receiver.url("/"), "e1", "a")]).await;
    until(|| rig.query::<i64>("SELECT attempts FROM requests") > 1).await;
    let said: String = rig.query("SELECT error FROM attempts LIMIT 1");
    assert!(said.starts_with("no secure connection: "), "{said}");
    assert!(said.contains("UnknownIssuer"), "{said}");
    assert_eq!(receiver.seen().len(), 0);
    rig.stop().await;

    let trusting = like(|d| d.ca_file = Some(ca_file.path().to_owned()));
    rig.reopen();
    rig.start(vec![trusting]);
    rig.wait_for(1, "delivered").await;
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn what_waits_is_sent_after_a_restart() {
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let mut rig = Rig::new();
    let url = receiver.url("/");
    rig.append((0..3).map(|number| to(&url, &format!("e{number}"), "a")).collect()).await;
    rig.outbox = None;
    rig.open();
    assert_eq!(rig.metrics.outbox_pending.get(), 3);
    rig.start(vec![endpoint("crm")]);
    rig.wait_for(3, "delivered").await;
    assert_eq!(receiver.seen().len(), 3);
}

#[tokio::test]
async fn a_slow_endpoint_holds_a_few_exchanges_and_no_other_endpoint() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let receiver = Receiver::start(move |seen| match seen.target.as_str() {
        "/slow" => Answer::When(Arc::clone(&held)),
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm"), endpoint("other")]);
    let slow = (0..100).map(|n| to(&receiver.url("/slow"), &format!("e{n}"), &n.to_string()));
    rig.append(slow.collect()).await;
    until(|| receiver.seen().len() == 4).await;
    let quick = (0..50).map(|n| {
        let endpoint = "other".to_owned();
        NewRequest { endpoint, ..to(&receiver.url("/quick"), "f", &n.to_string()) }
    });
    let quick = quick.zip(0..).map(|(new, index)| NewRequest { index, ..new });
    rig.append(quick.collect()).await;
    rig.wait_for(50, "delivered").await;
    let waiting = receiver.seen().iter().filter(|seen| seen.target == "/slow").count();
    assert_eq!(waiting, 4);
    gate.add_permits(100);
    rig.wait_for(150, "delivered").await;
}

#[tokio::test]
async fn a_shutdown_lets_what_is_in_flight_finish_and_starts_nothing_more() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let receiver = Receiver::start(move |_| Answer::When(Arc::clone(&held))).await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    let url = receiver.url("/");
    rig.append(vec![to(&url, "e1", "a"), to(&url, "e2", "a")]).await;
    until(|| receiver.seen().len() == 1).await;
    let opened = async {
        gate.add_permits(100);
    };
    tokio::join!(rig.stop(), opened);
    assert_eq!((rig.count("delivered"), rig.count("waiting")), (1, 1));
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn a_request_that_is_no_http_is_dead_at_once() {
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    let mut smuggled = to("http://crm.example/", "e1", "a");
    smuggled.request.headers = vec![("Transfer-Encoding".to_owned(), "chunked".to_owned())];
    let relative = to("/path", "e2", "b");
    let other = to("ftp://crm.example/", "e3", "c");
    let mut split = to("http://crm.example/", "e4", "d");
    split.request.headers = vec![("x".to_owned(), "a\r\nb: c".to_owned())];
    rig.append(vec![smuggled, relative, other, split]).await;
    rig.wait_for(4, "dead").await;
    let reasons: String = rig.query("SELECT group_concat(reason, '|') FROM requests");
    assert_eq!(
        reasons,
        "the request cannot be sent: a header that is the service's own: Transfer-Encoding|\
         the request cannot be sent: no URL: neither http://host nor https://host|\
         the request cannot be sent: no URL: neither http://host nor https://host|\
         the request cannot be sent: no header value: that of x"
    );
}

impl Client {
    async fn send(&self, claimed: &Claimed) -> Result<Reply, SendFailure> {
        self.send_at(self.admit(claimed)?, claimed, Clock::system().now().wall).await
    }
}

fn client(rig: &Rig, settings: &EndpointSettings, resolver: &Arc<dyn Resolver>) -> Client {
    let outbox = rig.outbox.as_ref().unwrap();
    let (lines, clock) = (Lines::default(), Clock::system());
    let credentials = Credentials::new(settings, &lines, resolver, outbox, &clock).unwrap();
    Client::new(settings, 1, Arc::new(credentials), resolver).unwrap()
}

fn claimed(url: &str) -> Claimed {
    Claimed {
        id: request_id("e1", "crm", 0, 0),
        event_id: "e1".to_owned(),
        lane: "a".to_owned(),
        sequence: 1,
        attempts: 0,
        refusals: 0,
        failing_for: None,
        expired: false,
        lease: 0,
        base: None,
        request: Request::draft(url),
    }
}

#[tokio::test]
async fn each_kind_of_broken_receiver_has_its_own_failure() {
    let rig = Rig::new();
    let client = client(&rig, &endpoint("crm"), &resolver::system());
    let send = async |url: &str| client.send(&claimed(url)).await.unwrap_err();
    let failure = send("http://name.invalid/").await;
    assert!(matches!(failure, SendFailure::Resolve(_)), "{failure:?}");
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let failure = send(&receiver.url("/").replace("http:", "https:")).await;
    assert!(matches!(failure, SendFailure::Tls(_)), "{failure:?}");
    let closing = Receiver::start(|_| Answer::Close).await;
    let failure = send(&closing.url("/")).await;
    assert!(matches!(failure, SendFailure::Broken(_)), "{failure:?}");
    let gone = closing.stop().await;
    let failure = send(&format!("http://{gone}/")).await;
    assert!(matches!(failure, SendFailure::Connect(_)), "{failure:?}");
}

/// Where a subscriber writes to in a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_line_holds_the_query_of_a_url() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let receiver = Receiver::start(|_| Answer::Status(400)).await;
    let gone = Receiver::start(|_| Answer::Status(200)).await.stop().await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    rig.append(vec![
        to(&receiver.url("/?caller=420123456"), "e1", "a"),
        to(&format!("http://{gone}/?caller=420123456"), "e2", "b"),
        to("ftp://crm.example/?caller=420123456", "e3", "c"),
    ])
    .await;
    rig.wait_for(3, "dead").await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("A request failed and will not be sent again."), "{text}");
    assert!(text.contains("127.0.0.1"), "{text}");
    assert!(!text.contains("420123456"), "{text}");
}
