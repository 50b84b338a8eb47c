//! From the settings as the .ini means them to what each stage wants to know.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::calls::{self, title::Titles};
use crate::config::{
    Config, EndpointConfig, PbxConfig, PluginConfig, PluginSource as Source, ServedEvent,
};
use crate::delivery::EndpointSettings;
use crate::plugins::{
    Directory, LoadError, LoadErrorKind, Plugin, PluginSource, PluginSpec, Runtime,
};
use crate::routes::Route;
use crate::source::callcontrol;

/// What is wrong with the settings beyond the .ini itself, a line each.
#[derive(Debug)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Faults {}

impl From<anyhow::Error> for Faults {
    fn from(error: anyhow::Error) -> Self {
        Self(vec![format!("{error:#}")])
    }
}

/// What the settings name, read and made ready.
#[derive(Clone)]
pub(super) struct Loaded {
    /// The people of the company.
    pub(super) directory: Arc<Directory>,
    /// By name.
    pub(super) plugins: BTreeMap<String, Arc<Plugin>>,
}

/// Loads what the settings name. The faults are all that there are.
pub(super) fn load(config: &Config, runtime: &Runtime) -> Result<Loaded, Faults> {
    // Plugins are tried without the people, too, so that all that is wrong is told at once.
    let (people, mut faults) = match directory(config) {
        Ok(people) => (people, Vec::new()),
        Err(Faults(faults)) => (Directory::default(), faults),
    };
    let directory = Arc::new(people);
    match plugins(config, runtime, &directory) {
        Ok(plugins) if faults.is_empty() => return Ok(Loaded { directory, plugins }),
        Ok(_) => {}
        Err(Faults(more)) => faults.extend(more),
    }
    Err(Faults(faults))
}

/// The people of the company.
pub fn directory(config: &Config) -> Result<Directory, Faults> {
    match &config.directory {
        None => Ok(Directory::default()),
        Some(path) => Directory::load(path).map_err(|error| {
            let place = config.places.of("directory", "directory", "file");
            Faults(vec![format!("{place} {error}")])
        }),
    }
}

/// What runs the plugins. It keeps what it compiles beside the database.
pub(super) fn runtime(config: &Config) -> Result<Runtime, Faults> {
    let mut folder = config.storage.clone().into_os_string();
    folder.push(".plugins");
    Ok(Runtime::new()?.with_cache(folder.as_ref()))
}

/// All plugins that the settings name.
fn plugins(
    config: &Config,
    runtime: &Runtime,
    directory: &Arc<Directory>,
) -> Result<BTreeMap<String, Arc<Plugin>>, Faults> {
    let mut loaded = BTreeMap::new();
    let mut faults = Vec::new();
    for plugin in &config.plugins {
        match runtime.load(&plugin_spec(plugin), directory) {
            Ok(ready) => {
                let about = ready.description();
                tracing::info!(
                    plugin = plugin.name,
                    version = about.version,
                    hash = about.hash,
                    compiled_in = about.compiled_in.map(tracing::field::debug),
                    "Plugin loaded."
                );
                loaded.insert(plugin.name.clone(), Arc::new(ready));
            }
            Err(error) => faults.extend(load_faults(plugin, &error)),
        }
    }
    if faults.is_empty() { Ok(loaded) } else { Err(Faults(faults)) }
}

/// What is to be loaded for a plugin of the settings.
pub fn plugin_spec(plugin: &PluginConfig) -> PluginSpec {
    let source = match &plugin.source {
        Source::Embedded(name) => PluginSource::Embedded(name.clone()),
        Source::File(path) => PluginSource::File(path.clone()),
    };
    let setting =
        |setting: &crate::config::Setting| (setting.key.clone(), setting.value.expose().to_owned());
    PluginSpec {
        name: plugin.name.clone(),
        source,
        settings: plugin.settings.iter().map(setting).collect(),
        secrets: plugin.secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
        deadline: plugin.deadline,
        memory: plugin.memory,
    }
}

/// Why a plugin of the settings cannot be loaded, a line each, with its place there.
fn load_faults(plugin: &PluginConfig, error: &LoadError) -> Vec<String> {
    let faults = plugin_faults(plugin, error);
    match plugin.place_of_code() {
        Some(place) if !matches!(error.kind, LoadErrorKind::Settings(_)) => {
            faults.into_iter().map(|fault| format!("{place} {fault}")).collect()
        }
        _ => faults,
    }
}

/// Why a plugin of the settings cannot be used, a line each: with file and line where a setting is
/// to blame.
pub fn plugin_faults(plugin: &PluginConfig, error: &LoadError) -> Vec<String> {
    let faults = error.faults().into_iter();
    let placed = faults.map(|(problem, told)| {
        let place = problem.and_then(|it| Some((plugin.place_of(&it.setting)?, &it.message)));
        place.map_or(told, |(place, message)| format!("{place} {message}"))
    });
    placed.collect()
}

/// The endpoints with their chains of plugins.
pub(super) fn routes(config: &Config, plugins: &BTreeMap<String, Arc<Plugin>>) -> Vec<Route> {
    let chain = |endpoint: &EndpointConfig| {
        endpoint.plugins.iter().filter_map(|name| plugins.get(name).cloned()).collect()
    };
    let route = |endpoint: &EndpointConfig| Route::new(endpoint.clone(), chain(endpoint));
    config.endpoints.iter().map(route).collect()
}

