//! Credentials: whom they are shown to, and where tokens come from.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::super::credentials::Credentials;
use super::*;
use crate::config::{self, OAuth2, Secret};

fn with(receiver: &Receiver, credentials: config::Credentials) -> EndpointSettings {
    let mut settings = like(|config| config.credentials = credentials);
    settings.url = Url::parse(&receiver.url("/")).unwrap();
    settings
}

fn oauth2(tokens: &Receiver, refresh_token: Option<&str>) -> OAuth2 {
    OAuth2 {
        token_url: Url::parse(&tokens.url("/token")).unwrap(),
        client_id: "call:hook".to_owned(),
        client_secret: Some(Secret::new("s&cret")),
        scope: Some("calls write".to_owned()),
        refresh_token: refresh_token.map(Secret::new),
    }
}

fn with_oauth(receiver: &Receiver, oauth2: OAuth2) -> EndpointSettings {
    with(receiver, config::Credentials::OAuth2(oauth2))
}

fn sender(rig: &Rig, settings: &EndpointSettings) -> Client {
    client(rig, settings, &resolver::system())
}

/// The same by a clock of the test's, beside or after others that have these lines.
fn sender_among(
    rig: &Rig,
    settings: &EndpointSettings,
    lines: &Lines,
    clock: &Clock,
) -> (Arc<Credentials>, Client) {
    let (resolver, outbox) = (resolver::system(), rig.outbox.as_ref().unwrap());
    let credentials = Credentials::new(settings, lines, &resolver, outbox, clock).unwrap();
    let credentials = Arc::new(credentials);
    let client = Client::new(settings, 1, Arc::clone(&credentials), &resolver).unwrap();
    (credentials, client)
}

/// Gives the tokens `a1`, `a2` and so on with `r1`, `r2` and so on, each once there is a permit.
async fn slow_token_server(gate: &Arc<Semaphore>) -> Receiver {
    let (gate, count) = (Arc::clone(gate), AtomicUsize::new(0));
    Receiver::start(move |_| {
        let count = count.fetch_add(1, Ordering::SeqCst) + 1;
        let json = format!(
            r#"{{"access_token":"a{count}","expires_in":3600,"refresh_token":"r{count}"}}"#
        );
        Answer::BodyWhen(Arc::clone(&gate), json.into_bytes())
    })
    .await
}

fn granted(json: impl std::fmt::Display) -> Answer {
    Answer::Body(200, json.to_string().into_bytes())
}

/// Gives the tokens `a1`, `a2` and so on, and with them the refresh tokens `r1`, `r2` and so on.
async fn token_server(lifetime: u32) -> Receiver {
    let count = AtomicUsize::new(0);
    Receiver::start(move |_| {
        let count = count.fetch_add(1, Ordering::SeqCst) + 1;
        granted(format_args!(
            r#"{{"access_token":"a{count}","token_type":"bearer","expires_in":{lifetime},"refresh_token":"r{count}"}}"#
        ))
    })
    .await
}

/// The refresh tokens that were spent.
fn spent(tokens: &Receiver) -> Vec<String> {
    let token = |seen: Seen| {
        let mut form = url::form_urlencoded::parse(seen.body.as_bytes()).into_owned();
        form.find_map(|(name, value)| (name == "refresh_token").then_some(value))
    };
    tokens.seen().into_iter().filter_map(token).collect()
}

/// Accepts the token of this number and later ones.
async fn strict_receiver(first: usize) -> Receiver {
    Receiver::start(move |seen| {
        let token = seen.header("authorization");
        let number: usize = token.strip_prefix("Bearer a").unwrap().parse().unwrap();
        Answer::Status(if number >= first { 204 } else { 401 })
    })
    .await
}

