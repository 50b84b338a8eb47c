//! The one place that builds the stages, in the order in which an event passes through them, and
//! stops them in that order.

mod files;
mod health;
mod operator;
mod preflight;
mod record;
mod reload;
mod replace;
mod replies;
mod settings;
mod sources;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use self::files::Files;
use self::health::Health;
pub use self::operator::{Operator, Replay, Tally, deliveries, each, goes_to};
pub use self::preflight::{certificate_faults, storage_faults};
pub use self::record::record;
pub use self::reload::Reload;
use self::reload::{Service, restored};
use self::replace::Waiting;
use self::replies::Court;
use self::settings::Loaded;
pub use self::settings::{Faults, directory, plugin_faults, plugin_spec};
use self::sources::Sources;
use crate::clock::Clock;
use crate::config::{Config, PbxConfig};
use crate::console;
use crate::delivery::{Changes, Delivery, Judge, probe};
use crate::metrics::Metrics;
use crate::outbox::{Outbox, SqliteOutbox};
pub use crate::pipeline::Observer;
use crate::pipeline::{Exchange, Input, Judging, Pipeline, Unsaved};
use crate::plugins::{Plugin, Runtime};
use crate::quiet::Said;
use crate::routes::Route;
use crate::source::callcontrol::Watcher;

/// Notices that wait for the engine. When they are not taken, the sources coalesce.
const NOTICES: usize = 1024;

/// How long the last commits may take at a stop.
const GRACE: Duration = Duration::from_secs(10);
/// By how much the thread that runs the plugins steps back.
const BEHIND_THE_WRITER: i32 = 5;
/// How often a chunk of what was finished long ago is removed: several times as fast as the
/// largest exchange makes events.
const PRUNE_EVERY: Duration = Duration::from_secs(1);

/// The service: its settings hold, its plugins are loaded, nothing runs yet.
pub struct App {
    config: Config,
    clock: Clock,
    metrics: Metrics,
    runtime: Arc<Runtime>,
    loaded: Loaded,
    observer: Option<Observer>,
    reload: Option<Reload>,
}

/// What a look at something far away found.
pub struct Probe {
    /// `pbx` or `webhook`.
    pub what: &'static str,
    /// Its name in the settings.
    pub name: String,
    /// What is there, or what is wrong.
    pub found: Result<String, String>,
}

impl App {
    /// Loads what the settings name. The faults are those of the settings, all of them.
    pub fn build(config: Config, clock: Clock) -> Result<Self, Faults> {
        let runtime = settings::runtime(&config)?;
        Self::build_on(runtime, config, clock)
    }

    /// The same where the database is not kept: what plugins are compiled to is kept by the user.
    pub fn build_to_pass(config: Config, clock: Clock) -> Result<Self, Faults> {
        Self::build_on(Runtime::new()?.with_cache_of_user(), config, clock)
    }

    fn build_on(runtime: Runtime, config: Config, clock: Clock) -> Result<Self, Faults> {
        let runtime = Arc::new(runtime);
        let loaded = settings::load(&config, &runtime)?;
        let metrics = Metrics::default();
        Ok(Self { config, clock, metrics, runtime, loaded, observer: None, reload: None })
    }

    /// The plugins that the settings name, by name.
    pub fn plugins(&self) -> &BTreeMap<String, Arc<Plugin>> {
        &self.loaded.plugins
    }

    /// Looks whether every PBX lets itself be watched and every endpoint can be reached. Sends no
    /// event.
    pub async fn probe(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for pbx in &self.config.pbxs {
            let found = self.probe_pbx(pbx).await.map_err(|error| format!("{error:#}"));
            probes.push(Probe { what: "pbx", name: pbx.name.clone(), found });
        }
        for endpoint in &self.config.endpoints {
            let reached =
                probe(&endpoint.url, &settings::delivery(endpoint, self.config.console)).await;
            let found = reached
                .map(|address| format!("reached at {address}"))
                .map_err(|error| format!("{error:#}"));
            probes.push(Probe { what: "webhook", name: endpoint.name.clone(), found });
        }
        probes
    }

