//! Whatever a receiver does, everybody gets what is theirs: all of it, in order, not before it was
//! asked for, and nobody waits for somebody else.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use callhook_pbx::{Call, Pbx};
use promises::{Account, Answer, Arrival, Callhook, Crowd, Ini, Ledger, Oracle, Proxy, Weather};

/// For what takes its time on a busy machine.
const LONG: Duration = Duration::from_mins(1);

/// For what is tried again and again until the receiver is back.
const PERSISTENT: &str = "schedule = 100ms, 200ms, 400ms, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, \
                          1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s";

/// An exchange with a crowd.
async fn exchange() -> Arc<Pbx> {
    Arc::new(Crowd::office().start().await.expect("the exchange starts"))
}

/// Waits until all calls are over and everything is settled.
async fn settled(ini: &Ini) -> Ledger {
    let over = |ledger: &Ledger| ledger.ends().values().all(|ends| *ends > 0);
    Ledger::wait(&ini.database(), LONG, "all calls are over", over).await;
    let ledger = Ledger::settled(&ini.database(), LONG).await;
    ledger.every_call_ended_once();
    ledger
}

fn all_delivered(account: Account) {
    assert!(account.delivered > 100, "there was something to lose: {account:?}");
    assert_eq!((account.dead, account.expired), (0, 0), "{account:?}");
}

