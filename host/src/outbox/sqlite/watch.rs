//! A look through a large file, after the start: it would take too long before.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::{fs, io};

use rusqlite::InterruptHandle;

use super::file::{self, CHECKED_AT_ONCE};
use super::shared::Shared;

/// A thread that looks. Dropping this ends it.
pub(super) struct Check {
    interrupt: InterruptHandle,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").finish_non_exhaustive()
    }
}

impl Check {
    /// Begins, if the file at `path` is so large that it was not looked through before.
    pub(super) fn start(path: &Path, shared: &Arc<Shared>) -> io::Result<Option<Self>> {
        if fs::metadata(path)?.len() <= CHECKED_AT_ONCE {
            return Ok(None);
        }
        let connection = file::connect_reader(path).map_err(io::Error::other)?;
        let interrupt = connection.get_interrupt_handle();
        let shared = Arc::clone(shared);
        let look = move || {
            // It can wait for whatever else the machine has to do.
            let _as_it_is = rustix::process::nice(NICE);
            match file::look_through(&connection) {
                Ok(()) => tracing::debug!("The outbox is sound."),
                Err(error) if file::is_damage(&error) => {
                    tracing::error!("The outbox is damaged: {error:#}.");
                    drop(connection);
                    shared.report_damage();
                }
                Err(error) => tracing::debug!("The outbox was not looked through: {error:#}."),
            }
        };
        let thread = thread::Builder::new().name("outbox-check".to_owned()).spawn(look)?;
        Ok(Some(Self { interrupt, thread: Some(thread) }))
    }
}

/// As low as it gets.
const NICE: i32 = 19;

impl Drop for Check {
    fn drop(&mut self) {
        self.interrupt.interrupt();
        if let Some(thread) = self.thread.take() {
            // What it had to say is said.
            let _ended = thread.join();
        }
    }
}
