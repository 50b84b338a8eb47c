//! What the watcher of the Call Control API promises, against a simulated 3CX: whatever happens
//! to connections, tokens, reads and frames, its notices tell what the phones did, in order.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use callhook::clock::Clock;
use callhook::config::Secret;
use callhook::metrics::Metrics;
use callhook::source::callcontrol::{Settings, SourceError, Watcher};
use callhook::source::notice::{LegKey, Notice, Participant, Seen, Status};
use callhook_pbx::{Builder, Casing, ExpiresIn, Looked, Pbx};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(30);
const ALICE: &str = "420226201001";
const OFFICE: &str = "420226201003";

/// A watcher at work, and who listens to it.
struct Listener {
    notices: mpsc::Receiver<Notice>,
    stop: watch::Sender<bool>,
    watcher: JoinHandle<()>,
    metrics: Metrics,
    /// The participants that exist, as far as was told.
    view: BTreeMap<LegKey, Participant>,
    /// What was told, in short lines: `106 Ringing`, `106 gone`, `lost`, `back: 2`, `compared: 2`.
    story: Vec<String>,
}

fn settings(pbx: &Pbx) -> Result<Settings> {
    Ok(Settings {
        url: pbx.url().parse()?,
        client_id: pbx.client_id().to_owned(),
        client_secret: Secret::new(pbx.client_secret()),
        recordings: false,
        callbacks: Duration::ZERO,
        snapshot_every: Duration::from_hours(1),
        ca_file: None,
        insecure: false,
    })
}

fn watcher(settings: Settings) -> Result<Watcher> {
    Watcher::new(settings, Clock::system(), Metrics::default().of_pbx("office"))
}

impl Listener {
    /// Starts a watcher and waits until it is in the picture.
    async fn on(pbx: &Pbx) -> Result<Self> {
        Self::with(settings(pbx)?, 100).await
    }

    async fn with(settings: Settings, capacity: usize) -> Result<Self> {
        let (send, notices) = mpsc::channel(capacity);
        let (stop, stopped) = watch::channel(false);
        let metrics = Metrics::default();
        let watcher = Watcher::new(settings, Clock::system(), metrics.of_pbx("office"))?;
        let watcher = tokio::spawn(watcher.run(send, stopped));
        let (view, story) = (BTreeMap::new(), Vec::new());
        let mut listener = Self { notices, stop, watcher, metrics, view, story };
        listener.until_told("back: 0").await?;
        Ok(listener)
    }

    /// Listens until something is so.
    async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) -> Result<()> {
        while !so(self) {
            let next = timeout(PATIENCE, self.notices.recv()).await;
            let next = next.with_context(|| format!("waited for {what}, heard {:?}", self.story));
            self.hear(next?.context("the watcher ended")?);
        }
        Ok(())
    }

    async fn until_told(&mut self, line: &str) -> Result<()> {
        self.until(line, |so_far| so_far.story.iter().any(|told| told == line)).await
    }

    /// Listens until what was told is what the simulated 3CX shows.
    async fn until_up_to_date(&mut self, pbx: &Pbx) -> Result<()> {
        let truth: BTreeMap<_, _> = pbx
            .participants()
            .into_iter()
            .filter(|leg| leg.dn.len() == 3 && leg.dn != "666")
            .map(|leg| {
                (LegKey { dn: leg.dn, id: leg.id }, (leg.callid, format!("{:?}", leg.status)))
            })
            .collect();
        let view = |so_far: &Self| -> BTreeMap<_, _> {
            let brief = |leg: &Participant| (leg.call_id, format!("{:?}", leg.status));
            so_far.view.iter().map(|(key, leg)| (key.clone(), brief(leg))).collect()
        };
        let what = format!("{truth:?}");
        self.until(&what, |so_far| view(so_far) == truth).await
    }

    fn hear(&mut self, notice: Notice) {
        match notice.what {
            Seen::Leg(leg) => {
                self.story.push(format!("{} {:?}", leg.key.dn, leg.status));
                self.view.insert(leg.key.clone(), *leg);
            }
            Seen::LegGone(key) => {
                self.story.push(format!("{} gone", key.dn));
                self.view.remove(&key);
            }
            Seen::Snapshot(shot) => {
                let word = if shot.after_gap { "back" } else { "compared" };
                self.story.push(format!("{word}: {}", shot.legs.len()));
                self.view = shot.legs.into_iter().map(|leg| (leg.key.clone(), leg)).collect();
            }
            Seen::Lost => self.story.push("lost".to_owned()),
            Seen::Known(_) | Seen::Logged { .. } | Seen::Active { .. } | Seen::Tick => {}
        }
    }

    /// What was told since the last call.
    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.story)
    }

    fn status_of(&self, dn: &str) -> Option<&Status> {
        self.view.values().find(|leg| leg.key.dn == dn).map(|leg| &leg.status)
    }

    fn counted(&self, line: &str) -> Result<bool> {
        Ok(self.metrics.render()?.lines().any(|found| found == line))
    }

    async fn stop(self) -> Result<()> {
        self.stop.send(true)?;
        timeout(PATIENCE, self.watcher).await.context("the watcher did not stop")??;
        Ok(())
    }
}

