//! Plugins are replaced while the service runs: a changed file comes in force between two events,
//! or, if it cannot be used, not at all.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use callhook_pbx::{Call, Pbx};
use callhook_receiver::{Receiver, Webhook};
use promises::{Callhook, Ini, PATIENCE, component, gist, gists};

const CALLER: &str = "420774852629";
const BROKEN: &str = "A changed plugin cannot be used, the old one stays in service";
const REPLACED: &str = "Plugin replaced.";

/// The fixture, which puts its version into the URL.
static COMPONENT: LazyLock<Vec<u8>> =
    LazyLock::new(|| fs::read(component("hostile")).expect("it was built"));

/// The fixture as another version.
fn version(version: &str) -> Vec<u8> {
    let (old, new) = (b"6.6.6".as_slice(), version.as_bytes());
    assert_eq!(old.len(), new.len());
    let mut component = COMPONENT.clone();
    let places: Vec<_> =
        (0..component.len()).filter(|&at| component[at..].starts_with(old)).collect();
    assert!(!places.is_empty(), "the component has its version in it");
    for at in places {
        component[at..at + new.len()].copy_from_slice(new);
    }
    component
}

/// Puts a component in the place of another in one step.
fn put(path: &Path, component: &[u8]) {
    let beside = path.with_extension("new");
    fs::write(&beside, component).expect("it is written");
    fs::rename(&beside, path).expect("it takes the other's place");
}

/// An exchange, a receiver, and settings with a chain of two plugins that put their versions into
/// the URL.
async fn office(files: [&str; 2]) -> (Pbx, Receiver, Ini) {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let [one, two] = files.map(|file| format!("file = {file}"));
    let ini = Ini::new(&pbx, &receiver.url())
        .webhook("plugins = plain-get, one, two")
        .section("plugin.one", &[&one, "do = stamp"])
        .section("plugin.two", &[&two, "do = stamp", "when = always"]);
    (pbx, receiver, ini)
}

fn call(pbx: &Pbx) -> Call {
    pbx.outside(CALLER).calls("420226201001").expect("the call arrives")
}

fn hang_up(pbx: &Pbx, call: &Call) {
    pbx.outside(CALLER).hangs_up(call).expect("the caller hangs up");
}

/// The versions in a webhook's URL, in the order of the chain.
fn stamps(webhook: &Webhook) -> Vec<&str> {
    let (_, query) = webhook.target.split_once('?').expect("there is a query");
    query.split('&').filter_map(|pair| pair.strip_prefix("stamp=")).collect()
}

/// Plays a call that nobody answers, and gives the versions that its end went through.
async fn stamps_now(pbx: &Pbx, receiver: &Receiver, hook: &Callhook) -> Vec<String> {
    let (before, seen) = (receiver.arrived().len(), hook.logged("Leg seen."));
    let ringing = call(pbx);
    hook.wait_for_logs("Leg seen.", seen + 1).await;
    hang_up(pbx, &ringing);
    let ended = |arrived: &Vec<Webhook>| {
        arrived[before..].iter().any(|webhook| gist(webhook).starts_with("incoming"))
    };
    let arrived = receiver.wait_until(PATIENCE, ended).await.expect("the call ends");
    let end = arrived.iter().rev().find(|webhook| gist(webhook).starts_with("incoming"));
    stamps(end.expect("it arrived")).into_iter().map(ToOwned::to_owned).collect()
}

