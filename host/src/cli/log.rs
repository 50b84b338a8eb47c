//! Where log lines go, and how they look.

use std::env;
use std::ffi::OsStr;
use std::io::{IsTerminal, stderr};

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
            let builder = builder.with_ansi(in_colours(&stderr())).with_filter_reloading();
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

/// Whether what is written there may have colours: somebody looks at it, on a terminal that knows
/// them, and has not asked for none (<https://no-color.org>).
pub(super) fn in_colours(out: &impl IsTerminal) -> bool {
    let (no_color, term) = (env::var_os("NO_COLOR"), env::var_os("TERM"));
    out.is_terminal() && colours_allowed(no_color.as_deref(), term.as_deref())
}

fn colours_allowed(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_no_colours_gets_none() {
        let allowed = |no_color: Option<&str>, term: Option<&str>| {
            colours_allowed(no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(allowed(None, None) && allowed(None, Some("xterm-256color")));
        assert!(allowed(Some(""), None), "an empty NO_COLOR means nothing");
        assert!(!allowed(Some("1"), Some("xterm")));
        assert!(!allowed(None, Some("dumb")));
    }
}
