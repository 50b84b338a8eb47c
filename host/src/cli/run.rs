//! `callhook run`.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context as _;

use super::{ConfigArgument, Failure, log};
use crate::app::{Faults, Reload};
use crate::clock::Clock;
use crate::config::{Config, Loaded, Warning};
use crate::shutdown;

/// The service.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Refuse settings in which others can read a secret.
    #[arg(long)]
    strict: bool,
    /// Let the wall clock stand still at this time (RFC 3339), so that ids can be foretold.
    ///
    /// For tests and recordings; waiting goes on by the machine's clock.
    #[arg(long, value_name = "TIME")]
    wall_clock: Option<jiff::Timestamp>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.config.config;
    let Loaded { config, warnings } = super::load(path, arguments.strict)?;
    let level = log::start(config.log);
    warn(&warnings);
    let clock = arguments.wall_clock.map_or_else(Clock::system, Clock::with_stopped_wall);
    let runtime = super::runtime()?;
    let strict = arguments.strict;
    let ended = runtime.block_on(async {
        // Plugins may take seconds to compile, and who stops or reloads the service does not know.
        let (asked, mut stop) = (shutdown::hang_ups()?, pin!(shutdown::stop()?));
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "Starting.");
        let build = tokio::task::spawn_blocking(move || super::build(config, clock, false));
        let built = tokio::select! {
            built = build => built.context("while loading the plugins")?,
            () = &mut stop => {
                tracing::info!("Stopped before everything was loaded.");
                return Ok(());
            }
        };
        let app = built.map_err(|faults| super::tell(path, &faults.0))?;
        let again = path.clone();
        let reload = Reload {
            asked,
            read: Arc::new(move || read_again(&again, strict)),
            applied: Box::new(move |config| level(config.log.level)),
        };
        Ok(app.reloaded_by(reload).run(stop).await?)
    });
    // What hangs, on a disk that is full, say, has had its time.
    runtime.shutdown_background();
    ended
}

fn read_again(path: &Path, strict: bool) -> Result<Config, Faults> {
    tracing::info!("The settings are read again.");
    let Loaded { config, warnings } = super::read(path, strict).map_err(Faults)?;
    warn(&warnings);
    Ok(config)
}

fn warn(warnings: &[Warning]) {
    for warning in warnings {
        tracing::warn!("{warning}.");
    }
}
