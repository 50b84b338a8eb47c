//! Settings: from the text of the .ini to a tree that is valid by construction.
//!
//! There are two trees. `ini` holds what was typed: sections, keys and values, each with its
//! line. [`Config`] holds what it means; it is made only if the whole file is without fault, and
//! whatever is found wrong on the way is collected, so that one reading shows all of it.

mod credentials;
mod delivery;
mod error;
mod expand;
mod exposed;
mod filter;
mod ini;
mod keys;
mod numbers;
mod partial;
mod pbx;
mod places;
mod plugin;
mod proxy;
mod secret;
mod section;
mod service;
mod surroundings;
mod titles;
mod value;
mod webhook;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::credentials::is_own_header;
pub use self::delivery::{
    BreakerConfig, ClientCertificate, Credentials, DeliveryConfig, OAuth2, Order,
};
pub use self::error::{ConfigError, Fault, Place, Warning, nearest};
pub use self::filter::{Filter, Pattern};
pub(crate) use self::ini::is_value;
pub use self::keys::{SECTIONS, SectionKeys};
pub use self::partial::Partial;
pub use self::pbx::{PbxConfig, PbxSource};
pub use self::places::Places;
#[cfg(test)]
pub(crate) use self::plugin::MOST_MEMORY;
pub use self::plugin::{EMBEDDED_PLUGINS, PluginConfig, PluginSource, Setting};
pub use self::proxy::Proxy;
pub use self::secret::Secret;
pub use self::service::{LogConfig, LogFormat, LogLevel};
pub(crate) use self::surroundings::read_text;
pub use self::surroundings::{Machine, Surroundings};
pub use self::titles::Titles;
pub use self::webhook::{Dialect, EndpointConfig, ServedEvent};

use self::error::Report;
use self::ini::{Document, Section};
use self::keys::SectionKeys as Keys;
use self::section::{File, Reader};
use crate::event::PartyKind;

/// What a whole .ini means.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The exchanges to watch; at least one, all names different.
    pub pbxs: Vec<PbxConfig>,
    /// Names of DID rules by number, where 3CX does not tell.
    pub dids: BTreeMap<String, String>,
    /// What internal numbers are, where 3CX does not tell.
    pub dns: BTreeMap<String, PartyKind>,
    /// The CSV file of people.
    pub directory: Option<PathBuf>,
    /// Where requests go; at least one, all names different.
    pub endpoints: Vec<EndpointConfig>,
    /// Every plugin that an endpoint names, and those with a section of their own.
    pub plugins: Vec<PluginConfig>,
    /// The wording of titles, where it is not the usual one.
    pub titles: Titles,
    /// The database file.
    pub storage: PathBuf,
    /// How long delivered and dead requests are kept, with their events.
    pub retention: Duration,
    /// Where the console listens; none if it is off.
    pub console: Option<std::net::SocketAddr>,
    /// What is logged and how.
    pub log: LogConfig,
    /// Where all of it stands.
    pub places: Places,
}

/// A file without fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What it means.
    pub config: Config,
    /// What deserves a second thought; to be logged at every start.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Reads the .ini at `path` in the surroundings of this machine.
    pub fn load(path: &Path) -> Result<Loaded, Vec<ConfigError>> {
        Self::parse(&Self::text(path)?, path, &Machine)
    }

    /// The text of the .ini at `path`.
    fn text(path: &Path) -> Result<String, Vec<ConfigError>> {
        let refuse = |line, fault| {
            let place = Place { file: path.to_owned(), line, section: None, key: None };
            vec![ConfigError { place, fault }]
        };
        let bytes =
            read_text(path).map_err(|error| refuse(None, Fault::Unreadable(error.to_string())))?;
        String::from_utf8(bytes).map_err(|error| {
            let sound = error.utf8_error().valid_up_to();
            let newlines = error.as_bytes().iter().take(sound).filter(|&&b| b == b'\n').count();
            refuse(Some(newlines + 1), Fault::NotUtf8)
        })
    }

    /// Reads the text of a .ini that stands, or could stand, at `path`.
    pub fn parse(
        text: &str,
        path: &Path,
        around: &dyn Surroundings,
    ) -> Result<Loaded, Vec<ConfigError>> {
        let (config, report) = Self::read(text, path, around);
        if report.errors.is_empty() {
            return Ok(Loaded { config, warnings: report.warnings });
        }
        Err(report.errors)
    }

    /// What can be understood of the text, and what is wrong with it, by line.
    fn read(text: &str, path: &Path, around: &dyn Surroundings) -> (Self, Report) {
        let mut report = Report { file: path.to_owned(), ..Report::default() };
        let document = ini::read(text, &mut report);
        let sections = document.sections.iter();
        let plugins = sections.filter_map(|section| keys::PLUGIN.own_name(&section.name)).collect();
        let file = File { path, around, plugins };
        let config = Draft { document: &document, file: &file, report: &mut report }.finish();
        report.warnings.sort_by_key(|warning| warning.place.line);
        report.errors.sort_by_key(|error| error.place.line);
        (config, report)
    }

    /// The plugin of that name.
    pub fn plugin(&self, name: &str) -> Option<&PluginConfig> {
        self.plugins.iter().find(|plugin| plugin.name == name)
    }
}

/// A configuration in the making.
struct Draft<'a> {
    document: &'a Document,
    file: &'a File<'a>,
    report: &'a mut Report,
}

