//! What an event changes in what Bitrix24 should know.

use crate::chain::{Chain, Facts, Link, Outcome, User};
use crate::settings::{Settings, user_id};
use callhook_plugin::{CallEvent, Direction, Ended, EventKind, FinishType, Party, PartyKind, Side};

/// Bitrix24 keeps no longer ones.
const LONGEST_LINE: usize = 50;

/// Writes down what an event says. `column` is asked for the id of an extension's user, as the
/// directory has it. Fails, with the reason, for an event that Bitrix24 has no use for.
pub fn take(
    chain: &mut Chain,
    event: &CallEvent,
    settings: &Settings,
    column: impl Fn(&str) -> Option<String>,
) -> Result<(), &'static str> {
    if event.direction == Direction::Internal {
        return Err("an internal call is none for the CRM");
    }
    let phone = Some(event.caller_id.clone()).filter(|it| it.bytes().any(|b| b.is_ascii_digit()));
    let phone = phone.or_else(|| settings.withheld_number.clone());
    let phone = phone.ok_or("the number is withheld and the setting withheld_number is not set")?;
    let user_of = |party: &Party| user(party, settings, &column);
    let user = user_of(&event.user);

    if let EventKind::Recording(recording) = &event.kind {
        let link = chain.link(event.link).ok_or("Bitrix24 was not told of the call it is of")?;
        link.recording = Some(recording.url.clone());
        return Ok(());
    }
    let link = chain.open(event.link, || facts(event, phone, settings));
    if link.outcome.is_some() {
        return Err("Bitrix24 was told before that this call is over");
    }
    match (&event.kind, user) {
        (EventKind::Ringing(_) | EventKind::Dialing, Some(user)) => link.rings(&user),
        (EventKind::RingingStopped(_), Some(user)) => link.stops(&user),
        (EventKind::Started(_), user) => link.talks(user.as_ref()),
        (EventKind::Ended(ended), user) => ends(link, event, ended, user, settings, user_of),
        (EventKind::Ringing(_) | EventKind::Dialing | EventKind::RingingStopped(_), None) => {
            return Err("Bitrix24 knows no user for this number");
        }
        _ => return Err("Bitrix24 has no use for this kind of event"),
    }
    Ok(())
}

fn ends(
    link: &mut Link,
    event: &CallEvent,
    ended: &Ended,
    user: Option<User>,
    settings: &Settings,
    user_of: impl Fn(&Party) -> Option<User>,
) {
    let (status, duration) = match (ended.finish, event.direction, ended.hung_up_by) {
        (FinishType::Ok, ..) => ("200", seconds(ended.talk_ms.unwrap_or_default())),
        (FinishType::Missed, Direction::Outgoing, Side::User) => ("603-S", 0),
        (FinishType::Missed, Direction::Outgoing, Side::External) => ("603", 0),
        (FinishType::Missed, ..) => ("304", 0),
    };
    // Somebody has talked whom Bitrix24 does not know: better nobody's than somebody else's call.
    let default = settings.default_user.map(User::Id);
    let user = user.or_else(|| default.clone().filter(|_| ended.finish == FinishType::Ok));
    let reason = (ended.finish == FinishType::Missed).then(|| ended.title.clone());
    link.ends(Outcome { user, duration, status: status.to_owned(), reason });
    // Whoever was not told of before can stand for it now.
    for user in ended.unanswered.iter().filter_map(user_of) {
        link.involve(&user);
    }
    if let Some(default) = default {
        link.involve(&default);
    }
}

/// Bitrix24 takes a call of 0 seconds for one without a conversation.
fn seconds(milliseconds: u32) -> u32 {
    (milliseconds / 1_000 + u32::from(milliseconds % 1_000 >= 500)).max(1)
}

/// Who of Bitrix24's users a party is.
fn user(
    party: &Party,
    settings: &Settings,
    column: impl Fn(&str) -> Option<String>,
) -> Option<User> {
    if let Some(id) = column(&party.number).as_deref().and_then(user_id) {
        return Some(User::Id(id));
    }
    let by_extension = settings.by_extension && matches!(party.kind, PartyKind::Extension);
    by_extension.then(|| User::Extension(party.number.clone()))
}

fn facts(event: &CallEvent, phone: String, settings: &Settings) -> Facts {
    let moved = event.link > 1;
    let start = if moved { &event.occurred_at } else { &event.arrived_at };
    Facts {
        external_id: format!("{}-{}@{}", event.chain_id, event.link, event.pbx),
        phone,
        kind: match event.direction {
            Direction::Outgoing => 1,
            _ if moved => 3,
            _ => 2,
        },
        start: without_fraction(&start.text),
        line: settings.line.clone().or_else(|| dialled(event)),
    }
}

/// The number that was dialled, or the name of its rule.
fn dialled(event: &CallEvent) -> Option<String> {
    let did = event.did.as_ref()?;
    let number = Some(&did.number).filter(|number| !number.is_empty());
    let label = number.or(did.name.as_ref())?;
    Some(label.chars().take(LONGEST_LINE).collect())
}

/// `2026-03-05T09:15:02.120+01:00` without `.120`: the vendor's examples have whole seconds.
fn without_fraction(time: &str) -> String {
    let Some((whole, rest)) = time.split_once('.') else { return time.to_owned() };
    format!("{whole}{}", rest.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}
