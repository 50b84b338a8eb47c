//! Commands of plugin authors compile a component once: what it was compiled to is kept in the user's
//! cache folder, private as that of the service.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use callhook_pbx::Pbx;
use promises::{Callhook, Ini, component};
use tempfile::TempDir;

static EXAMPLE: LazyLock<String> =
    LazyLock::new(|| component("example-rust").display().to_string());
static HOSTILE: LazyLock<String> = LazyLock::new(|| component("hostile").display().to_string());

/// Somebody's home folder, with nothing in it.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn cache(&self) -> PathBuf {
        self.path(".cache/callhook")
    }

    /// What callhook says there, and its exit code.
    fn callhook(&self, arguments: &[&str]) -> (String, Option<i32>) {
        self.with_cache(arguments, None)
    }

    fn with_cache(&self, arguments: &[&str], cache: Option<&Path>) -> (String, Option<i32>) {
        let mut command = Callhook::command(arguments);
        command.current_dir(self.0.path()).env("HOME", self.0.path()).env_remove("XDG_CACHE_HOME");
        command.envs(cache.map(|cache| ("XDG_CACHE_HOME", cache)));
        let output = command.output().expect("callhook runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout) + &text(&output.stderr), output.status.code())
    }
}

/// The artefacts in a folder, by name, with what tells a file from one that was written anew.
fn artefacts(folder: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> =
        paths.map(|path| (path.clone(), fs::metadata(path).expect("it is there").ino())).collect();
    found.sort();
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn compiles((said, code): &(String, Option<i32>)) -> bool {
    assert_eq!(*code, Some(0), "{said}");
    said.contains("\ncompiled in ")
}

#[test]
fn a_plugin_that_is_tried_again_is_not_compiled_again() {
    let home = Home::new();
    let attempt = ["plugin", "try", &EXAMPLE, "--sample", "ringing"];
    assert!(compiles(&home.callhook(&attempt)));
    let kept = artefacts(&home.cache());
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(!compiles(&home.callhook(&attempt)));
    assert_eq!(artefacts(&home.cache()), kept);
}

#[test]
fn all_commands_share_what_one_of_them_has_compiled() {
    let home = Home::new();
    let (said, code) = home.callhook(&["plugin", "check", &HOSTILE]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\ncompiled   in "), "{said}");
    let kept = artefacts(&home.cache());
    assert_eq!(kept.len(), 1, "{kept:?}");

    let case = home.path("cases/ringing");
    fs::create_dir_all(&case).unwrap();
    let (event, _) = home.callhook(&["plugin", "samples", "ringing"]);
    fs::write(case.join("event.json"), event).unwrap();
    for (arguments, expected) in [
        (&["plugin", "check", &HOSTILE][..], 0),
        (&["plugin", "try", &HOSTILE, "--sample", "ringing", "--set", "do=skip"], 0),
        (&["plugin", "test", &HOSTILE, "--write", "--set", "do=skip"], 0),
        // It lacks a setting, which is known only when it has been compiled.
        (&["demo", "--plugin", &HOSTILE], 2),
    ] {
        let (said, code) = home.callhook(arguments);
        assert_eq!(code, Some(expected), "{arguments:?}: {said}");
        assert!(!said.contains("compiled"), "{arguments:?}: {said}");
        assert_eq!(artefacts(&home.cache()), kept, "{arguments:?}");
    }
}

#[test]
fn the_folder_is_the_users_own_and_private() {
    let home = Home::new();
    let attempt = ["plugin", "try", &EXAMPLE, "--sample", "ringing"];
    assert!(compiles(&home.callhook(&attempt)));
    assert_eq!((mode(&home.path(".cache")), mode(&home.cache())), (0o700, 0o700));
    let (artefact, _) = artefacts(&home.cache()).remove(0);
    assert_eq!(mode(&artefact), 0o600);

    // What others can write is compiled anew.
    fs::set_permissions(&artefact, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(compiles(&home.callhook(&attempt)));
    assert_eq!(mode(&artefact), 0o600);

    // Where the user wants it.
    let elsewhere = home.path("elsewhere");
    let there = home.with_cache(&attempt, Some(&elsewhere));
    assert!(compiles(&there));
    assert_eq!(artefacts(&elsewhere.join("callhook")).len(), 1);
    assert_eq!(mode(&elsewhere), 0o700);
    // A relative path is to be ignored, says the XDG specification.
    assert!(!compiles(&home.with_cache(&attempt, Some(Path::new("here")))));
    assert!(!home.path("here").exists());
}

#[test]
fn where_nothing_can_be_kept_plugins_are_compiled_and_work() {
    let home = Home::new();
    fs::write(home.path(".cache"), "a file in its place").unwrap();
    let attempt = ["plugin", "try", &EXAMPLE, "--sample", "ringing"];
    for _ in 0..2 {
        let tried = home.callhook(&attempt);
        assert!(compiles(&tried));
        let why = tried.0.lines().find(|line| line.contains("Compiled plugins cannot be kept."));
        assert!(why.is_some_and(|line| line.contains(".cache")), "{}", tried.0);
    }
    // A missing home is not made.
    let nowhere = home.path("nowhere");
    let mut command = Callhook::command(&attempt);
    let output = command.env("HOME", &nowhere).env_remove("XDG_CACHE_HOME").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!nowhere.exists());
    let mut command = Callhook::command(&attempt);
    let output = command.env_remove("HOME").env_remove("XDG_CACHE_HOME").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

/// Only root can give folders away.
#[test]
fn root_leaves_nothing_in_somebody_elses_home() {
    let home = Home::new();
    if std::os::unix::fs::chown(home.0.path(), Some(1), None).is_err() {
        eprintln!("skipped: only root can give folders away");
        return;
    }
    let attempt = ["plugin", "try", &EXAMPLE, "--sample", "ringing"];
    assert!(compiles(&home.callhook(&attempt)));
    assert!(!home.path(".cache").exists());
}

#[tokio::test]
async fn check_of_the_settings_keeps_it_beside_the_database_where_the_service_looks() {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let ini = Ini::new(&pbx, "http://127.0.0.1:9/");
    let (home, path) = (Home::new(), ini.write().display().to_string());
    let check = ["check", "--offline", "--config", &path];
    let mut kept = Vec::new();
    for _ in 0..2 {
        let (said, code) = home.callhook(&check);
        assert_eq!(code, Some(0), "{said}");
        let found = artefacts(&ini.folder().join("callhook.db.plugins"));
        assert_eq!(found.len(), 1);
        assert!(kept.is_empty() || kept == found, "it was compiled again");
        kept = found;
    }
    assert!(!home.path(".cache").exists());
}
