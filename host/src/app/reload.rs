//! New settings while the service runs: prepared beside it, then put in force between two events.
//!
//! Whatever can fail (the file, plugins, certificates) is tried before anything changes, so the
//! old settings stay in force as a whole or the new ones come as a whole. Then, in this order:
//! the watchers of PBXs whose settings change are stopped, delivery goes over to the new endpoints,
//! the pipeline takes the new routes between two notices, and the watchers are started again, which
//! begins with a snapshot. So no request that the new settings made meets the old delivery.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot, watch};

use super::files::Files;
use super::health::{Health, Watched};
use super::preflight::certificate_faults;
use super::replace::{Waiting, tell_metrics};
use super::settings::{self, Faults, Loaded};
use super::sources::Sources;
use crate::calls::Engine;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::{self, Changes};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::pipeline::{Exchange, Input, Renewal};
use crate::plugins::{self, Runtime};
use crate::source::callcontrol::Watcher;

/// Where new settings come from.
pub struct Reload {
    /// Tells when to read them.
    pub asked: mpsc::Receiver<()>,
    /// Reads them; says what is wrong with them.
    pub read: Arc<dyn Fn() -> Result<Config, Faults> + Send + Sync>,
    /// Is told of settings that came in force.
    pub applied: Box<dyn Fn(&Config) + Send + Sync>,
}

/// What runs and can be changed.
pub(super) struct Service {
    /// The settings that are in force.
    pub(super) config: Config,
    /// What they name, as it is in service.
    pub(super) loaded: Loaded,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) runtime: Arc<Runtime>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) health: Arc<Health>,
    /// Where the console listens.
    pub(super) console: Option<SocketAddr>,
    pub(super) retention: watch::Sender<std::time::Duration>,
    /// All exchanges that the pipeline knows, in its order. None ever leaves it: one that comes
    /// back goes on with its calls.
    pub(super) exchanges: Vec<Watched>,
    pub(super) sources: Sources,
    pub(super) changes: Changes,
    pub(super) inputs: mpsc::Sender<Input>,
    /// The files of plugins.
    pub(super) files: Files,
    /// Changed files that are not in service.
    pub(super) waiting: Waiting,
    /// Why the .ini that was read last is not in force.
    pub(super) faulty: Option<String>,
}

/// All that can fail, done.
struct Prepared {
    loaded: Loaded,
    workers: delivery::Prepared,
    /// The PBXs that are new, or have other settings.
    watchers: BTreeMap<String, Watcher>,
    exchanges: Vec<Exchange>,
}

impl Service {
    /// Reads the settings again whenever it is asked for, and plugins whenever their files change;
    /// never ends.
    pub(super) async fn renew_when_asked(&mut self, mut reload: Option<Reload>) {
        self.warn_of_stranded().await;
        self.files.set(self.plugin_files());
        tell_metrics(&self.metrics, &self.loaded.plugins);
        loop {
            tokio::select! {
                () = asked(&mut reload) => {
                    if let Some(reload) = &reload {
                        self.renew_or_tell(reload).await;
                    }
                }
                changed = self.files.changed() => self.replace(changed).await,
            }
        }
    }

    async fn renew_or_tell(&mut self, reload: &Reload) {
        // Health is told before the log says so: whoever reads a line finds it true.
        match self.renew(reload).await {
            Ok(()) => {
                (reload.applied)(&self.config);
                self.faulty = None;
                self.tell_health();
                tracing::info!("The settings were read again and are in force.");
                self.warn_of_stranded().await;
            }
            Err(Faults(faults)) => {
                self.faulty = Some(faults.join("; "));
                self.metrics.settings_reload_failures.inc();
                self.tell_health();
                for fault in &faults {
                    tracing::error!("{fault}.");
                }
                tracing::error!("The new settings are faulty; the old ones stay in force.");
            }
        }
    }

    /// What does not work as it should, and does not keep the service from working.
    pub(super) fn tell_health(&self) {
        let faulty = self.faulty.iter().map(|faults| {
            format!("the new settings are faulty and the old ones stay in force: {faults}")
        });
        self.health.set_degraded(faulty.chain(self.waiting.told()).collect());
    }

    async fn renew(&mut self, reload: &Reload) -> Result<(), Faults> {
        let read = Arc::clone(&reload.read);
        let config = in_background(move || read()).await??;
        let config = self.keep_what_stays(config);
        let prepared = self.prepare(&config).await?;
        self.apply(config, prepared).await;
        Ok(())
    }

    /// What cannot change while the service runs stays as it is.
    fn keep_what_stays(&self, config: Config) -> Config {
        let warn = |setting| tracing::warn!(setting, "Restart the service to change this setting.");
        if config.storage != self.config.storage {
            warn("[storage] path");
        }
        if config.console != self.config.console {
            warn("[console] listen");
        }
        if config.log.format != self.config.log.format {
            warn("[log] format");
        }
        let (storage, console) = (self.config.storage.clone(), self.config.console);
        let log = crate::config::LogConfig { format: self.config.log.format, ..config.log };
        Config { storage, console, log, ..config }
    }

