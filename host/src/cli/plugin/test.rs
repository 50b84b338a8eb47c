//! `callhook plugin test`: the cases that lie beside a plugin.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use super::super::{Failure, say_if_read};
use super::{setting, tell};
use crate::authoring::{Case, Stage, Subject, Trial, cases};

/// Testing.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A component, a plugin that is part of callhook, such as `plain-get`, or one of the .ini.
    #[arg(value_name = "FILE|NAME")]
    what: String,
    /// Where the cases are: NAME/event.json with NAME/expect.json, and NAME/config.ini if it needs
    /// other settings.
    #[arg(long, value_name = "FOLDER", default_value = "cases")]
    cases: PathBuf,
    /// A setting of the plugin, or its `deadline` or `memory`; goes before the .ini.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// The settings for cases that have none of their own.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write down what comes of cases that have no expect.json yet.
    #[arg(long)]
    write: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let cases = cases(&arguments.cases).map_err(|error| tell(&[format!("{error:#}")]))?;
    let mut failed = 0;
    // Some components take seconds to compile.
    let mut stages = BTreeMap::new();
    for case in &cases {
        let config = case.config().or_else(|| arguments.config.clone());
        let stage = match stages.entry(config) {
            Entry::Occupied(stage) => stage.into_mut(),
            Entry::Vacant(place) => {
                let stage = open(place.key().as_deref(), arguments)?;
                place.insert(stage)
            }
        };
        let differences = try_case(case, stage, arguments.write)?;
        let verdict = if differences.is_empty() { "ok    " } else { "FAILED" };
        say_if_read(format_args!("{verdict}  {}\n", case.name))?;
        failed += usize::from(!differences.is_empty());
        for difference in differences {
            say_if_read(format_args!("        {difference}\n"))?;
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(anyhow::anyhow!("{failed} of {} cases failed", cases.len()).into()),
    }
}

/// The plugin with the settings of a case.
fn open(config: Option<&Path>, arguments: &Arguments) -> Result<Stage, Failure> {
    let mut subject = Subject::find(&arguments.what, config).map_err(|faults| tell(&faults.0))?;
    for (key, value) in &arguments.settings {
        subject.set(key, value).map_err(|fault| tell(&[format!("--set {fault}")]))?;
    }
    Stage::open(subject).map_err(|faults| tell(&faults.0))
}

/// What is wrong with a case.
fn try_case(case: &Case, stage: &mut Stage, write: bool) -> Result<Vec<String>, Failure> {
    let fault = |error: anyhow::Error| tell(&[format!("{error:#}")]);
    stage.clear();
    let steps = case.steps().map_err(fault)?.into_iter();
    let trials: Vec<Trial> =
        steps.map(|step| stage.take(step)).collect::<anyhow::Result<_>>().map_err(fault)?;
    if case.is_open() && write {
        case.record(stage, &trials)?;
        return Ok(Vec::new());
    }
    case.judge(stage, &trials).map_err(fault)
}
