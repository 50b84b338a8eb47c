//! Heads of lanes that are due, in memory, so that who claims them need not read the file.
//!
//! The writer hands over what has its turn as soon as that is on disk; what there is no room for
//! is read from the file when its time has come. So a backlog of any length takes no memory, and
//! without one nothing is read at all.

use std::collections::{HashSet, VecDeque};

use super::head::Head;

/// So many of those that are due longest are kept for an endpoint.
pub(super) const OLDEST: usize = 1_024;

/// So many of those that came due last are kept beside them while more than those wait.
pub(super) const NEWEST: usize = 32;

/// So many bytes are kept for an endpoint.
const BYTES: usize = 2 << 20;

/// Every so many requests, one is taken from those that came due last.
const SHARE: usize = 4;

/// What is kept for one endpoint.
#[derive(Debug)]
pub(super) struct Stock {
    /// The longest due come first.
    oldest: VecDeque<Head>,
    /// What came due last comes last; empty unless there is `more`.
    newest: VecDeque<Head>,
    seqs: HashSet<i64>,
    bytes: usize,
    /// There may be more in the file that is due.
    more: bool,
    /// When the next one comes due that is not here, unless there is `more`.
    next: Option<i64>,
    /// How many were taken, for taking turns between old and new ones.
    turns: usize,
}

impl Default for Stock {
    /// Nothing is known of the file yet.
    fn default() -> Self {
        Self {
            oldest: VecDeque::new(),
            newest: VecDeque::new(),
            seqs: HashSet::new(),
            bytes: 0,
            more: true,
            next: None,
            turns: 0,
        }
    }
}

impl Stock {
    /// Whether so many can be taken `now` as if the whole file had been looked through.
    pub(super) fn suffices(&mut self, max: usize, now: i64) -> bool {
        if self.next.is_some_and(|next| next <= now) {
            self.expect_more();
        }
        !self.more || self.oldest.len() >= max
    }

    /// There may be more in the file than what is here.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// How long until the next one comes due, as far as that is known.
    pub(super) fn next_in(&self, now: i64) -> Option<u64> {
        self.next.and_then(|next| u64::try_from(next.saturating_sub(now)).ok())
    }

    /// Takes at most `max` of those that are due longest; if there are more, every fourth is one of
    /// those that came due last.
    pub(super) fn take(&mut self, max: usize) -> Vec<Head> {
        let rest = self.more || self.seqs.len() > max;
        let mut taken = Vec::with_capacity(max.min(self.seqs.len()));
        while taken.len() < max {
            let late = rest && self.turns % SHARE == SHARE - 1;
            let Some(head) = self.pop(late) else { break };
            self.turns = self.turns.wrapping_add(1);
            taken.push(head);
        }
        taken
    }

    fn pop(&mut self, late: bool) -> Option<Head> {
        let head = if late {
            self.newest.pop_back().or_else(|| self.oldest.pop_back())
        } else {
            self.oldest.pop_front().or_else(|| self.newest.pop_front())
        }?;
        self.drop_count(&head);
        Some(head)
    }

    fn drop_count(&mut self, head: &Head) {
        self.seqs.remove(&head.seq);
        self.bytes -= head.bytes();
    }

    /// Adds what has its turn now, unless it is here already. What there is no room for is left
    /// to the file.
    pub(super) fn add(&mut self, head: Head) {
        if !self.seqs.insert(head.seq) {
            return;
        }
        self.bytes += head.bytes();
        let place = head.place();
        let among = self.oldest.back().is_some_and(|last| place < last.place());
        if among || !self.more {
            let at = self.oldest.partition_point(|other| other.place() < place);
            self.oldest.insert(at, head);
        } else {
            self.newest.push_back(head);
        }
        while self.oldest.len() > OLDEST || self.bytes > BYTES && self.oldest.len() > 1 {
            self.leave(|stock| stock.oldest.pop_back());
        }
        while self.newest.len() > NEWEST || self.bytes > BYTES && !self.newest.is_empty() {
            self.leave(|stock| stock.newest.pop_front());
        }
    }

    fn leave(&mut self, which: impl FnOnce(&mut Self) -> Option<Head>) {
        if let Some(head) = which(self) {
            self.drop_count(&head);
            self.expect_more();
        }
    }

    /// Begins anew with what is read from the file, which has all that is due.
    pub(super) fn begin(&mut self) {
        *self = Self { turns: self.turns, more: false, ..Self::default() };
    }

    /// Adds what was read from the file as the next of those that are due longest. `false` if
    /// there is room for no other one.
    pub(super) fn add_old(&mut self, head: Head) -> bool {
        self.seqs.insert(head.seq);
        self.bytes += head.bytes();
        self.oldest.push_back(head);
        self.bytes < BYTES
    }

    /// Adds what was read from the file as what came due last but for those that are here
    /// already. `false` if it is here too, or if there is room for no other one.
    pub(super) fn add_new(&mut self, head: Head) -> bool {
        if !self.seqs.insert(head.seq) {
            return false;
        }
        self.bytes += head.bytes();
        self.newest.push_front(head);
        self.bytes < BYTES
    }

    /// How many requests are here.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seqs.len()
    }

    /// Whether this request is here.
    pub(super) fn has(&self, seq: i64) -> bool {
        self.seqs.contains(&seq)
    }

    /// One that is not here comes due then.
    pub(super) fn comes_due(&mut self, due: i64) {
        if !self.more {
            self.next = Some(self.next.map_or(due, |next| next.min(due)));
        }
    }

    /// The file may have more that is due than what is here.
    pub(super) fn expect_more(&mut self) {
        self.more = true;
        self.next = None;
    }

    /// Removes a request, if it is here.
    pub(super) fn remove(&mut self, seq: i64) {
        if self.has(seq) {
            let Self { oldest, newest, .. } = self;
            let place = |heads: &VecDeque<Head>| heads.iter().position(|head| head.seq == seq);
            let head = match place(oldest) {
                Some(place) => oldest.remove(place),
                None => place(newest).and_then(|place| newest.remove(place)),
            };
            if let Some(head) = head {
                self.drop_count(&head);
            }
        }
    }

    /// What is here may be wrong.
    pub(super) fn forget(&mut self) {
        *self = Self { turns: self.turns, ..Self::default() };
    }
}
