//! `callhook check`: looks for faults before they cost an event.

use std::path::Path;

use super::{ConfigArgument, Failure, log};
use crate::app::Probe;
use crate::clock::Clock;
use crate::config::{Loaded, LogConfig, LogLevel};

/// Looking for faults.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Leave out whether the PBX and the endpoints can be reached.
    #[arg(long)]
    offline: bool,
    /// Refuse settings in which others can read a secret.
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.config.config;
    let Loaded { config, warnings } = super::load(path, arguments.strict)?;
    drop(log::start(LogConfig { level: LogLevel::Warn, ..config.log }));
    for warning in warnings {
        tell(format_args!("warning    {warning}"));
    }
    tell(format_args!("settings   ok: {}", path.display()));
    let runtime = super::runtime()?;
    let built = {
        let _within = runtime.enter();
        super::build(config, Clock::system(), true)
    };
    let app = built.map_err(|faults| super::tell(path, &faults.0))?;
    for (name, plugin) in app.plugins() {
        tell(format_args!("plugin     ok: {name} {}, {}", plugin.version(), plugin.summary()));
    }
    if arguments.offline {
        return Ok(());
    }
    let probes = runtime.block_on(app.probe());
    report(path, &probes)
}

fn report(path: &Path, probes: &[Probe]) -> Result<(), Failure> {
    let mut faults = Vec::new();
    for probe in probes {
        match &probe.found {
            Ok(found) => tell(format_args!("{:<10} ok: {}, {found}", probe.what, probe.name)),
            Err(fault) => faults.push(format!("{} {}: {fault}", probe.what, probe.name)),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(super::tell(path, &faults)) }
}

/// One line. Whether anybody reads it does not change what is found.
fn tell(line: std::fmt::Arguments<'_>) {
    let _unread = super::say(format_args!("{line}\n"));
}
