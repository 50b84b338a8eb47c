//! `[plugin.NAME]`: a component, its limits and its own settings.

use std::path::PathBuf;
use std::time::Duration;

use super::error::{Fault, Place, nearest};
use super::places::Places;
use super::secret::{Secret, sounds_secret};
use super::section::{Reader, Value};
use super::value;
use super::webhook::EndpointConfig;

/// The default plugin.
pub(super) const PLAIN_GET: &str = "plain-get";

/// The plugins that are part of the program and need no file.
pub const EMBEDDED_PLUGINS: &[&str] = &[PLAIN_GET, "plain-post", "template", "bitrix24"];

const DEADLINE: Duration = Duration::from_millis(250);
const MEMORY: u64 = 64 << 20;
/// The most memory that an instance can be granted, in MiB.
pub(crate) const MOST_MEMORY: u64 = 128;

/// A component and how it is run.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginConfig {
    /// Its name in `plugins`.
    pub name: String,
    /// Where its section begins, or, of an embedded one without a section, where it is named;
    /// `None` where there is no .ini.
    pub place: Option<Place>,
    /// Where `file` stands, for messages about it; `None` if it does not.
    pub file_line: Option<usize>,
    /// Where its code is.
    pub source: PluginSource,
    /// What the plugin itself reads, in the order of the file.
    pub settings: Vec<Setting>,
    /// All that came from `${...}` anywhere in the .ini, each once. It is kept out of the plugin's
    /// words, as it sees its settings, the endpoint's address, and what other plugins made.
    pub secrets: Vec<Secret>,
    /// How long one call may take.
    pub deadline: Duration,
    /// How many bytes of memory one instance may have.
    pub memory: u64,
}

/// Where the code of a plugin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginSource {
    /// Within the program, under this name.
    Embedded(String),
    /// In a file, which existed when the .ini was read.
    File(PathBuf),
}

/// One setting of a plugin. What it means, only the plugin knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As written.
    pub key: String,
    /// With its references filled in; never printed, as it may be a secret even if written
    /// literally.
    pub value: Secret,
    /// Where it stands in the .ini, for messages about it; `None` if it does not.
    pub line: Option<usize>,
    /// Some of it came from `${env:...}`, `${file:...}` or `${cred:...}`.
    pub secret: bool,
}

impl PluginConfig {
    /// A plugin without settings, with the usual limits.
    pub fn new(name: &str, source: PluginSource) -> Self {
        Self {
            name: name.to_owned(),
            place: None,
            file_line: None,
            source,
            settings: Vec::new(),
            secrets: Vec::new(),
            deadline: DEADLINE,
            memory: MEMORY,
        }
    }

    /// Where it is said which code it has: `file`, or its section.
    pub fn place_of_code(&self) -> Option<Place> {
        let section = self.place.clone()?;
        Some(match self.file_line {
            None => section,
            line => Place { line, key: Some("file".to_owned()), ..section },
        })
    }

    /// Where a setting stands in the .ini, or where it would if it is missing.
    pub fn place_of(&self, key: &str) -> Option<Place> {
        let section = self.place.clone()?;
        let line = match self.settings.iter().find(|setting| setting.key == key) {
            Some(setting) => Some(setting.line?),
            None => section.line,
        };
        Some(Place { line, key: Some(key.to_owned()), ..section })
    }
}

