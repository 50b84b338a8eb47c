//! `callhook plugin check`: all that can be said about a component without giving it an event.

use std::fmt;
use std::path::PathBuf;

use serde_json::json;

use super::super::{Failure, say_if_read};
use super::tell;
use crate::app;
use crate::authoring::{Subject, check_name, section, size};
use crate::config::PluginSource;
use crate::plugins::{Examination, Runtime};

/// Looking at a component.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A component, a plugin that is part of callhook, such as `plain-get`, or one of the .ini.
    #[arg(value_name = "FILE|NAME")]
    what: String,
    /// The settings in which the plugin is named; its own are checked, too.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// What there is to say.
struct Found<'a> {
    subject: &'a Subject,
    seen: Examination,
    /// For the .ini.
    section: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let subject = Subject::find(&arguments.what, arguments.config.as_deref())
        .map_err(|faults| tell(&faults.0))?;
    let runtime = Runtime::new()?.with_cache_of_user();
    let spec = subject.spec();
    let mut seen = runtime.examine(&spec);
    let loaded = !seen.faults.is_empty() || !subject.is_configured();
    if !loaded && let Err(error) = runtime.load(&spec, &subject.directory) {
        seen.faults.extend(app::plugin_faults(&subject.plugin, &error));
    }
    let file = match &subject.plugin.source {
        PluginSource::Embedded(_) => None,
        PluginSource::File(path) => Some(path.display().to_string()),
    };
    let section = seen.description.as_ref().map(|about| {
        // Of a file that nobody has named yet its own name says more than the file's.
        let own = !subject.is_configured() && check_name(&about.name).is_ok();
        section(if own { &about.name } else { &subject.plugin.name }, file.as_deref(), about)
    });
    let found = Found { subject: &subject, seen, section };
    if arguments.json {
        say_if_read(format_args!("{:#}\n", found.as_json()))?;
    } else {
        say_if_read(&found)?;
    }
    if found.seen.faults.is_empty() {
        return Ok(());
    }
    if arguments.json { Err(Failure::Settings) } else { Err(tell(&found.seen.faults)) }
}

/// For people.
impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = &self.seen;
        let origin = match &self.subject.plugin.source {
            PluginSource::Embedded(name) => format!("{name}, part of callhook"),
            PluginSource::File(path) => path.display().to_string(),
        };
        let bytes = seen.size.map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX));
        writeln!(
            f,
            "{:<10} {origin}{}",
            "component",
            bytes.map_or(String::new(), |bytes| { format!(", {}", size(bytes)) })
        )?;
        if let Some(world) = &seen.world {
            writeln!(f, "{:<10} {world}", "world")?;
        }
        if let Some(about) = &seen.description {
            writeln!(f, "{:<10} {} {}: {}", "plugin", about.name, about.version, about.summary)?;
            let replies = if about.replies { "are read" } else { "are not read" };
            writeln!(f, "{:<10} {replies}", "replies")?;
        }
        if let Some(compiled_in) = seen.compiled_in {
            writeln!(f, "{:<10} in {} ms", "compiled", compiled_in.as_millis())?;
        }
        let mut heading = "imports";
        for import in &seen.imports {
            let note = if import.served { import.note } else { "REFUSED" };
            writeln!(f, "{heading:<10} {:<40} {note}", import.name)?;
            heading = "";
        }
        if seen.description.as_ref().is_some_and(|about| about.settings.is_empty()) {
            writeln!(f, "{:<10} none", "settings")?;
        }
        if let Some(section) = &self.section {
            writeln!(f, "\nFor the .ini:\n\n{section}")?;
        }
        for note in &self.subject.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl Found<'_> {
    fn as_json(&self) -> serde_json::Value {
        let seen = &self.seen;
        let about = seen.description.as_ref();
        let settings = about.map(|about| {
            let setting = |setting: &crate::plugins::SettingDoc| {
                json!({
                    "name": setting.name,
                    "help": setting.help,
                    "default": setting.default,
                    "required": setting.required,
                    "secret": setting.secret,
                })
            };
            about.settings.iter().map(setting).collect::<Vec<_>>()
        });
        let imports = seen.imports.iter().map(
            |import| json!({ "name": import.name, "served": import.served, "note": import.note }),
        );
        json!({
            "usable": seen.faults.is_empty(),
            "faults": seen.faults,
            "size": seen.size,
            "world": seen.world,
            "name": about.map(|about| &about.name),
            "version": about.map(|about| &about.version),
            "summary": about.map(|about| &about.summary),
            "reads_replies": about.map(|about| about.replies),
            "compiled_ms": seen.compiled_in.map(|took| took.as_millis()),
            "imports": imports.collect::<Vec<_>>(),
            "exports": seen.exports,
            "settings": settings,
            "section": self.section,
        })
    }
}
