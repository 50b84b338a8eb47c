//! Each kind of call, played by people at the exchange, arrives as the webhooks it should.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use callhook_pbx::{Call, Hold, Pbx};
use callhook_receiver::Receiver;
use promises::{Callhook, Ini, expect, targets};

const CALLER: &str = "420774852629";

/// The exchange of a small office, its receiver, and callhook in between. The first call has
/// number 1.
struct Office {
    pbx: Pbx,
    receiver: Receiver,
    hook: Callhook,
}

impl Office {
    async fn open() -> Self {
        let pbx = Pbx::small_office().start().await.expect("the exchange starts");
        let receiver = Receiver::start().await.expect("the receiver starts");
        let hook = Callhook::start(&Ini::new(&pbx, &receiver.url())).await;
        Self { pbx, receiver, hook }
    }

    /// Somebody calls this number, and it was told that this many rang.
    async fn call(&self, did: &str, rang: &[&str]) -> Call {
        let call = self.pbx.outside(CALLER).calls(did).expect("the call arrives");
        expect(&self.receiver, rang).await;
        call
    }

    async fn told(&self, expected: &[&str]) {
        expect(&self.receiver, expected).await;
    }
}

#[tokio::test]
async fn an_incoming_call_that_is_answered() {
    let office = Office::open().await;
    let call = office.call("420226201001", &["ringing 106 ext 1-0"]).await;
    office.pbx.person("106").answers(&call).expect("she answers");
    office.told(&["ringing 106 ext 1-0", "hangupincoming 106 NotDef 1-1"]).await;
    office.pbx.outside(CALLER).hangs_up(&call).expect("the caller hangs up");
    let all = ["ringing 106 ext 1-0", "hangupincoming 106 NotDef 1-1", "incoming 106 Ok 1-1"];
    office.told(&all).await;
}

#[tokio::test]
async fn an_incoming_call_that_nobody_answers() {
    let office = Office::open().await;
    let call = office.call("420226201001", &["ringing 106 ext 1-0"]).await;
    office.pbx.outside(CALLER).hangs_up(&call).expect("the caller hangs up");
    office.told(&["ringing 106 ext 1-0", "incoming 106 Missed 1-0"]).await;
}

#[tokio::test]
async fn an_outgoing_call_that_is_answered() {
    let office = Office::open().await;
    let far = office.pbx.outside("420774852631");
    let call = office.pbx.person("107").dials("420774852631").expect("it dials");
    office.hook.wait_for_log("Leg seen.").await;
    far.answers(&call).expect("the far side answers");
    office.told(&["hangupoutgoing 107 NotDef 1-1"]).await;
    office.pbx.person("107").hangs_up(&call).expect("he hangs up");
    office.told(&["hangupoutgoing 107 NotDef 1-1", "outgoing 107 Ok 1-1"]).await;
}

#[tokio::test]
async fn an_outgoing_call_that_is_not_answered() {
    let office = Office::open().await;
    let call = office.pbx.person("107").dials("420774852631").expect("it dials");
    office.hook.wait_for_log("Leg seen.").await;
    office.pbx.person("107").hangs_up(&call).expect("he gives up");
    office.told(&["outgoing 107 Missed 1-0"]).await;
}

#[tokio::test]
async fn a_queue_that_rings_all_and_one_answers() {
    let office = Office::open().await;
    let rang = ["ringing 800 queue 1-0", "ringing 106 ext 1-0", "ringing 107 ext 1-0"];
    let call = office.call("420226201002", &rang).await;
    office.pbx.person("107").answers(&call).expect("he answers");
    let answered = [&rang[..], &["hangupincoming 107 NotDef 1-1"]].concat();
    office.told(&answered).await;
    office.pbx.person("107").hangs_up(&call).expect("he hangs up");
    office.told(&[&answered[..], &["incoming 107 Ok 1-1"]].concat()).await;
}

#[tokio::test]
async fn a_queue_where_nobody_answers() {
    let office = Office::open().await;
    let rang = ["ringing 800 queue 1-0", "ringing 106 ext 1-0", "ringing 107 ext 1-0"];
    let call = office.call("420226201002", &rang).await;
    office.pbx.outside(CALLER).hangs_up(&call).expect("the caller gives up");
    office.told(&[&rang[..], &["incoming 800 Missed 1-0"]].concat()).await;
}

#[tokio::test]
async fn a_ring_group_where_one_answers() {
    let office = Office::open().await;
    let rang = ["ringing 107 ext 1-0", "ringing 108 ext 1-0", "ringing 109 ext 1-0"];
    let call = office.call("420226201003", &rang).await;
    office.pbx.person("109").answers(&call).expect("he answers");
    let answered = [&rang[..], &["hangupincoming 109 NotDef 1-1"]].concat();
    office.told(&answered).await;
    office.pbx.person("109").hangs_up(&call).expect("he hangs up");
    office.told(&[&answered[..], &["incoming 109 Ok 1-1"]].concat()).await;
}

