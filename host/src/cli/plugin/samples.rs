//! `callhook plugin samples`: the sample events.

use super::super::{Failure, say};
use super::tell;
use crate::authoring::named_events;
use crate::event::samples;

/// Sample events.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An event such as `ringing`, or a call such as `answered`, whose events are then all printed.
    name: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(name) = &arguments.name else {
        return Ok(list()?);
    };
    // The name is checked by whoever tells what is near it.
    named_events(name).map_err(|error| tell(&[format!("{error:#}")]))?;
    for sample in samples::named(name) {
        say(sample.json)?;
    }
    Ok(())
}

fn list() -> anyhow::Result<()> {
    let mut call = "";
    for sample in samples::ALL {
        if sample.call != call {
            call = sample.call;
            say(format_args!("{call}\n"))?;
        }
        say(format_args!("  {:<25}{}\n", sample.name, sample.what))?;
    }
    Ok(())
}
