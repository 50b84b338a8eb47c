//! The Configuration API, `/xapi/v1`, as far as it says who and what the numbers are, which calls
//! are going on, and what the call log says: `OData`, at most 100 rows a page (documented), with
//! links to the next (documented).

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::exchange::{Call, Kind, Plan};
use crate::server::http::Reply;
use crate::server::state::{Shared, State};

/// The most rows of a page.
const PAGE: usize = 100;

/// The report of the call log.
const CALL_LOG: &str = "ReportCallLogData/Pbx.GetCallLogData(";

/// Reads a page of an entity set, `path` being what follows `/xapi/v1/`.
pub(super) fn read(shared: &Shared, path: &str, query: &str) -> Reply {
    if !shared.settings.configuration_api {
        return Reply::error(403, "forbidden", "the client has no access to the Configuration API");
    }
    if path.starts_with(CALL_LOG) {
        return match shared.change(|state| state.switches.log.take()) {
            Some(instead) => instead,
            None => Reply::json(200, &json!({ "value": shared.change(|it| it.history.read()) })),
        };
    }
    let all = shared.look(|state| match path {
        "ActiveCalls" => Some(state.exchange.calls().map(|it| active(state, it)).collect()),
        _ => rows(state.exchange.plan(), path),
    });
    let Some(all) = all else {
        return Reply::error(404, "not_found", "no such entity set");
    };
    let number = |wanted: &str| {
        let mut options = form_urlencoded::parse(query.as_bytes());
        let found = options.find(|(name, _)| name == wanted);
        found.and_then(|(_, value)| value.parse::<usize>().ok())
    };
    let (skip, top) = (number("$skip").unwrap_or(0), number("$top").unwrap_or(PAGE));
    if top > PAGE {
        return Reply::error(400, "bad_request", "$top is at most 100");
    }
    let page: Vec<&Value> = all.iter().skip(skip).take(top).collect();
    let mut reply = json!({ "@odata.context": format!("$metadata#{path}"), "value": page });
    let next = skip + page.len();
    if next < all.len()
        && let Some(reply) = reply.as_object_mut()
    {
        let link = format!("https://pbx.example.com/xapi/v1/{path}?$top={top}&$skip={next}");
        reply.insert("@odata.nextLink".to_owned(), json!(link));
    }
    Reply::json(200, &reply)
}

/// All rows of an entity set.
fn rows(plan: &Plan, set: &str) -> Option<Vec<Value>> {
    let of_kind = |kind: Kind| plan.dns.iter().filter(move |(_, dn)| dn.kind == kind);
    let rows = match set {
        "Peers" => plan.dns.iter().map(|(number, dn)| peer(number, &dn.name, dn.kind)).collect(),
        "Users" => of_kind(Kind::Extension).map(|(number, dn)| user(number, &dn.name)).collect(),
        "Queues" => of_kind(Kind::Queue)
            .map(|(number, dn)| json!({ "Number": number, "Name": dn.name }))
            .collect(),
        "DidNumbers" => plan
            .dids
            .iter()
            .map(|(number, did)| {
                let rule = json!({ "RuleName": did.rule, "Data": number });
                json!({ "Number": number, "TrunkId": 1, "RoutingRule": rule })
            })
            .collect(),
        "InboundRules" => plan
            .dids
            .iter()
            .filter(|(_, did)| !did.rule.is_empty())
            .map(|(number, did)| {
                json!({ "RuleName": did.rule, "Data": number, "Condition": "BasedOnDID" })
            })
            .collect(),
        _ => return None,
    };
    Some(rows)
}

/// A call that is going on: who is on either side, and the words of its state (all observed).
fn active(state: &State, call: &Call) -> Value {
    let face = |leg: i64| {
        let leg = state.exchange.participant(leg);
        let dn = leg.map(|leg| leg.dn.clone()).unwrap_or_default();
        let name = state.exchange.plan().dns.get(&dn).map(|it| it.name.clone());
        format!("{dn} {}", name.unwrap_or_default())
    };
    let callee = call.talking.or(call.waiting).or(call.offers.first().copied());
    let callee = callee.map(face).unwrap_or_default();
    let voicemail = callee.contains("Voicemail Menu");
    json!({
        "Id": call.id,
        "Caller": face(call.anchor),
        "Callee": if voicemail { "Voicemail Menu".to_owned() } else { callee },
        "Status": if call.talking.is_some() { "Talking" } else { "Routing" },
    })
}

fn peer(number: &str, name: &str, kind: Kind) -> Value {
    let word = match kind {
        Kind::Fax => "Fax",
        Kind::Extension => "Extension",
        Kind::Queue => "Queue",
        Kind::RingGroup => "RingGroup",
        Kind::Receptionist => "IVR",
        Kind::RoutePoint => "RoutePoint",
        Kind::Trunk => "ExternalLine",
        Kind::SpecialMenu => "SpecialMenu",
        Kind::Parking => "Parking",
        Kind::None => "None",
    };
    json!({ "Number": number, "Name": name, "Type": word })
}

fn user(number: &str, name: &str) -> Value {
    let (first, last) = name.split_once(' ').unwrap_or((name, ""));
    let email = format!("{}@example.com", name.to_lowercase().replace(' ', "."));
    json!({
        "Number": number,
        "FirstName": first,
        "LastName": last,
        "DisplayName": name,
        "EmailAddress": email,
    })
}
