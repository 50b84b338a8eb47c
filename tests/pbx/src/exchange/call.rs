//! A call: which of its legs plays which part.

use std::fmt;

/// A call of the moment. Legs are named by their participant ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub id: i64,
    /// The leg to which everything else is connected: at first the caller's.
    pub anchor: i64,
    /// The leg of the queue, receptionist, voicemail or parking place that holds the call.
    pub waiting: Option<i64>,
    /// Legs that ring.
    pub offers: Vec<i64>,
    /// The leg that talks with the anchor.
    pub talking: Option<i64>,
    /// Legs of those who listen or talk besides.
    pub joined: Vec<i64>,
    /// The queue or ring group that looks for somebody, and how often it has rung.
    pub(crate) group: Option<Poll>,
    /// How many leg numbers were given.
    pub(crate) legs_made: i64,
    /// What stands before the caller's name.
    pub(crate) prefix: String,
}

/// A queue or ring group at its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Poll {
    /// Which one.
    pub(crate) dn: String,
    /// How many times it has rung somebody.
    pub(crate) rounds: usize,
}

/// Somebody who takes part in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// The owner of an internal number.
    Dn(&'a str),
    /// The owner of an internal number, at the phone with this place in the list.
    Phone(&'a str, usize),
    /// The owner of a number outside.
    Outside(&'a str),
    /// Whoever owns the participant with this id.
    Participant(i64),
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dn(number) | Self::Outside(number) => f.write_str(number),
            Self::Phone(number, place) => write!(f, "phone {place} of {number}"),
            Self::Participant(id) => write!(f, "participant {id}"),
        }
    }
}

impl Call {
    /// A call that only has its first leg.
    pub(crate) fn new(id: i64) -> Self {
        Self {
            id,
            anchor: 0,
            waiting: None,
            offers: Vec::new(),
            talking: None,
            joined: Vec::new(),
            group: None,
            legs_made: 0,
            prefix: String::new(),
        }
    }

    /// All legs but the anchor, those that ring first.
    pub(crate) fn others(&self) -> impl Iterator<Item = i64> {
        let offers = self.offers.iter().copied();
        offers.chain(self.talking).chain(self.joined.iter().copied()).chain(self.waiting)
    }

    /// Makes `leg` the one that talks and its partner the anchor, so that what follows need not
    /// ask who called whom. Says whether `leg` does talk.
    pub(crate) fn turn_to(&mut self, leg: i64) -> bool {
        match self.talking {
            Some(talking) if talking == leg => true,
            Some(talking) if self.anchor == leg => {
                self.anchor = talking;
                self.talking = Some(leg);
                true
            }
            _ => false,
        }
    }
}
