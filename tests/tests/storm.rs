//! A plugin that misbehaves at every event, each time in another way, costs its own endpoint only.
//! How much it slows the others down is what `cargo xtask bench storm` measures.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::{BTreeSet, HashSet};

use callhook_pbx::Pbx;
use callhook_receiver::{Receiver, Webhook};
use promises::{Callhook, Ini, PATIENCE, component, eventually, gist};

const CALLS: usize = 60;

/// The kinds of failure that the dead letters tell.
fn kinds(ini: &Ini) -> Vec<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(ini.database(), flags);
    let database = database.expect("the database opens beside the running service");
    let mut letters =
        database.prepare("SELECT kind FROM failed_transforms").expect("they are there");
    let kinds = letters.query_map([], |row| row.get(0)).expect("they can be read");
    kinds.map(Result::unwrap).collect()
}

#[tokio::test]
async fn the_other_endpoint_gets_everything_once_and_in_order() {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let evil = Receiver::start().await.expect("the other receiver starts");
    let (url, file) =
        (format!("url = {}", evil.url()), format!("file = {}", component("hostile").display()));
    let ini = Ini::new(&pbx, &receiver.url())
        .section("webhook.evil", &[&url, "plugins = plain-get, nasty"])
        .section("plugin.nasty", &[&file, "do = storm", "deadline = 50ms"]);
    let hook = Callhook::start(&ini).await;

    for number in 0..CALLS {
        let (seen, gone) = (hook.logged("Leg seen."), hook.logged("Leg gone."));
        let caller = format!("4207{number:08}");
        let call = pbx.outside(&caller).calls("420226201001").expect("the call arrives");
        hook.wait_for_logs("Leg seen.", seen + 1).await;
        pbx.outside(&caller).hangs_up(&call).expect("the caller hangs up");
        hook.wait_for_logs("Leg gone.", gone + 1).await;
    }

    let all = |arrived: &Vec<Webhook>| arrived.len() >= 2 * CALLS;
    let arrived = receiver.wait_until(PATIENCE, all).await.expect("nothing is missing");
    let ids: HashSet<_> = arrived.iter().map(|webhook| webhook.header("webhook-id")).collect();
    assert_eq!((arrived.len(), ids.len()), (2 * CALLS, 2 * CALLS), "nothing comes twice");
    // Every call rang before it ended.
    let mut rang = HashSet::new();
    for gist in arrived.iter().map(gist) {
        let (what, id) = (gist.split(' ').next().unwrap(), gist.rsplit(' ').next().unwrap());
        match what {
            "ringing" => assert!(rang.insert(id.to_owned()), "{gist}"),
            _ => assert!(rang.contains(id), "{gist}"),
        }
    }
    // For the endpoint of the storm, all of it is kept and told.
    let letters = || Some(kinds(&ini)).filter(|kinds| kinds.len() >= 2 * CALLS);
    let letters = eventually("the dead letters", letters).await.expect("they come");
    assert_eq!(letters.len(), 2 * CALLS);
    let kinds: BTreeSet<_> = letters.iter().map(String::as_str).collect();
    assert!(kinds.len() > 5, "{kinds:?}");
    assert_eq!(evil.arrived().len(), 0);
    assert_eq!(hook.metric("callhook_outbox_writable").await, Some(1.0));
    assert!(hook.stop().await.success());
}
