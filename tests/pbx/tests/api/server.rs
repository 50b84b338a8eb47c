//! The simulated API as a client sees it: tokens, visibility, reads, notices, actions.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callhook_pbx::{Casing, ExpiresIn, Pbx, Strategy};
use serde_json::{Value, json};

use crate::client::Client;

const CALLER: &str = "420774852629";
const ALICE: &str = "420226201001";

/// An office whose first call is 665 and whose first participant, the trunk's, is 1.
async fn office() -> Pbx {
    Pbx::small_office().counters(665, 1).start().await.expect("the exchange starts")
}

#[tokio::test]
async fn a_login_as_a_form_gets_a_token_that_tells_its_end() {
    let pbx = office().await;
    let mut client = Client::new(&pbx);
    let answer = client.log_in(&pbx).await.json();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 3600);
    assert_eq!(answer["refresh_token"], Value::Null);
    let claims = client.token.split('.').nth(1).expect("it looks like a JWT");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("the claims are base64");
    let claims: Value = serde_json::from_slice(&claims).expect("the claims are JSON");
    let [issued, ends] = ["iat", "exp"].map(|claim| claims[claim].as_u64().expect("a time"));
    assert_eq!(ends - issued, 3600);
    assert_eq!(client.get("/callcontrol").await.status, 200);
    assert_eq!(pbx.tokens_issued(), 1);
}

#[tokio::test]
async fn a_login_as_multipart_gets_a_token_and_older_builds_count_minutes() {
    let pbx = Pbx::small_office().expires_in(ExpiresIn::Minutes).start().await.expect("starts");
    let fields = [
        ("client_id", pbx.client_id()),
        ("client_secret", pbx.client_secret()),
        ("grant_type", "client_credentials"),
    ];
    let field = |(name, value): (&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = fields.map(field).concat() + "--x--\r\n";
    let client = Client::new(&pbx);
    let answer = client.post_as("/connect/token", "multipart/form-data; boundary=x", body).await;
    assert_eq!((answer.status, &answer.json()["expires_in"]), (200, &json!(60)));
}

#[tokio::test]
async fn a_login_with_a_wrong_secret_is_refused() {
    let pbx = office().await;
    let form = "client_id=callhook&client_secret=wrong&grant_type=client_credentials".to_owned();
    let kind = "application/x-www-form-urlencoded";
    let answer = Client::new(&pbx).post_as("/connect/token", kind, form).await;
    assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("unauthorized")));
    assert_eq!((pbx.tokens_issued(), pbx.counts().logins_refused), (0, 1));
}

#[tokio::test]
async fn a_new_token_ends_the_one_before_and_its_sockets() {
    let pbx = office().await;
    let first = Client::logged_in(&pbx).await;
    let mut socket = first.socket().await.expect("a socket");
    let second = Client::logged_in(&pbx).await;
    assert_eq!(first.get("/callcontrol").await.status, 401);
    assert_eq!(second.get("/callcontrol").await.status, 200);
    assert_eq!(socket.text().await, Err(1008));
}

#[tokio::test]
async fn sockets_may_outlive_their_token() {
    let builder = Pbx::small_office().sockets_outlive_tokens(true);
    let pbx = builder.start().await.expect("the exchange starts");
    let mut socket = Client::logged_in(&pbx).await.socket().await.expect("a socket");
    Client::logged_in(&pbx).await;
    pbx.person("106").dials("107").expect("Bob exists");
    assert!(socket.text().await.is_ok());
}

#[tokio::test]
async fn a_token_that_is_too_old_is_refused_and_its_socket_closed() {
    let builder = Pbx::small_office().token_lifetime(Duration::from_secs(1));
    let pbx = builder.start().await.expect("the exchange starts");
    let client = Client::logged_in(&pbx).await;
    let mut socket = client.socket().await.expect("a socket");
    assert_eq!(socket.text().await, Err(1008));
    assert_eq!(client.get("/callcontrol").await.status, 401);
    assert_eq!(client.socket().await.err(), Some(401));
}

