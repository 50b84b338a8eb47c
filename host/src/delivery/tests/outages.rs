//! Endpoints that do not work, or do not want to: what is charged, what waits, what is lost.

use super::*;

/// Whom the endpoint answered with 2xx, in order.
fn delivered(rig: &Rig) -> Vec<String> {
    let all: Option<String> = rig.query(
        "SELECT group_concat(event_id) FROM
            (SELECT event_id FROM requests WHERE state = 'delivered' ORDER BY finished, seq)",
    );
    all.unwrap_or_default().split(',').map(str::to_owned).collect()
}

fn lanes(receiver: &Receiver, count: usize) -> Vec<NewRequest> {
    (0..count).map(|n| to(&receiver.url("/"), &format!("e{n}"), &n.to_string())).collect()
}

#[tokio::test]
async fn while_an_endpoint_is_down_requests_are_not_charged_and_then_all_arrive() {
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let new = lanes(&receiver, 50);
    let address = receiver.stop().await;
    let mut rig = Rig::new();
    // Two attempts a request: without the breaker most would be dead.
    rig.start(vec![like(|d| d.schedule = vec![SOON])]);
    rig.append(new).await;
    until(|| rig.attempts("connect") > 40).await;
    assert_eq!(rig.count("dead"), 0);
    assert!(rig.query::<i64>("SELECT sum(attempts) FROM requests") <= 8, "before it opened");
    assert!(matches!(rig.state(), EndpointState::GivenUp { .. }));
    let receiver = Receiver::start_at(address, |_| Answer::Status(200)).await;
    rig.wait_for(50, "delivered").await;
    assert_eq!(receiver.seen().len(), 50);
    assert_eq!(rig.state(), EndpointState::Working);
}

#[tokio::test]
async fn an_open_breaker_lets_one_request_through_at_a_time() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let receiver = Receiver::start(move |seen| match seen.target.as_str() {
        "/" => Answer::Status(503),
        _ => Answer::When(Arc::clone(&held)),
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| {
        d.schedule = vec![Duration::from_hours(1); 9];
        d.breaker.attempts = 3;
    })]);
    rig.append(lanes(&receiver, 3)).await;
    until(|| matches!(rig.state(), EndpointState::GivenUp { .. })).await;
    let url = receiver.url("/later");
    rig.append((0..20).map(|n| to(&url, &format!("f{n}"), &format!("f{n}"))).collect()).await;
    until(|| receiver.seen().iter().any(|seen| seen.target == "/later")).await;
    // Several looks into the outbox later it is still one.
    rig.append(vec![to(&url, "g", "g")]).await;
    until(|| rig.query::<i64>("SELECT count(*) FROM requests") == 24).await;
    assert_eq!(receiver.seen().iter().filter(|seen| seen.target == "/later").count(), 1);
    gate.add_permits(100);
    rig.wait_for(21, "delivered").await;
}

