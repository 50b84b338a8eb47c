//! Recordings: the notices of one PBX in a file, to look at, to send with a bug report, and to
//! replay in tests.
//!
//! A recording is a text file. Its first line is a [`Header`], every other line a [`Notice`], all
//! in JSON. What it holds is what the engine gets, so an engine that is given the same notices
//! tells the same events. It can be written with everything masked that says who called.

mod mask;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use self::mask::Mask;
use super::notice::Notice;
use crate::event::PartyKind;

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// The first line: what else the engine was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`]; its key is what tells a recording from other files.
    pub callhook_recording: u32,
    /// The name of the PBX in the settings.
    pub pbx: String,
    /// The PBX's time zone.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub timezone: TimeZone,
    /// How long a call without a visible leg was waited for.
    pub settle_ms: u64,
    /// How long an end in a queue was held back to hear of a callback.
    #[serde(default)]
    pub callback_wait_ms: u64,
    /// Whether numbers and names are other ones than they were.
    pub masked: bool,
    /// The names of DID rules that the settings gave.
    #[serde(default)]
    pub dids: BTreeMap<String, String>,
    /// What DNs are according to the settings.
    #[serde(default)]
    pub dns: BTreeMap<String, PartyKind>,
}

/// A recording that was read.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Its first line.
    pub header: Header,
    /// The others, in their order.
    pub notices: Vec<Notice>,
}

/// Why a recording cannot be read.
#[derive(Debug)]
pub struct RecordingError {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1; `None` where the whole file is to blame.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Writes a recording, line by line.
#[derive(Debug)]
pub struct Writer<W: Write> {
    output: W,
    mask: Option<Mask>,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path.display(), self.message),
            None => write!(f, "{}: {}", self.path.display(), self.message),
        }
    }
}

impl std::error::Error for RecordingError {}

impl Writer<File> {
    /// Begins a recording in a new file, or in one that is empty: what somebody recorded is not
    /// overwritten. A new file is its owner's alone: it tells who called whom.
    pub fn create(path: &Path, header: Header) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        if file.metadata()?.len() > 0 {
            let kind = io::ErrorKind::AlreadyExists;
            return Err(io::Error::new(kind, "the file is not empty; name another or delete it"));
        }
        Self::begin(file, header)
    }
}

impl<W: Write> Writer<W> {
    /// Writes the first line; masks it and all others if it says so.
    pub fn begin(output: W, mut header: Header) -> io::Result<Self> {
        let mut mask = header.masked.then(Mask::default);
        if let Some(mask) = &mut mask {
            mask.header(&mut header);
        }
        let mut writer = Self { output, mask };
        writer.line(&header)?;
        Ok(writer)
    }

    /// Writes one notice. It is handed to the system before this returns.
    pub fn write(&mut self, mut notice: Notice) -> io::Result<()> {
        if let Some(mask) = &mut self.mask {
            mask.seen(&mut notice.what);
        }
        self.line(&notice)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.output.write_all(&line)?;
        self.output.flush()
    }
}

impl Recording {
    /// Reads the file. The error names the line that is not as it should be.
    pub fn load(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path).map_err(|error| RecordingError {
            path: path.to_owned(),
            line: None,
            message: format!("the recording cannot be opened: {error}"),
        })?;
        Self::read(path, BufReader::new(file))
    }

    /// [`Self::load`] from anything that can be read; `path` is only named in errors. Empty lines
    /// mean nothing.
    pub fn read(path: &Path, input: impl BufRead) -> Result<Self, RecordingError> {
        let error = |line, message| RecordingError { path: path.to_owned(), line, message };
        let mut header = None;
        let mut notices = Vec::new();
        for (number, text) in (1..).zip(input.lines()) {
            let fault = |message: String| error(Some(number), message);
            let text = text.map_err(|cause| fault(format!("the line cannot be read: {cause}")))?;
            if text.trim().is_empty() {
                continue;
            }
            if header.is_none() {
                header = Some(first_line(&text).map_err(fault)?);
            } else {
                let notice = serde_json::from_str(&text);
                notices.push(notice.map_err(|cause| fault(format!("not a notice: {cause}")))?);
            }
        }
        let empty = || error(None, "the file is empty; a recording has at least one line".into());
        Ok(Self { header: header.ok_or_else(empty)?, notices })
    }
}

/// Reads the header. The version is looked at first: a later one may have other keys.
fn first_line(text: &str) -> Result<Header, String> {
    #[derive(Deserialize)]
    struct Version {
        callhook_recording: u32,
    }
    let version: Version = serde_json::from_str(text).map_err(|cause| {
        format!("not the first line of a recording by `callhook record`: {cause}")
    })?;
    if version.callhook_recording != VERSION {
        let theirs = version.callhook_recording;
        return Err(format!(
            "a recording of version {theirs}, but this callhook reads version {VERSION}; use the \
             callhook that wrote it"
        ));
    }
    serde_json::from_str(text).map_err(|cause| format!("not a recording's first line: {cause}"))
}