    async fn probe_pbx(&self, pbx: &PbxConfig) -> anyhow::Result<String> {
        let settings = settings::watcher(&self.config, pbx);
        let metrics = self.metrics.of_pbx(&pbx.name);
        let watcher = Watcher::new(settings, self.clock.clone(), metrics)?;
        let dns = watcher.probe().await?;
        let numbers: Vec<&str> = dns.iter().map(|dn| dn.number.as_str()).collect();
        Ok(format!("{} DNs are visible: {}", dns.len(), numbers.join(", ")))
    }

    /// Has `observer` see every event that leaves.
    #[must_use]
    pub fn observed_by(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Takes new settings from `reload` while it runs.
    #[must_use]
    pub fn reloaded_by(mut self, reload: Reload) -> Self {
        self.reload = Some(reload);
        self
    }

    /// Runs until `shutdown` resolves, then stops what it started: no new notices, then what is
    /// in flight, then the disk. Needs a multi-threaded tokio runtime.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let (stop, stopped) = watch::channel(false);
        let outbox = self.open_outbox()?;
        let exchanges = self.exchanges(&*outbox)?;
        let watched: Vec<_> = exchanges.iter().map(Exchange::watched).collect();
        let health = Arc::new(Health::new(Arc::clone(&outbox), watched.clone()));

        let mut tasks = JoinSet::new();
        let console = self.listen(&health, &stopped, &mut tasks).await?;
        let retention = self.prune(&outbox, &stopped, &mut tasks);
        let (inputs, notices) = mpsc::channel(NOTICES);
        let mut sources = Sources::new(inputs.clone(), self.clock.clone(), self.metrics.clone());
        sources.start_all(settings::watchers(&self.config))?;
        let (delivery_stop, delivery_stopped) = oneshot::channel::<()>();
        let routes = settings::routes(&self.config, &self.loaded.plugins);
        let judging = Arc::new(Judging::new(&routes));
        let judge = Court { judging: Arc::clone(&judging), inputs: inputs.downgrade() };
        let (delivery, changes) =
            self.deliver(&outbox, judge, &health, console, delivery_stopped)?;
        let mut service = Service {
            config: self.config.clone(),
            loaded: self.loaded.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            runtime: Arc::clone(&self.runtime),
            outbox: Arc::clone(&outbox),
            health: Arc::clone(&health),
            console,
            retention,
            exchanges: watched,
            sources,
            changes,
            inputs,
            files: Files::default(),
            waiting: Waiting::default(),
            faulty: None,
        };
        let reload = self.reload.take();
        let pipeline = self.pipeline(exchanges, routes, outbox, judging);
        let runtime = Handle::current();
        let (alive, died) = oneshot::channel::<()>();
        let pipeline = thread::Builder::new()
            .name("pipeline".to_owned())
            .spawn(move || {
                let _alive = alive;
                // Plugins may burn as much processor time as they like; the outbox's writer goes
                // first. This concerns the calling thread only and is always allowed.
                let _as_it_was = rustix::process::nice(BEHIND_THE_WRITER);
                pipeline.run(notices, &runtime);
            })
            .context("while starting the pipeline's thread")?;

        tokio::select! {
            () = shutdown => tracing::info!("Stopping."),
            _ = died => tracing::error!("The pipeline has died; stopping."),
            () = health.say_when_ready() => {}
            () = service.renew_when_asked(reload) => {}
        }
        failpoint!("app-stopping");
        stop.send_replace(true);
        // Who reads waits for the pipeline, and that for the disk.
        within_grace(async {
            service.sources.stop_all_but(&[]).await;
            true
        })
        .await?;
        let inputs = service.inputs.clone();
        drop(service);
        while tasks.join_next().await.is_some() {}
        // The sources have ended, so what was seen last is appended when this has its turn.
        within_grace(appended(&inputs)).await?;
        failpoint!("app-before-last-deliveries");
        drop(delivery_stop);
        // Their replies are judged by the pipeline.
        delivery.await.context("while finishing the deliveries")?;
        drop(inputs);
        let joined = tokio::task::spawn_blocking(move || pipeline.join());
        within_grace(async { joined.await.is_ok_and(|ended| ended.is_ok()) }).await?;
        failpoint!("app-before-closing");
        tracing::info!("Stopped.");
        Ok(())
    }