#[tokio::test]
async fn one_dead_endpoint_of_four_costs_the_others_nothing() {
    let receiver = Receiver::start(|seen| match seen.target.as_str() {
        "/dead" => Answer::Close,
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    let names = ["dead", "a", "b", "c"];
    let mut endpoints: Vec<_> = names.iter().map(|name| endpoint(name)).collect();
    endpoints[0].delivery.breaker = BreakerConfig::default();
    rig.start(endpoints);
    let new = (0..100_u32).flat_map(|n| {
        let receiver = &receiver;
        names.into_iter().map(move |name| NewRequest {
            endpoint: name.to_owned(),
            ..to(&receiver.url(&format!("/{name}")), &format!("e{n}"), &n.to_string())
        })
    });
    rig.append(new.collect()).await;
    rig.wait_for(300, "delivered").await;
    let to_dead = receiver.seen().iter().filter(|seen| seen.target == "/dead").count();
    assert!(to_dead <= 30, "the breaker opened: {to_dead}");
    assert_eq!(rig.count("dead"), 0);
}

#[tokio::test]
async fn a_receiver_that_flaps_loses_nothing_and_keeps_the_order_within_a_lane() {
    let receiver = Receiver::start(|seen| {
        let dice = seen.header("traceparent").as_bytes()[40];
        match dice % 4 {
            0 => Answer::Status(500),
            1 => Answer::Close,
            _ => Answer::Status(200),
        }
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| {
        d.schedule = vec![SOON; 1_000];
        d.order = Order::Strict;
    })]);
    let url = receiver.url("/");
    let new = (0..200).map(|n| to(&url, &format!("e{n}"), &(n % 10).to_string()));
    rig.append(new.collect()).await;
    rig.wait_for(200, "delivered").await;
    let all = delivered(&rig);
    for lane in 0..10 {
        let of_lane: Vec<u32> = all
            .iter()
            .filter_map(|event| event.trim_start_matches('e').parse().ok())
            .filter(|n| n % 10 == lane)
            .collect();
        assert!(of_lane.is_sorted() && of_lane.len() == 20, "{of_lane:?}");
    }
}

#[tokio::test]
async fn a_429_with_retry_after_pauses_every_lane_of_the_endpoint() {
    let receiver =
        Receiver::start(|_| Answer::Headers(429, vec![("retry-after", "3600".to_owned())])).await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    rig.append(lanes(&receiver, 1)).await;
    until(|| matches!(rig.state(), EndpointState::AskedToWait { .. })).await;
    rig.append(lanes(&receiver, 20)).await;
    until(|| rig.query::<i64>("SELECT count(*) FROM requests WHERE attempts = 1") == 1).await;
    assert_eq!(receiver.seen().len(), 1);
    let EndpointState::AskedToWait { more } = rig.state() else { panic!("it waits") };
    assert!(more > Duration::from_secs(3_500), "{more:?}");
}

#[tokio::test]
async fn a_401_pauses_the_endpoint_free_of_charge_until_it_lets_us_in() {
    let open = Arc::new(Mutex::new(false));
    let is_open = Arc::clone(&open);
    let receiver =
        Receiver::start(move |_| Answer::Status(if *is_open.lock().unwrap() { 200 } else { 401 }))
            .await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    rig.append(lanes(&receiver, 10)).await;
    until(|| rig.attempts("unauthorized") > 20).await;
    assert_eq!(rig.query::<i64>("SELECT sum(attempts) FROM requests"), 0);
    assert_eq!(rig.count("dead"), 0);
    *open.lock().unwrap() = true;
    rig.wait_for(10, "delivered").await;
}

#[tokio::test]
async fn a_410_disables_the_endpoint_over_restarts_until_it_is_enabled() {
    let receiver = Receiver::start(|seen| match seen.target.as_str() {
        "/gone" => Answer::Status(410),
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    rig.append(vec![to(&receiver.url("/gone"), "e0", "a")]).await;
    until(|| rig.state() == EndpointState::Disabled).await;
    rig.append(vec![to(&receiver.url("/"), "e1", "b")]).await;
    rig.stop().await;
    rig.reopen();
    rig.start(vec![endpoint("crm")]);
    assert_eq!(rig.state(), EndpointState::Disabled);
    assert_eq!(receiver.seen().len(), 1);
    assert_eq!(rig.count("waiting"), 2, "nothing is lost");
    assert!(!rig.endpoints.as_ref().unwrap().enable("other"));
    assert!(rig.endpoints.as_ref().unwrap().enable("crm"));
    rig.wait_for(1, "delivered").await;
}

#[tokio::test]
async fn another_url_lifts_a_410() {
    let receiver = Receiver::start(|_| Answer::Status(410)).await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    rig.append(vec![to(&receiver.url("/gone"), "e0", "a")]).await;
    until(|| rig.state() == EndpointState::Disabled).await;
    rig.stop().await;
    rig.reopen();
    let mut moved = endpoint("crm");
    moved.url = Url::parse("http://127.0.0.1/new").unwrap();
    rig.start(vec![moved]);
    until(|| receiver.seen().len() == 2).await;
}

#[tokio::test]
async fn what_came_too_late_expires_unsent() {
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let mut rig = Rig::new();
    let stale =
        NewRequest { expires_in: Some(Duration::ZERO), ..to(&receiver.url("/"), "e0", "a") };
    rig.append(vec![stale, to(&receiver.url("/"), "e1", "a")]).await;
    rig.start(vec![endpoint("crm")]);
    rig.wait_for(1, "delivered").await;
    assert_eq!((rig.count("expired"), receiver.seen().len()), (1, 1));
    assert_eq!(receiver.seen()[0].event(), "e1");
    assert!(rig.metrics.render().unwrap().contains("outcome=\"expired\"} 1"));
}

#[tokio::test]
async fn what_fails_for_longer_than_the_bound_leaves_its_turn() {
    let receiver = Receiver::start(|seen| match seen.event().as_str() {
        "a1" => Answer::Status(500),
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| {
        d.order = Order::Bounded(Duration::from_secs(1));
        d.schedule = vec![SOON, Duration::from_hours(1)];
    })]);
    let url = receiver.url("/");
    let events = ["a1", "a2", "a3"];
    rig.append(events.map(|event| to(&url, event, "a")).to_vec()).await;
    rig.wait_for(2, "delivered").await;
    let seen: Vec<String> = receiver.seen().iter().map(Seen::event).collect();
    assert_eq!(seen, ["a1", "a1", "a2", "a3"]);
    assert_eq!(rig.count("waiting"), 1);
}

#[tokio::test]
async fn a_strict_lane_waits_for_as_long_as_it_takes() {
    let receiver = Receiver::start(|seen| match seen.event().as_str() {
        "a1" => Answer::Status(500),
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| {
        d.order = Order::Strict;
        d.schedule = vec![SOON, Duration::from_hours(1)];
    })]);
    let url = receiver.url("/");
    rig.append(["a1", "a2"].map(|event| to(&url, event, "a")).to_vec()).await;
    rig.append(vec![to(&url, "b1", "b")]).await;
    until(|| rig.attempts("server-error") == 2 && rig.count("delivered") == 1).await;
    assert_eq!((rig.count("waiting"), rig.count("behind")), (1, 1));
}

#[tokio::test]
async fn the_log_says_an_outage_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .finish();
    // With a single subscriber around, tracing asks whichever thread comes first whether anybody
    // listens; the threads of other tests would say no.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let new = lanes(&receiver, 30);
    let address = receiver.stop().await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| d.schedule = vec![SOON; 100])]);
    rig.append(new).await;
    until(|| rig.attempts("connect") > 30).await;
    let _receiver = Receiver::start_at(address, |_| Answer::Status(200)).await;
    rig.wait_for(30, "delivered").await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let count = |what: &str| text.matches(what).count();
    assert_eq!(count("A request failed and will be sent again."), 1, "{text}");
    assert_eq!(count("The endpoint does not work;"), 1, "{text}");
    assert_eq!(count("The endpoint works again."), 1, "{text}");
}
