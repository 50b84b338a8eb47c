//! A plugin that misbehaves costs its own event only: that event is kept and reported, and the
//! next one passes.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use callhook_pbx::Pbx;
use callhook_receiver::Receiver;
use promises::{Callhook, Ini, component, eventually, expect};

const EVIL: &str = "420666666666";
const GOOD: &str = "420774852629";

/// What the dead letters hold: plugin, kind of failure, message.
fn dead_letters(ini: &Ini) -> Vec<(String, String, String)> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(ini.database(), flags);
    let database = database.expect("the database opens beside the running service");
    let mut letters = database
        .prepare("SELECT plugin, kind, message FROM failed_transforms ORDER BY rowid")
        .expect("the dead letters are there");
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    letters.query_map([], row).expect("they can be read").map(Result::unwrap).collect()
}

/// A dead letter.
struct Letter {
    message: String,
    /// By `callhook deliveries show`.
    shown: String,
}

/// Lets a plugin do `what` at one call, then lets another call through, and holds that the first
/// became one dead letter of this kind, which the log tells.
async fn survives(what: &str, kind: &str) -> Letter {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let file = component("hostile");
    let ini = Ini::new(&pbx, &receiver.url())
        .webhook("plugins = plain-get, nasty")
        .webhook("events = ringing")
        .section(
            "plugin.nasty",
            &[
                &format!("file = {}", file.display()),
                &format!("do = {what}"),
                &format!("when = {EVIL}"),
            ],
        );
    let hook = Callhook::start(&ini).await;

    pbx.outside(EVIL).calls("420226201001").expect("a call arrives");
    let line = hook.wait_for_log("Plugin failed").await;
    pbx.outside(GOOD).calls("420226201001").expect("another call arrives");

    expect(&receiver, &["ringing 106 ext 2-0"]).await;
    assert!(line.contains("nasty") && line.contains("6.6.6"), "{line}");
    let letters = dead_letters(&ini);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((letters[0].0.as_str(), letters[0].1.as_str()), ("nasty", kind), "{letters:?}");
    let id = format!("pbx-{}:webhook", {
        let (_, after) = line.split_once("\"event\":\"pbx-").expect("the log names the event");
        after.split('"').next().expect("it ends")
    });
    let config = ini.folder().join("callhook.ini");
    let shown = Callhook::command(&["deliveries", "show", &id, "--config"]).arg(config).output();
    let shown = String::from_utf8(shown.expect("callhook runs").stdout).expect("it is text");
    assert!(hook.stop().await.success());
    Letter { message: letters[0].2.clone(), shown }
}

#[tokio::test]
async fn a_plugin_that_loops() {
    survives("loop", "deadline").await;
}

#[tokio::test]
async fn a_plugin_that_grows_its_memory() {
    survives("grow", "memory").await;
}

#[tokio::test]
async fn a_plugin_that_traps() {
    let letter = survives("panic", "trap").await;
    let told =
        "plugin \"nasty\" 6.6.6 trapped: wasm `unreachable` instruction executed; it wrote: ";
    assert!(letter.message.starts_with(told), "{}", letter.message);
    // For the plugin's author: all that it wrote, and where it was.
    for part in
        ["The plugin wrote:\n", "the CRM has no field \"phone\"", "Where it was, the", "0: "]
    {
        assert!(letter.shown.contains(part), "{part} in {}", letter.shown);
    }
}

#[tokio::test]
async fn a_plugin_that_asks_for_a_host_that_nobody_named() {
    let letter = survives("elsewhere", "refused-host").await;
    assert_eq!(
        letter.message,
        "plugin \"nasty\" 6.6.6 made request 1 for endpoint \"webhook\": evil.example, port 443, is not \
         the endpoint's own; allow_hosts = evil.example would allow it"
    );
}

#[tokio::test]
async fn a_plugin_that_returns_nonsense() {
    survives("bad-url", "bad-url").await;
}

#[tokio::test]
async fn a_plugin_that_returns_too_much() {
    survives("huge", "output-too-large").await;
}

#[tokio::test]
async fn a_plugin_that_fails_at_every_event_is_told_once_a_minute() {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let file = format!("file = {}", component("hostile").display());
    let ini = Ini::new(&pbx, &receiver.url())
        .webhook("plugins = nasty")
        .webhook("events = ringing")
        .section("plugin.nasty", &[&file, "do = panic"]);
    let hook = Callhook::start(&ini).await;
    for _ in 0..20 {
        pbx.outside(EVIL).calls("420226201001").expect("a call arrives");
    }
    let all =
        eventually("a dead letter of each", || (dead_letters(&ini).len() == 20).then_some(()));
    all.await.expect("all are kept");
    let told = hook.log().iter().filter(|line| line.contains("Plugin failed")).count();
    assert_eq!(told, 1);
    assert!(hook.stop().await.success());
}