fn office() -> Builder {
    Pbx::small_office()
}

#[tokio::test]
async fn an_incoming_call_is_told_from_ringing_to_its_end() -> Result<()> {
    for builder in [
        office(),
        office().casing(Casing::Pascal),
        office().duplicates(true),
        office().expires_in(ExpiresIn::Minutes),
    ] {
        let pbx = builder.start().await?;
        let mut listener = Listener::on(&pbx).await?;
        listener.told();
        let caller = pbx.outside("420774852629");

        let call = caller.calls(ALICE)?;
        listener.until_told("106 Ringing").await?;
        let leg = listener.view.values().next().context("no leg")?.clone();
        assert_eq!(leg.party_caller_id, "420774852629");
        assert_eq!((leg.call_id, leg.originated_by_dn.as_str()), (call.id(), "ROUTER"));
        pbx.person("106").answers(&call)?;
        listener.until_told("106 Connected").await?;
        caller.hangs_up(&call)?;
        listener.until_told("106 gone").await?;

        assert_eq!(listener.told(), ["106 Ringing", "106 Connected", "106 gone"]);
        assert_eq!(pbx.tokens_issued(), 1);
        listener.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_new_leg_of_a_transfer_is_told_before_the_end_of_the_old() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::on(&pbx).await?;
    let call = pbx.outside("420774852629").calls(ALICE)?;
    pbx.person("106").answers(&call)?;
    listener.until_told("106 Connected").await?;
    listener.told();

    pbx.faults().delay_reads(Duration::from_millis(300), Looked::AtRelease);
    pbx.person("106").transfers(&call, "107")?;
    listener.until_told("106 gone").await?;
    assert_eq!(listener.told(), ["107 Ringing", "106 gone"]);
    listener.stop().await
}

#[tokio::test]
async fn a_late_answer_does_not_bring_back_a_leg_that_is_gone() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::on(&pbx).await?;
    listener.told();
    pbx.faults().hold_reads(Looked::AtArrival);
    let caller = pbx.outside("420774852629");
    let call = caller.calls(ALICE)?;
    pbx.wait_until("a read", |counts| counts.reads_begun > 0).await?;
    caller.hangs_up(&call)?;
    listener.until_told("106 gone").await?;
    pbx.faults().release_reads();
    pbx.wait_until("the answer", |counts| counts.reads_done > 0).await?;

    // The next call shows that nothing else was told before it.
    let next = caller.calls(ALICE)?;
    listener.until_told("106 Ringing").await?;
    assert_eq!(listener.told(), ["106 gone", "106 Ringing"]);
    assert_ne!(call.id(), next.id());
    listener.stop().await
}

#[tokio::test]
async fn a_change_during_a_late_read_is_told_in_the_end() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::on(&pbx).await?;
    pbx.faults().hold_reads(Looked::AtArrival);
    let call = pbx.outside("420774852629").calls(ALICE)?;
    pbx.wait_until("a read", |counts| counts.reads_begun > 0).await?;
    pbx.person("106").answers(&call)?;
    pbx.faults().release_reads();
    listener.until_told("106 Connected").await?;
    assert_eq!(listener.told(), ["back: 0", "106 Ringing", "106 Connected"]);
    listener.stop().await
}

