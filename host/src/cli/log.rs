//! Where log lines go, and how they look.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
}

/// From here on, log lines go to stderr: callhook's from `level` on, those of the libraries from
/// warnings on. A second call changes nothing.
pub(super) fn start(level: &str, format: Format) {
    let filter = EnvFilter::new(format!("warn,callhook={level}"));
    let builder = fmt().with_env_filter(filter).with_writer(stderr).with_target(false);
    let started = match format {
        Format::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        Format::Json => builder.json().try_init(),
    };
    // Only a subscriber that is there already can be in the way, and then lines go to that.
    drop(started);
}
