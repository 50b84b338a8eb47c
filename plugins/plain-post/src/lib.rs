//! One JSON POST per event, with all that is known of it.
//!
//! The body is [`callhook_plugin::json::event`]; the settings add to it what a receiver would
//! otherwise have to look up or work out by itself.

use callhook_plugin::{
    CallEvent, Failure, HttpRequest, Outcome, Plugin, Problem, Setting, directory, json, numbers,
    settings,
};
use serde_json::{Map, Value};

struct PlainPost;

impl Plugin for PlainPost {
    const SUMMARY: &str = "One JSON POST per event, with all that is known of it";

    fn settings() -> Vec<Setting> {
        let country = "country code, such as 420: adds caller_e164, the caller's number as \
                       +420774852629";
        let directory = "yes: adds the further columns of the user's line in [directory] as \
                         user.columns";
        vec![Setting::new("country", country), Setting::new("directory", directory).or("no")]
    }

    fn check() -> Vec<Problem> {
        let mut problems = Vec::new();
        let country = settings::get("country").unwrap_or_default();
        if !country.trim_start_matches('+').chars().all(|c| c.is_ascii_digit()) {
            problems.push(Problem::new("country", "expected digits, such as 420"));
        }
        if settings::yes("directory").is_err() {
            problems.push(Problem::new("directory", "expected yes or no"));
        }
        problems
    }

    fn transform(event: CallEvent, draft: HttpRequest) -> Result<Outcome, Failure> {
        Ok(draft.post_json(&body(&event)?.into()).into())
    }
}

fn body(event: &CallEvent) -> Result<Map<String, Value>, Failure> {
    let mut body = json::event(event);
    if let Some(country) = settings::get("country") {
        let number = numbers::e164(&event.caller_id, Some(&country));
        body.insert("caller_e164".to_owned(), number.into());
    }
    if settings::yes("directory")?
        && let Some(Value::Object(user)) = body.get_mut("user")
    {
        let columns = directory::find(&event.user.number).map(|person| person.columns);
        user.insert("columns".to_owned(), json::fields(&columns.unwrap_or_default()));
    }
    Ok(body)
}

callhook_plugin::export!(PlainPost);

#[cfg(test)]
mod tests;
