//! The settings of one test, in a folder of its own.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use callhook_pbx::Pbx;
use tempfile::TempDir;

/// A `callhook.ini` in a temporary folder, which is gone with it.
pub struct Ini {
    folder: TempDir,
    pbx: String,
    webhook: String,
    more: String,
    level: &'static str,
    database: Option<PathBuf>,
}

impl Ini {
    /// Settings for this exchange and a receiver at `url`.
    ///
    /// # Panics
    ///
    /// If no temporary folder can be made.
    pub fn new(pbx: &Pbx, url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pbx = format!(
            "[pbx]\nurl = {}\nclient_id = {}\nclient_secret = {}\n\
             timezone = Europe/Prague\nsettle = 300ms\n",
            pbx.url(),
            pbx.client_id(),
            pbx.client_secret()
        );
        let webhook = format!(
            "\n[webhook]\nurl = {url}\nschedule = 50ms, 100ms, 200ms, 400ms, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s\n"
        );
        Self { folder, pbx, webhook, more: String::new(), level: "debug", database: None }
    }

    /// Adds a line to `[pbx]`.
    #[must_use]
    pub fn pbx(mut self, line: &str) -> Self {
        self.pbx.push_str(line);
        self.pbx.push('\n');
        self
    }

    /// Adds a line to `[webhook]`, in place of one with the same key.
    #[must_use]
    pub fn webhook(mut self, line: &str) -> Self {
        let key = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
        let others = self.webhook.lines().filter(|old| key(old).is_none() || key(old) != key(line));
        self.webhook = others.flat_map(|line| [line, "\n"]).collect();
        self.webhook.push_str(line);
        self.webhook.push('\n');
        self
    }

    /// Adds a section with its lines.
    #[must_use]
    pub fn section(mut self, name: &str, lines: &[&str]) -> Self {
        let written = write!(self.more, "\n[{name}]\n{}\n", lines.join("\n"));
        debug_assert!(written.is_ok());
        self
    }

    /// Logs from this level on; from debug on without this.
    #[must_use]
    pub fn level(mut self, level: &'static str) -> Self {
        self.level = level;
        self
    }

    /// Keeps the database elsewhere.
    #[must_use]
    pub fn storage(mut self, path: &Path) -> Self {
        self.database = Some(path.to_owned());
        self
    }

    /// The folder of the .ini and of everything that it names.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts other words in the place of some in the file that has been written.
    ///
    /// # Panics
    ///
    /// If they are not there.
    pub fn rewrite(&self, old: &str, new: &str) {
        let path = self.folder().join("callhook.ini");
        let text = fs::read_to_string(&path).expect("the .ini was written");
        assert!(text.contains(old), "{old:?} is not in {text}");
        fs::write(&path, text.replace(old, new)).expect("the .ini is written");
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.database.clone().unwrap_or_else(|| self.folder().join("callhook.db"))
    }

    /// Puts other words in the place of some in the file that is still to be written.
    ///
    /// # Panics
    ///
    /// If they are not there.
    #[must_use]
    pub fn rewritten(mut self, old: &str, new: &str) -> Self {
        let parts = [&mut self.pbx, &mut self.webhook, &mut self.more];
        let part = parts.into_iter().find(|part| part.contains(old));
        let part = part.unwrap_or_else(|| panic!("{old:?} is nowhere"));
        *part = part.replace(old, new);
        self
    }

    /// Where the file is, once it is written.
    pub fn path(&self) -> PathBuf {
        self.folder().join("callhook.ini")
    }

    /// Writes the file and says where it is.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn write(&self) -> PathBuf {
        let path = self.folder().join("callhook.ini");
        let Self { pbx, webhook, more, level, .. } = self;
        let storage = self.database();
        let text = format!(
            "{pbx}{webhook}{more}\n[storage]\npath = {}\n[console]\nlisten = 127.0.0.1:0\n\
             [log]\nlevel = {level}\nformat = json\n",
            storage.display()
        );
        fs::write(&path, text).expect("the .ini is written");
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, private).expect("nobody else reads it");
        path
    }
}
