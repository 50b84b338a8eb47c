//! The real program, watching a simulated exchange on which calls come and go at a given pace:
//! from what somebody does there to the first byte of the webhook, and what that costs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callhook_pbx::{Call, Pbx};
use promises::{Callhook, Crowd, Ini};

use crate::sink::Sink;
use crate::{Figure, figure};

/// How long each pace is kept up.
const TIME: Duration = Duration::from_secs(6);

/// Events a second that are tried, until one cannot be kept up with.
const PACES: [u64; 5] = [100, 500, 1_000, 2_000, 5_000];

/// What `plain-get` calls the events that wait for nothing. An end waits for `settle`, because
/// the exchange does not show its trunk.
const KINDS: [&str; 2] = ["ringing", "hangupincoming"];

/// Calls that go on at once.
const CALLS: usize = 100;

pub(crate) async fn run() -> Vec<Figure> {
    let pbx = Arc::new(Crowd::office().start().await.expect("the exchange starts"));
    let sink = Sink::start().await;
    sink.keep();
    let folder = crate::folder();
    let ini = Ini::new(&pbx, &sink.url()).level("info").storage(&folder.path().join("bench.db"));
    let began = Instant::now();
    let hook = Callhook::start(&ini).await;
    let mut figures = vec![
        figure("start to ready, nothing waiting", format!("{:.0?}", began.elapsed())),
        figure("memory idle", format!("{} MiB", hook.memory() / 1024)),
    ];
    for pace in PACES {
        let used = hook.processor_time();
        let run = calls(&pbx, &sink, pace).await;
        let used = hook.processor_time().saturating_sub(used);
        let reached = run.events as f64 / run.took.as_secs_f64();
        figures.push(figure(
            format!("ringing or start to first byte at {reached:.0} events/s, p50 / p99 / all"),
            format!("{:.1?} / {:.1?} / {:.1?}", run.at(50), run.at(99), run.at(100)),
        ));
        let each = used.as_micros() as f64 / run.events as f64;
        figures.push(figure("  processor time for each event", format!("{each:.0} µs")));
        if reached < 0.8 * pace as f64 {
            break;
        }
    }
    figures.push(figure("memory after that", format!("{} MiB", hook.memory() / 1024)));
    assert!(hook.stop().await.success());
    figures
}

pub(crate) struct Run {
    pub(crate) events: usize,
    pub(crate) took: Duration,
    /// Ascending.
    latencies: Vec<Duration>,
}

impl Run {
    pub(crate) fn at(&self, percent: usize) -> Duration {
        let place = (self.latencies.len() * percent / 100).min(self.latencies.len() - 1);
        self.latencies[place]
    }
}

/// Lets calls come, be answered and end at this pace, in turn, so that each doing is one event.
pub(crate) async fn calls(pbx: &Pbx, sink: &Sink, pace: u64) -> Run {
    let mut done: HashMap<(i64, &str), Instant> = HashMap::new();
    let mut ringing: Vec<(Call, String)> = Vec::new();
    let mut talking: Vec<(Call, String)> = Vec::new();
    let before = sink.count();
    let began = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(1));
    let mut doings = 0;
    while began.elapsed() < TIME {
        let due = u64::try_from(began.elapsed().as_micros()).unwrap_or(0) * pace / 1_000_000;
        while doings < due {
            let number = (100 + doings % 50).to_string();
            match doings % 3 {
                0 => {
                    let at = Instant::now();
                    let call = pbx.outside("420774852629").calls(&format!("420226201{number}"));
                    let call = call.expect("the call arrives");
                    done.insert((call.id(), "ringing"), at);
                    ringing.push((call, number));
                }
                1 if ringing.len() > CALLS / 2 => {
                    let (call, number) = ringing.remove(0);
                    done.insert((call.id(), "hangupincoming"), Instant::now());
                    pbx.person(&number).answers(&call).expect("the phone rings");
                    talking.push((call, number));
                }
                2 if talking.len() > CALLS / 2 => {
                    let (call, number) = talking.remove(0);
                    pbx.person(&number).hangs_up(&call).expect("the call goes on");
                }
                _ => {}
            }
            doings += 1;
        }
        beat.tick().await;
    }
    for (call, number) in ringing.drain(..) {
        pbx.person(&number).answers(&call).expect("the phone rings");
        talking.push((call, number));
    }
    for (call, number) in talking.drain(..) {
        pbx.person(&number).hangs_up(&call).expect("the call goes on");
    }
    // What comes in after the last doing is part of it; it has come when nothing more does.
    let mut count = sink.count();
    let mut last = Instant::now();
    while last.elapsed() < Duration::from_secs(3) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if sink.count() != count {
            (count, last) = (sink.count(), Instant::now());
        }
    }
    let events = usize::try_from(count - before).unwrap_or(0);
    let took = last.duration_since(began);
    let mut latencies: Vec<Duration> = sink
        .kept()
        .iter()
        .filter_map(|(line, at)| {
            let value = |name| line.split(['?', '&', ' ']).find_map(|part| part.strip_prefix(name));
            let id = value("id=")?.rsplit_once('_')?.1.split('-').next()?.parse().ok()?;
            let event = KINDS.into_iter().find(|kind| value("event=") == Some(*kind))?;
            at.checked_duration_since(*done.get(&(id, event))?)
        })
        .collect();
    latencies.sort();
    Run { events, took, latencies }
}
