//! A project for a new plugin: the example of its language under another name, complete with the
//! contract, settings, and a case to test.
//!
//! The examples are the templates, so that what is given out is what is built and tested here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::templates::{Language, WIT};
use crate::event::samples;

/// The longest name that every toolchain takes.
const LONGEST: usize = 64;

/// What a Rust package cannot be called, and what it must not be called lest it hide something.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// What the sample case expects, whatever the language.
const EXPECT: &str = include_str!("project/expect.json");

/// The settings of the new plugin.
const SETTINGS: &str = include_str!("project/callhook.ini");

/// The test that the project brings.
const TEST: &str = include_str!("project/test.sh");

/// A name for a plugin that does in the .ini, in file names and for every toolchain.
pub fn check_name(name: &str) -> Result<(), String> {
    let rule =
        "a name is made of small letters, digits and single dashes, and begins with a letter";
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    let made_of = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !begins || !made_of || name.ends_with('-') || name.contains("--") {
        return Err(format!("{name:?} does not do: {rule}"));
    }
    if name.len() > LONGEST {
        return Err(format!("the name is longer than {LONGEST} characters"));
    }
    if TAKEN.contains(&name) {
        return Err(format!("{name:?} means something to the tools; take another name"));
    }
    Ok(())
}

/// Writes the project for a plugin called `name` to `folder`, which must not exist or be empty.
/// Says which files there are.
pub fn create(name: &str, language: &Language, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let shown = folder.display();
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Ok(false) => bail!("{shown} is not empty; nothing was written"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("{shown} cannot be used")),
    }
    let mut written = Vec::new();
    for (path, text) in files(name, language) {
        let path = folder.join(path);
        write(&path, &text).with_context(|| format!("while writing {}", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

/// All files with their texts.
fn files(name: &str, language: &Language) -> Vec<(String, String)> {
    let own = language.files.iter().map(|(path, text)| (*path, renamed(text, name, language)));
    let mut files: Vec<(String, String)> =
        own.map(|(path, text)| (path.to_owned(), text)).collect();
    if let Some((_, manifest)) = files.iter_mut().find(|(path, _)| path == "Cargo.toml") {
        // Else cargo would look for a workspace in the folders above.
        manifest.push_str("\n[workspace]\n");
    }
    files.extend(WIT.iter().map(|(file, text)| (format!("wit/{file}"), (*text).to_owned())));
    let ringing = samples::named("ringing").first().map_or("", |sample| sample.json);
    for (path, text) in [
        ("callhook.ini", SETTINGS),
        ("test.sh", TEST),
        ("cases/ringing/event.json", ringing),
        ("cases/ringing/expect.json", EXPECT),
    ] {
        files.push((path.to_owned(), text.replace("NAME", name)));
    }
    files
}

/// The text of an example, as that of the new plugin.
fn renamed(text: &str, name: &str, language: &Language) -> String {
    let example = format!("example-{}", language.name);
    let text = text.replace(&example, name);
    text.replace(&example.replace('-', "_"), &name.replace('-', "_"))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)?;
    #[cfg(unix)]
    if path.extension().is_some_and(|kind| kind == "sh") {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_some_tool_would_trip_over_are_refused() {
        for name in ["hubspot", "my-crm2", "a"] {
            check_name(name).unwrap();
        }
        for name in ["", "My", "2crm", "a b", "a_b", "a--b", "a-", "-a", "../a", "crate", "é"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name(&"a".repeat(65)).is_err());
    }
}
