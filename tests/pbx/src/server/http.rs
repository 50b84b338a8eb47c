//! Requests: who may ask, what they get, and what goes wrong by intention.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::server::actions::act;
use crate::server::counts::Logged;
use crate::server::read::read;
use crate::server::socket::{self, Out, Socket};
use crate::server::state::Shared;
use crate::server::token::credentials_fit;
use crate::server::xapi;

/// No body of this API is longer.
const LONGEST_BODY: usize = 64 * 1024;

/// An answer before it is one of HTTP or of the socket.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// The body, JSON unless it is garbage by intention.
    pub(crate) body: String,
}

impl Reply {
    /// An answer in JSON.
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        // What is serialised here has no maps with odd keys, which alone could fail.
        Self { status, body: serde_json::to_string(body).unwrap_or_default() }
    }

    /// An error as the API words it.
    pub(crate) fn error(status: u16, error: &str, description: &str) -> Self {
        Self::json(status, &json!({ "error": error, "error_description": description }))
    }

    /// A DN that is not listed for the app.
    pub(crate) fn forbidden() -> Self {
        Self::error(403, "forbidden", "the DN is not visible to this app")
    }
}

/// Answers one request, however the switches stand, and logs it.
pub(crate) async fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    shared.until(|state| !state.switches.silent).await;
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = answer(&shared, request).await;
    let status = response.status().as_u16();
    shared.change(|state| state.log(Logged { method: method.to_string(), path, status }));
    Ok(response)
}

/// Finds out what is wanted.
async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if shared.look(|state| state.switches.down) {
        return respond(Reply { status: 502, body: "<html>502 Bad Gateway</html>".to_owned() });
    }
    let path = request.uri().path().to_owned();
    if path == "/connect/token" {
        return respond(log_in(shared, request).await);
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (ends, forbidden) =
        shared.look(|state| (state.tokens.check(header), state.switches.forbidden));
    let Some(token_ends) = ends else {
        return respond(Reply::error(401, "unauthorized", "the token is missing or not valid"));
    };
    if forbidden {
        return respond(Reply::error(403, "forbidden", "no licence for the Call Control API"));
    }
    if path == "/callcontrol/ws" {
        let ends = (!shared.settings.sockets_outlive_tokens).then_some(token_ends);
        return upgrade(shared, request, ends);
    }
    if let Some(set) = path.strip_prefix("/xapi/v1/") {
        return respond(xapi::read(shared, set, request.uri().query().unwrap_or_default()));
    }
    if request.method() == Method::GET {
        return respond(read(shared, &path).await);
    }
    let body = body_of(request).await;
    // Actions without parameters are documented without a body.
    respond(act(shared, &path, &serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// Makes a response of HTTP.
fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The body of a request; empty if it is too long or broken.
async fn body_of(request: Request<Incoming>) -> Bytes {
    let body = Limited::new(request.into_body(), LONGEST_BODY).collect().await;
    body.map(http_body_util::Collected::to_bytes).unwrap_or_default()
}

/// Gives a token for the right id and secret. The token before it is invalid at once, and the
/// sockets that were opened with it are closed (reported by clients).
async fn log_in(shared: &Arc<Shared>, request: Request<Incoming>) -> Reply {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let is_post = request.method() == Method::POST;
    let body = body_of(request).await;
    let fits = is_post && credentials_fit(&shared.settings, &content_type, &body);
    shared.change(|state| {
        if !fits || state.switches.refuse_logins {
            state.counts.logins_refused += 1;
            return Reply::error(401, "unauthorized", "the client id or secret is wrong");
        }
        if !shared.settings.sockets_outlive_tokens {
            state.end_sockets(&Out::Close(1008));
        }
        Reply::json(200, &state.tokens.issue(&shared.settings))
    })
}

/// Makes a WebSocket of the connection.
fn upgrade(
    shared: &Arc<Shared>,
    mut request: Request<Incoming>,
    token_ends: Option<tokio::time::Instant>,
) -> Response<Full<Bytes>> {
    if let Some(status) = shared.look(|state| state.switches.refuse_sockets) {
        shared.change(|state| state.counts.sockets_refused += 1);
        return respond(Reply::error(status, "refused", "no sockets now"));
    }
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return respond(Reply::error(400, "bad_request", "a WebSocket upgrade was expected"));
    };
    let accept = derive_accept_key(key.as_bytes());
    let on_upgrade = hyper::upgrade::on(&mut request);
    let (opened, line) = Socket::new();
    let id = shared.change(|state| {
        let id = state.next_socket;
        state.next_socket += 1;
        state.counts.sockets_opened += 1;
        state.lists_since_socket = 0;
        state.sockets.insert(id, opened);
        id
    });
    tokio::spawn(socket::serve(Arc::clone(shared), id, on_upgrade, line, token_ends));
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers: [(HeaderName, String); 3] = [
        (CONNECTION, "Upgrade".to_owned()),
        (UPGRADE, "websocket".to_owned()),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ];
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
