//! `callhook plugin`: for those who write plugins.

mod check;
mod new;
mod samples;
mod test;
mod try_out;

use super::{Failure, complain, log};
use crate::config::{LogConfig, LogLevel};

/// For plugin authors.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Begin a plugin: a project that builds with the language's own tools.
    New(new::Arguments),
    /// Look at a component: what it is, what it imports, which settings it takes, whether it can
    /// be used.
    ///
    /// Exit code 2 if it cannot.
    Check(check::Arguments),
    /// Give events to a plugin and show the requests that it makes. Nothing is sent.
    ///
    /// The plugin runs as in the service, except that its clock shows the time of the event and
    /// its random numbers are always the same. Without --event and --sample it gets all sample
    /// events. Exit code 1 if it failed on one.
    Try(try_out::Arguments),
    /// Give the events of cases to a plugin, and hold what it makes of them against what must come.
    ///
    /// A case is a folder with event.json and expect.json, in the form of `try --json`; what
    /// expect.json leaves out may be anything, and `body` may be the JSON itself. Exit code 1 if
    /// one fails.
    Test(test::Arguments),
    /// List the sample events, or print those of a name as JSON.
    Samples(samples::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    drop(log::start(LogConfig { level: LogLevel::Warn, ..LogConfig::default() }));
    match &arguments.what {
        What::New(arguments) => new::run(arguments),
        What::Check(arguments) => check::run(arguments),
        What::Try(arguments) => try_out::run(arguments),
        What::Test(arguments) => test::run(arguments),
        What::Samples(arguments) => samples::run(arguments),
    }
}

/// Tells what is wrong with what was typed, or with what it names.
pub(super) fn tell(faults: &[String]) -> Failure {
    for fault in faults {
        complain(format_args!("error: {fault}"));
    }
    Failure::Settings
}

/// A setting as it is typed.
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
