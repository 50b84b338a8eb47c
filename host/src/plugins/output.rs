//! What a plugin may return, checked before anything is stored or sent.

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use url::Url;

use super::failure::FailureKind;
use super::redact::one_line;
use crate::request::Request;

/// Requests that one call may return. Meant to stop a plugin that multiplies by mistake: the
/// chattiest CRM known needs five per event.
pub const MAX_REQUESTS: usize = 64;

/// Headers that one request may have.
pub const MAX_HEADERS: usize = 64;

/// Bytes of everything that one call returns. Requests are kept in the outbox until they are
/// delivered, so this bounds what one event can add to it; no CRM takes bodies of that size for a
/// call.
pub const MAX_OUTPUT: usize = 4 << 20;

/// Headers that describe the connection or the message as it is sent; the host sets them.
const OWN_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that the host adds start with one of these.
const OWN_PREFIXES: [&str; 3] = ["proxy-", "webhook-", "x-callhook-"];

/// Bytes that a message repeats of what a plugin returned.
const MAX_SHOWN: usize = 100;

/// What is wrong with the requests: the kind of failure, and in words.
type Fault = (FailureKind, String);

/// Passes requests that can be sent, and takes the fragment off their URLs.
pub(super) fn check(mut requests: Vec<Request>) -> Result<Vec<Request>, Fault> {
    if requests.len() > MAX_REQUESTS {
        let (limit, got) = (MAX_REQUESTS, requests.len());
        let message = format!(
            "returned {got} requests, more than the {limit} allowed for one event; look for a \
             loop that adds too many"
        );
        return Err((FailureKind::TooManyRequests { limit, got }, message));
    }
    let size = requests.iter().map(size).fold(0, usize::saturating_add);
    if size > MAX_OUTPUT {
        return Err(too_large());
    }
    for (place, request) in requests.iter_mut().enumerate() {
        check_one(request)
            .map_err(|(kind, message)| (kind, format!("request {}: {message}", place + 1)))?;
    }
    Ok(requests)
}

/// The failure of a plugin that returns more than [`MAX_OUTPUT`].
pub(super) fn too_large() -> Fault {
    let message = format!(
        "handed over more than {} MiB at once, in a result or as arguments of an import; send \
         less data, or in several requests",
        MAX_OUTPUT >> 20
    );
    (FailureKind::OutputTooLarge { limit: MAX_OUTPUT }, message)
}

fn size(request: &Request) -> usize {
    let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let tag = request.tag.as_ref().map_or(0, String::len);
    request.method.len()
        + request.url.len()
        + headers
        + request.body.len()
        + request.state.len()
        + tag
}

fn check_one(request: &mut Request) -> Result<(), Fault> {
    check_method(&request.method).map_err(|message| (FailureKind::BadMethod, message))?;
    if let Some(fragment) = request.url.find('#') {
        request.url.truncate(fragment);
    }
    check_url(&request.url).map_err(|message| (FailureKind::BadUrl, message))?;
    if request.headers.len() > MAX_HEADERS {
        let message = format!(
            "it has {} headers, more than the {MAX_HEADERS} allowed",
            request.headers.len()
        );
        return Err((FailureKind::BadHeader, message));
    }
    for (name, value) in &request.headers {
        check_header(name, value).map_err(|message| (FailureKind::BadHeader, message))?;
    }
    Ok(())
}

fn check_method(method: &str) -> Result<(), String> {
    match Method::from_bytes(method.as_bytes()) {
        Ok(Method::CONNECT) => {
            Err("method \"CONNECT\" opens a tunnel and cannot be sent".to_owned())
        }
        Ok(_) => Ok(()),
        Err(_) => Err(format!("method {} is not a token such as GET or POST", shown(method))),
    }
}

/// The URL is not repeated in the message: its query may hold a key or a caller's number.
fn check_url(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| {
        format!(
            "its URL cannot be used ({error}); it must be absolute, such as https://crm.example/x"
        )
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "its URL has the scheme {:?}; only http and https are sent",
            one_line(url.scheme(), MAX_SHOWN)
        ));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("its URL names no host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its URL has a user name or password in it; the endpoint's settings are the \
                    place for credentials"
            .to_owned());
    }
    // What is sent is the text as it stands, not what a lenient parser made of it.
    if !text.is_ascii() || text.parse::<hyper::Uri>().is_err() {
        return Err("its URL has characters that must be percent-encoded".to_owned());
    }
    Ok(())
}

fn check_header(name: &str, value: &str) -> Result<(), String> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("header name {} is not a token such as X-Api-Version", shown(name)))?;
    let own = OWN_HEADERS.contains(&parsed.as_str())
        || OWN_PREFIXES.iter().any(|prefix| parsed.as_str().starts_with(prefix));
    if own {
        return Err(format!("header {} is the host's own; leave it out", shown(name)));
    }
    HeaderValue::from_str(value).map(|_| ()).map_err(|_| {
        format!(
            "the value of header {} has characters other than visible ASCII; encode them, or \
                 put them into the body",
            shown(name)
        )
    })
}

/// In quotes, and only the beginning of it.
fn shown(text: &str) -> String {
    format!("{:?}", one_line(text, MAX_SHOWN))
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
