//! `wasi:io` without a runtime for asynchronous tasks.
//!
//! `wasmtime-wasi` implements these interfaces as futures, and its synchronous variant runs each
//! future on a tokio runtime. Here every future is ready when it is first asked (see
//! [`super::wasi`]), so one look is enough.

use std::future::Future;
use std::time::Instant;

use futures_util::FutureExt;
use wasmtime::Trap;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::io::{poll as futures_poll, streams as futures};
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult};

use super::wasi::Wasi;

/// The streams and pollables of one call.
pub(super) struct Io<'a> {
    table: &'a mut ResourceTable,
    /// When the call's time is up.
    until: Instant,
}

impl<'a> Io<'a> {
    /// Those of this call.
    pub(super) fn new(wasi: &'a mut Wasi) -> Self {
        Self { table: &mut wasi.table, until: wasi.until }
    }

    /// After a wait: ends the call if its time is up, as the engine does with a plugin that runs.
    fn go_on(&self) -> wasmtime::Result<()> {
        if Instant::now() < self.until {
            return Ok(());
        }
        Err(Trap::Interrupt.into())
    }
}

/// The value of a future that does not have to wait for anything.
fn now<T>(future: impl Future<Output = T>) -> wasmtime::Result<T> {
    future
        .now_or_never()
        .ok_or_else(|| wasmtime::format_err!("the plugin waits for something that never comes"))
}

impl poll::Host for Io<'_> {
    fn poll(&mut self, list: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let ready = now(futures_poll::Host::poll(self.table, list))??;
        self.go_on().map(|()| ready)
    }
}

impl poll::HostPollable for Io<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let ready = now(futures_poll::HostPollable::ready(self.table, pollable))??;
        self.go_on().map(|()| ready)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        now(futures_poll::HostPollable::block(self.table, pollable))??;
        self.go_on()
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        futures_poll::HostPollable::drop(self.table, pollable)
    }
}

impl streams::Host for Io<'_> {
    fn convert_stream_error(
        &mut self,
        error: StreamError,
    ) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.table, error)
    }
}

impl streams::HostOutputStream for Io<'_> {
    fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        now(futures::HostOutputStream::drop(self.table, stream))?
    }

    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        futures::HostOutputStream::check_write(self.table, stream)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        futures::HostOutputStream::write(self.table, stream, bytes)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        wait(futures::HostOutputStream::blocking_write_and_flush(self.table, stream, bytes))
    }

    fn subscribe(
        &mut self,
        stream: Resource<DynOutputStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        futures::HostOutputStream::subscribe(self.table, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, len: u64) -> StreamResult<()> {
        futures::HostOutputStream::write_zeroes(self.table, stream, len)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        len: u64,
    ) -> StreamResult<()> {
        wait(futures::HostOutputStream::blocking_write_zeroes_and_flush(self.table, stream, len))
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        futures::HostOutputStream::flush(self.table, stream)
    }

    fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        wait(futures::HostOutputStream::blocking_flush(self.table, stream))
    }

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        futures::HostOutputStream::splice(self.table, to, from, len)
    }

    fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        wait(futures::HostOutputStream::blocking_splice(self.table, to, from, len))
    }
}

impl streams::HostInputStream for Io<'_> {
    fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        now(futures::HostInputStream::drop(self.table, stream))?
    }

    fn read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        futures::HostInputStream::read(self.table, stream, len)
    }

    fn blocking_read(
        &mut self,
        stream: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<Vec<u8>> {
        wait(futures::HostInputStream::blocking_read(self.table, stream, len))
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        futures::HostInputStream::skip(self.table, stream, len)
    }

    fn blocking_skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        wait(futures::HostInputStream::blocking_skip(self.table, stream, len))
    }

    fn subscribe(
        &mut self,
        stream: Resource<DynInputStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        futures::HostInputStream::subscribe(self.table, stream)
    }
}

/// [`now`] for functions that fail in the way of streams.
fn wait<T>(future: impl Future<Output = StreamResult<T>>) -> StreamResult<T> {
    now(future).map_err(StreamError::Trap)?
}