#[tokio::test]
async fn fixed_credentials_are_shown_to_the_endpoint_and_to_nobody_else() {
    let receiver = Receiver::start(|_| Answer::Status(204)).await;
    let other = Receiver::start(|_| Answer::Status(204)).await;
    let rig = Rig::new();
    let secret = || Secret::new("s&cret");
    let basic = config::Credentials::Basic { user: "joe".to_owned(), password: secret() };
    let header = config::Credentials::Header { name: "x-api-key".to_owned(), value: secret() };
    let query = config::Credentials::Query { name: "api key".to_owned(), value: secret() };
    for (credentials, header, value) in [
        (basic, "authorization", "Basic am9lOnMmY3JldA=="),
        (config::Credentials::Bearer(secret()), "authorization", "Bearer s&cret"),
        (header, "x-api-key", "s&cret"),
        (query, "", ""),
    ] {
        let client = sender(&rig, &with(&receiver, credentials));
        client.send(&claimed(&receiver.url("/a?x=%20&api+key=mine&y"))).await.unwrap();
        let seen = receiver.seen().pop().unwrap();
        if header.is_empty() {
            assert_eq!(seen.target, "/a?x=%20&y&api+key=s%26cret");
        } else {
            assert_eq!(seen.header(header), value);
            assert_eq!(seen.target, "/a?x=%20&api+key=mine&y");
        }
        client.send(&claimed(&other.url("/b?x=1"))).await.unwrap();
        let seen = format!("{:?}", other.seen().pop().unwrap());
        assert!(!seen.contains("cret") && !seen.contains("authorization"), "{seen}");
    }
}

#[tokio::test]
async fn one_token_is_fetched_for_all_requests() {
    let (tokens, receiver) = (token_server(3600).await, strict_receiver(1).await);
    let rig = Rig::new();
    let client = sender(&rig, &with_oauth(&receiver, oauth2(&tokens, None)));
    let request = claimed(&receiver.url("/"));
    let all = (0..20).map(|_| client.send(&request));
    assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
    let [asked] = &tokens.seen()[..] else { panic!("{:?}", tokens.seen()) };
    assert_eq!(asked.body, "grant_type=client_credentials&scope=calls+write");
    let pair = BASE64_STANDARD.encode("call%3Ahook:s%26cret");
    assert_eq!(asked.header("authorization"), format!("Basic {pair}"));
}

#[tokio::test]
async fn a_token_that_is_over_is_not_used() {
    let (tokens, receiver) = (token_server(0).await, strict_receiver(1).await);
    let rig = Rig::new();
    let client = sender(&rig, &with_oauth(&receiver, oauth2(&tokens, None)));
    for _ in 0..3 {
        client.send(&claimed(&receiver.url("/"))).await.unwrap();
    }
    assert_eq!(receiver.seen().last().unwrap().header("authorization"), "Bearer a3");
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let (tokens, receiver) = (token_server(3600).await, strict_receiver(2).await);
    let rig = Rig::new();
    let client = sender(&rig, &with_oauth(&receiver, oauth2(&tokens, None)));
    let reply = client.send(&claimed(&receiver.url("/"))).await.unwrap();
    assert_eq!((reply.status.as_u16(), tokens.seen().len()), (204, 2));

    let (tokens, never) = (token_server(3600).await, strict_receiver(99).await);
    let client = sender(&rig, &with_oauth(&never, oauth2(&tokens, None)));
    let reply = client.send(&claimed(&never.url("/"))).await.unwrap();
    assert_eq!((reply.status.as_u16(), never.seen().len(), tokens.seen().len()), (401, 2, 2));
}

