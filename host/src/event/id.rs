//! Local time, and the ids of calls that are made of it.

use std::fmt;

use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

/// A point in time together with the offset from UTC that the PBX had then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime {
    epoch_ms: i64,
    offset_seconds: i32,
}

impl LocalTime {
    /// `at` as the clock on the wall of `zone` shows it.
    pub fn new(at: jiff::Timestamp, zone: &TimeZone) -> Self {
        Self { epoch_ms: at.as_millisecond(), offset_seconds: zone.to_offset(at).seconds() }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn epoch_ms(self) -> i64 {
        self.epoch_ms
    }

    fn at(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.epoch_ms).unwrap_or_default()
    }

    fn offset(self) -> Offset {
        Offset::from_seconds(self.offset_seconds).unwrap_or(Offset::UTC)
    }

    /// The date and time part of a call id: `yyMMddHHmmss`.
    pub fn stamp(self) -> String {
        self.offset().to_datetime(self.at()).strftime("%y%m%d%H%M%S").to_string()
    }
}

/// RFC 3339 with milliseconds: `2026-03-05T09:15:02.120+01:00`.
impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        PRINTER
            .print_timestamp_with_offset(&self.at(), self.offset(), StdFmtWrite(f))
            .map_err(|_| fmt::Error)
    }
}

impl Serialize for LocalTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |error: jiff::Error| {
            serde::de::Error::custom(format!(
                "{text:?} is no time such as 2026-03-05T09:15:02.120+01:00: {error}"
            ))
        };
        let pieces = jiff::fmt::temporal::Pieces::parse(&text).map_err(wrong)?;
        let at: jiff::Timestamp = text.parse().map_err(wrong)?;
        let offset = pieces.to_numeric_offset().map_or(0, Offset::seconds);
        Ok(Self { epoch_ms: at.as_millisecond(), offset_seconds: offset })
    }
}

/// All links of one call share this: `yyMMddHHmmss_number`, e.g. `210701165649_698`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(String);

impl ChainId {
    /// From the PBX's local time when the call arrived, and the PBX's number of the call.
    pub fn new(arrived_at: LocalTime, call_number: i64) -> Self {
        Self(format!("{}_{call_number}", arrived_at.stamp()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in a chain of transfers: `yyMMddHHmmss_number-link`, e.g. `210701165649_698-2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    /// What all links share.
    pub chain: ChainId,
    /// 0 until somebody answers, 1 from the first answer, one more for each transfer.
    pub link: u32,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.chain, self.link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_reads_as_local_arrival_number_and_link() {
        let zone = TimeZone::get("Europe/Prague").unwrap();
        let at = LocalTime::new("2021-07-01T14:56:49.250Z".parse().unwrap(), &zone);
        let id = CallId { chain: ChainId::new(at, 698), link: 2 };
        assert_eq!(id.to_string(), "210701165649_698-2");
        assert_eq!(at.to_string(), "2021-07-01T16:56:49.250+02:00");
    }

    #[test]
    fn a_local_time_survives_json() {
        for text in ["2021-07-01T16:56:49.250+02:00", "1999-12-31T23:59:59.000-03:30"] {
            let json = format!("\"{text}\"");
            let at: LocalTime = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&at).unwrap(), json);
        }
    }
}
