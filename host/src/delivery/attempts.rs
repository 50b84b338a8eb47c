//! The attempts of an endpoint that are under way, counted until their outcome is on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};

/// So many attempts whose outcome is not on disk yet, exchanges included, of all endpoints
/// together: what a crash may repeat.
const UNSETTLED: usize = 512;

/// So many of these an endpoint may have whatever the others have.
const OWN: usize = 32;

/// The attempts of all endpoints.
static ALL: AtomicUsize = AtomicUsize::new(0);

/// The attempts of one endpoint.
#[derive(Default)]
pub(super) struct Attempts {
    /// Those that are not over yet.
    going: JoinSet<()>,
    unsettled: Arc<Unsettled>,
}

/// Those of one endpoint whose outcome is not on disk yet.
#[derive(Default)]
pub(super) struct Unsettled {
    count: AtomicUsize,
    /// Somebody waits until there are fewer.
    waited_for: AtomicBool,
    fewer: Notify,
}

impl Unsettled {
    /// Returns when there may be room again.
    pub(super) async fn fewer(&self) {
        self.fewer.notified().await;
    }
}

/// Counts as an attempt until it is dropped.
pub(super) struct Slot(Arc<Unsettled>);

impl Attempts {
    /// Begins one.
    pub(super) fn spawn<F>(&mut self, attempt: impl FnOnce(Slot) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let attempt = attempt(self.slot());
        self.going.spawn(attempt);
    }

    /// Counts something as one.
    pub(super) fn slot(&self) -> Slot {
        ALL.fetch_add(1, Ordering::SeqCst);
        self.unsettled.count.fetch_add(1, Ordering::SeqCst);
        Slot(Arc::clone(&self.unsettled))
    }

    /// Waits for one to be over; `None` if there is none.
    pub(super) async fn join_next(&mut self) -> Option<Result<(), JoinError>> {
        self.going.join_next().await
    }

    /// So many more may begin. If none, [`Unsettled::fewer`] says when to ask again.
    pub(super) fn room(&self) -> usize {
        let look = || {
            let own = self.count();
            let others = ALL.load(Ordering::SeqCst).saturating_sub(own);
            UNSETTLED.saturating_sub(others).max(OWN).saturating_sub(own)
        };
        let room = look();
        if room > 0 {
            return room;
        }
        self.unsettled.waited_for.store(true, Ordering::SeqCst);
        // Those that ended just before did not see that anybody waits.
        look()
    }

    /// Those whose outcome is not on disk.
    pub(super) fn unsettled(&self) -> Arc<Unsettled> {
        Arc::clone(&self.unsettled)
    }

    /// The outcome of so many is not on disk.
    pub(super) fn count(&self) -> usize {
        self.unsettled.count.load(Ordering::SeqCst)
    }

    /// Waits until the outcome of each that is over is on disk.
    pub(super) async fn settled(&self) {
        while self.count() > 0 {
            self.unsettled.waited_for.store(true, Ordering::SeqCst);
            if self.count() > 0 {
                self.unsettled.fewer().await;
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        ALL.fetch_sub(1, Ordering::SeqCst);
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        if self.0.waited_for.swap(false, Ordering::SeqCst) {
            self.0.fewer.notify_one();
        }
    }
}
