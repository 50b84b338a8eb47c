//! The names of endpoints as operators type them: one that nobody knows is an error, since what is
//! asked about it would come to nothing without a word.

use crate::app::deliveries;
use crate::cli::{Failure, complain};
use crate::config::{Partial, nearest};
use crate::outbox::{DeliveryFilter, Scan};

/// Refuses the name of an endpoint that is not in the settings.
pub(super) fn in_settings(settings: &Partial, name: Option<&str>) -> Result<(), Failure> {
    match name {
        Some(name) if !is_set(settings, name) => Err(refuse(settings, name)),
        _ => Ok(()),
    }
}

/// The same, but deliveries may be left of an endpoint that was taken out of the settings.
pub(super) fn in_settings_or_kept(settings: &Partial, name: Option<&str>) -> Result<(), Failure> {
    match name {
        Some(name)
            if !is_set(settings, name) && !is_kept(&deliveries(&settings.config)?, name)? =>
        {
            Err(refuse(settings, name))
        }
        _ => Ok(()),
    }
}

fn is_set(settings: &Partial, name: &str) -> bool {
    settings.endpoints().contains(name)
}

fn is_kept(scan: &dyn Scan, name: &str) -> anyhow::Result<bool> {
    let of_it = DeliveryFilter { endpoint: Some(name.to_owned()), limit: 1, ..Default::default() };
    Ok(!scan.list(&of_it)?.is_empty())
}

fn refuse(settings: &Partial, name: &str) -> Failure {
    let known: Vec<&str> = settings.endpoints().into_iter().collect();
    complain(format_args!("error: {}", unknown(name, &known)));
    Failure::Settings
}

fn unknown(name: &str, known: &[&str]) -> String {
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there is: {}", known.join(", ")),
    };
    format!("there is no endpoint {} in the settings; {hint}", name.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::metrics::Metrics;
    use crate::outbox::{Commit, FailedTransform, Outbox as _, SqliteOutbox};

    #[test]
    fn a_name_that_nobody_knows_is_answered_with_one_that_is_known() {
        assert_eq!(
            unknown("webhok", &["webhook", "crm"]),
            "there is no endpoint webhok in the settings; did you mean webhook?"
        );
        assert_eq!(
            unknown("elsewhere", &["webhook", "crm"]),
            "there is no endpoint elsewhere in the settings; there is: webhook, crm"
        );
    }

    #[test]
    fn an_endpoint_is_known_from_the_settings_or_from_what_is_left_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let ini = folder.path().join("callhook.ini");
        let pbx = "[pbx]\nurl = http://127.0.0.1\nclient_id = a\nclient_secret = b\n";
        std::fs::write(&ini, format!("{pbx}[webhook]\nurl = http://127.0.0.1\n")).unwrap();
        let settings = Config::load_in_part(&ini).unwrap();
        let outbox =
            SqliteOutbox::open(&settings.config.storage, Clock::system(), Metrics::default())
                .unwrap();
        let failure = FailedTransform {
            event_id: "event".to_owned(),
            endpoint: "former".to_owned(),
            plugin: "plain-get".to_owned(),
            kind: "trap".to_owned(),
            message: "unreachable".to_owned(),
            details: String::new(),
        };
        outbox.append(Commit { failures: vec![failure], ..Commit::default() }).wait().unwrap();
        drop(outbox);
        for name in [None, Some("webhook"), Some("former")] {
            assert!(in_settings_or_kept(&settings, name).is_ok(), "{name:?}");
        }
        assert!(in_settings(&settings, Some("webhook")).is_ok());
        for told in [
            in_settings(&settings, Some("former")),
            in_settings(&settings, Some("nobody")),
            in_settings_or_kept(&settings, Some("nobody")),
        ] {
            assert!(matches!(told, Err(Failure::Settings)), "{told:?}");
        }
    }
}