/// Both plugins of the chain are the same file, so one step replaces both: whatever happens, an
/// event goes through two of the same version.
#[tokio::test]
async fn under_load_no_event_is_lost_or_doubled_or_mixed() {
    const ROUNDS: usize = 8;
    let (pbx, receiver, ini) = office(["both.wasm", "both.wasm"]).await;
    let path = ini.folder().join("both.wasm");
    put(&path, &version("0.0.0"));
    let hook = Callhook::start(&ini).await;
    let mut calls = 0;
    for round in 1..=ROUNDS {
        put(&path, &version(&format!("0.0.{round}")));
        // Calls go on until both are replaced.
        while hook.logged(REPLACED) < 2 * round {
            let (seen, gone) = (hook.logged("Leg seen."), hook.logged("Leg gone."));
            let ringing = call(&pbx);
            hook.wait_for_logs("Leg seen.", seen + 1).await;
            hang_up(&pbx, &ringing);
            hook.wait_for_logs("Leg gone.", gone + 1).await;
            calls += 1;
        }
    }
    let ends = |arrived: &[Webhook]| {
        gists(arrived).iter().filter(|gist| gist.starts_with("incoming")).count()
    };
    let complete = |arrived: &Vec<Webhook>| ends(arrived) >= calls;
    let arrived = receiver.wait_until(PATIENCE, complete).await.expect("every call ends");
    assert_eq!(ends(&arrived), calls);
    let (mut ids, mut versions) = (HashSet::new(), BTreeSet::new());
    for webhook in &arrived {
        assert!(ids.insert(webhook.header("webhook-id").to_owned()), "twice: {}", webhook.target);
        let [one, two] = stamps(webhook)[..] else { panic!("{}", webhook.target) };
        assert_eq!(one, two, "{}", webhook.target);
        versions.insert(one);
    }
    assert!(versions.len() > ROUNDS / 2, "{versions:?}");
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn a_broken_file_leaves_the_old_plugin_in_service_and_is_shown_everywhere() {
    let (pbx, receiver, ini) = office(["one.wasm", "two.wasm"]).await;
    let (one, two) = (ini.folder().join("one.wasm"), ini.folder().join("two.wasm"));
    put(&one, &version("1.0.0"));
    put(&two, &version("2.0.0"));
    let hook = Callhook::start(&ini).await;
    assert_eq!(stamps_now(&pbx, &receiver, &hook).await, ["1.0.0", "2.0.0"]);

    // Half of the next version, as a copy that broke off leaves it.
    let next = version("1.1.0");
    fs::write(&one, &next[..next.len() / 2]).expect("half of it is written");
    let line = hook.wait_for_log(BROKEN).await;
    assert!(line.contains("one.wasm): the component is not valid: "), "{line}");
    assert_eq!(stamps_now(&pbx, &receiver, &hook).await, ["1.0.0", "2.0.0"]);
    hook.wait_until_ready().await;
    let page = hook.page("/readyz").await;
    let told = "\"degraded\":[\"a changed plugin cannot be used and the old one stays in service: \
                plugin \\\"one\\\"";
    assert!(page.starts_with("{\"ready\":true,") && page.contains(told), "{page}");
    let failures = hook.metric("callhook_plugin_reload_failures_total{plugin=\"one\"}").await;
    assert_eq!(failures, Some(1.0));

    // The rest of it.
    fs::write(&one, &next).expect("all of it is written");
    let line = hook.wait_for_log(REPLACED).await;
    assert!(line.contains("\"from\":\"1.0.0\"") && line.contains("\"to\":\"1.1.0\""), "{line}");
    assert_eq!(stamps_now(&pbx, &receiver, &hook).await, ["1.1.0", "2.0.0"]);
    assert!(hook.page("/readyz").await.ends_with("\"degraded\":[]}\n"));
    let metrics = hook.page("/metrics").await;
    let info = |name: &str, version: &str| {
        let line = format!("callhook_plugin_info{{plugin=\"{name}\",version=\"{version}\",hash=\"");
        metrics.contains(&line)
    };
    assert!(info("one", "1.1.0") && info("two", "2.0.0") && !info("one", "1.0.0"), "{metrics}");
}

#[tokio::test]
async fn a_component_that_takes_other_settings_is_told_with_the_line_of_each() {
    let (pbx, receiver, ini) = office(["one.wasm", "two.wasm"]).await;
    let (one, two) = (ini.folder().join("one.wasm"), ini.folder().join("two.wasm"));
    put(&one, &version("1.0.0"));
    put(&two, &version("2.0.0"));
    let hook = Callhook::start(&ini).await;
    put(&two, &fs::read(component("example-rust")).expect("it was built"));
    let line = hook.wait_for_log(BROKEN).await;
    let text = fs::read_to_string(ini.folder().join("callhook.ini")).expect("it was written");
    let section = text.lines().position(|line| line == "[plugin.two]").expect("it is there");
    for (key, number) in [("do", section + 3), ("when", section + 4)] {
        let told = format!("callhook.ini:{number}: [plugin.two] {key}: it has no setting `{key}`");
        assert!(line.contains(&told), "{told} in {line}");
    }
    assert_eq!(stamps_now(&pbx, &receiver, &hook).await, ["1.0.0", "2.0.0"]);
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn files_that_change_together_come_in_force_together_or_not_at_all() {
    let (pbx, receiver, ini) = office(["one.wasm", "two.wasm"]).await;
    let (one, two) = (ini.folder().join("one.wasm"), ini.folder().join("two.wasm"));
    put(&one, &version("1.0.0"));
    put(&two, &version("2.0.0"));
    let hook = Callhook::start(&ini).await;

    put(&one, &version("1.1.0"));
    put(&two, b"no component");
    hook.wait_for_log(BROKEN).await;
    assert_eq!(stamps_now(&pbx, &receiver, &hook).await, ["1.0.0", "2.0.0"]);

    put(&two, &version("2.1.0"));
    hook.wait_for_logs(REPLACED, 2).await;
    assert_eq!(stamps_now(&pbx, &receiver, &hook).await, ["1.1.0", "2.1.0"]);
    assert!(hook.page("/readyz").await.ends_with("\"degraded\":[]}\n"));
}

#[tokio::test]
async fn a_file_that_is_gone_or_touched_changes_nothing() {
    let (pbx, receiver, ini) = office(["one.wasm", "two.wasm"]).await;
    let (one, two) = (ini.folder().join("one.wasm"), ini.folder().join("two.wasm"));
    put(&one, &version("1.0.0"));
    put(&two, &version("2.0.0"));
    let hook = Callhook::start(&ini).await;
    fs::remove_file(&one).expect("it is removed");
    let line = hook.wait_for_log(BROKEN).await;
    assert!(line.contains("one.wasm): the file cannot be read: "), "{line}");
    // The same contents as before, as a new file.
    put(&one, &version("1.0.0"));
    put(&two, &version("2.0.1"));
    hook.wait_for_log(REPLACED).await;
    assert_eq!(hook.logged(REPLACED), 1, "only what changed is replaced");
    assert_eq!(stamps_now(&pbx, &receiver, &hook).await, ["1.0.0", "2.0.1"]);
    assert!(hook.page("/readyz").await.ends_with("\"degraded\":[]}\n"));
}

#[tokio::test]
async fn new_settings_that_are_faulty_are_shown_until_they_are_mended() {
    let (pbx, receiver, ini) = office(["one.wasm", "two.wasm"]).await;
    put(&ini.folder().join("one.wasm"), &version("1.0.0"));
    put(&ini.folder().join("two.wasm"), &version("2.0.0"));
    let hook = Callhook::start(&ini).await;
    ini.rewrite("when = always", "wen = always");
    hook.hang_up("The new settings are faulty; the old ones stay in force.").await;
    let page = hook.page("/readyz").await;
    let told = format!(
        "\"degraded\":[\"the new settings are faulty and the old ones stay in force: \
         {}:20: [plugin.two] wen: ",
        ini.path().display()
    );
    assert!(page.starts_with("{\"ready\":true,") && page.contains(&told), "{page}");
    assert_eq!(hook.metric("callhook_settings_reload_failures_total").await, Some(1.0));
    // Files are still watched.
    put(&ini.folder().join("one.wasm"), &version("1.0.1"));
    hook.wait_for_log(REPLACED).await;
    assert_eq!(stamps_now(&pbx, &receiver, &hook).await, ["1.0.1", "2.0.0"]);
    ini.rewrite("wen = always", "when = always");
    hook.reload().await;
    assert!(hook.page("/readyz").await.ends_with("\"degraded\":[]}\n"));
}
