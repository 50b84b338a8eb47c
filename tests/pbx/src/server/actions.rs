//! What an app may do to calls: make them, and act on participants.

use serde_json::{Value, json};

use crate::exchange::{Participant, Refused, Who};
use crate::server::http::Reply;
use crate::server::read::{find_participant, parts};
use crate::server::state::Shared;

/// Does what a POST asks for.
pub(crate) fn act(shared: &Shared, path: &str, data: &Value) -> Reply {
    let parts = parts(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match *parts.as_slice() {
        ["callcontrol", dn, ..] if !shared.look(|state| state.visible(dn)) => Reply::forbidden(),
        ["callcontrol", dn, "makecall"] | ["callcontrol", dn, "devices", _, "makecall"] => {
            make_call(shared, dn, data)
        }
        ["callcontrol", dn, "participants", id, action] => {
            on_participant(shared, dn, id, action, data)
        }
        _ => Reply::error(404, "not_found", "no such resource"),
    }
}

/// A text of a body whose keys are lower case over HTTP and capitalised over the socket.
fn text<'a>(data: &'a Value, key: &str) -> &'a str {
    let fields = data.as_object().into_iter().flatten();
    let found =
        fields.filter(|(name, _)| name.eq_ignore_ascii_case(key)).find_map(|(_, v)| v.as_str());
    found.unwrap_or_default()
}

/// `makecall`: the extension's leg dials the destination.
fn make_call(shared: &Shared, dn: &str, data: &Value) -> Reply {
    let destination = text(data, "destination");
    let made = shared.act(|exchange| {
        let call = exchange.dial(dn, destination)?;
        let anchor = exchange.call(call).map(|call| call.anchor);
        Ok(anchor.and_then(|leg| exchange.participant(leg)).cloned())
    });
    match made {
        Ok(participant) => done(participant.as_ref()),
        Err(refused) => failed(&refused),
    }
}

/// An action on a participant. Those that only attach data change nothing here.
fn on_participant(shared: &Shared, dn: &str, id: &str, action: &str, data: &Value) -> Reply {
    let found = shared.look(|state| find_participant(&state.exchange, dn, id).cloned());
    let Some(leg) = found else {
        return Reply::error(shared.settings.gone_status, "not_found", "no such participant");
    };
    let who = Who::Participant(leg.id);
    let destination = text(data, "destination");
    let acted = shared.act(|exchange| match action {
        "drop" => exchange.hang_up(leg.callid, who),
        "answer" if leg.direct_control => exchange.answer(leg.callid, who),
        "divert" | "routeto" => exchange.divert(leg.callid, who, destination),
        "transferto" => exchange.transfer(leg.callid, who, destination),
        "attach_participant_data" | "attach_party_data" => Ok(()),
        _ => Err(Refused::NotNow(leg.callid, "direct control, or an action that exists")),
    });
    match acted {
        Ok(()) => done(shared.look(|state| state.exchange.participant(leg.id).cloned()).as_ref()),
        Err(refused) => failed(&refused),
    }
}

/// The result of an action that was taken.
fn done(participant: Option<&Participant>) -> Reply {
    let result = json!({
        "finalstatus": "Success",
        "reason": "NotSpecified",
        "result": participant,
        "reasontext": participant.map(|leg| leg.status),
    });
    Reply::json(200, &result)
}

/// The result of an action that makes no sense now.
fn failed(refused: &Refused) -> Reply {
    let reason = match refused {
        Refused::NoNumber(_) | Refused::NoDid(_) => "UnknownDestination",
        Refused::NoCall(_) | Refused::NotIn(..) => "SubjectNotFound",
        Refused::NotNow(..) => "NotSpecified",
    };
    let result = json!({
        "finalstatus": "Failed",
        "reason": reason,
        "result": null,
        "reasontext": refused.to_string(),
    });
    Reply::json(422, &result)
}
