//! What the settings name beside plugins: looked at before anything starts, each fault with the
//! setting that is to blame.

use std::fs;

use super::settings;
use super::sources::Sources;
use crate::clock::Clock;
use crate::config::{Config, Place};
use crate::delivery::{Unusable, try_settings};
use crate::metrics::Metrics;
use crate::outbox::may_be_at;

/// What is wrong with the place of the database, a line each. Nothing is made or opened there.
pub fn storage_faults(config: &Config) -> Vec<String> {
    let path = &config.storage;
    let same = |ini| {
        fs::canonicalize(ini).ok().is_some_and(|ini| fs::canonicalize(path).ok() == Some(ini))
    };
    let found = if same(config.places.file()) {
        Err("this is the .ini itself; name another file".to_owned())
    } else {
        may_be_at(path)
    };
    let place = || config.places.of("storage", "storage", "path");
    found.err().map(|fault| format!("{} {fault}", place())).into_iter().collect()
}

/// Tries certificates and keys: those that the settings name, or, if `all`, what is trusted without
/// any as well. Says what is wrong with them, a line each. Nothing is sent. Call it within a tokio
/// runtime.
pub fn certificate_faults(config: &Config, all: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, settings) in settings::watchers(config) {
        if !all && settings.ca_file.is_none() {
            continue;
        }
        let (clock, metrics) = (Clock::system(), Metrics::default());
        if let Err(error) = Sources::prepare(&name, settings, &clock, &metrics) {
            faults.push(told(&error, |key| config.places.of("pbx", &name, key)));
        }
    }
    for endpoint in &config.endpoints {
        let settings = settings::delivery(endpoint, config.console);
        if !all && !settings.names_files() {
            continue;
        }
        if let Err(error) = try_settings(&settings) {
            let error = error.context(format!("while preparing the endpoint {}", endpoint.name));
            faults.push(told(&error, |key| config.places.of("webhook", &endpoint.name, key)));
        }
    }
    faults
}

/// The error, behind the place of the setting that names the faulty file.
fn told(error: &anyhow::Error, place: impl Fn(&str) -> Place) -> String {
    match error.downcast_ref::<Unusable>() {
        Some(unusable) => format!("{} {error:#}", place(unusable.setting)),
        None => format!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;

    /// Ten lines of settings without fault, and the folder that they are in.
    fn office(more: &str) -> (TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let own = rcgen::generate_simple_self_signed(["here.example".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["there.example".to_owned()]).unwrap();
        write("own.pem", &own.cert.pem());
        write("own.key", &own.signing_key.serialize_pem());
        write("other.key", &other.signing_key.serialize_pem());
        write("notes.txt", "no certificate");
        write(
            "callhook.ini",
            &format!(
                "[pbx]\nurl = https://127.0.0.1\nclient_id = a\nclient_secret = b\n\
                 ca_file = own.pem\n[webhook]\nurl = https://127.0.0.1\n{more}"
            ),
        );
        let config = Config::load(&folder.path().join("callhook.ini")).unwrap().config;
        (folder, config)
    }

    fn without(folder: &Path, faults: Vec<String>) -> Vec<String> {
        let folder = format!("{}/", folder.display());
        faults.into_iter().map(|fault| fault.replace(&folder, "")).collect()
    }

    #[test]
    fn a_place_where_no_database_can_be_is_told_with_its_line() {
        let told = |path: &str| {
            let (folder, config) = office(&format!("[storage]\npath = {path}\n"));
            fs::create_dir(folder.path().join("data")).unwrap();
            fs::write(folder.path().join("empty.db"), "").unwrap();
            fs::write(folder.path().join("some.db"), "SQLite format 3\0").unwrap();
            without(folder.path(), storage_faults(&config)).join("; ")
        };
        let at = "callhook.ini:9: [storage] path: ";
        for (path, fault) in [
            (
                "none/callhook.db",
                "the folder none does not exist; create it for the service's user",
            ),
            ("notes.txt/callhook.db", "notes.txt is no folder; name a file in one"),
            ("data", "data is a folder; name a file in it"),
            ("notes.txt", "notes.txt is no SQLite database; name another file"),
            ("callhook.ini", "this is the .ini itself; name another file"),
            ("/dev/null", "/dev/null is no file; name another"),
        ] {
            assert_eq!(told(path), format!("{at}{fault}"), "{path}");
        }
        for sound in ["callhook.db", "data/callhook.db", "empty.db", "some.db"] {
            assert_eq!(told(sound), "", "{sound}");
        }
    }

    #[tokio::test]
    async fn every_faulty_certificate_is_told_with_the_line_that_names_it() {
        let (folder, config) = office(
            "ca_file = notes.txt\n\
             [webhook.a]\nurl = https://127.0.0.1\nclient_certificate = notes.txt\nclient_key = own.key\n\
             [webhook.b]\nurl = https://127.0.0.1\nclient_certificate = own.pem\nclient_key = notes.txt\n\
             [webhook.c]\nurl = https://127.0.0.1\nclient_certificate = own.pem\nclient_key = other.key\n\
             [webhook.d]\nurl = https://127.0.0.1\nclient_certificate = own.pem\nclient_key = own.key\n\
             ca_file = own.pem\n",
        );
        let faults = without(folder.path(), certificate_faults(&config, false));
        let places: Vec<&str> = faults.iter().filter_map(|it| it.split(" while").next()).collect();
        assert_eq!(
            places,
            [
                "callhook.ini:8: [webhook] ca_file:",
                "callhook.ini:11: [webhook.a] client_certificate:",
                "callhook.ini:16: [webhook.b] client_key:",
                "callhook.ini:20: [webhook.c] client_key:",
            ],
            "{faults:#?}"
        );
        assert!(faults[0].contains("endpoint webhook: "), "{faults:?}");
        assert!(faults[0].ends_with("notes.txt holds no certificate in PEM format"), "{faults:?}");
    }
}
