//! What the README and the author's guide tell a user to write works as it stands there.

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
fn blocks(file: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = fs::read_to_string(path).unwrap();
    let opened = format!("```{language}\n");
    let block = |rest: &str| rest.split("```").next().unwrap().to_owned();
    text.split(&opened).skip(1).map(block).collect()
}

#[test]
fn the_settings_in_the_readme_and_in_the_guide_hold() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pbx_secret"), "a key\n").unwrap();
    fs::write(folder.path().join("plugin.wasm"), "").unwrap();
    let path = folder.path().join("callhook.ini");
    let mut settings = blocks("README.md", "ini");
    settings.extend(blocks("plugins/GUIDE.md", "ini"));
    let [whole, plugin, guide] = settings.as_slice() else { panic!("{} blocks", settings.len()) };
    let pbx = whole.split("[did]").next().unwrap();
    for text in [whole.clone(), format!("{pbx}{plugin}"), format!("{pbx}{guide}")] {
        fs::write(&path, &text).unwrap();
        let loaded = Config::load(&path);
        assert!(loaded.is_ok(), "{text}\n{loaded:?}");
        assert_eq!(loaded.unwrap().warnings, [], "{text}");
    }
}
