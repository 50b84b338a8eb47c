//! Callhook turns calls on a 3CX phone system into webhooks.
//!
//! The modules stand in the order in which an event passes through them:
//!
//! ```text
//! 3CX --> source --> calls --> routes --> outbox --> delivery --> CRM
//!         notices    events    requests   durable    HTTP
//!                                 |
//!                              plugins (wasm)
//! ```
//!
//! Each stage knows only the ones before it, and each arrow is a plain value over a bounded
//! channel or a function call. [`event`] is the vocabulary that all share; `app` is the one place
//! that builds the stages. One thing goes back, a reply that the plugin is to judge: delivery hands
//! it to whom `app` named to it, which is the thread that runs the plugins.

#![cfg_attr(
    not(test),
    deny(
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "they panic where nobody reads any longer; `cli` has what does not"
    )
)]

#[macro_use]
mod failpoint;

pub mod app;
pub mod authoring;
pub mod calls;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod delivery;
pub mod demo;
pub mod event;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod hosts;
pub mod metrics;
pub mod outbox;
mod pipeline;
pub mod plugins;
mod quiet;
pub mod redact;
pub mod reply;
pub mod request;
pub mod routes;
mod shutdown;
pub mod source;
pub mod tls;
