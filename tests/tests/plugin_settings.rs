//! Wrong settings of a plugin are told with file, line and key, as callhook's own are.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::sync::LazyLock;

use promises::{Callhook, component};
use tempfile::TempDir;

static HOSTILE: LazyLock<String> = LazyLock::new(|| component("hostile").display().to_string());

const PBX: &str = "[pbx]\nurl = http://127.0.0.1:9\nclient_id = a\nclient_secret = b\n                   [console]\nlisten = off\n[webhook]\nurl = http://127.0.0.1:9/\n";

/// Settings of which the first eight lines are sound.
struct Settings {
    folder: TempDir,
    path: String,
}

impl Settings {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("callhook.ini");
        fs::write(&path, format!("{PBX}{more}").replace("HOSTILE", &HOSTILE)).expect("written");
        Self { path: path.display().to_string(), folder }
    }

    /// The complaints of a command that ends with 2, without the folder of the file.
    fn complaints(&self, command: &[&str]) -> Vec<String> {
        let mut all = command.to_vec();
        all.extend(["--config", &self.path]);
        let output = Callhook::command(&all).output().expect("callhook runs");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
        let folder = format!("{}/", self.folder.path().display());
        let lines = said.lines().filter_map(|line| line.strip_prefix("error: "));
        lines.map(|line| line.replace(&folder, "")).collect()
    }
}

#[test]
fn every_command_names_file_line_and_key() {
    let settings = Settings::new(
        "plugins = nasty\n\n[plugin.nasty]\nfile = HOSTILE\n; a comment\ntokn = x\ndeadline = 1s\nwen = y\n",
    );
    for command in [
        &["run"][..],
        &["check", "--offline"],
        &["plugin", "check", "nasty"],
        &["plugin", "try", "nasty", "--sample", "ringing"],
        &["plugin", "try", &HOSTILE, "--sample", "ringing"],
        &["demo", "--plugin", "nasty"],
    ] {
        assert_eq!(
            settings.complaints(command),
            [
                "callhook.ini:14: [plugin.nasty] tokn: it has no setting `tokn`; did you mean `token`?",
                "callhook.ini:16: [plugin.nasty] wen: it has no setting `wen`; did you mean `when`?",
                "callhook.ini:11: [plugin.nasty] do: setting `do` is missing: the do",
            ],
            "{command:?}"
        );
    }
}

#[test]
fn what_the_plugin_itself_says_of_a_setting_has_its_line_too() {
    let settings = Settings::new(
        "plugins = nasty\n[plugin.nasty]\nfile = HOSTILE\ntoken = hunter22\ndo = what?\n",
    );
    let told =
        ["callhook.ini:13: [plugin.nasty] do: setting `do`: with *** nobody knows what to do"];
    assert_eq!(settings.complaints(&["check", "--offline"]), told);
    assert_eq!(settings.complaints(&["plugin", "try", "nasty"]), told);
}

#[test]
fn a_plugin_without_a_section_is_told_with_the_one_that_it_lacks() {
    let settings = Settings::new("plugins = template\n");
    let [told] = settings.complaints(&["check", "--offline"]).try_into().expect("one complaint");
    let expected =
        "callhook.ini:9: [plugin.template] body: setting `body`: nothing says what to send";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn what_was_typed_has_no_place_in_the_file() {
    let settings =
        Settings::new("plugins = nasty\n[plugin.nasty]\nfile = HOSTILE\ndo = skip\nwhen = x\n");
    let typed = ["plugin", "try", "nasty", "--set", "wen=y", "--set", "do=what?"];
    let [told] = settings.complaints(&typed).try_into().expect("one complaint");
    assert!(told.starts_with("plugin \"nasty\" ("), "{told}");
    assert!(told.ends_with("): it has no setting `wen`; did you mean `when`?"), "{told}");
}
