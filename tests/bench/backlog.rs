//! A million requests that wait: how soon the program is ready, how much memory it takes, what
//! they cost everybody else, and how fast they leave once the receiver is back.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use callhook::clock::Clock;
use callhook::metrics::Metrics;
use callhook::outbox::{Commit, Outbox as _, SqliteOutbox};
use callhook_pbx::Pbx;
use promises::{Callhook, Ini};

use crate::bare::Bare;
use crate::library::{self, Latencies, Line};
use crate::sink::Sink;
use crate::{Figure, figure};

const WAITING: u64 = 1_000_000;

/// Requests in one commit while the backlog is made.
const CHUNK: u64 = 1_000;

/// The endpoint that the requests wait for.
const ENDPOINT: &str = "webhook";

/// Where their numbers begin.
const FIRST: u64 = 900_000_000;

/// Live events a second while the backlog drains.
const LIVE: u64 = 200;

const TIME: Duration = Duration::from_secs(10);

pub(crate) async fn run(bare: &Bare) -> Vec<Figure> {
    let folder = crate::folder();
    let path = folder.path().join("bench.db");
    let sink = Sink::start().await;
    let (file, url) = (path.clone(), sink.url());
    let filling = tokio::task::spawn_blocking(move || fill(&file, &url));
    filling.await.expect("the backlog is made");
    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
    let each = format!("{} bytes", size / WAITING);
    let mut figures = vec![figure("in the file, for each request that waits", each)];
    figures.extend(start(&path).await);
    figures.extend(library::run(&path, bare, ", a million waiting").await);
    figures.extend(drain(&path, sink).await);
    figures
}

/// The real program, whose receiver is away.
async fn start(path: &Path) -> Vec<Figure> {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = nobody.local_addr().expect("it has an address");
    drop(nobody);
    let ini = Ini::new(&pbx, &format!("http://{address}/")).level("info").storage(path);
    let began = Instant::now();
    let hook = Callhook::start(&ini).await;
    let ready = began.elapsed();
    tokio::time::sleep(TIME).await;
    let memory = hook.memory() / 1024;
    assert!(hook.stop().await.success());
    vec![
        figure("start to ready, a million waiting", format!("{ready:.0?}")),
        figure("memory with a million waiting", format!("{memory} MiB")),
    ]
}

/// The backlog leaves while calls go on.
async fn drain(path: &Path, sink: Sink) -> Vec<Figure> {
    let line = Line::start(path, ENDPOINT, sink);
    line.sink.keep();
    let first = 2 * FIRST;
    let maker = line.make(first, Some(LIVE));
    let (rate, each) = line.measure(TIME).await;
    let made = maker.stop();
    let latencies = Latencies::of(first, &made, &line.sink.kept());
    let missing = made.len() - latencies.0.len();
    let figures = vec![
        figure(
            format!("drain of a million, {LIVE} live events/s beside, requests/s"),
            format!("{rate:.0}"),
        ),
        figure("  processor time for each", format!("{each:.0} µs")),
        figure(
            "  live event to first byte meanwhile, p50 / p99 / all",
            format!("{} (of {} under way: {missing})", latencies.shown(), made.len()),
        ),
    ];
    line.stop().await;
    figures
}

fn fill(path: &Path, url: &str) {
    let outbox = SqliteOutbox::open(path, Clock::system(), Metrics::default());
    let outbox = outbox.expect("the outbox opens");
    let plugin = library::plugin();
    let mut last = None;
    for number in (FIRST..FIRST + WAITING).step_by(usize::try_from(CHUNK).unwrap_or(1)) {
        let mut chunk = Commit { pbx: "pbx".to_owned(), ..Commit::default() };
        for number in number..number + CHUNK {
            let one = library::commit(&plugin, url, ENDPOINT, number);
            chunk.events.extend(one.events);
            chunk.requests.extend(one.requests);
        }
        last = Some(outbox.append(chunk));
    }
    last.expect("there was something").wait().expect("it is on disk");
}
