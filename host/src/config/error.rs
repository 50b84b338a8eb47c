//! What can be wrong with a .ini, and how it is said.
//!
//! One line per fault: where it is (file, line, section, key), what is wrong, what was expected,
//! and the nearest name that would have been right. The values of secrets are never shown.

use std::fmt;
use std::path::PathBuf;

use super::secret::Secret;

/// Where in the settings something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The .ini, as it was named on the command line.
    pub file: PathBuf,
    /// Counted from 1; none if the file as a whole is meant.
    pub line: Option<usize>,
    /// Without the brackets.
    pub section: Option<String>,
    /// The name left of the `=`.
    pub key: Option<String>,
}

/// One fault of a .ini. Nothing starts with a faulty file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub fault: Fault,
}

/// Something that works but deserves a second thought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it is.
    pub place: Place,
    /// What it is, and what to do.
    pub text: String,
    /// Others can read a secret: what `--strict` does not put up with.
    pub exposure: bool,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file could not be read, for this reason.
    Unreadable(String),
    /// The file is not UTF-8.
    NotUtf8,
    /// A line is neither a section, a setting nor a comment.
    Syntax,
    /// A setting stands before the first section.
    OutsideSection,
    /// The key stands twice in its section.
    DuplicateKey {
        /// The line of the first one.
        first: usize,
    },
    /// The section stands twice in the file.
    DuplicateSection {
        /// The line of the first one.
        first: usize,
    },
    /// A section without meaning.
    UnknownSection {
        /// The section that was probably meant.
        nearest: Option<String>,
    },
    /// The name behind the dot has other characters than those of a name.
    BadSectionName,
    /// A key without meaning in this section.
    UnknownKey {
        /// The key that was probably meant.
        nearest: Option<String>,
        /// All keys of the section.
        known: Vec<String>,
    },
    /// Something must be there and is not.
    Missing {
        /// What it is for.
        expected: String,
    },
    /// The value means nothing here.
    BadValue {
        /// As typed; `***` if it came from a secret source.
        value: String,
        /// What would have been right.
        expected: String,
    },
    /// The key means nothing beside another setting.
    OutOfPlace {
        /// The other setting, such as `auth = none`.
        setting: String,
        /// What it would have to be.
        fitting: String,
    },
    /// One word of a list or a template is not known.
    UnknownWord {
        /// What kind of word it is.
        what: &'static str,
        /// The word.
        word: String,
        /// The word that was probably meant.
        nearest: Option<String>,
        /// All words that can stand here.
        known: Vec<String>,
    },
    /// A chain names a plugin that there is not.
    UnknownPlugin {
        /// The name.
        name: String,
        /// The plugin that was probably meant.
        nearest: Option<String>,
    },
    /// A `${...}` that leads nowhere.
    Reference {
        /// As typed, such as `${env:NAME}`.
        reference: String,
        /// Why.
        reason: String,
    },
    /// The value names a file that is not there.
    NoFile(PathBuf),
    /// The value names a folder where a file is needed.
    IsFolder(PathBuf),
    /// Another exchange is watched by the same client there.
    SameClient {
        /// The section of the other one.
        other: String,
        /// Where it begins.
        line: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if let Some(section) = &self.section {
            write!(f, " [{}]", escaped(section))?;
        }
        if let Some(key) = &self.key {
            write!(f, " {}", escaped(key))?;
        }
        if self.section.is_some() || self.key.is_some() { f.write_str(":") } else { Ok(()) }
    }
}

