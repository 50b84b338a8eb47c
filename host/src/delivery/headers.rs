//! What a plugin's headers may say.
//!
//! Not theirs are the headers that decide where a message goes and where it ends, those of the
//! connection, and those by which the receiver knows the host; and, towards the endpoint itself,
//! the header of the endpoint's credentials and `Authorization`, once it has any credentials.

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::failure::SendFailure;
use crate::config::is_own_header;

/// So many headers at most.
const COUNT: usize = 64;

/// So many bytes of names and values at most.
const BYTES: usize = 16 * 1024;

/// The headers of a request as they may be sent. `credential` is the header of the credentials
/// that the request will get, if it will get any in a header; `None` if it gets none at all.
pub(super) fn checked(
    headers: &[(String, String)],
    credential: Option<&HeaderName>,
) -> Result<HeaderMap, SendFailure> {
    let unsendable = |why: String| Err(SendFailure::Unsendable(why));
    if headers.len() > COUNT {
        return unsendable(format!("{} headers, of {COUNT} at most", headers.len()));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > BYTES {
        return unsendable(format!("{bytes} bytes of headers, of {BYTES} at most"));
    }
    let mut checked = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let Ok(key) = name.parse::<HeaderName>() else {
            return unsendable(format!("no header name: {}", name.escape_debug()));
        };
        if is_own_header(key.as_str()) {
            return unsendable(format!("a header that is the service's own: {name}"));
        }
        if credential.is_some_and(|credential| key == credential || key == AUTHORIZATION) {
            return unsendable(format!("the header {key}, but the endpoint has credentials set"));
        }
        let Ok(value) = HeaderValue::from_str(value) else {
            return unsendable(format!("no header value: that of {key}"));
        };
        checked.append(key, value);
    }
    Ok(checked)
}