/// Four endpoints, of which the last one fails as `weather` says while the crowd calls.
async fn one_of_four_fails(weather: Option<Weather>) {
    let pbx = exchange().await;
    let [first, second, third, last] = [
        Oracle::start().await,
        Oracle::start().await,
        Oracle::start().await,
        Oracle::start().await,
    ];
    let network = Proxy::start(last.address()).await;
    let urls = [second.url(), third.url(), network.url()].map(|url| format!("url = {url}"));
    let brisk = ["timeout = 2s", "probe_first = 200ms", "probe_last = 1s", PERSISTENT];
    let ini = Ini::new(&pbx, &first.url())
        .level("info")
        .section("webhook.second", &[&urls[0]])
        .section("webhook.third", &[&urls[1]])
        .section("webhook.last", &[&[urls[2].as_str()][..], &brisk].concat());
    let hook = Callhook::start(&ini).await;
    match weather {
        Some(weather) => network.turn(weather),
        None => last.close().await,
    }
    let before = hook.memory();
    let bustle = Crowd::new(&pbx, 11, 100).bustle(250);
    first.wait("some of the load", |all| all.len() > 500).await;
    let mut crowd = bustle.stop().await;
    crowd.go_home();
    let healthy = |ledger: &Ledger| {
        let done = |name: &str| {
            let mut own = ledger.entries.iter().filter(|entry| entry.endpoint == name);
            own.all(|entry| entry.state == "delivered")
        };
        let over = ledger.ends().values().all(|ends| *ends > 0);
        over && ["webhook", "second", "third"].iter().all(|name| done(name))
    };
    let ledger =
        Ledger::wait(&ini.database(), LONG, "the healthy ones have everything", healthy).await;
    let waiting = ledger.waiting();
    assert!(waiting > 100, "the last one has most of it to come still: {waiting}");
    let grown = hook.memory().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more with {waiting} requests waiting");
    let tried = last.count();
    println!("{waiting} requests wait, {grown} KiB more memory, {tried} tried in the outage");

    network.turn(Weather::Fair);
    if weather.is_none() {
        last.open().await;
    }
    let ledger = settled(&ini).await;
    for (name, oracle) in
        [("webhook", &first), ("second", &second), ("third", &third), ("last", &last)]
    {
        all_delivered(ledger.audit(name, &oracle.arrived()));
    }
    assert!(hook.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_down_holds_up_nobody_and_gets_everything_later() {
    one_of_four_fails(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_never_answers_holds_up_nobody_and_gets_everything_later() {
    one_of_four_fails(Some(Weather::Stalled)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_fails_in_every_way_in_turn_loses_nothing() {
    let pbx = exchange().await;
    let oracle = Oracle::start().await;
    let network = Proxy::start(oracle.address()).await;
    let ini = Ini::new(&pbx, &network.url())
        .level("info")
        .webhook("timeout = 1s")
        .webhook("probe_first = 100ms")
        .webhook("probe_last = 300ms")
        .webhook(PERSISTENT);
    let hook = Callhook::start(&ini).await;
    let bustle = Crowd::new(&pbx, 12, 100).bustle(150);
    for weather in [
        Weather::Late(Duration::from_millis(30)),
        Weather::Resets,
        Weather::Sliced(7),
        Weather::HalfClosed,
        Weather::Stalled,
        Weather::Fair,
        Weather::BlackHole,
    ] {
        network.turn(weather);
        // The time of the fault; nothing waits for it.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    network.turn(Weather::Fair);
    bustle.stop().await.go_home();
    let ledger = settled(&ini).await;
    let account = ledger.audit("webhook", &oracle.arrived());
    println!("{account:?}");
    all_delivered(account);
    assert!(hook.stop().await.success());
}

/// A small office with one receiver.
struct Office {
    pbx: Pbx,
    oracle: Oracle,
    ini: Ini,
    hook: Callhook,
}

impl Office {
    async fn open(settings: &[&str]) -> Self {
        let pbx = Pbx::small_office().start().await.expect("the exchange starts");
        let oracle = Oracle::start().await;
        let ini = Ini::new(&pbx, &oracle.url()).webhook("timeout = 1s");
        let ini = settings.iter().fold(ini, |ini, line| ini.webhook(line));
        let hook = Callhook::start(&ini).await;
        Self { pbx, oracle, ini, hook }
    }

    fn call(&self) -> Call {
        self.pbx.outside("420774852629").calls("420226201001").expect("the call arrives")
    }

    /// Waits until the request is no longer waiting, and gives what became of it.
    async fn outcome(&self) -> (String, u32, String) {
        let done = |ledger: &Ledger| ledger.entries.len() == 1 && ledger.waiting() == 0;
        let database = self.ini.database();
        let ledger = Ledger::wait(&database, LONG, "the request is done with", done).await;
        let entry = ledger.entries.into_iter().next().unwrap();
        (entry.state, entry.attempts, entry.reason.unwrap_or_default())
    }
}

#[tokio::test]
async fn a_receiver_without_manners_costs_one_attempt() {
    for answer in [
        Answer::Never,
        Answer::Drip,
        Answer::Interim,
        Answer::Headers,
        Answer::Short,
        Answer::HalfClose,
        Answer::Reset,
        Answer::Garbage,
    ] {
        let office = Office::open(&["events = ringing"]).await;
        let before = office.hook.memory();
        let wild = answer.clone();
        let first = move |number, _: &Arrival| match number {
            0 => wild.clone(),
            _ => Answer::Status(200),
        };
        office.oracle.script(first);
        office.call();
        let (state, attempts, _) = office.outcome().await;
        // A request that was never answered at all may be sent again at once by the client.
        let tries = office.oracle.count();
        assert_eq!(state, "delivered", "{answer:?}");
        assert!((1..=2).contains(&attempts) && tries == 2, "{answer:?}: {attempts}, {tries}");
        let grown = office.hook.memory().saturating_sub(before);
        assert!(grown < 32 * 1024, "{answer:?} took {grown} KiB");
        assert!(office.hook.stop().await.success());
    }
}

#[tokio::test]
async fn of_an_endless_reply_only_the_beginning_is_read() {
    let office = Office::open(&["events = ringing"]).await;
    office.oracle.answer(Answer::Endless);
    let before = office.hook.memory();
    office.call();
    assert_eq!(office.outcome().await.0, "delivered");
    let grown = office.hook.memory().saturating_sub(before);
    assert!(grown < 32 * 1024, "it took {grown} KiB");
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    for status in [301, 302, 303, 307, 308] {
        let office = Office::open(&["events = ringing"]).await;
        let elsewhere = Oracle::start().await;
        office.oracle.answer(Answer::header(status, "location", &elsewhere.url()));
        office.call();
        let (state, attempts, reason) = office.outcome().await;
        assert_eq!((state.as_str(), attempts), ("dead", 1), "{status}: {reason}");
        assert!(reason.contains(&elsewhere.url()), "{reason}");
        assert_eq!((elsewhere.connections(), office.oracle.count()), (0, 1));
    }
}

#[tokio::test]
async fn a_refusal_is_dead_after_three_attempts() {
    for status in [400, 404, 422] {
        let office = Office::open(&["events = ringing"]).await;
        office.oracle.answer(Answer::Status(status));
        office.call();
        let (state, attempts, reason) = office.outcome().await;
        assert_eq!((state.as_str(), attempts), ("dead", 3), "{status}: {reason}");
        assert!(reason.contains(&status.to_string()), "{reason}");
        let attempts: Vec<_> = office.oracle.arrived().iter().map(Arrival::attempt).collect();
        assert_eq!(attempts, [1, 2, 3]);
    }
}

/// A date in one of the three forms that RFC 9110, section 5.6.7, has a receiver accept.
fn date(at: SystemTime, form: usize) -> String {
    let usual = httpdate::fmt_http_date(at);
    // Sun, 06 Nov 1994 08:49:37 GMT
    let words: Vec<&str> = usual.split(' ').collect();
    let [day, number, month, year, time, _] = words[..] else { panic!("{usual}") };
    let long = match day {
        "Mon," => "Monday",
        "Tue," => "Tuesday",
        "Wed," => "Wednesday",
        "Thu," => "Thursday",
        "Fri," => "Friday",
        "Sat," => "Saturday",
        _ => "Sunday",
    };
    match form {
        0 => usual,
        1 => format!("{long}, {number}-{month}-{} {time} GMT", &year[2..]),
        _ => {
            let number = number.strip_prefix('0').map(|digit| format!(" {digit}"));
            let number = number.as_deref().unwrap_or(words[1]);
            format!("{} {month} {number} {time} {year}", &day[..3])
        }
    }
}

#[tokio::test]
async fn nobody_comes_back_earlier_than_retry_after_asks_in_any_form() {
    const WAIT: Duration = Duration::from_secs(2);
    for form in 0..4 {
        let office = Office::open(&["events = ringing"]).await;
        let asked = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH));
        let told = Arc::clone(&asked);
        office.oracle.script(move |number, arrival| {
            if number > 0 {
                return Answer::Status(200);
            }
            let until = arrival.wall + WAIT;
            let whole = until.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            let (until, text) = if form == 3 {
                (until, WAIT.as_secs().to_string())
            } else {
                let until = SystemTime::UNIX_EPOCH + Duration::from_secs(whole);
                (until, date(until, form))
            };
            *told.lock().unwrap() = until;
            Answer::header(if form % 2 == 0 { 503 } else { 429 }, "retry-after", &text)
        });
        office.call();
        office.oracle.wait("the second attempt", |all| all.len() == 2).await;
        let second = office.oracle.arrived()[1].wall;
        assert!(second >= *asked.lock().unwrap(), "form {form}: came too early");
        assert_eq!(office.outcome().await.0, "delivered");
    }
}

#[tokio::test]
async fn a_retry_after_that_makes_no_sense_is_no_reason_to_stay_away() {
    let odd = ["-5", "soon", "", "0.5", "Thu, 05 Mar 1976 09:17:00 GMT", "0", "0x10"];
    let office = Office::open(&["events = ringing"]).await;
    office.oracle.script(move |number, _| match odd.get(number) {
        Some(odd) => Answer::header(503, "retry-after", odd),
        None => Answer::Status(200),
    });
    office.call();
    assert_eq!(office.outcome().await.0, "delivered");
    assert_eq!(office.oracle.count(), odd.len() + 1);
}
