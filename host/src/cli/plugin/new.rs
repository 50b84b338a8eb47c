//! `callhook plugin new`: a project for a new plugin.

use std::path::PathBuf;

use super::super::{Failure, say};
use super::tell;
use crate::authoring::{LANGUAGES, Language, check_name, create, language};

/// Beginning.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plugin's name: small letters, digits and dashes.
    name: String,
    /// The language to write it in.
    #[arg(long, value_name = "LANGUAGE", value_parser = known)]
    lang: &'static Language,
    /// Where to; the plugin's name in this folder if it is not said.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { name, lang, dir } = arguments;
    check_name(name).map_err(|fault| tell(&[fault]))?;
    let folder = dir.clone().unwrap_or_else(|| PathBuf::from(name));
    let files = create(name, lang, &folder).map_err(|error| tell(&[format!("{error:#}")]))?;
    say(format_args!("{} files in {}. Next, there:\n\n", files.len(), folder.display()))?;
    for step in lang.setup() {
        say(format_args!("    {step}\n"))?;
    }
    for step in [
        "sh build.sh",
        "callhook plugin check plugin.wasm",
        "callhook plugin try plugin.wasm --sample ringing",
        "sh test.sh",
        "callhook demo --plugin plugin.wasm",
    ] {
        say(format_args!("    {step}\n"))?;
    }
    say("\nREADME.md says what is what; the lines above `sh build.sh` are needed once.\n")?;
    Ok(())
}

fn known(name: &str) -> Result<&'static Language, String> {
    language(name).ok_or_else(|| {
        let all: Vec<&str> = LANGUAGES.iter().map(|language| language.short).collect();
        format!("known are {}", all.join(", "))
    })
}
