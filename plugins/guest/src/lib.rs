//! For plugins of callhook that are written in Rust: the contract in `wit/` as types, and what
//! nearly every CRM needs.
//!
//! A plugin is a type that implements [`Plugin`], handed to the host by [`export!`]:
//!
//! ```
//! use callhook_plugin::{CallEvent, Failure, HttpRequest, Outcome, Plugin, Setting, settings};
//!
//! struct Crm;
//!
//! impl Plugin for Crm {
//!     const SUMMARY: &str = "Tells the CRM who calls";
//!
//!     fn settings() -> Vec<Setting> {
//!         vec![Setting::new("source", "what the CRM shows as the origin").or("callhook")]
//!     }
//!
//!     fn transform(event: CallEvent, draft: HttpRequest) -> Result<Outcome, Failure> {
//!         let source = settings::required("source")?;
//!         Ok(draft.with_query([("from", event.caller_id.as_str()), ("via", &source)]).into())
//!     }
//! }
//!
//! callhook_plugin::export!(Crm);
//! ```
//!
//! The crate has to be a `cdylib`, built for `wasm32-wasip2`. Natively it compiles as well, so its
//! unit tests need no WebAssembly: [`testing`] plays the host, [`samples`] has an event of each
//! kind.
//!
//! | module | for |
//! | --- | --- |
//! | [`settings`], [`directory`], [`memory`], [`log`] | what the host offers |
//! | [`HttpRequest`] and [`url`] | addresses, forms, JSON bodies, headers |
//! | [`numbers`] | telephone numbers in the form that a CRM wants |
//! | [`json`] | the event as JSON |
//! | [`reply`], [`Replies`] | plugins that read what the CRM answered |

mod bindings;
mod event;
mod export;
mod host;
pub mod json;
pub mod numbers;
mod plugin;
mod request;
pub mod samples;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod url;

pub use bindings::plugin::callhook::plugin::types::{
    CallEvent, Callback, Did, Direction, Ended, EventKind, Failure, Field, FinishType, Header,
    HttpRequest, OtherEvent, Party, PartyKind, Recording, Ringing, RingingStopped, Side, Started,
    StopReason, Timestamp, TransferType,
};
pub use bindings::plugin::exports::callhook::plugin::about::{Description, Problem, Setting};
pub use bindings::plugin::exports::callhook::plugin::transform::Outcome;
pub use host::{directory, log, memory, settings};
pub use plugin::{Named, Plugin, Replies};

/// What a plugin with [`Replies`] gets and returns.
pub mod reply {
    pub use crate::bindings::replies::exports::callhook::plugin::reply::{
        Exchange, HttpReply, Judgement, Retry, Verdict,
    };
}

/// For [`export!`].
#[doc(hidden)]
pub mod private {
    use crate::bindings::plugin::exports::callhook::plugin::about::Guest;
    pub use crate::bindings::{plugin, replies};
    use crate::{Description, Named, Plugin};

    /// What the host is told about the plugin.
    pub fn describe<T: Plugin + Named>() -> Description {
        <T as Guest>::describe()
    }
}
