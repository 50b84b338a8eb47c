//! `callhook plugin try`: a rehearsal.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, value_parser};
use url::Url;

use super::super::{Failure, say_if_read};
use super::{setting, tell};
use crate::authoring::{
    Stage, Step, Subject, commands, heading, json, named_events, read_replies, read_steps,
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
struct Script(Vec<Typed>);

#[derive(Clone, Debug)]
enum Typed {
    Event(PathBuf),
    Sample(String),
    Reply(PathBuf),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let steps = arguments.script.steps().map_err(|error| tell(&[format!("{error:#}")]))?;
    let mut subject = Subject::find(&arguments.what, arguments.config.as_deref())
        .map_err(|faults| tell(&faults.0))?;
    if let Some(url) = &arguments.url {
        subject.at(url).map_err(|fault| tell(&[fault]))?;
    }
    for (key, value) in &arguments.settings {
        subject.set(key, value).map_err(|fault| tell(&[format!("--set {fault}")]))?;
    }
    let mut stage = Stage::open(subject).map_err(|faults| tell(&faults.0))?;
    if !arguments.json && !arguments.curl {
        say_if_read(heading(&stage))?;
    }
    let mut trials = Vec::new();
    for step in steps {
        let trial = stage.take(step).map_err(|error| tell(&[format!("{error:#}")]))?;
        if arguments.curl {
            say_if_read(commands(&stage, &trial))?;
        } else if !arguments.json {
            say_if_read(text(&stage, &trial))?;
        }
        trials.push(trial);
    }
    if arguments.json {
        say_if_read(format_args!("{:#}\n", json(&stage, &trials)))?;
    }
    match trials.iter().filter(|trial| trial.failed()).count() {
        0 => Ok(()),
        1 => Err(anyhow::anyhow!("the plugin failed once").into()),
        count => Err(anyhow::anyhow!("the plugin failed {count} times").into()),
    }
}

impl Script {
    fn steps(&self) -> anyhow::Result<Vec<Step>> {
        if self.0.is_empty() {
            return Ok(sample_events());
        }
        let steps = self.0.iter().map(|typed| match typed {
            Typed::Event(path) => read_steps(path),
            Typed::Sample(name) => named_events(name),
            Typed::Reply(path) => Ok(read_replies(path)?.into_iter().map(Step::Reply).collect()),
        });
        Ok(steps.collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
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
            .arg(
                Arg::new("reply")
                    .long("reply")
                    .value_name("FILE")
                    .help("Give it this reply to the next of its requests")
                    .long_help(
                        "Give it this reply to the next of its requests for the event before.\n\nA \
                         reply is JSON with status, headers and body; of a delivery as `callhook \
                         deliveries export` writes it the last reply is taken. Requests are \
                         answered in the order in which callhook sends them.",
                    )
                    .action(ArgAction::Append)
                    .value_parser(value_parser!(PathBuf)),
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
        let paths = |name| matches.get_many::<PathBuf>(name).into_iter().flatten().cloned();
        let samples = matches.get_many::<String>("sample").into_iter().flatten().cloned();
        let mut steps: Vec<(usize, Typed)> = places("event")
            .zip(paths("event").map(Typed::Event))
            .chain(places("reply").zip(paths("reply").map(Typed::Reply)))
            .chain(places("sample").zip(samples.map(Typed::Sample)))
            .collect();
        steps.sort_by_key(|(place, _)| *place);
        self.0.extend(steps.into_iter().map(|(_, step)| step));
        Ok(())
    }
}
