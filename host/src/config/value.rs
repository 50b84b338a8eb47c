//! What a value can mean: a duration, a size, a yes or no, an address, a file, a list.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;
use url::{Host, ParseError, Url};

use super::error::{Fault, nearest};
use super::section::Value;

/// Any text but an empty one.
pub(super) fn text(value: &Value<'_>) -> Result<String, Fault> {
    if value.text.is_empty() { Err(value.wrong("a text")) } else { Ok(value.text.clone()) }
}

/// `yes` or `no`, in any of their spellings.
pub(super) fn flag(value: &Value<'_>) -> Result<bool, Fault> {
    match value.text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Ok(true),
        "no" | "false" | "0" => Ok(false),
        _ => Err(value.wrong("yes or no")),
    }
}

/// A duration from `least` to `most`.
pub(super) fn duration(
    least: Duration,
    most: Duration,
) -> impl Fn(&Value<'_>) -> Result<Duration, Fault> {
    move |value| one_duration(value, &value.text, least, most)
}

/// Durations, separated by commas.
pub(super) fn durations(
    least: Duration,
    most: Duration,
) -> impl Fn(&Value<'_>) -> Result<Vec<Duration>, Fault> {
    move |value| {
        list(value)?.into_iter().map(|item| one_duration(value, item, least, most)).collect()
    }
}

fn one_duration(
    value: &Value<'_>,
    text: &str,
    least: Duration,
    most: Duration,
) -> Result<Duration, Fault> {
    let wrong = |expected: String| Fault::BadValue { value: value.shown(text), expected };
    let duration = humantime::parse_duration(text)
        .map_err(|_| wrong("a duration such as 500ms, 5s, 2m, 1h or 30d".to_owned()))?;
    if duration < least || duration > most {
        let (least, most) = (written(least), written(most));
        return Err(wrong(format!("a duration from {least} to {most}")));
    }
    Ok(duration)
}

/// A duration as the manual writes it: in the largest unit that divides it.
fn written(duration: Duration) -> String {
    const UNITS: [(u128, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let millis = duration.as_millis();
    let fitting = UNITS.iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    fitting.map_or("0s".to_owned(), |(unit, name)| format!("{}{name}", millis / unit))
}

/// A whole number from `least` to `most`.
pub(super) fn number<T: FromStr + PartialOrd + Display>(
    least: T,
    most: T,
) -> impl Fn(&Value<'_>) -> Result<T, Fault> {
    move |value| {
        let number = value.text.parse().ok().filter(|number| (&least..=&most).contains(&number));
        number.ok_or_else(|| value.wrong(format!("a number from {least} to {most}")))
    }
}

/// A number of bytes from `least` to `most` MiB.
pub(super) fn mebibytes(least: u64, most: u64) -> impl Fn(&Value<'_>) -> Result<u64, Fault> {
    move |value| {
        let size = parse_size::parse_size(&value.text)
            .map_err(|_| value.wrong("a size such as 512KiB or 64MiB"))?;
        if !(least << 20..=most << 20).contains(&size) {
            return Err(value.wrong(format!("a size from {least}MiB to {most}MiB")));
        }
        Ok(size)
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(
    what: &'static str,
    words: &[(&str, T)],
) -> impl Fn(&Value<'_>) -> Result<T, Fault> {
    move |value| word(value, &value.text, what, words)
}

/// The meaning of one word of a value.
pub(super) fn word<T: Copy>(
    value: &Value<'_>,
    text: &str,
    what: &'static str,
    words: &[(&str, T)],
) -> Result<T, Fault> {
    let found = words.iter().find_map(|(word, meaning)| (*word == text).then_some(*meaning));
    found.ok_or_else(|| {
        let known: Vec<String> = words.iter().map(|(word, _)| (*word).to_owned()).collect();
        unknown_word(value, text, what, known)
    })
}

/// That a word of a value is none of the known ones.
pub(super) fn unknown_word(
    value: &Value<'_>,
    word: &str,
    what: &'static str,
    known: Vec<String>,
) -> Fault {
    let nearest = nearest(word, known.iter().map(String::as_str));
    Fault::UnknownWord { what, word: value.shown(word), nearest, known }
}

/// The items between commas; at least one, none of them empty.
pub(super) fn list<'v>(value: &'v Value<'_>) -> Result<Vec<&'v str>, Fault> {
    let items: Vec<&str> = value.text.split(',').map(str::trim).collect();
    if items.iter().any(|item| item.is_empty()) {
        return Err(value.wrong("one or more items with commas between them"));
    }
    Ok(items)
}

/// An absolute http or https address. Credentials in it are refused: they would end up in logs.
pub(super) fn address(value: &Value<'_>) -> Result<Url, Fault> {
    let parsed = Url::parse(&value.text);
    if parsed == Err(ParseError::InvalidPort) {
        return Err(not_address(value, "an address with a port up to 65535"));
    }
    let url = parsed
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| not_address(value, "an address that starts with https:// or http://"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(not_address(value, "an address without user and password in it"));
    }
    if url.fragment().is_some() {
        return Err(not_address(value, "an address without a # part"));
    }
    Ok(url)
}

/// That a value is not the address that was expected.
pub(super) fn not_address(value: &Value<'_>, expected: &str) -> Fault {
    let shown = value.shown(&harmless(&value.text));
    Fault::BadValue { value: shown, expected: expected.to_owned() }
}

/// An address as it may be shown: without user, password and query, where secrets may be.
fn harmless(address: &str) -> String {
    let (address, query) = match address.split_once('?') {
        Some((address, _)) => (address, "?..."),
        None => (address, ""),
    };
    let address = match address.rsplit_once('@') {
        Some((_, host)) => format!("...@{host}"),
        None => address.to_owned(),
    };
    address + query
}

/// Whether what is sent there can be read on the way.
pub(super) fn travels_in_the_open(url: &Url) -> bool {
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !here
}

/// A path that need not exist.
pub(super) fn path(value: &Value<'_>) -> Result<PathBuf, Fault> {
    text(value).map(|_| value.file.resolve(&value.text))
}

/// A file that must exist.
pub(super) fn file(value: &Value<'_>) -> Result<PathBuf, Fault> {
    let path = path(value)?;
    let around = value.file.around;
    match (around.is_file(&path), around.is_folder(&path)) {
        (true, _) => Ok(path),
        (false, true) => Err(Fault::IsFolder(path)),
        (false, false) => Err(Fault::NoFile(path)),
    }
}

/// A time zone by its IANA name.
pub(super) fn time_zone(value: &Value<'_>) -> Result<TimeZone, Fault> {
    TimeZone::get(&value.text)
        .map_err(|_| value.wrong("a time zone such as Europe/Prague or America/New_York"))
}

/// `off`, or where to listen.
pub(super) fn listen(value: &Value<'_>) -> Result<Option<SocketAddr>, Fault> {
    match value.text.as_str() {
        "off" => Ok(None),
        text => match text.parse() {
            Ok(address) => Ok(Some(address)),
            Err(_) => Err(value.wrong("off, or an IP address with a port such as 127.0.0.1:8480")),
        },
    }
}
