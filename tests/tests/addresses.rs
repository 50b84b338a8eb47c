//! When an endpoint gets another `url`, what waits for it goes there, and what the old address
//! said of itself is not held against the new one.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::sync::Arc;

use callhook_pbx::{Call, Pbx};
use promises::{Answer, Arrival, Callhook, Ini, Ledger, Oracle, PATIENCE, component};
use tokio::sync::watch;

const CALLER: &str = "420774852629";

struct Move {
    pbx: Pbx,
    old: Oracle,
    new: Oracle,
    ini: Ini,
}

impl Move {
    /// The endpoint is at the old receiver's `/in?key=1`.
    async fn prepare(settings: &[&str]) -> Self {
        let pbx = Pbx::small_office().start().await.expect("the exchange starts");
        let (old, new) = (Oracle::start().await, Oracle::start().await);
        let ini = Ini::new(&pbx, &format!("{}in?key=1", old.url()))
            .webhook("events = ringing")
            .webhook("popup_expiry = 1h")
            .webhook("probe_first = 100ms")
            .webhook("probe_last = 300ms");
        let ini = settings.iter().fold(ini, |ini, line| ini.webhook(line));
        Self { pbx, old, new, ini }
    }

    /// The endpoint's new address, at the new receiver.
    fn new_url(&self) -> String {
        format!("url = {}v2/?token=2", self.new.url())
    }

    /// The file says from now on that the endpoint is there.
    fn moves(&self) {
        self.ini.rewrite(&format!("url = {}in?key=1", self.old.url()), &self.new_url());
    }

    /// The same for the next start.
    fn moved(self) -> Self {
        let url = self.new_url();
        Self { ini: self.ini.webhook(&url), ..self }
    }

    fn call(&self) -> Call {
        self.pbx.outside(CALLER).calls("420226201001").expect("the call arrives")
    }

    /// What `deliveries show` says of the only delivery.
    fn shown(&self) -> String {
        let id = Ledger::read(&self.ini.database()).entries[0].id.clone();
        let mut show = Callhook::command(&["deliveries", "show"]);
        let output = show.arg("--config").arg(self.ini.write()).arg(id).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

#[tokio::test]
async fn what_waits_follows_its_endpoint_to_another_address() {
    let office = Move::prepare(&[]).await;
    office.old.answer(Answer::Status(503));
    let hook = Callhook::start(&office.ini).await;
    office.call();
    office.old.wait("the first attempt", |all| !all.is_empty()).await;
    let tried = office.old.arrived().remove(0);
    office.moves();
    hook.reload().await;
    office.new.wait("the request at the new address", |all| all.len() == 1).await;
    let arrived = office.new.arrived().remove(0);
    assert_eq!((arrived.id(), &arrived.body), (tried.id(), &tried.body));
    let data = tried.target.strip_prefix("/in?key=1&").expect("it was made for the old one");
    assert_eq!(arrived.target, format!("/v2/?token=2&{data}"));
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn it_does_so_over_a_restart_and_the_operator_sees_where_it_will_go() {
    let office = Move::prepare(&["schedule = 100ms, 1h"]).await;
    office.old.answer(Answer::Status(503));
    let hook = Callhook::start(&office.ini).await;
    office.call();
    let waits = |ledger: &Ledger| ledger.entries.iter().any(|entry| entry.attempts == 2);
    Ledger::wait(&office.ini.database(), PATIENCE, "it waits an hour", waits).await;
    assert!(hook.stop().await.success());
    assert!(!office.shown().contains("goes to"), "{}", office.shown());
    let office = office.moved();
    let shown = office.shown();
    assert!(
        shown.contains(&format!("goes to   {}v2/?token=2&event=", office.new.url())),
        "{shown}"
    );
    assert!(shown.contains(&format!("GET {}in?key=1&event=", office.old.url())), "{shown}");

    let hook = Callhook::start(&office.ini).await;
    let mut retry = Callhook::command(&["deliveries", "retry", "--state", "waiting"]);
    let output = retry.arg("--config").arg(office.ini.write()).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    office.new.wait("the request at the new address", |all| all.len() == 1).await;
    assert_eq!(office.old.count(), 2);
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn what_a_plugin_sends_to_another_host_stays_there() {
    let other = Oracle::start().await;
    other.answer(Answer::Status(503));
    let office = Move::prepare(&[
        "schedule = 100ms, 200ms, 400ms, 400ms, 400ms, 400ms, 400ms, 400ms, 400ms",
        "allow_hosts = 127.0.0.1",
        "allow_networks = 127.0.0.0/8",
        "plugins = nasty",
    ])
    .await;
    let plugin = format!("file = {}", component("hostile").display());
    let away = format!("do = {}elsewhere?x=1", other.url());
    let Move { pbx, old, new, ini } = office;
    let ini = ini.section("plugin.nasty", &[&plugin, &away]);
    let office = Move { pbx, old, new, ini };
    let hook = Callhook::start(&office.ini).await;
    office.call();
    other.wait("the first attempt", |all| all.len() == 1).await;
    office.moves();
    hook.reload().await;
    other.answer(Answer::Status(200));
    other.wait("it is taken", |all| all.iter().any(Arrival::was_taken)).await;
    assert_eq!(other.arrived().pop().unwrap().target, "/elsewhere?x=1");
    assert_eq!((office.old.count(), office.new.count()), (0, 0));
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn an_address_that_is_gone_is_not_held_against_the_next_one() {
    let office = Move::prepare(&[]).await;
    office.old.answer(Answer::Status(410));
    let hook = Callhook::start(&office.ini).await;
    office.call();
    hook.wait_for_log("it is gone").await;
    office.call();
    office.moves();
    hook.reload().await;
    office.new.wait("both requests", |all| all.len() == 2).await;
    assert_eq!(office.old.count(), 1);
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn nor_if_it_says_so_when_the_next_one_is_in_force() {
    let office = Move::prepare(&[]).await;
    let gate = Arc::new(watch::Sender::new(false));
    office.old.answer(Answer::Behind(Arc::clone(&gate), Box::new(Answer::Status(410))));
    let hook = Callhook::start(&office.ini).await;
    office.call();
    office.old.wait("it is under way", |all| all.len() == 1).await;
    office.moves();
    hook.reload().await;
    gate.send_replace(true);
    office.new.wait("the request at the new address", |all| all.len() == 1).await;
    office.call();
    office.new.wait("the next one, too", |all| all.len() == 2).await;
    assert!(hook.stop().await.success());
}
