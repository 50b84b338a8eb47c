//! Every stage behind the engine, as the service runs them: the plugin `plain-get` makes a request
//! of each event, the outbox commits both with fsync, delivery sends. One thread makes events, as
//! the service's does, but without an exchange: a simulated one costs more than what is measured.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use callhook::clock::Clock;
use callhook::config::DeliveryConfig;
use callhook::delivery::{Delivery, EndpointSettings};
use callhook::event::{
    CallEvent, CallId, ChainId, Direction, EventKind, LocalTime, Party, PartyKind, Ringing,
    TransferType,
};
use callhook::metrics::Metrics;
use callhook::outbox::{Class, Commit, NewRequest, Outbox, SqliteOutbox, StoredEvent};
use callhook::plugins::{Outcome, Plugin, PluginSpec, Runtime};
use callhook::request::Request;
use jiff::tz::TimeZone;
use tokio::sync::oneshot;

use crate::bare::Bare;
use crate::sink::Sink;
use crate::{Figure, cost, figure};

const WARM_UP: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(8);

/// So many events are under way at most.
const AHEAD: u64 = 2_048;

/// Events a second at which the time to the first byte is measured.
pub(crate) const PACE: u64 = 5_000;

/// The stages, and who receives what they send.
pub(crate) struct Line {
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) sink: Arc<Sink>,
    plugin: Arc<Plugin>,
    endpoint: String,
    stop: oneshot::Sender<()>,
    delivery: tokio::task::JoinHandle<()>,
}

/// A thread that makes events.
pub(crate) struct Maker {
    going: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Instant>>,
}

/// How long it took from what happened to the first byte, ascending.
pub(crate) struct Latencies(pub(crate) Vec<Duration>);

impl Line {
    /// The stages over the database at `path`, which deliver what is for `endpoint`.
    pub(crate) fn start(path: &Path, endpoint: &str, sink: Sink) -> Self {
        let (clock, metrics) = (Clock::system(), Metrics::default());
        let outbox = SqliteOutbox::open(path, clock.clone(), metrics.clone());
        let outbox: Arc<dyn Outbox> = Arc::new(outbox.expect("the outbox opens"));
        let sink = Arc::new(sink);
        let settings = EndpointSettings {
            name: endpoint.to_owned(),
            url: sink.url().parse().expect("it is a URL"),
            delivery: DeliveryConfig::default(),
            forbidden: Vec::new(),
        };
        let delivery = Delivery::new(vec![settings], &outbox, None, &clock, &metrics);
        let (stop, stopped) = oneshot::channel::<()>();
        let delivery = tokio::spawn(delivery.expect("it is built").run(async {
            let _ = stopped.await;
        }));
        let (plugin, endpoint) = (Arc::new(plugin()), endpoint.to_owned());
        Self { outbox, sink, plugin, endpoint, stop, delivery }
    }

    /// Makes events that are numbered from `first` on: so many a second, or as fast as the
    /// receiver gets them.
    pub(crate) fn make(&self, first: u64, pace: Option<u64>) -> Maker {
        let going = Arc::new(AtomicBool::new(true));
        let (goes, outbox, sink) =
            (Arc::clone(&going), Arc::clone(&self.outbox), Arc::clone(&self.sink));
        let (plugin, endpoint) = (Arc::clone(&self.plugin), self.endpoint.clone());
        let thread = std::thread::Builder::new().name("plugins".to_owned()).spawn(move || {
            let url = sink.url();
            let (began, before) = (Instant::now(), sink.count());
            let mut made = Vec::new();
            while goes.load(Ordering::Relaxed) {
                let number = made.len() as u64;
                let early = match pace {
                    Some(pace) => {
                        began.elapsed().as_micros() < u128::from(number * 1_000_000 / pace)
                    }
                    None => number > sink.count() - before + AHEAD,
                };
                if early {
                    std::thread::sleep(Duration::from_micros(500));
                    continue;
                }
                // What is late because the line is counts as late.
                made.push(pace.map_or_else(Instant::now, |pace| {
                    began + Duration::from_micros(number * 1_000_000 / pace)
                }));
                drop(outbox.append(commit(&plugin, &url, &endpoint, first + number)));
            }
            made
        });
        Maker { going, thread: thread.expect("a thread starts") }
    }

