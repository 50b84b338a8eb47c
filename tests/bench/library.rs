//! Every stage behind the engine, as the service runs them: the plugin `plain-get` makes a request
//! of each event, the outbox commits both with fsync, delivery sends. One thread makes events, as
//! fast as the receiver gets them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

use crate::sink::Sink;

const WARM_UP: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(8);

/// So many events are under way at most.
const AHEAD: u64 = 4_096;

pub(crate) const ENDPOINT: &str = "webhook";

pub(crate) async fn run() -> f64 {
    let folder = crate::folder();
    let (clock, metrics) = (Clock::system(), Metrics::default());
    let outbox =
        SqliteOutbox::open(&folder.path().join("bench.db"), clock.clone(), metrics.clone());
    let outbox: Arc<dyn Outbox> = Arc::new(outbox.expect("the outbox opens"));
    let sink = Arc::new(Sink::start().await);
    let settings = EndpointSettings {
        name: ENDPOINT.to_owned(),
        url: sink.url().parse().expect("it is a URL"),
        delivery: DeliveryConfig::default(),
        forbidden: Vec::new(),
    };
    let delivery = Delivery::new(vec![settings], &outbox, &clock, &metrics).expect("it is built");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let delivery = tokio::spawn(delivery.run(async {
        let _ = stopped.await;
    }));

    let going = Arc::new(AtomicBool::new(true));
    let maker = {
        let (going, outbox, sink) = (Arc::clone(&going), Arc::clone(&outbox), Arc::clone(&sink));
        std::thread::spawn(move || make(&going, &*outbox, &sink))
    };
    tokio::time::sleep(WARM_UP).await;
    let (began, before) = (Instant::now(), sink.count());
    tokio::time::sleep(TIME).await;
    let rate = (sink.count() - before) as f64 / began.elapsed().as_secs_f64();
    going.store(false, Ordering::Relaxed);
    maker.join().expect("the maker ends");
    drop(stop);
    delivery.await.expect("delivery ends");
    rate
}

fn make(going: &AtomicBool, outbox: &dyn Outbox, sink: &Sink) {
    let runtime = Runtime::new().expect("an engine");
    let plugin = runtime.load(&PluginSpec::embedded("plain-get"), &Arc::default());
    let plugin = plugin.expect("plain-get loads");
    let url = sink.url();
    for number in 0.. {
        while number > sink.count() + AHEAD {
            std::thread::sleep(Duration::from_millis(1));
        }
        if !going.load(Ordering::Relaxed) {
            return;
        }
        drop(outbox.append(commit(&plugin, &url, i64::try_from(number).unwrap_or(0))));
    }
}

/// What one event becomes.
pub(crate) fn commit(plugin: &Plugin, url: &str, number: i64) -> Commit {
    let event = event(number);
    let mut commit = Commit { pbx: "pbx".to_owned(), ..Commit::default() };
    commit.calls.push((format!("call {number}"), None));
    commit.events.push(StoredEvent::new(&event).expect("it is JSON"));
    let Outcome::Send(requests) =
        plugin.transform(&event, &Request::draft(url)).expect("it is transformed")
    else {
        panic!("plain-get skips nothing");
    };
    commit.requests.extend((0..).zip(requests).map(|(index, request)| NewRequest {
        event_id: event.event_id.clone(),
        endpoint: ENDPOINT.to_owned(),
        index,
        lane: format!("pbx/{}", event.id.chain),
        sequence: 1,
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
