//! The PBX's books: what its Configuration API (`/xapi/v1`) says of numbers, names and DID rules.
//! What it says of calls, while they are out of sight and afterwards, is read in `afterwards.rs`.
//!
//! Few API clients may read them, and nothing here depends on it. The books are read in the
//! background after the PBX began to be watched, and now and then; what they say goes the way of
//! all notices. The token is the one of the watcher, and a refusal here does not renew
//! it: a client without the right may get a 401, and a new token would cost the watcher its socket.

mod afterwards;
mod agenda;
mod log;
mod pages;
mod rows;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tracing::{debug, info};

use self::pages::{Contents, read};
use self::rows::Row;
use super::connection::NobodyListens;
use super::rest::Rest;
use crate::clock::Clock;
use crate::source::notice::{Known, Notice, Seen};

pub(super) use self::afterwards::keep_looking;
pub(super) use self::agenda::Wishes;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use self::log::{active, logged};
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use self::pages::page;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use self::rows::known as known_from;

/// How often the books are read.
const EVERY: Duration = Duration::from_mins(10);

/// How often at most, however often the connection is lost and found again.
const REST: Duration = Duration::from_mins(1);

/// More pages than that is no exchange that 3CX sells.
const MOST_PAGES: usize = 200;

/// One of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Book {
    /// Every DN with its name and type.
    Peers,
    /// The extensions' people.
    Users,
    /// The queues.
    Queues,
    /// The numbers of the trunks.
    DidNumbers,
    /// The rules that say where calls to them go.
    InboundRules,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Shelf {
    books: BTreeMap<Book, Vec<Row>>,
    /// Not open to us; not asked for again.
    closed: Vec<Book>,
    /// What was told last.
    told: Option<Known>,
}

impl Book {
    const ALL: [Self; 5] =
        [Self::Peers, Self::Users, Self::Queues, Self::DidNumbers, Self::InboundRules];

    /// The name in the path.
    fn name(self) -> &'static str {
        match self {
            Self::Peers => "Peers",
            Self::Users => "Users",
            Self::Queues => "Queues",
            Self::DidNumbers => "DidNumbers",
            Self::InboundRules => "InboundRules",
        }
    }

    /// What spares the PBX work; left out if this PBX does not understand it.
    fn options(self) -> &'static str {
        match self {
            Self::Peers => "$select=Number,Name,Type",
            Self::Users => "$select=Number,FirstName,LastName,DisplayName,EmailAddress",
            Self::Queues => "$select=Number,Name",
            Self::DidNumbers => "$expand=RoutingRule",
            Self::InboundRules => "$select=RuleName,Data,Condition",
        }
    }
}

/// Reads the books whenever it is time, and tells what they say when that is something new.
pub(super) async fn keep_reading(
    rest: &Rest,
    clock: &Clock,
    notices: &Sender<Notice>,
) -> NobodyListens {
    let mut shelf = Shelf::default();
    loop {
        tokio::select! {
            // What was closed may have been closed to a token that was taken away.
            () = rest.watched.notified() => shelf.closed.clear(),
            () = sleep(EVERY) => {}
        }
        shelf.refresh(rest).await;
        if let Some(known) = shelf.news() {
            debug!(numbers = known.numbers.len(), dids = known.dids.len(), "Read the PBX's books.");
            let notice = Notice { at: clock.now(), what: Seen::Known(Box::new(known)) };
            if notices.send(notice).await.is_err() {
                return NobodyListens;
            }
        }
        sleep(REST).await;
    }
}

impl Shelf {
    async fn refresh(&mut self, rest: &Rest) {
        let before = self.closed.len();
        for book in Book::ALL {
            if self.closed.contains(&book) {
                continue;
            }
            match read(rest, book.name(), book.options(), MOST_PAGES).await {
                Ok(Contents::Rows(rows)) => {
                    self.books.insert(book, rows);
                }
                Ok(Contents::Closed) => self.closed.push(book),
                // What was read before still counts.
                Err(error) => {
                    rest.faults.report("books", format_args!("{}: {error}", book.name()));
                }
            }
        }
        let closed: Vec<&str> = self.closed.iter().skip(before).map(|book| book.name()).collect();
        if !closed.is_empty() {
            info!(
                closed = closed.join(", "),
                "The PBX's Configuration API is not open to this client; what it would say is \
                 taken from [did], [dn] and [directory]."
            );
        }
    }

    /// What the books say, if it is not what was told.
    fn news(&mut self) -> Option<Known> {
        if self.books.is_empty() {
            return None;
        }
        let known = rows::known(&self.books);
        let new = self.told.as_ref() != Some(&known);
        new.then(|| self.told.insert(known).clone())
    }
}
