//! What a test may ask about the client under test, and wait for.

use std::fmt;

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were answered, of any kind.
    pub requests: u64,
    /// Logins that were refused.
    pub logins_refused: u64,
    /// Sockets that were opened.
    pub sockets_opened: u64,
    /// Upgrades that were refused.
    pub sockets_refused: u64,
    /// Reads of a single participant that came in, over HTTP or the socket.
    pub reads_begun: u64,
    /// Those of them that were answered.
    pub reads_done: u64,
    /// Reads of all DNs or of all participants of a DN.
    pub lists: u64,
    /// Frames that went out on sockets.
    pub frames: u64,
    /// Pings that came in.
    pub pings: u64,
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    /// The method.
    pub method: String,
    /// The path, without a query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method, self.path, self.status)
    }
}

/// What did not come within the settings' patience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    /// What was waited for.
    pub(crate) what: String,
    /// How things stood at the end.
    pub(crate) counts: Counts,
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waited in vain for {}; at the end: {:?}", self.what, self.counts)
    }
}

impl std::error::Error for Waited {}
