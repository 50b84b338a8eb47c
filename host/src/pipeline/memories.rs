//! What plugins keep of chains of calls, as the last call left it.
//!
//! What is not on disk yet is here; all else is read from the outbox when it is needed, so what
//! another process changed there is seen. How much is here is bounded by what waits for the disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::event::CallEvent;
use crate::outbox::{MemoryChange, MemoryScope, Receipt, Scan};
use crate::plugins::Memory;
use crate::routes::{self, Learnt};

/// What is not known to be on disk yet.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    memories: HashMap<MemoryScope, Version>,
    /// What was learnt since the last commit was appended.
    fresh: Vec<(MemoryScope, u64)>,
    /// What was appended, in order, and not confirmed when it was last looked at.
    under_way: VecDeque<(Proof, Vec<(MemoryScope, u64)>)>,
    /// Counts what was learnt.
    learnt: u64,
}

/// What a plugin keeps after its last call.
#[derive(Debug)]
struct Version {
    memory: Memory,
    /// Which one that was.
    number: u64,
}

/// What tells that something is on disk.
#[derive(Debug)]
enum Proof {
    Receipt(Receipt),
    /// Whoever has the receipt.
    Word(Arc<AtomicBool>),
}

/// All that plugins keep.
pub(crate) struct Known<'a> {
    pub(crate) unsaved: &'a mut Unsaved,
    /// The rest.
    pub(crate) scan: &'a dyn Scan,
}

impl Unsaved {
    /// Takes note of what plugins keep from now on. Gives what is to be committed.
    pub(crate) fn learn(&mut self, event: &CallEvent, learnt: Vec<Learnt>) -> Vec<MemoryChange> {
        let mut changes = Vec::new();
        for Learnt { endpoint, plugin, memory } in learnt {
            let scope = scope(event, &endpoint, &plugin);
            changes.extend(memory.changes().map(|(key, value)| MemoryChange {
                scope: scope.clone(),
                key: key.to_owned(),
                value: value.map(<[u8]>::to_vec),
            }));
            self.learnt += 1;
            let number = self.learnt;
            self.fresh.push((scope.clone(), number));
            self.memories.insert(scope, Version { memory: memory.settled(), number });
        }
        changes
    }

    /// What was learnt is on disk when this receipt says so.
    pub(crate) fn appended(&mut self, receipt: Receipt) {
        if !self.fresh.is_empty() {
            let proof = Proof::Receipt(receipt);
            self.under_way.push_back((proof, std::mem::take(&mut self.fresh)));
        }
    }

    /// What was learnt is on disk when whoever has the receipt says so.
    pub(crate) fn settling(&mut self) -> Arc<AtomicBool> {
        let saved = Arc::<AtomicBool>::default();
        if !self.fresh.is_empty() {
            let proof = Proof::Word(Arc::clone(&saved));
            self.under_way.push_back((proof, std::mem::take(&mut self.fresh)));
        }
        saved
    }

    /// Forgets what is on disk.
    fn tidy(&mut self) {
        while let Some((proof, _)) = self.under_way.front_mut() {
            let saved = match proof {
                Proof::Receipt(receipt) => receipt.has_resolved(),
                Proof::Word(saved) => saved.load(Ordering::Acquire),
            };
            if !saved {
                return;
            }
            let Some((_, saved)) = self.under_way.pop_front() else { return };
            for (scope, number) in saved {
                if self.memories.get(&scope).is_some_and(|version| version.number == number) {
                    self.memories.remove(&scope);
                }
            }
        }
    }
}

impl routes::Memories for Known<'_> {
    fn recall(
        &mut self,
        event: &CallEvent,
        endpoint: &str,
        plugin: &str,
    ) -> anyhow::Result<Memory> {
        self.unsaved.tidy();
        let scope = scope(event, endpoint, plugin);
        match self.unsaved.memories.get(&scope) {
            Some(version) => Ok(version.memory.clone()),
            None => Ok(Memory::new(self.scan.recall(&scope)?)),
        }
    }
}

fn scope(event: &CallEvent, endpoint: &str, plugin: &str) -> MemoryScope {
    MemoryScope {
        pbx: event.pbx.clone(),
        chain: event.id.chain.to_string(),
        endpoint: endpoint.to_owned(),
        plugin: plugin.to_owned(),
    }
}
