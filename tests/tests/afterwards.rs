//! What becomes known after a call: its recording, and whether a callback was ordered.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use callhook_pbx::{Builder, Pbx};
use callhook_receiver::{Receiver, Webhook};
use promises::{Callhook, Ini, PATIENCE, expect, gists};

const CALLER: &str = "420774852629";
const ENDED: [&str; 2] = ["hangupincoming 106 NotDef 1-1", "incoming 106 Ok 1-1"];
const RECORDED: [&str; 3] = [ENDED[0], ENDED[1], "recording 106  1-1"];

struct Office {
    pbx: Pbx,
    receiver: Receiver,
    ini: Ini,
}

impl Office {
    async fn open(builder: Builder) -> Self {
        let pbx = builder.start().await.expect("the exchange starts");
        let receiver = Receiver::start().await.expect("the receiver starts");
        let ini = Ini::new(&pbx, &receiver.url()).webhook("events = start, end, recording");
        Self { pbx, receiver, ini }
    }

    /// Alice talks with the caller; both was told.
    async fn talk(&self, hook: &Callhook) {
        let call = self.pbx.outside(CALLER).calls("420226201001").expect("the call arrives");
        hook.wait_for_log("Leg seen.").await;
        self.pbx.person("106").answers(&call).expect("she answers");
        expect(&self.receiver, &ENDED[..1]).await;
        self.pbx.outside(CALLER).hangs_up(&call).expect("the caller hangs up");
    }

    /// The title of the end of a call that leaves the queue, by ordering a callback or without.
    async fn title_of_missed(self, ordered: bool) -> String {
        let ini = self.ini.pbx("callback_wait = 1m");
        let hook = Callhook::start(&ini).await;
        hook.wait_for_log("Call log seen.").await;
        let caller = self.pbx.outside(CALLER);
        let call = caller.calls("420226201002").expect("the call arrives");
        for user in ["800", "106", "107"] {
            hook.wait_for_log(&format!("\"user\":\"{user}\"")).await;
        }
        let left = if ordered { caller.orders_callback(&call) } else { caller.hangs_up(&call) };
        left.expect("the caller leaves");
        let ended = |arrived: &Vec<Webhook>| !arrived.is_empty();
        let arrived = self.receiver.wait_until(PATIENCE, ended).await.expect("the end comes");
        assert_eq!(gists(&arrived), ["incoming 800 Missed 1-0"]);
        arrived[0].target.clone()
    }
}

fn recorded() -> Builder {
    Pbx::small_office().configuration_api(true).recordings(true)
}

#[tokio::test]
async fn a_recording_is_told_after_the_end() {
    let office = Office::open(recorded().log_hidden_for(1)).await;
    let hook = Callhook::start(&office.ini).await;
    office.talk(&hook).await;
    expect(&office.receiver, &RECORDED).await;
}

#[tokio::test]
async fn a_kill_between_the_end_and_the_recording_costs_nothing() {
    let office = Office::open(recorded()).await;
    let hook = Callhook::start(&office.ini).await;
    office.pbx.faults().fail_log(503, u32::MAX);
    office.talk(&hook).await;
    expect(&office.receiver, &ENDED).await;
    hook.kill();
    office.pbx.faults().fail_log(503, 0);
    let hook = Callhook::start(&office.ini).await;
    expect(&office.receiver, &RECORDED).await;
    hook.kill();
    let hook = Callhook::start(&office.ini).await;
    hook.wait_for_log("Call log seen.").await;
    expect(&office.receiver, &RECORDED).await;
}

#[tokio::test]
async fn without_the_right_everything_else_is_told() {
    let office = Office::open(Pbx::small_office().recordings(true)).await;
    let hook = Callhook::start(&office.ini).await;
    office.talk(&hook).await;
    expect(&office.receiver, &ENDED).await;
    hook.wait_for_log("call log is not open").await;
    let log = hook.log();
    let lines = log.iter().filter(|line| line.contains("call log is not open"));
    assert_eq!(lines.count(), 1);
    let bad = |line: &&String| line.contains("\"ERROR\"") || line.contains("\"WARN\"");
    let bad: Vec<&String> = log.iter().filter(bad).filter(|line| line.contains("log")).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[tokio::test]
async fn an_end_in_a_queue_tells_of_an_ordered_callback() {
    let office = Office::open(Pbx::small_office().configuration_api(true).queue_callbacks()).await;
    let title = office.title_of_missed(true).await;
    assert!(title.contains("callback%20ordered"), "{title}");
}

#[tokio::test]
async fn an_end_in_a_queue_without_a_callback_says_so() {
    let office = Office::open(Pbx::small_office().configuration_api(true).queue_callbacks()).await;
    let title = office.title_of_missed(false).await;
    assert!(title.contains("ended%20in%20queue%20800") && !title.contains("callback"), "{title}");
}
