//! `callhook record`: what the PBX tells, in a file.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigArgument, Failure, log};
use crate::app;
use crate::config::{Config, Loaded, PbxConfig};
use crate::shutdown;

/// Recording.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Where to; a file that is there and not empty is left alone.
    file: PathBuf,
    /// Put other numbers and names in the place of external numbers and all names.
    ///
    /// The same becomes the same. Internal numbers and times stay as they are.
    #[arg(long)]
    mask: bool,
    /// End by itself after this time, such as 30m; else at Ctrl-C or SIGTERM.
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Which PBX, where the settings have more than one: the NAME of its [pbx.NAME].
    #[arg(long, value_name = "NAME")]
    pbx: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.config.config;
    let Loaded { config, warnings } = super::load(path, false)?;
    drop(log::start(config.log));
    for warning in warnings {
        tracing::warn!("{warning}.");
    }
    let pbx =
        choose(&config, arguments.pbx.as_deref()).map_err(|fault| super::tell(path, &[fault]))?;
    super::runtime()?.block_on(async {
        let told = shutdown::signal()?;
        let over = async {
            match arguments.duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        let either = async {
            tokio::select! {
                () = told => {}
                () = over => {}
            }
        };
        Ok(app::record(&config, pbx, &arguments.file, arguments.mask, either).await?)
    })
}

/// The PBX that is meant.
fn choose<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a PbxConfig, String> {
    let names: Vec<&str> = config.pbxs.iter().map(|pbx| pbx.name.as_str()).collect();
    let names = names.join(", ");
    match (name, config.pbxs.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(format!("there is more than one PBX, say which with --pbx: {names}")),
        (Some(name), all) => all
            .iter()
            .find(|pbx| pbx.name == name)
            .ok_or_else(|| format!("there is no PBX {name}; there is: {names}")),
    }
}
