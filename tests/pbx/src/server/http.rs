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
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::exchange::Exchange;
use crate::server::actions;
use crate::server::counts::Logged;
use crate::server::faults::Looked;
use crate::server::socket::{self, Out, Socket};
use crate::server::state::{Shared, State};
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
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string() }
    }

    /// An error as the API words it.
    pub(crate) fn error(status: u16, error: &str, description: &str) -> Self {
        Self::json(status, &json!({ "error": error, "error_description": description }))
    }

    /// A DN that is not listed for the app.
    fn forbidden() -> Self {
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

/// The parts of a path, decoded.
fn parts(path: &str) -> Vec<String> {
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    path.trim_matches('/').split('/').map(decode).collect()
}

/// Reads DNs, devices, participants.
pub(crate) async fn read(shared: &Shared, path: &str) -> Reply {
    let parts = parts(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match *parts.as_slice() {
        ["callcontrol"] => list(shared, |state| Some(state.all_dns())),
        ["callcontrol", dn] => list(shared, |state| state.visible(dn).then(|| state.dn(dn))),
        ["callcontrol", dn, "devices"] => shared.look(|state| {
            let devices = || Reply::json(200, &state.devices(dn));
            if state.visible(dn) { devices() } else { Reply::forbidden() }
        }),
        ["callcontrol", dn, "devices", device] => shared.look(|state| {
            let devices = state.devices(dn);
            let all = devices.as_array().into_iter().flatten();
            let found =
                all.into_iter().find(|found| found.get("device_id") == Some(&json!(device)));
            match found {
                _ if !state.visible(dn) => Reply::forbidden(),
                Some(found) => Reply::json(200, found),
                None => Reply::error(404, "not_found", "no such device"),
            }
        }),
        ["callcontrol", dn, "participants"] => {
            list(shared, |state| state.visible(dn).then(|| state.participants(dn)))
        }
        ["callcontrol", dn, "participants", id] => read_participant(shared, dn, id).await,
        _ => Reply::error(404, "not_found", "no such resource"),
    }
}

/// Reads more than one participant.
fn list(shared: &Shared, find: impl FnOnce(&mut State) -> Option<Value>) -> Reply {
    shared.change(|state| {
        state.counts.lists += 1;
        if let Some(fault) = state.switches.lists.take() {
            return fault;
        }
        find(state).map_or_else(Reply::forbidden, |found| Reply::json(200, &found))
    })
}

/// Reads one participant, early or late.
async fn read_participant(shared: &Shared, dn: &str, id: &str) -> Reply {
    let gone = shared.settings.gone_status;
    let (early, delay) = shared.change(|state| {
        state.counts.reads_begun += 1;
        let looked = state.switches.held.or(state.switches.delay.map(|(_, looked)| looked));
        let early = (looked == Some(Looked::AtArrival)).then(|| state.read_one(dn, id, gone));
        (early, state.switches.delay.map(|(delay, _)| delay))
    });
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    shared.until(|state| state.switches.held.is_none()).await;
    shared.change(|state| {
        state.counts.reads_done += 1;
        match state.switches.reads.take() {
            Some(fault) => fault,
            None => early.unwrap_or_else(|| state.read_one(dn, id, gone)),
        }
    })
}

/// Does what a POST asks for.
pub(crate) fn act(shared: &Shared, path: &str, data: &Value) -> Reply {
    let parts = parts(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match *parts.as_slice() {
        ["callcontrol", dn, ..] if !shared.look(|state| state.visible(dn)) => Reply::forbidden(),
        ["callcontrol", dn, "makecall"] | ["callcontrol", dn, "devices", _, "makecall"] => {
            actions::make_call(shared, dn, data)
        }
        ["callcontrol", dn, "participants", id, action] => {
            actions::act(shared, dn, id, action, data)
        }
        _ => Reply::error(404, "not_found", "no such resource"),
    }
}

impl State {
    /// Whether the app sees this DN.
    fn visible(&self, dn: &str) -> bool {
        self.exchange.plan().visible(dn)
    }

    /// All DNs that the app sees.
    fn all_dns(&mut self) -> Value {
        let numbers: Vec<String> = self.exchange.plan().dns.keys().cloned().collect();
        let visible = numbers.iter().filter(|dn| self.exchange.plan().visible(dn));
        let visible: Vec<&String> = visible.collect();
        visible.into_iter().map(|dn| self.dn(dn)).collect()
    }

    /// A DN with everything it has.
    fn dn(&mut self, dn: &str) -> Value {
        json!({
            "dn": dn,
            "type": self.exchange.plan().kind(dn),
            "devices": self.devices(dn),
            "participants": self.participants(dn),
        })
    }

    /// The phones of a DN.
    fn devices(&self, dn: &str) -> Value {
        let found = self.exchange.plan().dns.get(dn);
        let devices = found.map(|found| found.devices.as_slice()).unwrap_or_default();
        let device = |id: &String| json!({ "dn": dn, "device_id": id, "user_agent": "Simulated" });
        devices.iter().map(device).collect()
    }

    /// The participants of a DN, which are read with this.
    fn participants(&mut self, dn: &str) -> Value {
        let found: Vec<_> = self.exchange.participants().filter(|leg| leg.dn == dn).collect();
        for leg in &found {
            self.unread.remove(&leg.id);
        }
        json!(found)
    }

    /// One participant, which is read with this.
    fn read_one(&mut self, dn: &str, id: &str, gone_status: u16) -> Reply {
        if !self.visible(dn) {
            return Reply::forbidden();
        }
        let found = find_participant(&self.exchange, dn, id);
        let Some(found) = found else {
            return Reply::error(gone_status, "not_found", "no such participant");
        };
        self.unread.remove(&found.id);
        Reply::json(200, &json!(found))
    }
}

/// The participant that a path names.
pub(crate) fn find_participant<'a>(
    exchange: &'a Exchange,
    dn: &str,
    id: &str,
) -> Option<&'a crate::exchange::Participant> {
    exchange.participant(id.parse().ok()?).filter(|found| found.dn == dn)
}
