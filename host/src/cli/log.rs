//! Where log lines go, and how they look.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Changes the level of what is logged.
pub(super) type Control = Box<dyn Fn(LogLevel) + Send + Sync>;

/// From here on, log lines go to stderr: callhook's from the level of the settings on, those of
/// the libraries from warnings on. A second call changes nothing.
pub(super) fn start(settings: LogConfig) -> Control {
    let builder = fmt().with_env_filter(filter(settings.level)).with_writer(stderr);
    // A line that cannot be written is left out; the library would say so by `eprintln!`, which then
    // panics in the thread that logs.
    let builder = builder.with_target(false).log_internal_errors(false);
    // Only a subscriber that is there already can be in the way, and then lines go to that; only
    // one that is gone cannot be changed.
    match settings.format {
        LogFormat::Text => {
            let builder = builder.with_ansi(stderr().is_terminal()).with_filter_reloading();
            let handle = builder.reload_handle();
            drop(builder.try_init());
            Box::new(move |level| drop(handle.reload(filter(level))))
        }
        LogFormat::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            drop(builder.try_init());
            Box::new(move |level| drop(handle.reload(filter(level))))
        }
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    EnvFilter::new(format!("warn,callhook={level}"))
}
