//! What the tests and benches of plugins share: events, and the fixture that misbehaves.

#![allow(dead_code, reason = "each test and bench uses its own part of it")]
#![allow(clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use callhook::event::{
    CallEvent, CallId, ChainId, Did, Direction, EventKind, LocalTime, Party, PartyKind, Ringing,
    Started, TransferType,
};
use callhook::plugins::{Directory, Plugin, PluginFailure, PluginSpec, Runtime};
use jiff::tz::TimeZone;

/// One engine for all tests of a file.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("an engine"));

/// The component in `tests/fixtures/hostile`, built once per run of the tests.
pub(crate) static HOSTILE: LazyLock<PathBuf> = LazyLock::new(|| promises::component("hostile"));

/// An event of a call that arrived at this time (UTC), in Prague.
pub(crate) fn event(arrived: &str, number: i64, link: u32, kind: EventKind) -> CallEvent {
    let zone = TimeZone::get("Europe/Prague").expect("a known zone");
    let at = LocalTime::new(arrived.parse().expect("a time"), &zone);
    let chain = ChainId::new(at, number);
    CallEvent {
        event_id: format!("pbx-{chain}-1"),
        id: CallId { chain, link },
        sequence: 1,
        pbx: "pbx".into(),
        direction: Direction::Incoming,
        caller_id: "420774852629".into(),
        caller_name: None,
        user: Party {
            number: "106".into(),
            kind: PartyKind::Other("ring-group".into()),
            name: None,
            email: None,
        },
        did: Some(Did { number: "420226201001".into(), name: Some("PragueDID".into()) }),
        queue: None,
        arrived_at: at,
        occurred_at: at,
        resynced: false,
        kind,
    }
}

/// The first golden's event.
pub(crate) fn ringing() -> CallEvent {
    let kind = EventKind::Ringing(Ringing { transfer: TransferType::NotDef, transferred_by: None });
    event("2021-12-30T09:06:14Z", 665, 0, kind)
}

/// The second golden's event.
pub(crate) fn started() -> CallEvent {
    let kind = EventKind::Started(Started {
        transfer: TransferType::NotDef,
        transferred_by: None,
        rang_at: None,
        ring_ms: Some(4_000),
        wait_ms: 4_100,
    });
    event("2022-01-06T19:59:45Z", 755, 1, kind)
}

/// `plain-get` as it is shipped.
pub(crate) fn plain_get() -> Plugin {
    RUNTIME.load(&PluginSpec::embedded("plain-get"), &Arc::default()).expect("plain-get loads")
}

/// The settings of a hostile plugin that does `what` for every event.
pub(crate) fn hostile_spec(what: &str) -> PluginSpec {
    let mut spec = PluginSpec::file("nasty", HOSTILE.as_path());
    spec.settings.push(("do".into(), what.into()));
    spec
}

/// A hostile plugin that does `what` for events of callers named `evil`. It has time enough for
/// what is not about time, however busy the machine is.
pub(crate) fn hostile(what: &str) -> Plugin {
    hostile_within(what, Duration::from_mins(1))
}

/// [`hostile`] with this deadline.
pub(crate) fn hostile_within(what: &str, deadline: Duration) -> Plugin {
    let mut spec = hostile_spec(what);
    spec.deadline = deadline;
    spec.settings.push(("when".into(), "evil".into()));
    RUNTIME.load(&spec, &directory()).expect("the fixture loads")
}

/// The event that makes it misbehave.
pub(crate) fn evil() -> CallEvent {
    CallEvent { caller_id: "evil".into(), ..ringing() }
}

/// What remains of a failure when everything but its kind and message is left out.
pub(crate) fn told(failure: &PluginFailure) -> (&'static str, &str) {
    (failure.kind.name(), failure.message.as_str())
}

/// Two people.
pub(crate) fn directory() -> Arc<Directory> {
    let text = "extension,name,email,crm_id\n106,Jana,jana@example.com,77\n107,,,78\n";
    Arc::new(Directory::read(Path::new("users.csv"), text.as_bytes()).expect("a good file"))
}
