//! What a plugin that misbehaves at every event costs everybody else: the same calls without it and
//! with it at an endpoint of its own, at the same pace, and as fast as it goes.

use std::sync::Arc;

use callhook_pbx::Pbx;
use promises::{Callhook, Crowd, Ini, component};

use crate::sink::Sink;
use crate::{Figure, figure, flood, service};

/// Events a second: more than the largest exchange makes.
const PACE: u64 = 200;

/// What the plugin does at full load, and what that is called.
const HARMS: [(&str, &str); 3] =
    [("loop", "a plugin that hangs"), ("panic", "one that traps"), ("storm", "a storm")];

pub(crate) async fn run() -> Vec<Figure> {
    let nasty = component("hostile").display().to_string();
    let mut figures = at_a_pace(&nasty).await;
    figures.extend(at_full_load(&nasty).await);
    figures
}

/// An exchange, a receiver, and the service between them.
struct Stage {
    pbx: Arc<Pbx>,
    sink: Sink,
    hook: Callhook,
    /// Of the database.
    _folder: tempfile::TempDir,
    _ini: Ini,
}

impl Stage {
    /// With a plugin that does `harm` at another endpoint, if there is one.
    async fn set(nasty: &str, harm: Option<&str>, settle: &str) -> Self {
        let pbx: Arc<Pbx> = Arc::new(Crowd::office().start().await.expect("the exchange starts"));
        let sink = Sink::start().await;
        let folder = crate::folder();
        let mut ini = Ini::new(&pbx, &sink.url())
            .level("info")
            .storage(&folder.path().join("bench.db"))
            .rewritten("settle = 300ms", settle);
        if let Some(harm) = harm {
            let (file, harm) = (format!("file = {nasty}"), format!("do = {harm}"));
            ini = ini
                .section("webhook.evil", &["url = http://127.0.0.1:9/", "plugins = nasty"])
                .section("plugin.nasty", &[&file, &harm]);
        }
        let hook = Callhook::start(&ini).await;
        Self { pbx, sink, hook, _folder: folder, _ini: ini }
    }
}

async fn at_a_pace(nasty: &str) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut rates = Vec::new();
    for storm in [false, true] {
        let stage = Stage::set(nasty, storm.then_some("storm"), "settle = 300ms").await;
        let Stage { pbx, sink, hook, .. } = &stage;
        sink.keep();
        let run = service::calls(pbx, sink, PACE).await;
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
        assert!(stage.hook.stop().await.success());
    }
    let ratio = 100.0 * rates[1] / rates[0];
    figures.push(figure("rate beside a storm, of that without", format!("{ratio:.0} %")));
    figures
}

/// The rate of the endpoint that works, with as much for it to do as it can take.
async fn at_full_load(nasty: &str) -> Vec<Figure> {
    let alone = flooded(nasty, None).await;
    let what = "an endpoint alone at full load, sustained";
    let mut figures = vec![figure(what, format!("{alone:.0} events/s"))];
    for (harm, what) in HARMS {
        let rate = flooded(nasty, Some(harm)).await;
        let ratio = 100.0 * rate / alone;
        figures.push(figure(
            format!("  beside {what}, and of that alone"),
            format!("{rate:.0} events/s, {ratio:.0} %"),
        ));
    }
    figures
}

async fn flooded(nasty: &str, harm: Option<&str>) -> f64 {
    // As short as it can be, so that few of the events on the way are ends that wait for it.
    let stage = Stage::set(nasty, harm, "settle = 100ms").await;
    let rate = flood::rate(&stage.pbx, &stage.sink).await;
    // What is still waiting is nobody's business.
    stage.hook.kill();
    rate
}
