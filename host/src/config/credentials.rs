//! What the host adds to requests so that the endpoint lets them in: `auth` and its companions.
//!
//! Which of them are needed depends on `auth`; one that does not go with it is a fault, because
//! whoever wrote it believes that it is sent.

use hyper::header::HeaderName;

use super::delivery::{Credentials, OAuth2};
use super::error::Fault;
use super::secret::Secret;
use super::section::{Reader, Value, hidden};
use super::value;

/// What can stand behind `auth =`, and the keys that go with it.
const KINDS: [(&str, Kind, &[&str]); 7] = [
    ("none", Kind::None, &[]),
    ("basic", Kind::Basic, &["auth_user", "auth_password"]),
    ("bearer", Kind::Bearer, &["auth_token"]),
    ("header", Kind::Header, &["auth_name", "auth_value"]),
    ("query", Kind::Query, &["auth_name", "auth_value"]),
    (
        "client-credentials",
        Kind::ClientCredentials,
        &["auth_token_url", "auth_client_id", "auth_client_secret", "auth_scope"],
    ),
    (
        "refresh-token",
        Kind::RefreshToken,
        &[
            "auth_token_url",
            "auth_client_id",
            "auth_client_secret",
            "auth_scope",
            "auth_refresh_token",
        ],
    ),
];

/// Those that are secrets.
const SECRETS: [&str; 5] =
    ["auth_password", "auth_token", "auth_value", "auth_client_secret", "auth_refresh_token"];

/// Headers that say how the message is sent; the host sets them.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const OWN_BEGINNINGS: [&str; 3] = ["proxy-", "webhook-", "x-callhook-"];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    None,
    Basic,
    Bearer,
    Header,
    Query,
    ClientCredentials,
    RefreshToken,
}

/// Reads `auth` and what goes with it.
pub(super) fn read(reader: &mut Reader<'_>) -> Credentials {
    let kinds = KINDS.map(|(word, kind, _)| (word, kind));
    let kind = reader.optional("auth", value::one_of("kind of auth", &kinds));
    if kind.is_none() && reader.section.get("auth").is_some() {
        // Nobody knows what should go with it.
        return Credentials::None;
    }
    let kind = kind.unwrap_or(Kind::None);
    refuse_strangers(reader, kind);
    for key in SECRETS {
        reader.warn_of_readable_secret(key);
    }
    read_kind(reader, kind).unwrap_or(Credentials::None)
}

/// Reports the keys that do not go with this kind.
fn refuse_strangers(reader: &mut Reader<'_>, kind: Kind) {
    let Some((own, _, fitting)) = KINDS.into_iter().find(|(_, known, _)| *known == kind) else {
        return;
    };
    let keys: Vec<&str> = reader.section.entries.iter().map(|entry| entry.key.as_str()).collect();
    for key in keys {
        let takers: Vec<&str> =
            KINDS.iter().filter(|known| known.2.contains(&key)).map(|known| known.0).collect();
        if !takers.is_empty() && !fitting.contains(&key) {
            let takers = format!("auth = {}", takers.join(" or "));
            reader.out_of_place(key, &format!("auth = {own}"), &takers);
        }
    }
}

fn read_kind(reader: &mut Reader<'_>, kind: Kind) -> Option<Credentials> {
    match kind {
        Kind::None => Some(Credentials::None),
        Kind::Basic => {
            let user = reader.required("auth_user", "the user, for auth = basic", user);
            let password = "the password, for auth = basic";
            let password = reader.required("auth_password", password, password_of_any_length);
            Some(Credentials::Basic { user: user?, password: password? })
        }
        Kind::Bearer => {
            let expected = "the token, for auth = bearer";
            reader.required("auth_token", expected, token).map(Credentials::Bearer)
        }
        Kind::Header => {
            let name = reader.required("auth_name", "the header's name", header_name);
            let value = reader.required("auth_value", "the header's value", header_value);
            Some(Credentials::Header { name: name?, value: value? })
        }
        Kind::Query => {
            let name = reader.required("auth_name", "the parameter's name", value::text);
            let value = reader.required("auth_value", "the parameter's value", secret);
            Some(Credentials::Query { name: name?, value: value? })
        }
        Kind::ClientCredentials | Kind::RefreshToken => oauth2(reader, kind),
    }
}

fn oauth2(reader: &mut Reader<'_>, kind: Kind) -> Option<Credentials> {
    let renewed = kind == Kind::RefreshToken;
    let url = "the address that gives out tokens";
    let token_url = reader.required("auth_token_url", url, value::address);
    reader.warn_of_readable_address("auth_token_url");
    let client_id = reader.required("auth_client_id", "the id of this client there", value::text);
    let client_secret = if renewed {
        reader.optional("auth_client_secret", secret)
    } else {
        reader.required("auth_client_secret", "the secret of this client", secret)
    };
    let scope = reader.optional("auth_scope", value::text);
    let refresh_token = if renewed {
        Some(reader.required("auth_refresh_token", "the token that renews the others", secret)?)
    } else {
        None
    };
    if token_url.as_ref().is_some_and(value::travels_in_the_open) {
        let text = "http: the credentials can be read on their way; use https";
        reader.warn("auth_token_url", text);
    }
    Some(Credentials::OAuth2(OAuth2 {
        token_url: token_url?,
        client_id: client_id?,
        client_secret,
        scope,
        refresh_token,
    }))
}

fn secret(value: &Value<'_>) -> Result<Secret, Fault> {
    value::text(value).map(Secret::new)
}

/// RFC 7617: whatever stands before the first colon is the user.
fn user(value: &Value<'_>) -> Result<String, Fault> {
    if value.text.contains(':') || value.text.contains(char::is_control) {
        return Err(value.wrong("a user without a colon in it"));
    }
    value::text(value)
}

/// Some services take a key as the user, and an empty password.
fn password_of_any_length(value: &Value<'_>) -> Result<Secret, Fault> {
    if value.text.contains(char::is_control) {
        return Err(hidden("a password of one line"));
    }
    Ok(Secret::new(&value.text))
}

/// RFC 6750: visible ASCII without white space.
fn token(value: &Value<'_>) -> Result<Secret, Fault> {
    if !value.text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(hidden("a token of ASCII characters without blanks"));
    }
    secret(value)
}

/// Whether nobody but the service writes the header of this name, in small letters: those that
/// decide where a message goes and where it ends, those of the connection, and those by which the
/// receiver knows the service.
pub fn is_own_header(name: &str) -> bool {
    OWN_HEADERS.contains(&name) || OWN_BEGINNINGS.iter().any(|own| name.starts_with(own))
}

fn header_name(value: &Value<'_>) -> Result<String, Fault> {
    let name = HeaderName::from_bytes(value.text.as_bytes())
        .map_err(|_| value.wrong("the name of a header, such as x-api-key"))?;
    if is_own_header(name.as_str()) {
        return Err(value.wrong("a header that callhook does not write itself"));
    }
    Ok(value.text.clone())
}

fn header_value(value: &Value<'_>) -> Result<Secret, Fault> {
    if !value.text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(hidden("a text of ASCII characters on one line"));
    }
    secret(value)
}
