//! What is in somebody's hands.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use super::settle::Place;
use crate::outbox::Claimed;

/// The number of the last claim. None is used twice in a process, whatever outbox it is of.
static LAST: AtomicI64 = AtomicI64::new(0);

/// The requests that were handed out and are not yet settled.
#[derive(Debug, Default)]
pub(super) struct Leases {
    by_seq: HashMap<i64, Lease>,
    /// The same by the number of the claim.
    seqs: HashMap<i64, i64>,
}

#[derive(Debug)]
struct Lease {
    /// Without one, the outbox itself has it in hand.
    claim: Option<Claim>,
    /// Its settlement is on its way to the disk.
    settling: bool,
}

#[derive(Debug)]
struct Claim {
    number: i64,
    endpoint: String,
}

impl Leases {
    /// Whether somebody has this request in hand.
    pub(super) fn has(&self, seq: i64) -> bool {
        self.by_seq.contains_key(&seq)
    }

    /// Gives a request to who delivers to `endpoint`, and its claim a number.
    pub(super) fn give(&mut self, seq: i64, endpoint: &str) -> i64 {
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let claim = Some(Claim { number, endpoint: endpoint.to_owned() });
        self.by_seq.insert(seq, Lease { claim, settling: false });
        self.seqs.insert(number, seq);
        number
    }

    /// The outbox itself takes a request in hand, to settle it.
    pub(super) fn keep(&mut self, seq: i64) {
        self.by_seq.insert(seq, Lease { claim: None, settling: true });
    }

    /// The request and its lane, if this claim of it is to be settled; and that only once.
    pub(super) fn settling(&mut self, claimed: &Claimed) -> Option<(i64, Place)> {
        let seq = *self.seqs.get(&claimed.lease)?;
        let lease = self.by_seq.get_mut(&seq)?;
        if std::mem::replace(&mut lease.settling, true) {
            return None;
        }
        let endpoint = lease.claim.as_ref()?.endpoint.clone();
        Some((seq, Place { endpoint, lane: claimed.lane.clone() }))
    }

    /// Forgets that these are in anybody's hands.
    pub(super) fn release(&mut self, seqs: &[i64]) {
        for seq in seqs {
            if let Some(claim) = self.by_seq.remove(seq).and_then(|lease| lease.claim) {
                self.seqs.remove(&claim.number);
            }
        }
    }
}
