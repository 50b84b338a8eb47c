//! `callhook run`.

use super::{ConfigArgument, Failure, log};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::shutdown;

/// The service.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Let the wall clock stand still at this time (RFC 3339), so that ids can be foretold.
    ///
    /// For tests and recordings; waiting goes on by the machine's clock.
    #[arg(long, value_name = "TIME")]
    wall_clock: Option<jiff::Timestamp>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.config.config;
    let Loaded { config, warnings } = super::load(path)?;
    log::start(config.log);
    for warning in warnings {
        tracing::warn!("{warning}.");
    }
    let clock = arguments.wall_clock.map_or_else(Clock::system, Clock::with_stopped_wall);
    let app = App::build(config, clock).map_err(|faults| super::tell(path, &faults.0))?;
    let runtime = super::runtime()?;
    let ended = runtime.block_on(async { Ok(app.run(shutdown::signal()?).await?) });
    // What hangs, on a disk that is full, say, has had its time.
    runtime.shutdown_background();
    ended
}