    /// What it has used, without the receiver.
    fn used(&self) -> Duration {
        cost::of_process().saturating_sub(self.sink.processor_time())
    }

    /// Events a second, and the processor time for each in microseconds.
    pub(crate) async fn measure(&self, time: Duration) -> (f64, f64) {
        let (rate, each, _) = self.measure_stages(time).await;
        (rate, each)
    }

    /// The same, and which stage takes how much of it.
    async fn measure_stages(&self, time: Duration) -> (f64, f64, String) {
        let (began, before, used) = (Instant::now(), self.sink.count(), self.used());
        let before_by_name = cost::by_name();
        tokio::time::sleep(time).await;
        let sent = (self.sink.count() - before) as f64;
        let each = |used: Duration| used.as_micros() as f64 / sent;
        let stages: Vec<String> = cost::by_name()
            .into_iter()
            .map(|(name, used)| {
                let before = before_by_name.get(&name).copied().unwrap_or_default();
                (name, each(used.saturating_sub(before)))
            })
            .filter(|(_, each)| *each >= 1.0)
            .map(|(name, each)| format!("{name} {each:.0}"))
            .collect();
        let rate = sent / began.elapsed().as_secs_f64();
        (rate, each(self.used().saturating_sub(used)), stages.join(", "))
    }

