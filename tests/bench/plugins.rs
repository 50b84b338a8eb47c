//! What one event costs in a plugin of each language, whole: from the host's event to checked
//! requests, in a fresh instance. How long loading takes, with and without the compiled code of an
//! earlier start. And what the mapping of `plain-get` costs as native code.
//!
//! Whatever lies in `target/examples` is measured; `cargo xtask examples` puts it there.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use callhook::plugins::{Plugin, PluginSpec, Runtime};
use callhook::request::Request;
use callhook_plugin::{HttpRequest, samples};

use self::mapping::Dialect;
use crate::library;
use crate::{Figure, figure};

/// That of `plain-get`, which itself is a component and nothing else.
#[path = "../../plugins/plain-get/src/mapping.rs"]
mod mapping;

/// Calls are made for this long, and at least so many.
const TIME: Duration = Duration::from_secs(2);
const CALLS: usize = 200;

pub(crate) fn run() -> Vec<Figure> {
    let mut figures = Vec::new();
    let native = native();
    let own = PluginSpec::embedded("plain-get");
    let plugin = measure("plain-get", &own, &mut figures);
    figures.push(figure(
        "the mapping of plain-get as native code",
        format!("{native:.2?}; as a plugin {:.0} times that", ratio(plugin, native)),
    ));
    for file in examples() {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        measure(&format!("example in {name}"), &PluginSpec::file(&name, file), &mut figures);
    }
    figures
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn examples() -> Vec<PathBuf> {
    let exe = std::env::current_exe().expect("the program knows where it is");
    let target = exe.ancestors().nth(2).expect("it is in target");
    let found = fs::read_dir(target.join("examples")).into_iter().flatten().flatten();
    let mut files: Vec<_> = found.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "wasm"));
    files.sort();
    if files.is_empty() {
        eprintln!("No examples in {}: cargo xtask examples", target.join("examples").display());
    }
    files
}

/// One plugin; gives what an event costs.
fn measure(name: &str, spec: &PluginSpec, figures: &mut Vec<Figure>) -> Duration {
    let folder = crate::folder();
    let cache = folder.path().join("plugins");
    let (_, cold) = load(spec, None);
    load(spec, Some(&cache));
    let (plugin, warm) = load(spec, Some(&cache));
    assert!(plugin.description().compiled_in.is_none(), "it was in the cache");
    let event = per_event(&plugin);
    figures.push(figure(
        format!("{name}: an event; loading without and with cache"),
        format!("{event:.1?}; {cold:.0?}, {warm:.1?}"),
    ));
    event
}

fn load(spec: &PluginSpec, cache: Option<&Path>) -> (Plugin, Duration) {
    let runtime = Runtime::new().expect("an engine");
    let runtime = match cache {
        Some(folder) => runtime.with_cache(folder),
        None => runtime,
    };
    let mut spec = spec.clone();
    spec.deadline = Duration::from_secs(10);
    let began = Instant::now();
    let plugin = runtime.load(&spec, &Arc::default()).expect("it loads");
    (plugin, began.elapsed())
}

/// The median.
fn per_event(plugin: &Plugin) -> Duration {
    let (event, draft) = (library::event(1), Request::draft("https://crm.example/calls"));
    median(|| {
        let outcome = plugin.transform(black_box(&event), black_box(&draft));
        black_box(outcome.expect("it is transformed"));
    })
}

fn median(mut call: impl FnMut()) -> Duration {
    let (began, mut took) = (Instant::now(), Vec::new());
    while took.len() < CALLS || began.elapsed() < TIME {
        let at = Instant::now();
        call();
        took.push(at.elapsed());
    }
    took.sort_unstable();
    took[took.len() / 2]
}

/// What `plain-get` does to a ringing, called a thousand times so that the clock can tell.
fn native() -> Duration {
    let event = samples::event(samples::ringing());
    let draft = HttpRequest {
        method: "GET".to_owned(),
        url: "https://crm.example/calls".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        tag: None,
        state: Vec::new(),
        delay_ms: 0,
        extra: Vec::new(),
    };
    let thousand = median(|| {
        for _ in 0..1_000 {
            let (event, draft) = (black_box(event.clone()), black_box(draft.clone()));
            let parameters = mapping::parameters(&event, Dialect::of(&draft));
            black_box(draft.with_query(parameters.expect("it has some")));
        }
    });
    thousand / 1_000
}
