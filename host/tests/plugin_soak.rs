//! Ten thousand events through one plugin leave nothing behind. In a file of its own, so that no
//! other test grows the process meanwhile.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something else than it expects has failed"
)]

mod support;

use callhook::plugins::Outcome;
use callhook::request::Request;
use support::{hostile, plain_get, ringing, started};

/// Bytes that the process has in memory.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_events_leave_nothing_behind() {
    let draft = Request::draft("https://webhook.site/");
    let events = [ringing(), started()];
    // One that uses WASI as well: it panics, and leaves through the host's error path.
    let (good, bad) = (plain_get(), hostile("panic"));
    let evil = support::evil();
    let round = |count: usize| {
        for event in events.iter().cycle().take(count) {
            assert!(matches!(good.transform(event, &draft), Ok(Outcome::Send(_))));
        }
        for _ in 0..count / 20 {
            assert!(bad.transform(&evil, &draft).is_err());
        }
    };
    round(1_000);
    let before = resident();
    round(10_000);
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 << 20, "grew by {grown} bytes");
}
