//! `callhook plugin`: for those who write plugins.

mod check;
mod samples;
mod try_out;

use super::Failure;

/// For plugin authors.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
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
    /// List the sample events, or print those of a name as JSON.
    Samples(samples::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.what {
        What::Check(arguments) => check::run(arguments),
        What::Try(arguments) => try_out::run(arguments),
        What::Samples(arguments) => samples::run(arguments),
    }
}

/// Tells what is wrong with what was typed, or with what it names.
fn tell(faults: &[String]) -> Failure {
    for fault in faults {
        eprintln!("error: {fault}");
    }
    Failure::Settings
}
