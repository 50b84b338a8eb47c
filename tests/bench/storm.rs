//! What a plugin that misbehaves at every event costs everybody else: the same calls at the same
//! pace, without it and with it at an endpoint of its own.

use std::sync::Arc;

use callhook_pbx::Pbx;
use promises::{Callhook, Crowd, Ini, component};

use crate::sink::Sink;
use crate::{Figure, figure, service};

/// Events a second: more than the largest exchange makes.
const PACE: u64 = 200;

pub(crate) async fn run() -> Vec<Figure> {
    let nasty = component("hostile");
    let mut figures = Vec::new();
    let mut rates = Vec::new();
    for storm in [false, true] {
        let pbx: Arc<Pbx> = Arc::new(Crowd::office().start().await.expect("the exchange starts"));
        let sink = Sink::start().await;
        sink.keep();
        let folder = crate::folder();
        let mut ini =
            Ini::new(&pbx, &sink.url()).level("info").storage(&folder.path().join("bench.db"));
        if storm {
            let file = format!("file = {}", nasty.display());
            ini = ini
                .section("webhook.evil", &["url = http://127.0.0.1:9/", "plugins = nasty"])
                .section("plugin.nasty", &[&file, "do = storm"]);
        }
        let hook = Callhook::start(&ini).await;
        let run = service::calls(&pbx, &sink, PACE).await;
        let rate = run.events as f64 / run.took.as_secs_f64();
        rates.push(rate);
        let what = if storm { "beside a storm" } else { "alone" };
        figures.push(figure(
            format!("an endpoint {what} at {rate:.0} events/s, p50 / p99 / all"),
            format!("{:.1?} / {:.1?} / {:.1?}", run.at(50), run.at(99), run.at(100)),
        ));
        let sum = hook.metric("callhook_outbox_commit_seconds_sum").await.unwrap_or_default();
        let count = hook.metric("callhook_outbox_commit_seconds_count").await.unwrap_or_default();
        let mean = 1_000.0 * sum / count.max(1.0);
        figures
            .push(figure("  commits, and how long one took", format!("{count:.0}, {mean:.1} ms")));
        assert!(hook.stop().await.success());
    }
    let ratio = 100.0 * rates[1] / rates[0];
    figures.push(figure("rate beside a storm, of that without", format!("{ratio:.0} %")));
    figures
}