/// Reads the section of the plugin called `name`.
pub(super) fn read(reader: &mut Reader<'_>, name: &str) -> Option<PluginConfig> {
    const SECOND: Duration = Duration::from_secs(1);
    let source = source(reader, name);
    let deadline = value::duration(SECOND / 1000, SECOND * 60);
    let deadline = reader.or("deadline", DEADLINE, deadline);
    let memory = reader.or("memory", MEMORY, value::mebibytes(1, MOST_MEMORY));
    let mut settings = Vec::new();
    for entry in reader.free() {
        let Some(value) = reader.value(entry) else { continue };
        if sounds_secret(&entry.key) {
            reader.warn_of_readable_secret(&entry.key);
        } else if entry.value.starts_with("https://") || entry.value.starts_with("http://") {
            reader.warn_of_readable_address(&entry.key);
        }
        settings.push(Setting {
            key: entry.key.clone(),
            value: Secret::new(value.text),
            line: Some(value.line),
            secret: value.secret,
        });
    }
    let place = Some(Place {
        file: reader.file.path.to_owned(),
        line: Some(reader.section.line),
        section: Some(reader.section.name.clone()),
        key: None,
    });
    let file_line = reader.section.get("file").map(|entry| entry.line);
    let name = name.to_owned();
    let secrets = Vec::new();
    let source = source?;
    Some(PluginConfig { name, place, file_line, source, settings, secrets, deadline, memory })
}

/// A file, or the embedded plugin that `use` names, or that the section itself is called after.
fn source(reader: &mut Reader<'_>, name: &str) -> Option<PluginSource> {
    let own = reader.section.get("file").is_some();
    if let Some(entry) = reader.section.get("use") {
        reader.out_of_place("file", &format!("use = {}", entry.value), "a component of your own");
        return reader.optional("use", embedded).map(PluginSource::Embedded);
    }
    if EMBEDDED_PLUGINS.contains(&name) && !own {
        return Some(PluginSource::Embedded(name.to_owned()));
    }
    let nearest = nearest(name, EMBEDDED_PLUGINS.iter().copied());
    let known = nearest.unwrap_or_else(|| EMBEDDED_PLUGINS.join(", "));
    let expected = format!("the component's .wasm, or use = {known}");
    reader.required("file", &expected, value::file).map(PluginSource::File)
}

/// The name of an embedded plugin.
fn embedded(value: &Value<'_>) -> Result<String, Fault> {
    if EMBEDDED_PLUGINS.contains(&value.text.as_str()) {
        return Ok(value.text.clone());
    }
    let known = EMBEDDED_PLUGINS.iter().map(|&name| name.to_owned()).collect();
    Err(value::unknown_word(value, &value.text, "embedded plugin", known))
}

/// The name of a plugin in a chain must lead to one. `declared` are those with a section.
pub(super) fn known(name: &str, declared: &[&str]) -> Result<String, Fault> {
    let mut all = EMBEDDED_PLUGINS.iter().chain(declared);
    if all.clone().any(|&plugin| plugin == name) {
        return Ok(name.to_owned());
    }
    let nearest = nearest(name, all.by_ref().copied());
    Err(Fault::UnknownPlugin { name: name.to_owned(), nearest })
}

/// Tells all plugins what must not be seen in their words.
pub(super) fn keep_from_telling(plugins: &mut [PluginConfig], secrets: Vec<Secret>) {
    let mut all: Vec<Secret> = Vec::new();
    for secret in secrets {
        if !secret.expose().is_empty() && !all.contains(&secret) {
            all.push(secret);
        }
    }
    for plugin in plugins {
        plugin.secrets.clone_from(&all);
    }
}

/// Adds the embedded plugins that an endpoint names and that have no section. What is wrong with
/// them is told where they are named first.
pub(super) fn with_embedded(
    places: &Places,
    mut plugins: Vec<PluginConfig>,
    endpoints: &[EndpointConfig],
) -> Vec<PluginConfig> {
    for endpoint in endpoints {
        for name in &endpoint.plugins {
            let embedded = EMBEDDED_PLUGINS.contains(&name.as_str());
            if embedded && !plugins.iter().any(|plugin| plugin.name == *name) {
                let named = places.of("webhook", &endpoint.name, "plugins");
                let section = Some(format!("plugin.{name}"));
                let place = Some(Place { section, key: None, ..named });
                let source = PluginSource::Embedded(name.clone());
                plugins.push(PluginConfig { place, ..PluginConfig::new(name, source) });
            }
        }
    }
    plugins
}
