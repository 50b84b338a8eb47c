//! What a reply of Bitrix24 means.
//!
//! Bitrix24 answers with JSON: `result` where it did what was asked, `error` and
//! `error_description` where it did not, whatever the status. The codes are documented; but for all
//! that can be wrong with a call the code is `ERROR_CORE` (or empty), so that only the description
//! tells. The descriptions here are those of the vendor's documentation. One that is not known is
//! judged by the status. That we are not let in (401) is the host's to see to, and never comes here.

use serde_json::Value;

use crate::chain::{Chain, Finish, Link, Registration, User};
use crate::due::Method;

/// After "too many requests": Bitrix24 lets two more a second pass, or five.
const BUSY_MS: u32 = 2_000;

/// After a method has used up its time; a part of that is given back within ten minutes.
const EXHAUSTED_MS: u32 = 60_000;

/// Refusals of a kind that is not known are repeated so often, in case they pass.
const MOST_REFUSALS: u32 = 3;

/// What is to become of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It did what it should.
    Done,
    /// It did nothing, and that is settled; the operator should know why.
    Settled(String),
    /// Later, and not before so many milliseconds, where that is known.
    Retry(Option<u32>, String),
    /// It will not work; for this reason.
    GiveUp(String),
}

/// A reply of Bitrix24.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Of HTTP.
    pub status: u16,
    /// What should be JSON.
    pub body: &'a [u8],
    /// How often the request was sent.
    pub attempt: u32,
}

/// What Bitrix24 says is wrong.
struct Refusal {
    code: String,
    description: String,
}

/// Judges the reply to `method` for the call that has this id of ours, and writes down what it
/// says. `user` is whom the request was for.
pub fn judge(
    chain: &mut Chain,
    method: Method,
    external_id: &str,
    user: Option<User>,
    reply: Reply<'_>,
) -> Judgement {
    let link = chain.by_external_id(external_id);
    match read(reply) {
        Ok(result) => match (method, link) {
            (Method::Register, Some(link)) => registered(link, user, &result),
            (Method::Finish, Some(link)) => finished(link, Judgement::Done),
            _ => Judgement::Done,
        },
        Err(refusal) => match common(&refusal, reply) {
            Some(judgement) => judgement,
            None => particular(link, method, user, &refusal, reply),
        },
    }
}

/// The result, or what is wrong.
fn read(reply: Reply<'_>) -> Result<Value, Refusal> {
    let value: Value = serde_json::from_slice(reply.body).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fine = (200..300).contains(&reply.status) && value.get("error").is_none();
    match value.get("result") {
        Some(result) if fine => Ok(result.clone()),
        _ => Err(Refusal { code: text("error"), description: text("error_description") }),
    }
}

/// What can be wrong whatever the method.
fn common(refusal: &Refusal, reply: Reply<'_>) -> Option<Judgement> {
    let retry = |after, why: &str| Some(Judgement::Retry(after, why.to_owned()));
    match refusal.code.as_str() {
        "QUERY_LIMIT_EXCEEDED" => return retry(Some(BUSY_MS), "too many requests"),
        "OPERATION_TIME_LIMIT" => {
            return retry(Some(EXHAUSTED_MS), "the method has used up its time for now");
        }
        "OVERLOAD_LIMIT" => {
            let why = "Bitrix24 has blocked its REST API for this portal; ask its support";
            return retry(Some(EXHAUSTED_MS), why);
        }
        "WRONG_AUTH_TYPE" => {
            let why = "the portal does not let an inbound webhook do this; use OAuth (see the \
                       plugin's README)";
            return Some(Judgement::GiveUp(why.to_owned()));
        }
        _ => {}
    }
    match reply.status {
        // How long, the host knows from the headers or from its schedule.
        429 => retry(None, "too many requests"),
        408 | 425 | 500.. => retry(None, &refusal.describe(reply)),
        200..300 if refusal.is_silent() => {
            retry(None, "the answer is none of Bitrix24's REST API: is the endpoint's url right?")
        }
        _ => None,
    }
}

