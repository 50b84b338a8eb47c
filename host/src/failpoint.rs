//! Named places at which a test lets the service die, around every commit and every send.
//!
//! Without the feature `failpoints`, which only the end-to-end tests switch on, nothing of this is
//! compiled in. With it, `CALLHOOK_FAILPOINT=NAME` ends the process the first time that it comes
//! to the place of that name, and `NAME:3` the third time: at once, without a last word to the
//! disk, as `kill -9` does.
//!
//! (The crate `fail` would bring its registry, three more crates and no way to die at once.)

#[cfg(feature = "failpoints")]
use std::sync::LazyLock;
#[cfg(feature = "failpoints")]
use std::sync::atomic::{AtomicU64, Ordering};

/// Marks the place `$name`.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        crate::failpoint::pass($name);
    };
}

/// The place that the environment names, and how often it is still to be passed.
#[cfg(feature = "failpoints")]
static ARMED: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
    let wanted = std::env::var("CALLHOOK_FAILPOINT").ok()?;
    let (name, time) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    Some((name.to_owned(), AtomicU64::new(time.parse().ok()?)))
});

/// Ends the process if this is the place, and the time has come.
#[cfg(feature = "failpoints")]
pub(crate) fn pass(name: &str) {
    if let Some((armed, left)) = &*ARMED
        && armed == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}
