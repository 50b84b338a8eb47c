//! `callhook plugin new` gives a project that builds with its language's own tools, outside of this
//! repository, and passes its own test; and the author's guide is true.
//!
//! The tools are those that `cargo xtask examples` has installed to `target/tools`. Where they are
//! missing the test says so and passes, except in CI (where the variable `CI` is set).

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use promises::{Callhook, caches};
use tempfile::TempDir;

/// With this a build script ends where a tool is missing.
const TOOL_MISSING: i32 = 3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

fn callhook() -> PathBuf {
    PathBuf::from(Callhook::command(&[]).get_program())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where programs are found: the installed tools and callhook before all others.
fn path() -> OsString {
    let tools = root().join("target/tools");
    let installed = fs::read_dir(tools).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = installed
        .flat_map(|tool| [tool.path().join("bin"), tool.path().join("node_modules/.bin")])
        .filter(|folder| folder.is_dir())
        .collect();
    folders.push(callhook().parent().expect("it is in a folder").to_owned());
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    std::env::join_paths(folders).expect("paths")
}

/// Runs a script in a folder, as whoever works there would.
fn sh(folder: &Path, script: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).current_dir(folder).env("PATH", path());
    command.env("XDG_CACHE_HOME", caches());
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "OUT", "WIT", "CC"] {
        command.env_remove(name);
    }
    command.output().expect("a shell")
}

fn begin(language: &str, name: &str) -> (TempDir, PathBuf, String) {
    let outside = tempfile::tempdir().expect("a temporary folder");
    let made = sh(outside.path(), &format!("callhook plugin new {name} --lang {language}"));
    assert!(made.status.success(), "{}", text(&made.stderr));
    let folder = outside.path().join(name);
    (outside, folder, text(&made.stdout))
}

/// Builds it; `false` where a tool is missing.
fn builds(folder: &Path, language: &str) -> bool {
    // Sources, unlike tools, are part of a project.
    if folder.join("sources").is_dir() {
        let fetched = sh(&folder.join("sources"), "cargo vendor");
        assert!(fetched.status.success(), "{}", text(&fetched.stderr));
    }
    let built = sh(folder, "sh build.sh");
    if built.status.code() == Some(TOOL_MISSING) {
        let told = text(&built.stderr);
        assert!(std::env::var_os("CI").is_none(), "in CI nothing is left out: {told}");
        // Not `eprintln!`, which the test harness keeps to itself as long as a test passes.
        let line = format!("SKIPPED: a new plugin in {language}: {told}");
        std::io::stderr().write_all(line.as_bytes()).expect("standard error");
        return false;
    }
    assert!(built.status.success(), "{}{}", text(&built.stdout), text(&built.stderr));
    true
}

/// All of it, for one language.
fn becomes_a_plugin(language: &str) {
    let (_outside, folder, told) = begin(language, "my-crm2");
    assert!(told.contains("    sh build.sh\n"), "{told}");
    for file in ["README.md", "build.sh", "callhook.ini", "test.sh", "wit/world.wit", ".gitignore"]
    {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(readme.contains("my-crm2") && !readme.contains("example-"), "{readme}");
    if !builds(&folder, language) {
        return;
    }
    let checked = sh(&folder, "callhook plugin check plugin.wasm");
    let said = text(&checked.stdout);
    assert!(checked.status.success(), "{said}{}", text(&checked.stderr));
    assert!(said.contains("plugin     my-crm2 0.1.0"), "{said}");
    let tested = sh(&folder, "sh test.sh && callhook plugin try my-crm2 --config callhook.ini");
    let said = text(&tested.stdout);
    assert!(tested.status.success(), "{said}{}", text(&tested.stderr));
    assert!(said.contains("ok      ringing"), "{said}");
}

#[test]
fn rust_becomes_a_plugin() {
    becomes_a_plugin("rust");
}

#[test]
fn javascript_becomes_a_plugin() {
    becomes_a_plugin("js");
}

#[test]
fn typescript_becomes_a_plugin() {
    becomes_a_plugin("ts");
}

#[test]
fn python_becomes_a_plugin() {
    becomes_a_plugin("python");
}

#[test]
fn go_becomes_a_plugin() {
    becomes_a_plugin("go");
}

#[test]
fn c_and_what_is_built_like_it_become_plugins() {
    for language in ["c", "cpp", "zig", "lua"] {
        becomes_a_plugin(language);
    }
}

#[test]
fn nothing_is_overwritten_and_bad_names_are_refused() {
    let (outside, folder, _) = begin("python", "mine");
    fs::write(folder.join("plugin.py"), "my work").unwrap();
    let again = sh(outside.path(), "callhook plugin new mine --lang rust");
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(text(&again.stderr), "error: mine is not empty; nothing was written\n");
    assert_eq!(fs::read_to_string(folder.join("plugin.py")).unwrap(), "my work");
    for (arguments, told) in [
        ("My_CRM --lang rust", "\"My_CRM\" does not do: a name is made of small letters"),
        ("crate --lang rust", "\"crate\" means something to the tools"),
        ("other --lang cobol", "known are rust, js, ts, python"),
        ("other --lang rust --dir /dev/null", "/dev/null cannot be used"),
    ] {
        let refused = sh(outside.path(), &format!("callhook plugin new {arguments}"));
        assert_eq!(refused.status.code(), Some(2), "{arguments}");
        assert!(text(&refused.stderr).contains(told), "{}", text(&refused.stderr));
    }
    let here: Vec<_> = fs::read_dir(outside.path()).unwrap().collect();
    assert_eq!(here.len(), 1, "nothing else was written: {here:?}");
}

// === The guide ===

/// The blocks of the guide for a shell.
fn guide() -> Vec<String> {
    let text = fs::read_to_string(root().join("plugins/GUIDE.md")).expect("the guide");
    let block = |rest: &str| rest.split("```").next().expect("it ends").to_owned();
    text.split("```sh\n").skip(1).map(block).collect()
}

/// The guide says for each language what `plugin new` says to do next.
#[test]
fn the_guide_begins_as_the_command_says() {
    let blocks = guide();
    let begins: Vec<&String> =
        blocks.iter().filter(|block| block.starts_with("callhook plugin new")).collect();
    assert_eq!(begins.len(), 3, "{begins:?}");
    for block in begins {
        let lines: Vec<&str> = block.lines().collect();
        let outside = tempfile::tempdir().expect("a temporary folder");
        let made = sh(outside.path(), lines[0]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        assert_eq!(lines[1], "cd my-crm");
        let next = text(&made.stdout);
        let next = next.lines().filter_map(|line| line.strip_prefix("    "));
        let next: Vec<&str> = next.take(lines.len() - 2).collect();
        assert_eq!(next, lines[2..], "{}", lines[0]);
    }
}

/// Every other command of the guide works in a new project, in the order of the guide.
#[test]
fn the_commands_of_the_guide_work() {
    let (_outside, folder, _) = begin("rust", "my-crm");
    if !builds(&folder, "rust") {
        return;
    }
    for block in guide().iter().filter(|block| !block.starts_with("callhook plugin new")) {
        let done = sh(&folder, block);
        let said = format!("{block}\n{}{}", text(&done.stdout), text(&done.stderr));
        assert!(done.status.success(), "{said}");
    }
}
