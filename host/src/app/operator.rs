//! What the operator may order, carried out: on the service's own outbox, and on its pipeline's
//! thread where plugins are needed.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::{App, Faults};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{self, Operator as _, Order, Tally};
use crate::outbox::{
    DeliveryDetail, DeliveryFilter, DeliveryRow, DeliveryState, Outbox, Receipt, Scan as _,
    Selection, SqliteReader, StoredEvent,
};
use crate::pipeline::{Input, Job, Pipeline, Replayed, Scope};

/// So many events are replayed in one piece; new events wait that long.
const PIECE: usize = 32;

/// So many deliveries are listed at once.
const PAGE: usize = 500;

/// What the database of these settings tells, whether a service has it open or not.
#[derive(Debug)]
pub struct Delivered(SqliteReader);

impl Delivered {
    /// Opens the database for reading.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        SqliteReader::open(&config.storage).map(Self)
    }

    /// See [`Scan::list`](crate::outbox::Scan::list).
    pub fn list(&self, filter: &DeliveryFilter) -> anyhow::Result<Vec<DeliveryRow>> {
        self.0.list(filter)
    }

    /// See [`Scan::show`](crate::outbox::Scan::show).
    pub fn show(&self, id: &str) -> anyhow::Result<Option<DeliveryDetail>> {
        self.0.show(id)
    }
}

/// Has `order` carried out by the service that runs with these settings, or here if none does.
/// The faults are those of the settings.
pub async fn give(config: Config, order: Order) -> anyhow::Result<Result<Tally, Faults>> {
    let path = control::path(&config.storage);
    let given = order.clone();
    let asked = tokio::task::spawn_blocking(move || control::give(&path, &given));
    if let Some(tally) = asked.await.context("while giving the order")?? {
        return Ok(Ok(tally));
    }
    let database = config.storage.display();
    ensure!(config.storage.is_file(), "there is no database {database} yet");
    match App::build(config, Clock::system()) {
        Ok(app) => app.carry_out(order).await.map(Ok),
        Err(faults) => Ok(Err(faults)),
    }
}

impl App {
    /// Carries out `order` without watching anything and without delivering anything.
    async fn carry_out(self, order: Order) -> anyhow::Result<Tally> {
        let outbox = self.open_outbox()?;
        let (jobs, inputs) = mpsc::channel(1);
        let desk = Desk { outbox: Arc::clone(&outbox), jobs: jobs.downgrade() };
        let pipeline = self.pipeline(Vec::new(), outbox);
        let runtime = Handle::current();
        let pipeline = tokio::task::spawn_blocking(move || pipeline.run(inputs, &runtime));
        let tally = desk.carry_out(order).await;
        drop(jobs);
        pipeline.await.context("while ending the pipeline")?;
        tally
    }
}

/// Carries out orders.
pub(super) struct Desk {
    pub(super) outbox: Arc<dyn Outbox>,
    /// To the pipeline; it must not live for the desk's sake.
    pub(super) jobs: mpsc::WeakSender<Input>,
}

impl control::Operator for Desk {
    fn carry_out(&self, order: Order) -> BoxFuture<'_, anyhow::Result<Tally>> {
        Box::pin(async move {
            match order {
                Order::Retry(which) => self.retry(&which).await,
                Order::Bury { which, reason } => {
                    let done = self.outbox.bury(&selection(&which)?, &reason).await?;
                    Ok(Tally { done, ..Tally::default() })
                }
                Order::Replay(replay) => self.replay(&replay).await,
                Order::Resume { endpoint } => self.resume(&endpoint).await,
            }
        })
    }
}

