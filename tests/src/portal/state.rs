//! The calls of a portal, and its rules.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A call that is registered again this long after its start is the same call.
const SAME: SignedDuration = SignedDuration::from_mins(30);

/// The codes of `STATUS_CODE` that are documented.
const CODES: [&str; 13] =
    ["200", "304", "603", "603-S", "403", "404", "486", "484", "503", "480", "402", "423", "OTHER"];

/// A call that was registered.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The portal's id.
    pub call_id: String,
    /// What the one who registered it calls it.
    pub external_id: String,
    /// For whom.
    pub user: u64,
    /// The number outside.
    pub phone: String,
    /// 1 outgoing, 2 incoming, 3 passed on.
    pub kind: u64,
    /// The line.
    pub line: Option<String>,
    /// When it began.
    pub start: Timestamp,
    /// Whose screens show its card.
    pub shown: BTreeSet<u64>,
    /// All those whose screens ever did.
    pub ever_shown: BTreeSet<u64>,
    /// How it was finished; should be once.
    pub finishes: Vec<Finish>,
    /// Where its recording is.
    pub recording: Option<String>,
}

/// How a call was finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// By whom.
    pub user: u64,
    /// Seconds of conversation.
    pub duration: u64,
    /// The code.
    pub status: String,
}

/// Why something is not done: status, code, description.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str, pub(super) &'static str);

/// What a portal knows.
pub(super) struct State {
    /// By id, with their extension.
    users: BTreeMap<u64, String>,
    calls: Vec<Registered>,
    faults: Vec<String>,
}

impl State {
    pub(super) fn new(users: BTreeMap<u64, String>) -> Self {
        Self { users, calls: Vec::new(), faults: Vec::new() }
    }

    pub(super) fn calls(&self) -> &[Registered] {
        &self.calls
    }

    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    pub(super) fn note(&mut self, method: &str, faults: &[String]) {
        self.faults.extend(faults.iter().map(|fault| format!("{method}: {fault}")));
    }

    pub(super) fn dismiss(&mut self, user: u64) {
        self.users.remove(&user);
    }

    /// Does what a method says.
    pub(super) fn ask(&mut self, method: &str, parameters: &Value) -> Result<Value, Refusal> {
        match method {
            "register" => self.register(parameters),
            "show" | "hide" => Ok(self.card(method, parameters)),
            "finish" => self.finish(parameters),
            "attachRecord" => self.attach(parameters),
            _ => {
                self.faults.push(format!("{method}: no such method"));
                Err(Refusal(404, "ERROR_METHOD_NOT_FOUND", "Method not found!"))
            }
        }
    }