#[tokio::test]
async fn a_socket_wants_the_token_in_the_header_not_in_the_query() {
    let pbx = office().await;
    let client = Client::logged_in(&pbx).await;
    let in_query = format!("/callcontrol/ws?access_token={}", client.token);
    assert_eq!(client.socket_at(&in_query, None).await.err(), Some(401));
    let mut socket = client.socket().await.expect("a socket");
    socket.ping().await.expect("a pong");
}

#[tokio::test]
async fn the_app_sees_its_route_point_and_phones_but_neither_trunk_nor_voicemail() {
    let pbx = office().await;
    let client = Client::logged_in(&pbx).await;
    let all = client.get("/callcontrol").await.json();
    let all = all.as_array().expect("a list").iter();
    let seen: Vec<String> = all.map(|dn| format!("{} {}", dn["dn"], dn["type"])).collect();
    let expected = [
        r#""106" "Wextension""#,
        r#""107" "Wextension""#,
        r#""108" "Wextension""#,
        r#""109" "Wextension""#,
        r#""800" "Wqueue""#,
        r#""810" "Wringgroup""#,
        r#""850" "Wivr""#,
        r#""callhook" "Wroutepoint""#,
    ];
    assert_eq!(seen, expected);
    assert_eq!(client.get("/callcontrol/10007").await.status, 403);
    assert_eq!(client.get("/callcontrol/666/participants").await.status, 403);
    assert_eq!(client.get("/callcontrol/107/participants").await.text, "[]");
    let devices = client.get("/callcontrol/108/devices").await.json();
    assert_eq!(devices.as_array().map(Vec::len), Some(2));
    let id = devices[1]["device_id"].as_str().expect("a contact").replace(';', "%3B");
    let device = client.get(&format!("/callcontrol/108/devices/{id}")).await;
    assert_eq!(device.json(), devices[1]);
}

#[tokio::test]
async fn only_listed_numbers_are_seen_and_told_of() {
    let builder = Pbx::small_office().visible(&["107", "10007"]);
    let pbx = builder.start().await.expect("the exchange starts");
    let client = Client::logged_in(&pbx).await;
    let mut socket = client.socket().await.expect("a socket");
    pbx.outside(CALLER).calls("420226201002").expect("the queue exists");
    assert_eq!(client.get("/callcontrol/106").await.status, 403);
    assert_eq!(socket.event().await, "0 /callcontrol/10007/participants/1");
    assert_eq!(socket.event().await, "0 /callcontrol/10007/participants/1");
    assert_eq!(socket.event().await, "0 /callcontrol/10007/participants/1");
    assert_eq!(socket.event().await, "0 /callcontrol/107/participants/4");
    let trunk = client.get("/callcontrol/10007/participants/1").await.json();
    assert_eq!(trunk["party_caller_id"], CALLER);
    assert_eq!(trunk["party_did"], "420226201002");
}

#[tokio::test]
async fn an_incoming_call_is_told_by_entity_and_read_by_participant() {
    let pbx = office().await;
    let client = Client::logged_in(&pbx).await;
    let mut socket = client.socket().await.expect("a socket");
    let (caller, alice) = (pbx.outside(CALLER), pbx.person("106"));
    let path = "/callcontrol/106/participants/2";

    let call = caller.calls(ALICE).expect("the number exists");
    let frame = socket.text().await.expect("a frame");
    let expected = format!(
        r#"{{"sequence":1,"event":{{"event_type":0,"entity":"{path}","attached_data":null}}}}"#
    );
    assert_eq!(frame, expected);
    let leg = client.get(path).await.json();
    assert_eq!((&leg["status"], &leg["callid"]), (&json!("Ringing"), &json!(665)));
    assert_eq!(leg.as_object().map(serde_json::Map::len), Some(18));

    alice.answers(&call).expect("her phone rings");
    assert_eq!(socket.event().await, format!("0 {path}"));
    assert_eq!(client.get(path).await.json()["status"], "Connected");
    assert_eq!(client.get("/callcontrol/106/participants").await.json()[0]["id"], 2);

    caller.hangs_up(&call).expect("they talk");
    let last = socket.frame().await;
    assert_eq!((&last["sequence"], &last["event"]["event_type"]), (&json!(3), &json!(1)));
    assert_eq!(client.get(path).await.status, 404);
    assert_eq!(pbx.counts().reads_done, 3);
    assert_eq!(pbx.requests().last().map(String::as_str), Some(format!("GET {path} 404").as_str()));
}

