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

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use callhook_pbx::{Call, Pbx};
use promises::{Answer, Arrival, Callhook, Crowd, Ini, Ledger, Oracle, component, tools};

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
    let ready = hook.page("/readyz").await;
    assert!(ready.contains("the endpoint webhook does not work"), "{ready}");
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
    let ready = hook.page("/readyz").await;
    assert!(ready.contains("the endpoint webhook is disabled, because it answered 410"), "{ready}");
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

/// An office of which the ringing fails for an hour.
async fn hard_of_hearing(settings: &[&str]) -> (Office, Callhook) {
    let office = Office::open(&[&["popup_expiry = 2h"], settings].concat()).await;
    office.oracle.script(|_, arrival| {
        if arrival.target.contains("event=ringing") {
            Answer::header(500, "retry-after", "3600")
        } else {
            Answer::Status(200)
        }
    });
    let hook = Callhook::start(&office.ini).await;
    let call = office.call();
    let failed = |ledger: &Ledger| ledger.entries.iter().any(|entry| entry.attempts == 1);
    Ledger::wait(&office.ini.database(), LONG, "the ringing fails", failed).await;
    office.hang_up(&call);
    (office, hook)
}

/// Waits until the call's end is delivered, though its ringing still waits.
async fn the_end_passes(office: &Office) {
    let passed = |ledger: &Ledger| {
        let states: Vec<_> = ledger.entries.iter().map(|entry| entry.state.as_str()).collect();
        states == ["waiting", "delivered"]
    };
    Ledger::wait(&office.ini.database(), LONG, "the end passes the ringing", passed).await;
}

