//! The access token. 3CX keeps one valid token per client id: each new one ends the one before
//! and may close the event socket. So there is one, shared by everything that speaks to the PBX,
//! and only one request for the next is ever under way.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::sync::Mutex;
use tracing::debug;
use url::form_urlencoded;

use super::Secret;
use super::error::SourceError;
use super::http::Http;
use super::wire::{self, Malformed};
use crate::clock::{Clock, Moment};

/// How long a token lives if the PBX does not say: what is documented.
const USUAL_LIFE: Duration = Duration::from_hours(1);

/// No token is believed to live longer.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// No token is renewed sooner for its age alone, so that a misread lifetime cannot make the watcher
/// renew, and thereby lose its socket, all the time. A token that ends sooner is renewed when the
/// PBX refuses it.
const SHORTEST_USE: Duration = Duration::from_mins(1);

/// `expires_in` up to this number means minutes, above it seconds: builds before 20.0.9 say 60 for
/// an hour, later ones 3600.
const MOST_MINUTES: u64 = 600;

/// A token's reply is some hundred bytes.
const REPLY_LIMIT: usize = 64 << 10;

/// An access token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// `Bearer ...`, marked as sensitive, so that nothing prints it.
    pub(super) header: HeaderValue,
    /// Counts tokens, to tell whether a refused one is still the current one.
    serial: u64,
    /// From when on the next one is to be requested, on the monotonic clock.
    renew_at: Duration,
}

/// Hands out the one token and renews it.
#[derive(Debug)]
pub(super) struct Tokens {
    http: Http,
    client_id: String,
    client_secret: Secret,
    clock: Clock,
    /// Locked while a new one is requested; whoever waits meanwhile gets that one.
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    token: Option<Token>,
    /// How many were asked for.
    serial: u64,
}

impl Tokens {
    pub(super) fn new(http: Http, id: String, secret: Secret, clock: Clock) -> Self {
        Self { http, client_id: id, client_secret: secret, clock, current: Mutex::default() }
    }

    /// The current token; a new one if its end is near.
    pub(super) async fn current(&self) -> Result<Token, SourceError> {
        self.newer_than(0).await
    }

    /// A token that came after `used`: because the PBX no longer accepts that one, or because it
    /// is about to open a socket, at which the server looks at the token only once.
    pub(super) async fn after(&self, used: &Token) -> Result<Token, SourceError> {
        self.newer_than(used.serial).await
    }

    /// Notes that the PBX no longer accepts `refused`, so that nobody gets it again.
    pub(super) async fn discard(&self, refused: &Token) {
        let mut current = self.current.lock().await;
        current.token.take_if(|token| token.serial <= refused.serial);
    }

    async fn newer_than(&self, serial: u64) -> Result<Token, SourceError> {
        let mut current = self.current.lock().await;
        let now = self.clock.now().mono;
        let good = |token: &&Token| token.serial > serial && now < token.renew_at;
        if let Some(token) = current.token.as_ref().filter(good) {
            return Ok(token.clone());
        }
        // Whatever comes of the request, the old one is not to be used again.
        current.token = None;
        current.serial += 1;
        let token = self.request(current.serial).await?;
        current.token = Some(token.clone());
        Ok(token)
    }

    async fn request(&self, serial: u64) -> Result<Token, SourceError> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose())
            .append_pair("grant_type", "client_credentials")
            .finish();
        let request = Request::post(self.http.url("/connect/token").as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))
            .map_err(|error| SourceError::Garbage(error.to_string()))?;
        let (status, body) = self.http.exchange(request, REPLY_LIMIT, "requesting a token").await?;
        match status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(SourceError::Refused);
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                return Err(SourceError::NoTokenEndpoint);
            }
            other => return Err(SourceError::Status(other)),
        }
        let now = self.clock.now();
        let (header, life) = read_reply(&body, now)?;
        debug!(life_s = life.as_secs(), "The PBX issued a token.");
        // Five sixths: 50 minutes of the usual hour.
        let renew_at = now.mono + SHORTEST_USE.max(life / 6 * 5);
        Ok(Token { header, serial, renew_at })
    }
}

