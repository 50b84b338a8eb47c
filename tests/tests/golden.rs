//! The two URLs of the original product's description, byte for byte out of the real binary.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use callhook_pbx::Pbx;
use callhook_receiver::Receiver;
use promises::{Callhook, Ini, targets};

const CALLER: &str = "420774852629";

#[tokio::test]
async fn a_ringing_group_gives_the_golden_url_of_a_ringing() {
    let pbx = Pbx::builder()
        .extension("107", "Bob Marek")
        .ring_group("106", "Front desk", &["107"], callhook_pbx::Strategy::RingAll)
        .did("420226201001", "106")
        .counters(665, 1)
        .visible(&["106", "107", "10007"])
        .group_leg(true)
        .start()
        .await
        .expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let ini = Ini::new(&pbx, &receiver.url()).section("did", &["420226201001 = PragueDID"]);
    let wall = ["--wall-clock", "2021-12-30T10:06:14+01:00"];
    let _hook = Callhook::start_with(&ini, &wall).await;

    pbx.outside(CALLER).calls("420226201001").expect("the call arrives");

    assert_eq!(
        targets(&receiver, 1).await[0],
        "/?event=ringing&callerid=420774852629&user=106&usertype=other&did=PragueDID\
         &id=211230100614_665-0"
    );
}

#[tokio::test]
async fn an_answered_call_gives_the_golden_url_of_a_start() {
    let pbx = Pbx::builder()
        .extension("106", "Alice Novak")
        .did("420226201001", "106")
        .counters(755, 1)
        .party_did(true)
        .start()
        .await
        .expect("the exchange starts");
    let receiver = Receiver::start().await.expect("the receiver starts");
    let ini = Ini::new(&pbx, &receiver.url()).section("did", &["420226201001 = PragueDID"]);
    let wall = ["--wall-clock", "2022-01-06T20:59:45+01:00"];
    let _hook = Callhook::start_with(&ini, &wall).await;

    let call = pbx.outside(CALLER).calls("420226201001").expect("the call arrives");
    targets(&receiver, 1).await;
    pbx.person("106").answers(&call).expect("the phone rings");

    assert_eq!(
        targets(&receiver, 2).await[1],
        "/?callerid=420774852629&event=hangupincoming&user=106&did=PragueDID&trtype=NotDef\
         &id=220106205945_755-1"
    );
}
