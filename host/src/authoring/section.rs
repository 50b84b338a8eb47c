//! The section of a plugin in the .ini, with a line about each setting: to be pasted and filled in.

use std::fmt::Write as _;

use crate::plugins::{Description, SettingDoc};

/// The section of a plugin that goes by `name`, from `file` unless it is embedded.
///
/// Settings that have to be filled in are comments, too: whoever forgets one hears of it.
pub fn section(name: &str, file: Option<&str>, description: &Description) -> String {
    let mut text = format!("[plugin.{name}]\n");
    if let Some(file) = file {
        line(&mut text, &format!("file = {file}"));
    }
    for setting in &description.settings {
        line(&mut text, &format!("; {}", about(setting)));
        line(&mut text, &format!("; {} = {}", setting.name, value(setting)));
    }
    text
}

fn line(text: &mut String, line: &str) {
    let written = writeln!(text, "{}", line.replace(char::is_control, " ").trim_end());
    debug_assert!(written.is_ok(), "a text takes everything");
}

fn about(setting: &SettingDoc) -> String {
    let help = &setting.help;
    match &setting.default {
        Some(default) if default.is_empty() => format!("{help} (empty by default)"),
        Some(default) => format!("{help} (default: {default})"),
        None if setting.required => format!("{help} (required)"),
        None => help.clone(),
    }
}

fn value(setting: &SettingDoc) -> String {
    match &setting.default {
        Some(default) => default.replace("${", "$${"),
        None if setting.secret => format!("${{file:{}}}", setting.name),
        None => String::new(),
    }
}
