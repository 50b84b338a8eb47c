//! Loading: from a file to a plugin that can be called.
//!
//! A component is read, compiled, looked at, linked and asked who it is; then its settings are
//! checked, by the host and by itself. Whatever is wrong is found here and not at the first event.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use super::artefact::Fingerprint;
use super::bindings::{World, WorldPre, about, reply, transform};
use super::cache::{Cache, Compiled};
use super::call::Callable;
use super::directory::Directory;
use super::engine::{self, MAX_CALLS, MAX_MEMORY};
use super::failure::PluginFailure;
use super::gate::Gate;
use super::load_error::{LoadError, LoadErrorKind, SettingProblem};
use super::redact::{Secrets, one_line};
use super::settings::{self, SettingDoc};
use super::store::{Environment, State};
use super::survey::{self, SERVED, Survey};
use super::{Plugin, embedded, embedded_names, user, wasi};

/// How long a plugin may take to say who it is and to check its settings. More than for an event:
/// nobody waits for a call here, and the code may not have been paged in yet.
const LOAD_DEADLINE: Duration = Duration::from_secs(2);

/// Bytes that are kept of each text that a plugin tells about itself.
const MAX_TEXT: usize = 1_024;

/// What the .ini says about a plugin.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    /// Its name in the .ini.
    pub name: String,
    /// Where the component is.
    pub source: PluginSource,
    /// The keys of its section that are not the host's, in their order.
    pub settings: Vec<(String, String)>,
    /// What must not be seen in what it says, beside the settings that it declares secret.
    pub secrets: Vec<String>,
    /// How long one call may take.
    pub deadline: Duration,
    /// Bytes of memory that one call may use; at most 128 MiB.
    pub memory: u64,
}

/// Where a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginSource {
    /// In this program, under this name.
    Embedded(String),
    /// In a file.
    File(PathBuf),
}

/// What a plugin tells about itself, and what can be seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// As the author calls it.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One line.
    pub summary: String,
    /// The keys that it takes in its section of the .ini.
    pub settings: Vec<SettingDoc>,
    /// The interfaces that it imports, with their versions.
    pub imports: Vec<String>,
    /// It exports `reply`.
    pub replies: bool,
    /// The beginning of the component's SHA-256, by which builds are told apart.
    pub hash: String,
    /// How long it took to compile; `None` if that had been done before.
    pub compiled_in: Option<Duration>,
}

/// The engine and all that plugins share. One per process.
pub struct Runtime {
    engine: Engine,
    linker: Linker<State>,
    gate: Arc<Gate>,
    cache: Cache,
}

/// What can be seen of a component without calling it.
struct Seen {
    survey: Survey,
    hash: String,
    compiled_in: Option<Duration>,
}

impl Seen {
    fn of(survey: Survey, compiled: &Compiled) -> Self {
        let (hash, compiled_in) = (compiled.fingerprint.to_string(), compiled.took);
        Self { survey, hash, compiled_in }
    }
}

impl PluginSpec {
    /// An embedded plugin without settings, with the default limits.
    pub fn embedded(name: &str) -> Self {
        Self::new(name, PluginSource::Embedded(name.to_owned()))
    }

    /// A plugin from a file, without settings, with the default limits.
    pub fn file(name: &str, path: impl Into<PathBuf>) -> Self {
        Self::new(name, PluginSource::File(path.into()))
    }

    fn new(name: &str, source: PluginSource) -> Self {
        Self {
            name: name.to_owned(),
            source,
            settings: Vec::new(),
            secrets: Vec::new(),
            deadline: super::DEFAULT_DEADLINE,
            memory: super::DEFAULT_MEMORY,
        }
    }
}

