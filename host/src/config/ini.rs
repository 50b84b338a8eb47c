//! What was typed: sections, keys and values, each with its line, and no meaning yet.
//!
//! rust-ini says how a line is to be read, but tells no line numbers, lets a value go on behind a
//! backslash at the end of a line, and knows comments only at the start of a line. So the text is
//! cut into lines and freed of comments here, and each line is read on its own.

use ini::{Ini, ParseOption};

use super::error::{Fault, Report};

/// A whole file, in its order.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) sections: Vec<Section>,
}

/// `[name]` and what stands below it.
#[derive(Debug)]
pub(super) struct Section {
    /// Without the brackets.
    pub(super) name: String,
    /// Where it begins, counted from 1.
    pub(super) line: usize,
    /// In the order of the file; no key twice.
    pub(super) entries: Vec<Entry>,
}

/// `key = value`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// As written, without the white space around it.
    pub(super) value: String,
    /// Counted from 1.
    pub(super) line: usize,
}

impl Section {
    /// The entry of that key.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Reads a whole file. What cannot be understood goes to the report and is left out.
pub(super) fn read(text: &str, report: &mut Report) -> Document {
    let mut document = Document::default();
    let mut current = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, text) in (1..).zip(text.lines()) {
        let text = without_comment(text).trim();
        if text.is_empty() {
            continue;
        }
        let options =
            ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
        let Ok(parsed) = Ini::load_from_str_opt(text, options) else {
            report.fault(Some(line), None, None, Fault::Syntax);
            continue;
        };
        for (section, properties) in &parsed {
            if let Some(name) = section {
                current = Some(document.open(name, line, report));
            }
            for (key, value) in properties {
                let opened = current.and_then(|at: usize| document.sections.get_mut(at));
                match opened {
                    Some(section) => section.add(key, value, line, report),
                    None => report.fault(Some(line), None, Some(key), Fault::OutsideSection),
                }
            }
        }
    }
    document
}

/// The line up to a `;` or `#` at its start or behind white space.
fn without_comment(line: &str) -> &str {
    let mut after_blank = true;
    for (at, ch) in line.char_indices() {
        if after_blank && matches!(ch, ';' | '#') {
            return line.get(..at).unwrap_or(line);
        }
        after_blank = ch.is_whitespace();
    }
    line
}

/// Whether `value`, written behind `key = `, is read as it is.
pub(crate) fn is_value(value: &str) -> bool {
    let line = format!(" {value}");
    value.trim() == value && !value.contains(char::is_control) && without_comment(&line) == line
}

impl Document {
    /// Begins a section; gives its place.
    fn open(&mut self, name: &str, line: usize, report: &mut Report) -> usize {
        if let Some(at) = self.sections.iter().position(|section| section.name == name) {
            let first = self.sections.get(at).map_or(line, |section| section.line);
            report.fault(Some(line), Some(name), None, Fault::DuplicateSection { first });
            return at;
        }
        self.sections.push(Section { name: name.to_owned(), line, entries: Vec::new() });
        self.sections.len() - 1
    }
}

impl Section {
    fn add(&mut self, key: &str, value: &str, line: usize, report: &mut Report) {
        if let Some(first) = self.get(key).map(|entry| entry.line) {
            report.fault(Some(line), Some(&self.name), Some(key), Fault::DuplicateKey { first });
            return;
        }
        self.entries.push(Entry { key: key.to_owned(), value: value.to_owned(), line });
    }
}
