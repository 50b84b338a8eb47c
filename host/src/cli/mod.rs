//! The command line: what was typed, and the exit code that comes of it.

mod check;
mod convert;
mod deliveries;
mod demo;
mod log;
mod plugin;
mod record;
mod run;

use std::fmt::{self, Display};
use std::io::{self, Write as _, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::app::{self, App, Faults};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Loaded};

/// Turns calls on a 3CX phone system into webhooks, through WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "callhook", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service in the foreground; logs go to stderr.
    Run(run::Arguments),
    /// Look for faults in the settings, the plugins and the ways to PBX and endpoints.
    ///
    /// Sends no event. Exit code 2 if there is a fault. Without --offline it asks the PBX for a
    /// token, and 3CX keeps one per client id: a service that runs with the same id loses its
    /// connection for about a second, and no event.
    Check(check::Arguments),
    /// Print a callhook.ini made of the original's TCXWebAPI.ini.
    ///
    /// What has no counterpart, or has to be filled in, is said in comments and on stderr.
    Convert(convert::Arguments),
    /// Play calls on a simulated 3CX and show the webhooks that arrive; all on this machine.
    Demo(demo::Arguments),
    /// Look at what became of events, send it again or give it up.
    ///
    /// Works while the service runs and while it does not.
    Deliveries(deliveries::Arguments),
    /// Send stored events once more, as today's settings and plugins make requests of them.
    ///
    /// The requests get webhook-ids of their own. Works while the service runs and while it does
    /// not.
    Replay(deliveries::ReplayArguments),
    /// Check and try plugins while writing them.
    Plugin(plugin::Arguments),
    /// Write down what the PBX tells, for tests and bug reports.
    ///
    /// Stop the service meanwhile, or give the recording an API client of its own: 3CX keeps one
    /// token per client.
    Record(record::Arguments),
}

/// Where the settings are.
#[derive(Debug, clap::Args)]
struct ConfigArgument {
    /// The settings.
    #[arg(long, value_name = "FILE", default_value = "callhook.ini")]
    config: PathBuf,
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub enum Failure {
    /// Something is wrong with the settings; it has been told already. Exit code 2.
    Settings,
    /// Something went wrong while running. Exit code 1.
    Running(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Running(error)
    }
}

/// Parses the arguments, does what they say, and gives the exit code: 0 done, 1 failed while
/// running, 2 settings or usage.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Deliveries(arguments) => deliveries::run(&arguments),
        Command::Replay(arguments) => deliveries::replay(&arguments),
        Command::Plugin(arguments) => plugin::run(&arguments),
        Command::Record(arguments) => record::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Settings) => ExitCode::from(2),
        // Whoever read along has seen enough, such as `head`.
        Err(Failure::Running(error)) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Running(error)) => {
            complain(format_args!("callhook: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to stdout. Not `print!`, which panics where nobody reads any longer.
fn say(text: impl Display) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).context(ToStdout)
}

/// The same for a command that goes on where nobody reads any longer: what it finds, and its exit
/// code, do not depend on that.
fn say_if_read(text: impl Display) -> anyhow::Result<()> {
    match say(text) {
        Err(error) if is_closed_pipe(&error) => Ok(()),
        said => said,
    }
}

/// Writes a line to stderr. Not `eprintln!`, which panics where that cannot be written.
fn complain(line: impl Display) {
    let _unheard = writeln!(stderr(), "{line}");
}

/// What was being done when stdout could not be written.
#[derive(Debug)]
struct ToStdout;

impl Display for ToStdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("while writing to stdout")
    }
}

/// Whether nobody reads what is said. Other pipes that break are failures.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    error.is::<ToStdout>() && cause.is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}

/// Reads the settings; tells all that is wrong with them.
fn load(path: &Path, strict: bool) -> Result<Loaded, Failure> {
    read(path, strict).map_err(|faults| tell(path, &faults))
}

/// Reads the settings, or says what is wrong with them. `strict` does not put up with secrets that
/// others can read.
fn read(path: &Path, strict: bool) -> Result<Loaded, Vec<String>> {
    let loaded = Config::load(path).map_err(|errors| lines(&errors))?;
    let exposures = loaded.warnings.iter().filter(|warning| strict && warning.exposure);
    let exposures: Vec<String> = exposures.map(ToString::to_string).collect();
    if exposures.is_empty() { Ok(loaded) } else { Err(exposures) }
}

fn lines(errors: &[ConfigError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// Tells what is wrong with the settings, and that nothing came of them.
fn tell(path: &Path, faults: &[String]) -> Failure {
    for fault in faults {
        complain(format_args!("error: {fault}"));
    }
    let count = faults.len();
    let errors = if count == 1 { "error" } else { "errors" };
    complain(format_args!("callhook: {count} {errors} in {} or what it names", path.display()));
    Failure::Settings
}

/// Loads all that the settings name. The faults are all that there are; if `thorough`, those of what
/// is trusted where no certificate is named, too. Call it within a tokio runtime.
fn build(config: Config, clock: Clock, thorough: bool) -> Result<App, Faults> {
    let mut faults = app::storage_faults(&config);
    faults.extend(app::certificate_faults(&config, thorough));
    match App::build(config, clock) {
        Ok(app) if faults.is_empty() => return Ok(app),
        Ok(_) => {}
        Err(Faults(more)) => faults.extend(more),
    }
    Err(Faults(faults))
}

/// The runtime that all commands share.
fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("while starting the runtime")
}
