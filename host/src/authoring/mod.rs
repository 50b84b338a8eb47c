//! What authors of plugins get: a look at a component, and rehearsals of it with sample events.
//!
//! All of it runs the engine that the service runs, on plugins that are loaded as the service
//! loads them. Nothing is sent.

mod cases;
mod curl;
mod events;
mod report;
mod secrets;
mod section;
mod subject;
mod trial;

pub use self::cases::{Case, cases};
pub use self::events::{Given, named_events, read_events, sample_events};
pub use self::report::{commands, heading, json, size, text};
pub use self::section::section;
pub use self::subject::{Endpoint, Subject};
pub use self::trial::{Stage, Trial};
