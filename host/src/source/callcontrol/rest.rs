//! The reads of the Call Control API: the whole listing, and one participant with everything that
//! can go wrong on the way.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION};
use hyper::{Request, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::debug;

use super::diary::Diary;
use super::error::SourceError;
use super::faults::Faults;
use super::http::Http;
use super::token::{Token, Tokens};
use super::wire::{self, Listing};
use crate::source::notice::{LegKey, Notice, Participant};

/// The listing of a large exchange: thousands of DNs with their devices, at some hundred bytes each.
const LISTING_LIMIT: usize = 32 << 20;

/// A participant has half a kilobyte.
const PARTICIPANT_LIMIT: usize = 256 << 10;

/// How often a read is repeated that failed for no reason of the participant's.
const RETRIES: usize = 2;

/// The first wait before such a repetition; it doubles.
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// What a read found out about a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is this way.
    Is(Box<Participant>),
    /// There is no such participant.
    Gone,
    /// Nothing. The next snapshot will tell.
    Unknown,
}

/// The reads of the API, with the shared token.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) http: Http,
    pub(super) tokens: Tokens,
    pub(super) faults: Faults,
    /// Rung when the PBX begins to be watched.
    pub(super) watched: Notify,
    /// Which calls go out of sight.
    pub(super) diary: Mutex<Diary>,
    /// Rung when there is news in it.
    pub(super) news: Notify,
}

impl Rest {
    /// Nothing was asked yet.
    pub(super) fn new(http: Http, tokens: Tokens, faults: Faults) -> Self {
        let diary = Mutex::default();
        Self { http, tokens, faults, watched: Notify::new(), diary, news: Notify::new() }
    }

    /// Notes in the diary what is being told.
    pub(super) fn note(&self, notice: &Notice) {
        // What a panicking thread left behind is still a diary.
        if self.diary.lock().unwrap_or_else(PoisonError::into_inner).note(notice) {
            self.news.notify_one();
        }
    }

    /// All visible DNs with their participants.
    pub(super) async fn listing(&self) -> Result<Listing, SourceError> {
        let (status, body) =
            self.get("/callcontrol", LISTING_LIMIT, "listing the participants").await?;
        match status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => return Err(SourceError::NoAccess),
            other => return Err(SourceError::Status(other)),
        }
        let listing = wire::listing(&body)?;
        for dn in &listing.doubtful {
            self.faults.report("participant", format_args!("unreadable participant of DN {dn}"));
        }
        if listing.incomplete {
            self.faults.report("dn", "unreadable DN in the listing");
        }
        Ok(listing)
    }

    /// The participant `key`. Fails only if the PBX rejects a new token.
    pub(super) async fn participant(&self, key: &LegKey) -> Result<Found, SourceError> {
        let waits = ExponentialBuilder::new()
            .with_min_delay(FIRST_RETRY)
            .with_max_times(RETRIES)
            .with_jitter()
            .build();
        for wait in waits.map(Some).chain([None]) {
            match self.read(key).await {
                Ok(Some(found)) => return Ok(Found::Is(Box::new(found))),
                // Gone, or only not readable by itself: the list decides.
                Ok(None) => return self.participant_in_list(key).await,
                Err(SourceError::TokenRejected) => return Err(SourceError::TokenRejected),
                Err(error) => self.faults.report("read", format_args!("leg {key}: {error}")),
            }
            if let Some(wait) = wait {
                sleep(wait).await;
            }
        }
        self.participant_in_list(key).await
    }

    /// One attempt; none if the PBX says that there is no such participant or shows none to us.
    async fn read(&self, key: &LegKey) -> Result<Option<Participant>, SourceError> {
        let path = format!("{}/{}", participants_of(&key.dn), key.id);
        let (status, body) = self.get(&path, PARTICIPANT_LIMIT, "reading a participant").await?;
        match status {
            StatusCode::OK => Ok(Some(wire::participant(&body, key)?)),
            // Documented is 404; a live client got 403 for a leg that was gone, another takes 410.
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
                debug!(leg = %key, status = status.as_u16(), "The PBX shows no such participant.");
                Ok(None)
            }
            other => Err(SourceError::Status(other)),
        }
    }

    async fn participant_in_list(&self, key: &LegKey) -> Result<Found, SourceError> {
        let path = participants_of(&key.dn);
        let listed = match self.get(&path, LISTING_LIMIT, "reading a list of participants").await {
            Ok((StatusCode::OK, body)) => wire::find_participant(&body, key).map_err(Into::into),
            Ok((other, _)) => Err(SourceError::Status(other)),
            Err(SourceError::TokenRejected) => return Err(SourceError::TokenRejected),
            Err(error) => Err(error),
        };
        Ok(match listed {
            Ok(Some(found)) => Found::Is(Box::new(found)),
            Ok(None) => Found::Gone,
            Err(error) => {
                self.faults.report("list", format_args!("participants of {}: {error}", key.dn));
                Found::Unknown
            }
        })
    }

    /// Gets `path`; if the token is refused, once more with another.
    async fn get(
        &self,
        path: &str,
        limit: usize,
        doing: &'static str,
    ) -> Result<(StatusCode, Bytes), SourceError> {
        let token = self.tokens.current().await?;
        let (status, body) = self.get_with(&token, path, limit, doing).await?;
        if status != StatusCode::UNAUTHORIZED {
            return Ok((status, body));
        }
        self.faults.report("token-refused", format_args!("while {doing}"));
        let token = self.tokens.after(&token).await?;
        let (status, body) = self.get_with(&token, path, limit, doing).await?;
        if status != StatusCode::UNAUTHORIZED {
            return Ok((status, body));
        }
        self.tokens.discard(&token).await;
        Err(SourceError::TokenRejected)
    }

    /// Gets `path` with the token of the moment, whether the PBX likes it or not.
    pub(super) async fn get_as_it_is(
        &self,
        path: &str,
        limit: usize,
        doing: &'static str,
    ) -> Result<(StatusCode, Bytes), SourceError> {
        let token = self.tokens.current().await?;
        self.get_with(&token, path, limit, doing).await
    }

    async fn get_with(
        &self,
        token: &Token,
        path: &str,
        limit: usize,
        doing: &'static str,
    ) -> Result<(StatusCode, Bytes), SourceError> {
        let request = Request::get(self.http.url(path).as_str())
            .header(AUTHORIZATION, token.header.clone())
            .header(ACCEPT, "application/json")
            .body(Full::default())
            .map_err(|error| SourceError::Garbage(error.to_string()))?;
        self.http.exchange(request, limit, doing).await
    }
}

fn participants_of(dn: &str) -> String {
    format!("/callcontrol/{}/participants", utf8_percent_encode(dn, NON_ALPHANUMERIC))
}
