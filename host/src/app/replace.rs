//! Plugins whose files changed take the place of the old ones between two events.
//!
//! They are compiled and tried beside the running ones. Those that changed together come in force
//! together, in one step of the pipeline: so every event meets one set of plugins, in all chains
//! that it passes. If one of them cannot be used, the old ones of all stay in service until a file
//! changes again; health and metrics say so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::reload::{Service, in_background};
use super::settings;
use crate::config::PluginSource;
use crate::metrics::Metrics;
use crate::pipeline::Renewal;
use crate::plugins::{self, Plugin, fingerprint};

/// What became of the files that changed.
#[derive(Default)]
struct Tried {
    /// New ones, by name.
    ready: BTreeMap<String, Arc<Plugin>>,
    /// Those that cannot be used, by name, and why.
    broken: BTreeMap<String, String>,
    /// The file is the one that is in service.
    same: Vec<String>,
}

/// What keeps changed files from being in service, by the plugin's name.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Why it cannot be used.
    broken: BTreeMap<String, String>,
    /// Those that changed with a broken one.
    held: BTreeSet<String>,
}

impl Waiting {
    /// In a sentence each.
    pub(super) fn told(&self) -> Vec<String> {
        let broken = self.broken.values().map(|error| {
            format!("a changed plugin cannot be used and the old one stays in service: {error}")
        });
        let held = self.held.iter().map(|name| {
            format!("the changed plugin {name} waits for another that changed with it")
        });
        broken.chain(held).collect()
    }
}

impl Service {
    /// The files of the plugins that have one.
    pub(super) fn plugin_files(&self) -> BTreeMap<String, PathBuf> {
        let file = |plugin: &crate::config::PluginConfig| match &plugin.source {
            PluginSource::File(path) => Some((plugin.name.clone(), path.clone())),
            PluginSource::Embedded(_) => None,
        };
        self.config.plugins.iter().filter_map(file).collect()
    }

    /// Puts plugins in force whose files changed, if they can be used.
    pub(super) async fn replace(&mut self, changed: Vec<String>) {
        let mut names: BTreeSet<String> = changed.into_iter().collect();
        names.extend(self.waiting.held.iter().cloned());
        let names: Vec<String> = names.into_iter().collect();
        let Some(tried) = self.try_files(&names).await else { return };
        if !self.files.are_still(&names) {
            // It was written to meanwhile, and will be told again.
            self.waiting.held.extend(names);
            return;
        }
        for name in tried.same.iter().chain(tried.ready.keys()) {
            self.waiting.broken.remove(name);
            self.waiting.held.remove(name);
        }
        for (name, error) in &tried.broken {
            self.metrics.plugin_reload_failure(name);
            tracing::error!(
                "A changed plugin cannot be used, the old one stays in service: {error}."
            );
            self.waiting.broken.insert(name.clone(), error.clone());
        }
        if tried.broken.is_empty() {
            self.put_in_force(tried.ready).await;
        } else {
            self.waiting.held.extend(tried.ready.into_keys());
        }
        self.tell_health();
    }

    async fn try_files(&self, names: &[String]) -> Option<Tried> {
        let (config, runtime) = (self.config.clone(), Arc::clone(&self.runtime));
        let loaded = self.loaded.clone();
        let names = names.to_vec();
        let work = move || {
            let mut tried = Tried::default();
            for name in names {
                let Some(plugin) = config.plugin(&name) else { continue };
                let PluginSource::File(path) = &plugin.source else { continue };
                let hash = |plugin: &Arc<Plugin>| plugin.description().hash.clone();
                let in_service = loaded.plugins.get(&name).map(hash);
                // A file that cannot be read is for the loading to tell.
                if in_service.is_some() && fingerprint(path).ok() == in_service {
                    tried.same.push(name);
                    continue;
                }
                match runtime.load(&settings::plugin_spec(plugin), &loaded.directory) {
                    Ok(ready) => drop(tried.ready.insert(name, Arc::new(ready))),
                    Err(error) => {
                        let faults = settings::plugin_faults(plugin, &error).join("; ");
                        tried.broken.insert(name, faults);
                    }
                }
            }
            tried
        };
        match in_background(|| plugins::aside(work)).await {
            Ok(tried) => Some(tried),
            Err(faults) => {
                tracing::error!("Changed plugins cannot be tried: {}.", faults.0.join("; "));
                None
            }
        }
    }

    async fn put_in_force(&mut self, ready: BTreeMap<String, Arc<Plugin>>) {
        if ready.is_empty() {
            return;
        }
        let mut plugins = self.loaded.plugins.clone();
        plugins.extend(ready.clone());
        let routes = settings::routes(&self.config, &plugins);
        let directory = Arc::clone(&self.loaded.directory);
        self.swap(Renewal { routes, directory, ..Renewal::default() }).await;
        for (name, plugin) in &ready {
            let about = plugin.description();
            let old = self.loaded.plugins.get(name).map_or("", |old| old.version());
            tracing::info!(
                plugin = name,
                from = old,
                to = about.version,
                hash = about.hash,
                compiled_in = about.compiled_in.map(tracing::field::debug),
                "Plugin replaced."
            );
        }
        self.loaded.plugins = plugins;
        tell_metrics(&self.metrics, &self.loaded.plugins);
    }
}

/// Tells which plugins are in service.
pub(super) fn tell_metrics(metrics: &Metrics, plugins: &BTreeMap<String, Arc<Plugin>>) {
    let about = |plugin: &Arc<Plugin>| plugin.description().clone();
    let lines = plugins.iter().map(|(name, plugin)| (name.as_str(), about(plugin)));
    metrics.plugins_in_service(lines.map(|(name, about)| (name, about.version, about.hash)));
}
