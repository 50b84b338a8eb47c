//! A million requests that wait: how soon the program is ready, how much memory it takes, and how
//! fast they leave once the receiver is back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use callhook::clock::Clock;
use callhook::metrics::Metrics;
use callhook::outbox::{Commit, Outbox, SqliteOutbox};
use callhook::plugins::{PluginSpec, Runtime};
use callhook_pbx::Pbx;
use promises::{Callhook, Ini};

use crate::sink::Sink;
use crate::{Figure, figure, library};

const WAITING: i64 = 1_000_000;

/// Requests in one commit while the backlog is made.
const CHUNK: i64 = 1_000;

const TIME: Duration = Duration::from_secs(10);

pub(crate) async fn run() -> Vec<Figure> {
    let sink = Sink::start().await;
    let folder = crate::folder();
    let path = folder.path().join("bench.db");
    let url = sink.url();
    {
        let path = path.clone();
        let filling = move || fill(&path, &url);
        tokio::task::spawn_blocking(filling).await.expect("the backlog is made");
    }
    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let ini = Ini::new(&pbx, &sink.url()).level("info").storage(&path);
    let began = Instant::now();
    let hook = Callhook::start(&ini).await;
    let ready = began.elapsed();
    let each = size / u64::try_from(WAITING).unwrap_or(1);
    let mut figures = vec![
        figure("start to ready, a million requests waiting", format!("{ready:.0?}")),
        figure("  in the file, for each of them", format!("{each} bytes")),
    ];
    let (began, before, used) = (Instant::now(), sink.count(), hook.processor_time());
    tokio::time::sleep(TIME).await;
    let sent = (sink.count() - before) as f64;
    let used = hook.processor_time().saturating_sub(used).as_micros() as f64;
    let rate = sent / began.elapsed().as_secs_f64();
    figures.push(figure("drain of that backlog, requests/s", format!("{rate:.0}")));
    figures.push(figure("  processor time for each", format!("{:.0} µs", used / sent)));
    figures.push(figure("  memory meanwhile", format!("{} MiB", hook.memory() / 1024)));
    assert!(hook.stop().await.success());
    figures
}

fn fill(path: &std::path::Path, url: &str) {
    let outbox = SqliteOutbox::open(path, Clock::system(), Metrics::default());
    let outbox = outbox.expect("the outbox opens");
    let runtime = Runtime::new().expect("an engine");
    let plugin = runtime.load(&PluginSpec::embedded("plain-get"), &Arc::default());
    let plugin = plugin.expect("plain-get loads");
    let mut last = None;
    for first in (0..WAITING).step_by(usize::try_from(CHUNK).unwrap_or(1)) {
        let mut chunk = Commit { pbx: "pbx".to_owned(), ..Commit::default() };
        for number in first..first + CHUNK {
            let one = library::commit(&plugin, url, number);
            chunk.events.extend(one.events);
            chunk.requests.extend(one.requests);
        }
        last = Some(outbox.append(chunk));
    }
    last.expect("there was something").wait().expect("it is on disk");
}
