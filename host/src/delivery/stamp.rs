//! What the host writes on every request.
//!
//! By these headers a receiver tells a repetition from something new (`webhook-id`), what came
//! late (`x-callhook-sequence`), what is a repetition (`x-callhook-attempt`), and whether it comes
//! from us at all (`webhook-signature`). `traceparent` is that of W3C Trace Context: all that
//! follows from one event is one trace, each attempt a span of its own.

use std::hash::{BuildHasher as _, RandomState};

use aws_lc_rs::digest::{SHA256, digest};
use hyper::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use jiff::Timestamp;

use super::failure::SendFailure;
use super::signature::Signer;
use crate::outbox::Claimed;

const AGENT: &str = concat!("callhook/", env!("CARGO_PKG_VERSION"));
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const ATTEMPT: HeaderName = HeaderName::from_static("x-callhook-attempt");
const SEQUENCE: HeaderName = HeaderName::from_static("x-callhook-sequence");
const TRACE: HeaderName = HeaderName::from_static("traceparent");

/// Writes the host's headers into `headers`, in place of whatever is there by these names, for an
/// attempt that begins `now`.
pub(super) fn stamp(
    headers: &mut HeaderMap,
    claimed: &Claimed,
    signer: &Signer,
    now: Timestamp,
) -> Result<(), SendFailure> {
    let value = |name: &HeaderName, text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| SendFailure::Unsendable(format!("no header value: that of {name}")))
    };
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ID, value(&ID, &claimed.id)?);
    headers.insert(TIMESTAMP, HeaderValue::from(now.as_second()));
    headers.remove(SIGNATURE);
    if let Some(signed) = signer.sign(&claimed.id, now.as_second(), &claimed.request.body) {
        headers.insert(SIGNATURE, value(&SIGNATURE, &signed)?);
    }
    headers.insert(ATTEMPT, HeaderValue::from(claimed.attempts.saturating_add(1)));
    headers.insert(SEQUENCE, HeaderValue::from(claimed.sequence));
    headers.insert(TRACE, value(&TRACE, &traceparent(&claimed.event_id))?);
    Ok(())
}

/// `00-TRACE-SPAN-01`. What is sent twice has two spans.
fn traceparent(event_id: &str) -> String {
    let trace = digest(&SHA256, event_id.as_bytes());
    let span = RandomState::new().hash_one(());
    // An id of zeros only counts as none.
    let trace = trace.as_ref().first_chunk().map_or(0, |first| u128::from_be_bytes(*first)).max(1);
    format!("00-{trace:032x}-{:016x}-01", span.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::request::Request;

    fn claimed(event: &str, attempts: u32) -> Claimed {
        Claimed {
            id: format!("{event}:crm:0"),
            event_id: event.to_owned(),
            lane: "a".to_owned(),
            sequence: 3,
            attempts,
            refusals: 0,
            failing_for: None,
            expired: false,
            lease: 0,
            base: None,
            request: Request::draft("http://crm.example/"),
        }
    }

    fn stamped(claimed: &Claimed, now: i64) -> HeaderMap {
        let signer = Signer::new(&[Secret::new("c2VjcmV0")]).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE, HeaderValue::from_static("v1,forged"));
        stamp(&mut headers, claimed, &signer, Timestamp::from_second(now).unwrap()).unwrap();
        headers
    }

    #[test]
    fn an_attempt_is_signed_for_its_own_time_and_nothing_of_ours_can_be_forged() {
        let first = stamped(&claimed("e1", 0), 1_700_000_000);
        let second = stamped(&claimed("e1", 1), 1_700_000_060);
        assert_eq!(first[TIMESTAMP], "1700000000");
        assert_eq!(second[TIMESTAMP], "1700000060");
        assert_eq!(first[ID], second[ID]);
        assert_ne!(first[SIGNATURE], second[SIGNATURE]);
        assert_eq!(
            (&first[ATTEMPT], &second[ATTEMPT]),
            (&"1".parse().unwrap(), &"2".parse().unwrap())
        );
        let signer = Signer::new(&[]).unwrap();
        let mut unsigned = first.clone();
        stamp(&mut unsigned, &claimed("e1", 0), &signer, Timestamp::UNIX_EPOCH).unwrap();
        assert!(!unsigned.contains_key(SIGNATURE));
    }

    #[test]
    fn attempts_share_the_trace_of_their_event_and_have_spans_of_their_own() {
        let parts = |event: &str, attempts, now| {
            let text = stamped(&claimed(event, attempts), now)[TRACE].to_str().unwrap().to_owned();
            let parts: Vec<String> = text.split('-').map(str::to_owned).collect();
            assert_eq!((parts.len(), &*parts[0], &*parts[3]), (4, "00", "01"));
            assert_eq!((parts[1].len(), parts[2].len()), (32, 16));
            (parts[1].clone(), parts[2].clone())
        };
        let (trace, span) = parts("e1", 0, 1);
        assert_eq!(parts("e1", 1, 2).0, trace);
        assert_ne!(parts("e1", 1, 2).1, span);
        assert_ne!(parts("e1", 0, 2).1, span, "an attempt that was not charged");
        assert_ne!(parts("e2", 0, 1).0, trace);
    }
}