    fn register(&mut self, parameters: &Value) -> Result<Value, Refusal> {
        let user = self.user(parameters)?;
        let phone = text(parameters, "PHONE_NUMBER");
        if !phone.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(core("Unsupported phone number format"));
        }
        let kind = parameters["TYPE"].as_u64().filter(|kind| (1..=5).contains(kind));
        let kind = kind.ok_or_else(|| core("Unknown TYPE"))?;
        // Without a zone it does not parse.
        let start = text(parameters, "CALL_START_DATE").parse::<Timestamp>();
        let start = start.map_err(|_| core("CALL_START_DATE should be in the ISO-8601 format"))?;
        let call = Registered {
            call_id: format!("externalCall.{:032x}.{}", self.calls.len() + 1, start.as_second()),
            external_id: text(parameters, "EXTERNAL_CALL_ID"),
            user,
            phone,
            kind,
            line: parameters["LINE_NUMBER"].as_str().map(str::to_owned),
            start,
            shown: BTreeSet::new(),
            ever_shown: BTreeSet::new(),
            finishes: Vec::new(),
            recording: None,
        };
        let place = self.calls.iter().position(|old| old.is_same(&call)).unwrap_or_else(|| {
            self.calls.push(call);
            self.calls.len() - 1
        });
        let call = &mut self.calls[place];
        if parameters["SHOW"] != 0 {
            call.show(user);
        }
        Ok(json!({ "CALL_ID": call.call_id, "CRM_CREATED_LEAD": null, "CRM_CREATED_ENTITIES": [] }))
    }

    fn card(&mut self, method: &str, parameters: &Value) -> Value {
        let users = self.users.clone();
        let Some(call) = self.alive(parameters) else { return json!(false) };
        let ids = match &parameters["USER_ID"] {
            Value::Array(ids) => ids.iter().filter_map(Value::as_u64).collect(),
            Value::Null => vec![call.user],
            one => one.as_u64().into_iter().collect(),
        };
        for id in ids.into_iter().filter(|id| users.contains_key(id)) {
            if method == "show" {
                call.show(id);
            } else {
                call.shown.remove(&id);
            }
        }
        json!(true)
    }

    fn finish(&mut self, parameters: &Value) -> Result<Value, Refusal> {
        let user = self.user(parameters)?;
        let status = text(parameters, "STATUS_CODE");
        if !CODES.contains(&status.as_str()) {
            self.faults.push(format!("finish: STATUS_CODE {status:?} is not documented"));
        }
        let duration = parameters["DURATION"].as_u64().unwrap_or(0);
        let call = self.alive(parameters).ok_or_else(|| {
            core("Call is not found (call should be registered prior to finishing)")
        })?;
        call.shown.remove(&user);
        call.finishes.push(Finish { user, duration, status });
        Ok(json!({ "CALL_ID": call.call_id, "PORTAL_USER_ID": user, "CALL_DURATION": duration }))
    }

    fn attach(&mut self, parameters: &Value) -> Result<Value, Refusal> {
        let id = text(parameters, "CALL_ID");
        let finished = |call: &&mut Registered| call.call_id == id && !call.finishes.is_empty();
        let call = self.calls.iter_mut().find(finished).ok_or_else(|| {
            core("Call is not found in the statistic table. Looks like it is not finished yet.")
        })?;
        call.recording = Some(text(parameters, "RECORD_URL"));
        Ok(json!({ "FILE_ID": 9_079 }))
    }

    /// The call that is meant, if it is not finished.
    fn alive(&mut self, parameters: &Value) -> Option<&mut Registered> {
        let id = text(parameters, "CALL_ID");
        if !self.calls.iter().any(|call| call.call_id == id) {
            self.faults.push(format!("CALL_ID {id:?} was never given"));
        }
        self.calls.iter_mut().find(|call| call.call_id == id && call.finishes.is_empty())
    }

    fn user(&self, parameters: &Value) -> Result<u64, Refusal> {
        if let Some(id) = parameters["USER_ID"].as_u64() {
            let known = self.users.contains_key(&id);
            return known.then_some(id).ok_or_else(|| core("User is not found or is not active"));
        }
        let number = text(parameters, "USER_PHONE_INNER");
        let found = self.users.iter().find(|(_, extension)| **extension == number);
        found.map(|(id, _)| *id).ok_or_else(|| core("USER_ID or USER_PHONE_INNER should be set"))
    }
}

impl Registered {
    /// Whether `other`, which comes now, is this one again.
    fn is_same(&self, other: &Self) -> bool {
        let key = |call: &Self| {
            (call.external_id.clone(), call.user, call.phone.clone(), call.kind, call.line.clone())
        };
        let young = Timestamp::now().duration_since(self.start) < SAME;
        self.finishes.is_empty() && young && key(self) == key(other)
    }

    fn show(&mut self, user: u64) {
        self.shown.insert(user);
        self.ever_shown.insert(user);
    }
}

fn core(description: &'static str) -> Refusal {
    Refusal(400, "ERROR_CORE", description)
}

fn text(parameters: &Value, name: &str) -> String {
    parameters[name].as_str().unwrap_or_default().to_owned()
}
