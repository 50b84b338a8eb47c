//! How fast commits become durable: real files, real fsync.

#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use std::path::Path;

use callhook::clock::Clock;
use callhook::metrics::Metrics;
use callhook::outbox::{Class, Commit, NewRequest, Outbox, SqliteOutbox, StoredEvent};
use callhook::request::Request;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A commit as a call makes it, `count` times: the event and one request of half a kilobyte.
fn commit(first: u64, count: u64) -> Commit {
    let mut commit = Commit { pbx: "pbx".to_owned(), ..Commit::default() };
    commit.calls.push(("call".to_owned(), Some(vec![0; 500])));
    for number in first..first + count {
        let event_id = format!("pbx-210701165649_{number}-1");
        let chain = format!("210701165649_{number}");
        commit.events.push(StoredEvent {
            event_id: event_id.clone(),
            pbx: "pbx".to_owned(),
            chain: chain.clone(),
            kind: "start".to_owned(),
            json: "x".repeat(600),
        });
        let request = Request {
            method: "POST".to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: vec![b'x'; 512],
            ..Request::draft("https://crm.example/calls")
        };
        commit.requests.push(NewRequest {
            event_id,
            endpoint: "crm".to_owned(),
            index: 0,
            lane: chain,
            sequence: 1,
            generation: 0,
            expires_in: None,
            class: Class::Core,
            base: request.url.clone(),
            request,
        });
    }
    commit
}

fn commits(criterion: &mut Criterion) {
    // Not the temporary directory of the machine, which may be in memory.
    let folder = tempfile::TempDir::new_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let path = folder.path().join("outbox.db");
    let outbox = SqliteOutbox::open(&path, Clock::system(), Metrics::default()).unwrap();
    let mut group = criterion.benchmark_group("commit");
    let mut next = 0;
    for count in [1, 64, 256] {
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |bencher, &count| {
            bencher.iter(|| {
                let commit = commit(next, count);
                next += count;
                outbox.append(commit).wait().unwrap();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
