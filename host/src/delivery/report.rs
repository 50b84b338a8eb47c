//! What the log says of deliveries. URLs stay out of it: they hold phone numbers.

use std::time::Duration;

use super::breaker::Change;
use super::exchange::host;
use super::failure::SendFailure;
use super::outcome::Outcome;
use super::skew;
use super::status::NOTABLE;
use super::verdict::Verdict;
use crate::outbox::Claimed;
use crate::quiet::Said;
use crate::redact;

/// The kind of failure that is an outage.
const DOWN: &str = "down";

/// An attempt is over. `kept` if the request waits for the endpoint whatever the verdict is.
/// `change` is what that changed at the endpoint.
pub(super) fn attempt(
    endpoint: &str,
    claimed: &Claimed,
    outcome: &Outcome,
    verdict: &Verdict,
    kept: bool,
    change: Option<Change>,
    said: &mut Said<&'static str>,
) {
    let request = &claimed.id;
    let status = outcome.reply.as_ref().map(|reply| reply.status.as_u16());
    let attempt = claimed.attempts.saturating_add(1);
    let failure = outcome.failure.as_ref();
    let now = outcome.ended.mono;
    let shown = failure.map(tracing::field::display);
    tracing::debug!(
        endpoint,
        request,
        attempt,
        status,
        failure = shown,
        ?verdict,
        kept,
        "A request was sent."
    );
    if change == Some(Change::Opened) {
        said.begins(DOWN, now);
    }
    let Some(failure) = failure else { return };
    match verdict {
        Verdict::Dead(reason) if !kept => {
            // Under a name of its own: what is lost is no less loud for having failed before.
            if let Some(more) = said.loss(dead(failure), now) {
                let host = host(claimed).map(|host| redact::numbers(&host));
                let reason = redact::numbers(reason);
                tracing::error!(
                    endpoint,
                    request,
                    host,
                    reason,
                    more,
                    "A request failed and will not be sent again."
                );
            }
        }
        Verdict::Retry(wait) if !kept => {
            if let Some(more) = said.news(failure.class(), now) {
                let host = host(claimed).map(|host| redact::numbers(&host));
                let failure = redact::numbers(&failure.to_string());
                tracing::warn!(
                    endpoint,
                    request,
                    host,
                    failure,
                    ?wait,
                    more,
                    "A request failed and will be sent again."
                );
            }
        }
        Verdict::Shut => {
            let news = said.news(failure.class(), now).is_some();
            if news || change == Some(Change::Opened) {
                let failure = redact::numbers(&failure.to_string());
                tracing::error!(
                    endpoint,
                    failure,
                    "The endpoint does not let us in; its requests wait, and one is tried now \
                     and then. Check the endpoint's credentials in the settings."
                );
            }
        }
        Verdict::Retry(_) | Verdict::Dead(_) if change.is_none() => {
            if let Some(more) = said.goes_on(DOWN, now) {
                let failure = redact::numbers(&failure.to_string());
                tracing::error!(
                    endpoint,
                    failure,
                    more,
                    "The endpoint still does not work; its requests wait, and one is tried now \
                     and then."
                );
            }
        }
        _ => {}
    }
}

/// The endpoint asked for so long a pause.
pub(super) fn pause(endpoint: &str, quiet: Duration, now: Duration, said: &mut Said<&'static str>) {
    if quiet >= NOTABLE && said.news("pause", now).is_some() {
        tracing::warn!(
            endpoint,
            ?quiet,
            "The endpoint asked for a pause; all its requests wait for so long."
        );
    }
}

/// The endpoint was given up because it does not work, or it works again.
pub(super) fn change(endpoint: &str, change: Change, wait: Duration) {
    match change {
        Change::Opened => tracing::warn!(
            endpoint,
            ?wait,
            "The endpoint does not work; its requests wait, and one is tried now and then."
        ),
        Change::Closed => tracing::info!(endpoint, "The endpoint works again."),
    }
}

/// The endpoint's clock is so many seconds ahead of ours, or agrees with it again.
pub(super) fn clocks(endpoint: &str, seconds: i64) {
    if skew::is_wrong(seconds) {
        tracing::warn!(
            endpoint,
            seconds,
            "The endpoint's clock is so far ahead of ours (behind if negative); set whichever is \
             wrong: from five minutes on, signatures are refused."
        );
    } else {
        tracing::info!(endpoint, "The endpoint's clock and ours agree again.");
    }
}

fn dead(failure: &SendFailure) -> &'static str {
    match failure {
        SendFailure::Status(_) | SendFailure::Elsewhere(_) => "dead: status",
        SendFailure::Redirect { .. } => "dead: redirect",
        SendFailure::Postponed { .. } | SendFailure::GivenUp(_) => "dead: judged",
        SendFailure::Unsendable(_) | SendFailure::Refused(_) => "dead: request",
        _ => "dead: connection",
    }
}
