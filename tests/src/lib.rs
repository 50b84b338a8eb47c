//! The harness of the end-to-end promises: the real binary, between a simulated 3CX and a
//! receiver, all on loopback.
//!
//! A test lets people act at the exchange and looks at what arrived at the receiver. Nothing in
//! between is replaced, and nothing is waited for by the clock: every wait is for a condition,
//! with a deadline.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod component;
mod crowd;
mod dice;
mod handmade;
mod ini;
mod ledger;
mod oracle;
mod portal;
mod process;
mod proxy;
mod recorder;
pub mod tls;

pub use component::component;
pub use crowd::{Bustle, Crowd};
pub use dice::Dice;
pub use handmade::Handmade;
pub use ini::Ini;
pub use ledger::{Account, Entry, Ledger};
pub use oracle::{Answer, Arrival, Oracle};
pub use portal::{Finish, Portal, Registered, Trouble};
pub use process::{Callhook, caches, eventually, tools};
pub use proxy::{Proxy, Weather};
pub use recorder::Recorder;

use std::time::Duration;

use callhook_receiver::{Receiver, Webhook};

/// How long a test waits for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until as many webhooks arrived and gives their targets in order of arrival.
///
/// # Panics
///
/// If they do not arrive.
pub async fn targets(receiver: &Receiver, count: usize) -> Vec<String> {
    let enough = |arrived: &Vec<Webhook>| arrived.len() >= count;
    let arrived = receiver.wait_until(PATIENCE, enough).await;
    arrived.expect("all webhooks arrive").into_iter().map(|webhook| webhook.target).collect()
}

/// What a webhook says, without its id's date: `ringing 106 ext 755-0`.
pub fn gist(webhook: &Webhook) -> String {
    let url = url::Url::parse("http://receiver/").and_then(|base| base.join(&webhook.target));
    let Ok(url) = url else { return webhook.target.clone() };
    let value = |wanted: &str| {
        let found = url.query_pairs().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let id = value("id").split_once('_').map(|(_, id)| id.to_owned()).unwrap_or_default();
    let particular = match value("event").as_str() {
        "ringing" => value("usertype"),
        "hangupincoming" | "hangupoutgoing" | "hangupinternal" => value("trtype"),
        _ if value("transfer") == "true" => format!("{} moved", value("finishtype")),
        _ => value("finishtype"),
    };
    format!("{} {} {particular} {id}", value("event"), value("user"))
}

/// The gists of what arrived, each request id once: a repeated delivery carries the same id.
pub fn gists(arrived: &[Webhook]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let first = |webhook: &&Webhook| seen.insert(webhook.header("webhook-id").to_owned());
    let delivered = arrived.iter().filter(|webhook| (200..300).contains(&webhook.answer));
    delivered.filter(first).map(gist).collect()
}

/// Waits until these gists have been delivered, and holds that nothing else has.
///
/// # Panics
///
/// If something else arrives, or not all of it.
pub async fn expect(receiver: &Receiver, expected: &[&str]) {
    let enough = |arrived: &Vec<Webhook>| gists(arrived).len() >= expected.len();
    let arrived = receiver.wait_until(PATIENCE, enough).await;
    let arrived = arrived.unwrap_or_else(|error| panic!("{error:#}\nexpected {expected:#?}"));
    assert_eq!(gists(&arrived), expected);
}
