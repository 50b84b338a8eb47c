//! What the operator may do with what is kept, whether the service runs or not: look, send again,
//! give up, replay.
//!
//! It all happens in the operator's own process, on the database; a service that has it open
//! notices. So what is replayed goes through the settings and plugins of today's .ini. These are
//! made ready only where requests have to be made: for the rest the service's secrets are not
//! needed, and the operator may have none of them.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use anyhow::Context as _;

use super::{App, Faults, settings};
use crate::clock::Clock;
use crate::config::{Config, EndpointConfig, Partial};
use crate::delivery::{disabled_name, follow};
use crate::outbox::{
    Cursor, DeliveryDetail, DeliveryFilter, DeliveryRow, DeliveryState, FailedReply, Scan,
    Selection, SqliteEditor, SqliteReader, StoredEvent, parent_id,
};
use crate::pipeline::{self, Replayed, Scope};
use crate::reply::Judgement;
use crate::routes::Route;

/// So many events are replayed in one piece.
const PIECE: usize = 64;

/// So many deliveries are listed at once.
const PAGE: usize = 500;

/// Opens the database of these settings for reading.
pub fn deliveries(config: &Config) -> anyhow::Result<impl Scan> {
    SqliteReader::open(&config.storage, Clock::system())
}

/// Where the next attempt at a delivery goes by these settings, if there may be one and it goes
/// elsewhere than the request was made for.
pub fn goes_to(config: &Config, detail: &DeliveryDetail) -> Option<String> {
    let made_for = &detail.request.as_ref()?.url;
    let mut endpoints = config.endpoints.iter();
    let endpoint = endpoints.find(|endpoint| endpoint.name == detail.row.endpoint)?;
    let today = follow(made_for, detail.base.as_deref(), &endpoint.url);
    let moved = detail.row.state != DeliveryState::Delivered && today != *made_for;
    moved.then(|| today.into_owned())
}

/// Some of the stored events.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Of this time or later.
    pub from: jiff::Timestamp,
    /// Before this time.
    pub until: jiff::Timestamp,
    /// To this endpoint only.
    pub endpoint: Option<String>,
    /// Also those that only matter while they are new, such as ringing.
    pub popups: bool,
}

/// How many an operation concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were changed or made.
    pub done: u64,
    /// Events of which a plugin could not make requests, and replies that it could not judge.
    pub failed: u64,
    /// Replies that were judged at last.
    pub judged: u64,
    /// Events that were left out, because they only mattered while they were new.
    pub skipped: u64,
    /// Deliveries that were named, but stand where nothing can be done about them.
    pub untouched: Vec<(String, DeliveryState)>,
    /// Why others could not be done, and how many for each reason.
    pub left_out: BTreeMap<String, u64>,
}

/// Changes what is kept.
pub struct Operator {
    today: Today,
    editor: SqliteEditor,
}

/// The settings of today.
struct Today {
    settings: Partial,
    /// What they name, once it was needed.
    app: OnceCell<App>,
}

/// A failure that is one of the settings is [`Faults`].
impl Operator {
    /// Opens the database of these settings.
    pub fn open(settings: Partial) -> anyhow::Result<Self> {
        let editor = SqliteEditor::open(&settings.config.storage, Clock::system())?;
        Ok(Self { today: Today { settings, app: OnceCell::new() }, editor })
    }

    /// Makes the selected requests due now, as they are. Of selected events of which a plugin
    /// could make none, today's plugins make some; selected replies that one could not judge are
    /// judged by today's.
    pub fn retry(&mut self, which: &Selection) -> anyhow::Result<Tally> {
        // A dead letter of a plugin is dead, so it is not among these.
        let untouched = self.named_in(which, |state| state == DeliveryState::Delivered)?;
        let mut tally = Tally { untouched, ..Tally::default() };
        for (event, endpoint) in self.dead_letters(which, &mut tally)? {
            let scope = Scope { endpoint: Some(endpoint), popups: true };
            let done = self.again(&[event], &scope, &mut tally);
            go_on(done, &mut tally)?;
        }
        for failed in self.failed_replies(which)? {
            let done = self.judge_again(failed, &mut tally);
            go_on(done, &mut tally)?;
        }
        tally.done += self.editor.retry(which)?;
        Ok(tally)
    }

    /// Makes the selected requests that wait dead for this reason. Fails, and changes nothing, if
    /// one that is named does not exist.
    pub fn bury(&mut self, which: &Selection, reason: &str) -> anyhow::Result<Tally> {
        let untouched = self.named_in(which, |state| state != DeliveryState::Waiting)?;
        Ok(Tally { done: self.editor.bury(which, reason)?, untouched, ..Tally::default() })
    }