#[tokio::test]
async fn a_rotated_refresh_token_is_on_disk_before_the_access_token_is_used() {
    let rig = Rig::new();
    let path = rig.folder.path().join("outbox.db");
    let kept = move || -> String {
        let file = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        file.query_row("SELECT value FROM kept WHERE name LIKE 'oauth:%'", [], |row| row.get(0))
            .unwrap_or_default()
    };
    let receiver = Receiver::start(move |_| {
        Answer::Status(if kept().contains(r#""refresh_token":"r1""#) { 204 } else { 500 })
    })
    .await;
    let tokens = token_server(3600).await;
    let settings = with_oauth(&receiver, oauth2(&tokens, Some("r0")));
    let request = claimed(&receiver.url("/"));
    assert_eq!(sender(&rig, &settings).send(&request).await.unwrap().status.as_u16(), 204);
    // The next start goes on with the kept one,
    sender(&rig, &settings).send(&request).await.unwrap();
    // and with another one if the operator says so.
    let changed = with_oauth(&receiver, oauth2(&tokens, Some("new")));
    sender(&rig, &changed).send(&request).await.unwrap();
    let spent: Vec<String> = tokens.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(
        spent,
        ["r0", "r1", "new"].map(|token| format!(
            "grant_type=refresh_token&refresh_token={token}&scope=calls+write"
        ))
    );
}

#[tokio::test]
async fn an_empty_refresh_token_is_none() {
    let tokens =
        Receiver::start(|_| granted(r#"{"access_token":"a1","expires_in":0,"refresh_token":""}"#))
            .await;
    let receiver = strict_receiver(1).await;
    let rig = Rig::new();
    let settings = with_oauth(&receiver, oauth2(&tokens, Some("r0")));
    let request = claimed(&receiver.url("/"));
    let client = sender(&rig, &settings);
    for _ in 0..2 {
        client.send(&request).await.unwrap();
    }
    sender(&rig, &settings).send(&request).await.unwrap();
    assert_eq!(spent(&tokens), ["r0", "r0", "r0"]);
    assert_eq!(rig.query::<u32>("SELECT count(*) FROM kept WHERE name LIKE 'oauth:%'"), 0);
}

#[tokio::test]
async fn an_access_token_that_is_empty_costs_no_refresh_token() {
    let tokens = Receiver::start(|seen| {
        let first = seen.body.contains("refresh_token=r0");
        granted(if first {
            r#"{"access_token":"","refresh_token":"r1"}"#
        } else {
            r#"{"access_token":"a1","refresh_token":"r1"}"#
        })
    })
    .await;
    let receiver = strict_receiver(1).await;
    let rig = Rig::new();
    let settings = with_oauth(&receiver, oauth2(&tokens, Some("r0")));
    let request = claimed(&receiver.url("/"));
    let failure = sender(&rig, &settings).send(&request).await.unwrap_err();
    assert!(matches!(failure, SendFailure::Credentials(_)), "{failure:?}");
    sender(&rig, &settings).send(&request).await.unwrap();
    assert_eq!(spent(&tokens), ["r0", "r1"]);
}

#[tokio::test]
async fn a_refresh_token_goes_with_its_endpoint_under_another_name() {
    let rig = Rig::new();
    let (tokens, receiver) = (token_server(3600).await, strict_receiver(1).await);
    let mut settings = with_oauth(&receiver, oauth2(&tokens, Some("r0")));
    let request = claimed(&receiver.url("/"));
    sender(&rig, &settings).send(&request).await.unwrap();
    settings.name = "renamed".to_owned();
    sender(&rig, &settings).send(&request).await.unwrap();
    assert_eq!(spent(&tokens), ["r0", "r1"]);
}

#[tokio::test]
async fn a_refresh_token_that_was_kept_under_the_endpoints_name_is_found() {
    let rig = Rig::new();
    let (tokens, receiver) = (token_server(3600).await, strict_receiver(1).await);
    let settings = with_oauth(&receiver, oauth2(&tokens, Some("r0")));
    let request = claimed(&receiver.url("/"));
    sender(&rig, &settings).send(&request).await.unwrap();
    let oauth = |column| format!("SELECT {column} FROM kept WHERE name LIKE 'oauth:%'");
    let (kept, name): (String, String) = (rig.query(&oauth("value")), rig.query(&oauth("name")));
    let outbox = rig.outbox.as_ref().unwrap();
    outbox.keep("oauth:crm", Some(&kept)).await.unwrap();
    outbox.keep(&name, None).await.unwrap();
    let client = sender(&rig, &settings);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        rig.query::<String>("SELECT group_concat(name) FROM kept WHERE name LIKE 'oauth:%'"),
        name
    );
    client.send(&request).await.unwrap();
    assert_eq!(spent(&tokens), ["r0", "r1"]);
    // That of other settings is not.
    let foreign = kept.replace("configured\":\"", "configured\":\"x");
    outbox.keep("oauth:crm", Some(&foreign)).await.unwrap();
    outbox.keep(&name, None).await.unwrap();
    sender(&rig, &settings).send(&request).await.unwrap();
    assert_eq!(spent(&tokens), ["r0", "r1", "r0"]);
}

#[tokio::test]
async fn endpoints_with_the_same_credentials_spend_one_line_of_refresh_tokens() {
    let (tokens, receiver) = (token_server(3600).await, strict_receiver(1).await);
    let (rig, clock, lines) = (Rig::new(), Clock::system(), Lines::default());
    let settings = with_oauth(&receiver, oauth2(&tokens, Some("r0")));
    let twin = EndpointSettings { name: "twin".to_owned(), ..settings.clone() };
    let narrow = OAuth2 { scope: None, ..oauth2(&tokens, Some("r0")) };
    let narrow = EndpointSettings { name: "narrow".to_owned(), ..with_oauth(&receiver, narrow) };
    let client = |settings| sender_among(&rig, settings, &lines, &clock).1;
    let [one, two, other] = [&settings, &twin, &narrow].map(client);
    let request = claimed(&receiver.url("/"));
    for sent in futures_util::future::join_all([&one, &two].map(|it| it.send(&request))).await {
        sent.unwrap();
    }
    assert_eq!(spent(&tokens), ["r0"], "they share the access token, too");
    // What is asked for with another scope is another token.
    for client in [&other, &one, &two, &other] {
        client.send(&request).await.unwrap();
    }
    assert_eq!(spent(&tokens), ["r0", "r1"]);
}

#[tokio::test]
async fn who_gives_up_waiting_loses_no_refresh_token() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let tokens = Receiver::start(move |_| {
        let body = br#"{"access_token":"a1","refresh_token":"r1"}"#.to_vec();
        Answer::BodyWhen(Arc::clone(&held), body)
    })
    .await;
    let receiver = strict_receiver(1).await;
    let rig = Rig::new();
    let settings = with_oauth(&receiver, oauth2(&tokens, Some("r0")));
    let client = Arc::new(sender(&rig, &settings));
    let request = claimed(&receiver.url("/"));
    let waiting = tokio::spawn({
        let (client, request) = (Arc::clone(&client), request.clone());
        async move { client.send(&request).await.map(drop) }
    });
    until(|| tokens.seen().len() == 1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    gate.add_permits(1);
    client.send(&request).await.unwrap();
    assert_eq!(tokens.seen().len(), 1);
}

#[tokio::test]
async fn while_a_token_is_good_nobody_waits_for_the_next_one() {
    let gate = Arc::new(Semaphore::new(1));
    let (tokens, receiver) = (slow_token_server(&gate).await, strict_receiver(1).await);
    let (rig, clock) = (Rig::new(), Clock::system());
    let settings = with_oauth(&receiver, oauth2(&tokens, Some("r0")));
    let (credentials, client) = sender_among(&rig, &settings, &Lines::default(), &clock);
    let request = claimed(&receiver.url("/"));
    client.send(&request).await.unwrap();
    clock.skip(3_550);
    for _ in 0..10 {
        client.send(&request).await.unwrap();
        assert_eq!(receiver.seen().pop().unwrap().header("authorization"), "Bearer a1");
    }
    until(|| tokens.seen().len() == 2).await;
    gate.add_permits(1);
    credentials.at_rest().await;
    client.send(&request).await.unwrap();
    assert_eq!(receiver.seen().pop().unwrap().header("authorization"), "Bearer a2");
    assert_eq!(tokens.seen().len(), 2, "one renewed it for all");
    // It is over before the next one is there: now they wait.
    clock.skip(3_601);
    let late = client.send(&request);
    gate.add_permits(1);
    late.await.unwrap();
    assert_eq!(receiver.seen().pop().unwrap().header("authorization"), "Bearer a3");
}

#[tokio::test]
async fn other_settings_never_spend_a_refresh_token_that_is_on_its_way() {
    let gate = Arc::new(Semaphore::new(0));
    let (tokens, receiver) = (slow_token_server(&gate).await, strict_receiver(1).await);
    let (rig, clock) = (Rig::new(), Clock::system());
    let settings = with_oauth(&receiver, oauth2(&tokens, Some("r0")));
    let lines = Lines::default();
    let (_before, old) = sender_among(&rig, &settings, &lines, &clock);
    let request = claimed(&receiver.url("/"));
    let old_sends = tokio::spawn({
        let request = request.clone();
        async move { old.send(&request).await.map(drop) }
    });
    until(|| tokens.seen().len() == 1).await;
    let mut changed = settings.clone();
    changed.delivery.concurrency = 3;
    let (_after, new) = sender_among(&rig, &changed, &lines, &clock);
    gate.add_permits(9);
    new.send(&request).await.unwrap();
    old_sends.await.unwrap().unwrap();
    assert_eq!(tokens.seen().len(), 1);
    // A token for another scope is fetched anew, with the newest refresh token.
    let wider = OAuth2 { scope: Some("all".to_owned()), ..oauth2(&tokens, Some("r0")) };
    let (_, wide) = sender_among(&rig, &with_oauth(&receiver, wider), &lines, &clock);
    wide.send(&request).await.unwrap();
    let spent = tokens.seen().pop().unwrap().body;
    assert_eq!(spent, "grant_type=refresh_token&refresh_token=r1&scope=all");
}

#[tokio::test]
async fn a_stop_waits_for_a_token_that_is_on_its_way() {
    let gate = Arc::new(Semaphore::new(1));
    let (tokens, receiver) = (slow_token_server(&gate).await, strict_receiver(1).await);
    let (mut rig, clock) = (Rig::new(), Clock::system());
    rig.start_at(vec![with_oauth(&receiver, oauth2(&tokens, Some("r0")))], &clock);
    rig.append(vec![to(&receiver.url("/"), "e1", "a")]).await;
    rig.wait_for(1, "delivered").await;
    clock.skip(3_550);
    rig.append(vec![to(&receiver.url("/"), "e2", "a")]).await;
    rig.wait_for(2, "delivered").await;
    until(|| tokens.seen().len() == 2).await;
    let (stop, task) = rig.running.take().unwrap();
    stop.send(()).unwrap();
    gate.add_permits(1);
    task.await.unwrap();
    let kept: String = rig.query("SELECT value FROM kept WHERE name LIKE 'oauth:%'");
    assert!(kept.contains("r2"), "the next start begins with the newest: {kept}");
}

#[tokio::test]
async fn a_server_that_wants_the_client_in_the_body_gets_it_there() {
    let tokens = Receiver::start(|seen| {
        if seen.body.contains("client_secret=s%26cret") {
            granted(r#"{"access_token":"a1","expires_in":"0"}"#)
        } else {
            Answer::Body(401, br#"{"error":"invalid_client"}"#.to_vec())
        }
    })
    .await;
    let receiver = strict_receiver(1).await;
    let rig = Rig::new();
    let client = sender(&rig, &with_oauth(&receiver, oauth2(&tokens, None)));
    for _ in 0..2 {
        client.send(&claimed(&receiver.url("/"))).await.unwrap();
    }
    // Once in vain, and then never again.
    assert_eq!(tokens.seen().len(), 3);
}

#[tokio::test]
async fn who_must_act_is_told_from_what_passes() {
    let receiver = Receiver::start(|_| Answer::Status(204)).await;
    let rig = Rig::new();
    let long = vec![b' '; 100_000];
    for (status, body, denied) in [
        (400, br#"{"error":"invalid_grant","error_description":"r0"}"#.to_vec(), true),
        (401, br#"{"error":"invalid_client"}"#.to_vec(), true),
        (400, br#"{"error":"invalid_scope"}"#.to_vec(), true),
        (404, b"nothing here".to_vec(), true),
        (302, Vec::new(), true),
        (429, Vec::new(), false),
        (500, b"r0".to_vec(), false),
        (400, br#"{"error":"temporarily_unavailable"}"#.to_vec(), false),
        (200, b"<html>r0".to_vec(), false),
        (200, br#"{"access_token":""}"#.to_vec(), false),
        (200, br#"{"access_token":" "}"#.to_vec(), false),
        (200, br#"{"access_token":"a\nb"}"#.to_vec(), false),
        (200, long, false),
    ] {
        let tokens = Receiver::start(move |_| Answer::Body(status, body.clone())).await;
        let client = sender(&rig, &with_oauth(&receiver, oauth2(&tokens, Some("r0"))));
        let failure = client.send(&claimed(&receiver.url("/"))).await.unwrap_err();
        match &failure {
            SendFailure::Denied(_) => assert!(denied, "{status}: {failure}"),
            SendFailure::Credentials(_) => assert!(!denied, "{status}: {failure}"),
            _ => panic!("{status}: {failure:?}"),
        }
        assert!(!failure.to_string().contains("r0"), "{failure}");
        // The server is not asked again at once.
        let asked = tokens.seen().len();
        assert_eq!(client.send(&claimed(&receiver.url("/"))).await.unwrap_err(), failure);
        assert_eq!(tokens.seen().len(), asked);
    }
    assert_eq!(receiver.seen().len(), 0);
}

#[tokio::test]
async fn credentials_that_http_cannot_carry_are_refused_at_the_start() {
    let receiver = Receiver::start(|_| Answer::Status(204)).await;
    let rig = Rig::new();
    for credentials in [
        config::Credentials::Bearer(Secret::new("a\r\nhost: b")),
        config::Credentials::Basic { user: "a:b".to_owned(), password: Secret::new("c") },
        config::Credentials::Header { name: "a b".to_owned(), value: Secret::new("c") },
    ] {
        let settings = with(&receiver, credentials);
        let outbox = rig.outbox.as_ref().unwrap();
        let (lines, clock) = (Lines::default(), Clock::system());
        let made = Credentials::new(&settings, &lines, &resolver::system(), outbox, &clock);
        assert!(made.is_err());
    }
}
