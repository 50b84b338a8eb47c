//! What one event costs in a plugin: the whole call, from the host's event to checked requests,
//! with a fresh instance every time; and the same mapping as native code for comparison.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use callhook::request::Request;
use criterion::{Criterion, criterion_group, criterion_main};

fn plugin(criterion: &mut Criterion) {
    let plugin = support::plain_get();
    let draft = Request::draft("https://webhook.site/");
    let event = support::started();
    let mut group = criterion.benchmark_group("plain-get");
    group.bench_function("per event", |bencher| {
        bencher.iter(|| plugin.transform(black_box(&event), black_box(&draft)));
    });
    group.bench_function("load", |bencher| bencher.iter(support::plain_get));
    group.finish();
}

criterion_group!(benches, plugin);
criterion_main!(benches);
