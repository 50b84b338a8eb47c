//! What Bitrix24 should know of a chain of calls, and what it has been told.
//!
//! An event comes when it happens, a reply when it comes, and either may be first: a phone can stop
//! ringing before Bitrix24 has answered that the call is registered, and without that answer
//! nothing more can be said of the call. So neither of them decides what to send. They only write
//! down what they know, here; `due` then compares what should be known with what was told.
//!
//! A link of a chain, as callhook counts them, is a call of Bitrix24.

use serde::{Deserialize, Serialize};

/// More links than this are not remembered. Only a loop of transfers has so many; what is
/// forgotten is finished, so all that is lost is a recording that comes late.
const MOST_LINKS: usize = 30;

/// So many people are tried before a call is taken for one of nobody's. Each is asked for after the
/// answer to the one before, and the host lets 16 requests follow on one another.
const MOST_STRANGERS: usize = 10;

/// Somebody whom Bitrix24 knows, or may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    /// By the id there.
    Id(u64),
    /// By the internal number that the user has there.
    Extension(String),
}

/// The links of one chain, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    links: Vec<Link>,
}

/// One call of Bitrix24.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its place in the chain. 0 becomes 1 when somebody answers.
    pub number: u32,
    /// What Bitrix24 is told of it at once.
    pub facts: Facts,
    /// Who can stand for it, the first one first.
    pub people: Vec<User>,
    /// Who should see its card now.
    pub present: Vec<User>,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
    /// Where its recording is, once there is one.
    pub recording: Option<String>,
    /// Whether Bitrix24 knows it.
    pub registration: Registration,
    /// Those of `people` whom Bitrix24 turned out not to know.
    pub strangers: Vec<User>,
    /// Who was told to see its card.
    pub shown: Vec<User>,
    /// Whether Bitrix24 knows that it ended.
    pub finish: Finish,
    /// Bitrix24 was told of the recording.
    pub recording_told: bool,
}

/// What does not change while a call lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Ours for the call, and no other's: within 30 minutes Bitrix24 takes the same id for the same
    /// call.
    pub external_id: String,
    /// The number outside.
    pub phone: String,
    /// 1 outgoing, 2 incoming, 3 incoming and passed on.
    pub kind: u8,
    /// When it began, with its zone.
    pub start: String,
    /// The line that it came through.
    pub line: Option<String>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whose call it was; `None`: of whoever it was registered for.
    pub user: Option<User>,
    /// The seconds of the conversation.
    pub duration: u32,
    /// A code of Bitrix24, such as `200` or `304`.
    pub status: String,
    /// Why there was no conversation.
    pub reason: Option<String>,
}

/// How far a call has come to be known to Bitrix24.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Registration {
    /// It is not known there, and nothing is under way.
    #[default]
    Open,
    /// Bitrix24 was told, for this user, and has not answered yet.
    Asked(User),
    /// It is known there.
    Known {
        /// For whom.
        user: User,
        /// What Bitrix24 calls it.
        call_id: String,
    },
    /// Bitrix24 refuses it, for a reason that somebody has to mend.
    Refused(User),
}

/// How far the end of a call has come to be known to Bitrix24.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finish {
    /// It was not told.
    #[default]
    Open,
    /// It was told and has not answered, or has refused.
    Told,
    /// It has taken it.
    Done,
}

impl Chain {
    /// The chain as it was kept; an empty one if nothing was, or nothing that can be read.
    pub fn from_bytes(bytes: Option<&[u8]>) -> Self {
        bytes.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    /// To be kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and lists of them cannot fail to become JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The links, the oldest first.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The links, to be told of.
    pub fn links_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut()
    }

    /// The link that was registered under this id.
    pub fn by_external_id(&mut self, id: &str) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.facts.external_id == id)
    }

    /// The link of that number if it is there.
    pub fn link(&mut self, number: u32) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.number == number)
    }

    /// The link of that number, which begins now with these facts if it is not there. The first
    /// answer makes link 1 of link 0, and for Bitrix24 both are one call.
    #[expect(clippy::indexing_slicing, reason = "the place was just found or made")]
    pub fn open(&mut self, number: u32, facts: impl FnOnce() -> Facts) -> &mut Link {
        let begun = |link: &Link| {
            link.number == number || number == 1 && link.number == 0 && link.outcome.is_none()
        };
        let place = self.links.iter().position(begun).unwrap_or_else(|| {
            self.links.push(Link::new(number, facts()));
            self.forget();
            self.links.len() - 1
        });
        let link = &mut self.links[place];
        link.number = number;
        link
    }

    /// Lets the oldest links go that are finished and too many.
    fn forget(&mut self) {
        while self.links.len() > MOST_LINKS
            && let Some(place) = self.links.iter().position(|link| link.finish != Finish::Open)
        {
            self.links.remove(place);
        }
    }
}

impl Link {
    fn new(number: u32, facts: Facts) -> Self {
        Self {
            number,
            facts,
            people: Vec::new(),
            present: Vec::new(),
            outcome: None,
            recording: None,
            registration: Registration::Open,
            strangers: Vec::new(),
            shown: Vec::new(),
            finish: Finish::Open,
            recording_told: false,
        }
    }

    /// Somebody can stand for this call.
    pub fn involve(&mut self, user: &User) {
        if !self.people.contains(user) {
            self.people.push(user.clone());
        }
    }

    /// Somebody's phone rings.
    pub fn rings(&mut self, user: &User) {
        self.involve(user);
        if !self.present.contains(user) {
            self.present.push(user.clone());
        }
    }

    /// Somebody's phone rings no longer.
    pub fn stops(&mut self, user: &User) {
        self.present.retain(|other| other != user);
    }

    /// Somebody talks, so nobody's phone rings any more.
    pub fn talks(&mut self, user: Option<&User>) {
        self.present.clear();
        if let Some(user) = user {
            // Before those whose phones only rang.
            self.people.retain(|other| other != user);
            self.people.insert(0, user.clone());
            self.present.push(user.clone());
        }
    }

    /// It is over.
    pub fn ends(&mut self, outcome: Outcome) {
        if let Some(user) = &outcome.user {
            self.involve(user);
        }
        self.present.clear();
        self.outcome = Some(outcome);
    }

    /// The next one to be registered for, if there is somebody.
    pub fn candidate(&self) -> Option<&User> {
        if self.strangers.len() >= MOST_STRANGERS {
            return None;
        }
        self.people.iter().find(|user| !self.strangers.contains(user))
    }
}
