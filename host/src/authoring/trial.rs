//! A rehearsal: a plugin that is loaded as in service, and what it makes of events.

use super::events::Given;
use super::secrets::Secrets;
use super::subject::Subject;
use crate::app::Faults;
use crate::plugins::{Outcome, Plugin, Rehearsed, Runtime};
use crate::request::Request;

/// A plugin that is ready to be tried.
pub struct Stage {
    pub(super) subject: Subject,
    pub(super) plugin: Plugin,
    pub(super) secrets: Secrets,
}

/// What a plugin made of an event.
pub struct Trial {
    /// The event.
    pub given: Given,
    /// What came of it.
    pub rehearsed: Rehearsed<Outcome>,
}

impl Stage {
    /// Loads the plugin and checks its settings, as the service does.
    pub fn open(subject: Subject) -> Result<Self, Faults> {
        let plugin = Runtime::new()?
            .load(&subject.spec, &subject.directory)
            .map_err(|error| Faults(vec![error.to_string()]))?;
        let secrets = Secrets::of(&plugin, &subject.spec.settings);
        Ok(Self { subject, plugin, secrets })
    }

    /// Gives the plugin an event, at the time at which the event happened.
    pub fn give(&self, given: Given) -> Trial {
        let endpoint = &self.subject.endpoint;
        let hints = [("endpoint", endpoint.name.as_str()), ("dialect", endpoint.dialect)];
        let draft = Request::draft(endpoint.url.as_str());
        let now = given.event.occurred_at.epoch_ms();
        let rehearsed =
            self.plugin.rehearse(now, |plugin| plugin.transform_for(&hints, &given.event, &draft));
        Trial { given, rehearsed }
    }
}

impl Trial {
    /// The plugin failed on this event.
    pub fn failed(&self) -> bool {
        self.rehearsed.result.is_err()
    }
}