#[tokio::test]
async fn a_ring_group_where_nobody_answers() {
    let pbx = Pbx::small_office().group_leg(true).start().await.expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let _hook = Callhook::start(&Ini::new(&pbx, &receiver.url())).await;
    let call = pbx.outside(CALLER).calls("420226201003").expect("the call arrives");
    let rang = [
        "ringing 810 other 1-0",
        "ringing 107 ext 1-0",
        "ringing 108 ext 1-0",
        "ringing 109 ext 1-0",
    ];
    expect(&receiver, &rang).await;
    pbx.outside(CALLER).hangs_up(&call).expect("the caller gives up");
    expect(&receiver, &[&rang[..], &["incoming 810 Missed 1-0"]].concat()).await;
}

#[tokio::test]
async fn a_receptionist_that_picks_up_first() {
    let office = Office::open().await;
    let call = office.call("420226201004", &["ringing 850 other 1-0"]).await;
    office.pbx.outside(CALLER).chooses(&call, "106").expect("the caller chooses");
    office.told(&["ringing 850 other 1-0", "ringing 106 ext 1-0"]).await;
    office.pbx.person("106").answers(&call).expect("she answers");
    let answered =
        ["ringing 850 other 1-0", "ringing 106 ext 1-0", "hangupincoming 106 NotDef 1-1"];
    office.told(&answered).await;
    office.pbx.outside(CALLER).hangs_up(&call).expect("the caller hangs up");
    office.told(&[&answered[..], &["incoming 106 Ok 1-1"]].concat()).await;
}

#[tokio::test]
async fn voicemail_that_picks_up_is_no_answer() {
    let office = Office::open().await;
    let call = office.call("420226201001", &["ringing 106 ext 1-0"]).await;
    call.goes_to_voicemail().expect("voicemail picks up");
    office.told(&["ringing 106 ext 1-0", "incoming 106 Missed 1-0"]).await;
    office.pbx.outside(CALLER).hangs_up(&call).expect("the caller hangs up");
}

#[tokio::test]
async fn voicemail_that_is_visible_rings_like_any_other_destination() {
    let visible = ["106", "666"];
    let pbx = Pbx::small_office().visible(&visible).start().await.expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let _hook = Callhook::start(&Ini::new(&pbx, &receiver.url())).await;
    let call = pbx.outside(CALLER).calls("420226201001").expect("the call arrives");
    expect(&receiver, &["ringing 106 ext 1-0"]).await;
    call.goes_to_voicemail().expect("voicemail picks up");
    let rang = ["ringing 106 ext 1-0", "ringing 666 other 1-0"];
    expect(&receiver, &rang).await;
    pbx.outside(CALLER).hangs_up(&call).expect("the caller hangs up");
    expect(&receiver, &[&rang[..], &["incoming 106 Missed 1-0"]].concat()).await;
}

#[tokio::test]
async fn an_internal_call_sends_nothing() {
    let office = Office::open().await;
    let internal = office.pbx.person("106").dials("107").expect("it dials");
    office.pbx.person("107").answers(&internal).expect("he answers");
    office.pbx.person("106").hangs_up(&internal).expect("she hangs up");
    // Whatever came of the internal call would have come before this.
    office.call("420226201001", &["ringing 106 ext 2-0"]).await;
}

#[tokio::test]
async fn a_blind_transfer_gives_the_target_the_next_link() {
    let office = Office::open().await;
    let call = office.call("420226201001", &["ringing 106 ext 1-0"]).await;
    office.pbx.person("106").answers(&call).expect("she answers");
    office.told(&["ringing 106 ext 1-0", "hangupincoming 106 NotDef 1-1"]).await;
    office.pbx.person("106").transfers(&call, "107").expect("she transfers");
    let moved = [
        "ringing 106 ext 1-0",
        "hangupincoming 106 NotDef 1-1",
        "incoming 106 Ok moved 1-1",
        "ringing 107 ext 1-2",
    ];
    office.told(&moved).await;
    office.pbx.person("107").answers(&call).expect("he answers");
    let taken = [&moved[..], &["hangupincoming 107 Blind 1-2"]].concat();
    office.told(&taken).await;
    office.pbx.outside(CALLER).hangs_up(&call).expect("the caller hangs up");
    office.told(&[&taken[..], &["incoming 107 Ok 1-2"]].concat()).await;
}

