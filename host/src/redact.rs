//! What a log for everybody does not show: phone numbers, and the parts of a URL that hold
//! numbers and secrets.
//!
//! Secrets need no masking, because they are kept out of texts from the start: those of the
//! settings are kept in a type that does not print, and no failure repeats what a
//! token server says in its own words.

/// From so many digits on, a number is somebody's.
const PHONE_NUMBER: usize = 7;

/// The text with the digits of phone numbers masked: of all numbers of seven digits and more, and
/// of those with a `+` in front that are written in groups.
pub fn numbers(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars() {
        let grouped = run.starts_with('+') && matches!(c, ' ' | '-' | '(' | ')' | '.');
        if c.is_ascii_digit() || grouped {
            run.push(c);
            continue;
        }
        flush(&mut run, &mut masked);
        match c {
            '+' => run.push(c),
            _ => masked.push(c),
        }
    }
    flush(&mut run, &mut masked);
    masked
}

/// Moves `run` to `masked`, masked if it is a phone number.
fn flush(run: &mut String, masked: &mut String) {
    let digits = run.chars().filter(char::is_ascii_digit).count();
    let mask = |c: char| if c.is_ascii_digit() && digits >= PHONE_NUMBER { '*' } else { c };
    masked.extend(run.drain(..).map(mask));
}

/// What a header's value may be shown as: nothing of one that is named as secrets usually are.
pub fn header<'a>(name: &str, value: &'a str) -> &'a str {
    let name = name.to_lowercase();
    let secret = ["auth", "cookie", "key", "password", "secret", "session", "token"];
    if secret.iter().any(|word| name.contains(word)) { "***" } else { value }
}

/// A URL without user, password, query and fragment.
pub fn address(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = bare.split_once("//").map_or(("", bare), |(scheme, rest)| (scheme, rest));
    let slashes = if rest.len() == bare.len() { "" } else { "//" };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{slashes}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_masked_and_limits_are_not() {
        let text = "no contact 420774852629 for 106; the limit is 65536";
        assert_eq!(numbers(text), "no contact ************ for 106; the limit is 65536");
        let text = "+420 774 852-629 and +420774852629, 10.0.0.254 and 2026-03-05, +12 34";
        assert_eq!(
            numbers(text),
            "+*** *** ***-*** and +************, 10.0.0.254 and 2026-03-05, +12 34"
        );
        assert_eq!(numbers(""), "");
        assert_eq!(numbers("1234567"), "*******");
    }

    #[test]
    fn headers_named_like_secrets_are_hidden() {
        for name in ["Authorization", "X-Api-Key", "x-crm-token", "Cookie", "proxy-authorization"] {
            assert_eq!(header(name, "value"), "***", "{name}");
        }
        assert_eq!(header("content-type", "value"), "value");
    }

    #[test]
    fn addresses_keep_the_host_and_the_path() {
        for (url, shown) in [
            ("https://user:secret@crm.example:8443/a/b?token=x#y", "https://crm.example:8443/a/b"),
            ("//user@crm.example/a", "//crm.example/a"),
            ("/login?next=1", "/login"),
            ("http://crm.example", "http://crm.example"),
            ("https://a:b@c@d?x", "https://d"),
            ("", ""),
        ] {
            assert_eq!(address(url), shown, "{url}");
        }
    }
}
