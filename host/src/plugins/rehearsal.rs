//! Rehearsals: calls that an author watches.
//!
//! They are calls as in service, with three differences: clock and random numbers are the same
//! every time, so that the same event gives the same requests; what the plugin logs is kept; and
//! what the call took is measured.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bindings::log::Level;
use super::call::Plugin;
use super::failure::PluginFailure;
use super::store::State;

/// What such a call has beside the usual: a time that stands still, and somebody who watches.
#[derive(Clone, Debug)]
pub(super) struct Rehearsal {
    /// What the clock on the wall shows, since 1970-01-01T00:00:00Z.
    pub(super) wall: Duration,
    seen: Arc<Mutex<Seen>>,
}

/// What was seen of a call.
#[derive(Clone, Debug, Default)]
struct Seen {
    log: Vec<LogLine>,
    log_dropped: u32,
    written: String,
    memory: u64,
}

/// What came of a call, and what it took.
#[derive(Clone, Debug)]
pub struct Rehearsed<T> {
    /// What the call came to.
    pub result: Result<T, PluginFailure>,
    /// What the plugin logged, in order; secrets are left out.
    pub log: Vec<LogLine>,
    /// Lines that were dropped because there were too many.
    pub log_dropped: u32,
    /// What the plugin wrote to its standard output and error.
    pub written: String,
    /// From the fresh instance to the checked result.
    pub took: Duration,
    /// Bytes of memory that the instance had in the end; it never gives any back.
    pub memory: u64,
}

/// A line that a plugin logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// In one line.
    pub message: String,
}

impl Plugin {
    /// Lets `call` call this plugin while its clock shows `wall`, milliseconds since 1970, and
    /// watches it.
    pub fn rehearse<T>(
        &self,
        wall: i64,
        call: impl FnOnce(&Self) -> Result<T, PluginFailure>,
    ) -> Rehearsed<T> {
        let rehearsal = Rehearsal {
            // No PBX has seen a call before 1970.
            wall: Duration::from_millis(u64::try_from(wall).unwrap_or(0)),
            seen: Arc::default(),
        };
        let plugin = self.rehearsing(rehearsal.clone());
        let began = Instant::now();
        let result = call(&plugin);
        let took = began.elapsed();
        let Seen { log, log_dropped, written, memory } = rehearsal.seen().clone();
        Rehearsed { result, log, log_dropped, written, took, memory }
    }
}

impl Rehearsal {
    /// Keeps a line of the plugin's log.
    pub(super) fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.seen().log.push(LogLine { level, message: message.to_owned() });
    }

    /// Notes what is left of a call that is over.
    pub(super) fn note(&self, state: &State) {
        let mut seen = self.seen();
        seen.log_dropped = state.log.dropped;
        seen.written = state.environment.secrets.hide(&state.wasi.capture.text());
        seen.memory = u64::try_from(state.limits.used()).unwrap_or(u64::MAX);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
