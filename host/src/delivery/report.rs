//! What the log says of deliveries. URLs stay out of it: they hold phone numbers.

use std::time::Duration;

use super::breaker::Change;
use super::endpoint::Outcome;
use super::exchange::host;
use super::failure::SendFailure;
use super::quiet::Said;
use super::verdict::Verdict;
use crate::outbox::Claimed;

/// An attempt is over. `kept` if the request waits for the endpoint whatever the verdict is.
pub(super) fn attempt(
    endpoint: &str,
    claimed: &Claimed,
    outcome: &Outcome,
    verdict: &Verdict,
    kept: bool,
    said: &mut Said,
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
    let Some(failure) = failure else { return };
    match verdict {
        Verdict::Dead(reason) if !kept => {
            // Under a name of its own: what is lost is no less loud for having failed before.
            if let Some(more) = said.loss(dead(failure), now) {
                let host = host(claimed);
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
                let host = host(claimed);
                tracing::warn!(
                    endpoint,
                    request,
                    host,
                    %failure,
                    ?wait,
                    more,
                    "A request failed and will be sent again."
                );
            }
        }
        _ => {}
    }
}

/// The endpoint was given up, or works again. `shut` if it lets nothing in.
pub(super) fn change(endpoint: &str, change: Change, shut: Option<&SendFailure>, wait: Duration) {
    match (change, shut) {
        (Change::Opened, Some(failure)) => tracing::error!(
            endpoint,
            %failure,
            "The endpoint does not let us in; its requests wait, and one is tried now and then. \
             Check the endpoint's credentials in the settings."
        ),
        (Change::Opened, None) => tracing::warn!(
            endpoint,
            ?wait,
            "The endpoint does not work; its requests wait, and one is tried now and then."
        ),
        (Change::Closed, _) => tracing::info!(endpoint, "The endpoint works again."),
    }
}

fn dead(failure: &SendFailure) -> &'static str {
    match failure {
        SendFailure::Status(_) => "dead: status",
        SendFailure::Redirect { .. } => "dead: redirect",
        SendFailure::Unsendable(_) | SendFailure::Refused(_) => "dead: request",
        _ => "dead: connection",
    }
}
