//! The socket of notices: its frames, and the task that serves one client.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::server::actions::act;
use crate::server::read::read;
use crate::server::settings::Casing;
use crate::server::state::Shared;

/// The event type of an answer to a request sent over the socket.
const RESPONSE: u8 = 4;

/// An open socket, as those see it who send on it.
#[derive(Debug)]
pub(crate) struct Socket {
    /// To the task that serves it. Unbounded: what goes in is what one test's plays say.
    out: mpsc::UnboundedSender<Out>,
    /// The number of the last frame; per connection, as observed.
    sequence: u64,
    /// Frames that were given to the task.
    queued: u64,
    /// Frames that the task has written.
    written: u64,
    /// Pings that were sent and not answered yet. A pong tells that the client has read all
    /// before it.
    unanswered_pings: u64,
}

/// A frame as it is observed.
#[derive(Serialize)]
struct SnakeFrame<'a> {
    sequence: u64,
    event: SnakeEvent<'a>,
}

/// Its event.
#[derive(Serialize)]
struct SnakeEvent<'a> {
    event_type: u8,
    entity: &'a str,
    attached_data: Option<Value>,
}

/// A frame as the guide prints it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PascalFrame<'a> {
    sequence: u64,
    event: PascalEvent<'a>,
}

/// Its event.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PascalEvent<'a> {
    event_type: u8,
    entity: &'a str,
    attached_data: Option<Value>,
}

/// What the task of a socket is told.
#[derive(Clone, Debug)]
pub(crate) enum Out {
    /// Send this text.
    Frame(String),
    /// Ask whether the client is there.
    Ping,
    /// Say goodbye with this code.
    Close(u16),
    /// Drop the connection without a word.
    Drop,
    /// Neither read nor write any more, and do not close: the peer is to find out by itself.
    Deafen,
}

impl Socket {
    /// A socket and the end of the line that its task reads.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Out>) {
        let (out, line) = mpsc::unbounded_channel();
        (Self { out, sequence: 0, queued: 0, written: 0, unanswered_pings: 0 }, line)
    }

    /// Sends an event.
    pub(crate) fn tell(&mut self, casing: Casing, kind: u8, entity: &str, data: Option<Value>) {
        self.sequence += 1;
        let frame = match casing {
            Casing::Snake => serde_json::to_string(&SnakeFrame {
                sequence: self.sequence,
                event: SnakeEvent { event_type: kind, entity, attached_data: data },
            }),
            Casing::Pascal => serde_json::to_string(&PascalFrame {
                sequence: self.sequence,
                event: PascalEvent { event_type: kind, entity, attached_data: data },
            }),
        };
        // JSON of texts and numbers cannot fail.
        self.send(Out::Frame(frame.unwrap_or_default()));
    }

    /// Gives the task an order. A task that is gone needs none.
    pub(crate) fn send(&mut self, out: Out) {
        let is_frame = matches!(out, Out::Frame(_));
        if self.out.send(out).is_ok() && is_frame {
            self.queued += 1;
        }
    }

    /// Asks whether the client has read everything up to here.
    pub(crate) fn ping(&mut self) {
        self.unanswered_pings += 1;
        self.send(Out::Ping);
    }

    /// Whether all frames were written and all pings answered.
    pub(crate) fn is_drained(&self) -> bool {
        self.written == self.queued && self.unanswered_pings == 0
    }
}

/// Serves the socket `id` until the client, the state or the token ends it.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    id: u64,
    upgrade: OnUpgrade,
    mut line: mpsc::UnboundedReceiver<Out>,
    token_ends: Option<Instant>,
) {
    match upgrade.await {
        Ok(upgraded) => {
            let io = TokioIo::new(upgraded);
            let mut stream = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
            converse(&shared, id, &mut stream, &mut line, token_ends).await;
        }
        Err(error) => tracing::debug!(%error, "The upgrade to a WebSocket broke."),
    }
    shared.change(|state| state.sockets.remove(&id));
}

/// Writes what the line says and reads what the client says.
async fn converse(
    shared: &Arc<Shared>,
    id: u64,
    stream: &mut WebSocketStream<TokioIo<Upgraded>>,
    line: &mut mpsc::UnboundedReceiver<Out>,
    token_ends: Option<Instant>,
) {
    let token_expired = async {
        match token_ends {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(token_expired);
    loop {
        let order = tokio::select! {
            order = line.recv() => order.unwrap_or(Out::Drop),
            () = &mut token_expired => Out::Close(1008),
            message = stream.next() => match message {
                Some(Ok(message)) => {
                    hear(shared, id, message).await;
                    continue;
                }
                Some(Err(_)) | None => return,
            },
        };
        match order {
            Out::Frame(text) => {
                if stream.send(Message::text(text)).await.is_err() {
                    return;
                }
                shared.change(|state| {
                    state.counts.frames += 1;
                    if let Some(socket) = state.sockets.get_mut(&id) {
                        socket.written += 1;
                    }
                });
            }
            Out::Ping => {
                if stream.send(Message::Ping(Bytes::new())).await.is_err() {
                    return;
                }
            }
            Out::Close(code) => {
                let frame = CloseFrame { code: code.into(), reason: "".into() };
                // A client that is gone already needs no goodbye.
                drop(stream.close(Some(frame)).await);
                return;
            }
            Out::Drop => return,
            Out::Deafen => {
                // Only the end of the line, the end of the simulation, is heard.
                while line.recv().await.is_some() {}
                return;
            }
        }
    }
}

/// Takes a message of the client. Pings are answered below; a text is a request.
async fn hear(shared: &Arc<Shared>, id: u64, message: Message) {
    match message {
        Message::Ping(_) => shared.change(|state| state.counts.pings += 1),
        Message::Pong(_) => shared.change(|state| {
            if let Some(socket) = state.sockets.get_mut(&id) {
                socket.unanswered_pings = socket.unanswered_pings.saturating_sub(1);
            }
        }),
        Message::Text(text) => answer(shared, id, &text).await,
        _ => {}
    }
}

/// Answers a request for a read with an event of type 4. `RequestData`, the body of an action,
/// is passed on like an HTTP body.
async fn answer(shared: &Arc<Shared>, id: u64, text: &str) {
    let Ok(request) = serde_json::from_str::<Value>(text) else { return };
    let path = request.get("Path").and_then(Value::as_str).unwrap_or_default().to_owned();
    let data = request.get("RequestData").filter(|data| !data.is_null());
    let reply = match data {
        None => read(shared, &path).await,
        Some(data) => act(shared, &path, data),
    };
    let attached = json!({
        "RequestID": request.get("RequestID"),
        "Path": path,
        "StatusCode": reply.status,
        "Response": serde_json::from_str::<Value>(&reply.body).ok(),
    });
    shared.change(|state| {
        if let Some(socket) = state.sockets.get_mut(&id) {
            socket.tell(shared.settings.casing, RESPONSE, &path, Some(attached));
        }
    });
}
