//! What the settings promise. The files below each hold one kind of promise.

mod faults;
mod filters;
mod meaning;
mod partial;
mod properties;
mod shipped;
mod warnings;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::{Config, ConfigError, Loaded, Surroundings};

/// Six lines, so that what is appended begins on line 7 and belongs to `[webhook]`.
const ENDING_IN_WEBHOOK: &str = "[pbx]\nurl = https://pbx.example.com\nclient_id = app\n\
     client_secret = ${env:SECRET}\n[webhook]\nurl = https://crm.example.com/\n";

/// Six lines, so that what is appended begins on line 7 and belongs to `[pbx]`.
const ENDING_IN_PBX: &str = "[webhook]\nurl = https://crm.example.com/\n[pbx]\n\
     url = https://pbx.example.com\nclient_id = app\nclient_secret = ${env:SECRET}\n";

/// A machine where only what a test says is there.
#[derive(Debug, Default)]
struct Fake {
    vars: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, String>,
    public: BTreeSet<PathBuf>,
    zone: Option<TimeZone>,
}

impl Fake {
    fn new() -> Self {
        Self { zone: Some(TimeZone::UTC), ..Self::default() }.var("SECRET", "s3cret")
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.to_owned());
        self
    }

    fn parse(&self, text: &str) -> Result<Loaded, Vec<ConfigError>> {
        Config::parse(text, Path::new("callhook.ini"), self)
    }
}

impl Surroundings for Fake {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        !path.as_os_str().is_empty() && self.files.keys().any(|file| file.parent() == Some(path))
    }

    fn readable_by_all(&self, path: &Path) -> bool {
        self.public.contains(path)
    }

    fn time_zone(&self) -> Option<TimeZone> {
        self.zone.clone()
    }
}

/// What a text without fault means.
fn sound(text: &str) -> Config {
    Fake::new().parse(text).unwrap().config
}
