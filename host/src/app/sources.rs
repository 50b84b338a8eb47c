//! The watchers of all PBXs, and the one channel that they tell into.

use std::collections::BTreeMap;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::settings;
use crate::clock::Clock;
use crate::config::PbxConfig;
use crate::metrics::Metrics;
use crate::pipeline::Input;
use crate::source::callcontrol::Watcher;
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
    settings: PbxConfig,
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
        pbx: &PbxConfig,
        clock: &Clock,
        metrics: &Metrics,
    ) -> anyhow::Result<Watcher> {
        Watcher::new(settings::watcher(pbx), clock.clone(), metrics.clone())
            .with_context(|| format!("while preparing to watch the PBX {}", pbx.name))
    }

    /// Watches `pbx`, whose notices are for the exchange at this place.
    pub(super) fn start(&mut self, place: usize, pbx: &PbxConfig, watcher: Watcher) {
        let (stop, stopped) = watch::channel(false);
        let (own, of_one) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(watcher.run(own, stopped));
        tasks.spawn(label(place, of_one, self.inputs.clone()));
        self.running.insert(pbx.name.clone(), Source { settings: pbx.clone(), stop, tasks });
    }

    /// Watches all PBXs, in their order.
    pub(super) fn start_all(&mut self, pbxs: &[PbxConfig]) -> anyhow::Result<()> {
        for (place, pbx) in pbxs.iter().enumerate() {
            let watcher = Self::prepare(pbx, &self.clock, &self.metrics)?;
            self.start(place, pbx, watcher);
        }
        Ok(())
    }

    /// Whether this PBX is watched with just these settings.
    pub(super) fn watch(&self, pbx: &PbxConfig) -> bool {
        self.running.get(&pbx.name).is_some_and(|source| source.settings == *pbx)
    }

    /// Stops to watch all PBXs but those that are in `pbxs` with the settings they have. All that
    /// they told is in the channel then. Gives their names.
    pub(super) async fn stop_all_but(&mut self, pbxs: &[PbxConfig]) -> Vec<String> {
        let stays = |_: &String, source: &mut Source| !pbxs.contains(&source.settings);
        let mut stopped: BTreeMap<_, _> = self.running.extract_if(.., stays).collect();
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
