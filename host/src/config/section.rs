//! Reading one section: each key is asked for with what it must mean, and whatever is wrong goes
//! to the report.

use std::path::{Path, PathBuf};

use super::error::{Fault, Report, nearest};
use super::expand::{Expanded, expand};
use super::exposed::holds_a_secret;
use super::ini::{Entry, Section};
use super::keys::{self, SectionKeys};
use super::secret::sounds_secret;
use super::surroundings::Surroundings;

/// What all sections of a file share.
pub(super) struct File<'a> {
    /// The .ini itself.
    pub(super) path: &'a Path,
    pub(super) around: &'a dyn Surroundings,
    /// The plugins that have a section.
    pub(super) plugins: Vec<&'a str>,
}

/// A value whose references are filled in.
#[derive(Debug)]
pub(super) struct Value<'a> {
    pub(super) text: String,
    /// Some of it came from a secret source.
    pub(super) secret: bool,
    pub(super) line: usize,
    pub(super) file: &'a File<'a>,
}

/// One section on its way from text to meaning.
pub(super) struct Reader<'a> {
    pub(super) section: &'a Section,
    pub(super) keys: &'a SectionKeys,
    pub(super) file: &'a File<'a>,
    pub(super) report: &'a mut Report,
}

impl std::fmt::Debug for File<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

impl File<'_> {
    /// A path of the .ini: relative ones start at the .ini's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder().join(path)
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

impl Value<'_> {
    /// That this value is not what was expected.
    pub(super) fn wrong(&self, expected: impl Into<String>) -> Fault {
        Fault::BadValue { value: self.shown(&self.text), expected: expected.into() }
    }

    /// `part` of the value as it may be shown to people.
    pub(super) fn shown(&self, part: &str) -> String {
        const LONGEST: usize = 80;
        if self.secret {
            return "***".to_owned();
        }
        let mut shown: String = part.chars().take(LONGEST).collect();
        if shown.len() < part.len() {
            shown.push_str("...");
        }
        shown.replace(char::is_control, "?")
    }
}

