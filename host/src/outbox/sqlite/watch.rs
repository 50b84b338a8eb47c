//! A look through a large file, after the start: it would take too long before.
//!
//! While it goes on, the log cannot begin anew. So it does not begin at once, since a service that is
//! killed again and again would find a longer log each time; and it is broken off where the log grows
//! too long for what is written meanwhile, and tried again later.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, io};

use rusqlite::InterruptHandle;

use super::file::{self, CHECKED_AT_ONCE};
use super::shared::Shared;

/// So long after the start, or after it was broken off.
const AFTER: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_mins(1) };

/// To so many bytes the log may grow meanwhile, unless it is longer already.
const LOG: u64 = 64 << 20;

/// The log's length is looked at after so many steps, of which each is a page or less.
const STEPS: i32 = 1_000;

/// A thread that looks. Dropping this ends it.
pub(super) struct Check {
    /// Dropped, it says that nobody wants to know any longer.
    going: Option<Sender<()>>,
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
        let mut connection = file::connect_reader(path).map_err(io::Error::other)?;
        let log = file::beside(path, "-wal");
        let length = move || fs::metadata(&log).map_or(0, |log| log.len());
        let interrupt = connection.get_interrupt_handle();
        let shared = Arc::clone(shared);
        let (going, gone) = mpsc::channel();
        let look = move || {
            // It can wait for whatever else the machine has to do.
            let _as_it_is = rustix::process::nice(NICE);
            while gone.recv_timeout(AFTER) == Err(RecvTimeoutError::Timeout) {
                let (length, most) = (length.clone(), length().max(LOG));
                let looked = connection
                    .progress_handler(STEPS, Some(move || length() > most))
                    .map_err(file::explain)
                    .and_then(|()| file::look_through(&connection));
                match looked {
                    Ok(()) => tracing::debug!("The outbox is sound."),
                    Err(error) if file::is_damage(&error) => {
                        tracing::error!("The outbox is damaged: {error:#}.");
                        drop(connection);
                        shared.report_damage();
                    }
                    Err(error) if file::is_interrupted(&error) => continue,
                    Err(error) => tracing::debug!("The outbox was not looked through: {error:#}."),
                }
                return;
            }
        };
        let thread = thread::Builder::new().name("outbox-check".to_owned()).spawn(look)?;
        Ok(Some(Self { going: Some(going), interrupt, thread: Some(thread) }))
    }
}

/// As low as it gets.
const NICE: i32 = 19;

impl Drop for Check {
    fn drop(&mut self) {
        self.going = None;
        if let Some(thread) = self.thread.take() {
            // Before it has begun to look, it does not hear.
            while !thread.is_finished() {
                self.interrupt.interrupt();
                thread::sleep(Duration::from_millis(1));
            }
            // What it had to say is said.
            let _ended = thread.join();
        }
    }
}
