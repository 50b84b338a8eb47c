//! `[pbx]`: an exchange to watch.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use url::Url;

use super::error::Fault;
use super::secret::Secret;
use super::section::{Reader, Value};
use super::value;

/// An exchange to watch, and as whom.
#[derive(Clone, Debug, PartialEq)]
pub struct PbxConfig {
    /// Part of every event id; `pbx` for the section without a name.
    pub name: String,
    /// Where its web client is. http or https, without query.
    pub url: Url,
    /// The client id of the API client.
    pub client_id: String,
    /// The API key that 3CX displayed once.
    pub client_secret: Secret,
    /// The zone of the local time in call ids.
    pub timezone: TimeZone,
    /// How often everything that is visible is compared with what is known.
    pub snapshot_every: Duration,
    /// How long a call without any visible leg is kept before it counts as over.
    pub settle: Duration,
    /// How long the end of an incoming call in a queue is held back until it is known whether a
    /// callback was ordered; zero: it leaves at once.
    pub callback_wait: Duration,
    /// PEM file with certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
    /// How it is watched.
    pub source: PbxSource,
}

/// Where notices come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PbxSource {
    /// The Call Control API of 3CX V20.
    CallControl,
}

/// Reads the section of the PBX called `name`.
pub(super) fn read(reader: &mut Reader<'_>, name: &str) -> Option<PbxConfig> {
    const SECOND: Duration = Duration::from_secs(1);
    let url = reader.required("url", "the address of the PBX's web client", base);
    let client_id = reader.required("client_id", "the client id of the API client", value::text);
    let client_secret = reader.required("client_secret", "the API client's key", value::text);
    let timezone = reader.optional("timezone", value::time_zone);
    let snapshot_every = value::duration(SECOND, SECOND * 3600);
    let snapshot_every = reader.or("snapshot_every", SECOND * 45, snapshot_every);
    let settle = value::duration(SECOND / 10, SECOND * 60);
    let settle = reader.or("settle", SECOND * 2, settle);
    let callback_wait = value::duration(Duration::ZERO, SECOND * 60);
    let callback_wait = reader.or("callback_wait", Duration::ZERO, callback_wait);
    let ca_file = reader.optional("ca_file", value::file);
    let insecure = reader.or("insecure", false, value::flag);
    let sources = [("callcontrol", PbxSource::CallControl)];
    let source = reader.or("source", PbxSource::CallControl, value::one_of("source", &sources));

    if url.as_ref().is_some_and(value::travels_in_the_open) {
        reader.warn("url", "http: the API key can be read on its way; use https");
    }
    if insecure {
        reader.warn("insecure", "any certificate is accepted, so anybody can pose as the PBX");
    }
    reader.warn_of_readable_secret("client_secret");
    Some(PbxConfig {
        name: name.to_owned(),
        url: url?,
        client_id: client_id?,
        client_secret: Secret::new(client_secret?),
        timezone: timezone.unwrap_or_else(|| machine_zone(reader)),
        snapshot_every,
        settle,
        callback_wait,
        ca_file,
        insecure,
        source,
    })
}

fn base(value: &Value<'_>) -> Result<Url, Fault> {
    let url = value::address(value)?;
    if url.query().is_some() {
        let expected = "an address without a ? part, such as https://pbx.example.com:5001";
        return Err(value::not_address(value, expected));
    }
    Ok(url)
}

fn machine_zone(reader: &mut Reader<'_>) -> TimeZone {
    reader.file.around.time_zone().unwrap_or_else(|| {
        reader.warn("timezone", "this machine's time zone is not known; call ids are in UTC");
        TimeZone::UTC
    })
}
