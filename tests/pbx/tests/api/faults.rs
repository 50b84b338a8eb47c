//! What a test can make go wrong, and what it can wait for.

use std::time::Duration;

use crate::client::Client;
use callhook_pbx::{Looked, Pbx};

const CALLER: &str = "420774852629";
const ALICE: &str = "420226201001";
const LEG: &str = "/callcontrol/106/participants/2";

async fn office() -> Pbx {
    Pbx::small_office().start().await.expect("the exchange starts")
}

#[tokio::test]
async fn sockets_are_dropped_or_closed_and_new_ones_refused() {
    let pbx = office().await;
    let client = Client::logged_in(&pbx).await;
    let mut socket = client.socket().await.expect("a socket");
    assert_eq!(pbx.open_sockets(), 1);
    pbx.faults().drop_sockets();
    assert_eq!(socket.text().await, Err(0));
    assert_eq!(pbx.open_sockets(), 0);

    pbx.faults().refuse_sockets(503);
    assert_eq!(client.socket().await.err(), Some(503));
    pbx.faults().accept_sockets();
    let mut socket = client.socket().await.expect("a socket");
    pbx.faults().close_sockets(1001);
    assert_eq!(socket.text().await, Err(1001));
    let counts = pbx.counts();
    assert_eq!((counts.sockets_opened, counts.sockets_refused), (2, 1));
}

#[tokio::test]
async fn another_process_takes_the_token_away() {
    let pbx = office().await;
    let mut client = Client::logged_in(&pbx).await;
    let mut socket = client.socket().await.expect("a socket");
    pbx.faults().take_token_away();
    assert_eq!(socket.text().await, Err(1008));
    assert_eq!(client.get("/callcontrol").await.status, 401);
    pbx.faults().refuse_logins(true);
    assert_eq!(client.log_in(&pbx).await.status, 401);
    pbx.faults().refuse_logins(false);
    assert_eq!(client.log_in(&pbx).await.status, 200);
    assert_eq!(client.get("/callcontrol").await.status, 200);
}

#[tokio::test]
async fn reads_fail_or_are_garbled_so_many_times() {
    let pbx = office().await;
    let client = Client::logged_in(&pbx).await;
    pbx.outside(CALLER).calls(ALICE).expect("the number exists");
    pbx.faults().fail_reads(500, 2);
    let statuses = [client.get(LEG).await, client.get(LEG).await, client.get(LEG).await];
    assert_eq!(statuses.map(|answer| answer.status), [500, 500, 200]);
    pbx.faults().garble_reads(1);
    let garbage = client.get(LEG).await.text;
    assert!(serde_json::from_str::<serde_json::Value>(&garbage).is_err());
    pbx.faults().fail_lists(503, 1);
    assert_eq!(client.get("/callcontrol").await.status, 503);
    assert_eq!(client.get("/callcontrol").await.status, 200);
    pbx.faults().forbid_everything(true);
    assert_eq!(client.get("/callcontrol").await.status, 403);
}

#[tokio::test]
async fn a_read_that_comes_too_late_finds_the_participant_gone() {
    let builder = Pbx::small_office().gone_status(410);
    let pbx = builder.start().await.expect("the exchange starts");
    let client = Client::logged_in(&pbx).await;
    let caller = pbx.outside(CALLER);
    let call = caller.calls(ALICE).expect("the number exists");
    pbx.faults().hold_reads(Looked::AtRelease);
    let read = async { client.get(LEG).await.status };
    let meanwhile = async {
        pbx.wait_until("a read", |counts| counts.reads_begun == 1).await.expect("a read comes");
        caller.hangs_up(&call).expect("it rings");
        pbx.faults().release_reads();
    };
    assert_eq!(tokio::join!(read, meanwhile).0, 410);
}

#[tokio::test]
async fn a_read_that_is_answered_late_tells_how_things_stood() {
    let pbx = office().await;
    let client = Client::logged_in(&pbx).await;
    let call = pbx.outside(CALLER).calls(ALICE).expect("the number exists");
    pbx.faults().hold_reads(Looked::AtArrival);
    let read = async { client.get(LEG).await.json() };
    let meanwhile = async {
        pbx.wait_until("a read", |counts| counts.reads_begun == 1).await.expect("a read comes");
        pbx.person("106").answers(&call).expect("her phone rings");
        pbx.faults().release_reads();
    };
    assert_eq!(tokio::join!(read, meanwhile).0["status"], "Ringing");
    pbx.faults().delay_reads(Duration::from_millis(1), Looked::AtRelease);
    assert_eq!(client.get(LEG).await.json()["status"], "Connected");
}

