//! Where a request goes after its endpoint has moved.
//!
//! With its URL a request keeps the endpoint's `url` of the time when it was made. If the settings
//! say another one by now, what hung on the old one hangs on the new one: scheme, host and port;
//! the path, as far as the request's began with the endpoint's; then its query, too. The rest is
//! kept to the letter. What a plugin sent to another host stays as it is.

use std::borrow::Cow;

use hyper::Uri;
use url::Url;

/// The `url` of a request that was made when the endpoint's was `base`, now that it is `today`.
/// Without a `base` it is not known to hang on anything.
pub fn follow<'a>(url: &'a str, base: Option<&str>, today: &Url) -> Cow<'a, str> {
    let before = base.filter(|base| *base != today.as_str());
    before.and_then(|base| moved(url, base, today)).map_or(Cow::Borrowed(url), Cow::Owned)
}

/// `None` if it is not the endpoint's own address.
fn moved(url: &str, base: &str, today: &Url) -> Option<String> {
    let origin = |text: &str| Url::parse(text).ok().map(|url| url.origin());
    let (own, base_uri): (Uri, Uri) = (url.parse().ok()?, base.parse().ok()?);
    if own.authority()?.as_str().contains('@') || origin(url)? != origin(base)? {
        return None;
    }
    let (path, query) = match rest_of_path(own.path(), base_uri.path()) {
        Some(rest) => {
            let rest_of_query = rest_of_query(own.query(), base_uri.query());
            (path(today.path(), rest), query(today.query(), own.query(), rest_of_query))
        }
        None => (own.path().to_owned(), own.query().map(str::to_owned)),
    };
    let origin = today.origin().ascii_serialization();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{origin}{path}{query}"))
}

/// What comes behind the endpoint's path, if the request's path begins with it.
fn rest_of_path<'a>(own: &'a str, base: &str) -> Option<&'a str> {
    let rest = own.strip_prefix(base)?;
    (rest.is_empty() || base.ends_with('/') || rest.starts_with('/')).then_some(rest)
}

/// What comes behind the endpoint's query, if the request's query begins with it.
fn rest_of_query<'a>(own: Option<&'a str>, base: Option<&str>) -> Option<&'a str> {
    let (own, base) = (own.unwrap_or_default(), base.unwrap_or_default());
    let base = base.trim_end_matches('&');
    let rest = own.strip_prefix(base)?;
    if base.is_empty() || rest.is_empty() { Some(rest) } else { rest.strip_prefix('&') }
}

fn path(today: &str, rest: &str) -> String {
    if rest.is_empty() {
        return today.to_owned();
    }
    let today = today.strip_suffix('/').unwrap_or(today);
    format!("{today}/{}", rest.strip_prefix('/').unwrap_or(rest))
}

/// A query that does not begin with the endpoint's is the plugin's alone.
fn query(today: Option<&str>, own: Option<&str>, rest: Option<&str>) -> Option<String> {
    let Some(rest) = rest else { return own.map(str::to_owned) };
    let today = today.unwrap_or_default().trim_end_matches('&');
    let parts: Vec<&str> = [today, rest].into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(url: &str, base: &str, today: &str) -> String {
        follow(url, Some(base), &Url::parse(today).unwrap()).into_owned()
    }

    #[test]
    fn what_hung_on_the_old_address_hangs_on_the_new_one() {
        for (base, url, today, expected) in [
            ("http://a/", "http://a/?x=%20&y", "https://b:8443/", "https://b:8443/?x=%20&y"),
            ("http://a/", "http://a/?x=1", "https://b/in?key=2", "https://b/in?key=2&x=1"),
            ("http://a/in?key=1", "http://a/in?key=1&x=1", "https://b/", "https://b/?x=1"),
            ("http://a/in?key=1", "http://a/in?key=1", "https://b/", "https://b/"),
            ("http://a/in?key=1&", "http://a/in?key=1&x=1", "https://b/?k&", "https://b/?k&x=1"),
            ("http://a/v1", "http://a/v1/contacts?x", "https://b/v2/", "https://b/v2/contacts?x"),
            ("http://a/v1/", "http://a/v1/contacts", "https://b/v2", "https://b/v2/contacts"),
            ("http://a/v1?k=1", "http://a/v1/c?k=1&x", "http://a/v1?k=2", "http://a/v1/c?k=2&x"),
            // Another spelling of the same host and port.
            ("http://a/", "http://A:80/x", "https://b/", "https://b/x"),
        ] {
            assert_eq!(goes(url, base, today), expected, "{url}");
        }
    }

    #[test]
    fn a_plugins_own_path_and_query_stay_on_the_new_host() {
        for (base, url, today, expected) in [
            ("http://a/in", "http://a/other?x=1", "https://b/new?key=2", "https://b/other?x=1"),
            ("http://a/in", "http://a/inside", "https://b/new", "https://b/inside"),
            ("http://a/in?k=1", "http://a/in?x=1", "https://b/new?k=2", "https://b/new?x=1"),
            ("http://a/in?k=1", "http://a/in?k=12", "https://b/new?k=2", "https://b/new?k=12"),
        ] {
            assert_eq!(goes(url, base, today), expected, "{url}");
        }
    }

    #[test]
    fn what_is_not_the_endpoints_own_stays_as_it_is() {
        let today = Url::parse("https://b/").unwrap();
        for url in [
            "http://other/x",
            "https://a/x",
            "http://a:81/x",
            "http://user@a/x",
            "no url",
            "ftp://a/x",
        ] {
            assert_eq!(follow(url, Some("http://a/"), &today), url);
        }
        assert_eq!(follow("http://a/x", None, &today), "http://a/x");
        assert_eq!(follow("https://b/%7e?x", Some("https://b/"), &today), "https://b/%7e?x");
    }
}
