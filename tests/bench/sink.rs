//! A receiver that costs next to nothing: counts requests without a body, and answers 200. It has
//! a thread of its own, so that what it costs can be told from what it measures.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::cost;

/// The receiver.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    /// The id of its thread.
    thread: String,
    /// Dropping it ends the thread.
    _going: oneshot::Sender<()>,
}

#[derive(Default)]
struct Shared {
    count: AtomicU64,
    /// Whether to keep the first line of each request, with the time of its first byte.
    keeps: AtomicBool,
    kept: Mutex<Vec<(String, Instant)>>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        let (going, gone) = oneshot::channel();
        let (tell, told_where) = oneshot::channel();
        let thread = std::thread::Builder::new().name("receiver".to_owned());
        let thread = thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let address = listener.local_addr().expect("it has an address");
                let where_it_is = (address, cost::this_thread());
                tell.send(where_it_is).expect("somebody waits");
                let listen = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(serve(stream, Arc::clone(&told)));
                    }
                };
                tokio::select! { _ = gone => {}, () = listen => {} }
            });
        });
        thread.expect("a thread starts");
        let (address, thread) = told_where.await.expect("it listens");
        Self { address, shared, thread, _going: going }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    pub(crate) fn keep(&self) {
        self.shared.keeps.store(true, Ordering::Relaxed);
    }

    pub(crate) fn kept(&self) -> Vec<(String, Instant)> {
        std::mem::take(&mut self.shared.kept.lock().expect("nobody panics"))
    }

    /// The processor time that it has used.
    pub(crate) fn processor_time(&self) -> Duration {
        cost::of_thread(&self.thread)
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    const END: &[u8] = b"\r\n\r\n";
    stream.set_nodelay(true).expect("it is a TCP connection");
    let mut buffer = Vec::with_capacity(16 * 1024);
    while let Ok(1..) = stream.read_buf(&mut buffer).await {
        let at = Instant::now();
        while let Some(end) = buffer.windows(END.len()).position(|window| window == END) {
            if shared.keeps.load(Ordering::Relaxed) {
                let line = buffer.split(|byte| *byte == b'\r').next().unwrap_or_default();
                let line = String::from_utf8_lossy(line).into_owned();
                shared.kept.lock().expect("nobody panics").push((line, at));
            }
            buffer.drain(..end + END.len());
            shared.count.fetch_add(1, Ordering::Relaxed);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}
