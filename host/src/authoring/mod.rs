//! What authors of plugins get: a look at a component, and rehearsals of it with sample events.
//!
//! All of it runs the engine that the service runs, on plugins that are loaded as the service
//! loads them. Nothing is sent.

mod cases;
mod curl;
mod events;
mod project;
mod report;
mod secrets;
mod section;
mod subject;
mod templates;
mod trial;

pub use self::cases::{Case, cases};
pub use self::events::{Given, named_events, read_events, sample_events};
pub use self::project::{check_name, create};
pub use self::report::{commands, heading, json, size, text};
pub use self::section::section;
pub use self::subject::{Endpoint, Subject};
pub use self::templates::{LANGUAGES, Language, language};
pub use self::trial::{Stage, Trial};
