//! A client of the Call Control API with as little as it takes, for tests of the server.

use std::time::Duration;

use anyhow::{Result, bail};
use callhook_pbx::Pbx;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    base: String,
    http: HttpClient<HttpConnector, Full<Bytes>>,
    pub(crate) token: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Client {
    pub(crate) fn new(pbx: &Pbx) -> Self {
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        Self { base: pbx.url().to_owned(), http, token: String::new() }
    }

    /// A client with a token.
    pub(crate) async fn logged_in(pbx: &Pbx) -> Self {
        let mut client = Self::new(pbx);
        client.log_in(pbx).await;
        client
    }

    /// Takes a new token.
    pub(crate) async fn log_in(&mut self, pbx: &Pbx) -> Answer {
        let form = format!(
            "client_id={}&client_secret={}&grant_type=client_credentials",
            pbx.client_id(),
            pbx.client_secret()
        );
        let answer =
            self.post_as("/connect/token", "application/x-www-form-urlencoded", form).await;
        if answer.status == 200 {
            self.token = answer.json()["access_token"].as_str().expect("a token").to_owned();
        }
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, "application/json", String::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(path, "application/json", body.to_string()).await
    }

    pub(crate) async fn post_as(&self, path: &str, content_type: &str, body: String) -> Answer {
        self.request(Method::POST, path, content_type, body).await
    }

    async fn request(&self, method: Method, path: &str, kind: &str, body: String) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(CONTENT_TYPE, kind)
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let sent = tokio::time::timeout(PATIENCE, self.http.request(request));
        let response = sent.await.expect("an answer in time").expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        Answer { status, text: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Opens a socket; the status if it is refused.
    pub(crate) async fn socket(&self) -> Result<Socket, u16> {
        self.socket_at("/callcontrol/ws", Some(&self.token)).await
    }

    pub(crate) async fn socket_at(&self, path: &str, token: Option<&str>) -> Result<Socket, u16> {
        let url = format!("{}{path}", self.base.replace("http://", "ws://"));
        let mut request = url.into_client_request().expect("a request");
        if let Some(token) = token {
            let bearer = format!("Bearer {token}").parse().expect("a header");
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((stream, _)) => Ok(Socket(stream)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no socket and no answer: {error}"),
        }
    }
}

pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// The next text; an error with the close code, 0 for none, when the socket ends.
    pub(crate) async fn text(&mut self) -> Result<String, u16> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await;
            match next.expect("a frame in time") {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or(0, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(0),
            }
        }
    }

    /// The next frame as JSON.
    pub(crate) async fn frame(&mut self) -> Value {
        let text = self.text().await.expect("the socket is open");
        serde_json::from_str(&text).expect("a frame is JSON")
    }

    /// The next event as `type entity`.
    pub(crate) async fn event(&mut self) -> String {
        let frame = self.frame().await;
        let event = &frame["event"];
        format!("{} {}", event["event_type"], event["entity"].as_str().unwrap_or_default())
    }

    pub(crate) async fn say(&mut self, text: String) {
        self.0.send(Message::text(text)).await.expect("the socket is open");
    }

    /// Pings, and waits for the pong.
    pub(crate) async fn ping(&mut self) -> Result<()> {
        self.0.send(Message::Ping(Bytes::from_static(b"there?"))).await?;
        match tokio::time::timeout(PATIENCE, self.0.next()).await? {
            Some(Ok(Message::Pong(payload))) if payload.as_ref() == b"there?" => Ok(()),
            other => bail!("expected a pong, got {other:?}"),
        }
    }

    /// Answers pings while `other` takes its time; an error if anything else comes.
    pub(crate) async fn stays_mute_while<T>(
        &mut self,
        other: impl Future<Output = T>,
    ) -> Result<T> {
        let listen = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Ping(_))) => {}
                    heard => return heard,
                }
            }
        };
        tokio::select! {
            biased;
            heard = listen => bail!("heard {heard:?}"),
            done = other => Ok(done),
        }
    }
}
