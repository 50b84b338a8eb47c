//! From an event to the parameters of the plain GET.
//!
//! The parameters, their order and their odd spellings (a *start* has `event=hangupincoming`) are
//! those of the product that callhook succeeds; receivers out there depend on them. Its later
//! versions spelled some of it another way: the dialect `pickup`.

use callhook_plugin::{
    CallEvent, Did, Direction, EventKind, FinishType, HttpRequest, PartyKind, TransferType,
};

/// Names and values in the order in which they are sent.
pub(crate) type Parameters<'a> = Vec<(&'static str, &'a str)>;

/// The spelling that an endpoint wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A start is `hangupincoming` or `hangupoutgoing`.
    #[default]
    Classic,
    /// A start is `pickupincoming` or `pickupoutgoing`; every event carries `chid`, the id without
    /// the link, and `inbound_did`, the dialled number.
    Pickup,
}

impl Dialect {
    /// That of the endpoint which the draft is for.
    pub(crate) fn of(draft: &HttpRequest) -> Self {
        match draft.extra("dialect") {
            Some("pickup") => Self::Pickup,
            _ => Self::Classic,
        }
    }
}

/// What is sent for an event; `None` for an event that came after 1.0.0.
pub(crate) fn parameters(event: &CallEvent, dialect: Dialect) -> Option<Parameters<'_>> {
    let mut list = classic_parameters(event)?;
    if dialect == Dialect::Pickup {
        if let (EventKind::Started(_), Some(name)) =
            (&event.kind, list.iter_mut().find(|(name, _)| *name == "event"))
        {
            name.1 = pickup_name(event.direction);
        }
        let number = event.did.as_ref().map_or("", |did| did.number.as_str());
        list.extend([("chid", event.chain_id.as_str()), ("inbound_did", number)]);
    }
    Some(list)
}

fn classic_parameters(event: &CallEvent) -> Option<Parameters<'_>> {
    let callerid = ("callerid", event.caller_id.as_str());
    let user = ("user", event.user.number.as_str());
    let usertype = ("usertype", user_type(&event.user.kind));
    let did = ("did", event.did.as_ref().map_or("", Did::label));
    let id = ("id", event.id.as_str());
    let plain = |name| vec![("event", name), callerid, user, id];
    Some(match &event.kind {
        EventKind::Ringing(_) => vec![("event", "ringing"), callerid, user, usertype, did, id],
        EventKind::Started(started) => {
            let mut list = vec![callerid, ("event", start_name(event.direction)), user];
            if came_from_outside(event.direction) {
                list.push(did);
            }
            list.extend([("trtype", transfer_type(started.transfer)), id]);
            list
        }
        EventKind::Ended(ended) => vec![
            callerid,
            ("event", end_name(event.direction)),
            user,
            ("finishtype", finish_type(ended.finish)),
            ("transfer", if ended.transferred { "true" } else { "false" }),
            ("title", &ended.title),
            id,
        ],
        EventKind::RingingStopped(stopped) => vec![
            ("event", "ringing-stopped"),
            callerid,
            user,
            usertype,
            did,
            ("reason", stopped.reason.name()),
            id,
        ],
        EventKind::Dialing => plain("dialing"),
        EventKind::Hold => plain("hold"),
        EventKind::Resume => plain("resume"),
        EventKind::Recording(recording) => {
            vec![("event", "recording"), callerid, user, ("url", &recording.url), id]
        }
        EventKind::Other(_) => return None,
    })
}

/// A call of unknown direction is taken for an incoming one: that is what nearly all calls are
/// that a phone system is asked about, and it keeps their `did`.
fn came_from_outside(direction: Direction) -> bool {
    matches!(direction, Direction::Incoming | Direction::Unknown)
}

fn start_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming | Direction::Unknown => "hangupincoming",
        Direction::Outgoing => "hangupoutgoing",
        Direction::Internal => "hangupinternal",
    }
}

fn pickup_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming | Direction::Unknown => "pickupincoming",
        Direction::Outgoing => "pickupoutgoing",
        Direction::Internal => "pickupinternal",
    }
}

fn end_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming | Direction::Unknown => "incoming",
        Direction::Outgoing => "outgoing",
        Direction::Internal => "internal",
    }
}

fn user_type(kind: &PartyKind) -> &'static str {
    match kind {
        PartyKind::Extension => "ext",
        PartyKind::Queue => "queue",
        PartyKind::Other(_) => "other",
    }
}

fn transfer_type(transfer: TransferType) -> &'static str {
    match transfer {
        TransferType::NotDef => "NotDef",
        TransferType::Blind => "Blind",
        TransferType::Accomp => "Accomp",
    }
}

fn finish_type(finish: FinishType) -> &'static str {
    match finish {
        FinishType::Ok => "Ok",
        FinishType::Missed => "Missed",
    }
}

#[cfg(test)]
#[path = "mapping/tests.rs"] // also where a bench takes this file in
mod tests;
