//! What a receiver says about itself concerns all that goes there: it is left alone while it is
//! down, waited for as long as it asks, not asked again once it is gone, and what came too late
//! for it is not sent at all.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use callhook_pbx::{Call, Pbx};
use promises::{Answer, Arrival, Callhook, Crowd, Ini, Ledger, Oracle};

const CALLER: &str = "420774852629";
const LONG: Duration = Duration::from_mins(1);

struct Office {
    pbx: Pbx,
    oracle: Oracle,
    ini: Ini,
}

impl Office {
    async fn open(settings: &[&str]) -> Self {
        let pbx = Pbx::small_office().start().await.expect("the exchange starts");
        let oracle = Oracle::start().await;
        let ini = Ini::new(&pbx, &oracle.url()).webhook("probe_first = 100ms");
        let ini = ini.webhook("probe_last = 300ms");
        let ini = settings.iter().fold(ini, |ini, line| ini.webhook(line));
        Self { pbx, oracle, ini }
    }

    fn call(&self) -> Call {
        self.pbx.outside(CALLER).calls("420226201001").expect("the call arrives")
    }

    fn hang_up(&self, call: &Call) {
        self.pbx.outside(CALLER).hangs_up(call).expect("the call goes on");
    }

    /// The states of all requests, once there are so many and none waits.
    async fn states(&self, count: usize) -> Vec<(String, u32)> {
        let done = |ledger: &Ledger| ledger.entries.len() == count && ledger.waiting() == 0;
        let database = self.ini.database();
        let ledger = Ledger::wait(&database, LONG, "all is done with", done).await;
        ledger.entries.into_iter().map(|entry| (entry.state, entry.attempts)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_down_is_left_alone_and_then_gets_everything_in_order() {
    let pbx = Arc::new(Crowd::office().start().await.expect("the exchange starts"));
    let oracle = Oracle::start().await;
    let ini = Ini::new(&pbx, &oracle.url())
        .level("info")
        .webhook("probe_first = 100ms")
        .webhook("probe_last = 300ms");
    let hook = Callhook::start(&ini).await;
    oracle.answer(Answer::Status(500));
    let bustle = Crowd::new(&pbx, 31, 100).bustle(200);
    let many = |ledger: &Ledger| ledger.entries.len() > 500;
    let ledger = Ledger::wait(&ini.database(), LONG, "many requests wait", many).await;
    // Those that were under way when it failed, what it takes to be sure, and the probes.
    let tried = oracle.count();
    println!("{} requests waited, {tried} were sent in the outage", ledger.waiting());
    assert!(tried <= 20 + 32 + 30, "{tried} requests to an endpoint that is down");
    oracle.answer(Answer::Status(200));
    bustle.stop().await.go_home();
    let over = |ledger: &Ledger| ledger.ends().values().all(|ends| *ends > 0);
    Ledger::wait(&ini.database(), LONG, "all calls are over", over).await;
    let ledger = Ledger::settled(&ini.database(), LONG).await;
    let account = ledger.audit("webhook", &oracle.arrived());
    assert_eq!((account.dead, account.expired), (0, 0), "{account:?}");
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn while_one_request_was_asked_to_wait_no_other_is_sent() {
    let office = Office::open(&["events = ringing"]).await;
    let hook = Callhook::start(&office.ini).await;
    office.oracle.script(|number, _| match number {
        0 => Answer::header(429, "retry-after", "2"),
        _ => Answer::Status(200),
    });
    office.call();
    office.oracle.wait("the first request", |all| all.len() == 1).await;
    let asked = office.oracle.arrived()[0].wall + Duration::from_secs(2);
    (0..5).for_each(|_| drop(office.call()));
    assert!(office.states(6).await.iter().all(|(state, _)| state == "delivered"));
    let early = office.oracle.arrived().iter().skip(1).filter(|next| next.wall < asked).count();
    assert_eq!(early, 0, "requests within the time that it wanted to be left alone");
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn an_endpoint_that_does_not_know_us_gets_everything_once_it_does() {
    let office = Office::open(&["events = ringing"]).await;
    let hook = Callhook::start(&office.ini).await;
    office.oracle.script(|number, _| Answer::Status(if number < 6 { 401 } else { 200 }));
    (0..3).for_each(|_| drop(office.call()));
    for (state, attempts) in office.states(3).await {
        assert_eq!((state.as_str(), attempts), ("delivered", 1));
    }
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn an_endpoint_that_is_gone_gets_nothing_more_and_nothing_is_lost() {
    let office = Office::open(&["events = ringing"]).await;
    let other = Oracle::start().await;
    let url = format!("url = {}", other.url());
    let Office { pbx, oracle, ini } = office;
    let office = Office { pbx, oracle, ini: ini.section("webhook.other", &[&url]) };
    let hook = Callhook::start(&office.ini).await;
    office.oracle.answer(Answer::Status(410));
    let call = office.call();
    office.oracle.wait("the first request", |all| all.len() == 1).await;
    hook.wait_for_log("410").await;
    office.hang_up(&call);
    other.wait("both events elsewhere", |all| all.len() == 2).await;
    assert!(hook.stop().await.success());
    // Also not after a restart.
    let hook = Callhook::start(&office.ini).await;
    let call = office.call();
    other.wait("three events elsewhere", |all| all.len() == 3).await;
    office.hang_up(&call);
    other.wait("four events elsewhere", |all| all.len() == 4).await;
    assert_eq!(office.oracle.count(), 1);
    let kept = Ledger::read(&office.ini.database());
    let own = kept.entries.iter().filter(|entry| entry.endpoint == "webhook");
    let states: Vec<_> = own.map(|entry| entry.state.as_str()).collect();
    assert_eq!(states.len(), 2, "{states:?}");
    assert!(states.iter().all(|state| matches!(*state, "waiting" | "behind")), "{states:?}");
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn a_ringing_that_comes_too_late_is_not_sent_and_its_end_is() {
    let office = Office::open(&["popup_expiry = 1s"]).await;
    office.oracle.close().await;
    let hook = Callhook::start(&office.ini).await;
    let call = office.call();
    hook.wait_for_log("Leg seen.").await;
    office.hang_up(&call);
    let expired = |ledger: &Ledger| ledger.entries.iter().any(|entry| entry.state == "expired");
    Ledger::wait(&office.ini.database(), LONG, "the ringing expires", expired).await;
    office.oracle.open().await;
    let states: Vec<_> = office.states(2).await.into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, ["expired", "delivered"]);
    let arrived = office.oracle.arrived();
    assert_eq!(arrived.len(), 1);
    assert!(arrived[0].target.contains("event=incoming"), "{arrived:?}");
    assert!(hook.stop().await.success());
}

/// HMAC-SHA256 by a program that shares nothing with the service; `None` where it is missing.
fn hmac(hexadecimal_key: &str, text: &str) -> Option<String> {
    let script = "import sys, hmac, hashlib, base64\n\
                  mac = hmac.new(bytes.fromhex(sys.argv[1]), sys.argv[2].encode(), hashlib.sha256)\n\
                  print(base64.b64encode(mac.digest()).decode())";
    let mut python = Command::new("python3");
    python.args(["-c", script, hexadecimal_key, text]).stderr(Stdio::null());
    let output = python.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[tokio::test]
async fn each_attempt_is_signed_anew_with_all_keys() {
    // Twenty-four bytes 0x00 and 0xff, in Base64.
    let (old, new) = ("A".repeat(32), "/".repeat(32));
    let keys = format!("secret = whsec_{new}, {old}");
    let office = Office::open(&["events = ringing", &keys]).await;
    let hook = Callhook::start(&office.ini).await;
    office.oracle.script(|number, _| Answer::Status(if number == 0 { 503 } else { 200 }));
    office.call();
    office.oracle.wait("the second attempt", |all| all.len() == 2).await;
    for arrival in office.oracle.arrived() {
        let stamp = arrival.header("webhook-timestamp");
        let seconds: u64 = stamp.parse().expect("a time in seconds");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(seconds) < 300, "a receiver takes it within five minutes only");
        assert!(!arrival.id().contains('.') && !stamp.contains('.'));
        let signed = format!("{}.{stamp}.", arrival.id());
        let signatures: Vec<&str> = arrival.header("webhook-signature").split(' ').collect();
        assert_eq!(signatures.len(), 2, "{arrival:?}");
        for (key, signature) in [("ff", signatures[0]), ("00", signatures[1])] {
            let Some(mac) = hmac(&key.repeat(24), &signed) else {
                println!("SKIPPED: no python3, so nobody else to sign.");
                return;
            };
            assert_eq!(signature, format!("v1,{mac}"));
        }
    }
    let attempts: Vec<_> = office.oracle.arrived().iter().map(Arrival::attempt).collect();
    assert_eq!(attempts, [1, 2]);
    assert!(hook.stop().await.success());
}
