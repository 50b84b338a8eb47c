//! `[did]` and `[dn]`: what 3CX does not tell about numbers.

use std::collections::BTreeMap;

use super::error::Fault;
use super::ini::Entry;
use super::section::Reader;
use super::value;
use crate::event::PartyKind;

/// Names of DID rules by number.
pub(super) fn dids(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for entry in reader.free() {
        let Some(name) = reader.value(entry) else { continue };
        match value::text(&name) {
            Ok(text) => drop(names.insert(entry.key.clone(), text)),
            Err(_) => reader.fault(entry, name.wrong("the name of the number's DID rule")),
        }
    }
    names
}

/// What internal numbers are.
pub(super) fn dns(reader: &mut Reader<'_>) -> BTreeMap<String, PartyKind> {
    let words = [("ext", 0), ("queue", 1), ("other", 2)];
    let kinds = [PartyKind::Extension, PartyKind::Queue, PartyKind::Other("other".to_owned())];
    let mut known = BTreeMap::new();
    for entry in reader.free() {
        if let Some(fault) = not_one_number(entry) {
            reader.fault(entry, fault);
            continue;
        }
        let Some(value) = reader.value(entry) else { continue };
        match value::one_of("kind of number", &words)(&value) {
            Ok(at) => known.extend(kinds.get(at).map(|kind| (entry.key.clone(), kind.clone()))),
            Err(fault) => reader.fault(entry, fault),
        }
    }
    known
}

/// Here a number stands for itself alone, other than in the filters of a webhook.
fn not_one_number(entry: &Entry) -> Option<Fault> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let range = entry.key.split_once('-').is_some_and(|(from, to)| digits(from) && digits(to));
    (range || entry.key.contains(['*', ','])).then(|| Fault::BadValue {
        value: entry.key.clone(),
        expected: "a plain number such as 800, one on each line".to_owned(),
    })
}
