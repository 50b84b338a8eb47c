//! Whatever breaks, every link gets exactly one end, nothing comes twice and nothing is missing.
//!
//! Delivery is at least once with a stable id, so "twice" means: under two ids.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use callhook_pbx::{Call, Pbx};
use callhook_receiver::{Receiver, Webhook};
use promises::{Callhook, Ini, PATIENCE, expect, gists};

const CALLER: &str = "420774852629";
const RANG: &str = "ringing 106 ext 1-0";
const STARTED: &str = "hangupincoming 106 NotDef 1-1";
const ENDED: &str = "incoming 106 Ok 1-1";

struct Office {
    pbx: Pbx,
    receiver: Receiver,
    ini: Ini,
}

impl Office {
    async fn open() -> Self {
        let pbx = Pbx::small_office().start().await.expect("the exchange starts");
        let receiver = Receiver::start().await.expect("the receiver starts");
        let ini = Ini::new(&pbx, &receiver.url());
        Self { pbx, receiver, ini }
    }

    /// A call that Alice has answered, and that this was told of.
    async fn talk(&self) -> Call {
        let call = self.pbx.outside(CALLER).calls("420226201001").expect("the call arrives");
        expect(&self.receiver, &[RANG]).await;
        self.pbx.person("106").answers(&call).expect("she answers");
        expect(&self.receiver, &[RANG, STARTED]).await;
        call
    }

    /// Waits until these have been delivered, and holds that nothing else has.
    async fn told_in_any_order(&self, expected: &[String]) {
        let complete = |arrived: &Vec<Webhook>| gists(arrived).len() >= expected.len();
        let waited = self.receiver.wait_until(PATIENCE, complete).await;
        let arrived = waited.unwrap_or_else(|error| panic!("{error:#}\nexpected {expected:#?}"));
        let sorted = |mut gists: Vec<String>| {
            gists.sort();
            gists
        };
        assert_eq!(sorted(gists(&arrived)), sorted(expected.to_vec()));
    }

    fn hang_up(&self, call: &Call) {
        self.pbx.outside(CALLER).hangs_up(call).expect("the caller hangs up");
    }
}

#[tokio::test]
async fn a_socket_lost_in_mid_call_costs_nothing() {
    let office = Office::open().await;
    let _hook = Callhook::start(&office.ini).await;
    let call = office.talk().await;
    office.pbx.faults().refuse_sockets(503);
    office.pbx.faults().drop_sockets();
    office.pbx.wait_for_no_socket().await.expect("the socket is gone");
    office.hang_up(&call);
    let next = office.pbx.outside(CALLER).calls("420226201001").expect("another call arrives");
    office.pbx.faults().accept_sockets();
    // The two calls have no order between them.
    let with_next = [RANG, STARTED, ENDED, "ringing 106 ext 2-0"].map(str::to_owned);
    office.told_in_any_order(&with_next).await;
    office.hang_up(&next);
}

#[tokio::test]
async fn a_token_taken_from_outside_costs_nothing() {
    let office = Office::open().await;
    let _hook = Callhook::start(&office.ini).await;
    let call = office.talk().await;
    office.pbx.faults().take_token_away();
    office.hang_up(&call);
    expect(&office.receiver, &[RANG, STARTED, ENDED]).await;
    assert!(office.pbx.tokens_issued() >= 2, "another token was fetched");
}

#[tokio::test]
async fn a_receiver_that_is_down_for_a_while_gets_everything_in_order() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    office.receiver.answer_status(503);
    let call = office.pbx.outside(CALLER).calls("420226201001").expect("the call arrives");
    let refused = |arrived: &Vec<Webhook>| arrived.iter().filter(|w| w.answer == 503).count() >= 2;
    office.receiver.wait_until(PATIENCE, refused).await.expect("it is tried again");
    office.pbx.person("106").answers(&call).expect("she answers");
    hook.wait_for_log("\"status\":\"Connected\"").await;
    office.hang_up(&call);
    hook.wait_for_log("Leg gone.").await;
    assert!(gists(&office.receiver.arrived()).is_empty(), "nothing was accepted");
    office.receiver.answer_status(200);
    expect(&office.receiver, &[RANG, STARTED, ENDED]).await;
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn a_kill_in_mid_call_costs_nothing() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    let call = office.talk().await;
    hook.kill();
    let hook = Callhook::start(&office.ini).await;
    office.hang_up(&call);
    expect(&office.receiver, &[RANG, STARTED, ENDED]).await;
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn a_call_that_ends_while_callhook_is_dead_gets_its_end() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    let call = office.talk().await;
    hook.kill();
    office.hang_up(&call);
    let _hook = Callhook::start(&office.ini).await;
    expect(&office.receiver, &[RANG, STARTED, ENDED]).await;
}

#[tokio::test]
async fn a_kill_before_delivery_loses_nothing() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    office.receiver.answer_status(503);
    let call = office.pbx.outside(CALLER).calls("420226201001").expect("the call arrives");
    let refused = |arrived: &Vec<Webhook>| !arrived.is_empty();
    office.receiver.wait_until(PATIENCE, refused).await.expect("it is tried");
    hook.kill();
    office.receiver.answer_status(200);
    let _hook = Callhook::start(&office.ini).await;
    expect(&office.receiver, &[RANG]).await;
    office.hang_up(&call);
    expect(&office.receiver, &[RANG, "incoming 106 Missed 1-0"]).await;
}

#[tokio::test]
async fn kills_at_any_step_of_many_calls_lose_and_repeat_nothing() {
    let office = Office::open().await;
    let mut hook = Callhook::start(&office.ini).await;
    let mut expected: Vec<String> = Vec::new();
    for number in 1..=12 {
        let call = office.pbx.outside(CALLER).calls("420226201001").expect("the call arrives");
        for (step, told) in ["ringing 106 ext", "hangupincoming 106 NotDef", "incoming 106 Ok"]
            .into_iter()
            .enumerate()
        {
            match step {
                0 => {}
                1 => office.pbx.person("106").answers(&call).expect("she answers"),
                _ => office.hang_up(&call),
            }
            if number % 3 == step {
                hook.kill();
                hook = Callhook::start(&office.ini).await;
            }
            expected.push(format!("{told} {number}-{}", step.min(1)));
            office.told_in_any_order(&expected).await;
        }
    }
}

#[tokio::test]
async fn a_stop_signal_ends_the_service_cleanly() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    let call = office.talk().await;
    assert_eq!(hook.stop().await.code(), Some(0));
    office.hang_up(&call);
}
