//! What the README tells a user to write works as it stands there.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::path::Path;

use callhook::config::Config;

/// The blocks of this language.
fn blocks(language: &str) -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(readme).unwrap();
    let opened = format!("```{language}\n");
    let block = |rest: &str| rest.split("```").next().unwrap().to_owned();
    text.split(&opened).skip(1).map(block).collect()
}

#[test]
fn the_settings_in_the_readme_hold() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pbx_secret"), "a key\n").unwrap();
    fs::write(folder.path().join("example_rust.wasm"), "").unwrap();
    let path = folder.path().join("callhook.ini");
    let settings = blocks("ini");
    let [whole, plugin] = settings.as_slice() else { panic!("{} blocks", settings.len()) };
    let pbx = whole.split("[did]").next().unwrap();
    for text in [whole.clone(), format!("{pbx}{plugin}")] {
        fs::write(&path, &text).unwrap();
        let loaded = Config::load(&path);
        assert!(loaded.is_ok(), "{text}\n{loaded:?}");
        assert_eq!(loaded.unwrap().warnings, [], "{text}");
    }
}
