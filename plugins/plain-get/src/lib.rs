//! The default plugin of callhook: one plain GET per event, with the parameters in its address.
//!
//! It takes no settings, uses nothing of the host and keeps nothing. `mapping` is the whole of it;
//! this file only hands it to the host.

mod mapping;

use callhook_plugin::{CallEvent, Failure, HttpRequest, Outcome, Plugin};
use mapping::Dialect;

struct PlainGet;

impl Plugin for PlainGet {
    const SUMMARY: &str = "One GET per event, with the event's data as parameters";

    fn transform(event: CallEvent, draft: HttpRequest) -> Result<Outcome, Failure> {
        Ok(match mapping::parameters(&event, Dialect::of(&draft)) {
            Some(parameters) => draft.with_query(parameters).into(),
            None => Outcome::skip("plain-get has no parameters for this kind of event"),
        })
    }
}

callhook_plugin::export!(PlainGet);