impl Draft<'_> {
    /// What can be understood of the file; all of it if nothing is reported.
    fn finish(mut self) -> Config {
        self.refuse_unknown_sections();
        let pbxs = self.all(&keys::PBX, "an exchange to watch", pbx::read);
        self.refuse_rivals(&pbxs);
        let endpoints = self.all(&keys::WEBHOOK, "an address to send to", webhook::read);
        let plugins = self.all(&keys::PLUGIN, "", plugin::read);
        self.warn_of_idle_plugins(&endpoints);
        let places = Places::new(self.file.path, self.document);
        let mut plugins = plugin::with_embedded(&places, plugins, &endpoints);
        plugin::keep_from_telling(&mut plugins, mem::take(&mut self.report.secrets));
        let storage = self.single(&keys::STORAGE, service::storage);
        let (storage, retention) =
            storage.unwrap_or_else(|| (self.file.resolve(service::DATABASE), service::RETENTION));
        Config {
            pbxs,
            dids: self.single(&keys::DID, numbers::dids).unwrap_or_default(),
            dns: self.single(&keys::DN, numbers::dns).unwrap_or_default(),
            directory: self.single(&keys::DIRECTORY, service::directory).flatten(),
            endpoints,
            plugins,
            titles: self.single(&keys::TITLES, titles::read).unwrap_or_default(),
            storage,
            retention,
            console: self.single(&keys::CONSOLE, service::console).unwrap_or(service::CONSOLE),
            log: self.single(&keys::LOG, service::log).unwrap_or_default(),
            places,
        }
    }

    fn refuse_unknown_sections(&mut self) {
        for section in &self.document.sections {
            if !SECTIONS.iter().any(|keys| keys.own_name(&section.name).is_some()) {
                let fault = unknown(&section.name);
                self.report.fault(Some(section.line), Some(&section.name), None, fault);
            }
        }
    }

    /// Two that watch the same exchange as the same client throw each other out for ever.
    fn refuse_rivals(&mut self, pbxs: &[PbxConfig]) {
        let place = |name: &str| {
            let mut sections = self.document.sections.iter();
            sections.find(|section| keys::PBX.own_name(&section.name) == Some(name))
        };
        for (at, pbx) in pbxs.iter().enumerate() {
            let same =
                |other: &&PbxConfig| other.url == pbx.url && other.client_id == pbx.client_id;
            let first = pbxs.iter().take(at).find(same).and_then(|other| place(&other.name));
            let (Some(first), Some(section)) = (first, place(&pbx.name)) else { continue };
            let fault = Fault::SameClient { other: first.name.clone(), line: first.line };
            let line = section.get("client_id").map(|entry| entry.line);
            self.report.fault(line, Some(&section.name), Some("client_id"), fault);
        }
    }

    fn warn_of_idle_plugins(&mut self, endpoints: &[EndpointConfig]) {
        for section in &self.document.sections {
            let Some(name) = keys::PLUGIN.own_name(&section.name) else { continue };
            if !endpoints.iter().any(|endpoint| endpoint.plugins.iter().any(|used| used == name)) {
                let text = "no webhook names this plugin";
                self.report.warn(Some(section.line), Some(&section.name), None, text);
            }
        }
    }

    /// Reads the one section that has no name of its own.
    fn single<T>(&mut self, keys: &Keys, read: impl FnOnce(&mut Reader<'_>) -> T) -> Option<T> {
        let section = self.document.sections.iter().find(|section| section.name == keys.name)?;
        Some(self.read(section, keys, read))
    }

    fn read<T>(
        &mut self,
        section: &Section,
        keys: &Keys,
        read: impl FnOnce(&mut Reader<'_>) -> T,
    ) -> T {
        let mut reader = Reader { section, keys, file: self.file, report: self.report };
        let done = read(&mut reader);
        if !keys.free {
            reader.refuse_unknown();
        }
        done
    }

    /// Reads all sections of a kind, of which there must be one if it is `wanted` for something.
    fn all<T>(
        &mut self,
        keys: &Keys,
        wanted: &str,
        read: impl Fn(&mut Reader<'_>, &str) -> Option<T>,
    ) -> Vec<T> {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut found = Vec::new();
        let document = self.document;
        for section in &document.sections {
            let Some(name) = keys.own_name(&section.name) else { continue };
            if let Some(&first) = names.get(name) {
                let fault = Fault::DuplicateSection { first };
                self.report.fault(Some(section.line), Some(&section.name), None, fault);
            }
            names.insert(name, section.line);
            found.extend(self.read(section, keys, |reader| read(reader, name)));
        }
        if names.is_empty() && !wanted.is_empty() {
            let fault = Fault::Missing { expected: wanted.to_owned() };
            self.report.fault(None, Some(keys.name), None, fault);
        }
        found
    }
}

/// What is wrong with a section that is none of the known ones.
fn unknown(section: &str) -> Fault {
    let (kind, own) = match section.split_once('.') {
        Some((kind, own)) => (kind, Some(own)),
        None => (section, None),
    };
    let Some(meant) = nearest(kind, SECTIONS.iter().map(|keys| keys.name)) else {
        return Fault::UnknownSection { nearest: None };
    };
    let keys = SECTIONS.iter().find(|keys| keys.name == meant);
    let (plain, named) = keys.map_or((true, false), |keys| (keys.plain, keys.named));
    match own {
        Some(_) if named && kind == meant => Fault::BadSectionName,
        Some(own) if named => Fault::UnknownSection { nearest: Some(format!("{meant}.{own}")) },
        None if !plain => Fault::UnknownSection { nearest: Some(format!("{meant}.NAME")) },
        _ => Fault::UnknownSection { nearest: Some(meant) },
    }
}
