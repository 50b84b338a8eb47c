//! `proxy`: an HTTP proxy on the way to an endpoint, and what it is shown of us.

use percent_encoding::percent_decode_str;
use url::Url;

use super::error::Fault;
use super::secret::Secret;
use super::section::{Reader, Value};
use super::value;

const KEY: &str = "proxy";

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its address, `http://host:port/`, with nothing else in it.
    pub url: Url,
    /// The user and the password that it wants to see, RFC 7617.
    pub user: Option<(String, Secret)>,
}

/// Reads `proxy`.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Proxy> {
    let proxy = reader.optional(KEY, proxy)?;
    if proxy.user.is_some() {
        reader.warn_of_readable_secret(KEY);
    }
    Some(proxy)
}

fn proxy(value: &Value<'_>) -> Result<Proxy, Fault> {
    let wrong = |expected| value::not_address(value, expected);
    let expected = "a proxy's address that starts with http://";
    let url = Url::parse(&value.text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    let mut url = url.ok_or_else(|| wrong(expected))?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(
            "a proxy's address without a path, such as http://proxy.example.com:3128",
        ));
    }
    let named = !url.username().is_empty() || url.password().is_some();
    let expected = "user:password before the @, without a colon in the user, percent-encoded UTF-8";
    let user = named.then(|| user(&url).ok_or_else(|| wrong(expected))).transpose()?;
    // Neither fails for an address with a host.
    let _bare = url.set_username("").and_then(|()| url.set_password(None));
    Ok(Proxy { url, user })
}

/// The user and the password in an address; nothing if no header can hold them.
fn user(url: &Url) -> Option<(String, Secret)> {
    let plain = |text| percent_decode_str(text).decode_utf8().ok();
    let (user, password) = (plain(url.username())?, plain(url.password().unwrap_or_default())?);
    let clean = ![&user, &password].iter().any(|text| text.contains(char::is_control));
    (clean && !user.contains(':')).then(|| (user.into_owned(), Secret::new(password)))
}