/// What was typed, without what a terminal would obey.
fn escaped(typed: &str) -> String {
    let mut shown = String::with_capacity(typed.len());
    for ch in typed.chars() {
        if ch.is_control() { shown.extend(ch.escape_default()) } else { shown.push(ch) }
    }
    shown
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.fault)
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.text)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Self::NotUtf8 => write!(f, "not UTF-8; save the file as UTF-8"),
            Self::Syntax => write!(f, "expected \"[section]\", \"key = value\" or a comment"),
            Self::OutsideSection => write!(f, "stands before the first [section]"),
            Self::DuplicateKey { first } => write!(f, "already set on line {first}"),
            Self::DuplicateSection { first } => {
                write!(f, "this section already began on line {first}; put its keys there")
            }
            Self::UnknownSection { nearest: Some(name) } => {
                write!(f, "unknown section; did you mean [{}]?", escaped(name))
            }
            Self::UnknownSection { nearest: None } => {
                write!(f, "unknown section; known are {}", bracketed())
            }
            Self::BadSectionName => {
                write!(f, "unknown section; a name has letters, digits, - and _ only")
            }
            Self::UnknownKey { nearest: Some(name), .. } => {
                write!(f, "unknown key; did you mean \"{name}\"?")
            }
            Self::UnknownKey { known, .. } => {
                write!(f, "unknown key; known here are {}", known.join(", "))
            }
            Self::Missing { expected } => write!(f, "missing; expected {expected}"),
            Self::BadValue { value, expected } => write!(f, "expected {expected}, not \"{value}\""),
            Self::OutOfPlace { setting, fitting } => {
                write!(f, "does not go with {setting}, only with {fitting}")
            }
            Self::UnknownWord { what, word, nearest: Some(name), .. } => {
                write!(f, "unknown {what} \"{word}\"; did you mean \"{name}\"?")
            }
            Self::UnknownWord { what, word, known, .. } => {
                write!(f, "unknown {what} \"{word}\"; known are {}", known.join(", "))
            }
            Self::UnknownPlugin { name, nearest: Some(near) } => {
                write!(f, "there is no plugin \"{}\"; did you mean \"{near}\"?", escaped(name))
            }
            Self::UnknownPlugin { name, .. } => {
                let name = escaped(name);
                write!(f, "there is no plugin \"{name}\"; add [plugin.{name}] with its file")
            }
            Self::Reference { reference, reason } => {
                write!(f, "{}: {reason}", escaped(reference))
            }
            Self::NoFile(path) => write!(f, "there is no file \"{}\"", path.display()),
            Self::IsFolder(path) => {
                write!(f, "\"{}\" is a folder; expected a file", path.display())
            }
            Self::SameClient { other, line } => write!(
                f,
                "[{other}] on line {line} is the same client of the same PBX; 3CX keeps one token \
                 per client, so each would throw the other out; give each a client of its own"
            ),
        }
    }
}

/// All sections, as they are written.
fn bracketed() -> String {
    super::keys::section_names().map(|name| format!("[{name}]")).collect::<Vec<_>>().join(", ")
}

/// The one of `known` that `typed` was probably meant to be: few letters differ, whatever the
/// casing.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let lower = typed.to_lowercase();
    let allowed = 1 + typed.chars().count() / 4;
    known
        .map(|name| (strsim::damerau_levenshtein(&lower, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

/// Collects what is found wrong, so that one reading of a file shows all of it, and what must not
/// be shown.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) file: PathBuf,
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<Warning>,
    /// What stood for references.
    pub(super) secrets: Vec<Secret>,
}

impl Report {
    pub(super) fn fault(
        &mut self,
        line: Option<usize>,
        section: Option<&str>,
        key: Option<&str>,
        fault: Fault,
    ) {
        let place = self.place(line, section, key);
        self.errors.push(ConfigError { place, fault });
    }

    pub(super) fn warn(
        &mut self,
        line: Option<usize>,
        section: Option<&str>,
        key: Option<&str>,
        text: impl Into<String>,
    ) {
        let place = self.place(line, section, key);
        self.warnings.push(Warning { place, text: text.into(), exposure: false });
    }

    pub(super) fn warn_of_exposure(
        &mut self,
        (line, section, key): (Option<usize>, Option<&str>, Option<&str>),
        text: impl Into<String>,
    ) {
        let place = self.place(line, section, key);
        self.warnings.push(Warning { place, text: text.into(), exposure: true });
    }

    fn place(&self, line: Option<usize>, section: Option<&str>, key: Option<&str>) -> Place {
        Place {
            file: self.file.clone(),
            line,
            section: section.map(str::to_owned),
            key: key.map(str::to_owned),
        }
    }
}