/// The header to send and how long the token lives.
pub(super) fn read_reply(body: &[u8], now: Moment) -> Result<(HeaderValue, Duration), Malformed> {
    let reply = wire::json(body)?;
    let fields = wire::object(&reply, "token reply")?;
    let token = wire::text_of(fields, "accesstoken");
    if token.is_empty() {
        return Err(Malformed::new("token reply without access_token"));
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Malformed::new("access_token with characters that no header may hold"))?;
    header.set_sensitive(true);
    let said = wire::field(fields, "expiresin").and_then(wire::int);
    let life = life_in_token(&token, now).or_else(|| said.and_then(life_said));
    Ok((header, life.unwrap_or(USUAL_LIFE).min(LONGEST_LIFE)))
}

/// What the token itself, a JWT, says about its life. If it says when it was issued, this does not
/// depend on the two machines' clocks agreeing.
fn life_in_token(token: &str, now: Moment) -> Option<Duration> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims = wire::json(&claims).ok()?;
    let claims = claims.as_object()?;
    let ends = wire::int(wire::field(claims, "exp")?)?;
    let issued = wire::field(claims, "iat").and_then(wire::int);
    let life = ends.checked_sub(issued.unwrap_or_else(|| now.wall.as_second()))?;
    u64::try_from(life).ok().filter(|life| *life > 0).map(Duration::from_secs)
}

/// What `expires_in` means.
fn life_said(expires_in: i64) -> Option<Duration> {
    let said = u64::try_from(expires_in).ok().filter(|said| *said > 0)?;
    Some(Duration::from_secs(if said <= MOST_MINUTES { said * 60 } else { said }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("eyJhbGciOiJFUzI1NiJ9.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    fn life(reply: &str, now: Moment) -> Option<u64> {
        read_reply(reply.as_bytes(), now).ok().map(|(_, life)| life.as_secs())
    }

    #[test]
    fn the_life_of_a_token_is_read_however_the_pbx_says_it() {
        let now = Clock::system().now();
        let wall = now.wall.as_second();
        let with_iat = jwt(r#"{"iat":1000,"exp":4600}"#);
        let with_exp = jwt(&format!(r#"{{"exp":{}}}"#, wall + 1200));
        let past = jwt(r#"{"exp":1000}"#);
        let cases = [
            // The token's own word goes first, and does not depend on this machine's clock.
            (format!(r#"{{"access_token":"{with_iat}","expires_in":60}}"#), 3600),
            (format!(r#"{{"access_token":"{with_exp}","expires_in":60}}"#), 1200),
            // Minutes in older builds, seconds in later ones, numbers or text.
            (r#"{"access_token":"opaque","expires_in":60}"#.to_owned(), 3600),
            (r#"{"access_token":"opaque","expires_in":3600}"#.to_owned(), 3600),
            (r#"{"AccessToken":"a.b.c","ExpiresIn":"600"}"#.to_owned(), 36_000),
            (r#"{"access_token":"opaque","expires_in":601}"#.to_owned(), 601),
            // Nonsense falls back to what is documented, and stays within bounds.
            (format!(r#"{{"access_token":"{past}","expires_in":-5}}"#), 3600),
            (r#"{"access_token":"a.!.c","expires_in":null}"#.to_owned(), 3600),
            (r#"{"access_token":"opaque","expires_in":9e9}"#.to_owned(), 3600),
            (r#"{"access_token":"opaque","expires_in":9000000000}"#.to_owned(), 86_400),
        ];
        for (reply, expected) in cases {
            assert_eq!(life(&reply, now), Some(expected), "{reply}");
        }
    }

    #[test]
    fn a_reply_without_a_usable_token_is_malformed() {
        let now = Clock::system().now();
        for reply in ["", "[]", "{}", r#"{"access_token":null}"#, r#"{"access_token":"a\nb"}"#] {
            assert_eq!(life(reply, now), None, "{reply}");
        }
    }

    #[test]
    fn the_token_is_never_printed() {
        let now = Clock::system().now();
        let (header, _) = read_reply(br#"{"access_token":"hush"}"#, now).unwrap();
        assert!(!format!("{header:?}").contains("hush"));
    }
}
