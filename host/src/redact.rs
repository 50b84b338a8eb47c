//! What a log for everybody does not show: phone numbers, and the parts of a URL that hold
//! numbers and secrets.
//!
//! Secrets need no masking, because they are kept out of texts from the start: those of the
//! settings are kept in a type that does not print, and no failure repeats what a
//! token server says in its own words.

use percent_encoding::percent_decode_str;
use url::Url;

/// From so many digits on, a number is somebody's.
const PHONE_NUMBER: usize = 7;

/// From so many letters and digits on, a word looks like a key.
const KEY: usize = 12;

/// So many bytes that two words share are no accident.
const SYLLABLE: usize = 4;

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

/// Where the answer to a request for `asked` sends us, as far as everybody may read it: scheme, host
/// and port, and of the path what is neither a part of `asked`, which may hold a key, nor looks
/// like a key itself. Its digits are masked where they may be a phone number.
///
/// Nothing if `location` leads nowhere.
pub fn redirect(asked: &str, location: &str) -> Option<String> {
    let asked = Url::parse(asked).ok()?;
    let to = asked.join(location).ok().filter(Url::has_host)?;
    let known = parts(&asked);
    // What is encoded twice cannot be compared.
    let opaque = |part: &str| part.contains('%') || holds_a_key(part);
    let hidden = |part: &str| opaque(part) || known.iter().any(|known| alike(known, part));
    let segments = to.path_segments().into_iter().flatten().map(|segment| {
        let shown = !hidden(&plain(segment));
        if shown { segment } else { "…" }
    });
    let path = segments.collect::<Vec<_>>().join("/");
    let many = path.chars().filter(char::is_ascii_digit).count() >= PHONE_NUMBER;
    let path = if many { path.replace(|c: char| c.is_ascii_digit(), "*") } else { path };
    let host = to.host_str().unwrap_or_default();
    let port = to.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{host}{port}/{path}", to.scheme()))
}

/// The parts of a path and of a query, names too, as they were meant.
fn parts(url: &Url) -> Vec<String> {
    let path = url.path_segments().into_iter().flatten().map(plain);
    let query = url.query().unwrap_or_default().split(['&', '=']).map(plain);
    path.chain(query).filter(|part| !part.is_empty()).collect()
}

/// What a part of a URL means, in small letters.
fn plain(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().to_lowercase()
}

/// Whether one of them is the other, or contains it as more than a syllable.
fn alike(known: &str, part: &str) -> bool {
    let contains = |whole: &str, part: &str| part.len() >= SYLLABLE && whole.contains(part);
    known == part || contains(known, part) || contains(part, known)
}

/// Whether there is something in the text that looks like a key: many letters and digits in a row,
/// some of each.
pub fn holds_a_key(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| {
        run.len() >= KEY
            && run.contains(|c: char| c.is_ascii_digit())
            && run.contains(|c: char| c.is_ascii_alphabetic())
    })
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
    fn a_redirect_is_shown_without_user_query_and_fragment() {
        let shown = |location| redirect("https://crm.example/hook?x=1", location);
        for (location, told) in [
            ("https://user:secret@new.example:8443/a/b?token=x#y", "https://new.example:8443/a/b"),
            ("//user@new.example/a", "https://new.example/a"),
            ("/login?next=1", "https://crm.example/login"),
            ("login", "https://crm.example/login"),
            ("http://new.example", "http://new.example/"),
            ("https://a:b@c@d?x", "https://d/"),
            ("https://10.0.0.254/v2/", "https://10.0.0.254/v2/"),
        ] {
            assert_eq!(shown(location).as_deref(), Some(told), "{location}");
        }
        for location in ["mailto:a@crm.example", "http://", "http://[x"] {
            assert_eq!(shown(location), None, "{location}");
        }
        assert_eq!(redirect("nowhere", "/login"), None);
    }

    #[test]
    fn a_redirect_repeats_nothing_of_what_was_asked_for() {
        let asked = "http://crm.example/rest/1/Canary%2Fkey/?auth=hunter2&caller=420123";
        for (location, told) in [
            ("https://crm.example/rest/1/Canary%2Fkey/", "https://crm.example/…/…/…/"),
            ("/rest/2/canary%2fkey", "http://crm.example/…/2/…"),
            ("/x/Canary/key/hunter2.json", "http://crm.example/x/…/key/…"),
            ("/old-canary%2Fkey-x/anary%2Fke", "http://crm.example/…/…"),
            ("/Canary%252Fkey/420123", "http://crm.example/…/…"),
            ("/session/abcdef012345/new", "http://crm.example/session/…/new"),
        ] {
            assert_eq!(redirect(asked, location).as_deref(), Some(told), "{location}");
        }
    }

    #[test]
    fn a_redirect_shows_no_phone_number() {
        for (location, told) in [
            ("/tel/774-852-629", "http://crm.example/tel/***-***-***"),
            ("/tel/774/852/629", "http://crm.example/tel/***/***/***"),
            ("/tel/774%20852%20629", "http://crm.example/tel/***%*****%*****"),
            ("/v2/2026", "http://crm.example/v2/2026"),
        ] {
            assert_eq!(redirect("http://crm.example/x", location).as_deref(), Some(told));
        }
    }
}
