//! Where log lines go, and how they look.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogConfig, LogFormat, LogLevel};

/// From here on, log lines go to stderr: callhook's from the level of the settings on, those of
/// the libraries from warnings on. A second call changes nothing.
pub(super) fn start(settings: LogConfig) {
    let level = match settings.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let filter = EnvFilter::new(format!("warn,callhook={level}"));
    let builder = fmt().with_env_filter(filter).with_writer(stderr).with_target(false);
    let started = match settings.format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // Only a subscriber that is there already can be in the way, and then lines go to that.
    drop(started);
}
