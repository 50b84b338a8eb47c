//! What an author means by FILE or NAME, and how it is set up.
//!
//! A plugin of the .ini comes with its settings, its limits, the directory, and the endpoint that
//! names it. For a file, and for a plugin that is part of the program, no .ini is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::http::uri::InvalidUri;
use url::Url;

use crate::app::{self, Faults};
use crate::config::{
    Config, ConfigError, Credentials, EMBEDDED_PLUGINS, EndpointConfig, Fault, Loaded, Machine,
    PluginConfig, PluginSource, Secret, Setting, Surroundings as _, nearest,
};
use crate::hosts::{Hosts, Target};
use crate::plugins::{Directory, PluginSpec};

/// The .ini that is looked into where none is named.
const USUAL: &str = "callhook.ini";

/// The longest deadline that the .ini can grant, in seconds.
const LONGEST: u64 = 60;

/// A plugin, and what is around it.
#[derive(Debug)]
pub struct Subject {
    /// The plugin with its settings and limits.
    pub plugin: PluginConfig,
    /// The people of the company.
    pub directory: Arc<Directory>,
    /// Where they stand.
    pub directory_file: Option<PathBuf>,
    /// Where its requests would go.
    pub endpoint: Endpoint,
    configured: bool,
    /// What the author should know.
    pub notes: Vec<String>,
}

/// The endpoint that a plugin works for.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name in the .ini.
    pub name: String,
    /// Where a draft goes.
    pub url: Url,
    /// `classic` or `pickup`.
    pub dialect: &'static str,
    /// Other hosts that requests may go to.
    pub allow_hosts: Vec<String>,
    /// What the host adds to requests for the endpoint's own host.
    pub credentials: Credentials,
}

impl Subject {
    /// Finds what `what` names, in `config` if that is given.
    pub fn find(what: &str, config: Option<&Path>) -> Result<Self, Faults> {
        if looks_like_file(what) {
            return Self::of_file(Path::new(what), config);
        }
        let embedded = EMBEDDED_PLUGINS.contains(&what);
        // A faulty file that nobody named does not keep anybody from a plugin that needs none.
        let usual = Path::new(USUAL);
        let usual = (!embedded && usual.is_file()).then_some(usual);
        let settings = match config.or(usual) {
            None => None,
            Some(path) => Some((path, settings(path, what)?)),
        };
        if let Some((_, settings)) = &settings
            && let Some(found) = Self::of_settings(settings, what)?
        {
            return Ok(found);
        }
        if embedded {
            let source = PluginSource::Embedded(what.to_owned());
            return Ok(Self::alone(PluginConfig::new(what, source)));
        }
        if Path::new(what).is_file() {
            return Self::of_file(Path::new(what), config);
        }
        Err(unknown(what, settings.as_ref().map(|(path, settings)| (*path, settings))))
    }

    /// It was found in a .ini, with its settings.
    pub fn is_configured(&self) -> bool {
        self.configured
    }

    /// What is to be loaded.
    pub fn spec(&self) -> PluginSpec {
        app::plugin_spec(&self.plugin)
    }

    /// Puts another address in the place of the endpoint's.
    pub fn at(&mut self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!(
                "--url: expected an address such as https://crm.example.com/, not {url}"
            ));
        }
        self.endpoint.url = url.clone();
        self.endpoint.url.set_fragment(None);
        Ok(())
    }

    /// Gives a setting, or one of the limits, in the way of the .ini.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let plugin = &mut self.plugin;
        match key {
            "deadline" => {
                let deadline = humantime::parse_duration(value).ok();
                let deadline = deadline.filter(|it| !it.is_zero() && it.as_secs() <= LONGEST);
                plugin.deadline = deadline
                    .ok_or_else(|| format!("deadline: expected 1ms to 60s, not {value:?}"))?;
            }
            "memory" => {
                let memory = parse_size::parse_size(value).ok().filter(|bytes| *bytes > 0);
                plugin.memory = memory
                    .ok_or_else(|| format!("memory: expected a size as 64MiB, not {value:?}"))?;
            }
            "file" => return Err("file: name the file as the command's argument".to_owned()),
            _ => {
                plugin.settings.retain(|known| known.key != key);
                plugin.settings.push(Setting {
                    key: key.to_owned(),
                    value: Secret::new(value),
                    line: None,
                    secret: false,
                });
            }
        }
        Ok(())
    }

    fn alone(plugin: PluginConfig) -> Self {
        Self {
            plugin,
            directory: Arc::default(),
            directory_file: None,
            endpoint: Endpoint::default(),
            configured: false,
            notes: Vec::new(),
        }
    }

    /// The plugin of the .ini with this name, if there is one.
    fn of_settings(settings: &Config, name: &str) -> Result<Option<Self>, Faults> {
        let Some(plugin) = settings.plugin(name) else { return Ok(None) };
        let mut found = Self::alone(plugin.clone());
        found.configured = true;
        found.directory = Arc::new(app::directory(settings)?);
        found.directory_file.clone_from(&settings.directory);
        let names = |endpoint: &&EndpointConfig| endpoint.plugins.iter().any(|it| it == name);
        if let Some(endpoint) = settings.endpoints.iter().find(names) {
            found.endpoint = Endpoint::of(endpoint);
            if let Some(before) = endpoint.plugins.iter().take_while(|it| *it != name).last() {
                found.notes.push(format!(
                    "for endpoint {} it gets what {before} made; here it gets a plain draft",
                    endpoint.name
                ));
            }
        }
        Ok(Some(found))
    }

    /// A file; with its section of the .ini where one names it.
    fn of_file(path: &Path, config: Option<&Path>) -> Result<Self, Faults> {
        let name = path.file_stem().map_or("plugin".into(), |stem| stem.to_string_lossy());
        let file = PluginConfig::new(&name, PluginSource::File(path.to_owned()));
        let Some(config) = config else {
            return Ok(Self::alone(file));
        };
        let settings = settings(config, &name)?;
        let same = |other: &PathBuf| fs::canonicalize(other).ok() == fs::canonicalize(path).ok();
        let section = settings.plugins.iter().find(|plugin| match &plugin.source {
            PluginSource::File(other) => path.exists() && same(other),
            PluginSource::Embedded(_) => false,
        });
        if let Some(section) = section
            && let Some(found) = Self::of_settings(&settings, &section.name)?
        {
            return Ok(found);
        }
        let mut alone = Self::alone(file);
        alone.directory = Arc::new(app::directory(&settings)?);
        alone.directory_file.clone_from(&settings.directory);
        alone.endpoint = settings.endpoints.first().map(Endpoint::of).unwrap_or_default();
        alone.notes.push(format!("no [plugin.NAME] of {} names this file", config.display()));
        Ok(alone)
    }
}

