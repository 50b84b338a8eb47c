//! `callhook demo`.

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use super::{Failure, log};
use crate::config::{LogConfig, LogLevel};
use crate::demo::{self, Stage};
use crate::shutdown;

/// Playing.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Stay after the play, with the simulated 3CX and the receiver, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// The pause between two things that people do.
    #[arg(long, value_name = "DURATION", default_value = "700ms", value_parser = humantime::parse_duration)]
    pace: Duration,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    drop(log::start(LogConfig { level: LogLevel::Warn, ..LogConfig::default() }));
    let colours = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let stage = Stage { pace: arguments.pace, colours, keep: arguments.keep };
    super::runtime()?.block_on(async { Ok(demo::run(stage, shutdown::signal()?).await?) })
}
