//! From a request to the console to its answer.

use std::net::IpAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use super::Health;
use crate::metrics::Metrics;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What all answers are made from.
pub(super) struct Console {
    pub(super) health: Arc<dyn Health>,
    pub(super) metrics: Metrics,
}

/// The body of `/readyz`.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// What stands in the way, a sentence each.
    missing: Vec<String>,
    /// What does not work as it should all the same.
    degraded: Vec<String>,
}

impl Console {
    /// The answer to a request that came in at the address `local`.
    pub(super) fn answer<B>(&self, request: &Request<B>, local: IpAddr) -> Response<Full<Bytes>> {
        if !names_this_machine(request, local) {
            let hint = "The console answers only to localhost or the address that it listens on.\n";
            return reply(StatusCode::FORBIDDEN, TEXT, hint.to_owned());
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let hint = "The console can only be read: use GET or HEAD.\n";
            let mut refusal = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, hint.to_owned());
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        match request.uri().path() {
            "/healthz" => reply(StatusCode::OK, TEXT, "alive\n".to_owned()),
            "/readyz" => ready(self.health.missing(), self.health.degraded()),
            "/metrics" => match self.metrics.render() {
                Ok(text) => reply(StatusCode::OK, OPEN_METRICS, text),
                Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
            },
            _ => {
                let hint = "There is /healthz, /readyz and /metrics.\n";
                reply(StatusCode::NOT_FOUND, TEXT, hint.to_owned())
            }
        }
    }
}

/// Whether the request was made to localhost, a loopback address or the one it came in at.
fn names_this_machine<B>(request: &Request<B>, local: IpAddr) -> bool {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = named.and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.to_canonical() == local.to_canonical(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// 200 or 503, and what is missing. What is only degraded serves, so it is 200.
fn ready(missing: Vec<String>, degraded: Vec<String>) -> Response<Full<Bytes>> {
    let body = Readiness { ready: missing.is_empty(), missing, degraded };
    let status = if body.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&body) {
        Ok(json) => reply(status, JSON, json + "\n"),
        Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
    }
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
