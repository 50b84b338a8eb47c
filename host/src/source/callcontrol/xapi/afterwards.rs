//! Looks after calls that went out of sight: whether they are still going on, and, when they are
//! over, what the call log says of them.
//!
//! One request at a time, with the watcher's token, which a refusal here does not
//! renew. When to ask what is in `agenda.rs`; what is not open to the client is not asked for again
//! until the PBX is watched anew: the refusal may have been meant for a token that was taken away.

use std::sync::PoisonError;

use tokio::sync::mpsc::Sender;
use tokio::time::sleep;
use tracing::{debug, info};

use super::agenda::{Agenda, Look, Wishes};
use super::log::{active, logged};
use super::pages::{Contents, read};
use crate::clock::Clock;
use crate::source::callcontrol::connection::NobodyListens;
use crate::source::callcontrol::error::SourceError;
use crate::source::callcontrol::rest::Rest;
use crate::source::notice::{LogRow, Notice, Seen};

/// Of one look into the log, at most so many pages: the newest rows come first (reported).
const LOG_PAGES: usize = 10;

/// Of the active calls, at most so many pages.
const ACTIVE_PAGES: usize = 20;

/// Looks whenever it is time, and tells what is found.
pub(in super::super) async fn keep_looking(
    rest: &Rest,
    clock: &Clock,
    wishes: Wishes,
    notices: &Sender<Notice>,
) -> NobodyListens {
    let mut lookout = Lookout { rest, clock, wishes, agenda: Agenda::new(wishes), told: None };
    loop {
        let now = clock.now();
        let wait = lookout.agenda.due().map(|due| due.saturating_sub(now.mono));
        tokio::select! {
            () = rest.news.notified() => {}
            () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
        let news = rest.diary.lock().unwrap_or_else(PoisonError::into_inner).take();
        lookout.agenda.take(news, clock.now());
        while let Some(look) = lookout.agenda.look(clock.now().mono) {
            let Some(what) = lookout.look(look).await else { continue };
            if notices.send(Notice { at: clock.now(), what }).await.is_err() {
                return NobodyListens;
            }
        }
    }
}

/// What is needed to look.
struct Lookout<'a> {
    rest: &'a Rest,
    clock: &'a Clock,
    wishes: Wishes,
    agenda: Agenda,
    /// The rows that were told last.
    told: Option<Vec<LogRow>>,
}

impl Lookout<'_> {
    /// Takes one look; gives what is to be told of it.
    async fn look(&mut self, look: Look) -> Option<Seen> {
        let asked = self.clock.now();
        let contents = match look {
            Look::Active => {
                read(self.rest, "ActiveCalls", "$select=Id,Caller,Callee,Status", ACTIVE_PAGES)
                    .await
            }
            Look::Log(from) => read(self.rest, &self.report(from), "", LOG_PAGES).await,
        };
        match contents {
            Ok(Contents::Rows(rows)) if look == Look::Active => {
                let calls: Vec<i64> = rows.iter().filter_map(active).collect();
                let unseen = self.unseen(&calls);
                let says = self.agenda.active(&calls, &unseen, asked);
                says.then_some(Seen::Active { calls })
            }
            Ok(Contents::Rows(rows)) => {
                let rows: Vec<LogRow> = rows.iter().filter_map(logged).collect();
                self.agenda.found(&rows, asked.mono);
                self.news(rows)
            }
            Ok(Contents::Closed) => {
                say_closed(look);
                self.agenda.close(look);
                None
            }
            Err(error) => {
                self.complain(look, &error);
                self.agenda.failed(look, asked.mono);
                None
            }
        }
    }

    /// Those of the calls that have no visible leg.
    fn unseen(&self, calls: &[i64]) -> Vec<i64> {
        let diary = self.rest.diary.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().copied().filter(|call| !diary.shows(*call)).collect()
    }

    /// The function that reports the call log, with the arguments that clients use (reported). The
    /// times are UTC; an order is not asked for, since rows then get lost (reported).
    fn report(&self, from: jiff::Timestamp) -> String {
        let now = self.clock.now().wall;
        let to = now.checked_add(std::time::Duration::from_mins(1)).unwrap_or(now);
        let time = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        format!(
            "ReportCallLogData/Pbx.GetCallLogData(periodFrom={},periodTo={},sourceType=0,\
             sourceFilter='',destinationType=0,destinationFilter='',callsType=0,\
             callTimeFilterType=0,callTimeFilterFrom='0:00:0',callTimeFilterTo='0:00:0',\
             hidePcalls=true)",
            time(from),
            time(to)
        )
    }

    /// The rows that matter, if they are not those that were told. The first time they are told in
    /// any case, and always if what is not in them matters, too.
    fn news(&mut self, mut rows: Vec<LogRow>) -> Option<Seen> {
        let only_recordings = self.wishes.callbacks.is_zero();
        if only_recordings {
            rows.retain(|row| !row.recordings.is_empty());
        }
        debug!(rows = rows.len(), "Looked into the call log.");
        if only_recordings && self.told.as_ref() == Some(&rows) {
            return None;
        }
        self.told = Some(rows.clone());
        Some(Seen::Logged { rows })
    }

    fn complain(&self, look: Look, error: &SourceError) {
        match look {
            Look::Active => self.rest.faults.report("active-calls", error),
            Look::Log(_) => self.rest.faults.report("call-log", error),
        }
    }
}

fn say_closed(look: Look) {
    match look {
        Look::Active => debug!("The PBX's list of active calls is not open to this client."),
        Look::Log(_) => info!(
            "The PBX's call log is not open to this client: no recordings are told, and no \
             callbacks."
        ),
    }
}
