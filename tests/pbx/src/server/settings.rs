//! How the API behaves where builds of 3CX differ.

use std::time::Duration;

/// The choices; the defaults are what the newest builds do, as far as known.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub(crate) struct Settings {
    /// The client id, which is also the number of the app's route point.
    pub client_id: String,
    /// The client secret.
    pub client_secret: String,
    /// How long a token is good.
    pub token_lifetime: Duration,
    /// The unit of `expires_in` in the reply to a login.
    pub expires_in: ExpiresIn,
    /// Sockets stay open when their token expires or another is issued. Clients report closes.
    pub sockets_outlive_tokens: bool,
    /// How the keys of frames are spelled.
    pub casing: Casing,
    /// Each upsert is sent twice, as is reported to be routine.
    pub duplicates: bool,
    /// The answer to a read of a participant that is gone: 404 documented, 403 observed, 410
    /// expected by one client.
    pub gone_status: u16,
    /// The client may read the Configuration API.
    pub configuration_api: bool,
    /// Talks are recorded.
    pub recordings: bool,
    /// So many reads of the call log do not see a new row yet.
    pub log_hidden_for: u32,
    /// How long the `wait_*` functions wait before they give up.
    pub patience: Duration,
    /// The port of the loopback; 0 takes a free one.
    pub port: u16,
}

/// The unit of `expires_in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiresIn {
    /// Builds before 20.0.9, and the documentation.
    Minutes,
    /// Builds from 20.0.9.
    Seconds,
}

/// How the keys of frames are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casing {
    /// `event_type`, as observed.
    Snake,
    /// `EventType`, as the guide prints it.
    Pascal,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_id: "callhook".to_owned(),
            client_secret: "fictitious-api-key".to_owned(),
            token_lifetime: Duration::from_hours(1),
            expires_in: ExpiresIn::Seconds,
            sockets_outlive_tokens: false,
            casing: Casing::Snake,
            duplicates: false,
            gone_status: 404,
            configuration_api: false,
            recordings: false,
            log_hidden_for: 0,
            patience: Duration::from_secs(20),
            port: 0,
        }
    }
}
