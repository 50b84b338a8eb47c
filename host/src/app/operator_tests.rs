//! What is named by its id and cannot be changed is told, each with where it stands.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::authoring::{Step, sample_events};
use crate::metrics::Metrics;
use crate::outbox::{
    Attempt, Class, Commit, FailedTransform, NewRequest, Outbox as _, Settlement, SqliteOutbox,
};
use crate::request::Request;

const ENDPOINT: &str = "webhook";

/// A database of an office without a service.
struct Office {
    _folder: TempDir,
    config: Config,
}

impl Office {
    /// With a request that was delivered, one that is dead, one that waits, and the dead letter of
    /// an event that is no longer kept.
    async fn varied() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ini = folder.path().join("callhook.ini");
        let pbx = "[pbx]\nurl = http://127.0.0.1\nclient_id = a\nclient_secret = b\n";
        std::fs::write(&ini, format!("{pbx}[webhook]\nurl = http://127.0.0.1\n")).unwrap();
        let config = Config::load(&ini).unwrap().config;
        let outbox =
            SqliteOutbox::open(&config.storage, Clock::system(), Metrics::default()).unwrap();
        let requests = ["done", "dead", "waits"].map(request).to_vec();
        let commit = Commit { requests, failures: vec![failure()], ..Commit::default() };
        outbox.append(commit).await.unwrap();
        for claimed in outbox.claim(ENDPOINT, 9).await.unwrap().requests {
            let settlement = match claimed.event_id.as_str() {
                "done" => Settlement::Delivered(attempt()),
                "dead" => Settlement::Dead { attempt: attempt(), reason: "no".to_owned() },
                _ => Settlement::GivenBack(Duration::from_hours(1)),
            };
            outbox.settle(&claimed, settlement).await.unwrap();
        }
        drop(outbox);
        Self { _folder: folder, config }
    }

    fn operator(&self) -> Operator {
        let (config, missing) = (self.config.clone(), Vec::new());
        Operator::open(Partial { config, missing }).unwrap()
    }
}

fn request(event: &str) -> NewRequest {
    NewRequest {
        event_id: event.to_owned(),
        endpoint: ENDPOINT.to_owned(),
        index: 0,
        lane: event.to_owned(),
        sequence: 1,
        generation: 0,
        expires_in: None,
        class: Class::Core,
        base: "http://127.0.0.1/".to_owned(),
        request: Request::draft("http://127.0.0.1/"),
    }
}

fn failure() -> FailedTransform {
    FailedTransform {
        event_id: "lost".to_owned(),
        endpoint: ENDPOINT.to_owned(),
        plugin: "plain-get".to_owned(),
        kind: "trap".to_owned(),
        message: "unreachable".to_owned(),
        details: String::new(),
    }
}

fn attempt() -> Attempt {
    Attempt {
        at: jiff::Timestamp::UNIX_EPOCH,
        took: Duration::ZERO,
        status: Some(200),
        error: None,
        reply: Vec::new(),
        truncated: false,
    }
}

fn id(event: &str) -> String {
    crate::outbox::request_id(event, ENDPOINT, 0, 0)
}

fn ids(events: &[&str]) -> Selection {
    Selection::Ids(events.iter().map(|event| id(event)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_tells_what_has_arrived_already() {
    let office = Office::varied().await;
    let tally = office.operator().retry(&ids(&["done", "dead", "waits"])).unwrap();
    let untouched = vec![(id("done"), DeliveryState::Delivered)];
    assert_eq!(tally, Tally { done: 2, untouched, ..Tally::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burial_tells_what_does_not_wait() {
    let office = Office::varied().await;
    let letter = "lost:webhook".to_owned();
    let mut named: Vec<String> = ["done", "dead", "waits"].map(id).to_vec();
    named.push(letter.clone());
    let tally = office.operator().bury(&Selection::Ids(named), "too late").unwrap();
    let untouched = vec![
        (id("done"), DeliveryState::Delivered),
        (id("dead"), DeliveryState::Dead),
        (letter, DeliveryState::Dead),
    ];
    assert_eq!(tally, Tally { done: 1, untouched, ..Tally::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unknown_name_keeps_the_others_as_they_are() {
    let office = Office::varied().await;
    let mut operator = office.operator();
    let error = operator.retry(&ids(&["dead", "nobody"])).unwrap_err().to_string();
    assert!(error.starts_with(&format!("there is no delivery {}", id("nobody"))), "{error}");
    let dead = operator.editor.scan().show(&id("dead")).unwrap().unwrap();
    assert_eq!(dead.row.state, DeliveryState::Dead);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_keeps_nobody_from_the_others() {
    let office = Office::varied().await;
    let outbox = SqliteOutbox::open(&office.config.storage, Clock::system(), Metrics::default());
    let Step::Event(sample) = sample_events().remove(0) else { panic!("it begins with an event") };
    let event = StoredEvent::new(&sample.event).unwrap();
    let failure = FailedTransform {
        event_id: event.event_id.clone(),
        endpoint: "former".to_owned(),
        ..failure()
    };
    let commit = Commit { events: vec![event], failures: vec![failure], ..Commit::default() };
    outbox.unwrap().append(commit).await.unwrap();
    let dead = DeliveryFilter { states: vec![DeliveryState::Dead], ..DeliveryFilter::default() };
    let tally = office.operator().retry(&Selection::Filter(dead)).unwrap();
    let left_out = [
        "the event of lost:webhook is no longer kept",
        "there is no endpoint former in the settings",
    ];
    let left_out = left_out.map(|why| (why.to_owned(), 1)).into();
    assert_eq!(tally, Tally { done: 1, left_out, ..Tally::default() });
}