impl Runtime {
    /// Starts the engine. Fails where the machine cannot run one.
    pub fn new() -> anyhow::Result<Self> {
        let engine = engine::start()?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker)
            .and_then(|()| {
                World::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)
            })
            .map_err(anyhow::Error::from)
            .context("while defining what plugins may import")?;
        Ok(Self { engine, linker, gate: Arc::new(Gate::new(MAX_CALLS)), cache: Cache::default() })
    }

    /// The same, and what is compiled is kept in this folder. Where that is not possible, it is
    /// said in the log and nothing is kept.
    #[must_use]
    pub fn with_cache(self, folder: &Path) -> Self {
        Self { cache: Cache::in_folder(folder), ..self }
    }

    /// The same for who has no database: what is compiled is kept in the user's own cache folder,
    /// where there is one.
    #[must_use]
    pub fn with_cache_of_user(self) -> Self {
        match user::caches(|name| env::var_os(name)) {
            Some(caches) => Self { cache: Cache::among(&caches), ..self },
            None => self,
        }
    }

    /// Makes a plugin ready to be called, or says why it cannot be used.
    pub fn load(&self, spec: &PluginSpec, directory: &Arc<Directory>) -> Result<Plugin, LoadError> {
        self.try_load(spec, directory).map_err(|kind| spec.error(kind))
    }

    /// What a plugin tells about itself. Settings are neither given nor checked.
    pub fn inspect(&self, spec: &PluginSpec) -> Result<Description, LoadError> {
        self.link(spec)
            .and_then(|(pre, seen)| self.describe(spec, pre, seen))
            .map(|(_, description)| description)
            .map_err(|kind| spec.error(kind))
    }

    fn try_load(
        &self,
        spec: &PluginSpec,
        directory: &Arc<Directory>,
    ) -> Result<Plugin, LoadErrorKind> {
        let (pre, seen) = self.link(spec)?;
        let (callable, description) = self.describe(spec, pre, seen)?;
        let problems = settings::problems(&description.settings, &spec.settings);
        if !problems.is_empty() {
            return Err(LoadErrorKind::Settings(problems));
        }
        let environment = Environment {
            plugin: spec.name.clone(),
            settings: settings::complete(&description.settings, &spec.settings),
            secrets: settings::secrets(&description.settings, &spec.settings, &spec.secrets),
            directory: Arc::clone(directory),
            deadline: LOAD_DEADLINE.max(spec.deadline),
            memory: spec.memory,
            rehearsal: None,
        };
        let callable = callable.within(environment);
        check_by_itself(&callable)?;
        Ok(Plugin::new(callable.with_deadline(spec.deadline), description))
    }

    /// What compiles and runs.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles a component, or finds what it was compiled to.
    pub(super) fn compile(&self, bytes: &[u8]) -> Result<Compiled, LoadErrorKind> {
        self.cache.compile(&self.engine, bytes).map_err(|error| rejected(&error))
    }

    /// [`Self::inspect`] of what is compiled already.
    pub(super) fn inspect_component(
        &self,
        spec: &PluginSpec,
        compiled: &Compiled,
    ) -> Result<Description, LoadErrorKind> {
        let (pre, survey) = self.link_component(&compiled.component)?;
        let seen = Seen::of(survey, compiled);
        self.describe(spec, pre, seen).map(|(_, description)| description)
    }

    /// From the file to something that can be instantiated.
    fn link(&self, spec: &PluginSpec) -> Result<(WorldPre<State>, Seen), LoadErrorKind> {
        if spec.memory > MAX_MEMORY {
            return Err(LoadErrorKind::TooMuchMemory(spec.memory));
        }
        let bytes = spec.source.read()?;
        survey::check_bytes(&bytes)?;
        let compiled = self.compile(&bytes)?;
        let (pre, survey) = self.link_component(&compiled.component)?;
        Ok((pre, Seen::of(survey, &compiled)))
    }

    fn link_component(
        &self,
        component: &Component,
    ) -> Result<(WorldPre<State>, Survey), LoadErrorKind> {
        let survey = survey::check_component(&self.engine, component)?;
        let pre =
            self.linker.instantiate_pre(component).and_then(WorldPre::new).map_err(|error| {
                match survey::newer(&survey.imports) {
                    Some(found) => LoadErrorKind::TooNew { found: found.clone(), served: SERVED },
                    None => mismatch(&error),
                }
            })?;
        Ok((pre, survey))
    }

    /// Asks the plugin who it is. It does not see its settings yet: only when it has told which of
    /// them are secret can they be kept out of what it writes.
    fn describe(
        &self,
        spec: &PluginSpec,
        pre: WorldPre<State>,
        seen: Seen,
    ) -> Result<(Callable, Description), LoadErrorKind> {
        let environment = Environment {
            plugin: spec.name.clone(),
            settings: Vec::new(),
            secrets: Secrets::default(),
            directory: Arc::default(),
            deadline: LOAD_DEADLINE,
            memory: spec.memory,
            rehearsal: None,
        };
        let transform =
            transform::GuestIndices::new(pre.instance_pre()).map_err(|error| mismatch(&error))?;
        let replies = seen.survey.replies.then(|| reply::GuestIndices::new(pre.instance_pre()));
        let replies = replies.transpose().map_err(|error| mismatch(&error))?;
        let callable = Callable::new(pre, transform, replies, Arc::clone(&self.gate), environment);
        let told = callable.call("(describe)", |world, store| {
            world.callhook_plugin_about().call_describe(store)
        })?;
        let description = describe(told, seen);
        Ok((callable.with_version(&description.version), description))
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl PluginSpec {
    fn error(&self, kind: LoadErrorKind) -> LoadError {
        let origin = match &self.source {
            PluginSource::Embedded(_) => "embedded".to_owned(),
            PluginSource::File(path) => path.display().to_string(),
        };
        LoadError { plugin: self.name.clone(), origin, kind }
    }
}

impl PluginSource {
    /// The bytes of the file.
    pub(super) fn read(&self) -> Result<Vec<u8>, LoadErrorKind> {
        match self {
            Self::Embedded(name) => embedded(name).map(<[u8]>::to_vec).ok_or_else(|| {
                LoadErrorKind::NotEmbedded(embedded_names().collect::<Vec<_>>().join(", "))
            }),
            Self::File(path) => fs::read(path).map_err(LoadErrorKind::Unreadable),
        }
    }
}

/// Why what it imports and exports does not fit.
fn mismatch(error: &wasmtime::Error) -> LoadErrorKind {
    LoadErrorKind::Mismatch(one_line(&format!("{error:#}"), MAX_TEXT))
}

/// Why the engine does not compile it.
fn rejected(error: &wasmtime::Error) -> LoadErrorKind {
    let why = one_line(&format!("{error:#}"), MAX_TEXT);
    // The engine's error has no type. Without the pool, the same is told when it is instantiated.
    let too_large = why.contains("does not fit in pooling allocator requirements");
    if too_large { LoadErrorKind::TooLarge(why) } else { LoadErrorKind::Invalid(why) }
}

/// The [`Description::hash`] of the component in this file, without loading it.
pub fn fingerprint(file: &Path) -> io::Result<String> {
    Ok(Fingerprint::of(&fs::read(file)?).to_string())
}

/// Lets the plugin look at its settings.
fn check_by_itself(callable: &Callable) -> Result<(), LoadErrorKind> {
    let problems =
        callable.call("(check)", |world, store| world.callhook_plugin_about().call_check(store))?;
    if problems.is_empty() {
        return Ok(());
    }
    let secrets = &callable.environment().secrets;
    let told = |problem: &about::Problem| {
        let setting = one_line(&secrets.hide(&problem.setting), MAX_TEXT);
        let message = one_line(&secrets.hide(&problem.message), MAX_TEXT);
        SettingProblem { message: format!("setting `{setting}`: {message}"), setting }
    };
    Err(LoadErrorKind::Settings(problems.iter().map(told).collect()))
}

fn describe(told: about::Description, seen: Seen) -> Description {
    Description {
        name: one_line(&told.name, MAX_TEXT),
        version: one_line(&told.version, MAX_TEXT),
        summary: one_line(&told.summary, MAX_TEXT),
        settings: told.settings.into_iter().map(Into::into).collect(),
        imports: seen.survey.imports,
        replies: seen.survey.replies,
        hash: seen.hash,
        compiled_in: seen.compiled_in,
    }
}

impl From<PluginFailure> for LoadErrorKind {
    fn from(failure: PluginFailure) -> Self {
        Self::Failed(Box::new(failure))
    }
}
