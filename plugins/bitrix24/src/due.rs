//! From what Bitrix24 should know and what it was told to what it has to be told now.

use serde_json::{Map, Value, json};

use crate::chain::{Chain, Finish, Link, Outcome, Registration, User};
use crate::settings::Settings;

/// Something to tell Bitrix24 of a link.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What to tell.
    pub method: Method,
    /// Of which link: the id that we gave it.
    pub external_id: String,
    /// For whom, where it is one user.
    pub user: Option<User>,
    /// The parameters.
    pub parameters: Value,
}

/// The methods of Bitrix24 that are used, `telephony.externalCall.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The call is there.
    Register,
    /// These users should see its card.
    Show,
    /// These users should no longer see it.
    Hide,
    /// It is over.
    Finish,
    /// Its recording is there.
    AttachRecord,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Register, Self::Show, Self::Hide, Self::Finish, Self::AttachRecord];

    /// Its last word, by which it is known again in a request's tag.
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Show => "show",
            Self::Hide => "hide",
            Self::Finish => "finish",
            Self::AttachRecord => "attachRecord",
        }
    }

    /// Whether it only matters while the phone rings.
    pub fn is_fleeting(self) -> bool {
        matches!(self, Self::Show | Self::Hide)
    }
}

/// Everything that is due for a chain, in order; from then on it counts as told.
pub fn due(chain: &mut Chain, settings: &Settings) -> Vec<Call> {
    let mut calls = Vec::new();
    for link in chain.links_mut() {
        match link.registration.clone() {
            Registration::Open => calls.extend(register(link, settings)),
            Registration::Asked(_) | Registration::Refused(_) => {}
            Registration::Known { user, call_id } => match link.outcome.clone() {
                None if settings.show => cards(link, &user, &call_id, &mut calls),
                None => {}
                Some(outcome) => over(link, &user, &call_id, &outcome, settings, &mut calls),
            },
        }
    }
    calls
}

/// The registration, for the first one who can stand for the call.
fn register(link: &mut Link, settings: &Settings) -> Option<Call> {
    let user = link.candidate()?.clone();
    let show = settings.show && link.present.contains(&user);
    link.registration = Registration::Asked(user.clone());
    link.shown = if show { vec![user.clone()] } else { Vec::new() };
    let facts = &link.facts;
    let mut parameters = json!({
        "PHONE_NUMBER": facts.phone,
        "TYPE": facts.kind,
        "CALL_START_DATE": facts.start,
        "CRM_CREATE": u8::from(settings.crm_create),
        "SHOW": u8::from(show),
        "ADD_TO_CHAT": u8::from(settings.add_to_chat),
        "EXTERNAL_CALL_ID": facts.external_id,
    });
    add(&mut parameters, [user_parameter(&user)]);
    add(&mut parameters, settings.crm_source.iter().map(|it| ("CRM_SOURCE", json!(it))));
    add(&mut parameters, facts.line.iter().map(|it| ("LINE_NUMBER", json!(it))));
    Some(call(link, Method::Register, Some(user), parameters))
}

/// Shows the card to whoever should see it and does not, and takes it from the others.
fn cards(link: &mut Link, registered: &User, call_id: &str, calls: &mut Vec<Call>) {
    let hide: Vec<_> = link.shown.extract_if(.., |user| !link.present.contains(user)).collect();
    let show = link.present.iter().filter(|user| !link.shown.contains(user)).cloned();
    let known = show.filter(|user| !link.strangers.contains(user));
    let show: Vec<_> = known.filter(|user| can_see(user, registered)).collect();
    link.shown.extend(show.iter().cloned());
    card(link, Method::Hide, &hide, call_id, calls);
    card(link, Method::Show, &show, call_id, calls);
}

/// One call for all those with an id, and one for whoever the call was registered for by extension.
fn card(link: &Link, method: Method, users: &[User], call_id: &str, calls: &mut Vec<Call>) {
    let ids: Vec<u64> = users
        .iter()
        .filter_map(|user| match user {
            User::Id(id) => Some(*id),
            User::Extension(_) => None,
        })
        .collect();
    if ids.len() < users.len() {
        // Without a user it is for the one that the call was registered for: documented of `show`;
        // of `hide` it is what the vendor's published source does.
        calls.push(call(link, method, None, json!({ "CALL_ID": call_id })));
    }
    let ids = match ids.as_slice() {
        [] => return,
        [one] => json!(one),
        several => json!(several),
    };
    calls.push(call(link, method, None, json!({ "CALL_ID": call_id, "USER_ID": ids })));
}

/// Whether there is a way to show the card to somebody: `show` and `hide` know users by id only,
/// but without one they mean whoever the call was registered for.
fn can_see(user: &User, registered: &User) -> bool {
    matches!(user, User::Id(_)) || user == registered
}

/// What is due when a call is over.
fn over(
    link: &mut Link,
    registered: &User,
    call_id: &str,
    outcome: &Outcome,
    settings: &Settings,
    calls: &mut Vec<Call>,
) {
    if link.finish == Finish::Open {
        link.finish = Finish::Told;
        let known = outcome.user.clone().filter(|user| !link.strangers.contains(user));
        let user = known.unwrap_or_else(|| registered.clone());
        // `finish` takes the card from its own user alone.
        let others: Vec<_> = std::mem::take(&mut link.shown);
        let others: Vec<_> = others.into_iter().filter(|other| *other != user).collect();
        card(link, Method::Hide, &others, call_id, calls);
        calls.push(finish(link, user, call_id, outcome, settings));
    }
    let attachable = link.finish == Finish::Done && !link.recording_told;
    if let Some(url) = link.recording.clone().filter(|_| attachable) {
        link.recording_told = true;
        let parameters = json!({ "CALL_ID": call_id, "RECORD_URL": url });
        calls.push(call(link, Method::AttachRecord, None, parameters));
    }
}

fn finish(link: &Link, user: User, call_id: &str, outcome: &Outcome, settings: &Settings) -> Call {
    let mut parameters = json!({
        "CALL_ID": call_id,
        "DURATION": outcome.duration,
        "STATUS_CODE": outcome.status,
        "ADD_TO_CHAT": u8::from(settings.add_to_chat),
    });
    add(&mut parameters, [user_parameter(&user)]);
    add(&mut parameters, outcome.reason.iter().map(|it| ("FAILED_REASON", json!(it))));
    call(link, Method::Finish, Some(user), parameters)
}

fn user_parameter(user: &User) -> (&'static str, Value) {
    match user {
        User::Id(id) => ("USER_ID", json!(id)),
        User::Extension(number) => ("USER_PHONE_INNER", json!(number)),
    }
}

fn add(parameters: &mut Value, more: impl IntoIterator<Item = (&'static str, Value)>) {
    if let Value::Object(map) = parameters {
        let pairs = more.into_iter().map(|(name, value)| (name.to_owned(), value));
        map.extend(pairs.collect::<Map<_, _>>());
    }
}

fn call(link: &Link, method: Method, user: Option<User>, parameters: Value) -> Call {
    Call { method, external_id: link.facts.external_id.clone(), user, parameters }
}
