//! What a plugin keeps of a chain of calls, from one event or reply to the next.
//!
//! The host hands it to a call and takes it back with what the call changed; if the call fails,
//! it is as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::failure::FailureKind;

/// Keys that one plugin may keep of one chain; see `wit/memory.wit`.
pub const MAX_KEYS: usize = 64;

/// Bytes of one key.
pub const MAX_KEY: usize = 256;

/// Bytes of all keys and values together.
pub const MAX_KEPT: usize = 64 << 10;

/// What one plugin keeps of one chain of calls at one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    kept: BTreeMap<String, Vec<u8>>,
    /// The keys that were written or removed since it was handed out.
    changed: BTreeSet<String>,
}

/// Why something cannot be kept.
#[derive(Debug)]
pub(super) struct KeptTooMuch(FailureKind, String);

impl Memory {
    /// What was kept so far.
    pub fn new(kept: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self { kept: kept.into_iter().collect(), changed: BTreeSet::new() }
    }

    /// What is kept under `key`.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.kept.get(key).map(Vec::as_slice)
    }

    /// All that is kept, by key.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.kept.iter().map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// What was written since it was handed out, by key; nothing where something was removed.
    pub fn changes(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.changed.iter().map(|key| (key.as_str(), self.get(key)))
    }

    /// The same, as if it were just handed out.
    #[must_use]
    pub fn settled(self) -> Self {
        Self { changed: BTreeSet::new(), ..self }
    }

    pub(super) fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), KeptTooMuch> {
        if self.get(&key) == Some(value.as_slice()) {
            return Ok(());
        }
        if key.len() > MAX_KEY {
            let got = key.len();
            return Err(KeptTooMuch::new(format!(
                "used a key of {got} bytes in `memory`, where {MAX_KEY} are allowed; use short keys"
            )));
        }
        if self.kept.len() >= MAX_KEYS && !self.kept.contains_key(&key) {
            return Err(KeptTooMuch::new(format!(
                "wanted more than the {MAX_KEYS} keys that `memory` has; remove what is no longer \
                 needed"
            )));
        }
        let others = self.entries().filter(|(other, _)| *other != key);
        let size = others.map(|(key, value)| key.len() + value.len()).sum::<usize>();
        let size = size + key.len() + value.len();
        if size > MAX_KEPT {
            return Err(KeptTooMuch::new(format!(
                "wanted to keep {size} bytes in `memory`, where {MAX_KEPT} are allowed; keep ids, \
                 not whole replies"
            )));
        }
        self.changed.insert(key.clone());
        self.kept.insert(key, value);
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &str) {
        if let Some((key, _)) = self.kept.remove_entry(key) {
            self.changed.insert(key);
        }
    }
}

impl KeptTooMuch {
    fn new(message: String) -> Self {
        Self(FailureKind::KeptTooMuch, message)
    }

    /// The kind of failure, and in words.
    pub(super) fn fault(&self) -> (FailureKind, String) {
        (self.0.clone(), self.1.clone())
    }
}

impl fmt::Display for KeptTooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for KeptTooMuch {}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(memory: &mut Memory, key: &str, value: &[u8]) -> Result<(), String> {
        memory.set(key.to_owned(), value.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn only_what_changes_is_a_change() {
        let mut memory = Memory::new([("a".to_owned(), vec![1]), ("b".to_owned(), vec![2])]);
        set(&mut memory, "a", &[1]).unwrap();
        memory.remove("none");
        assert_eq!(memory.changes().count(), 0);
        set(&mut memory, "a", &[3]).unwrap();
        memory.remove("b");
        let changes: Vec<_> = memory.changes().collect();
        assert_eq!(changes, [("a", Some([3].as_slice())), ("b", None)]);
        assert_eq!(memory.settled().changes().count(), 0);
    }

    #[test]
    fn every_limit_holds_to_the_byte() {
        let mut memory = Memory::default();
        let key = "k".repeat(MAX_KEY);
        set(&mut memory, &key, &vec![0; MAX_KEPT - MAX_KEY]).unwrap();
        let error = set(&mut memory, "", &[0]).unwrap_err();
        assert!(error.starts_with("wanted to keep 65537 bytes in `memory`"), "{error}");
        set(&mut memory, &key, &[]).unwrap();
        let error = set(&mut memory, &"k".repeat(MAX_KEY + 1), &[]).unwrap_err();
        assert!(error.starts_with("used a key of 257 bytes"), "{error}");
        for n in 1..MAX_KEYS {
            set(&mut memory, &n.to_string(), &[0]).unwrap();
        }
        let error = set(&mut memory, "one more", &[]).unwrap_err();
        assert!(error.starts_with("wanted more than the 64 keys"), "{error}");
        set(&mut memory, "1", &[1]).unwrap();
        memory.remove("1");
        set(&mut memory, "one more", &[]).unwrap();
    }
}
