//! What is wrong with the settings, found before the first event.
//!
//! The names and the form of all templates are looked at; then they are tried with sample events of
//! each kind, known in full and known hardly at all.

use callhook_plugin::{CallEvent, Field, FinishType, HttpRequest, Outcome, Problem, samples};

use crate::engine::Engine;
use crate::request;
use crate::settings::{Fault, Named, Parts, Settings};

/// Headers that the host sets, and those that it refuses by how they begin; see `wit/types.wit`.
const HOSTS_OWN: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "expect",
    "te",
    "trailer",
    "upgrade",
];
const HOSTS_OWN_PREFIXES: [&str; 3] = ["proxy-", "webhook-", "x-callhook-"];

/// All problems that can be seen at once.
pub(crate) fn problems(fields: &[Field]) -> Vec<Problem> {
    let faults = match Settings::read(fields) {
        Ok(settings) => faults(&settings),
        Err(fault) => vec![fault],
    };
    faults.into_iter().map(|fault| Problem::new(&fault.setting, fault.message)).collect()
}

fn faults(settings: &Settings<'_>) -> Vec<Fault> {
    let engine = Engine::new(settings);
    let mut faults = Vec::new();
    let country = settings.country.unwrap_or_default();
    if !country.trim_start_matches('+').chars().all(|digit| digit.is_ascii_digit()) {
        faults.push(Fault::new("country", "expected digits, such as 420"));
    }
    if !settings.all().any(Parts::makes_a_request) {
        let message = "nothing says what to send: set `body`, or `query.NAME`, `form.NAME`, `url`";
        faults.push(Fault::new("body", message));
    }
    faults.extend(settings.all().flat_map(|parts| faults_of(parts, &engine)));
    if faults.is_empty() { tried(settings, &engine) } else { faults }
}

/// What can be seen without an event.
fn faults_of<'a>(parts: &Parts<'a>, engine: &Engine<'a>) -> Vec<Fault> {
    let named = parts.header.iter().chain(&parts.query).chain(&parts.form);
    let single = [parts.method, parts.url, parts.body, parts.content_type];
    let templates = single.into_iter().flatten().chain(named.map(|named| named.source));
    let mut faults: Vec<_> = templates.filter_map(|source| engine.look_at(source)).collect();
    faults.extend(parts.when.and_then(|when| engine.look_at_expression(when)));
    faults.extend(parts.header.iter().filter_map(header_fault));
    faults
}

fn header_fault(header: &Named<'_>) -> Option<Fault> {
    let name = header.name.to_ascii_lowercase();
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let message = if !name.chars().all(is_token) {
        "this is no name of a header"
    } else if name == "content-type" {
        "use `content_type`, which also says how values are escaped"
    } else if HOSTS_OWN.contains(&name.as_str())
        || HOSTS_OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    {
        "this header is set by callhook itself"
    } else {
        return None;
    };
    Some(Fault::new(header.source.setting, message))
}

/// What comes out for the samples. A template may be meant for some of them only, so that it fails
/// for others says nothing, unless it is wrong whatever comes.
fn tried(settings: &Settings<'_>, engine: &Engine<'_>) -> Vec<Fault> {
    let mut failed = Vec::new();
    let mut worked = Vec::new();
    for event in events() {
        let kind = event.kind.name();
        match request::make(settings, engine, &event, draft()) {
            Ok(Outcome::Send(_)) => worked.push(kind.to_owned()),
            Ok(Outcome::Skip(_)) => {}
            Err(fault) => failed.push((kind.to_owned(), fault)),
        }
    }
    let never_works = |kind: &String, fault: &Fault| {
        let own = fault.setting.strip_prefix(kind.as_str()).is_some_and(|it| it.starts_with('.'));
        if own { !worked.contains(kind) } else { worked.is_empty() }
    };
    let mut faults: Vec<Fault> = Vec::new();
    for (kind, fault) in failed {
        let seen = faults.iter().any(|seen| seen.setting == fault.setting);
        if !seen && (fault.whatever_comes || never_works(&kind, &fault)) {
            let message = format!("{} (tried with a sample of {kind})", fault.message);
            faults.push(Fault { message, ..fault });
        }
    }
    faults
}

/// One of each kind, a missed one too, and each with hardly anything known.
fn events() -> Vec<CallEvent> {
    let mut events = samples::all();
    events.push(samples::event(samples::ended(FinishType::Missed)));
    let sparse: Vec<_> = events.iter().cloned().map(samples::sparse).collect();
    events.extend(sparse);
    events
}

/// The real address is not known yet.
fn draft() -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: "https://crm.example/".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        tag: None,
        state: Vec::new(),
        delay_ms: 0,
        extra: Vec::new(),
    }
}
