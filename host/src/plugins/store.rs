//! What one call of a plugin has: a store of its own, with limits, and nothing from before.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Engine, Store};

use super::directory::Directory;
use super::engine;
use super::imports::LogBudget;
use super::limits::Limits;
use super::memory::Memory;
use super::output::MAX_OUTPUT;
use super::redact::Secrets;
use super::rehearsal::Rehearsal;
use super::wasi::Wasi;

/// What is the same for every call of one plugin.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    /// The plugin's name in the .ini.
    pub(super) plugin: String,
    /// Its settings: those of the .ini in their order, then the defaults of the others.
    pub(super) settings: Vec<(String, String)>,
    /// What must not appear in anything that people read.
    pub(super) secrets: Secrets,
    /// The people of the company.
    pub(super) directory: Arc<Directory>,
    /// How long a call may take.
    pub(super) deadline: Duration,
    /// Bytes that an instance may have.
    pub(super) memory: u64,
    /// Somebody watches; none in service.
    pub(super) rehearsal: Option<Rehearsal>,
}

/// The host's side of one call.
pub(super) struct State {
    /// Shared by all calls of the plugin.
    pub(super) environment: Arc<Environment>,
    /// For the log: the id of the event, or what else the plugin is asked.
    pub(super) event: String,
    /// Asked whenever the instance wants to grow.
    pub(super) limits: Limits,
    /// Lines that the plugin may still write.
    pub(super) log: LogBudget,
    /// What it keeps of this chain of calls, as the call changes it.
    pub(super) memory: Memory,
    /// Clocks, streams and the like.
    pub(super) wasi: Wasi,
}

/// A fresh store whose clock starts now.
pub(super) fn fresh(
    engine: &Engine,
    environment: &Arc<Environment>,
    event: &str,
    memory: Memory,
) -> Store<State> {
    let deadline = environment.deadline;
    let state = State {
        environment: Arc::clone(environment),
        event: event.to_owned(),
        limits: Limits::new(environment.memory),
        log: LogBudget::default(),
        memory,
        wasi: Wasi::new(deadline, environment.rehearsal.as_ref().map(|it| it.wall)),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limits);
    store.set_epoch_deadline(engine::ticks(deadline));
    // Bounds what a plugin hands over at once, be it its result or an argument of an import.
    store.set_hostcall_fuel(MAX_OUTPUT);
    store
}
