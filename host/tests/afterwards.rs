//! What the PBX tells of calls that went out of sight, and how a PBX that tells nothing is left
//! alone.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::time::Duration;

use anyhow::{Context as _, Result};
use callhook::clock::Clock;
use callhook::config::Secret;
use callhook::metrics::Metrics;
use callhook::source::callcontrol::{Settings, Watcher};
use callhook::source::notice::{LogRow, Notice, Seen};
use callhook_pbx::{Builder, Call, Pbx};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);
const CALLER: &str = "420774852629";

/// An exchange, and what a watcher of it tells.
struct Watched {
    pbx: Pbx,
    notices: mpsc::Receiver<Notice>,
    _stop: watch::Sender<bool>,
}

impl Watched {
    async fn begin(builder: Builder, recordings: bool) -> Result<Self> {
        let pbx = builder.start().await?;
        let settings = Settings {
            url: pbx.url().parse()?,
            client_id: pbx.client_id().to_owned(),
            client_secret: Secret::new(pbx.client_secret()),
            recordings,
            callbacks: Duration::ZERO,
            snapshot_every: Duration::from_hours(1),
            ca_file: None,
            insecure: false,
        };
        let watcher = Watcher::new(settings, Clock::system(), Metrics::default().of_pbx("office"))?;
        let (send, notices) = mpsc::channel(100);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(watcher.run(send, stopped));
        pbx.wait_for_watcher().await?;
        Ok(Self { pbx, notices, _stop: stop })
    }

    /// Takes notices until one is as wished.
    async fn until<T>(&mut self, wished: impl Fn(&Seen) -> Option<T>) -> Result<T> {
        let found = timeout(PATIENCE, async {
            while let Some(notice) = self.notices.recv().await {
                if let Some(found) = wished(&notice.what) {
                    return Some(found);
                }
            }
            None
        });
        found.await?.context("the watcher ended")
    }

    /// A row that tells a recording.
    async fn recorded(&mut self) -> Result<LogRow> {
        self.until(|seen| match seen {
            Seen::Logged { rows } => rows.iter().find(|row| !row.recordings.is_empty()).cloned(),
            _ => None,
        })
        .await
    }

    /// Alice talks with the caller, and the watcher sees it begin and end.
    async fn talk(&mut self) -> Result<Call> {
        let call = self.pbx.outside(CALLER).calls("420226201001")?;
        self.until(|seen| matches!(seen, Seen::Leg(_)).then_some(())).await?;
        self.pbx.person("106").answers(&call)?;
        self.until(|seen| matches!(seen, Seen::Leg(_)).then_some(())).await?;
        self.pbx.outside(CALLER).hangs_up(&call)?;
        self.until(|seen| matches!(seen, Seen::LegGone(_)).then_some(())).await?;
        Ok(call)
    }

    /// The statuses of the reads of the log.
    fn log_reads(&self) -> Vec<String> {
        let requests = self.pbx.requests().into_iter();
        let reads = requests.filter(|line| line.contains("GetCallLogData"));
        reads.filter_map(|line| line.rsplit(' ').next().map(str::to_owned)).collect()
    }
}

#[tokio::test]
async fn the_recording_of_a_talk_is_found_in_the_log() -> Result<()> {
    let office = Pbx::small_office().configuration_api(true).recordings(true).log_hidden_for(1);
    let mut watched = Watched::begin(office, true).await?;
    watched.talk().await?;
    let row = watched.recorded().await?;
    assert_eq!((row.to.dn.as_str(), row.from.number.as_str()), ("106", CALLER));
    assert!(row.answered && row.recordings[0].starts_with("106/"), "{row:?}");
    assert_eq!(watched.pbx.tokens_issued(), 1, "the watcher's token does");
    Ok(())
}

#[tokio::test]
async fn a_log_that_fails_is_looked_into_again() -> Result<()> {
    let office = Pbx::small_office().configuration_api(true).recordings(true);
    let mut watched = Watched::begin(office, true).await?;
    watched.until(|seen| matches!(seen, Seen::Logged { .. }).then_some(())).await?;
    watched.pbx.faults().garble_log(1);
    watched.talk().await?;
    watched.recorded().await?;
    Ok(())
}

#[tokio::test]
async fn a_log_that_is_closed_is_asked_for_once() -> Result<()> {
    let mut watched = Watched::begin(Pbx::small_office(), true).await?;
    watched.talk().await?;
    timeout(PATIENCE, async {
        while watched.log_reads().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await?;
    watched.talk().await?;
    assert_eq!(watched.log_reads(), ["403"]);
    Ok(())
}

#[tokio::test]
async fn a_call_that_waits_where_nobody_sees_it_is_among_the_active_ones() -> Result<()> {
    let office = Pbx::small_office().configuration_api(true).visible(&["106", "107"]);
    let mut watched = Watched::begin(office, false).await?;
    let call = watched.pbx.outside(CALLER).calls("420226201002")?;
    for _ in ["106", "107"] {
        watched.until(|seen| matches!(seen, Seen::Leg(_)).then_some(())).await?;
    }
    call.rings_out()?;
    let is_active = |seen: &Seen| matches!(seen, Seen::Active { calls } if *calls == [call.id()]);
    watched.until(|seen| is_active(seen).then_some(())).await?;
    watched.pbx.outside(CALLER).hangs_up(&call)?;
    let none = |seen: &Seen| matches!(seen, Seen::Active { calls } if calls.is_empty());
    watched.until(|seen| none(seen).then_some(())).await?;
    assert_eq!(watched.log_reads(), Vec::<String>::new(), "nobody wants to know");
    Ok(())
}