impl Desk {
    /// Requests go out as they are; of events of which there is no request, today's plugins make
    /// one.
    async fn retry(&self, which: &control::Selection) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        for (event, endpoint) in self.without_request(which).await? {
            let scope = Scope { endpoint: Some(endpoint), popups: true };
            self.again(vec![event], scope, &mut tally).await?;
        }
        tally.done += self.outbox.retry(&selection(which)?).await?;
        Ok(tally)
    }

    /// The selected events of which a plugin could not make requests, each with its endpoint.
    async fn without_request(
        &self,
        which: &control::Selection,
    ) -> anyhow::Result<Vec<(StoredEvent, String)>> {
        let (outbox, selection) = (Arc::clone(&self.outbox), selection(which)?);
        let read = move || match selection {
            Selection::Ids(ids) => {
                let mut found = Vec::new();
                for id in ids {
                    found.extend(dead_letter(&*outbox, &id)?);
                }
                Ok(found)
            }
            Selection::Filter(filter) => dead_letters(&*outbox, filter),
        };
        tokio::task::spawn_blocking(read).await.context("while reading the dead letters")?
    }

    async fn replay(&self, replay: &control::Replay) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let mut after = None;
        loop {
            let outbox = Arc::clone(&self.outbox);
            let (from, until, behind) = (replay.from, replay.until, after.take());
            let read = move || outbox.events(from, until, behind.as_deref(), PIECE);
            let events = tokio::task::spawn_blocking(read)
                .await
                .context("while reading the events")?
                .context("while reading the events")?;
            let Some(last) = events.last() else { return Ok(tally) };
            after = Some(last.event_id.clone());
            let scope = Scope { endpoint: replay.endpoint.clone(), popups: replay.popups };
            self.again(events, scope, &mut tally).await?;
        }
    }

    /// Has the pipeline make new requests of `events`, and waits until they are on disk.
    async fn again(
        &self,
        events: Vec<StoredEvent>,
        scope: Scope,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let (done, told) = oneshot::channel();
        let job: Job = Box::new(move |pipeline: &mut Pipeline| {
            // Who gave the order may have gone meanwhile.
            let _gone = done.send(pipeline.replay(&events, &scope));
        });
        let stopping = "the service is stopping";
        let jobs = self.jobs.upgrade().context(stopping)?;
        jobs.send(Input::Job(job)).await.ok().context(stopping)?;
        drop(jobs);
        let (replayed, receipt): (Replayed, Receipt) = told.await.context(stopping)??;
        receipt.await.context("what was made could not be kept")?;
        tally.done += replayed.requests;
        tally.failed += replayed.failures;
        tally.skipped += replayed.skipped;
        Ok(())
    }

    async fn resume(&self, endpoint: &str) -> anyhow::Result<Tally> {
        let _unused = endpoint;
        anyhow::bail!("nothing is switched off");
    }
}

/// The event behind the id of a dead letter that has no request; `None` if it is something else.
fn dead_letter(outbox: &dyn Outbox, id: &str) -> anyhow::Result<Option<(StoredEvent, String)>> {
    let Some(detail) = outbox.show(id)? else {
        anyhow::bail!("there is no delivery {id}");
    };
    if detail.row.lane.is_some() {
        return Ok(None);
    }
    let json = detail.event.with_context(|| format!("the event of {id} is no longer kept"))?;
    let event = serde_json::from_str(&json).with_context(|| format!("while reading {id}"))?;
    Ok(Some((StoredEvent::new(&event)?, detail.row.endpoint)))
}

fn dead_letters(
    outbox: &dyn Outbox,
    mut filter: DeliveryFilter,
) -> anyhow::Result<Vec<(StoredEvent, String)>> {
    let mut found = Vec::new();
    filter.limit = PAGE;
    loop {
        let rows = outbox.list(&filter)?;
        let Some(last) = rows.last() else { return Ok(found) };
        filter.after = Some(last.cursor);
        // They come first.
        for row in rows.iter() {
            if row.lane.is_some() {
                return Ok(found);
            }
            found.extend(dead_letter(outbox, &row.id)?);
        }
    }
}

fn selection(which: &control::Selection) -> anyhow::Result<Selection> {
    if !which.ids.is_empty() {
        return Ok(Selection::Ids(which.ids.clone()));
    }
    let states = which.states.iter().map(|name| state(name)).collect::<anyhow::Result<_>>()?;
    Ok(Selection::Filter(DeliveryFilter {
        states,
        endpoint: which.endpoint.clone(),
        chain: which.chain.clone(),
        since: which.since,
        until: which.until,
        ..DeliveryFilter::default()
    }))
}

fn state(name: &str) -> anyhow::Result<DeliveryState> {
    DeliveryState::ALL
        .into_iter()
        .find(|state| state.name() == name)
        .with_context(|| format!("there is no state {name}"))
}