    /// Does everything that can fail, while the old settings are in force.
    async fn prepare(&self, config: &Config) -> Result<Prepared, Faults> {
        let known = |name: &String| self.exchanges.iter().any(|(known, _)| known == name);
        let fresh = config.pbxs.iter().filter(|pbx| !known(&pbx.name)).cloned().collect::<Vec<_>>();
        let mut changed = settings::watchers(config);
        changed.retain(|(name, settings)| !self.sources.watch(name, settings));
        let (config, console) = (config.clone(), self.console);
        let (runtime, changes) = (Arc::clone(&self.runtime), self.changes.clone());
        let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
        let outbox = Arc::clone(&self.outbox);
        in_background(move || {
            let loaded = plugins::aside(|| settings::load(&config, &runtime));
            let mut faults = certificate_faults(&config, false);
            let loaded = match loaded {
                Ok(loaded) if faults.is_empty() => loaded,
                Ok(_) => return Err(Faults(faults)),
                Err(Faults(more)) => {
                    faults.extend(more);
                    return Err(Faults(faults));
                }
            };
            let settings = config.endpoints.iter().map(|hook| settings::delivery(hook, console));
            let workers = changes.prepare(settings.collect())?;
            let mut watchers = BTreeMap::new();
            for (name, settings) in changed {
                let watcher = Sources::prepare(&name, settings, &clock, &metrics)?;
                watchers.insert(name, watcher);
            }
            let restore = |pbx| restored(&config, pbx, &*outbox);
            let exchanges = fresh.iter().map(restore).collect::<anyhow::Result<_>>()?;
            Ok(Prepared { loaded, workers, watchers, exchanges })
        })
        .await?
    }

    /// Nothing of this can fail.
    async fn apply(&mut self, config: Config, prepared: Prepared) {
        let Prepared { loaded, workers, mut watchers, exchanges } = prepared;
        let sources = settings::watchers(&config);
        let stopped = self.sources.stop_all_but(&sources).await;
        self.changes.apply(workers).await;
        let place = |name: &String| self.place(name);
        let goes = |name: &&String| config.pbxs.iter().all(|pbx| pbx.name != **name);
        let lost = stopped.iter().filter_map(place).collect();
        let gone = stopped.iter().filter(goes).filter_map(place).collect();
        self.exchanges.extend(exchanges.iter().map(Exchange::watched));
        let engines = config.pbxs.iter().filter_map(|pbx| {
            self.place(&pbx.name).map(|place| (place, settings::engine(&config, pbx)))
        });
        let engines = engines.collect();
        let routes = settings::routes(&config, &loaded.plugins);
        let directory = Arc::clone(&loaded.directory);
        self.swap(Renewal { lost, gone, engines, exchanges, routes, directory }).await;
        for (name, settings) in sources {
            if let (Some(watcher), Some(place)) = (watchers.remove(&name), self.place(&name)) {
                self.sources.start(place, &name, settings, watcher);
            }
        }
        let in_force = |(name, _): &&Watched| config.pbxs.iter().any(|pbx| pbx.name == *name);
        self.health.watch(self.exchanges.iter().filter(in_force).cloned().collect());
        self.retention.send_replace(config.retention);
        (self.config, self.loaded) = (config, loaded);
        self.files.set(self.plugin_files());
        self.waiting = Waiting::default();
        tell_metrics(&self.metrics, &self.loaded.plugins);
    }

    /// Waits until the pipeline works with the new settings.
    pub(super) async fn swap(&self, renewal: Renewal) {
        let (done, swapped) = oneshot::channel();
        let job = Box::new(move |pipeline: &mut crate::pipeline::Pipeline| {
            pipeline.renew(renewal);
            // Whoever asked may be stopping.
            let _ = done.send(());
        });
        // A pipeline that is gone ends the service anyway.
        if self.inputs.send(Input::Job(job)).await.is_ok() {
            let _ = swapped.await;
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.exchanges.iter().position(|(known, _)| known == name)
    }

    /// Says how many requests wait for endpoints that there are not.
    async fn warn_of_stranded(&self) {
        let outbox = Arc::clone(&self.outbox);
        let known: Vec<String> =
            self.config.endpoints.iter().map(|hook| hook.name.clone()).collect();
        let count = move || {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            outbox.stranded(&known).map_err(Faults::from)
        };
        match in_background(count).await.and_then(|counted| counted) {
            Ok(stranded) if stranded.is_empty() => {}
            Ok(stranded) => {
                let requests: u64 = stranded.iter().map(|(_, count)| count).sum();
                let names: Vec<_> = stranded.into_iter().map(|(name, _)| name).collect();
                tracing::warn!(
                    requests,
                    endpoints = names.join(", "),
                    "Requests wait for endpoints that are not in the settings; they are kept."
                );
            }
            Err(Faults(faults)) => tracing::warn!("Nothing can be counted: {}.", faults.join("; ")),
        }
    }
}

/// An exchange, with the calls that were going on when the last process ended.
pub(super) fn restored(
    config: &Config,
    pbx: &crate::config::PbxConfig,
    outbox: &dyn Outbox,
) -> anyhow::Result<Exchange> {
    let mut engine = Engine::new(settings::engine(config, pbx));
    for (key, state) in outbox.load_calls(&pbx.name)? {
        if let Err(error) = engine.restore(&key, &state) {
            tracing::error!("A call that was going on is forgotten: {error:#}.");
        }
    }
    let watched = Arc::new(AtomicBool::new(false));
    Ok(Exchange { name: pbx.name.clone(), engine, watched })
}

/// Resolves when the settings are to be read again.
async fn asked(reload: &mut Option<Reload>) {
    if let Some(reload) = reload
        && reload.asked.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Faults> {
    let done = tokio::task::spawn_blocking(work).await;
    done.context("while working on new settings").map_err(Faults::from)
}