#[tokio::test]
async fn a_lost_socket_is_opened_again_with_another_token() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::on(&pbx).await?;
    for close in [false, true] {
        let (tokens, sockets) = (pbx.tokens_issued(), pbx.counts().sockets_opened);
        listener.told();
        if close {
            pbx.faults().close_sockets(1001);
        } else {
            pbx.faults().drop_sockets();
        }
        listener.until_told("back: 0").await?;
        assert_eq!(listener.told(), ["lost", "back: 0"]);
        assert_eq!((pbx.tokens_issued(), pbx.counts().sockets_opened), (tokens + 1, sockets + 1));
    }
    assert!(listener.counted("callhook_pbx_connections_total{pbx=\"office\"} 3")?);
    assert!(listener.counted("callhook_pbx_connected{pbx=\"office\"} 1")?);
    assert!(listener.counted("callhook_pbx_faults_total{pbx=\"office\",kind=\"broken\"} 2")?);
    listener.stop().await
}

#[tokio::test]
async fn what_happens_while_the_socket_is_lost_is_in_the_snapshot_after_it() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::on(&pbx).await?;
    let ended = pbx.outside("420774852629").calls(ALICE)?;
    listener.until_told("106 Ringing").await?;
    pbx.faults().refuse_sockets(503);
    pbx.faults().drop_sockets();
    listener.until_told("lost").await?;
    pbx.outside("420774852629").hangs_up(&ended)?;
    pbx.person("107").dials("108")?;
    pbx.faults().accept_sockets();
    listener.until_up_to_date(&pbx).await?;
    assert_eq!(listener.status_of("106"), None);
    assert_eq!(listener.status_of("107"), Some(&Status::Dialing));
    listener.stop().await
}

#[tokio::test]
async fn a_token_that_was_taken_away_is_replaced() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::on(&pbx).await?;
    listener.told();
    pbx.faults().take_token_away();
    listener.until_told("back: 0").await?;
    let call = pbx.outside("420774852629").calls(ALICE)?;
    listener.until_told("106 Ringing").await?;
    assert_eq!(listener.told(), ["lost", "back: 0", "106 Ringing"]);
    assert!(call.rings("106"));
    listener.stop().await
}

#[tokio::test]
async fn reads_that_find_the_token_refused_get_one_new_token_together() -> Result<()> {
    let pbx = office().sockets_outlive_tokens(true).start().await?;
    let mut listener = Listener::on(&pbx).await?;
    listener.told();
    pbx.faults().take_token_away();
    pbx.outside("420774852629").calls(OFFICE)?;
    listener.until_up_to_date(&pbx).await?;
    assert_eq!(pbx.tokens_issued(), 2);
    assert!(!listener.told().contains(&"lost".to_owned()), "the socket lives on");
    listener.stop().await
}

