//! Requests from templates in the .ini, so that most CRMs need no program.
//!
//! `settings` reads which template makes which part of a request, for which kind of event;
//! `context` is what the templates can name; `engine` renders them, and `page` writes every value
//! as the place needs it where it stands. `check` finds what is wrong before the first event, and
//! `outline` shows where, without secrets.

mod check;
mod context;
mod engine;
mod filters;
mod names;
mod outline;
mod page;
mod request;
mod settings;

use callhook_plugin::{CallEvent, Failure, HttpRequest, Outcome, Plugin, Problem, Setting};

use crate::engine::Engine;
use crate::settings::Settings;

struct Template;

impl Plugin for Template {
    const SUMMARY: &str = "Requests from templates in the .ini";

    fn settings() -> Vec<Setting> {
        settings::described()
    }

    fn check() -> Vec<Problem> {
        check::problems(&callhook_plugin::settings::all())
    }

    fn transform(event: CallEvent, draft: HttpRequest) -> Result<Outcome, Failure> {
        let all = callhook_plugin::settings::all();
        let settings =
            Settings::read(&all).map_err(|fault| Failure::BadSettings(fault.to_string()))?;
        let engine = Engine::new(&settings);
        request::make(&settings, &engine, &event, draft)
            .map_err(|fault| Failure::BadMapping(format!("{fault} (event {})", event.kind.name())))
    }
}

callhook_plugin::export!(Template);

#[cfg(test)]
mod tests;
