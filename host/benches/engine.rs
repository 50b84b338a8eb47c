//! How many notices the call-state engine takes in a second, and what a live call costs.
//!
//! The fleet of live calls is at rest; one call after the other is made, answered and ended
//! among them, with all its notices, and its state is serialised as for the outbox.

#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use callhook::calls::title::Titles;
use callhook::calls::{Engine, Settings, Wanted};
use callhook::clock::Moment;
use callhook::source::notice::{Dn, DnType, LegKey, Notice, Participant, Seen, Snapshot, Status};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::tz::TimeZone;

/// Counts the bytes that live on the heap.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code, reason = "an allocator can only be counted from within one")]
// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn settings() -> Settings {
    Settings {
        pbx: "pbx".into(),
        zone: TimeZone::get("Europe/Prague").unwrap(),
        settle: Duration::from_secs(2),
        dids: BTreeMap::new(),
        dns: BTreeMap::new(),
        titles: Titles::default(),
        wanted: Wanted::default(),
    }
}

/// An engine, and a clock that goes on 50 ms with each notice: what is over is remembered for
/// ten minutes, so a faster clock would measure that.
struct Bench {
    engine: Engine,
    start: jiff::Timestamp,
    ms: u64,
    call: i64,
}

impl Bench {
    /// With `calls` of them live: each rang at an extension and was answered.
    fn with_live(calls: i64) -> Self {
        let start = "2026-03-05T09:15:02Z".parse().unwrap();
        let mut bench = Self { engine: Engine::new(settings()), start, ms: 0, call: 0 };
        let dn = |number: i64| Dn { number: (100 + number).to_string(), kind: DnType::Extension };
        let dns = (0..200).map(dn).collect();
        bench.see(Seen::Snapshot(Snapshot { after_gap: true, dns, legs: Vec::new() }));
        for _ in 0..calls {
            bench.call += 1;
            bench.leg(Status::Ringing);
            bench.leg(Status::Connected);
        }
        bench
    }

    /// A call of two notices that change nothing and three that do; ends without delay or trace,
    /// as the engine is woken at the end of the settling time.
    fn whole_call(&mut self) {
        self.call += 1;
        self.leg(Status::Ringing);
        self.leg(Status::Ringing);
        self.leg(Status::Connected);
        self.leg(Status::Connected);
        let key = self.key();
        self.see(Seen::LegGone(key));
    }

    fn key(&self) -> LegKey {
        LegKey { dn: (100 + self.call % 200).to_string(), id: self.call }
    }

    fn leg(&mut self, status: Status) {
        let leg = Participant {
            key: self.key(),
            call_id: self.call,
            leg_id: 4,
            status,
            party_dn: "10007".into(),
            party_dn_type: DnType::ExternalLine,
            party_caller_id: "420774852629".into(),
            party_caller_name: "Sales:Novak".into(),
            party_did: "420226201001".into(),
            originated_by_dn: "ROUTER".into(),
            originated_by_type: DnType::RoutePoint,
            referred_by_dn: String::new(),
            referred_by_type: DnType::None,
            on_behalf_of_dn: String::new(),
            on_behalf_of_type: DnType::None,
            device_id: "sip:106@127.0.0.1:5483;rinstance=c2a75fd2f1caea71".into(),
        };
        self.see(Seen::Leg(Box::new(leg)));
    }

    fn see(&mut self, what: Seen) {
        self.ms += 50;
        let mono = Duration::from_millis(self.ms);
        let wall = self.start.checked_add(mono).unwrap();
        std::hint::black_box(self.engine.apply(&Notice { at: Moment { wall, mono }, what }));
    }
}

fn notices(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("notices");
    group.throughput(Throughput::Elements(5));
    for live in [10, 1_000, 10_000] {
        let mut bench = Bench::with_live(live);
        let name = BenchmarkId::from_parameter(live);
        group.bench_function(name, |bencher| bencher.iter(|| bench.whole_call()));
    }
    group.finish();
}

fn repeats(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("repeated notices");
    group.throughput(Throughput::Elements(1));
    for live in [10, 1_000, 10_000] {
        let mut bench = Bench::with_live(live);
        let name = BenchmarkId::from_parameter(live);
        group.bench_function(name, |bencher| bencher.iter(|| bench.leg(Status::Connected)));
    }
    group.finish();
}

/// Not a time: the heap that 10,000 live calls take, printed once.
fn memory(_: &mut Criterion) {
    let empty = Bench::with_live(0);
    let before = LIVE.load(Ordering::Relaxed);
    drop(empty);
    let full = Bench::with_live(10_000);
    let heap = LIVE.load(Ordering::Relaxed).saturating_sub(before);
    println!("memory per live call: {} bytes of heap", heap / 10_000);
    drop(full);
}

criterion_group!(benches, notices, repeats, memory);
criterion_main!(benches);
