//! What becomes of a request after an attempt.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{DATE, HeaderValue, RETRY_AFTER};
use jiff::Timestamp;

use super::exchange::Reply;
use super::failure::{Patience, SendFailure};
use crate::config::DeliveryConfig;
use crate::reply::Judgement;

/// Nobody makes us wait longer than this.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It did what it should.
    Delivered,
    /// It is tried again after this time.
    Retry(Duration),
    /// It waits until the endpoint lets us in.
    Shut,
    /// It waits until somebody says that the endpoint is back.
    Gone,
    /// It is not tried again, for this reason.
    Dead(String),
}

/// What was charged to a request before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    pub(super) attempts: u32,
    /// Among those.
    pub(super) refusals: u32,
}

/// Judges an attempt at a request with this `past`. It failed with `failure`, if at all, after the
/// reply asked to wait for so long, if it did. `jitter` is between 0 and 1.
pub(super) fn judge(
    failure: Option<&SendFailure>,
    asked: Option<Duration>,
    past: Past,
    settings: &DeliveryConfig,
    jitter: f64,
) -> Verdict {
    let Some(failure) = failure else { return Verdict::Delivered };
    let attempt = past.attempts.saturating_add(1);
    let index = usize::try_from(past.attempts).ok();
    let planned = index.and_then(|at| settings.schedule.get(at));
    let spared = past.refusals.saturating_add(1) < settings.refusals;
    let wait = |planned: &Duration| {
        let asked = asked.unwrap_or_default().max(failure.least_wait());
        let asked = asked.mul_f64(1.0 + 0.2 * jitter).min(LONGEST_WAIT);
        Verdict::Retry(planned.mul_f64(0.8 + 0.4 * jitter).max(asked))
    };
    match (failure.patience(), planned) {
        (Patience::Shut, _) => Verdict::Shut,
        (Patience::Gone, _) => Verdict::Gone,
        (Patience::Refusals, Some(planned)) if spared => wait(planned),
        (Patience::Schedule, Some(planned)) => wait(planned),
        _ if attempt == 1 => Verdict::Dead(failure.to_string()),
        _ => Verdict::Dead(format!("{failure}; that was attempt {attempt}, the last one")),
    }
}

/// What a plugin's judgement means, where it is not that all is well.
pub(super) fn judged(judgement: &Judgement) -> Option<SendFailure> {
    match judgement {
        Judgement::Done => None,
        Judgement::Retry { after, reason } => {
            let (after, reason) = (after.unwrap_or_default(), reason.clone());
            Some(SendFailure::Postponed { after, reason })
        }
        Judgement::GiveUp(why) => Some(SendFailure::GivenUp(why.clone())),
    }
}

/// Whether the reply's wish to wait is meant for everything that is sent there.
pub(super) fn concerns_all(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// How long the reply asks to wait (RFC 9110, section 10.2.3): seconds, or a date in any of the
/// three forms, by the replier's own clock where the reply shows it, else by ours. What is neither
/// counts as not asked; of several, the longest counts.
pub(super) fn asked(reply: &Reply, now: Timestamp) -> Option<Duration> {
    let now = dated(reply).unwrap_or(now);
    reply.headers.get_all(RETRY_AFTER).iter().filter_map(|value| wait(value, now)).max()
}

fn wait(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits are no less a number.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let until = date(value)?;
    let wait = Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO);
    Some(wait.min(LONGEST_WAIT))
}

/// When the reply was written, by its writer's clock.
pub(super) fn dated(reply: &Reply) -> Option<Timestamp> {
    date(reply.headers.get(DATE)?)
}

fn date(value: &HeaderValue) -> Option<Timestamp> {
    let text = value.to_str().ok()?.trim();
    Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()
}

