//! Whatever comes first, event or reply, and whatever is lost on the way: every call that is
//! registered is finished, once, and nothing is said of a call before it has a name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::answer::{Judgement, Reply, judge};
use crate::chain::Chain;
use crate::due::{Call, Method, due};
use crate::news;

/// People of the company. 106 to 108 have an id in the directory, 108's is stale; Bitrix24 finds 109
/// by the extension, and does not know 110. 800 is a queue.
const PEOPLE: [&str; 6] = ["106", "107", "108", "109", "110", "800"];
const KNOWN_IDS: [u64; 2] = [6, 7];
const KNOWN_EXTENSION: &str = "109";

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next event.
    Event,
    /// The request whose turn it is arrives and its reply comes back.
    Deliver,
    /// It arrives, but its reply is lost.
    Lose,
    /// Bitrix24 has no time.
    Busy,
    /// The service is killed between the reply and its commit, and starts again.
    Crash,
}

/// A call as the portal knows it.
#[derive(Debug, Default)]
struct Known {
    external_id: String,
    shown: BTreeSet<String>,
    registered: String,
    finished: usize,
}

/// What a portal does, as far as this plugin can see.
#[derive(Debug, Default)]
struct Portal {
    calls: BTreeMap<String, Known>,
}

impl Portal {
    fn user(parameters: &Value) -> Result<String, &'static str> {
        match (parameters["USER_ID"].as_u64(), parameters["USER_PHONE_INNER"].as_str()) {
            (Some(id), _) if KNOWN_IDS.contains(&id) => Ok(id.to_string()),
            (Some(_), _) => Err("User is not found or is not active"),
            (None, Some(KNOWN_EXTENSION)) => Ok("9".to_owned()),
            (None, _) => Err("USER_ID or USER_PHONE_INNER should be set"),
        }
    }

    fn answer(&mut self, call: &Call) -> (u16, Value) {
        match self.result(call.method, &call.parameters) {
            Ok(result) => (200, json!({ "result": result })),
            Err(why) => (400, json!({ "error": "ERROR_CORE", "error_description": why })),
        }
    }

    fn result(&mut self, method: Method, parameters: &Value) -> Result<Value, &'static str> {
        if method == Method::Register {
            return self.register(parameters);
        }
        let id = parameters["CALL_ID"].as_str().expect("it says which call");
        let known = self.calls.get_mut(id).expect("a call that this portal has named");
        let alive = known.finished == 0;
        match method {
            // Whoever is no user has no browser to see it in.
            Method::Show if alive => {
                let users = users(parameters, &known.registered).into_iter();
                known.shown.extend(users.filter(|user| user != "8"));
            }
            Method::Hide if alive => {
                for user in users(parameters, &known.registered) {
                    known.shown.remove(&user);
                }
            }
            Method::Finish => {
                let user = Self::user(parameters)?;
                if !alive {
                    return Err("Call is not found (call should be registered prior to finishing)");
                }
                known.finished += 1;
                known.shown.remove(&user);
                assert!(known.shown.is_empty(), "cards are left: {known:?}");
            }
            Method::AttachRecord if alive => {
                return Err(
                    "Call is not found in the statistic table. Looks like it is not finished yet.",
                );
            }
            _ => {}
        }
        Ok(json!(alive))
    }

    fn register(&mut self, parameters: &Value) -> Result<Value, &'static str> {
        let user = Self::user(parameters)?;
        let external_id = parameters["EXTERNAL_CALL_ID"].as_str().expect("ours").to_owned();
        let same = |known: &Known| {
            known.external_id == external_id && known.registered == user && known.finished == 0
        };
        let twice = self.calls.iter().find(|(_, known)| same(known)).map(|(id, _)| id.clone());
        let id = twice.unwrap_or_else(|| format!("externalCall.{}", self.calls.len()));
        let known = self.calls.entry(id.clone()).or_default();
        known.external_id = external_id;
        known.registered.clone_from(&user);
        if parameters["SHOW"] == 1 {
            known.shown.insert(user);
        }
        Ok(json!({ "CALL_ID": id }))
    }
}

fn users(parameters: &Value, registered: &str) -> Vec<String> {
    match &parameters["USER_ID"] {
        Value::Array(ids) => ids.iter().map(ToString::to_string).collect(),
        Value::Null => vec![registered.to_owned()],
        one => vec![one.to_string()],
    }
}

/// The host: one request at a time, in order; what follows from a reply goes before what waits, or
/// after it.
struct Host {
    kept: Vec<u8>,
    lane: VecDeque<(Call, u32)>,
    follow_ups_first: bool,
    portal: Portal,
    /// Registrations that were sent, by our id of the call and the user.
    registrations: Vec<(String, String)>,
}

impl Host {
    fn event(&mut self, event: &CallEvent) {
        let mut chain = Chain::from_bytes(Some(&self.kept));
        if news::take(&mut chain, event, &settings(&[]), directory).is_ok() {
            let calls = due(&mut chain, &settings(&[]));
            self.kept = chain.to_bytes();
            self.enqueue(calls, false);
        }
    }

