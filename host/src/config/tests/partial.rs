//! What operators get of settings whose secrets are out of reach.

use std::path::Path;

use super::super::{Config, ConfigError, Partial};
use super::Fake;

const TEXT: &str = "[pbx]\nurl = https://pbx.example.com\nclient_id = app\n\
     client_secret = ${cred:pbx}\n[webhook]\nurl = https://crm.example.com/\nauth = bearer\n\
     auth_token = ${env:NONE}\nsecret = ${file:none}\n[storage]\npath = calls.db\n";

fn read(text: &str) -> Result<Partial, Vec<ConfigError>> {
    Config::parse_in_part(text, Path::new("/etc/callhook.ini"), &Fake::new())
}

fn told<'e>(errors: impl IntoIterator<Item = &'e ConfigError>) -> Vec<String> {
    errors.into_iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_kept_is_found_without_the_secrets_of_the_service() {
    let partial = read(TEXT).unwrap();
    assert_eq!(partial.config.storage, Path::new("/etc/calls.db"));
    let [endpoint] = &partial.config.endpoints[..] else { panic!("{partial:?}") };
    assert_eq!((endpoint.name.as_str(), endpoint.url.path()), ("webhook", "/"));
    assert_eq!(partial.missing.len(), 3);
    assert_eq!(told(partial.missing_for_requests()), [""; 0]);
    assert!(Fake::new().parse(TEXT).is_err(), "the service needs them");
}

#[test]
fn without_the_secrets_of_plugins_and_addresses_no_requests_are_made() {
    let text = TEXT.replace("https://crm.example.com/", "https://crm.example.com/${env:KEY}")
        + "[plugin.plain-post]\nkey = ${cred:key}\n";
    let partial = read(&text).unwrap();
    assert_eq!(partial.config.endpoints, []);
    assert_eq!(
        partial.endpoints().into_iter().collect::<Vec<_>>(),
        ["webhook"],
        "its name is known"
    );
    let missing = told(partial.missing_for_requests());
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(missing[0].starts_with("/etc/callhook.ini:6: [webhook] url: ${env:KEY}: "));
    assert!(missing[1].starts_with("/etc/callhook.ini:13: [plugin.plain-post] key: ${cred:key}: "));
}

#[test]
fn which_database_is_meant_must_be_certain_and_other_faults_stay_faults() {
    for (old, new, fault) in [
        ("calls.db", "${env:NONE}/calls.db", "[storage] path: ${env:NONE}: "),
        ("${env:NONE}", "${env:NONE", "[webhook] auth_token: ${...}: "),
        ("${env:NONE}", "${var:NONE}", "[webhook] auth_token: ${...}: "),
        ("auth = bearer", "auth = bear", "[webhook] auth: "),
    ] {
        let errors = told(&read(&TEXT.replace(old, new)).unwrap_err());
        assert!(errors.len() == 1 && errors[0].contains(fault), "{errors:?}");
    }
}
