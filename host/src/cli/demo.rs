//! `callhook demo`.

use std::io::stdout;
use std::path::PathBuf;
use std::time::Duration;

use super::{Failure, log, plugin, say};
use crate::authoring::Subject;
use crate::config::{LogConfig, LogLevel};
use crate::demo::{self, Own, Stage};
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
    /// Play the calls to this plugin: a component, or one of the .ini.
    #[arg(long, value_name = "FILE|NAME")]
    plugin: Option<String>,
    /// A setting of the plugin.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = plugin::setting, requires = "plugin")]
    settings: Vec<(String, String)>,
    /// The settings in which the plugin is named; PBX and endpoints are the demo's.
    #[arg(long, value_name = "FILE", requires = "plugin")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    drop(log::start(LogConfig { level: LogLevel::Warn, ..LogConfig::default() }));
    let colours = log::in_colours(&stdout());
    let Arguments { pace, keep, .. } = *arguments;
    let stage = Stage { pace, colours, keep, say: |text| say(text) };
    let own = arguments.plugin.as_deref().map(|what| own(what, arguments)).transpose()?;
    super::runtime()?.block_on(async {
        demo::run(stage, own, shutdown::signal()?).await.map_err(|failure| match failure {
            demo::Failure::Settings(faults) => plugin::tell(&faults.0),
            demo::Failure::Running(error) => Failure::Running(error),
        })
    })
}

/// The plugin that the calls are played to.
fn own(what: &str, arguments: &Arguments) -> Result<Own, Failure> {
    let mut subject = Subject::find(what, arguments.config.as_deref())
        .map_err(|faults| plugin::tell(&faults.0))?;
    for (key, value) in &arguments.settings {
        subject.set(key, value).map_err(|fault| plugin::tell(&[format!("--set {fault}")]))?;
    }
    Ok(Own { plugin: subject.plugin, directory: subject.directory_file })
}
