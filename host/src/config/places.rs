//! Where in the .ini things stand, for what is found wrong with them only when they are used.

use std::path::{Path, PathBuf};

use super::error::Place;
use super::ini::Document;

/// The lines of all sections and keys.
#[derive(Clone, Debug, Default)]
pub struct Places {
    file: PathBuf,
    sections: Vec<Lines>,
}

#[derive(Clone, Debug)]
struct Lines {
    section: String,
    line: usize,
    keys: Vec<(String, usize)>,
}

/// Where something stands does not matter to what it means.
impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Places {
    pub(super) fn new(file: &Path, document: &Document) -> Self {
        let sections = document.sections.iter().map(|section| Lines {
            section: section.name.clone(),
            line: section.line,
            keys: section.entries.iter().map(|it| (it.key.clone(), it.line)).collect(),
        });
        Self { file: file.to_owned(), sections: sections.collect() }
    }

    /// The .ini.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Where `key` stands in the section of this kind, such as `webhook`, that goes by the user's
    /// `name`; or where it would stand.
    pub fn of(&self, kind: &str, name: &str, key: &str) -> Place {
        let named = format!("{kind}.{name}");
        let own =
            |lines: &&Lines| lines.section == named || (kind == name && lines.section == kind);
        let lines = self.sections.iter().find(own);
        let section = match lines {
            Some(lines) => lines.section.clone(),
            None if kind == name => kind.to_owned(),
            None => named.clone(),
        };
        let set = lines.and_then(|lines| lines.keys.iter().find(|(known, _)| known == key));
        Place {
            file: self.file.clone(),
            line: set.map(|(_, line)| *line).or(lines.map(|lines| lines.line)),
            section: Some(section),
            key: Some(key.to_owned()),
        }
    }
}
