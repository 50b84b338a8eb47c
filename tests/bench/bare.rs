//! What a bare hyper client sends to the same receiver, with as many connections as an endpoint
//! has by default: the ceiling that everything else is held against.

use std::time::{Duration, Instant};

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::cost;
use crate::sink::Sink;

const CONNECTIONS: usize = 32;
const TIME: Duration = Duration::from_secs(4);

/// What came of it.
pub(crate) struct Bare {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Processor time for each, in microseconds, without the receiver's.
    pub(crate) cost: f64,
}

pub(crate) async fn run() -> Bare {
    let sink = Sink::start().await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let url = format!(
        "{}?event=ringing&callerid=420774852629&user=106&usertype=ext&did=PragueDID&\
         id=211230100614_665-0",
        sink.url()
    );
    let url: hyper::Uri = url.parse().expect("it is a URL");
    let began = Instant::now();
    let used = cost::of_process().saturating_sub(sink.processor_time());
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (client, url) = (client.clone(), url.clone());
        tasks.push(tokio::spawn(async move {
            while began.elapsed() < TIME {
                client.get(url.clone()).await.expect("the sink answers");
            }
        }));
    }
    for task in tasks {
        task.await.expect("it has sent");
    }
    let used = cost::of_process().saturating_sub(sink.processor_time()).saturating_sub(used);
    let sent = sink.count() as f64;
    Bare { rate: sent / began.elapsed().as_secs_f64(), cost: used.as_micros() as f64 / sent }
}
