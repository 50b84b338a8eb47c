//! The watchers of all PBXs, and the one channel that they tell into.

use std::collections::BTreeMap;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument as _;

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
    /// What was in the settings' file of certificates.
    trusted: Option<Vec<u8>>,
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
        Watcher::new(settings, clock.clone(), metrics.of_pbx(name))
            .with_context(|| format!("while preparing to watch the PBX {name}"))
    }

    /// Watches the PBX called `name` with a watcher of these settings. Its notices are for the
    /// exchange at this place.
    pub(super) fn start(&mut self, place: usize, name: &str, settings: Settings, watcher: Watcher) {
        let (stop, stopped) = watch::channel(false);
        let (own, of_one) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        // Every line of the log that a watcher writes names its PBX.
        tasks
            .spawn(watcher.run(own, stopped).instrument(tracing::error_span!("watch", pbx = name)));
        tasks.spawn(label(place, of_one, self.inputs.clone()));
        let trusted = trusted(&settings);
        self.running.insert(name.to_owned(), Source { settings, trusted, stop, tasks });
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
        self.running.get(name).is_some_and(|source| source.watches(settings))
    }

    /// Stops to watch all PBXs but those that are to be watched as they are. All that they told is
    /// in the channel then. Gives their names.
    pub(super) async fn stop_all_but(&mut self, pbxs: &[(String, Settings)]) -> Vec<String> {
        let goes = |name: &String, source: &mut Source| {
            !pbxs.iter().any(|(stays, settings)| stays == name && source.watches(settings))
        };
        let mut stopped: BTreeMap<_, _> = self.running.extract_if(.., goes).collect();
        for source in stopped.values() {
            source.stop.send_replace(true);
        }
        for source in stopped.values_mut() {
            while source.tasks.join_next().await.is_some() {}
        }
        for name in stopped.keys() {
            self.metrics.of_pbx(name).gone();
        }
        stopped.into_keys().collect()
    }
}

impl Source {
    /// Whether it watches with just these settings. A file may have changed under the same name.
    fn watches(&self, settings: &Settings) -> bool {
        self.settings == *settings && self.trusted == trusted(settings)
    }
}

fn trusted(settings: &Settings) -> Option<Vec<u8>> {
    settings.ca_file.as_ref().and_then(|file| std::fs::read(file).ok())
}

/// Says of each notice which exchange it is of.
async fn label(place: usize, mut from: mpsc::Receiver<Notice>, to: mpsc::Sender<Input>) {
    while let Some(notice) = from.recv().await {
        if to.send(Input::Seen(place, notice)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::config::Secret;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn settings() -> Settings {
        Settings {
            // Nobody listens on the port of the discard protocol.
            url: "http://127.0.0.1:9".parse().unwrap(),
            client_id: "callhook".to_owned(),
            client_secret: Secret::new("secret"),
            recordings: false,
            callbacks: Duration::ZERO,
            snapshot_every: Duration::from_secs(45),
            ca_file: None,
            insecure: false,
        }
    }

    #[tokio::test]
    async fn a_file_of_certificates_that_was_replaced_is_another_setting() {
        let made = || rcgen::generate_simple_self_signed(["pbx".to_owned()]).unwrap().cert.pem();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), made()).unwrap();
        let settings = Settings { ca_file: Some(file.path().to_owned()), ..settings() };
        let (inputs, _pipeline) = mpsc::channel(1);
        let mut sources = Sources::new(inputs, Clock::system(), Metrics::default());
        sources.start_all(vec![("prague".to_owned(), settings.clone())]).unwrap();
        assert!(sources.watch("prague", &settings));
        let stays = [("prague".to_owned(), settings.clone())];
        assert_eq!(sources.stop_all_but(&stays).await, [""; 0]);
        std::fs::write(file.path(), made()).unwrap();
        assert!(!sources.watch("prague", &settings));
        assert_eq!(sources.stop_all_but(&stays).await, ["prague"]);
    }

    #[tokio::test]
    async fn what_is_logged_of_a_pbx_names_it() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .finish();
        let _logged_here = tracing::subscriber::set_default(subscriber);
        let (inputs, _pipeline) = mpsc::channel(1);
        let mut sources = Sources::new(inputs, Clock::system(), Metrics::default());
        sources.start_all(vec![("prague".to_owned(), settings())]).unwrap();
        let told = || String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let waited = tokio::time::timeout(Duration::from_secs(10), async {
            while !told().contains("The PBX is not watched at the moment.") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{}", told());
        let told = told();
        assert!(told.lines().all(|line| line.contains("watch{pbx=\"prague\"}: ")), "{told}");
        sources.stop_all_but(&[]).await;
    }
}
