//! Tokens: one is valid at a time, and a new one ends the one before.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded;

use crate::server::settings::{ExpiresIn, Settings};

/// The token of the moment.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// What is valid, if anything.
    current: Option<Token>,
    /// How many were given to this process's clients.
    pub(crate) issued: u64,
    /// How many were made at all; distinguishes them.
    made: u64,
}

/// A token, and when it ends.
#[derive(Debug)]
struct Token {
    /// What the client shows.
    value: String,
    /// When it is no longer good.
    expires: Instant,
}

impl Tokens {
    /// Makes a new token; the one before is invalid from here on.
    pub(crate) fn issue(&mut self, settings: &Settings) -> Value {
        self.made += 1;
        self.issued += 1;
        let value = jwt(settings, self.made);
        let expires = Instant::now() + settings.token_lifetime;
        self.current = Some(Token { value: value.clone(), expires });
        let seconds = settings.token_lifetime.as_secs();
        let expires_in = match settings.expires_in {
            ExpiresIn::Seconds => seconds,
            ExpiresIn::Minutes => seconds / 60,
        };
        json!({
            "token_type": "Bearer",
            "expires_in": expires_in,
            "access_token": value,
            "refresh_token": null,
        })
    }

    /// Makes the present token invalid, as another process does that takes one.
    pub(crate) fn revoke(&mut self) {
        self.current = None;
    }

    /// When the token ends that an `Authorization` header shows; nothing if it is not valid now.
    pub(crate) fn check(&self, authorization: Option<&str>) -> Option<Instant> {
        let (scheme, shown) = authorization?.split_once(' ')?;
        let token = self.current.as_ref()?;
        let valid = scheme.eq_ignore_ascii_case("bearer")
            && shown.trim() == token.value
            && Instant::now() < token.expires;
        valid.then_some(token.expires)
    }
}

/// A token that looks like 3CX's, signed by nobody.
fn jwt(settings: &Settings, serial: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let header = json!({ "alg": "ES256", "typ": "JWT" });
    let claims = json!({
        "unique_name": settings.client_id,
        "role": ["MyUser", "Local", "Apps.ReadWrite", "Paid", "Enterprise"],
        "jti": serial,
        "iat": now,
        "exp": now + settings.token_lifetime.as_secs(),
    });
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode("simulated"))
}

/// Whether the body of a login, as a form or multipart, shows the client's id and secret.
pub(crate) fn credentials_fit(settings: &Settings, content_type: &str, body: &[u8]) -> bool {
    let fields = match content_type.split_once("boundary=") {
        Some((_, boundary)) => multipart(boundary.trim_matches('"'), body),
        None => form_urlencoded::parse(body).into_owned().collect(),
    };
    let has = |key: &str, value: &str| fields.iter().any(|(k, v)| k == key && v == value);
    has("grant_type", "client_credentials")
        && has("client_id", &settings.client_id)
        && has("client_secret", &settings.client_secret)
}

/// The text fields of a multipart form; what is not one is left out.
fn multipart(boundary: &str, body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    let field = |part: &str| {
        let (head, value) = part.split_once("\r\n\r\n")?;
        let (_, name) = head.split_once("name=")?;
        let name = name.split(['\r', ';']).next()?.trim_matches('"');
        Some((name.to_owned(), value.strip_suffix("\r\n")?.to_owned()))
    };
    text.split(&format!("--{boundary}")).filter_map(field).collect()
}