#[tokio::test]
async fn frames_that_no_exchange_would_send_are_sent() {
    let pbx = office().await;
    let mut socket = Client::logged_in(&pbx).await.socket().await.expect("a socket");
    pbx.faults().send_garbage("{\"sequence\":");
    assert_eq!(socket.text().await.as_deref(), Ok("{\"sequence\":"));
    pbx.faults().send_event(0, "/callcontrol/106/devices/1");
    assert_eq!(socket.event().await, "0 /callcontrol/106/devices/1");
}

#[tokio::test]
async fn a_gateway_that_is_down_answers_502_while_calls_go_on() {
    let pbx = office().await;
    let mut client = Client::logged_in(&pbx).await;
    let mut socket = client.socket().await.expect("a socket");
    let call = pbx.outside(CALLER).calls(ALICE).expect("the number exists");
    socket.event().await;
    pbx.faults().gateway_down();
    assert_eq!(socket.text().await, Err(0));
    assert_eq!(client.log_in(&pbx).await.status, 502);
    pbx.person("106").answers(&call).expect("her phone rings");
    pbx.faults().gateway_up();
    assert_eq!(client.get("/callcontrol").await.status, 401);
    client.log_in(&pbx).await;
    assert_eq!(client.get(LEG).await.json()["status"], "Connected");
}

#[tokio::test]
async fn a_restart_ends_calls_without_a_word_and_numbers_them_from_the_start() {
    let builder = Pbx::small_office().counters(665, 1);
    let pbx = builder.start().await.expect("the exchange starts");
    let mut client = Client::logged_in(&pbx).await;
    let mut socket = client.socket().await.expect("a socket");
    let call = pbx.outside(CALLER).calls(ALICE).expect("the number exists");
    socket.event().await;
    pbx.faults().restart();
    assert_eq!(socket.text().await, Err(0));
    assert!(call.is_over());
    client.log_in(&pbx).await;
    assert_eq!(client.get(LEG).await.status, 404);
    let again = pbx.outside(CALLER).calls(ALICE).expect("the number exists");
    assert_eq!(again.id(), 665);
}

#[tokio::test]
async fn a_silent_exchange_keeps_its_sockets_open_and_says_nothing() {
    let pbx = office().await;
    let client = Client::logged_in(&pbx).await;
    let mut socket = client.socket().await.expect("a socket");
    pbx.faults().go_silent();
    pbx.outside(CALLER).calls(ALICE).expect("the number exists");
    socket.say("is anybody there?".to_owned()).await;

    // A request waits for its answer until the exchange speaks; the old socket stays mute.
    let read = client.get(LEG);
    let speak = async {
        tokio::task::yield_now().await;
        pbx.faults().speak();
    };
    let heard = socket.stays_mute_while(async { tokio::join!(read, speak).0.status }).await;
    assert_eq!(heard.expect("the old socket is mute"), 200);
    let mut fresh = client.socket().await.expect("a socket");
    pbx.person("107").dials("109").expect("Dan exists");
    assert_eq!(fresh.event().await, "0 /callcontrol/107/participants/3");
}

#[tokio::test]
async fn a_test_can_wait_until_its_watcher_has_caught_up() {
    let pbx = office().await;
    let client = Client::logged_in(&pbx).await;
    let mut socket = client.socket().await.expect("a socket");
    pbx.wait_for_socket().await.expect("it is open");
    pbx.outside(CALLER).calls(ALICE).expect("the number exists");
    let watch = async {
        let event = socket.event().await;
        let entity = event.trim_start_matches("0 ").to_owned();
        assert_eq!(client.get(&entity).await.status, 200);
        // The pong goes out while the next frame is awaited.
        socket.stays_mute_while(std::future::pending::<()>()).await
    };
    tokio::select! {
        caught_up = pbx.wait_until_caught_up() => caught_up.expect("it reads and answers"),
        ended = watch => panic!("the watcher ended: {ended:?}"),
    }
}

#[tokio::test]
async fn waiting_in_vain_says_for_what() {
    let builder = Pbx::small_office().patience(Duration::from_millis(1));
    let pbx = builder.start().await.expect("the exchange starts");
    let error = pbx.wait_for_socket().await.expect_err("nobody comes").to_string();
    assert!(
        error.starts_with("waited in vain for an open socket; at the end: Counts {"),
        "{error}"
    );
}

#[tokio::test]
async fn all_plays_can_be_acted_out_and_leave_no_call_behind() {
    use callhook_pbx::plays::{Play, Stage};
    use clap::ValueEnum;
    let pbx = office().await;
    let stage = Stage { pace: Duration::ZERO, narrator: &|_| {} };
    for play in Play::value_variants() {
        play.act(&pbx, &stage).await.expect("the play makes sense");
        assert_eq!(pbx.participants(), [], "{play:?}");
    }
}
