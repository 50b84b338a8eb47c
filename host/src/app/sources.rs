//! The watchers of all PBXs, and the one channel that they tell into.

use std::collections::BTreeMap;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::pipeline::Input;
use crate::source::callcontrol::{Settings, Watcher};
use crate::source::notice::Notice;

/// What is being watched.
pub(super) struct Sources {
    inputs: mpsc::Sender<Input>,
    clock: Clock,
    metrics: Metrics,
    /// By the PBX's name.
    running: BTreeMap<String, Source>,
}

/// One watcher.
struct Source {
    settings: Settings,
    stop: watch::Sender<bool>,
    /// The watcher, and what says of each notice whose it is.
    tasks: JoinSet<()>,
}

impl Sources {
    /// Nothing is watched yet. The pipeline ends when these are gone.
    pub(super) fn new(inputs: mpsc::Sender<Input>, clock: Clock, metrics: Metrics) -> Self {
        Self { inputs, clock, metrics, running: BTreeMap::new() }
    }

    /// Makes ready to watch this PBX. Fails if its TLS settings cannot be used.
    pub(super) fn prepare(
        name: &str,
        settings: Settings,
        clock: &Clock,
        metrics: &Metrics,
    ) -> anyhow::Result<Watcher> {
        Watcher::new(settings, clock.clone(), metrics.clone())
            .with_context(|| format!("while preparing to watch the PBX {name}"))
    }

    /// Watches the PBX called `name` with a watcher of these settings. Its notices are for the
    /// exchange at this place.
    pub(super) fn start(&mut self, place: usize, name: &str, settings: Settings, watcher: Watcher) {
        let (stop, stopped) = watch::channel(false);
        let (own, of_one) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(watcher.run(own, stopped));
        tasks.spawn(label(place, of_one, self.inputs.clone()));
        self.running.insert(name.to_owned(), Source { settings, stop, tasks });
    }

    /// Watches all these PBXs, which are exchanges in this order.
    pub(super) fn start_all(&mut self, pbxs: Vec<(String, Settings)>) -> anyhow::Result<()> {
        for (place, (name, settings)) in pbxs.into_iter().enumerate() {
            let watcher = Self::prepare(&name, settings.clone(), &self.clock, &self.metrics)?;
            self.start(place, &name, settings, watcher);
        }
        Ok(())
    }

    /// Whether this PBX is watched with just these settings.
    pub(super) fn watch(&self, name: &str, settings: &Settings) -> bool {
        self.running.get(name).is_some_and(|source| source.settings == *settings)
    }

    /// Stops to watch all PBXs but those that are to be watched as they are. All that they told is
    /// in the channel then. Gives their names.
    pub(super) async fn stop_all_but(&mut self, pbxs: &[(String, Settings)]) -> Vec<String> {
        let goes = |name: &String, source: &mut Source| {
            !pbxs.iter().any(|(stays, settings)| stays == name && *settings == source.settings)
        };
        let mut stopped: BTreeMap<_, _> = self.running.extract_if(.., goes).collect();
        for source in stopped.values() {
            source.stop.send_replace(true);
        }
        for source in stopped.values_mut() {
            while source.tasks.join_next().await.is_some() {}
        }
        stopped.into_keys().collect()
    }
}

/// Says of each notice which exchange it is of.
async fn label(place: usize, mut from: mpsc::Receiver<Notice>, to: mpsc::Sender<Input>) {
    while let Some(notice) = from.recv().await {
        if to.send(Input::Seen(place, notice)).await.is_err() {
            return;
        }
    }
}