#[tokio::test]
async fn a_leg_that_cannot_be_read_by_itself_is_read_from_the_list() -> Result<()> {
    for status in [403, 404, 410] {
        let pbx = office().start().await?;
        let mut listener = Listener::on(&pbx).await?;
        pbx.faults().fail_reads(status, 1);
        pbx.outside("420774852629").calls(ALICE)?;
        listener.until_told("106 Ringing").await?;
        assert_eq!(pbx.counts().reads_begun, 1, "{status}: the list is believed");
        listener.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_leg_that_the_list_lacks_as_well_is_gone() -> Result<()> {
    for status in [403, 404, 410] {
        let pbx = office().gone_status(status).start().await?;
        let mut listener = Listener::on(&pbx).await?;
        pbx.faults().send_event(0, "/callcontrol/106/participants/4711");
        listener.until_told("106 gone").await?;
        listener.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn failed_reads_are_repeated_and_then_looked_up_in_the_list() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::on(&pbx).await?;
    let call = pbx.outside("420774852629").calls(ALICE)?;
    listener.until_told("106 Ringing").await?;
    pbx.faults().fail_reads(502, 1);
    pbx.person("106").answers(&call)?;
    listener.until_told("106 Connected").await?;
    assert_eq!(pbx.counts().lists, 1, "a repetition was enough");
    pbx.faults().garble_reads(100);
    pbx.person("107").dials("108")?;
    listener.until_up_to_date(&pbx).await?;
    assert!(pbx.counts().lists > 1);
    listener.stop().await
}

#[tokio::test]
async fn what_cannot_be_read_at_all_is_left_to_the_next_snapshot() -> Result<()> {
    let pbx = office().start().await?;
    let every = Duration::from_secs(1);
    let settings = Settings { snapshot_every: every, ..settings(&pbx)? };
    let mut listener = Listener::with(settings, 100).await?;
    pbx.faults().fail_reads(500, 1000);
    pbx.faults().garble_lists(2);
    pbx.outside("420774852629").calls(ALICE)?;
    listener.until_up_to_date(&pbx).await?;
    assert_eq!(listener.status_of("106"), Some(&Status::Ringing));
    assert!(!listener.told().contains(&"lost".to_owned()));
    listener.stop().await
}

#[tokio::test]
async fn rubbish_on_the_socket_disturbs_nothing() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::on(&pbx).await?;
    listener.told();
    let deep = "[".repeat(100_000);
    for text in ["", "hello", "{}", "[1]", "\u{0}", r#"{"event":{"event_type":0}}"#, &deep] {
        pbx.faults().send_garbage(text);
    }
    pbx.faults().send_event(0, "/callcontrol/106/devices/sip%3A106");
    pbx.faults().send_event(0, "/callcontrol/106");
    pbx.faults().send_event(2, "/callcontrol/106/participants/1");
    pbx.faults().send_event(99, "/callcontrol/106/participants/1");
    pbx.outside("420774852629").calls(ALICE)?;
    listener.until_told("106 Ringing").await?;
    assert_eq!(listener.told(), ["106 Ringing"]);
    for (cause, times) in [("frame", 6), ("entity", 3), ("event-type", 2)] {
        let line = format!("callhook_pbx_faults_total{{pbx=\"office\",kind=\"{cause}\"}} {times}");
        assert!(listener.counted(&line)?, "{line}\n{}", listener.metrics.render()?);
    }
    listener.stop().await
}

#[tokio::test]
async fn a_restarted_pbx_is_watched_again_and_its_counters_start_over() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::on(&pbx).await?;
    let caller = pbx.outside("420774852629");
    caller.calls(ALICE)?;
    listener.until_told("106 Ringing").await?;
    let before: Vec<_> = listener.view.keys().cloned().collect();
    listener.told();

    pbx.faults().restart();
    listener.until_told("back: 0").await?;
    caller.calls(ALICE)?;
    listener.until_told("106 Ringing").await?;
    assert_eq!(listener.told(), ["lost", "back: 0", "106 Ringing"]);
    assert_eq!(listener.view.keys().cloned().collect::<Vec<_>>(), before, "the same ids again");
    listener.stop().await
}

#[tokio::test]
async fn the_api_may_be_down_for_a_while() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::on(&pbx).await?;
    let requests = pbx.counts().requests;
    pbx.faults().gateway_down();
    listener.until_told("lost").await?;
    pbx.wait_until("an attempt", |counts| counts.requests > requests + 1).await?;
    pbx.outside("420774852629").calls(ALICE)?;
    pbx.faults().gateway_up();
    listener.until_up_to_date(&pbx).await?;
    assert_eq!(listener.told().iter().filter(|line| *line == "lost").count(), 1, "told once");
    listener.stop().await
}

#[tokio::test]
async fn nothing_is_lost_while_nobody_takes_notices() -> Result<()> {
    let pbx = office().start().await?;
    let mut listener = Listener::with(settings(&pbx)?, 1).await?;
    let caller = pbx.outside("420774852629");
    for _ in 0..30 {
        let call = caller.calls(OFFICE)?;
        pbx.person("107").answers(&call)?;
        caller.hangs_up(&call)?;
    }
    let last = caller.calls(ALICE)?;
    pbx.person("106").answers(&last)?;
    pbx.wait_until_caught_up().await?;
    listener.until_up_to_date(&pbx).await?;
    assert_eq!(listener.status_of("106"), Some(&Status::Connected));
    listener.stop().await
}