impl<'a> Reader<'a> {
    /// The meaning of `key`; none if it is not set, or is wrong, which is reported.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        meaning: impl FnOnce(&Value<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        debug_assert!(self.keys.keys.contains(&key), "{key} is missing in the table of keys");
        let entry = self.section.get(key)?;
        let value = self.value(entry)?;
        match meaning(&value) {
            Ok(meaning) => Some(meaning),
            // There is nothing to show, nor to hide.
            Err(_) if value.secret && value.text.is_empty() => {
                let (reference, reason) = (entry.value.clone(), "it is empty".to_owned());
                self.fault(entry, Fault::Reference { reference, reason });
                None
            }
            Err(fault) => {
                self.fault(entry, fault);
                None
            }
        }
    }

    /// The meaning of `key`, or `default`.
    pub(super) fn or<T>(
        &mut self,
        key: &str,
        default: T,
        meaning: impl FnOnce(&Value<'_>) -> Result<T, Fault>,
    ) -> T {
        self.optional(key, meaning).unwrap_or(default)
    }

    /// The meaning of `key`, which must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        expected: &str,
        meaning: impl FnOnce(&Value<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        if self.section.get(key).is_none() {
            let fault = Fault::Missing { expected: expected.to_owned() };
            self.report.fault(Some(self.section.line), Some(&self.section.name), Some(key), fault);
        }
        self.optional(key, meaning)
    }

    /// The value of an entry; none if a reference in it leads nowhere, which is reported.
    pub(super) fn value(&mut self, entry: &Entry) -> Option<Value<'a>> {
        // A plugin may well have settings in quotes, such as pieces of JSON.
        if self.keys.name != keys::PLUGIN.name && quoted(&entry.value) {
            self.warn(&entry.key, "values are taken as written, so the quotes are part of it");
        }
        match expand(&entry.value, self.file.folder(), self.file.around) {
            Ok(Expanded { text, secrets }) => {
                let secret = !secrets.is_empty();
                self.report.secrets.extend(secrets);
                Some(Value { text, secret, line: entry.line, file: self.file })
            }
            Err(fault) => {
                self.fault(entry, discreet(fault, &entry.key));
                None
            }
        }
    }

    /// All entries whose keys are not in the table: the free ones.
    pub(super) fn free(&self) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let known = self.keys.keys;
        self.section.entries.iter().filter(move |entry| !known.contains(&entry.key.as_str()))
    }

    /// Reports every key that means nothing here.
    pub(super) fn refuse_unknown(&mut self) {
        let known = self.keys.keys;
        for entry in self.free() {
            let nearest = nearest(&entry.key, known.iter().copied());
            let known = known.iter().map(|&key| key.to_owned()).collect();
            self.fault(entry, Fault::UnknownKey { nearest, known });
        }
    }

    /// Reports `key`, if it is set, because it means nothing beside `setting`.
    pub(super) fn out_of_place(&mut self, key: &str, setting: &str, fitting: &str) {
        let section = self.section;
        if let Some(entry) = section.get(key) {
            let (setting, fitting) = (setting.to_owned(), fitting.to_owned());
            self.fault(entry, Fault::OutOfPlace { setting, fitting });
        }
    }

    pub(super) fn fault(&mut self, entry: &Entry, fault: Fault) {
        let (section, key) = (Some(self.section.name.as_str()), Some(entry.key.as_str()));
        self.report.fault(Some(entry.line), section, key, fault);
    }

    /// A warning about `key`, on its line if it is set.
    pub(super) fn warn(&mut self, key: &str, text: impl Into<String>) {
        let line = self.section.get(key).map_or(self.section.line, |entry| entry.line);
        self.report.warn(Some(line), Some(&self.section.name), Some(key), text);
    }

    /// Warns if `key` holds a secret in plain text that everybody on the machine can read.
    pub(super) fn warn_of_readable_secret(&mut self, key: &str) {
        let literal = |entry: &&Entry| !entry.value.replace("$${", "").contains("${");
        let section = self.section;
        let set = section.get(key).filter(|entry| !entry.value.is_empty());
        if let Some(entry) = set.filter(literal) {
            self.warn_of_exposure(entry, "");
        }
    }

    /// The same if `key` holds an address that seems to have a secret in it.
    pub(super) fn warn_of_readable_address(&mut self, key: &str) {
        let section = self.section;
        if let Some(entry) = section.get(key).filter(|entry| holds_a_secret(&entry.value)) {
            self.warn_of_exposure(entry, "there seems to be a secret in it, and ");
        }
    }

    fn warn_of_exposure(&mut self, entry: &Entry, why: &str) {
        if self.file.around.readable_by_all(self.file.path) {
            let text = format!(
                "{why}everybody on this machine can read it here; chmod 600 the file, or keep \
                 the secret elsewhere: ${{file:...}}, ${{cred:...}}"
            );
            let key = Some(entry.key.as_str());
            let place = (Some(entry.line), Some(self.section.name.as_str()), key);
            self.report.warn_of_exposure(place, text);
        }
    }
}

/// That a secret is not what was expected. It is not shown, even if it stands in the .ini.
pub(super) fn hidden(expected: impl Into<String>) -> Fault {
    Fault::BadValue { value: "***".to_owned(), expected: expected.into() }
}

/// What looks like a reference in a secret may be part of the secret.
fn discreet(fault: Fault, key: &str) -> Fault {
    match fault {
        Fault::Reference { reference, reason }
            if sounds_secret(key)
                && !["${env:", "${file:", "${cred:"]
                    .iter()
                    .any(|kind| reference.starts_with(kind)) =>
        {
            Fault::Reference { reference: "${...}".to_owned(), reason }
        }
        other => other,
    }
}

fn quoted(value: &str) -> bool {
    let within = |quote| value.strip_prefix(quote).is_some_and(|rest| rest.ends_with(quote));
    within('"') || within('\'')
}
