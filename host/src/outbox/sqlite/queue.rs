//! What waits for the writer.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::change::ChangeStep;
use super::hold;
use super::prune::Pruned;
use super::settle::Place;
use super::timeline::Stamp;
use crate::outbox::receipt::Done;
use crate::outbox::{Commit, Judged, Settlement};

/// So many operations wait at most before appending blocks.
const ROOM: usize = 1_024;

/// So many operations share a transaction at most: more make it no cheaper per row, but keep the
/// first of them waiting.
const BATCH: usize = 1_024;

/// One unit of work for the writer.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) work: Work,
    /// When it was asked for; a wait begins here and not when the disk is ready.
    pub(super) at: Stamp,
    /// Told when it is on disk; dropped if it never will be.
    pub(super) done: Done,
}

/// What the writer can do.
#[derive(Debug)]
pub(super) enum Work {
    /// Store a commit.
    Append(Commit),
    /// Store what became of a claimed request.
    Settle {
        /// The request.
        seq: i64,
        /// Its lane.
        place: Place,
        settlement: Settlement,
    },
    /// Store what follows from a judged reply to a claimed request.
    Judged { seq: i64, place: Place, id: String, judged: Box<Judged> },
    /// Finish these as expired; nobody has them in hand.
    Expire(Vec<i64>),
    /// Have these leave their turns, if they still wait for a later attempt.
    StepAside(Vec<i64>),
    /// Have these leave their turns then, unless they are tried before.
    LetPass(Vec<(i64, i64)>),
    /// Bury a request that cannot be read.
    Spoilt { seq: i64, reason: String },
    /// Change a chunk of what an operator selected.
    Change(Arc<ChangeStep>),
    /// Keep a value under a name, or forget it.
    Keep { name: String, value: Option<String> },
    /// Remove a chunk of what was finished longer ago than this.
    Prune { age: Duration, place: Arc<Pruned> },
}

/// A first-in first-out queue between any number of callers and the one writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Signals callers that there may be room, or that the queue is closed.
    room: Condvar,
    /// Signals the writer that there is work, or that the queue is closed.
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Operation>,
    /// The writer waits for work. Waking it when it does not is a system call all the same.
    idle: bool,
    closed: bool,
}

impl Queue {
    /// Adds `operation`, after waiting for room. If the queue is closed, drops it.
    pub(super) fn push_when_room(&self, operation: Operation) {
        let full = |state: &mut State| state.waiting.len() >= ROOM && !state.closed;
        let mut state =
            self.room.wait_while(hold(&self.state), full).unwrap_or_else(PoisonError::into_inner);
        self.add(&mut state, operation);
    }

    /// Adds `operation` even if there is no room. If the queue is closed, drops it.
    pub(super) fn push(&self, operation: Operation) {
        let mut state = hold(&self.state);
        self.add(&mut state, operation);
    }

    fn add(&self, state: &mut State, operation: Operation) {
        if !state.closed {
            state.waiting.push_back(operation);
            if std::mem::take(&mut state.idle) {
                self.work.notify_one();
            }
        }
    }

    /// Waits for work, but no longer than `time`, and moves what there is, up to the size of a
    /// batch, into `batch`. `false` if the queue is closed and nothing is left.
    pub(super) fn take(&self, batch: &mut Vec<Operation>, time: Duration) -> bool {
        let mut state = hold(&self.state);
        state.idle = true;
        let nothing = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let (mut state, _) = self
            .work
            .wait_timeout_while(state, time, nothing)
            .unwrap_or_else(PoisonError::into_inner);
        state.idle = false;
        let count = state.waiting.len().min(BATCH);
        batch.extend(state.waiting.drain(..count));
        self.room.notify_all();
        !batch.is_empty() || !state.closed
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        hold(&self.state).waiting.is_empty()
    }

    /// Waits for `time`, or until the queue is closed; says whether it is.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let open = |state: &mut State| !state.closed;
        let (state, _) = self
            .work
            .wait_timeout_while(hold(&self.state), time, open)
            .unwrap_or_else(PoisonError::into_inner);
        state.closed
    }

    /// Takes nothing new; what is in it can still be taken.
    pub(super) fn close(&self) {
        hold(&self.state).closed = true;
        self.room.notify_all();
        self.work.notify_all();
    }
}
