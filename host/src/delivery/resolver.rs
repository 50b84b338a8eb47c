//! Names become addresses.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::failure::SendFailure;

/// A name that takes longer has no address for now.
pub(super) const DEADLINE: Duration = Duration::from_secs(4);

/// Lookups at once. One that hangs holds a thread of the machine's for as long as it hangs.
const LOOKUPS: usize = 16;

/// Who knows the addresses of names. Takes names without a dot at the end.
pub(super) trait Resolver: Send + Sync {
    /// The addresses of `name`, the best first.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The machine's own resolver, with its hosts file.
struct System {
    room: Arc<Semaphore>,
}

/// The machine's own resolver: one for all endpoints, so that a name service that hangs does not
/// take a thread per request.
pub(super) fn system() -> Arc<dyn Resolver> {
    static SYSTEM: LazyLock<Arc<System>> =
        LazyLock::new(|| Arc::new(System { room: Arc::new(Semaphore::new(LOOKUPS)) }));
    Arc::<System>::clone(&SYSTEM)
}

impl Resolver for System {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let (room, name) = (Arc::clone(&self.room), name.to_owned());
        Box::pin(async move {
            let permit = room.acquire_owned().await.map_err(io::Error::other)?;
            // A task of its own, because a lookup goes on when nobody waits for it any more, and
            // so long it takes room.
            let lookup = tokio::spawn(async move {
                let found = tokio::net::lookup_host((name, 0)).await;
                drop(permit);
                found.map(|found| found.map(|address| address.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

/// The addresses of `name`; at least one, within `deadline`.
pub(super) async fn addresses(
    resolver: &dyn Resolver,
    name: &str,
    deadline: Duration,
) -> Result<Vec<IpAddr>, SendFailure> {
    match tokio::time::timeout(deadline, resolver.resolve(name)).await {
        Ok(Ok(found)) if found.is_empty() => {
            Err(SendFailure::Resolve(format!("{name} has no address")))
        }
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(SendFailure::Resolve(format!("{name}: {error}"))),
        Err(_) => Err(SendFailure::Resolve(format!("{name}: no answer within {deadline:?}"))),
    }
}
