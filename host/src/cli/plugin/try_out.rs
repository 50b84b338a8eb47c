//! `callhook plugin try`: a rehearsal.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, value_parser};
use url::Url;

use super::super::Failure;
use super::{setting, tell};
use crate::authoring::{
    Given, Stage, Subject, Trial, commands, heading, json, named_events, read_events,
    sample_events, text,
};

/// Trying.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A component, a plugin that is part of callhook, such as `plain-get`, or one of the .ini.
    #[arg(value_name = "FILE|NAME")]
    what: String,
    #[command(flatten)]
    script: Script,
    /// A setting of the plugin, or its `deadline` or `memory`; goes before the .ini.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// The settings in which the plugin is named, with its endpoint and the directory.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The endpoint's address, from which the plugin starts.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// As one JSON object.
    #[arg(long, conflicts_with = "curl")]
    json: bool,
    /// As commands that send the requests.
    #[arg(long)]
    curl: bool,
}

/// The events, in the order in which they were typed.
#[derive(Debug, Default)]
struct Script(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    Event(PathBuf),
    Sample(String),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let given = arguments.script.events().map_err(|error| tell(&[format!("{error:#}")]))?;
    let mut subject = Subject::find(&arguments.what, arguments.config.as_deref())
        .map_err(|faults| tell(&faults.0))?;
    if let Some(url) = &arguments.url {
        subject.at(url).map_err(|fault| tell(&[fault]))?;
    }
    for (key, value) in &arguments.settings {
        subject.set(key, value).map_err(|fault| tell(&[format!("--set {fault}")]))?;
    }
    let stage = Stage::open(subject).map_err(|faults| tell(&faults.0))?;
    let trials = given.into_iter().map(|given| stage.give(given));
    let failed = if arguments.json {
        let trials: Vec<Trial> = trials.collect();
        println!("{:#}", json(&stage, &trials));
        trials.iter().filter(|trial| trial.failed()).count()
    } else {
        if !arguments.curl {
            print!("{}", heading(&stage));
        }
        let shown = trials.inspect(|trial| {
            let show = if arguments.curl { commands } else { text };
            print!("{}", show(&stage, trial));
        });
        shown.filter(Trial::failed).count()
    };
    match failed {
        0 => Ok(()),
        1 => Err(anyhow::anyhow!("the plugin failed on an event").into()),
        count => Err(anyhow::anyhow!("the plugin failed on {count} events").into()),
    }
}

impl Script {
    fn events(&self) -> anyhow::Result<Vec<Given>> {
        if self.0.is_empty() {
            return Ok(sample_events());
        }
        let events = self.0.iter().map(|step| match step {
            Step::Event(path) => read_events(path),
            Step::Sample(name) => named_events(name),
        });
        Ok(events.collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

/// By hand, because the order between two options matters.
impl clap::Args for Script {
    fn augment_args(command: Command) -> Command {
        command
            .arg(
                Arg::new("event")
                    .long("event")
                    .value_name("FILE")
                    .help("Give it the events of this file; - is standard input")
                    .long_help(
                        "Give it the events of this file; - is standard input.\n\nAn event is JSON \
                         in the form of the samples; what `callhook deliveries show --json` and \
                         `export` write will do as well.",
                    )
                    .action(ArgAction::Append)
                    .value_parser(value_parser!(PathBuf)),
            )
            .arg(
                Arg::new("sample")
                    .long("sample")
                    .value_name("KIND")
                    .help("Give it a sample event such as `ringing`, or a sample call")
                    .action(ArgAction::Append),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Script {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut script = Self::default();
        script.update_from_arg_matches(matches)?;
        Ok(script)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let places = |name| matches.indices_of(name).into_iter().flatten();
        let files = matches.get_many::<PathBuf>("event").into_iter().flatten();
        let samples = matches.get_many::<String>("sample").into_iter().flatten();
        let mut steps: Vec<(usize, Step)> = places("event")
            .zip(files.map(|path| Step::Event(path.clone())))
            .chain(places("sample").zip(samples.map(|name| Step::Sample(name.clone()))))
            .collect();
        steps.sort_by_key(|(place, _)| *place);
        self.0.extend(steps.into_iter().map(|(_, step)| step));
        Ok(())
    }
}
