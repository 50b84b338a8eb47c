//! The demo: a simulated 3CX whose people make calls, the service as it always is, and a local
//! receiver; all in this process and on the loopback address.
//!
//! It is also a test of itself: it ends well only if every event that the play must give came,
//! in order, and for each of them one webhook was accepted.

mod screen;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use callhook_pbx::Pbx;
use callhook_pbx::plays::{self, Play};
use callhook_receiver::{Receiver, Webhook};
use tokio::sync::{mpsc, oneshot};

use self::screen::Screen;
use crate::app::App;
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

/// How it is played.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// The pause between two things that people do.
    pub pace: Duration,
    /// Whether the terminal shows colours.
    pub colours: bool,
    /// Stay after the play until `shutdown`.
    pub keep: bool,
}

/// Something to show.
enum Sight {
    People(String),
    Event(Box<CallEvent>),
    Webhook(Box<Webhook>),
}

/// Plays the programme. An error if something else came of it than must.
pub async fn run(stage: Stage, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let pbx = Pbx::small_office().party_did(true).start().await?;
    let receiver = Receiver::start().await?;
    let folder = tempfile::tempdir().context("while making a folder for the demo")?;
    let config = settings(folder.path(), &pbx, &receiver)?;
    println!("simulated 3CX   {}", pbx.url());
    println!("receiver        {}", receiver.url());

    let (sights, seen) = mpsc::unbounded_channel();
    let events = sights.clone();
    let app = App::build(config, Clock::system())
        .map_err(|faults| anyhow::anyhow!(faults.0.join("; ")))?
        .observed_by(Box::new(move |event| {
            // The screen is gone only when the demo is over.
            let _ = events.send(Sight::Event(Box::new(event.clone())));
        }));
    let (stop, stopped) = oneshot::channel::<()>();
    let service = tokio::spawn(app.run(async {
        let _ = stopped.await;
    }));
    let arrivals = tokio::spawn(show_arrivals(receiver.subscribe(), sights.clone()));

    let played = tokio::select! {
        played = play(stage, &pbx, &sights, seen) => Some(played),
        () = shutdown => None,
    };
    arrivals.abort();
    drop(stop);
    service.await.context("while stopping the service")??;
    played.unwrap_or(Ok(()))
}
