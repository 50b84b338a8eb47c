//! Endpoints that do not work, or do not want to: what is charged, what waits, what is lost.

use super::super::attempts::Attempts;
use super::super::breaker::Sign;
use super::super::endpoint::Endpoint;
use super::super::gate::Lesson;
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
async fn a_pause_that_was_asked_for_outlasts_a_restart_and_other_settings() {
    let receiver =
        Receiver::start(|_| Answer::Headers(503, vec![("retry-after", "3600".to_owned())])).await;
    let mut rig = Rig::new();
    rig.start(vec![endpoint("crm")]);
    rig.append(lanes(&receiver, 1)).await;
    until(|| matches!(rig.state(), EndpointState::AskedToWait { .. })).await;
    let still = |rig: &Rig| {
        let EndpointState::AskedToWait { more } = rig.state() else { panic!("{:?}", rig.state()) };
        assert!(more > Duration::from_secs(3_500), "{more:?}");
    };
    rig.change(vec![like(|d| d.concurrency = 7)]).await;
    still(&rig);
    rig.stop().await;
    rig.reopen();
    rig.start(vec![endpoint("crm")]);
    still(&rig);
    // Another address asked for nothing.
    let mut moved = endpoint("crm");
    moved.url = Url::parse("http://127.0.0.1/new").unwrap();
    rig.change(vec![moved]).await;
    assert_eq!(rig.state(), EndpointState::Working);
}

#[tokio::test]
async fn other_settings_do_not_forget_that_an_endpoint_is_given_up() {
    let receiver = Receiver::start(|_| Answer::Status(503)).await;
    let mut rig = Rig::new();
    let patient = |d: &mut DeliveryConfig| {
        d.breaker.attempts = 3;
        d.breaker.first_probe = Duration::from_hours(1);
        d.breaker.last_probe = Duration::from_hours(1);
        d.schedule = vec![Duration::from_hours(1); 9];
    };
    rig.start(vec![like(patient)]);
    rig.append(lanes(&receiver, 4)).await;
    until(|| matches!(rig.state(), EndpointState::GivenUp { .. })).await;
    until(|| rig.query::<i64>("SELECT count(*) FROM attempts") == 4).await;
    let before = receiver.seen().len();
    rig.append(
        (10..20).map(|n| to(&receiver.url("/"), &format!("e{n}"), &n.to_string())).collect(),
    )
    .await;
    rig.change(vec![like(|d| {
        patient(d);
        d.timeout = Duration::from_secs(9);
    })])
    .await;
    // One is tried at once, in case the old settings were to blame.
    until(|| receiver.seen().len() == before + 1).await;
    let long = Duration::from_mins(50);
    let rests = |state| matches!(state, EndpointState::GivenUp { probe_in } if probe_in > long);
    until(|| rests(rig.state())).await;
    assert_eq!(receiver.seen().len(), before + 1);
}

#[tokio::test]
async fn a_401_pauses_the_endpoint_free_of_charge_until_it_lets_us_in() {
    let open = Arc::new(Mutex::new(false));
    let is_open = Arc::clone(&open);
    let receiver =
        Receiver::start(move |_| Answer::Status(if *is_open.lock().unwrap() { 200 } else { 401 }))
            .await;
    let mut rig = Rig::new();
    rig.start(vec![at(&receiver.url("/"))]);
    rig.append(lanes(&receiver, 10)).await;
    until(|| rig.attempts("unauthorized") > 20).await;
    assert_eq!(rig.query::<i64>("SELECT sum(attempts) FROM requests"), 0);
    assert_eq!(rig.count("dead"), 0);
    *open.lock().unwrap() = true;
    rig.wait_for(10, "delivered").await;
}

