//! One connection to the PBX, from its first snapshot to its end.
//!
//! The order is what makes it safe, since 3CX replays nothing: the socket is open before the
//! snapshot is asked for, so whatever changes meanwhile is announced and waits in line.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::{Instrument as _, debug, info};

use super::error::SourceError;
use super::reads::{Reads, Ticket};
use super::rest::{Found, Rest};
use super::socket::Socket;
use super::wire::{self, Frame, Listing};
use crate::clock::{Clock, Moment};
use crate::metrics::PbxMetrics;
use crate::source::notice::{Notice, Seen};

/// So many snapshots that fail one after the other end the connection.
const MOST_FAILURES: u32 = 3;

/// So many snapshots one after the other that show changes, none of which was announced, end the
/// connection: the socket is open and deaf. Inferred: that could follow from a new token.
pub(super) const MOST_DEAF: u32 = 2;

/// A connection that is open.
pub(super) struct Connection<'a> {
    socket: Socket,
    rest: Arc<Rest>,
    reads: &'a mut Reads,
    clock: &'a Clock,
    metrics: &'a PbxMetrics,
    /// Reads and snapshots under way; they end with the connection.
    tasks: JoinSet<Finished>,
    /// When to ask for the next snapshot.
    due: Interval,
    /// Whether one is under way.
    asking: bool,
    /// Whether the first one was told.
    watched: bool,
    /// Snapshots that failed since the last that did not.
    failures: u32,
    /// Frames since the last snapshot was asked for.
    frames: u64,
    /// Whether none had come when it was.
    silent: bool,
    /// Snapshots in a row that showed the socket to be deaf.
    deaf: u32,
}

/// Something came back.
enum Finished {
    Read(Ticket, Result<Found, SourceError>),
    Listing(Moment, Result<Listing, SourceError>),
}

/// Nobody takes notices any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NobodyListens;

impl<'a> Connection<'a> {
    /// A connection over `socket`, of which nothing has been read yet.
    pub(super) fn new(
        socket: Socket,
        rest: Arc<Rest>,
        reads: &'a mut Reads,
        clock: &'a Clock,
        metrics: &'a PbxMetrics,
        snapshot_every: Duration,
    ) -> Self {
        reads.reset();
        let mut due = interval_at(Instant::now() + snapshot_every, snapshot_every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            rest,
            reads,
            clock,
            metrics,
            tasks: JoinSet::new(),
            due,
            asking: false,
            watched: false,
            failures: 0,
            frames: 0,
            silent: false,
            deaf: 0,
        }
    }

    /// Watches until the connection fails or nobody listens. May be dropped at any time.
    pub(super) async fn watch(
        &mut self,
        notices: &Sender<Notice>,
    ) -> Result<NobodyListens, SourceError> {
        self.ask();
        loop {
            self.start_reads();
            let now = self.clock.now();
            let ready = self.reads.ready(now);
            let wait = self.reads.wait(now);
            tokio::select! {
                frame = self.socket.next() => self.hear(&frame?)?,
                Some(finished) = self.tasks.join_next() => {
                    let finished =
                        finished.map_err(|error| SourceError::Broken(error.to_string()))?;
                    self.finish(finished)?;
                }
                permit = notices.reserve(), if ready => {
                    let Ok(permit) = permit else { return Ok(NobodyListens) };
                    if let Some(notice) = self.reads.tell(self.clock.now()) {
                        let deaf = self.told(&notice);
                        permit.send(notice);
                        deaf?;
                    }
                }
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                _ = self.due.tick(), if !self.asking => self.ask(),
            }
        }
    }

    /// Whether a snapshot was told since it opened.
    pub(super) fn watched(&self) -> bool {
        self.watched
    }

    fn ask(&mut self) {
        self.asking = true;
        self.silent = self.frames == 0;
        self.frames = 0;
        let (rest, asked) = (Arc::clone(&self.rest), self.clock.now());
        let listing = async move { Finished::Listing(asked, rest.listing().await) };
        self.tasks.spawn(listing.in_current_span());
    }

    fn start_reads(&mut self) {
        while let Some((ticket, key)) = self.reads.next_read() {
            let rest = Arc::clone(&self.rest);
            let read = async move { Finished::Read(ticket, rest.participant(&key).await) };
            self.tasks.spawn(read.in_current_span());
        }
    }

    fn hear(&mut self, text: &str) -> Result<(), SourceError> {
        let at = self.clock.now();
        self.frames += 1;
        match wire::frame(text) {
            Ok(Frame::Upsert { key, attached }) => {
                debug!(leg = %key, attached = attached.is_some(), "A participant changed.");
                self.reads.upsert(key, at, attached);
            }
            Ok(Frame::Remove(key)) => {
                debug!(leg = %key, "A participant is gone.");
                self.reads.remove(key, at);
            }
            Ok(Frame::Other(what)) => self.rest.faults.ignored(what),
            Err(malformed) => self.rest.faults.report("frame", malformed),
        }
        if self.reads.overrun() {
            return Err(SourceError::Broken("more events than can be handled".to_owned()));
        }
        Ok(())
    }

    fn finish(&mut self, finished: Finished) -> Result<(), SourceError> {
        match finished {
            Finished::Read(ticket, found) => self.reads.finish(ticket, found?),
            Finished::Listing(asked, Ok(listing)) => {
                self.asking = false;
                self.failures = 0;
                self.reads.arrive(asked, listing);
            }
            Finished::Listing(_, Err(error)) => {
                self.asking = false;
                self.failures += 1;
                let hopeless = error == SourceError::TokenRejected;
                if hopeless || !self.watched || self.failures >= MOST_FAILURES {
                    return Err(error);
                }
                self.rest.faults.report("snapshot", error);
            }
        }
        Ok(())
    }

    /// Looks at what is being told. Fails if it shows that the socket is deaf.
    fn told(&mut self, notice: &Notice) -> Result<(), SourceError> {
        self.rest.note(notice);
        let Seen::Snapshot(snapshot) = &notice.what else { return Ok(()) };
        let (dns, legs) = (snapshot.dns.len(), snapshot.legs.len());
        if snapshot.after_gap {
            self.watched = true;
            self.metrics.watched(true);
            self.rest.watched.notify_one();
            info!(dns, legs, "The PBX is watched.");
        } else {
            debug!(dns, legs, missed = self.reads.missed(), "Compared with a snapshot.");
        }
        self.deaf = if self.silent && self.reads.missed() > 0 { self.deaf + 1 } else { 0 };
        if self.deaf >= MOST_DEAF {
            return Err(SourceError::Broken("the event socket announces no changes".to_owned()));
        }
        Ok(())
    }
}
