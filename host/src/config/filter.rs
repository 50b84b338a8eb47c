//! Which calls an endpoint wants to hear of: lists of numbers with `*` and ranges.

use crate::event::{CallEvent, Direction, PartyKind};

/// What an event must be to pass. A list that is empty lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The dialled number or the name of its rule. Only incoming calls have one.
    pub did: Vec<Pattern>,
    /// The internal number.
    pub user: Vec<Pattern>,
    /// The number of the queue that the call waits in or came through.
    pub queue: Vec<Pattern>,
    /// Which way the call goes.
    pub direction: Vec<Direction>,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Shape);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// `100-199`: both ends belong to it; leading zeros count, as they do when dialling.
    Range { from: String, to: String },
    /// Literal but for `*`, which stands for any text.
    Glob(String),
}

impl Filter {
    /// Whether the event passes all lists.
    pub fn matches(&self, event: &CallEvent) -> bool {
        let number = event.did.as_ref().map(|did| did.number.as_str());
        let name = event.did.as_ref().and_then(|did| did.name.as_deref());
        let ringing_queue = (event.user.kind == PartyKind::Queue).then_some(&event.user);
        let queue = event.queue.as_ref().or(ringing_queue).map(|queue| queue.number.as_str());
        passes(&self.did, &[number, name])
            && passes(&self.user, &[Some(&event.user.number)])
            && passes(&self.queue, &[queue])
            && (self.direction.is_empty() || self.direction.contains(&event.direction))
    }
}

/// Whether one of the texts fits one of the patterns, or there are none.
fn passes(patterns: &[Pattern], texts: &[Option<&str>]) -> bool {
    patterns.is_empty()
        || texts.iter().flatten().any(|text| patterns.iter().any(|pattern| pattern.fits(text)))
}

impl Pattern {
    /// Reads `100-199`, `42022620*` or `800`. None if a range runs backwards.
    pub fn parse(text: &str) -> Option<Self> {
        let text = without_plus(text);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match text.split_once('-') {
            Some((from, to)) if digits(from) && digits(to) => (order(from) <= order(to))
                .then(|| Self(Shape::Range { from: from.to_owned(), to: to.to_owned() })),
            _ => Some(Self(Shape::Glob(text.to_owned()))),
        }
    }

    /// Whether `text` is one that this pattern stands for. A `+` before a number makes no
    /// difference.
    pub fn fits(&self, text: &str) -> bool {
        let text = without_plus(text);
        match &self.0 {
            Shape::Range { from, to } => {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                digits && (order(from)..=order(to)).contains(&order(text))
            }
            Shape::Glob(pattern) => glob(pattern, text),
        }
    }
}

/// Digits compare as numbers do if the longer one is the greater one.
fn order(digits: &str) -> (usize, &str) {
    (digits.len(), digits)
}

fn without_plus(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let (middle, end) = tail.rsplit_once('*').unwrap_or(("", tail));
    let Some(mut rest) = text.strip_prefix(head).and_then(|rest| rest.strip_suffix(end)) else {
        return false;
    };
    middle.split('*').all(|part| match rest.split_once(part) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => part.is_empty(),
    })
}

/// A pattern reads back as it was written, without a `+` before it.
impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Shape::Range { from, to } => write!(f, "{from}-{to}"),
            Shape::Glob(pattern) => f.write_str(pattern),
        }
    }
}
