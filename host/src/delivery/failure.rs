//! Why an attempt failed, and what that says about the next one.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use hyper::StatusCode;
use hyper_util::client::legacy;

use super::breaker::Sign;
use crate::tls;

/// Why an attempt to send a request failed.
///
/// No text in it holds a URL's query: those hold phone numbers, and failures are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// The request cannot be put into HTTP.
    Unsendable(String),
    /// The request would go where it must not, or claim what is not its own.
    Refused(String),
    /// There is nothing to show the endpoint, and there will not be until the operator acts.
    Denied(String),
    /// There is nothing to show the endpoint for now.
    Credentials(String),
    /// The host's name has no address.
    Resolve(String),
    /// There is no connection to the host.
    Connect(String),
    /// The host is not trusted, or does not speak TLS as it should.
    Tls(String),
    /// The exchange took longer than this. The request may have been received.
    Timeout(Duration),
    /// The connection broke, or the reply is not HTTP. The request may have been received.
    Broken(String),
    /// The reply says that it is at another address. It is not followed there.
    Redirect {
        /// The reply's status.
        status: StatusCode,
        /// Where to, as far as it may be shown.
        location: Option<String>,
    },
    /// The reply's status is neither a success nor a redirect.
    Status(StatusCode),
    /// The plugin reads in the reply that the endpoint wants the request later.
    Postponed {
        /// Not before this time.
        after: Duration,
        /// Why.
        reason: String,
    },
    /// The plugin reads in the reply that the request will never work, for this reason.
    GivenUp(String),
    /// The reply's status, 401 or 410, is that of another host than the endpoint's own. It says
    /// nothing about the endpoint.
    Elsewhere(StatusCode),
}

/// How long a failure is worth trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as the endpoint's schedule lasts.
    Schedule,
    /// For the few attempts at what was refused.
    Refusals,
    /// Not at all.
    None,
    /// Until the endpoint lets us in; that is not the request's fault.
    Shut,
    /// Until the operator says that the endpoint is back.
    Gone,
}

impl SendFailure {
    /// Why there was no reply.
    pub(super) fn of(error: &legacy::Error) -> Self {
        if let Some(failure) = find::<Self>(error) {
            return failure.clone();
        }
        let text = chain(error.source().unwrap_or(error));
        if let Some(error) = find::<rustls::Error>(error) {
            Self::Tls(tls::explain(error))
        } else if error.is_connect() {
            Self::Connect(text)
        } else {
            Self::Broken(text)
        }
    }

    /// Why there is no secure connection.
    pub(super) fn handshake(error: &io::Error) -> Self {
        match find::<rustls::Error>(error) {
            Some(error) => Self::Tls(tls::explain(error)),
            None => Self::Tls(format!("the handshake broke off: {error}")),
        }
    }

    /// How long it is worth trying again.
    pub(super) fn patience(&self) -> Patience {
        match self {
            Self::Unsendable(_)
            | Self::Refused(_)
            | Self::Redirect { .. }
            | Self::GivenUp(_)
            | Self::Elsewhere(StatusCode::GONE) => Patience::None,
            Self::Elsewhere(_) => Patience::Refusals,
            Self::Denied(_) | Self::Status(StatusCode::UNAUTHORIZED) => Patience::Shut,
            Self::Status(StatusCode::GONE) => Patience::Gone,
            Self::Status(
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS,
            ) => Patience::Schedule,
            Self::Status(status) if !status.is_server_error() => Patience::Refusals,
            _ => Patience::Schedule,
        }
    }

    /// What it says about the endpoint; `None` if that is nothing.
    pub(super) fn sign(&self) -> Option<Sign> {
        match self {
            Self::Unsendable(_) | Self::Refused(_) => None,
            Self::Denied(_) | Self::Status(StatusCode::UNAUTHORIZED) => Some(Sign::Shut),
            Self::Resolve(_) | Self::Connect(_) | Self::Tls(_) => Some(Sign::Unconnected),
            Self::Timeout(_)
            | Self::Broken(_)
            | Self::Credentials(_)
            | Self::Status(StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
                Some(Sign::Bad)
            }
            Self::Status(status) if status.is_server_error() => Some(Sign::Bad),
            Self::Redirect { .. }
            | Self::Status(_)
            | Self::Elsewhere(_)
            | Self::Postponed { .. }
            | Self::GivenUp(_) => Some(Sign::Good),
        }
    }

    /// Whether it was too much for the endpoint.
    pub(super) fn is_push_back(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Timeout(_) | Self::Postponed { .. } => true,
            Self::Status(status) => matches!(status.as_u16(), 408 | 429 | 502..=504),
            _ => false,
        }
    }

    /// What the next attempt does not come before, whatever else is said.
    pub(super) fn least_wait(&self) -> Duration {
        if let Self::Postponed { after, .. } = self { *after } else { Duration::ZERO }
    }

    /// A name for metrics, and for what is said once in the log.
    pub(super) fn class(&self) -> &'static str {
        match self {
            Self::Unsendable(_) => "unsendable",
            Self::Refused(_) => "forbidden",
            Self::Denied(_) => "denied",
            Self::Credentials(_) => "credentials",
            Self::Resolve(_) => "resolve",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Timeout(_) => "timeout",
            Self::Broken(_) => "broken",
            Self::Redirect { .. } => "redirect",
            Self::Status(StatusCode::UNAUTHORIZED) => "unauthorized",
            Self::Status(StatusCode::GONE) => "gone",
            Self::Status(StatusCode::TOO_MANY_REQUESTS) => "throttled",
            Self::Status(status) if status.is_server_error() => "server-error",
            Self::Status(_) | Self::Elsewhere(_) => "refused",
            Self::Postponed { .. } => "postponed",
            Self::GivenUp(_) => "given-up",
        }
    }
}

impl fmt::Display for SendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsendable(why) => write!(f, "the request cannot be sent: {why}"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Denied(why) => write!(f, "no credentials until somebody acts: {why}"),
            Self::Credentials(why) => write!(f, "no credentials for now: {why}"),
            Self::Resolve(why) => write!(f, "the host's name cannot be resolved: {why}"),
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::Tls(why) => write!(f, "no secure connection: {why}"),
            Self::Timeout(after) => write!(f, "no complete reply within {after:?}"),
            Self::Broken(why) => write!(f, "the exchange broke off: {why}"),
            Self::Redirect { status, location } => {
                let to = location.as_deref().map(|to| format!(" to {to}")).unwrap_or_default();
                write!(
                    f,
                    "the answer was {status}{to}, which is not followed; set url to where \
                     requests belong, then see `callhook deliveries retry`"
                )
            }
            Self::Elsewhere(status) => {
                write!(f, "the answer of a host that is not the endpoint's own was {status}")
            }
            Self::Status(StatusCode::GONE) => write!(f, "the answer was 410: the address is gone"),
            Self::Status(status) => write!(f, "the answer was {status}"),
            Self::Postponed { reason, .. } => write!(f, "the plugin wants it later: {reason}"),
            Self::GivenUp(why) => write!(f, "given up by the plugin: {why}"),
        }
    }
}

impl Error for SendFailure {}

/// The error and its causes in one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The first `E` among the error and its causes.
pub(super) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error stands in for what it wraps: its source is the source of that.
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
