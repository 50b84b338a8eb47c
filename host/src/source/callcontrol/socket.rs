//! The event socket: opens it, and tells a peer that is silent from one that is gone.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::error::SourceError;
use super::http::{CONNECT, Http};
use super::token::Token;

/// The official sample pings this often.
pub(super) const PING_EVERY: Duration = Duration::from_secs(5);

/// A peer from which nothing came since so many pings is gone: after 15 seconds. Pings are counted
/// rather than seconds, so that a pause of this process is not taken for silence of the other.
const MOST_UNANSWERED: u32 = 3;

/// TLS and the upgrade, or a ping: each must be done in this time.
const STEP: Duration = Duration::from_secs(5);

/// Events are below one kilobyte.
const MESSAGE_LIMIT: usize = 4 << 20;

/// What a socket runs over: TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open event socket.
pub(super) struct Socket {
    stream: WebSocketStream<Box<dyn Stream>>,
    ping: Interval,
    /// Pings since something last came.
    unanswered: u32,
}

impl Socket {
    /// Connects, with the token in the header, which is where the server looks for it.
    pub(super) async fn open(
        http: &Http,
        token: &Token,
        ping_every: Duration,
    ) -> Result<Self, SourceError> {
        let stream = connect(http).await?;
        let mut url = http.url("/callcontrol/ws");
        // Both are special schemes, so this cannot fail; if it did, the request would.
        let _ = url.set_scheme(if http.in_clear() { "ws" } else { "wss" });
        let mut request =
            url.as_str().into_client_request().map_err(|error| upgrade_error(&error))?;
        request.headers_mut().insert(AUTHORIZATION, token.header.clone());
        let config = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT));
        let (stream, _) = timeout(STEP, client_async_with_config(request, stream, Some(config)))
            .await
            .map_err(|_| SourceError::TimedOut("opening the event socket"))?
            .map_err(|error| upgrade_error(&error))?;
        let mut ping = interval(ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { stream, ping, unanswered: 0 })
    }

    /// The next text frame. Pings meanwhile, and fails once the peer is gone. May be dropped and
    /// called again at any time: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<String, SourceError> {
        loop {
            tokio::select! {
                // What has come must be seen before the peer is called silent.
                biased;
                message = self.stream.next() => {
                    self.unanswered = 0;
                    match message {
                        Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                        Some(Ok(Message::Close(frame))) => return Err(closed(frame.as_ref())),
                        // Tungstenite answers pings itself. Binary frames are not documented.
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Err(SourceError::Broken(error.to_string())),
                        None => return Err(closed(None)),
                    }
                }
                _ = self.ping.tick() => self.ping().await?,
            }
        }
    }

    async fn ping(&mut self) -> Result<(), SourceError> {
        if self.unanswered >= MOST_UNANSWERED {
            return Err(SourceError::TimedOut("being pinged on the event socket"));
        }
        self.unanswered += 1;
        timeout(STEP, self.stream.send(Message::Ping(tungstenite::Bytes::new())))
            .await
            .map_err(|_| SourceError::TimedOut("being pinged on the event socket"))?
            .map_err(|error| SourceError::Broken(error.to_string()))
    }
}

async fn connect(http: &Http) -> Result<Box<dyn Stream>, SourceError> {
    let unreachable = |error: &dyn std::fmt::Display| SourceError::Unreachable(error.to_string());
    let (host, port) = http.address().map_err(|error| unreachable(&error))?;
    let tcp = timeout(CONNECT, TcpStream::connect((host.as_str(), port)))
        .await
        .map_err(|_| SourceError::TimedOut("connecting"))?
        .map_err(|error| unreachable(&error))?;
    tcp.set_nodelay(true).map_err(|error| unreachable(&error))?;
    if http.in_clear() {
        return Ok(Box::new(tcp));
    }
    let name = ServerName::try_from(host).map_err(|error| SourceError::Tls(error.to_string()))?;
    let tls = timeout(STEP, TlsConnector::from(http.tls()).connect(name, tcp))
        .await
        .map_err(|_| SourceError::TimedOut("starting TLS"))?
        .map_err(|error| SourceError::from_io(&error))?;
    Ok(Box::new(tls))
}

fn upgrade_error(error: &tungstenite::Error) -> SourceError {
    match error {
        tungstenite::Error::Http(reply) if reply.status() == StatusCode::UNAUTHORIZED => {
            SourceError::TokenRejected
        }
        tungstenite::Error::Http(reply)
            if matches!(reply.status(), StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) =>
        {
            SourceError::NoAccess
        }
        tungstenite::Error::Http(reply) => SourceError::Status(reply.status()),
        other => SourceError::Broken(other.to_string()),
    }
}

fn closed(frame: Option<&CloseFrame>) -> SourceError {
    SourceError::Broken(match frame {
        Some(frame) => format!("the PBX closed the event socket with code {}", frame.code),
        None => "the PBX closed the event socket".to_owned(),
    })
}
