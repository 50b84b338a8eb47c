//! One call of a plugin: a fresh instance, the call, and what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Store;

use super::allowance::Allowance;
use super::bindings::{World, WorldPre, reply, transform, types};
use super::failure::{FailureKind, PluginFailure, own_words};
use super::gate::Gate;
use super::library::Description;
use super::memory::Memory;
use super::output;
use super::redact::one_line;
use super::rehearsal::Rehearsal;
use super::settings::SettingDoc;
use super::store::{self, Environment, State};
use crate::event::CallEvent;
use crate::request::Request;

/// Bytes that are kept of the reason for which an event is skipped.
const MAX_REASON: usize = 1_024;

/// A component that is compiled and linked, with all that a call of it needs.
#[derive(Clone)]
pub(super) struct Callable {
    pre: WorldPre<State>,
    /// Where `transform` is: of what else there is, nothing is looked up for an event.
    transform: transform::GuestIndices,
    /// Where `reply` is, if it is exported.
    pub(super) replies: Option<reply::GuestIndices>,
    gate: Arc<Gate>,
    environment: Arc<Environment>,
    /// For failures; empty until the plugin has told.
    version: String,
}

/// A plugin that can be called, from any thread.
///
/// Calls do not share anything: whatever one of them does, the next one finds the plugin as it
/// was loaded.
pub struct Plugin {
    pub(super) callable: Callable,
    description: Description,
    allowance: Allowance,
}

/// What is wrong with something that was returned: the kind of failure, and in words.
pub(super) type Fault = (FailureKind, String);

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Send these, in this order. Checked: every one of them can be sent. Never empty.
    Send(Vec<Request>),
    /// Nothing is to be sent, for this reason.
    Skip(String),
}

impl Callable {
    /// For calls in `environment`.
    pub(super) fn new(
        pre: WorldPre<State>,
        transform: transform::GuestIndices,
        replies: Option<reply::GuestIndices>,
        gate: Arc<Gate>,
        environment: Environment,
    ) -> Self {
        let (environment, version) = (Arc::new(environment), String::new());
        Self { pre, transform, replies, gate, environment, version }
    }

    /// The same component in another environment.
    pub(super) fn within(self, environment: Environment) -> Self {
        Self { environment: Arc::new(environment), ..self }
    }

    /// The same component and environment with another deadline.
    pub(super) fn with_deadline(self, deadline: Duration) -> Self {
        let environment = Environment { deadline, ..Environment::clone(&self.environment) };
        self.within(environment)
    }

    /// The same, with the version that failures name.
    pub(super) fn with_version(self, version: &str) -> Self {
        Self { version: version.to_owned(), ..self }
    }

