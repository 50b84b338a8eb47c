//! Settings as an operator's commands need them, who looks at what is kept and sends nothing.
//!
//! The secrets of the service may be out of their reach: systemd shows its credentials to the service
//! alone. So a reference that leads nowhere is no fault here, as long as it is about exchanges,
//! endpoints or plugins; what depends on it is left out. Which database is meant must be certain.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::{ConfigError, Fault};
use super::{Config, Machine, Surroundings, keys};

/// What a reference to something outside of the file begins with.
const REFERENCES: [&str; 3] = ["${env:", "${file:", "${cred:"];

/// Keys of an endpoint that are used when something is sent, beside those of `auth`.
const FOR_SENDING: [&str; 2] = ["secret", "proxy"];

/// A file without fault, but for references that may lead nowhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    /// What it means without them.
    pub config: Config,
    /// Those references.
    pub missing: Vec<ConfigError>,
}

impl Config {
    /// Reads the .ini at `path` as far as that is possible here.
    pub fn load_in_part(path: &Path) -> Result<Partial, Vec<ConfigError>> {
        Self::parse_in_part(&Self::text(path)?, path, &Machine)
    }

    /// Reads the text of a .ini as far as that is possible in these surroundings.
    pub fn parse_in_part(
        text: &str,
        path: &Path,
        around: &dyn Surroundings,
    ) -> Result<Partial, Vec<ConfigError>> {
        let (config, report) = Self::read(text, path, around);
        let (missing, errors): (Vec<_>, Vec<_>) = report.errors.into_iter().partition(may_miss);
        if errors.is_empty() { Ok(Partial { config, missing }) } else { Err(errors) }
    }
}

impl Partial {
    /// The names of all endpoints, those that are left out among them.
    pub fn endpoints(&self) -> BTreeSet<&str> {
        let sections = self.missing.iter().filter_map(|error| error.place.section.as_deref());
        let left_out = sections.filter_map(|section| keys::WEBHOOK.own_name(section));
        self.config.endpoints.iter().map(|endpoint| &*endpoint.name).chain(left_out).collect()
    }

    /// What is missing to make requests of events. Credentials are not: they are added later.
    pub fn missing_for_requests(&self) -> impl Iterator<Item = &ConfigError> {
        self.missing.iter().filter(|error| {
            let section = error.place.section.as_deref().unwrap_or_default();
            let key = error.place.key.as_deref().unwrap_or_default();
            let for_sending = key.starts_with("auth") || FOR_SENDING.contains(&key);
            let endpoint = keys::WEBHOOK.own_name(section).is_some() && !for_sending;
            endpoint || keys::PLUGIN.own_name(section).is_some()
        })
    }
}

/// Whether an operator's command can do without what is wrong.
fn may_miss(error: &ConfigError) -> bool {
    let section = error.place.section.as_deref().unwrap_or_default();
    let kinds = [keys::PBX, keys::WEBHOOK, keys::PLUGIN];
    let outside = |reference: &str| REFERENCES.iter().any(|kind| reference.starts_with(kind));
    kinds.iter().any(|kind| kind.own_name(section).is_some())
        && matches!(&error.fault, Fault::Reference { reference, .. } if outside(reference))
}
