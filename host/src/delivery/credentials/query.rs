//! A credential in a URL's query.

use hyper::Uri;
use url::form_urlencoded::{byte_serialize, parse};

use super::super::failure::SendFailure;

/// The URL with the parameter `name` set to `value`. Parameters of the same name that were there
/// are gone; the others stay as they are, to the letter.
pub(super) fn with(url: &Uri, name: &str, value: &str) -> Result<Uri, SendFailure> {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let mut query = String::new();
    for pair in url.query().unwrap_or_default().split('&') {
        let same = parse(pair.as_bytes()).any(|(other, _)| other == name);
        if !pair.is_empty() && !same {
            query.push_str(pair);
            query.push('&');
        }
    }
    let whole = format!("{}?{query}{}={}", url.path(), encode(name), encode(value));
    let mut parts = url.clone().into_parts();
    let unsendable = || SendFailure::Unsendable("the URL is too long".to_owned());
    parts.path_and_query = Some(whole.parse().map_err(|_| unsendable())?);
    Uri::from_parts(parts).map_err(|_| unsendable())
}