    fn enqueue(&mut self, calls: Vec<Call>, first: bool) {
        for call in &calls {
            if call.method == Method::Register {
                let user = format!("{:?}", call.user);
                self.registrations.push((call.external_id.clone(), user));
            }
        }
        let calls = calls.into_iter().map(|call| (call, 1));
        if first {
            calls.rev().for_each(|call| self.lane.push_front(call));
        } else {
            self.lane.extend(calls);
        }
    }

    fn deliver(&mut self, step: Step) {
        let Some((call, attempt)) = self.lane.front().cloned() else { return };
        let (status, body) = match step {
            Step::Busy => {
                (503, json!({ "error": "QUERY_LIMIT_EXCEEDED", "error_description": "" }))
            }
            _ => self.portal.answer(&call),
        };
        if let Step::Lose | Step::Crash = step {
            let attempt = if let Step::Lose = step { attempt + 1 } else { attempt };
            self.lane[0].1 = attempt;
            return;
        }
        let body = body.to_string();
        let reply = Reply { status, body: body.as_bytes(), attempt };
        let mut chain = Chain::from_bytes(Some(&self.kept));
        let judged = judge(&mut chain, call.method, &call.external_id, call.user.clone(), reply);
        let follow_up = due(&mut chain, &settings(&[]));
        self.kept = chain.to_bytes();
        match judged {
            Judgement::Retry(..) => self.lane[0].1 += 1,
            Judgement::Done | Judgement::Settled(_) => drop(self.lane.pop_front()),
            Judgement::GiveUp(why) => panic!("{call:?}: {why}"),
        }
        // One that is tried again stays the first.
        let first = self.follow_ups_first && !matches!(judged, Judgement::Retry(..));
        self.enqueue(follow_up, first);
    }
}

fn person() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&PEOPLE[..])
}

/// One link: who rings (or stops), who answers, if anybody does, and whether it is recorded.
type Talk = (Vec<(&'static str, bool)>, Option<&'static str>, bool);

fn link() -> impl Strategy<Value = Talk> {
    let rings = prop::collection::vec((person(), any::<bool>()), 0..8);
    (rings, prop::option::of(prop::sample::select(&PEOPLE[..5])), any::<bool>())
}

/// The events of a chain of calls. With `stops`, whoever rings at the end is told to have stopped.
fn events(links: &[Talk], stops: bool) -> Vec<CallEvent> {
    let mut events = Vec::new();
    let mut number = 0;
    for (rings, answers, recorded_later) in links {
        let mut ringing_now = BTreeSet::new();
        for (who, begins) in rings {
            if *begins && ringing_now.insert(*who) {
                events.push(ringing(number, who));
            } else if !begins && ringing_now.remove(who) && stops {
                events.push(stopped(number, who));
            }
        }
        if stops {
            let others = ringing_now.iter().filter(|who| Some(**who) != *answers);
            events.extend(others.map(|who| stopped(number, who)));
        }
        let Some(who) = answers else {
            let mut end = ended(number, rings.last().map_or("800", |(who, _)| who), None);
            if let EventKind::Ended(ended) = &mut end.kind {
                ended.unanswered = rings.iter().map(|(who, _)| party(who)).collect();
            }
            events.push(end);
            break;
        };
        number = number.max(1);
        events.push(started(number, who));
        events.push(ended(number, who, Some(1_500)));
        if *recorded_later {
            events.push(recorded(number, who));
        }
        number += 1;
    }
    events
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Event),
        4 => Just(Step::Deliver),
        1 => Just(Step::Lose),
        1 => Just(Step::Busy),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_registered_call_is_finished_once_in_whatever_order_things_come(
        links in prop::collection::vec(link(), 1..5),
        steps in prop::collection::vec(step(), 0..80),
        stops in any::<bool>(),
        follow_ups_first in any::<bool>(),
    ) {
        let mut events = VecDeque::from(events(&links, stops));
        let involved: BTreeSet<_> = events.iter().map(|event| event.link).collect();
        let mut host = Host {
            kept: Vec::new(),
            lane: VecDeque::new(),
            follow_ups_first,
            portal: Portal::default(),
            registrations: Vec::new(),
        };
        for step in steps {
            match step {
                Step::Event => events.pop_front().iter().for_each(|event| host.event(event)),
                other => host.deliver(other),
            }
        }
        // What is left happens without further trouble.
        for event in events {
            host.event(&event);
        }
        let mut left = 1_000;
        while !host.lane.is_empty() {
            host.deliver(Step::Deliver);
            left -= 1;
            prop_assert!(left > 0, "it never ends: {:?}", host.lane);
        }
        let mut by_link: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, known) in &host.portal.calls {
            prop_assert_eq!(known.finished, 1, "{}: {:?}", id, known);
            *by_link.entry(&known.external_id).or_default() += 1;
        }
        prop_assert!(by_link.values().all(|calls| *calls == 1), "{:?}", by_link);
        prop_assert!(by_link.len() <= involved.len());
        let distinct: BTreeSet<_> = host.registrations.iter().collect();
        prop_assert_eq!(distinct.len(), host.registrations.len(), "nobody is asked for twice");
        // Nothing is forgotten: what was registered by the plugin's own account is over.
        let chain = Chain::from_bytes(Some(&host.kept));
        for link in chain.links() {
            prop_assert!(link.outcome.is_some() && link.shown.is_empty(), "{:?}", link);
        }
    }
}
