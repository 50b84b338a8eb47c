//! Wherever around a commit or a send the service dies, it loses nothing that was committed.
//!
//! Each place in the host's source that says `failpoint!` is gone through, in the order of the
//! source: the service dies there under load, starts again, and dies at the next.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use promises::{Answer, Callhook, Crowd, Dice, Ini, Ledger, Oracle};

/// How long the load has to bring the service to a place, before a stop does.
const LOAD: Duration = Duration::from_secs(3);

/// How the names of places begin that a stop brings the service to, and no load.
const AT_A_STOP: [&str; 2] = ["app-", "outbox-drained"];

/// The same for places that are rarely passed.
const RARE: [&str; 4] = ["app-", "outbox-drained", "outbox-opened", "outbox-before-opening"];

/// SIGABRT: how a failpoint ends the process.
const ABORTED: i32 = 6;

/// The names of all failpoints below `folder`.
fn failpoints(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            names.extend(failpoints(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let found =
                text.split("failpoint!(\"").skip(1).filter_map(|rest| rest.split('"').next());
            // No plugin here reads replies; those places are gone through with replies.
            let found = found.filter(|name| !name.starts_with("reply-"));
            names.extend(found.map(str::to_owned));
        }
    }
    names
}

fn named(place: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| place.starts_with(beginning))
}

/// Runs the service until it dies at `place` for the time of that number, by the load or by the
/// stop after it. `false` if it does not.
async fn dies_at(ini: &Ini, place: &str, time: u64) -> bool {
    let mut command = Callhook::command(&["run"]);
    command.env("CALLHOOK_FAILPOINT", format!("{place}:{time}"));
    let mut hook = Callhook::spawn_command(ini, command);
    let by_a_stop = named(place, &AT_A_STOP);
    let began = Instant::now();
    let mut stopped = false;
    loop {
        if let Some(ended) = hook.ended() {
            return ended.signal() == Some(ABORTED);
        }
        let ready = || hook.log().iter().any(|line| line.contains("\"ready\""));
        if !stopped && (began.elapsed() > LOAD || by_a_stop && ready()) {
            hook.signal("TERM");
            stopped = true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(began.elapsed() < Duration::from_mins(1), "{place}: neither died nor stopped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_named_place_loses_nothing() {
    let places = failpoints(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src"));
    assert!(places.len() >= 15, "{places:?}");
    let pbx = Arc::new(Crowd::office().start().await.expect("the exchange starts"));
    let oracle = Oracle::start().await;
    // Some are refused at first, so that every way of settling is gone.
    oracle.script(|number, arrival| match number % 9 {
        4 if arrival.attempt() < 3 => Answer::Status(503),
        _ => Answer::Status(200),
    });
    let ini = Ini::new(&pbx, &oracle.url()).level("info");
    let mut dice = Dice::new(6);
    let bustle = Crowd::new(&pbx, 7, 200).bustle(400);
    let mut missed = Vec::new();
    for place in &places {
        let time = if named(place, &RARE) { 1 } else { 1 + dice.below(20) };
        if !dies_at(&ini, place, time).await && !dies_at(&ini, place, 1).await {
            missed.push(place);
        }
    }
    let hook = Callhook::start(&ini).await;
    bustle.stop().await.go_home();
    let limit = Duration::from_mins(1);
    let over = |ledger: &Ledger| ledger.ends().values().all(|ends| *ends > 0);
    Ledger::wait(&ini.database(), limit, "all calls are over", over).await;
    let ledger = Ledger::settled(&ini.database(), limit).await;
    ledger.every_call_ended_once();
    let account = ledger.audit("webhook", &oracle.arrived());
    println!("{} places: {account:?}", places.len());
    assert!(missed.is_empty(), "never reached: {missed:?}");
    assert_eq!((account.dead, account.expired), (0, 0), "{account:?}");
    assert!(hook.stop().await.success());
}
