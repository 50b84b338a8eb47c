//! `[did]` and `[dn]`: what 3CX does not tell about numbers.

use std::collections::BTreeMap;

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
        let Some(value) = reader.value(entry) else { continue };
        match value::one_of("kind of number", &words)(&value) {
            Ok(at) => known.extend(kinds.get(at).map(|kind| (entry.key.clone(), kind.clone()))),
            Err(fault) => reader.fault(entry, fault),
        }
    }
    known
}
