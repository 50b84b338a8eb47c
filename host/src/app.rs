//! The one place that builds the stages, in the order in which an event passes through them, and
//! stops them in that order.

mod operator;
mod record;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

pub use self::operator::{Operator, Replay, Tally, deliveries, each};
pub use self::record::record;
pub use self::settings::Faults;
use crate::calls::Engine;
use crate::clock::Clock;
use crate::config::{Config, PbxConfig};
use crate::console;
use crate::delivery::{Delivery, probe};
use crate::metrics::Metrics;
use crate::outbox::{Outbox, Pressure, SqliteOutbox};
pub use crate::pipeline::Observer;
use crate::pipeline::{Exchange, Input, Pipeline};
use crate::plugins::{Directory, Plugin};
use crate::source::callcontrol::Watcher;
use crate::source::notice::Notice;

/// Notices that wait for the engine. When they are not taken, the sources coalesce.
const NOTICES: usize = 1024;

/// How long the last commits may take at a stop.
const GRACE: Duration = Duration::from_secs(10);
/// By how much the thread that runs the plugins steps back.
const BEHIND_THE_WRITER: i32 = 5;
/// How often a chunk of what was finished long ago is removed: several times as fast as the
/// largest exchange makes events.
const PRUNE_EVERY: Duration = Duration::from_secs(1);
/// How often readiness is looked at until the service is ready.
const READY_POLL: Duration = Duration::from_millis(20);

/// The service: its settings hold, its plugins are loaded, nothing runs yet.
pub struct App {
    config: Config,
    clock: Clock,
    metrics: Metrics,
    directory: Arc<Directory>,
    plugins: BTreeMap<String, Arc<Plugin>>,
    observer: Option<Observer>,
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

/// What is known of the service's health.
struct Health {
    outbox: Arc<dyn Outbox>,
    exchanges: Vec<(String, Arc<AtomicBool>)>,
}

impl App {
    /// Loads what the settings name. The faults are those of the settings, all of them.
    pub fn build(config: Config, clock: Clock) -> Result<Self, Faults> {
        let directory = Arc::new(settings::directory(&config)?);
        let plugins = settings::plugins(&config, &settings::runtime()?, &directory)?;
        let metrics = Metrics::default();
        Ok(Self { config, clock, metrics, directory, plugins, observer: None })
    }

    /// The plugins that the settings name, by name.
    pub fn plugins(&self) -> &BTreeMap<String, Arc<Plugin>> {
        &self.plugins
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
        let watcher = Watcher::new(settings, self.clock.clone(), self.metrics.clone())?;
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

    /// Runs until `shutdown` resolves, then stops what it started: no new notices, then what is
    /// in flight, then the disk. Needs a multi-threaded tokio runtime.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let (stop, stopped) = watch::channel(false);
        let outbox = self.open_outbox()?;
        let exchanges = self.exchanges(&*outbox)?;
        let watched: Vec<_> =
            exchanges.iter().map(|x| (x.name.clone(), Arc::clone(&x.watched))).collect();
        let health = Arc::new(Health { outbox: Arc::clone(&outbox), exchanges: watched });

        let mut tasks = JoinSet::new();
        let console = self.listen(&health, &stopped, &mut tasks).await?;
        self.prune(&outbox, &stopped, &mut tasks);
        let notices = self.watch(&stopped, &mut tasks)?;
        let (delivery_stop, delivery_stopped) = oneshot::channel::<()>();
        let delivery = self.deliver(&outbox, console, delivery_stopped)?;
        let pipeline = self.pipeline(exchanges, outbox);
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
            () = say_when_ready(&health) => {}
        }
        failpoint!("app-stopping");
        stop.send_replace(true);
        // The sources end, so the channel closes, so the pipeline ends with everything appended.
        while tasks.join_next().await.is_some() {}
        let joined = tokio::task::spawn_blocking(move || pipeline.join());
        match tokio::time::timeout(GRACE, joined).await {
            Ok(Ok(Ok(()))) => {}
            Ok(_) => anyhow::bail!("the pipeline has died; what was committed is kept"),
            Err(_) => anyhow::bail!(
                "what was seen last could not be committed within {GRACE:?}; what was is kept"
            ),
        }
        failpoint!("app-before-last-deliveries");
        drop(delivery_stop);
        delivery.await.context("while finishing the deliveries")?;
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
        let mut exchanges = Vec::new();
        for pbx in &self.config.pbxs {
            let mut engine = Engine::new(settings::engine(&self.config, pbx));
            for (key, state) in outbox.load_calls(&pbx.name)? {
                if let Err(error) = engine.restore(&key, &state) {
                    tracing::error!("A call that was going on is forgotten: {error:#}.");
                }
            }
            let watched = Arc::new(AtomicBool::new(false));
            exchanges.push(Exchange { name: pbx.name.clone(), engine, watched });
        }
        Ok(exchanges)
    }

