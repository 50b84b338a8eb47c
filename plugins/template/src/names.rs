//! The names in templates: the variables and filters that there are, and the nearest one to a name
//! that is none of them.

use std::collections::HashSet;

use crate::context;
use crate::filters;
use crate::settings::{Fault, Source};

/// What is wrong with the names in a template. `variables` are those that it does not declare by
/// itself; `bare` if it is an expression without braces around it.
pub(crate) fn fault(source: Source<'_>, variables: &HashSet<String>, bare: bool) -> Option<Fault> {
    let words = words(source.text, bare);
    let mut unknown: Vec<_> =
        variables.iter().filter_map(|name| unknown_variable(name, &words)).collect();
    unknown.extend(words.iter().filter_map(|word| unknown_filter(*word)));
    let (start, message) = unknown.into_iter().min()?;
    Some(Fault::new(source.setting, format!("{}{message}", place(source.text, start))))
}

/// The one of `known` that `typed` was probably meant to be: few letters differ.
pub(crate) fn nearest<'k>(
    typed: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let allowed = 1 + typed.chars().count() / 4;
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&typed.to_lowercase(), name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Where in a text a byte is, for a message.
pub(crate) fn place(text: &str, start: usize) -> String {
    let before = text.get(..start).unwrap_or(text);
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    if text.contains('\n') {
        format!("line {line}, column {column}: ")
    } else {
        format!("column {column}: ")
    }
}

/// That there is no such variable, and where it stands.
fn unknown_variable(name: &str, words: &[Word<'_>]) -> Option<(usize, String)> {
    let (first, rest) = match name.split_once('.') {
        Some((first, rest)) => (first, Some(rest.split('.').next().unwrap_or(rest))),
        None => (name, None),
    };
    let (typed, known) = if context::NAMES.contains(&first) {
        let members = context::members(first)?;
        (rest.filter(|rest| !members.contains(rest))?, members)
    } else if context::FUNCTIONS.contains(&first) {
        return None;
    } else {
        (first, context::NAMES)
    };
    let start = words.iter().find(|word| word.text == typed).map_or(0, |word| word.start);
    let shown = if typed == first { typed.to_owned() } else { format!("{first}.{typed}") };
    let hint = hint(typed, known);
    Some((start, format!("there is no `{shown}`; {hint}")))
}

fn unknown_filter(word: Word<'_>) -> Option<(usize, String)> {
    let known = || filters::OWN.iter().chain(filters::BUILT_IN).copied();
    if !word.is_filter || known().any(|name| name == word.text) {
        return None;
    }
    let all: Vec<_> = known().collect();
    let hint = hint(word.text, &all);
    Some((word.start, format!("there is no filter `{}`; {hint}", word.text)))
}

fn hint(typed: &str, known: &[&str]) -> String {
    match nearest(typed, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are {}", known.join(", ")),
    }
}

/// A name between the braces of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word<'t> {
    text: &'t str,
    /// Its first byte in the template.
    start: usize,
    /// It stands behind a `|`.
    is_filter: bool,
}

/// Where the braces close that nobody has opened around an expression.
pub(crate) fn closing(expression: &str) -> Option<usize> {
    let end = collect(expression, 0, &mut Vec::new());
    (end < expression.len()).then_some(end)
}

/// All names between braces, without what stands in quotes.
fn words(template: &str, bare: bool) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    if bare {
        collect(template, 0, &mut found);
        return found;
    }
    let mut rest = template;
    while let Some(open) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let inside = rest.get(open + 2..).unwrap_or_default();
        let start = template.len() - inside.len();
        let length = collect(inside, start, &mut found);
        rest = inside.get(length..).unwrap_or_default();
    }
    found
}

/// The names up to the closing braces, which are those outside any brackets; returns how far that
/// is.
fn collect<'t>(text: &'t str, start: usize, found: &mut Vec<Word<'t>>) -> usize {
    let mut before = ' ';
    let mut depth = 0_isize;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let at = text.len() - rest.len();
        if depth == 0 && (rest.starts_with("}}") || rest.starts_with("%}")) {
            return at;
        }
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        let length = match character {
            '"' | '\'' => quoted(rest, character),
            _ if is_name(character) => {
                let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                let word = rest.get(..end).unwrap_or_default();
                found.push(Word { text: word, start: start + at, is_filter: before == '|' });
                end
            }
            _ => character.len_utf8(),
        };
        if !character.is_whitespace() {
            before = character;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    text.len()
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// How long the string is that `text` begins with.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
