//! Where a user keeps caches, as the XDG Base Directory Specification has it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `$XDG_CACHE_HOME`, or `~/.cache`. Paths that are not absolute count for nothing, as specified.
pub(super) fn caches(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| variable(name).map(PathBuf::from).filter(|path| Path::is_absolute(path));
    folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_named_one_or_the_usual_one_or_none() {
        for (named, home, expected) in [
            (Some("/var/cache/me"), Some("/home/me"), Some("/var/cache/me")),
            (None, Some("/home/me"), Some("/home/me/.cache")),
            (Some(""), Some("/home/me"), Some("/home/me/.cache")),
            (Some("cache"), Some("/home/me"), Some("/home/me/.cache")),
            (Some("/var/cache/me"), None, Some("/var/cache/me")),
            (Some("cache"), Some("me"), None),
            (None, Some(""), None),
            (None, None, None),
        ] {
            let found = caches(|name| match name {
                "XDG_CACHE_HOME" => named.map(Into::into),
                _ => home.map(Into::into),
            });
            assert_eq!(found.as_deref(), expected.map(Path::new), "{named:?} {home:?}");
        }
    }
}