    /// Where calls happen.
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Calls an export on a fresh instance. `event` is for the log.
    pub(super) fn call<T>(
        &self,
        event: &str,
        export: impl FnOnce(&World, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, PluginFailure> {
        let export = |store: &mut Store<State>| {
            let world = self.pre.instantiate(&mut *store)?;
            export(&world, store)
        };
        self.call_with(event, &mut Memory::default(), export, |_, value| Ok(value))
    }

    /// Calls `export` on an instance that it makes in a fresh store; what it returned is checked
    /// while the call's state is still there. `memory` changes only if all went well.
    pub(super) fn call_with<T, U>(
        &self,
        event: &str,
        memory: &mut Memory,
        export: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
        check: impl FnOnce(&State, T) -> Result<U, Fault>,
    ) -> Result<U, PluginFailure> {
        let _pass = self.gate.enter();
        let mut store = store::fresh(self.pre.engine(), &self.environment, event, memory.clone());
        let result = export(&mut store);
        let state = store.data();
        self.report(state);
        let value = result.map_err(|error| PluginFailure::trapped(state, &self.version, &error))?;
        let checked = check(state, value)
            .map_err(|fault| PluginFailure::refused(state, &self.version, fault))?;
        *memory = store.into_data().memory;
        Ok(checked)
    }

    /// Calls what the plugin exports to judge replies.
    pub(super) fn judge(
        &self,
        store: &mut Store<State>,
        event: &types::CallEvent,
        exchange: &reply::Exchange,
    ) -> wasmtime::Result<Result<reply::Verdict, types::Failure>> {
        let instance = self.pre.instance_pre().instantiate(&mut *store)?;
        let Some(replies) = &self.replies else { wasmtime::bail!("it does not export `reply`") };
        replies.load(&mut *store, &instance)?.call_on_reply(store, event, exchange)
    }

    /// Tells the operator what the plugin wrote and what of it was left out.
    fn report(&self, state: &State) {
        let plugin = self.environment.plugin.as_str();
        let event = state.event.as_str();
        if let Some(rehearsal) = &self.environment.rehearsal {
            rehearsal.note(state);
        }
        if state.log.dropped > 0 {
            let dropped = state.log.dropped;
            tracing::warn!(plugin, event, dropped, "The plugin logs too much; lines were dropped.");
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            let stderr = self.environment.secrets.hide(&state.wasi.capture.text());
            if !stderr.is_empty() {
                tracing::debug!(plugin, event, stderr, "The plugin wrote to its standard streams.");
            }
        }
    }
}

impl Plugin {
    pub(super) fn new(callable: Callable, description: Description) -> Self {
        let allowance = Allowance::new(callable.environment.deadline);
        Self { callable, description, allowance }
    }

    /// Its name in the .ini.
    pub fn name(&self) -> &str {
        &self.callable.environment.plugin
    }

    /// The version that it gives itself.
    pub fn version(&self) -> &str {
        &self.description.version
    }

    /// One line about itself.
    pub fn summary(&self) -> &str {
        &self.description.summary
    }

    /// The keys that it takes in its section of the .ini.
    pub fn settings(&self) -> &[SettingDoc] {
        &self.description.settings
    }

    /// Whether it imports `memory`, and so may keep something.
    pub fn remembers(&self) -> bool {
        self.description.imports.iter().any(|name| name.starts_with("callhook:plugin/memory@"))
    }

    /// All that it tells about itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The same plugin, watched.
    pub(super) fn rehearsing(&self, rehearsal: Rehearsal) -> Self {
        let environment = Environment::clone(self.callable.environment());
        let environment = Environment { rehearsal: Some(rehearsal), ..environment };
        let callable = self.callable.clone().within(environment);
        Self::new(callable, self.description.clone())
    }

    /// The failure of having made a request for a host that its endpoint does not name.
    pub fn refused_host(&self, message: &str) -> PluginFailure {
        self.not_called(FailureKind::RefusedHost, message)
    }

    /// A failure that did not happen in the plugin.
    pub fn not_called(&self, kind: FailureKind, message: &str) -> PluginFailure {
        PluginFailure {
            plugin: self.name().into(),
            version: self.version().into(),
            kind,
            message: self.callable.environment.secrets.hide(message),
            stderr: String::new(),
            backtrace: Box::default(),
        }
    }

    /// Turns an event into requests. `draft` is where the plugin starts from: a `GET` to the
    /// endpoint's URL, or a request of the plugin before it in a chain.
    ///
    /// Blocks until the plugin has returned or was stopped, and before that while two other calls
    /// are under way; meant for a thread of its own.
    ///
    /// There is nothing in its memory, and what it keeps there is thrown away.
    pub fn transform(&self, event: &CallEvent, draft: &Request) -> Result<Outcome, PluginFailure> {
        self.transform_with(&[], event, draft, &mut Memory::default())
    }

    /// [`Self::transform`], with names and values that say something of the endpoint (the plugin
    /// finds them in the draft's `extra`), and with what it keeps of this chain of calls.
    pub fn transform_with(
        &self,
        hints: &[(&str, &str)],
        event: &CallEvent,
        draft: &Request,
        memory: &mut Memory,
    ) -> Result<Outcome, PluginFailure> {
        let given = types::CallEvent::from(event);
        let draft = with_hints(draft.into(), hints);
        let callable = &self.callable;
        self.unless_overdrawn(|| {
            callable.call_with(
                &event.event_id,
                memory,
                |store| {
                    let instance = callable.pre.instance_pre().instantiate(&mut *store)?;
                    let transform = callable.transform.load(&mut *store, &instance)?;
                    transform.call_transform(store, &given, &draft)
                },
                outcome,
            )
        })
    }

    /// Makes a call, if the failing ones before it have not taken too much time.
    pub(super) fn unless_overdrawn<T>(
        &self,
        call: impl FnOnce() -> Result<T, PluginFailure>,
    ) -> Result<T, PluginFailure> {
        let began = Instant::now();
        let rest = self.allowance.rest(began);
        if !rest.is_zero() {
            let rest = Duration::from_millis(u64::try_from(rest.as_millis()).unwrap_or(u64::MAX));
            let message = format!(
                "is not called for {rest:?}, because its failing calls took more than their share \
                 of the time; mend it, then see `callhook deliveries retry`"
            );
            return Err(self.not_called(FailureKind::Resting, &message));
        }
        let done = call();
        if done.is_err() {
            self.allowance.failed(Instant::now(), began.elapsed());
        }
        done
    }
}

/// The request with more in its `extra`.
pub(super) fn with_hints(
    mut request: types::HttpRequest,
    hints: &[(&str, &str)],
) -> types::HttpRequest {
    let field = |(name, value): &(&str, &str)| types::Field {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    request.extra.extend(hints.iter().map(field));
    request
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("environment", &self.callable.environment)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

/// What the plugin returned, checked.
fn outcome(
    state: &State,
    returned: Result<transform::Outcome, types::Failure>,
) -> Result<Outcome, Fault> {
    match returned {
        Ok(transform::Outcome::Send(requests)) if requests.is_empty() => {
            Ok(Outcome::Skip("the plugin returned no requests".to_owned()))
        }
        Ok(transform::Outcome::Send(requests)) => {
            output::check(requests.into_iter().map(Into::into).collect()).map(Outcome::Send)
        }
        Ok(transform::Outcome::Skip(reason)) => {
            Ok(Outcome::Skip(one_line(&state.environment.secrets.hide(&reason), MAX_REASON)))
        }
        Err(failure) => Err(own_words(state, &failure)),
    }
}
