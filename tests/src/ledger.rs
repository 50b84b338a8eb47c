//! What the service has committed itself to: its database, held against what arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row};
use tokio::time::Instant;
use url::Url;

use crate::Arrival;

/// The requests in the database at one moment, the oldest first.
#[derive(Debug)]
pub struct Ledger {
    /// The requests.
    pub entries: Vec<Entry>,
    /// Events, by id: their chain of calls and their kind.
    pub events: BTreeMap<String, (String, String)>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its `webhook-id`.
    pub id: String,
    /// The event that it was made of.
    pub event: String,
    /// Where it goes.
    pub endpoint: String,
    /// What it is in order with.
    pub lane: String,
    /// `waiting`, `behind`, `delivered`, `dead`, `expired`.
    pub state: String,
    /// Why it is dead.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// It let others of its lane pass.
    pub aside: bool,
    method: String,
    /// Its address.
    pub url: String,
    body: Vec<u8>,
}

/// What an audit counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Requests that were delivered.
    pub delivered: usize,
    /// Requests that were given up.
    pub dead: usize,
    /// Requests that were too late.
    pub expired: usize,
    /// Arrivals that were accepted though the same id had been before.
    pub repeated: usize,
}

impl Ledger {
    /// Reads the database at `path`, which a service may be writing to.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    pub fn read(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = Connection::open_with_flags(path, flags).expect("the database opens");
        database.busy_timeout(Duration::from_secs(5)).expect("it waits");
        let entries = database
            .prepare(
                "SELECT id, event_id, endpoint, lane, state, reason, attempts, aside, method, url,
                 body FROM requests ORDER BY seq",
            )
            .and_then(|mut all| all.query_map([], entry)?.collect())
            .expect("the requests can be read");
        let events = database
            .prepare("SELECT event_id, chain, kind FROM events")
            .and_then(|mut all| {
                all.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?.collect()
            })
            .expect("the events can be read");
        Self { entries, events }
    }

    /// Waits until nothing waits to be sent any more, at most for `limit`.
    ///
    /// # Panics
    ///
    /// If something still does.
    pub async fn settled(path: &Path, limit: Duration) -> Self {
        Self::wait(path, limit, "nothing is left to be sent", |ledger| ledger.waiting() == 0).await
    }

    /// Waits until the ledger is as wanted, at most for `limit`.
    ///
    /// # Panics
    ///
    /// If it does not come to that.
    pub async fn wait(
        path: &Path,
        limit: Duration,
        what: &str,
        enough: impl Fn(&Self) -> bool,
    ) -> Self {
        let deadline = Instant::now() + limit;
        loop {
            let ledger = Self::read(path);
            if enough(&ledger) {
                return ledger;
            }
            let waits = ledger.entries.iter().find(|entry| entry.is_waiting());
            assert!(Instant::now() < deadline, "waited {limit:?} until {what}: {waits:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Requests that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_waiting()).count()
    }

    /// Chains of calls of which an event was kept, with the number of their ends.
    pub fn ends(&self) -> BTreeMap<&str, usize> {
        let mut ends = BTreeMap::new();
        for (chain, kind) in self.events.values() {
            *ends.entry(chain.as_str()).or_default() += usize::from(kind == "end");
        }
        ends
    }

    /// Holds what arrived at an endpoint against what was committed for it, when all is done:
    /// every request arrived or is dead or expired; what arrived is what was committed, and
    /// nothing else arrived; each lane arrived in its order; what arrived again is the same.
    ///
    /// # Panics
    ///
    /// If one of these does not hold.
    pub fn audit(&self, endpoint: &str, arrived: &[Arrival]) -> Account {
        let own = self.entries.iter().filter(|entry| entry.endpoint == endpoint);
        let own: BTreeMap<&str, &Entry> = own.map(|entry| (entry.id.as_str(), entry)).collect();
        let mut account = Account::default();
        let mut taken = BTreeSet::new();
        let mut tried = BTreeMap::new();
        let mut order: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for arrival in arrived {
            let entry = own.get(arrival.id());
            let entry = entry.unwrap_or_else(|| panic!("never committed: {arrival:#?}"));
            entry.is_what_arrived(arrival);
            let last = tried.insert(arrival.id(), arrival.attempt()).unwrap_or(0);
            assert!(last <= arrival.attempt(), "attempts are counted up: {arrival:#?}");
            if !arrival.was_taken() {
                continue;
            }
            if taken.insert(arrival.id()) {
                let sequence = arrival.header("x-callhook-sequence").parse();
                let sequence = sequence.expect("it has a place in its chain");
                order.entry(entry.lane.as_str()).or_default().push(sequence);
            } else {
                account.repeated += 1;
            }
        }
        for entry in own.values() {
            match entry.state.as_str() {
                "delivered" => {
                    account.delivered += 1;
                    assert!(taken.contains(entry.id.as_str()), "never arrived: {entry:#?}");
                }
                "dead" => account.dead += 1,
                "expired" => account.expired += 1,
                state => panic!("still {state}: {entry:#?}"),
            }
        }
        let stepped_aside: BTreeSet<&str> =
            own.values().filter(|entry| entry.aside).map(|entry| entry.lane.as_str()).collect();
        for (lane, sequences) in order {
            let ascends = sequences.is_sorted();
            assert!(ascends || stepped_aside.contains(lane), "{lane} arrived as {sequences:?}");
        }
        account
    }

    /// Holds that each call of which anything was told was told to be over, once.
    ///
    /// # Panics
    ///
    /// If one was not, or twice.
    pub fn every_call_ended_once(&self) {
        let wrong: Vec<_> = self.ends().into_iter().filter(|(_, ends)| *ends != 1).collect();
        assert!(wrong.is_empty(), "calls and the number of their ends: {wrong:?}");
    }
}

impl Entry {
    fn is_waiting(&self) -> bool {
        matches!(self.state.as_str(), "waiting" | "behind")
    }

    fn is_what_arrived(&self, arrival: &Arrival) {
        let url = Url::parse(&self.url).expect("it was made from a URL");
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", url.path());
        assert_eq!(
            (&self.method, &target, &self.body),
            (&arrival.method, &arrival.target, &arrival.body),
            "{} arrived as it was committed",
            self.id
        );
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get(0)?,
        event: row.get(1)?,
        endpoint: row.get(2)?,
        lane: row.get(3)?,
        state: row.get(4)?,
        reason: row.get(5)?,
        attempts: row.get(6)?,
        aside: row.get(7)?,
        method: row.get(8)?,
        url: row.get(9)?,
        body: row.get(10)?,
    })
}
