//! Why a plugin cannot be used, found when it is loaded: before any event depends on it.

use std::fmt;
use std::io;

use super::engine::{MAX_MEMORY, MAX_TABLE_ELEMENTS};
use super::failure::PluginFailure;

/// A plugin that cannot be used.
#[derive(Debug)]
pub struct LoadError {
    /// Its name in the .ini.
    pub plugin: String,
    /// Where it comes from: a path, or `embedded`.
    pub origin: String,
    /// What is wrong.
    pub kind: LoadErrorKind,
}

/// What is wrong with a plugin.
#[derive(Debug)]
pub enum LoadErrorKind {
    /// The file cannot be read.
    Unreadable(io::Error),
    /// No plugin of this name is embedded.
    NotEmbedded(String),
    /// A WebAssembly module, which is only part of a component.
    CoreModule,
    /// Machine code of some engine, which is never trusted.
    Precompiled,
    /// Nothing at all.
    Empty,
    /// WebAssembly in its text form.
    TextForm,
    /// Not WebAssembly at all.
    NotWasm,
    /// It wants to begin with more memory or larger tables than there are.
    TooLarge(String),
    /// It calls itself a component, but the engine rejects it.
    Invalid(String),
    /// It imports something that plugins do not get.
    ForeignImport(String),
    /// It imports something of the package that is newer than this version.
    TooNew {
        /// The interface with its version.
        found: String,
        /// The package with the version that is served.
        served: &'static str,
    },
    /// It uses another major version of the package.
    WrongVersion {
        /// The interface with its version.
        found: String,
        /// The package with the version that is served.
        served: &'static str,
    },
    /// It does not export an interface of the world `plugin`.
    MissingExport(&'static str),
    /// An import or export has another type than the package says.
    Mismatch(String),
    /// The .ini grants it more memory than can be granted.
    TooMuchMemory(u64),
    /// Its settings are wrong.
    Settings(Vec<SettingProblem>),
    /// It failed when it was asked who it is or to check its settings.
    Failed(Box<PluginFailure>),
}

/// Something wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// The key in the plugin's section.
    pub setting: String,
    /// What is wrong, in one line that names it.
    pub message: String,
}

impl LoadError {
    /// One line for each thing that is wrong, with the setting that is to blame, if it is one.
    pub fn faults(&self) -> Vec<(Option<&SettingProblem>, String)> {
        match &self.kind {
            LoadErrorKind::Settings(problems) => problems
                .iter()
                .map(|problem| (Some(problem), self.told(&problem.message)))
                .collect(),
            kind => vec![(None, self.told(kind))],
        }
    }

    fn told(&self, what: impl fmt::Display) -> String {
        format!("plugin {:?} ({}): {what}", self.plugin, self.origin)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(&self.kind))
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            LoadErrorKind::Unreadable(error) => Some(error),
            LoadErrorKind::Failed(failure) => Some(failure.as_ref()),
            _ => None,
        }
    }
}

impl fmt::Display for LoadErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "the file cannot be read: {error}"),
            Self::NotEmbedded(known) => write!(
                f,
                "no plugin of this name is built in (there are: {known}); to use a file, add a \
                 [plugin.NAME] section with `file`"
            ),
            Self::CoreModule => f.write_str(
                "this is a core WebAssembly module, not a component; build it for a component \
                 target (Rust: --target wasm32-wasip2) or run `wasm-tools component new` on it",
            ),
            Self::Precompiled => f.write_str(
                "this is machine code made by an engine (.cwasm), which is never loaded; give \
                 the .wasm component that it was made from",
            ),
            Self::Empty => f.write_str("the file is empty"),
            Self::TextForm => f.write_str(
                "this is WebAssembly in text form; run `wasm-tools parse` on it to make a component",
            ),
            Self::NotWasm => f.write_str("this is not a WebAssembly component"),
            Self::TooLarge(why) => write!(
                f,
                "it wants to begin with more than a plugin can have, which is {} MiB of memory and \
                 tables of {MAX_TABLE_ELEMENTS} elements: {why}",
                MAX_MEMORY >> 20
            ),
            Self::Invalid(why) => write!(f, "the component is not valid: {why}"),
            Self::ForeignImport(name) => write!(
                f,
                "it imports {name}, which plugins do not get: plugins do no I/O; they return \
                 requests and the host sends them{}",
                hint(name)
            ),
            Self::TooNew { found, served } => write!(
                f,
                "it needs {found}, and this callhook serves {served}: it needs a newer callhook"
            ),
            Self::WrongVersion { found, served } => write!(
                f,
                "it was built for {found}, but this callhook serves {served}; build it with the \
                 WIT of this version, or update callhook"
            ),
            Self::MissingExport(name) => write!(
                f,
                "it does not export {name}; a plugin implements the world `plugin` or \
                 `plugin-with-replies` of callhook:plugin"
            ),
            Self::Mismatch(why) => write!(f, "it does not fit the WIT of this version: {why}"),
            Self::TooMuchMemory(bytes) => write!(
                f,
                "`memory` is {} MiB, but at most {} MiB can be granted",
                bytes.div_ceil(1 << 20),
                MAX_MEMORY >> 20
            ),
            Self::Settings(problems) => {
                let messages: Vec<_> = problems.iter().map(|it| it.message.as_str()).collect();
                f.write_str(&messages.join("; "))
            }
            Self::Failed(failure) => write!(f, "it failed while being loaded: {failure}"),
        }
    }
}

/// What to do about an import that a toolchain adds by itself.
fn hint(import: &str) -> &'static str {
    if import.starts_with("wasi:http") {
        " (JavaScript on StarlingMonkey: build with `--disable all`)"
    } else if import.starts_with("wasi:sockets") {
        " (Python: build with `--stub-wasi`)"
    } else {
        ""
    }
}