    /// Removes from the outbox what was finished long ago, a bit at a time.
    fn prune(
        &self,
        outbox: &Arc<dyn Outbox>,
        stopped: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) {
        let (outbox, retention) = (Arc::clone(outbox), self.config.retention);
        let mut stopped = stopped.clone();
        tasks.spawn(async move {
            let mut pace = tokio::time::interval(PRUNE_EVERY);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                // One at a time: while the disk cannot be written, nothing piles up.
                let pruned = async {
                    pace.tick().await;
                    outbox.prune(retention).await
                };
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => return,
                    pruned = pruned => if pruned.is_err() { return },
                }
            }
        });
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

    /// Starts to watch all exchanges.
    fn watch(
        &self,
        stopped: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<mpsc::Receiver<Input>> {
        let (all, notices) = mpsc::channel(NOTICES);
        for (index, pbx) in self.config.pbxs.iter().enumerate() {
            let settings = settings::watcher(&self.config, pbx);
            let watcher = Watcher::new(settings, self.clock.clone(), self.metrics.clone())
                .with_context(|| format!("while preparing to watch the PBX {}", pbx.name))?;
            let (own, of_one) = mpsc::channel(1);
            tasks.spawn(watcher.run(own, stopped.clone()));
            tasks.spawn(label(index, of_one, all.clone()));
        }
        Ok(notices)
    }

    fn deliver(
        &self,
        outbox: &Arc<dyn Outbox>,
        console: Option<SocketAddr>,
        stopped: oneshot::Receiver<()>,
    ) -> anyhow::Result<JoinHandle<()>> {
        let settings = |endpoint| settings::delivery(endpoint, console);
        let endpoints = self.config.endpoints.iter().map(settings).collect();
        let delivery = Delivery::new(endpoints, outbox, &self.clock, &self.metrics)?;
        Ok(tokio::spawn(delivery.run(async {
            // A sender that is gone means the same as a word from it.
            let _ = stopped.await;
        })))
    }

    fn pipeline(self, exchanges: Vec<Exchange>, outbox: Arc<dyn Outbox>) -> Pipeline {
        Pipeline {
            exchanges,
            routes: settings::routes(&self.config, &self.plugins),
            directory: self.directory,
            outbox,
            clock: self.clock,
            metrics: self.metrics,
            observer: self.observer,
        }
    }
}

/// Says of each notice which exchange it is of.
async fn label(index: usize, mut from: mpsc::Receiver<Notice>, to: mpsc::Sender<Input>) {
    while let Some(notice) = from.recv().await {
        if to.send(Input::Seen(index, notice)).await.is_err() {
            return;
        }
    }
}

impl console::Health for Health {
    fn missing(&self) -> Vec<String> {
        let unwatched = self.exchanges.iter().filter(|(_, seen)| !seen.load(Ordering::Acquire));
        let mut missing: Vec<String> =
            unwatched.map(|(name, _)| format!("the PBX {name} is not watched")).collect();
        if !self.outbox.is_writable() {
            missing.push("the outbox cannot commit".to_owned());
        }
        match self.outbox.pressure() {
            Pressure::None => {}
            Pressure::Extras => missing.push("the disk is nearly full: extras are dropped".into()),
            Pressure::Popups => {
                missing.push("the disk is nearly full: extras and ringing are dropped".into());
            }
            Pressure::Full => missing.push("the disk is full".into()),
        }
        missing
    }
}

/// Logs `ready` once, and never ends.
async fn say_when_ready(health: &Health) {
    use console::Health as _;
    let mut look = tokio::time::interval(READY_POLL);
    while !health.missing().is_empty() {
        look.tick().await;
    }
    tracing::info!("ready");
    std::future::pending::<()>().await;
}
