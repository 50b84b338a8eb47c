//! What a plugin is to its author, and how that becomes what the host calls.

use crate::bindings::plugin::exports::callhook::plugin::{about, transform};
use crate::bindings::replies::exports::callhook::plugin::reply;
use crate::reply::{Exchange, Verdict};
use crate::{CallEvent, Description, Failure, HttpRequest, Outcome, Problem, Setting};

/// A plugin: a pure function from an event and a draft request to requests.
pub trait Plugin {
    /// What it does, in one line.
    const SUMMARY: &str;

    /// The keys that it takes in its section of the .ini. Any other key is an error at start-up.
    fn settings() -> Vec<Setting> {
        Vec::new()
    }

    /// What is wrong with the settings, found before the first event. That the required ones are
    /// there is known already.
    fn check() -> Vec<Problem> {
        Vec::new()
    }

    /// What becomes of an event. `draft` is `GET` to the endpoint's `url`, or a request of the
    /// plugin before this one in the chain.
    fn transform(event: CallEvent, draft: HttpRequest) -> Result<Outcome, Failure>;
}

/// A plugin that is told what the CRM answered.
pub trait Replies: Plugin {
    /// What the reply to one of the plugin's requests means, and what to send next.
    fn on_reply(event: CallEvent, exchange: Exchange) -> Result<Verdict, Failure>;
}

/// Who a plugin is; [`export!`](macro@crate::export) knows it from the package.
pub trait Named {
    /// The package's name.
    const NAME: &str;
    /// The package's version.
    const VERSION: &str;
}

impl<T: Plugin + Named> about::Guest for T {
    fn describe() -> Description {
        Description {
            name: T::NAME.to_owned(),
            version: T::VERSION.to_owned(),
            summary: T::SUMMARY.to_owned(),
            settings: T::settings(),
        }
    }

    fn check() -> Vec<Problem> {
        T::check()
    }
}

impl<T: Plugin> transform::Guest for T {
    fn transform(event: CallEvent, draft: HttpRequest) -> Result<Outcome, Failure> {
        T::transform(event, draft)
    }
}

impl<T: Replies> reply::Guest for T {
    fn on_reply(event: CallEvent, exchange: Exchange) -> Result<Verdict, Failure> {
        T::on_reply(event, exchange)
    }
}

impl Setting {
    /// A setting that may be left out. `help` is one line for the person who edits the .ini.
    pub fn new(name: &str, help: &str) -> Self {
        Self {
            name: name.to_owned(),
            help: help.to_owned(),
            default: None,
            required: false,
            secret: false,
        }
    }

    /// With this value where the .ini has none.
    #[must_use]
    pub fn or(self, default: &str) -> Self {
        Self { default: Some(default.to_owned()), ..self }
    }

    /// The plugin does not work without it.
    #[must_use]
    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Never to be shown.
    #[must_use]
    pub fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

impl Problem {
    /// That something is wrong with a setting.
    pub fn new(setting: &str, message: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), message: message.into() }
    }
}

impl Outcome {
    /// Nothing is to be sent, for this reason.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self::Skip(reason.into())
    }
}

impl From<HttpRequest> for Outcome {
    fn from(request: HttpRequest) -> Self {
        Self::Send(vec![request])
    }
}

impl From<Vec<HttpRequest>> for Outcome {
    fn from(requests: Vec<HttpRequest>) -> Self {
        Self::Send(requests)
    }
}
