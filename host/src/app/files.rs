//! Notices when the files of plugins change.
//!
//! A look from outside (time, size, place on the disk) says when a file is worth reading; whether
//! its contents are others is for the reader to say. Files that are being written are left alone:
//! a change counts when all files have looked the same for a while. So files that are replaced
//! together are noticed together.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Files that looked the same twice at this distance are whole. How long whoever replaces several
/// files may take between two of them, and half of the time until a change is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What a file looks like from outside; all of it changes when it is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    modified: Option<SystemTime>,
    size: u64,
    inode: u64,
}

/// By the plugin's name; `None` where there is no file.
type Looks = BTreeMap<String, Option<Look>>;

/// The files of plugins.
#[derive(Debug, Default)]
pub(super) struct Files {
    paths: BTreeMap<String, PathBuf>,
    /// A moment ago.
    before: Looks,
    /// When they were last read. A file that is not here was not.
    read: Looks,
}

impl Files {
    /// From now on these files, by their plugins' names. All of them count as changed: what they
    /// looked like when somebody else read them is not known.
    pub(super) fn set(&mut self, paths: BTreeMap<String, PathBuf>) {
        *self = Self { paths, ..Self::default() };
    }

    /// Waits until files have changed, and are no longer changing. Each change is told once.
    pub(super) async fn changed(&mut self) -> Vec<String> {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let paths = self.paths.clone();
            // Looking may block, where the files are on another machine.
            let Ok(now) = tokio::task::spawn_blocking(move || look(&paths)).await else { continue };
            let changed = self.settle(now);
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// Whether these files still look as when they were told as changed.
    pub(super) fn are_still(&self, names: &[String]) -> bool {
        let now = look(&self.paths);
        names.iter().all(|name| now.get(name) == self.read.get(name))
    }

    fn settle(&mut self, now: Looks) -> Vec<String> {
        if now != self.before {
            self.before = now;
            return Vec::new();
        }
        let new = |(name, look): &(&String, &Option<Look>)| self.read.get(*name) != Some(*look);
        let changed = now.iter().filter(new).map(|(name, _)| name.clone()).collect();
        self.read = now;
        changed
    }
}

fn look(files: &BTreeMap<String, PathBuf>) -> Looks {
    files.iter().map(|(name, path)| (name.clone(), look_at(path))).collect()
}

fn look_at(path: &Path) -> Option<Look> {
    let found = fs::metadata(path).ok()?;
    Some(Look { modified: found.modified().ok(), size: found.len(), inode: found.ino() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(sizes: &[(&str, u64)]) -> Looks {
        let look = |size| Some(Look { modified: None, size, inode: 1 });
        sizes.iter().map(|(name, size)| ((*name).to_owned(), look(*size))).collect()
    }

    #[test]
    fn a_change_is_told_once_and_when_nothing_changes_any_more() {
        let mut watch = Files::default();
        let mut settle = |sizes: &[(&str, u64)]| watch.settle(looks(sizes)).join(" ");
        assert_eq!(settle(&[("a", 1), ("b", 1)]), "");
        assert_eq!(settle(&[("a", 1), ("b", 1)]), "a b", "at first nothing is known");
        assert_eq!(settle(&[("a", 1), ("b", 1)]), "");
        // One is replaced, and then another, before the first would have been told.
        assert_eq!(settle(&[("a", 2), ("b", 1)]), "");
        assert_eq!(settle(&[("a", 2), ("b", 2)]), "");
        assert_eq!(settle(&[("a", 2), ("b", 3)]), "");
        assert_eq!(settle(&[("a", 2), ("b", 3)]), "a b");
        assert_eq!(settle(&[("a", 2), ("b", 3)]), "");
        assert_eq!(settle(&[("a", 4), ("b", 3)]), "");
        assert_eq!(settle(&[("a", 4), ("b", 3)]), "a");
        // What was undone before it was told did not happen.
        assert_eq!(settle(&[("a", 5), ("b", 3)]), "");
        assert_eq!(settle(&[("a", 4), ("b", 3)]), "");
        assert_eq!(settle(&[("a", 4), ("b", 3)]), "");
    }

    #[test]
    fn a_file_that_is_replaced_or_goes_looks_different() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("crm.wasm");
        assert_eq!(look_at(&path), None);
        fs::write(&path, "1").expect("it is written");
        let first = look_at(&path);
        let other = folder.path().join("other");
        fs::write(&other, "2").expect("it is written");
        fs::rename(&other, &path).expect("it is replaced");
        assert!(first.is_some() && look_at(&path) != first);
    }
}