#[tokio::test]
async fn without_an_order_nobody_waits_for_who_fails() {
    let (office, hook) = hard_of_hearing(&["order = none"]).await;
    the_end_passes(&office).await;
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn who_fails_leaves_its_turn_though_the_service_was_killed_meanwhile() {
    let (office, hook) = hard_of_hearing(&["step_aside = 1m"]).await;
    let behind = |ledger: &Ledger| ledger.entries.iter().any(|entry| entry.state == "behind");
    Ledger::wait(&office.ini.database(), LONG, "the end waits behind", behind).await;
    hook.kill();
    let Office { pbx, oracle, ini } = office;
    let office = Office { pbx, oracle, ini: ini.rewritten("step_aside = 1m", "step_aside = 1s") };
    let hook = Callhook::start(&office.ini).await;
    the_end_passes(&office).await;
    assert!(hook.stop().await.success());
}

/// Has somebody else verify a signature: the reference implementation in Python, which
/// `cargo xtask test` installs, else Python's own HMAC. Gives who did, and what it came to; `None`
/// without Python.
fn verify(secret: &str, arrival: &Arrival) -> Option<(String, bool)> {
    let script = r#"
import sys, base64, hmac, hashlib
secret, id, stamp, signatures, body = sys.argv[1:]
try:
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError
    print("standardwebhooks")
    headers = {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": signatures}
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        sys.exit(1)
except ImportError:
    print("hmac")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{id}.{stamp}.{body}".encode(), hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(mac).decode()
    sys.exit(0 if expected in signatures.split(" ") else 1)
"#;
    let body = String::from_utf8_lossy(&arrival.body).into_owned();
    let signed = ["webhook-timestamp", "webhook-signature"].map(|name| arrival.header(name));
    let reference = tools().join("standardwebhooks-1.1.0/bin/python3");
    let python = if reference.exists() { reference } else { "python3".into() };
    let mut python = Command::new(python);
    python.args(["-c", script, secret, arrival.id(), signed[0], signed[1], &body]);
    let output = python.output().ok()?;
    let who = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!who.is_empty()).then_some((who, output.status.success()))
}

#[tokio::test]
async fn each_attempt_is_signed_anew_with_all_keys() {
    let [old, new, other] = ["A", "/", "B"].map(|letter| format!("whsec_{}", letter.repeat(32)));
    let plugin = format!("file = {}", component("hostile").display());
    // Without a body, and with one.
    for plugins in ["plugins = plain-get", "plugins = nasty"] {
        let office = Office::open(&["events = ringing", plugins]).await;
        let Office { pbx, oracle, ini } = office;
        let ini = ini.webhook(&format!("secret = {new}, {old}"));
        let ini = ini.section("plugin.nasty", &[&plugin, "do = random"]);
        let office = Office { pbx, oracle, ini };
        let hook = Callhook::start(&office.ini).await;
        office.oracle.script(|number, _| Answer::Status(if number == 0 { 503 } else { 200 }));
        office.call();
        office.oracle.wait("the second attempt", |all| all.len() == 2).await;
        for arrival in office.oracle.arrived() {
            assert_eq!(arrival.body.is_empty(), plugins.contains("plain-get"));
            let stamp = arrival.header("webhook-timestamp");
            let seconds: u64 = stamp.parse().expect("a time in seconds");
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            assert!(now.abs_diff(seconds) < 300, "a receiver takes it within five minutes only");
            assert!(!arrival.id().contains('.') && !stamp.contains('.'));
            let signatures = arrival.header("webhook-signature").split(' ').count();
            assert_eq!(signatures, 2, "{arrival:?}");
            for (key, good) in [(&old, true), (&new, true), (&other, false)] {
                let Some((who, verified)) = verify(key, &arrival) else {
                    println!("SKIPPED: no python3, so nobody else to verify.");
                    return;
                };
                let reference = who == "standardwebhooks" || std::env::var_os("CI").is_none();
                assert!(reference, "in CI the reference implementation verifies");
                assert_eq!(verified, good, "{who} says so of {key}: {arrival:?}");
                println!("{who} has verified");
            }
        }
        let attempts: Vec<_> = office.oracle.arrived().iter().map(Arrival::attempt).collect();
        assert_eq!(attempts, [1, 2]);
        assert!(hook.stop().await.success());
    }
}

#[tokio::test]
async fn a_pause_that_was_asked_for_outlasts_a_restart_and_a_reload() {
    const WAIT: Duration = Duration::from_secs(4);
    let office = Office::open(&["events = ringing", "popup_expiry = 1h"]).await;
    office.oracle.script(|number, _| match number {
        0 => Answer::header(503, "retry-after", &WAIT.as_secs().to_string()),
        _ => Answer::Status(200),
    });
    let hook = Callhook::start(&office.ini).await;
    office.call();
    let tried = |ledger: &Ledger| ledger.entries.iter().any(|entry| entry.attempts == 1);
    Ledger::wait(&office.ini.database(), LONG, "it is tried", tried).await;
    let asked = office.oracle.arrived()[0].wall + WAIT;
    assert!(hook.stop().await.success());
    let hook = Callhook::start(&office.ini).await;
    office.call();
    office.ini.rewrite("popup_expiry = 1h", "popup_expiry = 2h");
    hook.reload().await;
    office.call();
    assert!(office.states(3).await.iter().all(|(state, _)| state == "delivered"));
    let early = office.oracle.arrived().iter().skip(1).filter(|next| next.wall < asked).count();
    assert_eq!(early, 0, "requests within the time that it wanted to be left alone");
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_once_and_counted() {
    let office = Office::open(&["events = ringing"]).await;
    office.oracle.script(|_, arrival| {
        let date = httpdate::fmt_http_date(arrival.wall + Duration::from_mins(10));
        Answer::header(200, "date", &date)
    });
    let hook = Callhook::start(&office.ini).await;
    (0..3).for_each(|_| drop(office.call()));
    office.states(3).await;
    let skew = hook.metric("callhook_clock_skew_seconds{endpoint=\"webhook\"}").await;
    let skew = skew.expect("it is counted");
    assert!((590.0..=600.0).contains(&skew), "{skew}");
    assert_eq!(hook.logged("The endpoint's clock is so far ahead of ours"), 1);
    let ready = hook.page("/readyz").await;
    assert!(ready.contains("the clock of the endpoint webhook is "), "{ready}");
    assert!(hook.stop().await.success());
}
