//! A Bitrix24 portal that keeps account: which calls were registered, whose cards are shown, what
//! was finished and how, and everything that was asked of it in a wrong way.
//!
//! What it does is what the vendor documents; where the documentation is silent, it does what the
//! source of the vendor's module `voximplant` does, as far as that is public: a call that is
//! finished is forgotten, so that a second `finish` does not find it; a call that is registered
//! again within 30 minutes of its start, by the same id, user, number and line, is the same call;
//! `finish` takes the card from its own user only. No real portal was asked.

mod description;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use self::description::Descriptions;
pub use self::state::{Finish, Registered};
use self::state::{Refusal, State};
use crate::{Answer, Arrival, Oracle};

/// The code of the inbound webhook.
const SECRET: &str = "s3cr3tc0de";

/// What can go wrong with a request.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// It is refused before it is looked at: status, code, description, and `Retry-After`.
    Refused(u16, &'static str, &'static str, Option<u64>),
    /// It is done, but nobody hears of it.
    ReplyLost,
    /// The connection breaks before it is looked at.
    Unheard,
    /// It is done at once, but its reply comes later.
    Slow(Duration),
    /// It is done at once, but its reply comes when the gate opens.
    Held(Arc<watch::Sender<bool>>),
    /// An answer that is not the REST API's.
    Page,
}

/// Chooses the trouble of a request by the number of requests before it and its method.
type Chance = dyn FnMut(usize, &str) -> Option<Trouble> + Send;

/// The portal. Listens until it is dropped.
pub struct Portal {
    oracle: Oracle,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    state: State,
    descriptions: Option<Descriptions>,
    trouble: Box<Chance>,
    /// The method and parameters of everything that was asked, in order.
    asked: Vec<(String, Value)>,
    /// The access token that is good now, and the refresh token.
    tokens: (u32, u32),
}

impl Portal {
    /// Opens a portal where users 6 to 9 have the extensions 106 to 109.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub async fn open() -> Self {
        let users = [(6, "106"), (7, "107"), (8, "108"), (9, "109")];
        Self::with_users(users.map(|(id, number)| (id, number.to_owned()))).await
    }

    /// Opens a portal with these users and their extensions.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub async fn with_users(users: impl IntoIterator<Item = (u64, String)>) -> Self {
        let oracle = Oracle::start().await;
        let shared = Arc::new(Mutex::new(Shared {
            state: State::new(users.into_iter().collect()),
            descriptions: Descriptions::find(),
            trouble: Box::new(|_, _| None),
            asked: Vec::new(),
            tokens: (1, 1),
        }));
        let answering = Arc::clone(&shared);
        oracle.script(move |number, arrival| hold(&answering).answer(number, arrival));
        Self { oracle, shared }
    }

    /// The URL of its inbound webhook.
    pub fn webhook(&self) -> String {
        format!("{}rest/1/{SECRET}/", self.oracle.url())
    }

    /// Its REST API for applications, and where they get their tokens.
    pub fn application(&self) -> (String, String) {
        (format!("{}rest/", self.oracle.url()), format!("{}oauth/token/", self.oracle.url()))
    }

    /// From now on the access token of before has expired.
    pub fn expire_token(&self) {
        hold(&self.shared).tokens.0 += 1;
    }

    /// From now on this decides what goes wrong.
    pub fn trouble(&self, chance: impl FnMut(usize, &str) -> Option<Trouble> + Send + 'static) {
        hold(&self.shared).trouble = Box::new(chance);
    }

    /// Nothing goes wrong any more.
    pub fn recovers(&self) {
        self.trouble(|_, _| None);
    }

    /// A user leaves the company.
    pub fn dismiss(&self, user: u64) {
        hold(&self.shared).state.dismiss(user);
    }

    /// The calls that were registered, the oldest first.
    pub fn calls(&self) -> Vec<Registered> {
        hold(&self.shared).state.calls().to_vec()
    }

    /// Everything that was asked and looked at, in short: the method, and whom it is for.
    pub fn asked(&self) -> Vec<String> {
        let gist = |(method, parameters): &(String, Value)| {
            let user = parameters.get("USER_ID").or(parameters.get("USER_PHONE_INNER"));
            let particular = parameters.get("STATUS_CODE").or(parameters.get("TYPE"));
            let word = |value: Option<&Value>| {
                value.map(|it| format!(" {it}").replace('"', "")).unwrap_or_default()
            };
            format!("{method}{}{}", word(user), word(particular))
        };
        hold(&self.shared).asked.iter().map(gist).collect()
    }

    /// How many requests arrived, looked at or not.
    pub fn count(&self) -> usize {
        self.oracle.count()
    }

    /// The requests as they arrived.
    pub fn arrived(&self) -> Vec<Arrival> {
        self.oracle.arrived()
    }

    /// Waits until the portal stands as wished.
    ///
    /// # Panics
    ///
    /// If it does not come to that.
    pub async fn wait(&self, what: &str, enough: impl Fn(&Self) -> bool) {
        let seen = crate::eventually(what, || enough(self).then_some(())).await;
        seen.unwrap_or_else(|error| panic!("{error}; {:#?}; {:#?}", self.asked(), self.calls()));
    }

    /// Waits until this was asked, in this order, and holds that nothing else was.
    ///
    /// # Panics
    ///
    /// If something else was, or not all of it.
    pub async fn was_asked(&self, expected: &[&str]) {
        let enough = |portal: &Self| portal.asked().len() >= expected.len();
        self.wait(&format!("{expected:?}"), enough).await;
        assert_eq!(self.asked(), expected);
    }

    /// Holds what must hold when all is done: each call that was registered is finished, once; no
    /// card is left; nothing was asked in a wrong way.
    ///
    /// # Panics
    ///
    /// If one of these does not hold.
    pub fn audit(&self) {
        let shared = hold(&self.shared);
        assert_eq!(shared.state.faults(), [] as [String; 0], "asked in a wrong way");
        for call in shared.state.calls() {
            assert_eq!(call.finishes.len(), 1, "how often finished: {call:#?}");
            assert!(call.shown.is_empty(), "cards are left: {call:#?}");
        }
    }
}