/// What can be wrong with a call.
fn particular(
    link: Option<&mut Link>,
    method: Method,
    user: Option<User>,
    refusal: &Refusal,
    reply: Reply<'_>,
) -> Judgement {
    let said = refusal.describe(reply);
    let unknown_user = refusal.says("should be set") || refusal.says("User is not found");
    match (method, link, user) {
        (Method::Register, Some(link), Some(user)) if unknown_user => passed_on(link, user, &said),
        (Method::Finish, Some(link), Some(user)) if unknown_user => assigned_anew(link, user, said),
        // That is how Bitrix24 answers when it has finished the call before, and its reply was
        // lost: the vendor's published source deletes a call once it is finished. Not observed.
        (Method::Finish, Some(link), _) if refusal.says("Call is not found") => {
            let why = "Bitrix24 has no such call under way any more: it was finished before, or \
                       somebody ended it there";
            finished(link, Judgement::Settled(why.to_owned()))
        }
        (Method::Finish, ..) if refusal.says("database error") => Judgement::Retry(None, said),
        // The portal could not fetch it, perhaps only now.
        (Method::AttachRecord, ..) if reply.attempt < MOST_REFUSALS => Judgement::Retry(None, said),
        (Method::Register, Some(link), Some(user)) if !may_pass(refusal, reply) => {
            if matches!(link.registration, Registration::Asked(_)) {
                link.registration = Registration::Refused(user);
            }
            Judgement::GiveUp(said)
        }
        _ if may_pass(refusal, reply) => Judgement::Retry(None, said),
        _ => Judgement::GiveUp(said),
    }
}

/// Whether it is worth asking again: not for what a method says of its parameters, and a few times
/// for what may be somebody else's word, such as a proxy's.
fn may_pass(refusal: &Refusal, reply: Reply<'_>) -> bool {
    refusal.is_silent() && reply.attempt < MOST_REFUSALS && reply.status >= 400
}

fn registered(link: &mut Link, user: Option<User>, result: &Value) -> Judgement {
    let call_id = result.get("CALL_ID").and_then(Value::as_str).filter(|id| !id.is_empty());
    let Some(call_id) = call_id else {
        return Judgement::GiveUp("Bitrix24 has registered the call without a CALL_ID".to_owned());
    };
    // A second answer, after the operator sent the request again, is no other call.
    if !matches!(link.registration, Registration::Known { .. })
        && let Some(user) = user.or_else(|| link.candidate().cloned())
    {
        link.registration = Registration::Known { user, call_id: call_id.to_owned() };
    }
    match result.get("LEAD_CREATION_ERROR").and_then(Value::as_str) {
        Some(error) => Judgement::Settled(format!("Bitrix24 could not create a lead: {error}")),
        None => Judgement::Done,
    }
}

fn finished(link: &mut Link, judgement: Judgement) -> Judgement {
    link.finish = Finish::Done;
    // Nobody will be asked for any more.
    link.people.clear();
    link.strangers.clear();
    judgement
}

/// Bitrix24 does not know whom the call should be registered for. The next one stands for it, at
/// once or when there is one.
fn passed_on(link: &mut Link, user: User, said: &str) -> Judgement {
    let who = user.describe();
    link.shown.retain(|other| *other != user);
    link.strangers.push(user);
    if matches!(link.registration, Registration::Asked(_)) {
        link.registration = Registration::Open;
    }
    Judgement::Settled(match link.candidate() {
        None if link.outcome.is_some() => {
            format!(
                "the call is not logged: Bitrix24 knows none of its people, last {who} ({said})"
            )
        }
        _ => format!("Bitrix24 does not know {who} ({said})"),
    })
}

/// Bitrix24 does not know who has ended the call, though somebody else is known to it.
fn assigned_anew(link: &mut Link, user: User, said: String) -> Judgement {
    let other = match &link.registration {
        Registration::Known { user: registered, .. } => *registered != user,
        _ => false,
    };
    if !other || link.strangers.contains(&user) {
        return Judgement::GiveUp(said);
    }
    let who = user.describe();
    link.strangers.push(user);
    link.finish = Finish::Open;
    Judgement::Settled(format!(
        "Bitrix24 does not know {who} ({said}); the call goes to whoever it was registered for"
    ))
}

impl Refusal {
    /// There is nothing of Bitrix24 in it.
    fn is_silent(&self) -> bool {
        self.code.is_empty() && self.description.is_empty()
    }

    fn says(&self, words: &str) -> bool {
        self.description.contains(words)
    }

    fn describe(&self, reply: Reply<'_>) -> String {
        let Self { code, description } = self;
        match (code.as_str(), description.as_str()) {
            ("", "") => format!("Bitrix24 answered {}", reply.status),
            ("", said) => format!("Bitrix24 says: {said}"),
            (code, said) => format!("Bitrix24 says {code}: {said}"),
        }
    }
}

impl User {
    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::Id(id) => format!("the user {id}"),
            Self::Extension(number) => format!("a user with the extension {number}"),
        }
    }
}