    /// Waits until so many have arrived: who measures next is not to wait behind them.
    async fn received(&self, count: u64) {
        let began = Instant::now();
        while self.sink.count() < count {
            assert!(began.elapsed() < Duration::from_mins(1), "{count} do not arrive");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// When what was made at these times has arrived, all of it.
    async fn arrived(&self, first: u64, made: &[Instant]) -> Latencies {
        let (began, mut kept) = (Instant::now(), Vec::new());
        loop {
            kept.extend(self.sink.kept());
            let latencies = Latencies::of(first, made, &kept);
            if latencies.0.len() >= made.len() {
                return latencies;
            }
            let missing = made.len() - latencies.0.len();
            assert!(began.elapsed() < Duration::from_mins(1), "{missing} did not arrive");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.delivery.await.expect("delivery ends");
    }
}

impl Maker {
    /// Ends it. Says when it made each event.
    pub(crate) fn stop(self) -> Vec<Instant> {
        self.going.store(false, Ordering::Relaxed);
        self.thread.join().expect("the maker ends")
    }
}

impl Latencies {
    /// Of those events numbered from `first` on, made at these times, that the receiver has kept
    /// the lines of.
    pub(crate) fn of(first: u64, made: &[Instant], kept: &[(String, Instant)]) -> Self {
        let mut all: Vec<Duration> = kept
            .iter()
            .filter_map(|(line, at)| {
                let id = line.split(['?', '&', ' ']).find_map(|part| part.strip_prefix("id="))?;
                let (call, link) = id.rsplit_once('_')?.1.split_once('-')?;
                let number = number(call.parse().ok()?, link.parse().ok()?);
                let place = usize::try_from(number.checked_sub(first)?).ok()?;
                Some(at.saturating_duration_since(*made.get(place)?))
            })
            .collect();
        all.sort();
        Self(all)
    }

    pub(crate) fn at(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(place).copied().unwrap_or_default()
    }

    pub(crate) fn shown(&self) -> String {
        let (half, most, all) = (self.at(50), self.at(99), self.at(100));
        format!("{half:.1?} / {most:.1?} / {all:.1?}")
    }
}

/// All figures of the stages over the database at `path`. `with` says what else is in it.
pub(crate) async fn run(path: &Path, bare: &Bare, with: &str) -> Vec<Figure> {
    let numbers = AtomicU64::new(0);
    let next = || numbers.fetch_add(9_000_000, Ordering::Relaxed);
    let line = Line::start(path, "live", Sink::start().await);
    let before = line.sink.count();
    let maker = line.make(next(), None);
    tokio::time::sleep(WARM_UP).await;
    let (rate, each, stages) = line.measure_stages(TIME).await;
    line.received(before + maker.stop().len() as u64).await;
    let share = 100.0 * rate / bare.rate;
    let mut figures = vec![
        figure(
            format!("plugin, fsync, delivery as a library{with}, events/s sustained"),
            format!("{rate:.0} ({share:.0} % of bare)"),
        ),
        figure("  processor time for each event", format!("{each:.0} µs")),
        figure("  by thread, the receiver's too", format!("{stages} µs")),
    ];
    let first = next();
    line.sink.keep();
    let maker = line.make(first, Some(PACE));
    let (rate, each) = line.measure(TIME).await;
    let made = maker.stop();
    let latencies = line.arrived(first, &made).await;
    let what = format!("commit to first byte at {rate:.0} events/s{with}, p50 / p99 / all");
    figures.push(figure(what, latencies.shown()));
    figures.push(figure("  processor time for each event", format!("{each:.0} µs")));
    line.stop().await;
    figures
}

pub(crate) fn plugin() -> Plugin {
    let runtime = Runtime::new().expect("an engine");
    let plugin = runtime.load(&PluginSpec::embedded("plain-get"), &Arc::default());
    plugin.expect("plain-get loads")
}

/// So many calls go on at once, and each has three events.
const CALLS: u64 = 1_000;

/// The call of an event, and its place there.
fn place(number: u64) -> (u64, u64) {
    (number / (3 * CALLS) * CALLS + number % CALLS, number / CALLS % 3)
}

/// The event of a call at this place there.
fn number(call: u64, place: u64) -> u64 {
    call / CALLS * 3 * CALLS + place * CALLS + call % CALLS
}

/// What one event becomes.
pub(crate) fn commit(plugin: &Plugin, url: &str, endpoint: &str, number: u64) -> Commit {
    let (call, place) = place(number);
    let mut event = event(i64::try_from(call).unwrap_or(0));
    let link = u32::try_from(place).unwrap_or(0);
    (event.id.link, event.sequence) = (link, link + 1);
    event.event_id = format!("pbx-{}-{}", event.id.chain, event.sequence);
    let mut commit = Commit { pbx: "pbx".to_owned(), ..Commit::default() };
    // About as much as the engine keeps of a call, until it is over.
    let state = (place < 2).then(|| vec![b'x'; 700]);
    commit.calls.push((format!("call {call}"), state));
    commit.events.push(StoredEvent::new(&event).expect("it is JSON"));
    let Outcome::Send(requests) =
        plugin.transform(&event, &Request::draft(url)).expect("it is transformed")
    else {
        panic!("plain-get skips nothing");
    };
    commit.requests.extend((0..).zip(requests).map(|(index, request)| NewRequest {
        event_id: event.event_id.clone(),
        endpoint: endpoint.to_owned(),
        index,
        lane: format!("pbx/{}", event.id.chain),
        sequence: event.sequence,
        generation: 0,
        expires_in: None,
        class: Class::Core,
        base: url.to_owned(),
        request,
    }));
    commit
}

/// Somebody calls.
pub(crate) fn event(number: i64) -> CallEvent {
    let at = "2026-11-22T09:06:14Z".parse().expect("a time");
    let at = LocalTime::new(at, &TimeZone::UTC);
    let chain = ChainId::new(at, number);
    CallEvent {
        event_id: format!("pbx-{chain}-1"),
        id: CallId { chain, link: 0 },
        sequence: 1,
        pbx: "pbx".to_owned(),
        direction: Direction::Incoming,
        caller_id: "420774852629".to_owned(),
        caller_name: None,
        user: Party {
            number: "106".to_owned(),
            kind: PartyKind::Extension,
            name: None,
            email: None,
        },
        did: None,
        queue: None,
        arrived_at: at,
        occurred_at: at,
        resynced: false,
        kind: EventKind::Ringing(Ringing { transfer: TransferType::NotDef, transferred_by: None }),
    }
}