    fn open_outbox(&self) -> anyhow::Result<Arc<dyn Outbox>> {
        let path = &self.config.storage;
        let outbox = SqliteOutbox::open(path, self.clock.clone(), self.metrics.clone())
            .with_context(|| format!("while opening the database {}", path.display()))?;
        Ok(Arc::new(outbox))
    }

    /// The engines, with the calls that were going on when the last process ended.
    fn exchanges(&self, outbox: &dyn Outbox) -> anyhow::Result<Vec<Exchange>> {
        self.config.pbxs.iter().map(|pbx| restored(&self.config, pbx, outbox)).collect()
    }

    /// Removes from the outbox what was finished long ago, a bit at a time. How long ago can be
    /// changed.
    fn prune(
        &self,
        outbox: &Arc<dyn Outbox>,
        stopped: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> watch::Sender<Duration> {
        let outbox = Arc::clone(outbox);
        let (change, retention) = watch::channel(self.config.retention);
        let mut stopped = stopped.clone();
        tasks.spawn(async move {
            let mut pace = tokio::time::interval(PRUNE_EVERY);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                // One at a time: while the disk cannot be written, nothing piles up.
                let pruned = async {
                    pace.tick().await;
                    let age = *retention.borrow();
                    outbox.prune(age).await
                };
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => return,
                    pruned = pruned => if pruned.is_err() { return },
                }
            }
        });
        change
    }

    /// Opens the console, if one is set, and says where.
    async fn listen(
        &self,
        health: &Arc<Health>,
        stopped: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let Some(address) = self.config.console else { return Ok(None) };
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("while opening the console at {address} (see `listen` in [console])")
        })?;
        let address = listener.local_addr().context("while asking for the console's address")?;
        tracing::info!(%address, "Console listens.");
        let health: Arc<dyn console::Health> = Arc::<Health>::clone(health);
        tasks.spawn(console::serve(listener, health, self.metrics.clone(), stopped.clone()));
        Ok(Some(address))
    }

    fn deliver(
        &self,
        outbox: &Arc<dyn Outbox>,
        judge: Court,
        health: &Health,
        console: Option<SocketAddr>,
        stopped: oneshot::Receiver<()>,
    ) -> anyhow::Result<(JoinHandle<()>, Changes)> {
        let settings = |endpoint| settings::delivery(endpoint, console);
        let endpoints = self.config.endpoints.iter().map(settings).collect();
        let judge = Some(Arc::new(judge) as Arc<dyn Judge>);
        let delivery = Delivery::new(endpoints, outbox, judge, &self.clock, &self.metrics)?;
        health.tell_of(delivery.endpoints());
        let changes = delivery.changes();
        let running = tokio::spawn(delivery.run(async {
            // A sender that is gone means the same as a word from it.
            let _ = stopped.await;
        }));
        Ok((running, changes))
    }

    fn pipeline(
        self,
        exchanges: Vec<Exchange>,
        routes: Vec<Route>,
        outbox: Arc<dyn Outbox>,
        judging: Arc<Judging>,
    ) -> Pipeline {
        Pipeline {
            exchanges,
            routes,
            directory: self.loaded.directory,
            outbox,
            clock: self.clock,
            metrics: self.metrics,
            unsaved: Unsaved::default(),
            said: Said::default(),
            judging,
            observer: self.observer,
        }
    }
}

/// Resolves when all that was given to the pipeline before is done; `false` if it has died.
async fn appended(inputs: &mpsc::Sender<Input>) -> bool {
    let (done, reached) = oneshot::channel();
    let mark = Input::Job(Box::new(move |_| {
        // Whoever asked may have lost patience.
        let _unheard = done.send(());
    }));
    inputs.send(mark).await.is_ok() && reached.await.is_ok()
}

/// Waits for the pipeline at a stop, which says whether it is well.
async fn within_grace(pipeline: impl Future<Output = bool>) -> anyhow::Result<()> {
    match tokio::time::timeout(GRACE, pipeline).await {
        Ok(true) => Ok(()),
        Ok(false) => anyhow::bail!("the pipeline has died; what was committed is kept"),
        Err(_) => anyhow::bail!(
            "what was seen last could not be committed within {GRACE:?}; what was is kept"
        ),
    }
}
