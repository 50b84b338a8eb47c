//! Any component that is named in the .ini does the mapping: here the example in Rust.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use callhook_pbx::Pbx;
use callhook_receiver::{Receiver, Webhook};
use promises::{Callhook, Ini, PATIENCE, component};
use serde_json::{Value, json};

#[tokio::test]
async fn the_example_in_rust_posts_json() {
    let pbx = Pbx::small_office().counters(755, 1).start().await.expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    // Named by a path relative to the .ini, as a user would.
    let ini = Ini::new(&pbx, &format!("{}calls?key=1", receiver.url()))
        .webhook("plugins = example")
        .section("plugin.example", &["file = example.wasm", "source = Prague office"]);
    std::fs::copy(component("example-rust"), ini.folder().join("example.wasm")).expect("copied");
    let wall = ["--wall-clock", "2022-01-06T20:59:41+01:00"];
    let _hook = Callhook::start_with(&ini, &wall).await;

    pbx.outside("+420774852629").calls("420226201001").expect("the call arrives");

    let one = |arrived: &Vec<Webhook>| !arrived.is_empty();
    let arrived = receiver.wait_until(PATIENCE, one).await.expect("it arrives");
    let webhook = &arrived[0];
    assert_eq!((webhook.method.as_str(), webhook.target.as_str()), ("POST", "/calls?key=1"));
    assert_eq!(webhook.header("content-type"), "application/json");
    assert_eq!(webhook.header("x-source"), "Prague office");
    let body: Value = serde_json::from_slice(&webhook.body).expect("JSON");
    let expected = json!({
        "call": "220106205941_755-0",
        "event": "ringing",
        "direction": "incoming",
        "number": "+420774852629",
        "name": null,
        "extension": "106",
        "answered": false,
        "at": "2022-01-06T20:59:41.000+01:00",
    });
    assert_eq!(body, expected);
}