/// With a wall clock that stands still, so that ids can be foretold.
const STOPPED: [&str; 2] = ["--wall-clock", "2022-01-06T20:59:45+01:00"];

#[tokio::test]
async fn an_endpoint_gets_the_further_events_that_it_asks_for() {
    let pbx = Pbx::small_office().hold(Hold::Status).start().await.expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let ini = Ini::new(&pbx, &receiver.url())
        .webhook("events = ringing, ringing-stopped, dialing, start, hold, resume, end")
        .section("titles", &["incoming = Over", "outgoing = Over"]);
    let hook = Callhook::start_with(&ini, &STOPPED).await;

    let bob = pbx.person("107");
    let call = pbx.outside(CALLER).calls("420226201002").expect("the call arrives");
    targets(&receiver, 3).await;
    bob.answers(&call).expect("he answers");
    targets(&receiver, 6).await;
    bob.holds(&call).expect("he holds");
    targets(&receiver, 7).await;
    bob.resumes(&call).expect("he resumes");
    targets(&receiver, 8).await;
    bob.hangs_up(&call).expect("he hangs up");
    targets(&receiver, 9).await;
    let far = pbx.outside("420774852631");
    let call = bob.dials("420774852631").expect("it dials");
    targets(&receiver, 10).await;
    far.answers(&call).expect("the far side answers");
    targets(&receiver, 11).await;
    bob.hangs_up(&call).expect("he hangs up");

    assert_eq!(
        targets(&receiver, 12).await,
        [
            "/?event=ringing&callerid=420774852629&user=800&usertype=queue&did=\
             &id=220106205945_1-0",
            "/?event=ringing&callerid=420774852629&user=106&usertype=ext&did=\
             &id=220106205945_1-0",
            "/?event=ringing&callerid=420774852629&user=107&usertype=ext&did=\
             &id=220106205945_1-0",
            "/?event=ringing-stopped&callerid=420774852629&user=800&usertype=queue&did=\
             &reason=answered-elsewhere&id=220106205945_1-0",
            "/?event=ringing-stopped&callerid=420774852629&user=106&usertype=ext&did=\
             &reason=answered-elsewhere&id=220106205945_1-0",
            "/?callerid=420774852629&event=hangupincoming&user=107&did=&trtype=NotDef\
             &id=220106205945_1-1",
            "/?event=hold&callerid=420774852629&user=107&id=220106205945_1-1",
            "/?event=resume&callerid=420774852629&user=107&id=220106205945_1-1",
            "/?callerid=420774852629&event=incoming&user=107&finishtype=Ok&transfer=false\
             &title=Over&id=220106205945_1-1",
            "/?event=dialing&callerid=420774852631&user=107&id=220106205945_2-0",
            "/?callerid=420774852631&event=hangupoutgoing&user=107&trtype=NotDef\
             &id=220106205945_2-1",
            "/?callerid=420774852631&event=outgoing&user=107&finishtype=Ok&transfer=false\
             &title=Over&id=220106205945_2-1",
        ]
    );
    drop(hook);
}

#[tokio::test]
async fn two_endpoints_with_one_plugin_get_each_its_own_dialect() {
    let pbx = Pbx::small_office().party_did(true).start().await.expect("the exchange starts");
    let (classic, later) = (
        Receiver::start().await.expect("a receiver starts"),
        Receiver::start().await.expect("another one starts"),
    );
    let url = format!("url = {}", later.url());
    let ini = Ini::new(&pbx, &classic.url())
        .section("webhook.later", &[&url, "dialect = pickup"])
        .section("did", &["420226201001 = PragueDID"])
        .section("titles", &["incoming = Over"]);
    let hook = Callhook::start_with(&ini, &STOPPED).await;

    let call = pbx.outside(CALLER).calls("420226201001").expect("the call arrives");
    targets(&later, 1).await;
    pbx.person("106").answers(&call).expect("she answers");
    targets(&later, 2).await;
    pbx.outside(CALLER).hangs_up(&call).expect("the caller hangs up");

    let spelled = [
        "/?event=ringing&callerid=420774852629&user=106&usertype=ext&did=PragueDID\
         &id=220106205945_1-0",
        "/?callerid=420774852629&event=hangupincoming&user=106&did=PragueDID&trtype=NotDef\
         &id=220106205945_1-1",
        "/?callerid=420774852629&event=incoming&user=106&finishtype=Ok&transfer=false\
         &title=Over&id=220106205945_1-1",
    ];
    assert_eq!(targets(&classic, 3).await, spelled);
    let added = "&chid=220106205945_1&inbound_did=420226201001";
    let spelled = spelled.map(|url| url.replace("hangupincoming", "pickupincoming") + added);
    assert_eq!(targets(&later, 3).await, spelled);
    drop(hook);
}
