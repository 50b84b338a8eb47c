//! A hundred thousand events through a plugin that gives nothing back leave nothing behind. In a
//! file of its own, so that no other test grows the process meanwhile.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something else than it expects has failed"
)]

mod support;

use callhook::plugins::Outcome;
use callhook::request::Request;
use support::{evil, hostile, plain_get, ringing};

/// Bytes that the process has in memory.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

#[cfg(target_os = "linux")]
#[test]
fn a_hundred_thousand_events_leave_nothing_behind() {
    let draft = Request::draft("https://webhook.site/");
    // One forgets a quarter of a MiB with each event: 24 GiB in all. One uses WASI, panics, and
    // leaves through the host's error path.
    let (leaky, good, bad) = (hostile("leak"), plain_get(), hostile("panic"));
    let (evil, ringing) = (evil(), ringing());
    let round = |count: usize| {
        for event in 0..count {
            assert!(matches!(leaky.transform(&evil, &draft), Ok(Outcome::Send(_))));
            if event % 100 == 0 {
                assert!(matches!(good.transform(&ringing, &draft), Ok(Outcome::Send(_))));
                assert!(bad.transform(&evil, &draft).is_err());
            }
        }
    };
    round(1_000);
    let before = resident();
    round(100_000);
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 << 20, "grew by {grown} bytes");
}
