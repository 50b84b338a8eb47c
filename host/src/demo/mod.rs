//! The demo: a simulated 3CX whose people make calls, the service as it always is, and a local
//! receiver; all in this process and on the loopback address.
//!
//! It is also a test of itself: it ends well only if every event that the play must give came,
//! in order, and for each of them one webhook was accepted. With a plugin of somebody's own it is
//! that plugin's audience: it shows all requests, and ends well if the plugin failed on no event.

mod own;
mod screen;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use callhook_pbx::Pbx;
use callhook_pbx::plays::{self, Play};
use callhook_receiver::{Receiver, Webhook};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

pub use self::own::Own;
use self::screen::Screen;
use crate::app::{App, Faults};
use crate::clock::Clock;
use crate::config::{Config, Machine};
use crate::event::CallEvent;

/// What is played, and the events that must come of it: kind and user.
const PROGRAMME: [(Play, &[(&str, &str)]); 3] = [
    (Play::Incoming, &[("ringing", "106"), ("start", "106"), ("end", "106")]),
    (
        Play::MissedQueue,
        &[
            ("ringing", "800"),
            ("ringing", "106"),
            ("ringing", "107"),
            ("ringing", "106"),
            ("ringing", "107"),
            ("end", "800"),
        ],
    ),
    (Play::Outgoing, &[("start", "107"), ("end", "107")]),
];

/// How long the last webhook may take after the last thing that people did.
const PATIENCE: Duration = Duration::from_secs(15);

/// Longer than the settling time of the demo's settings.
const SETTLE: Duration = Duration::from_millis(700);

/// How it is played.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// The pause between two things that people do.
    pub pace: Duration,
    /// Whether the terminal shows colours.
    pub colours: bool,
    /// Stay after the play until `shutdown`.
    pub keep: bool,
    /// Shows a text. The demo ends where that fails.
    pub say: fn(&str) -> anyhow::Result<()>,
}

/// Why the demo did not end well.
#[derive(Debug)]
pub enum Failure {
    /// The plugin cannot be used; nothing was played.
    Settings(Faults),
    /// Something else came of the play than must.
    Running(anyhow::Error),
}

/// How often it is looked whether all is delivered.
const LOOK: Duration = Duration::from_millis(100);

/// Something to show.
enum Sight {
    People(String),
    Event(Box<CallEvent>),
    Webhook(Box<Webhook>),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Running(error)
    }
}

/// Plays the programme, to `own` in place of the plugin that callhook brings.
pub async fn run(
    stage: Stage,
    own: Option<Own>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let pbx = Pbx::small_office().party_did(true).start().await?;
    let receiver = Receiver::start().await?;
    let folder = tempfile::tempdir().context("while making a folder for the demo")?;
    let mut config = settings(folder.path(), &pbx, &receiver)?;
    let own = own.map(|own| own.play_in(&mut config));
    let app = App::build_to_pass(config, Clock::system()).map_err(Failure::Settings)?;
    let heading = format!("simulated 3CX   {}\nreceiver        {}\n", pbx.url(), receiver.url());
    (stage.say)(&heading)?;

    let (sights, seen) = mpsc::unbounded_channel();
    let events = sights.clone();
    let app = app.observed_by(Box::new(move |event| {
        if !event.kind.is_usual() {
            return;
        }
        // The screen is gone only when the demo is over.
        let _ = events.send(Sight::Event(Box::new(event.clone())));
    }));
    let (stop, stopped) = oneshot::channel::<()>();
    let service = tokio::spawn(app.run(async {
        let _ = stopped.await;
    }));
    let arrivals = tokio::spawn(show_arrivals(receiver.subscribe(), sights.clone()));

    let played = tokio::select! {
        played = play(stage, own.as_ref(), &pbx, &sights, seen) => Some(played),
        () = shutdown => None,
    };
    arrivals.abort();
    drop(stop);
    service.await.context("while stopping the service")??;
    Ok(played.unwrap_or(Ok(()))?)
}

/// The settings of the demo, written as a user would write them.
fn settings(folder: &Path, pbx: &Pbx, receiver: &Receiver) -> anyhow::Result<Config> {
    let text = format!(
        "[pbx]\nurl = {}\nclient_id = {}\nclient_secret = {}\nsettle = 500ms\n\
         [did]\n420226201001 = Reception\n420226201002 = Sales\n\
         [webhook]\nurl = {}\n\
         [console]\nlisten = 127.0.0.1:0\n",
        pbx.url(),
        pbx.client_id(),
        pbx.client_secret(),
        receiver.url(),
    );
    let loaded = Config::parse(&text, &folder.join("callhook.ini"), &Machine);
    loaded.map(|loaded| loaded.config).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the demo's own settings are wrong: {}", errors.join("; "))
    })
}

