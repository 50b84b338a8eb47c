//! What holds of all that is told, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use callhook::event::{CallEvent, Direction, EventKind, FinishType};

use crate::desk::line;

/// 0 for what comes before the start, 1 for the start, 2 for what comes between it and the end, 3
/// for the end.
fn rank(event: &CallEvent) -> u8 {
    match event.kind {
        EventKind::Ringing(_) | EventKind::RingingStopped(_) | EventKind::Dialing => 0,
        EventKind::Started(_) => 1,
        EventKind::Hold | EventKind::Resume => 2,
        _ => 3,
    }
}

/// Checks every chain; `Err` says what is wrong, with all that was told of the chain.
pub(crate) fn check(events: &[CallEvent]) -> Result<(), String> {
    let mut chains: BTreeMap<&str, Vec<&CallEvent>> = BTreeMap::new();
    for event in events {
        chains.entry(event.id.chain.as_str()).or_default().push(event);
    }
    let ids: BTreeSet<&str> = events.iter().map(|event| event.event_id.as_str()).collect();
    if ids.len() != events.len() {
        return Err("an event id was given twice".to_owned());
    }
    for (chain, events) in chains {
        let found = check_chain(&events);
        let story = || events.iter().map(|event| line(event)).collect::<Vec<_>>().join("\n");
        found.map_err(|wrong| format!("{chain}: {wrong}\n{}", story()))?;
    }
    Ok(())
}

fn check_chain(events: &[&CallEvent]) -> Result<(), String> {
    let order: Vec<(u32, u8)> = events.iter().map(|event| (event.id.link, rank(event))).collect();
    if !order.is_sorted() {
        return Err(format!("out of order: {order:?}"));
    }
    let sequence: Vec<u32> = events.iter().map(|event| event.sequence).collect();
    if !sequence.iter().copied().eq(1..=u32::try_from(events.len()).unwrap()) {
        return Err(format!("numbers are missing: {sequence:?}"));
    }
    let last = events.iter().map(|event| event.id.link).max().unwrap_or_default();
    for link in 0..=last {
        let of_link: Vec<&CallEvent> =
            events.iter().copied().filter(|event| event.id.link == link).collect();
        let count = |wanted: u8| of_link.iter().filter(|event| rank(event) == wanted).count();
        let answered = link == 0 && order.contains(&(1, 1));
        if count(3) > 1 || count(1) > 1 {
            return Err(format!("link {link} has {} starts and {} ends", count(1), count(3)));
        }
        if count(2) > 0 && count(1) == 0 {
            return Err(format!("link {link} is on hold without a start"));
        }
        if count(3) == 0 && !of_link.is_empty() && !answered {
            return Err(format!("link {link} has no end"));
        }
        let talked = of_link.iter().any(|event| match &event.kind {
            EventKind::Ended(ended) => ended.finish == FinishType::Ok,
            _ => false,
        });
        if talked != (count(1) == 1) && count(3) == 1 {
            return Err(format!("link {link} ends Ok without a start, or Missed with one"));
        }
        let ways: BTreeSet<bool> =
            of_link.iter().map(|event| event.direction == Direction::Internal).collect();
        if ways.len() > 1 {
            return Err(format!("link {link} is internal and is not"));
        }
    }
    check_ringing(events)?;
    check_hold(events)
}

/// Each ringing ends once: with the start of whoever rang, or by its stop; at the latest before
/// anybody's start and before the end.
fn check_ringing(events: &[&CallEvent]) -> Result<(), String> {
    let mut rings: BTreeSet<(&str, u32)> = BTreeSet::new();
    for event in events {
        let user = event.user.number.as_str();
        let ringer = (user, event.id.link);
        match &event.kind {
            EventKind::Ringing(_) if !rings.insert(ringer) => {
                return Err(format!("{user} rings twice at a time"));
            }
            EventKind::RingingStopped(_) if !rings.remove(&ringer) => {
                return Err(format!("{user} stops ringing and does not ring"));
            }
            EventKind::Started(_) => {
                rings.retain(|(number, _)| *number != user);
                if !rings.is_empty() {
                    return Err(format!("{user} starts while there ring {rings:?}"));
                }
            }
            EventKind::Ended(_) if !rings.is_empty() => {
                return Err(format!("ended, but there ring {rings:?}"));
            }
            EventKind::Dialing if event.direction != Direction::Outgoing => {
                return Err(format!("{user} dials in a call that is not outgoing"));
            }
            _ => {}
        }
    }
    if rings.is_empty() { Ok(()) } else { Err(format!("for ever ring {rings:?}")) }
}

/// Hold and resume take turns, by whoever started.
fn check_hold(events: &[&CallEvent]) -> Result<(), String> {
    let mut talks: Option<(&CallEvent, bool)> = None;
    for event in events {
        let is_hold = event.kind == EventKind::Hold;
        match (&event.kind, talks) {
            (EventKind::Started(_), _) => talks = Some((event, false)),
            (EventKind::Hold | EventKind::Resume, Some((start, on_hold))) => {
                if on_hold == is_hold || start.user.number != event.user.number {
                    return Err(format!("out of turn: {}", line(event)));
                }
                talks = Some((start, is_hold));
            }
            _ => {}
        }
    }
    Ok(())
}