    /// Those of the named deliveries whose state is such. Fails if one does not exist.
    fn named_in(
        &self,
        which: &Selection,
        such: impl Fn(DeliveryState) -> bool,
    ) -> anyhow::Result<Vec<(String, DeliveryState)>> {
        let mut found = Vec::new();
        if let Selection::Ids(ids) = which {
            for id in ids {
                let state = named(self.editor.scan(), id)?.row.state;
                if such(state) {
                    found.push((id.clone(), state));
                }
            }
        }
        Ok(found)
    }

    /// Makes new requests of stored events.
    pub fn replay(&mut self, replay: &Replay) -> anyhow::Result<Tally> {
        let scope = Scope { endpoint: replay.endpoint.clone(), popups: replay.popups };
        self.today.app()?;
        if let Some(endpoint) = &replay.endpoint {
            self.today.endpoint(endpoint)?;
        }
        let mut tally = Tally::default();
        let mut after: Option<String> = None;
        loop {
            let scan = self.editor.scan();
            let events = scan.events(replay.from, replay.until, after.as_deref(), PIECE)?;
            let Some(last) = events.last() else { return Ok(tally) };
            after = Some(last.event_id.clone());
            self.again(&events, &scope, &mut tally)?;
        }
    }

    /// Lets requests go again to an endpoint that was switched off. `false` if it was not.
    pub fn resume(&mut self, endpoint: &str) -> anyhow::Result<bool> {
        let url = &self.today.endpoint(endpoint)?.url;
        self.editor.forget(&disabled_name(endpoint, url))
    }

    fn again(
        &mut self,
        events: &[StoredEvent],
        scope: &Scope,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let routes = self.today.routes(scope.endpoint.as_deref())?;
        let (scan, metrics) = (self.editor.scan(), &self.today.app()?.metrics);
        let (commit, replayed) = pipeline::replay(&routes, events, scope, scan, metrics)?;
        self.editor.append(&commit)?;
        let Replayed { requests, failures, skipped } = replayed;
        tally.done += requests;
        tally.failed += failures;
        tally.skipped += skipped;
        Ok(())
    }

    /// Lets today's plugins judge a reply. What follows is sent, and so is the request itself if
    /// they want that.
    fn judge_again(&mut self, failed: FailedReply, tally: &mut Tally) -> anyhow::Result<()> {
        let id = failed.id();
        let detail = self.editor.scan().show(&failed.request)?;
        let request = detail.and_then(|detail| Some((detail.base, detail.request?)));
        let (base, mut request) =
            request.with_context(|| format!("the request of {id} is no longer kept"))?;
        let url = &self.today.endpoint(&failed.endpoint)?.url;
        request.url = follow(&request.url, base.as_deref(), url).into_owned();
        let routes = self.today.routes(Some(&failed.endpoint))?;
        let route = routes.first().context("there is a route to every endpoint")?;
        match pipeline::judge_again(route, failed, request, self.editor.scan())? {
            Ok(rejudged) => {
                let done = self.editor.judge(&rejudged)?;
                anyhow::ensure!(done, "the request of {id} still waits; its next reply is judged");
                tally.judged += 1;
                let again = matches!(rejudged.judgement, Judgement::Retry { .. });
                tally.done += rejudged.follow_ups.len() as u64 + u64::from(again);
            }
            Err(failure) => {
                self.editor.keep_failure(&failure)?;
                tally.failed += 1;
            }
        }
        Ok(())
    }

    /// The selected replies that a plugin could not judge.
    fn failed_replies(&self, which: &Selection) -> anyhow::Result<Vec<FailedReply>> {
        let scan = self.editor.scan();
        let mut found = Vec::new();
        match which {
            Selection::Ids(ids) => {
                for request in ids.iter().filter_map(|id| parent_id(id)) {
                    found.extend(scan.failed_reply(request)?);
                }
                found.retain(|failed| ids.contains(&failed.id()));
            }
            Selection::Filter(filter) => {
                let filter = DeliveryFilter { limit: PAGE, after: None, ..filter.clone() };
                each(scan, filter, usize::MAX, |row| {
                    if let (Cursor::Reply(_), Some(request)) = (row.cursor, parent_id(&row.id)) {
                        found.extend(scan.failed_reply(request)?);
                    }
                    // They come before the requests.
                    Ok(row.lane.is_none())
                })?;
            }
        }
        Ok(found)
    }