async fn show_arrivals(
    mut arrived: watch::Receiver<Vec<Webhook>>,
    sights: mpsc::UnboundedSender<Sight>,
) {
    let mut shown = 0;
    while arrived.changed().await.is_ok() {
        let fresh: Vec<Webhook> = arrived.borrow_and_update().iter().skip(shown).cloned().collect();
        shown += fresh.len();
        for webhook in fresh {
            if sights.send(Sight::Webhook(Box::new(webhook))).is_err() {
                return;
            }
        }
    }
}

/// Lets the people act, shows what comes of it, and judges it.
async fn play(
    stage: Stage,
    own: Option<&own::Stage>,
    pbx: &Pbx,
    sights: &mpsc::UnboundedSender<Sight>,
    mut seen: mpsc::UnboundedReceiver<Sight>,
) -> anyhow::Result<()> {
    pbx.wait_for_watcher().await.context("while waiting for the service to watch the 3CX")?;
    let mut screen = Screen::new(stage.colours, own.is_some());
    let mut told = Vec::new();
    let expected: usize = PROGRAMME.iter().map(|(_, events)| events.len()).sum();
    let acting = act(stage, pbx, sights);
    tokio::pin!(acting);
    let mut deadline = None;
    let mut look = tokio::time::interval(LOOK);
    let mut quiet = false;
    loop {
        if own.is_none() && deadline.is_some() && screen.counts().delivered >= expected {
            break;
        }
        tokio::select! {
            acted = &mut acting, if deadline.is_none() => {
                acted?;
                deadline = Some(Instant::now() + PATIENCE);
            }
            Some(sight) = seen.recv() => (stage.say)(&shown(&mut screen, sight, &mut told))?,
            () = until(deadline) => break,
            _ = look.tick() => if let Some(own) = own && deadline.is_some() {
                // What was delivered just now is shown before the next look.
                let was_quiet = std::mem::replace(&mut quiet, told.len() >= expected && own.is_idle()?);
                if was_quiet && quiet {
                    break;
                }
            },
        }
    }
    match own {
        None => close(stage, &screen, &told, expected)?,
        Some(own) => own.close(stage.say, PROGRAMME.len(), screen.counts())?,
    }
    if stage.keep {
        (stage.say)(&format!("\nstaying until Ctrl-C; the 3CX at {} still works\n", pbx.url()))?;
        while let Some(sight) = seen.recv().await {
            (stage.say)(&shown(&mut screen, sight, &mut told))?;
        }
    }
    Ok(())
}

async fn act(stage: Stage, pbx: &Pbx, sights: &mpsc::UnboundedSender<Sight>) -> anyhow::Result<()> {
    let narrator = |line: &str| {
        // Whoever shows it is gone only when the demo is over.
        let _ = sights.send(Sight::People(line.to_owned()));
    };
    let stage = plays::Stage { pace: stage.pace, narrator: &narrator };
    for (play, _) in PROGRAMME {
        play.act(pbx, &stage).await?;
        // The next call begins when the end of this one has settled.
        tokio::time::sleep(SETTLE).await;
    }
    Ok(())
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What the screen shows of it.
fn shown(screen: &mut Screen, sight: Sight, told: &mut Vec<(String, String)>) -> String {
    match sight {
        Sight::People(line) => screen.people(&line),
        Sight::Event(event) => {
            told.push((event.kind.name().to_owned(), event.user.number.clone()));
            screen.event(&event)
        }
        Sight::Webhook(webhook) => screen.webhook(*webhook),
    }
}

/// The closing line, and whether all was as it must be.
fn close(
    stage: Stage,
    screen: &Screen,
    told: &[(String, String)],
    expected: usize,
) -> anyhow::Result<()> {
    let counts = screen.counts();
    (stage.say)(&format!(
        "\n{} calls, {} events, {} webhooks delivered, {} missing, {} unexpected\n",
        PROGRAMME.len(),
        counts.events,
        counts.delivered,
        expected.saturating_sub(counts.delivered),
        counts.strange,
    ))?;
    let due = PROGRAMME.iter().flat_map(|(_, events)| events.iter().copied());
    let told = told.iter().map(|(kind, user)| (kind.as_str(), user.as_str()));
    if !due.eq(told) {
        bail!("the calls gave other events than they must");
    }
    if counts.delivered != expected || counts.strange > 0 {
        bail!("not every event arrived as exactly one webhook");
    }
    Ok(())
}
