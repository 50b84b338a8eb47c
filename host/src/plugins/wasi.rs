//! The empty WASI 0.2 world that plugins run in.
//!
//! Plugins need none of it, but the runtimes of many languages import it. They get clocks, random
//! numbers, an exit, and standard streams: input is empty, what is written to output and error is
//! captured for the operator. There are no files, no environment and no arguments. Sockets and
//! HTTP are not linked at all, so that a plugin which counts on them fails when it is loaded.
//!
//! Two things differ from `wasmtime-wasi`'s own synchronous interfaces. Nothing here needs or
//! starts a tokio runtime, so plugins can be called from any thread: everything that can be
//! waited for is ready at once, with the exception of time. And waiting for time ends at the
//! call's deadline, because the engine can only interrupt a plugin that runs, not one that sleeps
//! in the host.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::sync::filesystem::types as file_types;
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
use wasmtime_wasi::{WasiCtx, WasiView, async_trait};

use super::store::State;
use super::wasi_fixed::{self, Steps};
use super::wasi_io::Io;

/// What is kept of a plugin's standard output and error per call.
const CAPTURE_LIMIT: usize = 64 << 10;

/// Streams, pollables and errors that a plugin can hold at the same time.
const MAX_RESOURCES: usize = 1_000;

/// Bytes per request for random numbers.
const MAX_RANDOM: u64 = 64 << 10;

/// Standard output and error of one call, in the order written. What does not fit is dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture(Arc<Mutex<Vec<u8>>>);

/// The WASI side of one call's store.
pub(super) struct Wasi {
    /// Made when the plugin first asks for it: most never do.
    ctx: Option<WasiCtx>,
    /// What handles of the plugin stand for.
    pub(super) table: ResourceTable,
    /// Standard output and error.
    pub(super) capture: Capture,
    /// Zero of the monotonic clock.
    started: Instant,
    /// In a rehearsal: what the wall clock shows, and the monotonic clock.
    fixed: Option<(Duration, Steps)>,
    /// Sleep ends here, and the call with it.
    pub(super) until: Instant,
}

impl Wasi {
    /// For a call that starts now and may take `deadline`; in a rehearsal, with a clock that shows
    /// `wall`.
    pub(super) fn new(deadline: Duration, wall: Option<Duration>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let started = Instant::now();
        let until = started.checked_add(deadline).unwrap_or(started);
        let fixed = wall.map(|wall| (wall, Steps::default()));
        Self { ctx: None, table, capture: Capture::default(), started, fixed, until }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> wasmtime_wasi::WasiCtxView<'_> {
        let Wasi { ctx, table, capture, fixed, .. } = &mut self.wasi;
        let ctx = ctx.get_or_insert_with(|| {
            let mut builder = WasiCtx::builder();
            builder.stdout(capture.clone()).stderr(capture.clone()).max_random_size(MAX_RANDOM);
            if let Some((wall, _)) = fixed {
                wasi_fixed::fix(&mut builder, *wall);
            }
            builder.build()
        });
        wasmtime_wasi::WasiCtxView { ctx, table }
    }
}

/// Defines the interfaces that plugins may import from WASI.
pub(super) fn add_to_linker(l: &mut Linker<State>) -> wasmtime::Result<()> {
    type S = State;
    clocks::wall_clock::add_to_linker::<S, WasiClocks>(l, S::clocks)?;
    clocks::monotonic_clock::add_to_linker::<S, HasClock>(l, |state| Clock(&mut state.wasi))?;
    random::random::add_to_linker::<S, WasiRandom>(l, S::random)?;
    random::insecure::add_to_linker::<S, WasiRandom>(l, S::random)?;
    random::insecure_seed::add_to_linker::<S, WasiRandom>(l, S::random)?;
    cli::exit::add_to_linker::<S, WasiCli>(l, S::cli)?;
    cli::environment::add_to_linker::<S, WasiCli>(l, S::cli)?;
    cli::stdin::add_to_linker::<S, WasiCli>(l, S::cli)?;
    cli::stdout::add_to_linker::<S, WasiCli>(l, S::cli)?;
    cli::stderr::add_to_linker::<S, WasiCli>(l, S::cli)?;
    cli::terminal_input::add_to_linker::<S, WasiCli>(l, S::cli)?;
    cli::terminal_output::add_to_linker::<S, WasiCli>(l, S::cli)?;
    cli::terminal_stdin::add_to_linker::<S, WasiCli>(l, S::cli)?;
    cli::terminal_stdout::add_to_linker::<S, WasiCli>(l, S::cli)?;
    cli::terminal_stderr::add_to_linker::<S, WasiCli>(l, S::cli)?;
    // Without directories that are open from the start, nothing can be opened.
    filesystem::preopens::add_to_linker::<S, WasiFilesystem>(l, S::filesystem)?;
    file_types::add_to_linker::<S, WasiFilesystem>(l, S::filesystem)?;
    wasmtime_wasi::p2::bindings::io::error::add_to_linker::<S, HasTable>(l, |state| {
        &mut state.wasi.table
    })?;
    poll::add_to_linker::<S, HasIo>(l, |state| Io::new(&mut state.wasi))?;
    streams::add_to_linker::<S, HasIo>(l, |state| Io::new(&mut state.wasi))?;
    Ok(())
}

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

struct HasIo;

impl HasData for HasIo {
    type Data<'a> = Io<'a>;
}

struct HasClock;

impl HasData for HasClock {
    type Data<'a> = Clock<'a>;
}

// === Time ===

/// The monotonic clock, which starts with the call.
struct Clock<'a>(&'a mut Wasi);

impl Clock<'_> {
    fn subscribe_until(
        &mut self,
        instant: Option<Instant>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let until = instant.map_or(self.0.until, |instant| instant.min(self.0.until));
        let nap = self.0.table.push(Nap { until })?;
        subscribe(&mut self.0.table, nap)
    }
}

impl monotonic_clock::Host for Clock<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        match &mut self.0.fixed {
            Some((_, steps)) => Ok(steps.now()),
            None => Ok(u64::try_from(self.0.started.elapsed().as_nanos())?),
        }
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let until = match &mut self.0.fixed {
            Some((_, steps)) => Instant::now().checked_add(steps.leap(when)),
            None => self.0.started.checked_add(Duration::from_nanos(when)),
        };
        self.subscribe_until(until)
    }

    fn subscribe_duration(&mut self, length: u64) -> wasmtime::Result<Resource<DynPollable>> {
        if let Some((_, steps)) = &mut self.0.fixed {
            steps.leap(steps.after(length));
        }
        self.subscribe_until(Instant::now().checked_add(Duration::from_nanos(length)))
    }
}

/// A point in time that the plugin waits for. The wait blocks this thread: the call is all that
/// it does.
struct Nap {
    until: Instant,
}

#[async_trait]
impl Pollable for Nap {
    async fn ready(&mut self) {
        thread::sleep(self.until.saturating_duration_since(Instant::now()));
    }
}

// === Standard output and error ===

impl Capture {
    /// What was written, as text.
    pub(super) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = CAPTURE_LIMIT.saturating_sub(kept.len());
        kept.extend(bytes.iter().take(room));
    }
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Only WASI 0.3 asks for this one, which is not linked.
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::empty())
    }
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.keep(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    /// Always accepts: a program that cannot write to its standard error may well abort.
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CAPTURE_LIMIT)
    }
}

#[async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}