#[tokio::test]
async fn the_envelope_may_be_spelled_as_the_guide_prints_it() {
    let builder = Pbx::small_office().casing(Casing::Pascal).duplicates(true);
    let pbx = builder.start().await.expect("the exchange starts");
    let mut socket = Client::logged_in(&pbx).await.socket().await.expect("a socket");
    pbx.outside(CALLER).calls(ALICE).expect("the number exists");
    let (first, second) = (socket.frame().await, socket.frame().await);
    assert_eq!(first["Event"]["EventType"], 0);
    assert_eq!(first["Event"]["Entity"], "/callcontrol/106/participants/2");
    assert_eq!(first["Event"], second["Event"], "upserts may come twice");
    assert_eq!((&first["Sequence"], &second["Sequence"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn a_request_over_the_socket_is_answered_in_the_stream() {
    let pbx = office().await;
    let mut socket = Client::logged_in(&pbx).await.socket().await.expect("a socket");
    pbx.outside(CALLER).calls(ALICE).expect("the number exists");
    socket.event().await;
    let path = "/callcontrol/106/participants/2";
    socket.say(json!({ "RequestID": "x", "Path": path, "RequestData": null }).to_string()).await;
    let event = socket.frame().await["event"].clone();
    assert_eq!((&event["event_type"], &event["entity"]), (&json!(4), &json!(path)));
    let data = &event["attached_data"];
    assert_eq!((&data["RequestID"], &data["StatusCode"]), (&json!("x"), &json!(200)));
    assert_eq!(data["Response"]["status"], "Ringing");
}

#[tokio::test]
async fn an_app_makes_and_drops_calls() {
    let pbx = office().await;
    let client = Client::logged_in(&pbx).await;
    let made = client.post("/callcontrol/107/makecall", &json!({ "destination": CALLER })).await;
    assert_eq!((made.status, &made.json()["finalstatus"]), (200, &json!("Success")));
    assert_eq!(made.json()["result"]["party_caller_id"], CALLER);
    pbx.outside(CALLER).answers(&pbx.call(665)).expect("it rings there");

    let leg = "/callcontrol/107/participants/1";
    let moved = client.post(&format!("{leg}/transferto"), &json!({ "destination": "106" })).await;
    assert_eq!(moved.status, 200);
    assert!(pbx.call(665).rings("106"));
    let refused = client.post("/callcontrol/106/participants/3/answer", &json!({})).await;
    assert_eq!(refused.status, 422, "no direct control");
    let dropped = client.post("/callcontrol/106/participants/3/drop", &json!({})).await;
    assert_eq!(dropped.status, 200);
    assert!(pbx.call(665).is_over());
    let nowhere = client.post("/callcontrol/107/makecall", &json!({ "destination": "1" })).await;
    assert_eq!((nowhere.status, &nowhere.json()["reason"]), (422, &json!("UnknownDestination")));
}

#[tokio::test]
async fn a_plan_that_leads_nowhere_does_not_start() {
    let lost = Pbx::builder().queue("800", "Sales", &["106"], Strategy::RingAll).start().await;
    let error = format!("{:#}", lost.expect_err("106 does not exist"));
    assert!(error.ends_with("800 has the member 106, which is no extension"), "{error}");
}

#[tokio::test]
async fn everything_stops_when_the_exchange_is_dropped() {
    let pbx = office().await;
    let client = Client::logged_in(&pbx).await;
    let mut socket = client.socket().await.expect("a socket");
    let address = pbx.url().trim_start_matches("http://").to_owned();
    drop(pbx);
    assert_eq!(socket.text().await, Err(0));
    for _ in 0..1000 {
        if tokio::net::TcpListener::bind(&address).await.is_ok() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the port is still taken");
}
