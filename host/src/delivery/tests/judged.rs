//! Replies that somebody else judges.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;

use super::*;
use crate::reply::{Judgement, Reply};

/// Judges as it is told, one reply after another; then by the status.
struct Bench {
    outbox: Arc<dyn Outbox>,
    judgements: Mutex<VecDeque<Judgement>>,
    heard: Mutex<Vec<Reply>>,
}

impl Judge for Bench {
    fn wants(&self, endpoint: &str) -> bool {
        endpoint == "crm"
    }

    fn judge(&self, case: Case) -> BoxFuture<'_, anyhow::Result<()>> {
        self.heard.lock().unwrap().push(case.reply);
        let judgement = self.judgements.lock().unwrap().pop_front();
        let settlement = (case.conclude)(judgement.as_ref());
        Box::pin(self.outbox.settle(&case.claimed, settlement))
    }
}

fn later(after: Option<Duration>) -> Judgement {
    Judgement::Retry { after, reason: "too many requests".to_owned() }
}

/// A rig with a delivery to `endpoint` whose replies are judged like this.
fn judged(endpoint: EndpointSettings, judgements: Vec<Judgement>) -> (Rig, Arc<Bench>) {
    let mut rig = Rig::new();
    let outbox = Arc::clone(rig.outbox.as_ref().unwrap());
    let (judgements, heard) = (Mutex::new(judgements.into()), Mutex::default());
    let bench = Arc::new(Bench { outbox, judgements, heard });
    rig.start_judged(vec![endpoint], Arc::<Bench>::clone(&bench));
    (rig, bench)
}

#[tokio::test]
async fn a_judgement_outranks_the_status() {
    let receiver = Receiver::start(|seen| match seen.event().as_str() {
        "done" => Answer::Status(404),
        _ => Answer::Headers(200, vec![("x-a", "b".to_owned())]),
    })
    .await;
    let given_up = Judgement::GiveUp("no such user".to_owned());
    let (rig, bench) = judged(endpoint("crm"), vec![Judgement::Done, given_up, later(None)]);
    rig.append(vec![to(&receiver.url("/"), "done", "a")]).await;
    rig.wait_for(1, "delivered").await;
    rig.append(vec![to(&receiver.url("/"), "dead", "a")]).await;
    rig.wait_for(1, "dead").await;
    let reason: String = rig.query("SELECT reason FROM requests WHERE state = 'dead'");
    assert_eq!(reason, "given up by the plugin: no such user");
    rig.append(vec![to(&receiver.url("/"), "later", "a")]).await;
    rig.wait_for(2, "delivered").await;
    assert_eq!(rig.query::<i64>("SELECT attempts FROM requests WHERE event_id = 'later'"), 2);
    let heard = bench.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 4);
    assert_eq!((heard[0].status, heard[1].status), (404, 200));
    assert!(heard[1].headers.contains(&("x-a".to_owned(), "b".to_owned())), "{heard:?}");
}

#[tokio::test]
async fn a_judgement_that_says_later_again_and_again_is_dead_at_the_schedules_end() {
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let (rig, _) = judged(like(|d| d.schedule = vec![SOON; 2]), vec![later(None); 3]);
    rig.append(vec![to(&receiver.url("/"), "e1", "a")]).await;
    rig.wait_for(1, "dead").await;
    let reason: String = rig.query("SELECT reason FROM requests");
    let expected = "the plugin wants it later: too many requests; that was attempt 3, the last one";
    assert_eq!(reason, expected);
    assert_eq!(rig.attempts("postponed"), 3);
    assert_eq!(rig.state(), EndpointState::Working, "the endpoint works");
}

#[tokio::test]
async fn a_judgement_on_a_success_that_says_later_slows_the_endpoint_down() {
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let (rig, _) = judged(endpoint("crm"), vec![later(Some(Duration::from_hours(1)))]);
    let limit = || rig.endpoints.as_ref().unwrap().status()[0].limit;
    let before = limit();
    rig.append(vec![to(&receiver.url("/"), "e1", "a")]).await;
    until(|| rig.attempts("postponed") == 1).await;
    assert!(limit() < before, "{} of {before}", limit());
    until(|| rig.query::<i64>("SELECT due - due_set FROM requests") >= 3_600_000).await;
}

#[tokio::test]
async fn what_a_status_says_of_the_endpoint_holds_whatever_the_judgement_is() {
    let receiver =
        Receiver::start(|_| Answer::Headers(429, vec![("retry-after", "3600".to_owned())])).await;
    let (rig, _) = judged(endpoint("crm"), vec![Judgement::Done]);
    rig.append(vec![to(&receiver.url("/"), "e1", "a")]).await;
    rig.wait_for(1, "delivered").await;
    assert!(matches!(rig.state(), EndpointState::AskedToWait { .. }), "{:?}", rig.state());
}

#[tokio::test]
async fn who_lets_nobody_in_or_says_nothing_is_not_judged() {
    let receiver = Receiver::start(|seen| match seen.event().as_str() {
        "shut" => Answer::Status(401),
        "broken" => Answer::Close,
        _ => Answer::Status(410),
    })
    .await;
    for (event, class) in [("shut", "unauthorized"), ("broken", "broken"), ("gone", "gone")] {
        let (rig, bench) = judged(at(&receiver.url("/")), vec![Judgement::Done]);
        rig.append(vec![to(&receiver.url("/"), event, "a")]).await;
        until(|| rig.attempts(class) >= 1).await;
        assert_eq!(bench.heard.lock().unwrap().len(), 0, "{event}");
        assert_eq!(rig.count("delivered"), 0, "{event}");
    }
}

#[tokio::test]
async fn what_is_given_up_is_dead_though_the_endpoint_is_given_up_too() {
    let receiver = Receiver::start(|_| Answer::Status(500)).await;
    let given_up = Judgement::GiveUp("no".to_owned());
    let (rig, _) = judged(like(|d| d.breaker.attempts = 1), vec![given_up; 3]);
    for event in ["e1", "e2", "e3"] {
        rig.append(vec![to(&receiver.url("/"), event, event)]).await;
    }
    rig.wait_for(3, "dead").await;
    assert!(matches!(rig.state(), EndpointState::GivenUp { .. }), "{:?}", rig.state());
}