#[tokio::test]
async fn what_was_claimed_before_the_endpoint_closed_is_given_back_unsent() {
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let rig = Rig::new();
    let outbox = rig.outbox.as_ref().unwrap();
    let closings: [fn(&Endpoint); 3] = [
        |endpoint| assert!(endpoint.gate().disable(true)),
        |endpoint| {
            let shut = Lesson {
                sign: Some(Sign::Shut),
                took: SOON,
                pushed_back: false,
                quiet: None,
                probe: false,
            };
            endpoint.gate().learn(&shut, Duration::ZERO);
        },
        |endpoint| endpoint.gate().hush(Duration::from_hours(1), Duration::ZERO),
    ];
    rig.append(lanes(&receiver, 1)).await;
    for close in closings {
        let (outbox, clock) = (Arc::clone(outbox), Clock::system());
        let settings = at(&receiver.url("/"));
        let lines = Lines::default();
        let endpoint =
            Endpoint::new(settings, None, &lines, outbox, None, clock, &rig.metrics).unwrap();
        let endpoint = Arc::new(endpoint);
        let mut found = Vec::new();
        while found.is_empty() {
            found = endpoint.outbox.claim("crm", 9).await.unwrap().requests;
        }
        let turn = endpoint.turn(false);
        close(&endpoint);
        let mut attempts = Attempts::default();
        attempts.spawn(|slot| Arc::clone(&endpoint).attempt(found.remove(0), turn, slot));
        attempts.join_next().await.unwrap().unwrap();
        attempts.settled().await;
        assert_eq!(endpoint.gate().load().1, 0, "nothing is under way");
        assert_eq!(rig.query::<i64>("SELECT count(*) FROM attempts"), 0);
        assert_eq!(rig.query::<i64>("SELECT attempts FROM requests"), 0);
    }
    assert!(rig.query::<i64>("SELECT due - due_set FROM requests") > 3_500_000, "until then");
    assert_eq!(receiver.seen().len(), 0);
}

