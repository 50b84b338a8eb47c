//! What delivers to one endpoint: claims what is due, as far as the endpoint takes it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::attempts::Attempts;
use super::disabled;
use super::endpoint::Endpoint;
use super::gate::Room;
use crate::outbox::Claimed;

/// So many are looked through for one that can be a probe.
const CANDIDATES: usize = 32;

/// When to look again if nothing is due and nothing happens.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// When to look again after the outbox could not be read.
const LOOK_AGAIN_AFTER_ERROR: Duration = Duration::from_secs(1);

/// How long what is in flight may take at a shutdown.
const GRACE: Duration = Duration::from_secs(10);

/// Whether a worker is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It goes on.
    No,
    /// It claims nothing more and ends when nothing is in flight.
    WhenDone,
    /// The same, but it has only [`GRACE`] left.
    Soon,
}

/// What a look into the outbox brought.
struct Look {
    /// There may be more that is due than there was room for.
    more: bool,
    /// When to look again if nothing happens.
    again: Instant,
}

/// Delivers until `stop` says so, then lets what is in flight finish.
pub(super) async fn run(endpoint: Arc<Endpoint>, mut stop: watch::Receiver<Stop>) {
    let changed = endpoint.outbox.changed(&endpoint.settings.name);
    let before = Arc::clone(&endpoint);
    // The disk may be slow.
    let _looked = tokio::task::spawn_blocking(move || before.let_pass()).await;
    let mut attempts = Attempts::default();
    while *stop.borrow() == Stop::No {
        let look = start_due(&endpoint, &mut attempts).await;
        wait(&endpoint, &look, &changed, &mut attempts, &mut stop).await;
    }
    let finish = async {
        while attempts.join_next().await.is_some() {}
        attempts.settled().await;
        endpoint.at_rest().await;
    };
    let patience = async {
        // Whoever forgot about the worker is in no hurry.
        if stop.wait_for(|stop| *stop == Stop::Soon).await.is_err() {
            std::future::pending::<()>().await;
        }
        sleep(GRACE).await;
    };
    let done = tokio::select! {
        () = finish => true,
        () = patience => false,
    };
    if !done {
        let (endpoint, cut) = (&endpoint.settings.name, attempts.count());
        tracing::warn!(
            endpoint,
            cut,
            "Requests were cut off, or what became of them is not on disk; those will be sent again \
             after the next start."
        );
    }
}

/// Returns when it makes sense to look again.
async fn wait(
    endpoint: &Endpoint,
    look: &Look,
    changed: &Notify,
    attempts: &mut Attempts,
    stop: &mut watch::Receiver<Stop>,
) {
    let unsettled = attempts.unsettled();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop != Stop::No) => return,
            () = changed.notified() => return,
            () = sleep_until(look.again) => return,
            () = endpoint.standing.freed.notified(), if look.more => return,
            () = unsettled.fewer(), if look.more => return,
            Some(ended) = attempts.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "An attempt has died; restart to repeat it.");
                }
                if look.more {
                    return;
                }
            }
        }
    }
}

/// Starts what may start.
async fn start_due(endpoint: &Arc<Endpoint>, attempts: &mut Attempts) -> Look {
    let unsettled = attempts.room();
    match endpoint.room() {
        Room::For(room) if unsettled > 0 => claim(endpoint, room.min(unsettled), attempts).await,
        Room::Probe if unsettled > 0 => probe(endpoint, attempts).await,
        Room::For(_) | Room::Probe | Room::Full => Look::after(LOOK_AGAIN),
        Room::Closed(Some(wait)) => Look::after(wait),
        Room::Closed(None) => {
            endpoint.look_whether_lifted().await;
            Look::after(disabled::LOOK)
        }
    }
}

/// Claims at most `room` requests and sends them.
async fn claim(endpoint: &Arc<Endpoint>, room: usize, attempts: &mut Attempts) -> Look {
    let (requests, mut look) = match due(endpoint, room).await {
        Ok(due) => due,
        Err(look) => return look,
    };
    let mut expired = false;
    for claimed in requests {
        if claimed.expired {
            expired = true;
            endpoint.expire(&claimed, attempts.slot());
        } else {
            let turn = endpoint.turn(false);
            attempts.spawn(|slot| Arc::clone(endpoint).attempt(claimed, turn, slot));
        }
    }
    if expired && look.more {
        // Those took no room.
        look.again = Instant::now();
    }
    look
}

/// Sends one request, to find out whether the endpoint works again.
async fn probe(endpoint: &Arc<Endpoint>, attempts: &mut Attempts) -> Look {
    // Usually the first will do.
    let (mut requests, mut look) = match due(endpoint, 1).await {
        Ok(due) => due,
        Err(look) => return look,
    };
    if requests.iter().any(|claimed| claimed.expired) {
        match due(endpoint, CANDIDATES).await {
            Ok((more, later)) => {
                requests.extend(more);
                look = later;
            }
            Err(later) => look = later,
        }
    }
    let mut probing = false;
    for claimed in requests {
        if claimed.expired {
            endpoint.expire(&claimed, attempts.slot());
        } else if probing {
            endpoint.give_back(&claimed, attempts.slot());
        } else {
            probing = true;
            let turn = endpoint.turn(true);
            attempts.spawn(|slot| Arc::clone(endpoint).attempt(claimed, turn, slot));
        }
    }
    if !probing && look.more {
        look.again = Instant::now();
    }
    look
}

/// What is due, at most `room` requests, and when to look again.
async fn due(endpoint: &Endpoint, room: usize) -> Result<(Vec<Claimed>, Look), Look> {
    match endpoint.outbox.claim(&endpoint.settings.name, room).await {
        Ok(claims) => {
            failpoint!("delivery-claimed");
            let mut look = Look::after(claims.next_in.unwrap_or(LOOK_AGAIN));
            look.more = claims.requests.len() == room;
            Ok((claims.requests, look))
        }
        Err(error) => {
            let endpoint = &endpoint.settings.name;
            let error = format!("{error:#}");
            tracing::warn!(endpoint, error, "The outbox cannot be read; trying again.");
            Err(Look { more: false, ..Look::after(LOOK_AGAIN_AFTER_ERROR) })
        }
    }
}

impl Look {
    /// A look after so long, or as soon as an attempt ends or its outcome is on disk.
    fn after(wait: Duration) -> Self {
        Self { more: true, again: Instant::now() + wait.min(LOOK_AGAIN) }
    }
}
