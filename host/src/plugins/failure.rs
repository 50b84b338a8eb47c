//! Why a call of a plugin failed, in one line for the operator and in full for the author.

use std::fmt;
use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::bindings::types::Failure;
use super::engine::{MAX_MEMORY, MAX_STACK, MAX_TABLE_ELEMENTS};
use super::limits::Hit;
use super::memory::KeptTooMuch;
use super::output;
use super::redact::one_line;
use super::store::State;

/// Bytes of a plugin's own words in a failure's message.
const MAX_WORDS: usize = 1_024;

/// Frames of a backtrace that are kept.
const MAX_FRAMES: usize = 20;

/// Bytes of one of them.
const MAX_FRAME: usize = 190;

/// Bytes of what a plugin wrote that are kept with the event. Interpreters tell at the end what
/// went wrong.
const MAX_KEPT_STDERR: usize = 4 << 10;

/// One call that failed. The event it was made for is not lost: it goes to the dead letters with
/// all of this and can be replayed once the plugin is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFailure {
    /// The plugin's name in the .ini.
    pub plugin: Box<str>,
    /// The version that it gives itself; empty if it failed before it told.
    pub version: Box<str>,
    /// What kind of failure, to branch on and to count.
    pub kind: FailureKind,
    /// What happened and what to do, as the rest of a sentence that begins with the plugin.
    pub message: String,
    /// What the plugin wrote to its standard output and error during the call, at most 64 KiB.
    pub stderr: String,
    /// Where in the plugin it happened, innermost function first; empty where nothing trapped.
    pub backtrace: Box<[String]>,
}

/// The kinds of failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The call took longer than it may.
    Deadline {
        /// How long it may take.
        limit: Duration,
    },
    /// The plugin wanted more memory than it may have.
    Memory {
        /// Bytes that it may have.
        limit: u64,
        /// Bytes that it wanted.
        wanted: u64,
    },
    /// The plugin wanted a larger table than it may have.
    Table {
        /// Elements that it may have.
        limit: usize,
        /// Elements that it wanted.
        wanted: usize,
    },
    /// The plugin's call stack is exhausted.
    Stack,
    /// The plugin ended itself in any other way: a panic, an assertion, an exit, a bad access.
    Trap,
    /// The plugin handed over too much.
    OutputTooLarge {
        /// Bytes that it may hand over.
        limit: usize,
    },
    /// The plugin returned too many requests.
    TooManyRequests {
        /// How many it may return.
        limit: usize,
        /// How many it returned.
        got: usize,
    },
    /// A request's method cannot be sent.
    BadMethod,
    /// A request's URL cannot be sent.
    BadUrl,
    /// A request's header cannot be sent or is not the plugin's to set.
    BadHeader,
    /// A request is for a host that its endpoint does not name.
    RefusedHost,
    /// The plugin says that the event does not fit.
    BadMapping,
    /// The plugin says that its settings are wrong.
    BadSettings,
    /// The plugin wanted to keep more in `memory` than it may.
    KeptTooMuch,
    /// The plugin judged a reply in a way that makes no sense.
    BadVerdict,
    /// The follow-ups of follow-ups do not come to an end.
    EndlessFollowUps {
        /// So many may follow on one another.
        limit: u32,
    },
    /// The plugin is not called for a while, because its failing calls took too much time.
    Resting,
    /// Anything else, be it the plugin's word or the engine's.
    Other,
}

impl FailureKind {
    /// A short name, for metrics and for the dead letters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Deadline { .. } => "deadline",
            Self::Memory { .. } => "memory",
            Self::Table { .. } => "table",
            Self::Stack => "stack",
            Self::Trap => "trap",
            Self::OutputTooLarge { .. } => "output-too-large",
            Self::TooManyRequests { .. } => "too-many-requests",
            Self::BadMethod => "bad-method",
            Self::BadUrl => "bad-url",
            Self::BadHeader => "bad-header",
            Self::RefusedHost => "refused-host",
            Self::BadMapping => "bad-mapping",
            Self::BadSettings => "bad-settings",
            Self::KeptTooMuch => "kept-too-much",
            Self::BadVerdict => "bad-verdict",
            Self::EndlessFollowUps { .. } => "endless-follow-ups",
            Self::Resting => "resting",
            Self::Other => "other",
        }
    }
}

/// One line; standard error and backtrace are left to whoever shows the details.
impl fmt::Display for PluginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {:?}", self.plugin)?;
        if !self.version.is_empty() {
            write!(f, " {}", self.version)?;
        }
        write!(f, " {}", self.message)
    }
}

impl std::error::Error for PluginFailure {}

impl PluginFailure {
    /// The plugin returned, but not what it should, or it says itself that it failed.
    pub(super) fn refused(
        state: &State,
        version: &str,
        (kind, message): (FailureKind, String),
    ) -> Self {
        let environment = &state.environment;
        Self {
            plugin: environment.plugin.as_str().into(),
            version: version.into(),
            kind,
            message: environment.secrets.hide(&message),
            stderr: environment.secrets.hide(&state.wasi.capture.text()),
            backtrace: Box::default(),
        }
    }

