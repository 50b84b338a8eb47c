//! `[directory]`, `[storage]`, `[console]` and `[log]`: the service itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::section::Reader;
use super::value;

/// The database, beside the .ini.
pub(super) const DATABASE: &str = "callhook.db";

/// How long what is finished is kept by default.
pub(super) const RETENTION: Duration = Duration::from_hours(24 * 30);

/// Where the console listens by default.
pub(super) const CONSOLE: Option<SocketAddr> =
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8480));

/// What is logged and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// The least important lines that are still logged.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
}

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Data was lost, or somebody must act.
    Error,
    /// Something went wrong and recovered by itself.
    Warn,
    /// The life of the service.
    #[default]
    Info,
    /// The life of a call.
    Debug,
    /// Everything.
    Trace,
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The CSV file of people.
pub(super) fn directory(reader: &mut Reader<'_>) -> Option<PathBuf> {
    reader.required("file", "the CSV file of people", value::file)
}

/// The database file, which need not exist yet, and how long it keeps what is finished.
pub(super) fn storage(reader: &mut Reader<'_>) -> (PathBuf, Duration) {
    const HOUR: Duration = Duration::from_hours(1);
    let default = reader.file.resolve(DATABASE);
    let path = reader.or("path", default, value::path);
    let retention = value::duration(HOUR, HOUR * 24 * 3660);
    (path, reader.or("retention", RETENTION, retention))
}

/// Where the console listens, or none.
pub(super) fn console(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let listen = reader.or("listen", CONSOLE, value::listen);
    if listen.is_some_and(|address| !address.ip().is_loopback()) {
        reader.warn("listen", "others can reach the console, which asks for no password");
    }
    listen
}

/// What is logged and how.
pub(super) fn log(reader: &mut Reader<'_>) -> LogConfig {
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    LogConfig {
        level: reader.or("level", LogLevel::Info, value::one_of("level", &levels)),
        format: reader.or("format", LogFormat::Text, value::one_of("format", &formats)),
    }
}
