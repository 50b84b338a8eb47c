//! A network between two parties that fails as it is told, while everything runs.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::oracle::reset;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Carries everything.
    Fair,
    /// Carries everything, this much later.
    Late(Duration),
    /// Carries a few bytes at a time.
    Sliced(usize),
    /// Keeps connections open and carries nothing.
    Stalled,
    /// Takes new connections and carries nothing; those that are open end with a reset.
    BlackHole,
    /// Resets what is open and what is opened.
    Resets,
    /// Carries what the client says, and ends the server's side before it has said anything.
    HalfClosed,
}

/// The network, as an address in front of another.
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// A network in front of `target`, in fair weather.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub async fn start(target: SocketAddr) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(any).await.expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let weather = watch::Sender::new(Weather::Fair);
        let listening = tokio::spawn(accept(listener, target, weather.subscribe()));
        Self { address, weather, listening }
    }

    /// `http://address/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on, for connections that are open and for new ones.
    pub fn turn(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, weather: watch::Receiver<Weather>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        connections.spawn(carry(client, target, weather.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Carries one connection to its end.
async fn carry(mut client: TcpStream, target: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let began = *weather.borrow_and_update();
    if began == Weather::Resets {
        reset(&client);
        return;
    }
    if began == Weather::BlackHole {
        // Until the weather changes; what was said into the hole is lost.
        let _ = weather.changed().await;
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let breaks = {
        let mut ends = weather.clone();
        async move {
            let broken = |now: &Weather| matches!(now, Weather::Resets | Weather::BlackHole);
            ends.wait_for(broken).await.is_ok()
        }
    };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let there = pump(&mut from_client, &mut to_server, weather.clone(), false);
    let back = pump(&mut from_server, &mut to_client, weather, true);
    let broken = tokio::select! {
        _ = async { tokio::join!(there, back) } => false,
        broken = breaks => broken,
    };
    if broken {
        reset(&client);
        reset(&server);
    }
}

/// Carries one direction to its end, which is then the end of the other side's too.
async fn pump(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
    from_server: bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        // Nothing passes while it is stalled; the weather's end is the test's end.
        if weather.wait_for(|now| *now != Weather::Stalled).await.is_err() {
            break;
        }
        let now = *weather.borrow();
        let slice = match now {
            Weather::Sliced(bytes) => bytes.max(1),
            _ => buffer.len(),
        };
        if let Weather::Late(wait) = now {
            tokio::time::sleep(wait).await;
        }
        if now == Weather::HalfClosed && from_server {
            break;
        }
        let mut broken = false;
        for part in buffer.get(..read).unwrap_or_default().chunks(slice) {
            broken = to.write_all(part).await.is_err();
            if broken {
                break;
            }
            tokio::task::yield_now().await;
        }
        if broken {
            break;
        }
    }
    // Gone already if it fails.
    let _ = to.shutdown().await;
}
