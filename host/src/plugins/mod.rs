//! Hosting of WebAssembly components: the only place that names wasmtime.
//!
//! A plugin is a component that implements the world `plugin` of `wit/`: a pure function from an
//! event and a draft request to requests. [`Runtime::load`] makes a [`Plugin`] of a file;
//! [`Plugin::transform`] calls it, and [`Plugin::on_reply`] what it exports to judge replies. What
//! is promised:
//!
//! - Every call gets a fresh instance and a store of its own, so nothing is left over from one
//!   event to the next, and a plugin that fails harms its own event only.
//! - A call ends at its deadline, cannot have more memory than its limit, and cannot reach
//!   anything outside: no files, no network, no environment.
//! - What it keeps goes from one call to the next through a [`Memory`], which the caller keeps.
//! - What it returns is checked; an [`Outcome::Send`] holds requests that can be sent as they are.
//! - A [`PluginFailure`] or a [`LoadError`] says in one line which plugin failed, why, and what to
//!   do.

mod allowance;
mod artefact;
mod bindings;
mod cache;
mod call;
mod directory;
mod engine;
mod examine;
mod failure;
mod gate;
mod imports;
mod library;
mod limits;
mod load_error;
mod memory;
mod output;
mod redact;
mod rehearsal;
mod replies;
mod settings;
mod store;
mod survey;
mod user;
mod wasi;
mod wasi_fixed;
mod wasi_io;

use std::time::Duration;

pub use call::{Outcome, Plugin};
pub use directory::{Directory, DirectoryError, Person};
pub use engine::aside;
pub use examine::{Examination, Import};
pub use failure::{FailureKind, PluginFailure};
pub use library::{Description, PluginSource, PluginSpec, Runtime, fingerprint};
pub use load_error::{LoadError, LoadErrorKind, SettingProblem};
pub use memory::{MAX_KEPT, MAX_KEY, MAX_KEYS, Memory};
pub use output::{MAX_HEADERS, MAX_OUTPUT, MAX_REQUESTS};
pub use redact::spellings;
pub use rehearsal::{LogLine, Rehearsed};
pub use replies::{Exchange, Verdict};
pub use settings::SettingDoc;

/// How long a call may take where the .ini does not say: ten times what the slowest language
/// needs on a slow machine, and still short beside an HTTP request.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(250);

/// The memory that a call may use where the .ini does not say: enough for an interpreter with a
/// large script.
pub const DEFAULT_MEMORY: u64 = 64 << 20;

/// The components that are part of this program; see `build.rs`.
const EMBEDDED: &[(&str, &[u8])] = &[
    ("plain-get", include_bytes!(concat!(env!("OUT_DIR"), "/plain-get.wasm"))),
    ("plain-post", include_bytes!(concat!(env!("OUT_DIR"), "/plain-post.wasm"))),
    ("template", include_bytes!(concat!(env!("OUT_DIR"), "/template.wasm"))),
    ("bitrix24", include_bytes!(concat!(env!("OUT_DIR"), "/bitrix24.wasm"))),
];

/// The component that is embedded under this name.
pub fn embedded(name: &str) -> Option<&'static [u8]> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The names of all embedded components.
pub fn embedded_names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}