    /// What helps the author: what the plugin wrote last, and where it was. Several lines, at most
    /// 8 KiB: each failed event keeps it. Empty if there is nothing to tell.
    pub fn details(&self) -> String {
        let stderr = self.stderr.trim_end();
        let from = stderr.ceil_char_boundary(stderr.len().saturating_sub(MAX_KEPT_STDERR));
        let mut details = String::new();
        if let Some(last) = stderr.get(from..).filter(|last| !last.is_empty()) {
            let cut = if from > 0 { "[...]" } else { "" };
            details = format!("The plugin wrote:\n{cut}{last}\n");
        }
        if !self.backtrace.is_empty() {
            details.push_str("Where it was, the innermost function first:\n");
        }
        for frame in &self.backtrace {
            details.push_str(&one_line(frame, MAX_FRAME));
            details.push('\n');
        }
        details.truncate(details.trim_end().len());
        details
    }

    /// The call did not return.
    pub(super) fn trapped(state: &State, version: &str, error: &wasmtime::Error) -> Self {
        let mut failure = Self::refused(state, version, classify(state, error));
        if failure.kind == FailureKind::Trap && !failure.stderr.is_empty() {
            let words = one_line(&failure.stderr, MAX_WORDS);
            failure.message = format!("{}; it wrote: {words}", failure.message);
        }
        failure.backtrace = backtrace(error);
        failure
    }
}

/// What a plugin's own `failure` means. What is hidden is hidden before the words are cut.
pub(super) fn own_words(state: &State, failure: &Failure) -> (FailureKind, String) {
    let (kind, says, words) = match failure {
        Failure::BadMapping(words) => (FailureKind::BadMapping, "cannot map this event", words),
        Failure::BadSettings(words) => {
            (FailureKind::BadSettings, "finds its settings wrong", words)
        }
        Failure::Other(words) => (FailureKind::Other, "failed", words),
    };
    let words = state.environment.secrets.hide(words);
    (kind, format!("{says}: {}", one_line(&words, MAX_WORDS)))
}

/// The most telling cause first: the deadline and the stack are certain; a limit that was hit
/// explains any other trap.
fn classify(state: &State, error: &wasmtime::Error) -> (FailureKind, String) {
    let trap = error.downcast_ref::<Trap>().copied();
    let environment = &state.environment;
    match (trap, state.limits.hit) {
        (Some(Trap::Interrupt), _) => {
            let limit = environment.deadline;
            let message = format!(
                "was stopped after its deadline of {limit:?}; if the work is worth more, raise \
                 `deadline` in [plugin.{}]",
                environment.plugin
            );
            (FailureKind::Deadline { limit }, message)
        }
        (Some(Trap::StackOverflow), _) => {
            let message = format!(
                "exhausted its call stack of {} KiB; look for a recursion without end",
                MAX_STACK >> 10
            );
            (FailureKind::Stack, message)
        }
        (_, Some(Hit::Memory(wanted))) => {
            let limit = environment.memory;
            let message = format!(
                "wanted {} KiB of memory, more than its {} KiB; if it needs them, raise `memory` \
                 in [plugin.{}] (to at most {} MiB)",
                wanted >> 10,
                limit >> 10,
                environment.plugin,
                MAX_MEMORY >> 20
            );
            (FailureKind::Memory { limit, wanted }, message)
        }
        (_, Some(Hit::Table(wanted))) => {
            let limit = MAX_TABLE_ELEMENTS;
            let message = format!(
                "wanted a table of {wanted} elements, more than the {limit} that there can be; \
                 look for functions or references that are added without end"
            );
            (FailureKind::Table { limit, wanted }, message)
        }
        (Some(trap), None) => (FailureKind::Trap, format!("trapped: {}", bare(&trap.to_string()))),
        (None, None) => classify_host_error(error),
    }
}

/// The plugin was stopped by something other than its own code.
fn classify_host_error(error: &wasmtime::Error) -> (FailureKind, String) {
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return (FailureKind::Trap, format!("called exit({code}) instead of returning"));
    }
    if error.downcast_ref::<ResourceTableError>().is_some() {
        return (FailureKind::Other, "holds too many handles or a wrong one".to_owned());
    }
    if let Some(fault) = error.downcast_ref::<KeptTooMuch>() {
        return fault.fault();
    }
    let text = format!("{error:#}");
    // The engine's error has no public type.
    if text.contains("too much data is being copied between the host and the guest") {
        return output::too_large();
    }
    // What is left are pointers to nowhere, text that is none, and the like.
    let text = one_line(&text, MAX_WORDS);
    (FailureKind::Other, format!("does not speak with the host as a component should: {text}"))
}

/// Without the engine's own prefix.
fn bare(text: &str) -> &str {
    text.strip_prefix("wasm trap: ").unwrap_or(text)
}

fn backtrace(error: &wasmtime::Error) -> Box<[String]> {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return Box::default();
    };
    let text = trace.to_string();
    // The first line is a heading; every other line is "number: offset - module!function".
    text.lines().skip(1).take(MAX_FRAMES).map(|line| line.trim().to_owned()).collect()
}
