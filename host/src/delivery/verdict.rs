//! What becomes of a request after an attempt.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use hyper::header::{HeaderMap, RETRY_AFTER};
use jiff::Timestamp;

use super::exchange::Reply;
use super::failure::{Patience, SendFailure};

/// Nobody makes us wait longer than this.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It did what it should.
    Delivered,
    /// It is tried again after this time.
    Retry(Duration),
    /// It is not tried again, for this reason.
    Dead(String),
}

/// Judges the attempt number `attempt` (from 1), which brought `reply` at the time `now`, or
/// failed with `failure`, or both. `jitter` is between 0 and 1.
pub(super) fn judge(
    reply: Option<&Reply>,
    failure: Option<&SendFailure>,
    attempt: u32,
    schedule: &[Duration],
    now: Timestamp,
    jitter: f64,
) -> Verdict {
    let Some(failure) = failure else { return Verdict::Delivered };
    let planned = usize::try_from(attempt.saturating_sub(1)).ok().and_then(|at| schedule.get(at));
    match (failure.patience(), planned) {
        (Patience::Attempts(most), _) if attempt >= most => dead(failure, attempt),
        (_, None) => dead(failure, attempt),
        (Patience::Attempts(_), Some(wait)) => Verdict::Retry(wait.mul_f64(0.8 + 0.4 * jitter)),
        (Patience::Schedule, Some(wait)) => {
            let asked = reply.and_then(|reply| retry_after(&reply.headers, now));
            let planned = wait.mul_f64(0.8 + 0.4 * jitter);
            Verdict::Retry(asked.map_or(planned, |asked| asked.max(planned)))
        }
    }
}

fn dead(failure: &SendFailure, attempt: u32) -> Verdict {
    match attempt {
        1 => Verdict::Dead(failure.to_string()),
        _ => Verdict::Dead(format!("{failure}; that was attempt {attempt}, the last one")),
    }
}

/// How long the reply asks to wait (RFC 9110, section 10.2.3): seconds, or a date in any of the
/// three forms. What is neither counts as not asked.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits are no less a number.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let until = Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()?;
    let wait = Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO);
    Some(wait.min(LONGEST_WAIT))
}

/// A number between 0 and 1 that nobody can foresee, so that requests which failed together do
/// not all come back together.
pub(super) fn jitter() -> f64 {
    let random = RandomState::new().hash_one(()) >> 32;
    f64::from(u32::try_from(random).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> Timestamp {
        "2026-03-05T09:15:00Z".parse().unwrap()
    }

    fn reply(status: u16, asked: Option<&str>) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(asked) = asked {
            headers.insert(RETRY_AFTER, asked.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers, body: Vec::new(), truncated: false }
    }

    fn verdict(reply: &Reply, attempt: u32) -> Verdict {
        let schedule = [SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND];
        judge(Some(reply), reply.failure().as_ref(), attempt, &schedule, now(), 0.5)
    }

    #[test]
    fn overload_and_faults_of_the_server_are_retried_to_the_end_of_the_schedule() {
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            let reply = reply(status, None);
            assert_eq!(verdict(&reply, 1), Verdict::Retry(SECOND), "{status}");
            assert_eq!(verdict(&reply, 4), Verdict::Retry(4 * SECOND), "{status}");
            assert!(matches!(verdict(&reply, 5), Verdict::Dead(_)), "{status}");
        }
        let said = "the answer was 500 Internal Server Error; that was attempt 5, the last one";
        assert_eq!(verdict(&reply(500, None), 5), Verdict::Dead(said.to_owned()));
    }

    #[test]
    fn refusals_are_dead_after_three_attempts_and_dead_ends_at_once() {
        for status in [400, 401, 403, 404, 409, 422] {
            let reply = reply(status, None);
            assert_eq!(verdict(&reply, 2), Verdict::Retry(2 * SECOND), "{status}");
            assert!(matches!(verdict(&reply, 3), Verdict::Dead(_)), "{status}");
        }
        for status in [300, 301, 302, 303, 304, 307, 308, 410] {
            assert!(matches!(verdict(&reply(status, None), 1), Verdict::Dead(_)), "{status}");
        }
        for status in [200, 201, 202, 204, 206] {
            assert_eq!(verdict(&reply(status, None), 1), Verdict::Delivered, "{status}");
        }
    }

    #[test]
    fn retry_after_is_never_undercut_and_capped_at_a_day() {
        let wait = |asked: &str| verdict(&reply(503, Some(asked)), 1);
        for asked in [
            "120",
            " 120 ",
            "Thu, 05 Mar 2026 09:17:00 GMT",
            "Thursday, 05-Mar-26 09:17:00 GMT",
            "Thu Mar  5 09:17:00 2026",
        ] {
            assert_eq!(wait(asked), Verdict::Retry(120 * SECOND), "{asked}");
        }
        for asked in ["99999999", "99999999999999999999999", "Thu, 05 Mar 2076 09:17:00 GMT"] {
            assert_eq!(wait(asked), Verdict::Retry(LONGEST_WAIT), "{asked}");
        }
        let nothing = ["0", "-5", "120.1", "soon", "", "Thu, 05 Mar 1976 09:17:00 GMT"];
        for asked in nothing {
            assert_eq!(wait(asked), Verdict::Retry(SECOND), "{asked}");
        }
    }

    #[test]
    fn waits_differ_by_a_fifth_either_way() {
        let failure = SendFailure::Timeout(SECOND);
        let wait = |jitter| judge(None, Some(&failure), 1, &[10 * SECOND], now(), jitter);
        assert_eq!(wait(0.0), Verdict::Retry(8 * SECOND));
        assert_eq!(wait(1.0), Verdict::Retry(12 * SECOND));
        assert!((0..100).map(|_| jitter()).all(|jitter| (0.0..=1.0).contains(&jitter)));
    }
}