impl Endpoint {
    fn of(endpoint: &EndpointConfig) -> Self {
        Self {
            name: endpoint.name.clone(),
            url: endpoint.url.clone(),
            dialect: endpoint.dialect.name(),
            allow_hosts: endpoint.delivery.allow_hosts.clone(),
            credentials: endpoint.delivery.credentials.clone(),
        }
    }

    /// What a plugin finds in the `extra` of its drafts and requests.
    pub(super) fn hints(&self) -> [(&str, &str); 3] {
        [("endpoint", self.name.as_str()), ("dialect", self.dialect), ("url", self.url.as_str())]
    }

    /// Why a request for this URL would not be sent.
    pub fn refusal(&self, url: &str) -> Option<String> {
        self.judge(url).err()
    }

    /// Whether a request for this URL gets the endpoint's credentials.
    pub fn is_own(&self, url: &str) -> bool {
        self.judge(url).is_ok_and(|target| target.own)
    }

    fn judge(&self, url: &str) -> Result<Target, String> {
        let url = url.parse().map_err(|error: InvalidUri| error.to_string())?;
        let hosts = Hosts::new(&self.url, &self.allow_hosts);
        hosts.map_err(|error| error.to_string())?.admit(&url)
    }
}

/// What stands in the documents.
impl Default for Endpoint {
    #[expect(clippy::expect_used, reason = "the URL is a constant")]
    fn default() -> Self {
        Self {
            name: "webhook".to_owned(),
            url: Url::parse("https://crm.example.com/calls").expect("a URL"),
            dialect: "classic",
            allow_hosts: Vec::new(),
            credentials: Credentials::None,
        }
    }
}

/// A name of the .ini has neither.
fn looks_like_file(what: &str) -> bool {
    let wasm = Path::new(what).extension().is_some_and(|kind| kind.eq_ignore_ascii_case("wasm"));
    wasm || what.contains(['/', '\\'])
}

/// The settings at `path`. Whoever tries a plugin needs no PBX and no endpoint yet.
fn settings(path: &Path, plugin: &str) -> Result<Config, Faults> {
    let errors = match Config::load(path) {
        Ok(Loaded { config, .. }) => return Ok(config),
        Err(errors) => errors,
    };
    let missing = |section: &str| {
        errors.iter().any(|ConfigError { place, fault }| {
            matches!(fault, Fault::Missing { .. })
                && place.line.is_none()
                && place.section.as_deref() == Some(section)
        })
    };
    let (pbx, webhook) = (missing("pbx"), missing("webhook"));
    let text = if pbx || webhook { Machine.read(path).ok() } else { None };
    let Some(mut text) = text else { return Err(faults(&errors)) };
    if pbx {
        text.push_str("\n[pbx]\nurl = http://127.0.0.1\nclient_id = none\nclient_secret = none\n");
    }
    if webhook {
        let declared = text.lines().any(|line| line.trim() == format!("[plugin.{plugin}]"));
        let chain = if declared { plugin } else { "plain-get" };
        let url = Endpoint::default().url;
        text.extend(["\n[webhook]\nurl = ", url.as_str(), "\nplugins = ", chain, "\n"]);
    }
    let parsed = Config::parse(&text, path, &Machine).map(|loaded| loaded.config);
    parsed.map_err(|errors| faults(&errors))
}

fn faults(errors: &[ConfigError]) -> Faults {
    Faults(errors.iter().map(ToString::to_string).collect())
}

fn unknown(what: &str, settings: Option<(&Path, &Config)>) -> Faults {
    let mut known: Vec<&str> = EMBEDDED_PLUGINS.to_vec();
    let own = settings.iter().flat_map(|(_, settings)| &settings.plugins);
    known.extend(own.map(|plugin| plugin.name.as_str()));
    known.sort_unstable();
    known.dedup();
    let all = known.join(", ");
    let known = match (nearest(what, known.iter().copied()), settings) {
        (Some(nearest), _) => format!("did you mean {nearest}?"),
        (None, Some((path, _))) => format!("built in and in {} are: {all}", path.display()),
        (None, None) => {
            format!("built in are: {all}; for one of a .ini say --config, for a file its path")
        }
    };
    Faults(vec![format!("there is no plugin {what:?}; {known}")])
}