/// A number between 0 and 1 that nobody can foresee, so that requests which failed together do
/// not all come back together.
pub(super) fn jitter() -> f64 {
    let random = RandomState::new().hash_one(()) >> 32;
    f64::from(u32::try_from(random).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use hyper::Uri;
    use hyper::header::HeaderName;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> Timestamp {
        "2026-03-05T09:15:00Z".parse().unwrap()
    }

    fn reply(status: u16, headers: &[(HeaderName, &str)]) -> Reply {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let status = StatusCode::from_u16(status).unwrap();
        let (asked, headers) = (Uri::from_static("https://crm.example/"), headers.collect());
        Reply { asked, status, headers, body: Vec::new(), truncated: false, own: true }
    }

    /// Of the attempt with this number, after others that ended likewise.
    fn verdict(reply: &Reply, attempt: u32) -> Verdict {
        let refusals = if reply.status.is_client_error() { attempt - 1 } else { 0 };
        verdict_after(Past { attempts: attempt - 1, refusals }, reply)
    }

    fn verdict_after(past: Past, reply: &Reply) -> Verdict {
        let schedule = vec![SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND];
        let settings = DeliveryConfig { schedule, success: vec![409], ..DeliveryConfig::default() };
        let failure = reply.failure(&settings.success);
        judge(failure.as_ref(), asked(reply, now()), past, &settings, 0.5)
    }

    #[test]
    fn overload_and_faults_of_the_server_are_retried_to_the_end_of_the_schedule() {
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            let reply = reply(status, &[]);
            assert_eq!(verdict(&reply, 1), Verdict::Retry(SECOND), "{status}");
            assert_eq!(verdict(&reply, 4), Verdict::Retry(4 * SECOND), "{status}");
            assert!(matches!(verdict(&reply, 5), Verdict::Dead(_)), "{status}");
        }
        let said = "the answer was 500 Internal Server Error; that was attempt 5, the last one";
        assert_eq!(verdict(&reply(500, &[]), 5), Verdict::Dead(said.to_owned()));
    }

    #[test]
    fn refusals_are_dead_after_three_attempts_and_redirects_at_once() {
        for status in [400, 402, 403, 404, 415, 422, 499] {
            let reply = reply(status, &[]);
            assert_eq!(verdict(&reply, 2), Verdict::Retry(2 * SECOND), "{status}");
            assert!(matches!(verdict(&reply, 3), Verdict::Dead(_)), "{status}");
        }
        for status in [300, 301, 302, 303, 304, 307, 308] {
            assert!(matches!(verdict(&reply(status, &[]), 1), Verdict::Dead(_)), "{status}");
        }
    }

    #[test]
    fn only_refusals_count_as_refusals() {
        let refused = reply(422, &[]);
        let after = |attempts, refusals| verdict_after(Past { attempts, refusals }, &refused);
        assert_eq!(after(3, 0), Verdict::Retry(4 * SECOND));
        assert_eq!(after(3, 1), Verdict::Retry(4 * SECOND));
        assert!(matches!(after(3, 2), Verdict::Dead(_)));
        assert!(matches!(after(4, 0), Verdict::Dead(_)), "the schedule is over");
    }

    #[test]
    fn two_hundreds_and_what_the_settings_add_are_a_success() {
        for status in [200, 201, 202, 204, 206, 299, 409] {
            assert_eq!(verdict(&reply(status, &[]), 1), Verdict::Delivered, "{status}");
        }
    }

    #[test]
    fn what_the_request_cannot_help_never_ends_it() {
        for attempt in [1, 3, 5, 100] {
            assert_eq!(verdict(&reply(401, &[]), attempt), Verdict::Shut);
            assert_eq!(verdict(&reply(410, &[]), attempt), Verdict::Gone);
        }
    }

    #[test]
    fn what_another_host_says_concerns_the_request_alone() {
        let elsewhere = |status| Reply { own: false, ..reply(status, &[]) };
        assert_eq!(verdict(&elsewhere(401), 2), Verdict::Retry(2 * SECOND));
        assert!(matches!(verdict(&elsewhere(401), 3), Verdict::Dead(_)));
        assert!(matches!(verdict(&elsewhere(410), 1), Verdict::Dead(_)));
    }

    #[test]
    fn of_several_wishes_to_wait_the_longest_is_obeyed() {
        let wishes = [(RETRY_AFTER, "soon"), (RETRY_AFTER, "1"), (RETRY_AFTER, "4")];
        assert_eq!(asked(&reply(503, &wishes), now()), Some(4 * SECOND));
    }

    #[test]
    fn retry_after_is_never_undercut_nor_much_exceeded_and_capped_at_a_day() {
        let reply = |asked: &str| reply(503, &[(RETRY_AFTER, asked)]);
        for text in [
            "120",
            " 120 ",
            "Thu, 05 Mar 2026 09:17:00 GMT",
            "Thursday, 05-Mar-26 09:17:00 GMT",
            "Thu Mar  5 09:17:00 2026",
        ] {
            assert_eq!(asked(&reply(text), now()), Some(120 * SECOND), "{text}");
            assert_eq!(verdict(&reply(text), 1), Verdict::Retry(132 * SECOND), "{text}");
        }
        for text in ["99999999", "99999999999999999999999", "Thu, 05 Mar 2076 09:17:00 GMT"] {
            assert_eq!(verdict(&reply(text), 1), Verdict::Retry(LONGEST_WAIT), "{text}");
        }
        let nothing = ["0", "-5", "120.1", "soon", "", "Thu, 05 Mar 1976 09:17:00 GMT"];
        for text in nothing {
            assert_eq!(verdict(&reply(text), 1), Verdict::Retry(SECOND), "{text}");
        }
    }

    #[test]
    fn a_date_counts_by_the_clock_of_whoever_wrote_it() {
        let headers = [
            (RETRY_AFTER, "Thu, 05 Mar 2026 12:01:00 GMT"),
            (DATE, "Thu, 05 Mar 2026 12:00:00 GMT"),
        ];
        assert_eq!(asked(&reply(429, &headers), now()), Some(60 * SECOND));
    }

    #[test]
    fn waits_differ_by_a_fifth_either_way_and_what_was_asked_only_upwards() {
        let failure = SendFailure::Timeout(SECOND);
        let settings = DeliveryConfig { schedule: vec![10 * SECOND], ..DeliveryConfig::default() };
        let wait = |asked, jitter| judge(Some(&failure), asked, Past::default(), &settings, jitter);
        assert_eq!(wait(None, 0.0), Verdict::Retry(8 * SECOND));
        assert_eq!(wait(None, 1.0), Verdict::Retry(12 * SECOND));
        assert_eq!(wait(Some(100 * SECOND), 0.0), Verdict::Retry(100 * SECOND));
        assert_eq!(wait(Some(100 * SECOND), 1.0), Verdict::Retry(120 * SECOND));
        assert!((0..100).map(|_| jitter()).all(|jitter| (0.0..=1.0).contains(&jitter)));
    }
}