    /// The selected events of which a plugin could not make requests, each with its endpoint.
    fn dead_letters(
        &self,
        which: &Selection,
        tally: &mut Tally,
    ) -> anyhow::Result<Vec<(StoredEvent, String)>> {
        let scan = self.editor.scan();
        let mut found = Vec::new();
        match which {
            Selection::Ids(ids) => {
                for id in ids {
                    let row = named(scan, id)?.row;
                    found.extend(dead_letter(scan, &row)?);
                }
            }
            Selection::Filter(filter) => {
                let filter = DeliveryFilter { limit: PAGE, after: None, ..filter.clone() };
                each(scan, filter, usize::MAX, |row| {
                    match dead_letter(scan, row) {
                        Ok(letter) => found.extend(letter),
                        Err(error) => go_on(Err(error), tally)?,
                    }
                    // They come first.
                    Ok(row.lane.is_none())
                })?;
            }
        }
        Ok(found)
    }
}

impl Today {
    /// What makes requests and judges replies. Fails if something that it needs is out of reach.
    fn app(&self) -> anyhow::Result<&App> {
        if let Some(app) = self.app.get() {
            return Ok(app);
        }
        let missing: Vec<_> =
            self.settings.missing_for_requests().map(ToString::to_string).collect();
        if !missing.is_empty() {
            return Err(Faults(missing).into());
        }
        let app = App::build(self.settings.config.clone(), Clock::system())?;
        Ok(self.app.get_or_init(|| app))
    }

    /// The endpoint of this name. Fails if the settings have none, or do not tell where it is.
    fn endpoint(&self, name: &str) -> anyhow::Result<&EndpointConfig> {
        let there = self.settings.config.endpoints.iter().find(|endpoint| endpoint.name == name);
        if let Some(there) = there {
            return Ok(there);
        }
        let missing = self.settings.missing.iter();
        let missing = missing.filter(|error| error.place.key.as_deref() == Some("url"));
        let missing: Vec<_> = missing.map(ToString::to_string).collect();
        if missing.is_empty() {
            anyhow::bail!("there is no endpoint {name} in the settings");
        }
        Err(Faults(missing).into())
    }

    /// The routes to all endpoints, or to one.
    fn routes(&self, only: Option<&str>) -> anyhow::Result<Vec<Route>> {
        let app = self.app()?;
        let mut routes = settings::routes(&app.config, &app.loaded.plugins);
        if let Some(name) = only {
            self.endpoint(name)?;
            routes.retain(|route| route.endpoint.name == name);
        }
        Ok(routes)
    }
}

/// Notes why one of several could not be done: it keeps nobody from the others. Settings that are
/// faulty are so for all of them.
fn go_on(done: anyhow::Result<()>, tally: &mut Tally) -> anyhow::Result<()> {
    match done {
        Err(error) if !error.is::<Faults>() => {
            *tally.left_out.entry(format!("{error:#}")).or_default() += 1;
            Ok(())
        }
        done => done,
    }
}

/// Calls `take` with the rows that `filter` lets through, up to `limit` and while it wants more.
pub fn each(
    scan: &dyn Scan,
    mut filter: DeliveryFilter,
    mut limit: usize,
    mut take: impl FnMut(&DeliveryRow) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    while limit > 0 {
        filter.limit = PAGE.min(limit);
        let rows = scan.list(&filter)?;
        let Some(last) = rows.last() else { return Ok(()) };
        filter.after = Some(last.cursor);
        limit -= rows.len();
        for row in &rows {
            if !take(row)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The delivery with this id.
fn named(scan: &dyn Scan, id: &str) -> anyhow::Result<DeliveryDetail> {
    scan.show(id)?
        .with_context(|| format!("there is no delivery {id}; `callhook deliveries list` shows all"))
}

/// The event of a dead letter that has no request; `None` if it is something else.
fn dead_letter(
    scan: &dyn Scan,
    row: &DeliveryRow,
) -> anyhow::Result<Option<(StoredEvent, String)>> {
    if !matches!(row.cursor, Cursor::Failed(_)) {
        return Ok(None);
    }
    let id = &row.id;
    let event = scan.show(id)?.and_then(|detail| detail.event);
    let event = event.with_context(|| format!("the event of {id} is no longer kept"))?;
    let event = serde_json::from_str(&event).with_context(|| format!("while reading {id}"))?;
    Ok(Some((StoredEvent::new(&event)?, row.endpoint.clone())))
}

#[cfg(test)]
#[path = "operator_tests.rs"]
mod tests;
