//! Why the PBX cannot be watched. The texts name the likely cause, since what 3CX answers seldom
//! does.

use std::error::Error;
use std::fmt;
use std::io;

use hyper::StatusCode;

use super::wire::Malformed;

/// Why the PBX cannot be watched, or why one exchange with it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// The PBX gives no token for these credentials.
    Refused,
    /// There is no token endpoint at this address.
    NoTokenEndpoint,
    /// The token was accepted, the Call Control API is closed.
    NoAccess,
    /// A token that was just issued is not accepted.
    TokenRejected,
    /// No TCP connection to the host. Holds what the system says.
    Unreachable(String),
    /// No TLS connection. Holds what is wrong.
    Tls(String),
    /// No answer in time. Holds what was being done.
    TimedOut(&'static str),
    /// An answer that says neither yes nor no.
    Status(StatusCode),
    /// An answer that cannot be understood. Holds what is wrong with it.
    Garbage(String),
    /// A connection broke. Holds how.
    Broken(String),
}

impl SourceError {
    /// One word for counting.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NoTokenEndpoint => "no-token-endpoint",
            Self::NoAccess => "no-access",
            Self::TokenRejected => "token-rejected",
            Self::Unreachable(_) => "unreachable",
            Self::Tls(_) => "tls",
            Self::TimedOut(_) => "timed-out",
            Self::Status(_) => "status",
            Self::Garbage(_) => "garbage",
            Self::Broken(_) => "broken",
        }
    }

    /// Whether nothing will change before somebody changes the configuration of either side.
    pub fn needs_someone(&self) -> bool {
        matches!(self, Self::Refused | Self::NoTokenEndpoint | Self::NoAccess | Self::Tls(_))
    }

    /// Finds out what kind of failure an error of the network stack is.
    pub(super) fn from_network(error: &(dyn Error + 'static)) -> Self {
        let mut link = Some(error);
        let mut said = String::new();
        while let Some(error) = link {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return Self::from_io(error);
            }
            said = error.to_string();
            link = error.source();
        }
        Self::Broken(said)
    }

    /// Finds out what kind of failure an I/O error is; others are wrapped into them, also twice.
    pub(super) fn from_io(error: &io::Error) -> Self {
        if let Some(inner) = error.get_ref() {
            if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
                return Self::Tls(tls.to_string());
            }
            if let Some(inner) = inner.downcast_ref::<io::Error>() {
                return Self::from_io(inner);
            }
        }
        match error.kind() {
            io::ErrorKind::TimedOut => Self::TimedOut("connecting"),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Broken(error.to_string()),
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

impl From<Malformed> for SourceError {
    fn from(malformed: Malformed) -> Self {
        Self::Garbage(malformed.to_string())
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str(
                "the PBX gives no token: check client id and secret, and whether Console \
                 Restrictions (the IP allow list of the admin console) let this machine in",
            ),
            Self::NoTokenEndpoint => f.write_str(
                "there is no /connect/token at this address: check the url (the address of the \
                 web client) and that the PBX is V20 or later",
            ),
            Self::NoAccess => f.write_str(
                "the PBX gives a token but no access to calls: tick Call Control API Access for \
                 this client under Integrations > API, and check that the licence includes it",
            ),
            Self::TokenRejected => f.write_str(
                "the PBX rejects a token that it just gave: does something else use the same \
                 client id? Each new token ends the one before",
            ),
            Self::Unreachable(why) => {
                write!(f, "cannot reach the PBX: {why}; check host and port of the url")
            }
            Self::Tls(why) => write!(
                f,
                "no TLS with the PBX: {why}; use the name in its certificate, or give its CA in \
                 ca_file"
            ),
            Self::TimedOut(doing) => write!(f, "the PBX did not answer in time while {doing}"),
            Self::Status(status) => write!(f, "the PBX answered with status {}", status.as_u16()),
            Self::Garbage(why) => write!(f, "cannot understand the answer of the PBX: {why}"),
            Self::Broken(why) => write!(f, "the connection to the PBX broke: {why}"),
        }
    }
}

impl Error for SourceError {}
