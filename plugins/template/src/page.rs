//! Where a template is written to. It knows what kind of text comes out and where in it the next
//! value stands, and so how that value has to be escaped.
//!
//! The template's own text is taken as its author wrote it. Values come from outside, and cannot
//! leave the place where they stand, whatever is in them.

use std::ops::Range;

use callhook_plugin::url;
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// What kind of text comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Within quotes a value becomes part of the string, elsewhere a whole JSON value.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Every value is one part of a path or of a query.
    Url,
    /// One line of visible ASCII.
    Header,
    /// XML and HTML.
    Xml,
    /// Anything else; a value stands as it is.
    Text,
}

impl Place {
    /// That of a body of this `content-type`.
    pub(crate) fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        if essence.ends_with("json") {
            Self::Json
        } else if essence == "application/x-www-form-urlencoded" {
            Self::Form
        } else if essence.ends_with("xml") || essence == "text/html" {
            Self::Xml
        } else {
            Self::Text
        }
    }

    /// Whether lines are only a way to write the template down.
    fn is_one_line(self) -> bool {
        matches!(self, Self::Form | Self::Url | Self::Header)
    }
}

/// What has come out so far.
#[derive(Debug)]
pub(crate) struct Page {
    place: Place,
    text: String,
    /// Where in the text values stand.
    values: Vec<Range<usize>>,
    /// White space of the template that was not written yet, as it may be the end of a line.
    blank: String,
    /// In JSON: within a string.
    quoted: bool,
    /// In a string of JSON: behind a backslash.
    escaped: bool,
}

impl Page {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            text: String::new(),
            values: Vec::new(),
            blank: String::new(),
            quoted: false,
            escaped: false,
        }
    }

    /// What has come out.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The beginning of it, up to this byte, with an ellipsis for each value: what it says can be
    /// shown to anybody.
    pub(crate) fn without_values(&self, end: usize) -> String {
        let mut shown = String::new();
        let mut start = 0;
        for value in self.values.iter().take_while(|value| value.start < end) {
            shown.push_str(self.text.get(start..value.start).unwrap_or_default());
            shown.push('…');
            start = value.end;
        }
        shown.push_str(self.text.get(start..end).unwrap_or_default());
        shown
    }

    /// What came out.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Writes text of the template.
    pub(crate) fn write(&mut self, text: &str) {
        if self.place.is_one_line() {
            text.chars().for_each(|character| self.write_in_one_line(character));
            return;
        }
        if self.place == Place::Json {
            text.chars().for_each(|character| self.follow(character));
        }
        self.text.push_str(text);
    }

    /// Keeps track of where in JSON the next value stands.
    fn follow(&mut self, character: char) {
        match (self.quoted, character) {
            (true, _) if self.escaped => self.escaped = false,
            (true, '\\') => self.escaped = true,
            (_, '"') => self.quoted = !self.quoted,
            _ => {}
        }
    }

    fn write_in_one_line(&mut self, character: char) {
        if character.is_ascii_whitespace() {
            self.blank.push(character);
            return;
        }
        self.write_blank();
        if character.is_ascii() {
            self.text.push(character);
        } else {
            self.text.push_str(&url::encode(character.encode_utf8(&mut [0; 4])));
        }
    }

    /// White space between two things: the end of a line is none, but for a header.
    fn write_blank(&mut self) {
        let blank = std::mem::take(&mut self.blank);
        let broken = blank.contains('\n');
        if self.text.is_empty() || blank.is_empty() {
            return;
        }
        match self.place {
            Place::Header => self.text.push(' '),
            _ if broken => {}
            Place::Form => self.text.push_str(&url::encode_form(&blank)),
            _ => self.text.push_str(&url::encode(&blank)),
        }
    }

    /// Writes a value.
    pub(crate) fn write_value(&mut self, value: &Value) -> Result<(), Error> {
        self.write_blank();
        let start = self.text.len();
        self.write_escaped(value)?;
        self.values.push(start..self.text.len());
        Ok(())
    }

    fn write_escaped(&mut self, value: &Value) -> Result<(), Error> {
        if self.place == Place::Json && !self.quoted {
            let json = serde_json::to_string(value).map_err(|error| refuse(error.to_string()))?;
            self.text.push_str(&json);
            return Ok(());
        }
        let text = plain(value)?;
        match self.place {
            Place::Json if self.escaped => {
                return Err(refuse("a value cannot stand behind a backslash"));
            }
            Place::Json => {
                let json = serde_json::Value::from(text).to_string();
                self.text.push_str(json.get(1..json.len() - 1).unwrap_or_default());
            }
            Place::Form | Place::Url | Place::Xml if value.is_safe() => self.text.push_str(&text),
            Place::Form => self.text.push_str(&url::encode_form(&text)),
            Place::Url => self.text.push_str(&url::encode(&text)),
            Place::Header => text.chars().for_each(|character| self.write_in_header(character)),
            Place::Xml => text.chars().for_each(|character| self.write_in_xml(character)),
            Place::Text => self.text.push_str(&text),
        }
        Ok(())
    }

    fn write_in_header(&mut self, character: char) {
        match character {
            ' '..='~' => self.text.push(character),
            _ if character.is_control() => self.text.push(' '),
            _ => self.text.push_str(&url::encode(character.encode_utf8(&mut [0; 4]))),
        }
    }

    fn write_in_xml(&mut self, character: char) {
        match character {
            '<' => self.text.push_str("&lt;"),
            '>' => self.text.push_str("&gt;"),
            '&' => self.text.push_str("&amp;"),
            '"' => self.text.push_str("&quot;"),
            '\'' => self.text.push_str("&#39;"),
            '\t' | '\n' | '\r' => self.text.push(character),
            // XML 1.0 has no way to write other control characters.
            _ if character.is_control() => self.text.push(' '),
            _ => self.text.push(character),
        }
    }
}

/// A value as text; nothing for one that is not known.
pub(crate) fn plain(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(String::new()),
        ValueKind::String | ValueKind::Number | ValueKind::Bool => Ok(value.to_string()),
        _ => Err(refuse("several values where one is wanted; name one of them")),
    }
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}