#[tokio::test]
async fn a_410_disables_the_endpoint_over_restarts_until_it_is_enabled() {
    let receiver = Receiver::start(|seen| match seen.target.as_str() {
        "/gone" => Answer::Status(410),
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![at(&receiver.url("/gone"))]);
    rig.append(vec![to(&receiver.url("/gone"), "e0", "a")]).await;
    until(|| rig.state() == EndpointState::Disabled).await;
    rig.append(vec![to(&receiver.url("/"), "e1", "b")]).await;
    rig.stop().await;
    rig.reopen();
    rig.start(vec![at(&receiver.url("/gone"))]);
    assert_eq!(rig.state(), EndpointState::Disabled);
    assert_eq!(receiver.seen().len(), 1);
    assert_eq!(rig.count("waiting"), 2, "nothing is lost");
    assert!(!rig.endpoints.as_ref().unwrap().enable("other"));
    assert!(rig.endpoints.as_ref().unwrap().enable("crm"));
    rig.wait_for(1, "delivered").await;
}

#[tokio::test]
async fn another_url_lifts_a_410_and_takes_over_what_waits() {
    let receiver = Receiver::start(|seen| match seen.target.as_str() {
        "/gone?x=1" => Answer::Status(410),
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    let gone = receiver.url("/gone");
    rig.start(vec![at(&gone)]);
    let new = NewRequest { base: gone.clone(), ..to(&receiver.url("/gone?x=1"), "e0", "a") };
    rig.append(vec![new]).await;
    until(|| rig.state() == EndpointState::Disabled).await;
    // New settings that are only looked at change nothing.
    drop(rig.changes.as_ref().unwrap().prepare(vec![at(&receiver.url("/new"))]).unwrap());
    rig.stop().await;
    rig.reopen();
    rig.start(vec![at(&gone)]);
    assert_eq!(rig.state(), EndpointState::Disabled);
    rig.change(vec![at(&receiver.url("/new"))]).await;
    rig.wait_for(1, "delivered").await;
    assert_eq!(receiver.seen().pop().unwrap().target, "/new?x=1");
    // The old address is as gone as it was.
    rig.change(vec![at(&gone)]).await;
    assert_eq!(rig.state(), EndpointState::Disabled);
}

#[tokio::test]
async fn what_another_host_says_is_not_held_against_the_endpoint() {
    let own = Receiver::start(|_| Answer::Status(200)).await;
    let other = Receiver::start(|seen| match seen.target.as_str() {
        "/gone" => Answer::Status(410),
        _ => Answer::Status(401),
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![at(&own.url("/"))]);
    rig.append(vec![
        to(&other.url("/gone"), "e1", "a"),
        to(&other.url("/shut"), "e2", "b"),
        to(&own.url("/"), "e3", "c"),
    ])
    .await;
    rig.wait_for(2, "dead").await;
    rig.wait_for(1, "delivered").await;
    assert_eq!(rig.state(), EndpointState::Working);
    assert_eq!(other.seen().len(), 4, "one to what is gone, three to what is shut");
    let reason: String = rig.query("SELECT reason FROM requests WHERE event_id = 'e1'");
    assert_eq!(reason, "the answer of a host that is not the endpoint's own was 410 Gone");
}

#[tokio::test]
async fn a_refusal_after_other_failures_is_still_tried_three_times() {
    let receiver = Receiver::start(|seen| match seen.header("x-callhook-attempt").as_str() {
        "1" | "2" => Answer::Status(500),
        _ => Answer::Status(422),
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| d.schedule = vec![SOON; 9])]);
    rig.append(lanes(&receiver, 1)).await;
    rig.wait_for(1, "dead").await;
    assert_eq!(receiver.seen().len(), 5, "two failures and three refusals");
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

#[tokio::test]
async fn a_request_that_failed_keeps_its_turn_for_as_long_as_the_order_says() {
    let receiver = Receiver::start(|seen| match seen.event().as_str() {
        "e1" => Answer::Headers(500, vec![("retry-after", "3600".to_owned())]),
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    let bound = Duration::from_millis(700);
    rig.start(vec![like(|d| {
        d.order = Order::Bounded(bound);
        d.schedule = vec![Duration::from_hours(1)];
    })]);
    let url = receiver.url("/");
    rig.append(vec![to(&url, "e1", "a"), to(&url, "e2", "a")]).await;
    until(|| receiver.seen().len() == 1).await;
    let failed = std::time::Instant::now();
    until(|| receiver.seen().len() == 2).await;
    assert!(failed.elapsed() + SOON > bound, "the other passed before: {:?}", failed.elapsed());
    rig.wait_for(1, "delivered").await;
    assert_eq!(rig.query::<String>("SELECT event_id FROM requests WHERE aside = 1"), "e1");
}

#[tokio::test]
async fn who_asks_for_quiet_again_and_again_does_not_keep_its_lane_for_ever() {
    let receiver = Receiver::start(|seen| match seen.event().as_str() {
        "e1" => Answer::Headers(503, vec![("retry-after", "0".to_owned())]),
        _ => Answer::Status(200),
    })
    .await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| {
        d.order = Order::Bounded(SOON);
        d.schedule = vec![SOON, SOON, Duration::from_hours(1)];
    })]);
    let url = receiver.url("/");
    rig.append(vec![to(&url, "e1", "a"), to(&url, "e2", "a")]).await;
    rig.wait_for(1, "delivered").await;
    assert_eq!(rig.query::<String>("SELECT event_id FROM requests WHERE aside = 1"), "e1");
}

#[tokio::test]
async fn who_asks_to_wait_is_obeyed_while_the_endpoint_is_given_up_too() {
    let receiver =
        Receiver::start(|_| Answer::Headers(500, vec![("retry-after", "3600".to_owned())])).await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| d.breaker.attempts = 1)]);
    rig.append(lanes(&receiver, 3)).await;
    let waits = "SELECT count(*) FROM requests WHERE due - due_set >= 3600000";
    until(|| rig.query::<i64>(waits) == 3).await;
    assert_eq!(receiver.seen().len(), 3, "each once");
}

#[tokio::test]
async fn trouble_with_another_host_is_not_the_endpoints() {
    let busy =
        Receiver::start(|_| Answer::Headers(503, vec![("retry-after", "3600".to_owned())])).await;
    let nobody = Receiver::start(|_| Answer::Status(200)).await.stop().await;
    let own = Receiver::start(|_| Answer::Status(200)).await;
    let mut rig = Rig::new();
    rig.start(vec![like(|d| {
        d.breaker.attempts = 2;
        d.breaker.connects = 2;
        d.breaker.first_probe = Duration::from_hours(1);
        d.schedule = vec![SOON];
    })]);
    let elsewhere = [busy.url("/"), format!("http://{nobody}/")];
    let new = elsewhere.iter().enumerate().flat_map(|(host, url)| {
        (0..5).map(move |n| to(url, &format!("e{host}{n}"), &format!("{host}{n}")))
    });
    rig.append(new.collect()).await;
    rig.wait_for(5, "dead").await;
    until(|| busy.seen().len() == 5).await;
    assert_eq!(rig.state(), EndpointState::Working);
    rig.append(lanes(&own, 5)).await;
    rig.wait_for(5, "delivered").await;
}