#[tokio::test]
async fn after_any_mixture_of_troubles_the_truth_is_told() -> Result<()> {
    let pbx = office().duplicates(true).start().await?;
    let every = Duration::from_secs(1);
    let mut listener =
        Listener::with(Settings { snapshot_every: every, ..settings(&pbx)? }, 8).await?;
    let caller = pbx.outside("420774852629");
    let faults = pbx.faults();
    for round in 0..40 {
        match round % 8 {
            0 => faults.delay_reads(Duration::from_millis(30), Looked::AtArrival),
            1 => faults.fail_reads(404, 2),
            2 => faults.garble_reads(3),
            3 => faults.fail_lists(503, 1),
            5 => faults.send_garbage("{"),
            6 if round > 20 => faults.take_token_away(),
            7 => faults.stop_delaying_reads(),
            _ => {}
        }
        let call = caller.calls(if round % 2 == 0 { OFFICE } else { ALICE })?;
        let person = pbx.person(if round % 2 == 0 { "108" } else { "106" });
        listener.until("something", |so_far| !so_far.story.is_empty()).await?;
        listener.told();
        if round % 3 != 0 {
            person.answers(&call)?;
        }
        if round % 5 != 0 {
            caller.hangs_up(&call)?;
        }
    }
    listener.until_up_to_date(&pbx).await?;
    assert!(!listener.view.is_empty(), "some calls go on");
    listener.stop().await
}

#[tokio::test]
async fn a_probe_tells_what_is_visible_or_what_is_wrong() -> Result<()> {
    let pbx = office().start().await?;
    let good = settings(&pbx)?;
    let seen = watcher(good.clone())?.probe().await?;
    assert!(seen.iter().any(|dn| dn.number == "106"));

    let wrong = Settings { client_secret: Secret::new("wrong"), ..good.clone() };
    assert_eq!(watcher(wrong)?.probe().await, Err(SourceError::Refused));

    pbx.faults().forbid_everything(true);
    assert_eq!(watcher(good.clone())?.probe().await, Err(SourceError::NoAccess));
    pbx.faults().forbid_everything(false);

    let free = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let nobody = Settings { url: format!("http://{free}").parse()?, ..good.clone() };
    let error = watcher(nobody)?.probe().await;
    assert!(matches!(error, Err(SourceError::Unreachable(_))), "{error:?}");

    let no_host = Settings { url: "file:///callhook.ini".parse()?, ..good };
    assert!(watcher(no_host).is_err());
    Ok(())
}

/// Ends TLS in front of the simulated 3CX. Returns the address and the certificate.
async fn behind_tls(
    pbx: &Pbx,
) -> Result<(String, String, impl Future<Output = Result<()>> + use<>)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.map_err(anyhow::Error::msg)?)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://localhost:{}", listener.local_addr()?.port());
    let inside = pbx.url().trim_start_matches("http://").to_owned();
    let serve = async move {
        loop {
            let (outer, _) = listener.accept().await?;
            let (acceptor, mut inner) = (acceptor.clone(), TcpStream::connect(&inside).await?);
            tokio::spawn(async move {
                let mut outer = acceptor.accept(outer).await?;
                tokio::io::copy_bidirectional(&mut outer, &mut inner).await
            });
        }
    };
    Ok((url, made.cert.pem(), serve))
}

#[tokio::test]
async fn tls_is_demanded_unless_it_is_given_up_explicitly() -> Result<()> {
    let pbx = office().start().await?;
    let (url, pem, serve) = behind_tls(&pbx).await?;
    let server = tokio::spawn(serve);
    let unknown = Settings { url: url.parse()?, ..settings(&pbx)? };
    match watcher(unknown.clone()) {
        Ok(watcher) => {
            let error = watcher.probe().await;
            ensure!(matches!(error, Err(SourceError::Tls(_))), "{error:?}");
        }
        // A machine without any CA trusts nobody, and says so at once.
        Err(error) if format!("{error:#}").contains("ca_file") => {}
        Err(error) => bail!(error),
    }

    let folder = tempfile::tempdir()?;
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, pem)?;
    let known = Settings { ca_file: Some(ca_file), ..unknown.clone() };
    for settings in [known, Settings { insecure: true, ..unknown }] {
        let mut listener = Listener::with(settings, 100).await?;
        pbx.faults().drop_sockets();
        listener.until_told("lost").await?;
        listener.until_up_to_date(&pbx).await?;
        listener.stop().await?;
    }
    server.abort();
    Ok(())
}

#[tokio::test]
async fn the_watcher_ends_when_nobody_listens_any_more() -> Result<()> {
    let pbx = office().start().await?;
    let Listener { notices, watcher, stop: _stop, .. } = Listener::on(&pbx).await?;
    drop(notices);
    pbx.outside("420774852629").calls(ALICE)?;
    timeout(PATIENCE, watcher).await.context("the watcher did not end")??;
    pbx.wait_for_no_socket().await?;
    Ok(())
}