impl Shared {
    fn answer(&mut self, number: usize, arrival: &Arrival) -> Answer {
        let path = arrival.target.split('?').next().unwrap_or_default();
        if path == "/oauth/token/" {
            return self.token(arrival);
        }
        let method = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
        match (self.trouble)(number, method) {
            None => reply(200, self.let_in(path, method, arrival)),
            Some(Trouble::Slow(wait)) => {
                let done = reply(200, self.let_in(path, method, arrival));
                Answer::After(wait, Box::new(done))
            }
            Some(Trouble::Held(gate)) => {
                let done = reply(200, self.let_in(path, method, arrival));
                Answer::Behind(gate, Box::new(done))
            }
            Some(Trouble::ReplyLost) => {
                drop(self.let_in(path, method, arrival));
                Answer::Reset
            }
            Some(Trouble::Unheard) => Answer::Reset,
            Some(Trouble::Page) => Answer::With(200, vec![], "<html>Welcome</html>".to_owned()),
            Some(Trouble::Refused(status, code, description, after)) => {
                let body = json!({ "error": code, "error_description": description });
                let after = after.map(|seconds| ("retry-after", seconds.to_string()));
                Answer::With(status, after.into_iter().collect(), body.to_string())
            }
        }
    }

    /// Looks at who asks before it looks at what.
    fn let_in(&mut self, path: &str, method: &str, arrival: &Arrival) -> Result<Value, Refusal> {
        let by_webhook = path.strip_prefix(&format!("/rest/1/{SECRET}/")).is_some();
        let token = format!("Bearer access-{}", self.tokens.0);
        if !by_webhook {
            return match arrival.header("authorization") {
                "" => Err(Refusal(401, "NO_AUTH_FOUND", "Wrong authorization data")),
                given if given == token => self.ask(method, arrival),
                _ => Err(Refusal(401, "expired_token", "The access token provided has expired")),
            };
        }
        self.ask(method, arrival)
    }

    fn ask(&mut self, method: &str, arrival: &Arrival) -> Result<Value, Refusal> {
        let parameters: Value = serde_json::from_slice(&arrival.body).unwrap_or_default();
        let name = method.strip_prefix("telephony.externalCall.").unwrap_or(method);
        self.asked.push((name.to_owned(), parameters.clone()));
        let faults = self.descriptions.as_ref().map(|it| it.judge(method, &parameters));
        self.state.note(method, &faults.unwrap_or_default());
        self.state.ask(name, &parameters)
    }

    /// A new access token for the refresh token of last time.
    fn token(&mut self, arrival: &Arrival) -> Answer {
        let given = String::from_utf8_lossy(&arrival.body).into_owned();
        if !given.contains(&format!("refresh-{}", self.tokens.1)) {
            let body = json!({ "error": "invalid_grant" });
            return Answer::With(400, vec![], body.to_string());
        }
        self.tokens.1 += 1;
        let body = json!({
            "access_token": format!("access-{}", self.tokens.0),
            "refresh_token": format!("refresh-{}", self.tokens.1),
            "token_type": "bearer",
            "expires_in": 3_600,
        });
        Answer::With(200, vec![("content-type", "application/json".to_owned())], body.to_string())
    }
}

fn reply(status: u16, result: Result<Value, Refusal>) -> Answer {
    let (status, body) = match result {
        Ok(result) => (status, json!({ "result": result, "time": { "duration": 0.01 } })),
        Err(Refusal(status, code, description)) => {
            (status, json!({ "error": code, "error_description": description }))
        }
    };
    Answer::With(status, vec![("content-type", "application/json".to_owned())], body.to_string())
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
