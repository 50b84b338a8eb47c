//! The annotated callhook.ini is the manual: it is sound, and it is complete.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Fake;
use crate::config::{Config, DeliveryConfig, EndpointConfig, SECTIONS};

fn shipped(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

fn load(text: &str) -> Config {
    let around = Fake::new()
        .var("CREDENTIALS_DIRECTORY", "/creds")
        .file("/creds/pbx_secret", "s3cret")
        .file("/creds/crm_token", "t0ken")
        .file("/creds/webhook_secret", "whsec_c2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1l")
        .file("/etc/client.pem", "")
        .file("/etc/client.key", "")
        .file("/etc/users.csv", "")
        .file("/etc/pbx-ca.pem", "")
        .file("/etc/receiver-ca.pem", "")
        .file("/etc/plugins/crm.wasm", "");
    let loaded = Config::parse(text, Path::new("/etc/callhook.ini"), &around);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert!(loaded.warnings.iter().all(|w| w.text.contains("no webhook names")), "{loaded:?}");
    loaded.config
}

/// The file with every setting in force: `;key = value` and `;[section]` without their `;`.
fn in_force(text: &str) -> String {
    let setting = |line: &str| {
        line.strip_prefix(';')
            .filter(|rest| rest.starts_with(|ch: char| !ch.is_whitespace()))
            .map_or(line.to_owned(), str::to_owned)
    };
    text.lines().map(|line| setting(line) + "\n").collect()
}

#[test]
fn the_annotated_file_is_sound_as_it_is_and_with_everything_in_force() {
    let (_, text) = shipped("callhook.ini");
    load(&text);
    let config = load(&in_force(&text));
    assert_eq!(config.dids.len(), 1);
    assert_eq!(config.plugins.len(), 3);
}

#[test]
fn what_the_annotated_file_calls_a_default_is_the_default() {
    let (_, text) = shipped("callhook.ini");
    let (bare, full) = (load(&text), load(&in_force(&text)));
    let (bare_hook, full_hook) = (&bare.endpoints[0], &full.endpoints[0]);
    assert_eq!(bare_hook.plugins, full_hook.plugins);
    assert_eq!(bare_hook.events, full_hook.events);
    assert_eq!(bare_hook.internal, full_hook.internal);
    assert_eq!(bare_hook.delivery, DeliveryConfig::default());
    // Examples of what there is no default of.
    let usual = |hook: &EndpointConfig| DeliveryConfig {
        success: Vec::new(),
        signing_keys: Vec::new(),
        allow_hosts: Vec::new(),
        allow_networks: Vec::new(),
        ca_file: None,
        client_certificate: None,
        proxy: None,
        ..hook.delivery.clone()
    };
    assert_eq!(usual(bare_hook), usual(full_hook));
    let (bare_pbx, full_pbx) = (&bare.pbxs[0], &full.pbxs[0]);
    assert_eq!(bare_pbx.snapshot_every, full_pbx.snapshot_every);
    assert_eq!(bare_pbx.settle, full_pbx.settle);
    assert_eq!(bare_pbx.callback_wait, full_pbx.callback_wait);
    assert_eq!(bare_pbx.source, full_pbx.source);
    let (embedded, crm) = (bare.plugin("plain-get").unwrap(), full.plugin("NAME").unwrap());
    assert_eq!((embedded.deadline, embedded.memory), (crm.deadline, crm.memory));
    assert_eq!((bare.storage, bare.retention), (full.storage, full.retention));
    assert_eq!((bare.console, bare.log), (full.console, full.log));
}

#[test]
fn the_annotated_file_shows_every_key_that_is_accepted() {
    let (_, text) = shipped("callhook.ini");
    let text = in_force(&text);
    let mut section = "";
    let mut shown = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with([';', '#'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.split('.').next().unwrap();
        } else if let Some((key, _)) = line.split_once(" = ") {
            shown.insert((section, key));
        }
    }
    for known in SECTIONS {
        assert!(text.contains(&format!("[{}", known.name)), "[{}] is not shown", known.name);
        for key in known.keys {
            assert!(shown.contains(&(known.name, key)), "[{}] {key} is not shown", known.name);
        }
    }
}

#[test]
fn the_sample_directory_has_the_columns_that_the_host_knows() {
    let (path, _) = shipped("users.csv");
    let mut reader = csv::Reader::from_path(path).unwrap();
    let columns: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert!(columns.starts_with(&["extension", "name", "email"].map(str::to_owned)));
    assert!(reader.records().all(|record| record.is_ok()));
}