/// What the engine of this PBX wants to know.
pub(super) fn engine(config: &Config, pbx: &PbxConfig) -> calls::Settings {
    let own = &config.titles;
    let usual = Titles::default();
    let or = |own: &Option<String>, usual: String| own.clone().unwrap_or(usual);
    calls::Settings {
        pbx: pbx.name.clone(),
        zone: pbx.timezone.clone(),
        settle: pbx.settle,
        dids: config.dids.clone(),
        dns: config.dns.clone(),
        wanted: calls::Wanted {
            recordings: wants_recordings(config),
            callback_wait: pbx.callback_wait,
        },
        titles: Titles {
            incoming: or(&own.incoming, usual.incoming),
            incoming_missed: or(&own.incoming_missed, usual.incoming_missed),
            incoming_missed_queue: or(&own.incoming_missed_queue, usual.incoming_missed_queue),
            outgoing: or(&own.outgoing, usual.outgoing),
            outgoing_missed: or(&own.outgoing_missed, usual.outgoing_missed),
            internal: or(&own.internal, usual.internal),
            internal_missed: or(&own.internal_missed, usual.internal_missed),
        },
    }
}

/// What the watchers of all PBXs want to know, by name.
pub(super) fn watchers(config: &Config) -> Vec<(String, callcontrol::Settings)> {
    config.pbxs.iter().map(|pbx| (pbx.name.clone(), watcher(config, pbx))).collect()
}

/// What the watcher of this PBX wants to know.
pub(super) fn watcher(config: &Config, pbx: &PbxConfig) -> callcontrol::Settings {
    let waits = !pbx.callback_wait.is_zero();
    callcontrol::Settings {
        url: pbx.url.clone(),
        client_id: pbx.client_id.clone(),
        client_secret: pbx.client_secret.clone(),
        recordings: wants_recordings(config),
        // The end is only known when the call has settled.
        callbacks: if waits { pbx.settle + pbx.callback_wait } else { Duration::ZERO },
        snapshot_every: pbx.snapshot_every,
        ca_file: pbx.ca_file.clone(),
        insecure: pbx.insecure,
    }
}

/// Whether some endpoint wants to hear of recordings.
fn wants_recordings(config: &Config) -> bool {
    config.endpoints.iter().any(|endpoint| endpoint.events.contains(&ServedEvent::Recording))
}

/// What delivery to this endpoint wants to know.
pub(super) fn delivery(endpoint: &EndpointConfig, console: Option<SocketAddr>) -> EndpointSettings {
    EndpointSettings {
        forbidden: console.into_iter().collect(),
        name: endpoint.name.clone(),
        url: endpoint.url.clone(),
        delivery: endpoint.delivery.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::app::App;
    use crate::clock::Clock;

    #[test]
    fn all_that_is_wrong_with_named_files_is_told_at_once_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.wasm", ""), ("b.wasm", "no wasm"), ("people.csv", "name\nAlice\n")]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let ini = folder.path().join("callhook.ini");
        let pbx = "[pbx]\nurl = http://127.0.0.1\nclient_id = a\nclient_secret = b\n";
        let hook = "[webhook]\nurl = http://127.0.0.1\nplugins = a, b, template\n";
        let rest = "[plugin.a]\nfile = a.wasm\n[plugin.b]\n\nfile = b.wasm\n[directory]\nfile = people.csv\n";
        fs::write(&ini, format!("{pbx}{hook}{rest}")).unwrap();
        let config = Config::load(&ini).unwrap().config;
        let Err(Faults(faults)) = App::build(config, Clock::system()) else { panic!("no faults") };
        let here = format!("{}/", folder.path().display());
        let told: Vec<String> = faults.iter().map(|fault| fault.replace(&here, "")).collect();
        for (fault, expected) in told.iter().zip([
            "callhook.ini:14: [directory] file: people.csv:1: ",
            "callhook.ini:9: [plugin.a] file: plugin \"a\" (a.wasm): the file is empty",
            "callhook.ini:12: [plugin.b] file: plugin \"b\" (b.wasm): this is not a WebAssembly component",
            "callhook.ini:7: [plugin.template] body: setting `body`: nothing says what to send",
        ]) {
            assert!(fault.starts_with(expected), "{fault}");
        }
        assert_eq!(told.len(), 4, "{told:#?}");
    }

    #[test]
    fn as_much_memory_may_be_set_as_can_be_granted() {
        let plugin = |memory| PluginSpec {
            memory,
            ..plugin_spec(&PluginConfig::new("plain-get", Source::Embedded("plain-get".to_owned())))
        };
        let runtime = Runtime::new().unwrap();
        let most = crate::config::MOST_MEMORY << 20;
        let load = |memory| runtime.load(&plugin(memory), &Arc::default());
        assert!(load(most).is_ok());
        assert!(matches!(load(most + 1).unwrap_err().kind, LoadErrorKind::TooMuchMemory(_)));
    }
}
