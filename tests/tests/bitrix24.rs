//! People at the exchange, the service, a Bitrix24 portal: every call that the portal got to know is
//! finished, once, and no card is left on a screen, whatever breaks between them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callhook_pbx::{Builder, Call, Pbx};
use promises::{Callhook, Crowd, Dice, Finish, Ini, Ledger, Portal, Trouble};
use tokio::sync::watch;
use tokio::time::timeout;

const CALLER: &str = "420774852629";
/// The number that leads to Alice, to the queue and to the ring group.
const ALICE: &str = "420226201001";
const QUEUE: &str = "420226201002";
const GROUP: &str = "420226201003";

const EVENTS: &str = "events = ringing, ringing-stopped, dialing, start, end, recording";

/// For what takes its time on a busy machine.
const LONG: Duration = Duration::from_mins(1);

/// 109 has no line: the portal finds Dan by his extension.
const PEOPLE: &str = "extension,name,bitrix24_user\n106,Alice,6\n107,Bob,7\n108,Carol,8\n";

struct Office {
    pbx: Pbx,
    portal: Portal,
    ini: Ini,
}

impl Office {
    async fn open() -> Self {
        Self::with(Pbx::small_office()).await
    }

    async fn with(builder: Builder) -> Self {
        let pbx = builder.start().await.expect("the exchange starts");
        let portal = Portal::open().await;
        let ini = settings(&pbx, &portal, PEOPLE);
        Self { pbx, portal, ini }
    }

    fn call(&self, did: &str) -> Call {
        self.pbx.outside(CALLER).calls(did).expect("the call arrives")
    }

    fn answers(&self, number: &str, call: &Call) {
        self.pbx.person(number).answers(call).expect("the phone rings");
    }

    fn caller_leaves(&self, call: &Call) {
        self.pbx.outside(CALLER).hangs_up(call).expect("the call goes on");
    }

    /// Holds that this was asked in all, and what must hold at the end; and that nothing waits or
    /// was given up.
    async fn is_done(&self, expected: &[&str]) {
        self.portal.was_asked(expected).await;
        let ledger = Ledger::settled(&self.ini.database(), LONG).await;
        let dead: Vec<_> = ledger.entries.iter().filter(|entry| entry.state == "dead").collect();
        assert!(dead.is_empty(), "{dead:#?}");
        self.portal.was_asked(expected).await;
        self.portal.audit();
    }

    /// One call to Alice, from the first ring to the end.
    async fn talk(&self, hook: &Callhook) {
        let call = self.call(ALICE);
        told(hook, "ringing", 1).await;
        self.answers("106", &call);
        told(hook, "start", 1).await;
        self.caller_leaves(&call);
        told(hook, "end", 1).await;
    }
}

fn settings(pbx: &Pbx, portal: &Portal, people: &str) -> Ini {
    let ini = Ini::new(pbx, &portal.webhook())
        .webhook("plugins = bitrix24")
        .webhook(EVENTS)
        .section("directory", &["file = users.csv"])
        .section("plugin.bitrix24", &["crm_create = no"]);
    fs::write(ini.folder().join("users.csv"), people).expect("the directory is written");
    ini
}

/// Waits until so many events of a kind have been made.
async fn told(hook: &Callhook, kind: &str, times: usize) {
    hook.wait_for_logs(&format!("\"kind\":\"{kind}\""), times).await;
}

/// The trouble for the first `times` requests of a method.
fn at_first(
    method: &'static str,
    times: usize,
    trouble: Trouble,
) -> impl FnMut(usize, &str) -> Option<Trouble> {
    let mut left = times;
    move |_, asked| {
        let meant = left > 0 && asked.ends_with(method);
        left -= usize::from(meant);
        meant.then(|| trouble.clone())
    }
}

fn refused(status: u16, code: &'static str, after: Option<u64>) -> Trouble {
    Trouble::Refused(status, code, "as the test wants it", after)
}

const TALKED: [&str; 2] = ["register 6 2", "finish 6 200"];

#[tokio::test]
async fn a_call_that_is_answered() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    office.talk(&hook).await;
    office.is_done(&TALKED).await;
    let call = office.portal.calls().remove(0);
    assert_eq!((call.phone.as_str(), call.kind, call.user), (CALLER, 2, 6));
    assert!(call.external_id.ends_with("_1-0@pbx"), "{call:#?}");
    assert!(call.finishes[0].duration >= 1, "{call:#?}");
    assert_eq!(call.ever_shown, [6].into(), "Alice saw it");
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn a_call_that_is_missed() {
    let office = Office::open().await;
    let _hook = Callhook::start(&office.ini).await;
    let call = office.call(ALICE);
    office.portal.was_asked(&["register 6 2"]).await;
    office.caller_leaves(&call);
    // Her phone stops, then the call is over.
    office.is_done(&["register 6 2", "hide 6", "finish 6 304"]).await;
    let finish = Finish { user: 6, duration: 0, status: "304".to_owned() };
    assert_eq!(office.portal.calls()[0].finishes, [finish]);
}

#[tokio::test]
async fn a_queue_where_several_ring_and_one_answers() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    let call = office.call(QUEUE);
    office.portal.was_asked(&["register 6 2", "show 7"]).await;
    office.answers("107", &call);
    office.portal.was_asked(&["register 6 2", "show 7", "hide 6"]).await;
    told(&hook, "start", 1).await;
    office.caller_leaves(&call);
    office.is_done(&["register 6 2", "show 7", "hide 6", "finish 7 200"]).await;
}

#[tokio::test]
async fn a_ring_group_where_nobody_answers_is_one_missed_call() {
    let office = Office::with(Pbx::small_office().group_leg(true)).await;
    let _hook = Callhook::start(&office.ini).await;
    let call = office.call(GROUP);
    // Dan, who rings as well, is not known by an id, and so has no card.
    let rang = ["register 7 2", "show 8"];
    office.portal.was_asked(&rang).await;
    office.caller_leaves(&call);
    office.is_done(&[&rang[..], &["hide 7", "hide 8", "finish 7 304"]].concat()).await;
}

#[tokio::test]
async fn a_blind_transfer_is_another_call() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    let call = office.call(ALICE);
    told(&hook, "ringing", 1).await;
    office.answers("106", &call);
    told(&hook, "start", 1).await;
    office.pbx.person("106").transfers(&call, "107").expect("she transfers");
    let moved = ["register 6 2", "finish 6 200", "register 7 3"];
    office.portal.was_asked(&moved).await;
    office.answers("107", &call);
    told(&hook, "start", 2).await;
    office.caller_leaves(&call);
    office.is_done(&[&moved[..], &["finish 7 200"]].concat()).await;
    let ids: Vec<_> = office.portal.calls().into_iter().map(|call| call.external_id).collect();
    assert!(ids[0].ends_with("_1-0@pbx") && ids[1].ends_with("_1-2@pbx"), "{ids:?}");
}

#[tokio::test]
async fn an_attended_transfer_is_another_call() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    let call = office.call(ALICE);
    told(&hook, "ringing", 1).await;
    let alice = office.pbx.person("106");
    office.answers("106", &call);
    told(&hook, "start", 1).await;
    let consultation = alice.dials("107").expect("she asks Bob");
    office.answers("107", &consultation);
    office.pbx.wait_until_caught_up().await.expect("that is seen");
    let joined = alice.joins(&call, &consultation).expect("she joins the two");
    // The consultation was the second.
    told(&hook, "start", 3).await;
    office.caller_leaves(&joined);
    office.is_done(&["register 6 2", "finish 6 200", "register 7 3", "finish 7 200"]).await;
}

#[tokio::test]
async fn an_outgoing_call() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    let far = office.pbx.outside("420774852631");
    let call = office.pbx.person("107").dials("420774852631").expect("it dials");
    office.portal.was_asked(&["register 7 1"]).await;
    far.answers(&call).expect("the far side answers");
    told(&hook, "start", 1).await;
    office.pbx.person("107").hangs_up(&call).expect("he hangs up");
    office.is_done(&["register 7 1", "finish 7 200"]).await;
}

#[tokio::test]
async fn a_user_by_extension_and_one_who_has_left() {
    let office = Office::open().await;
    office.portal.dismiss(7);
    let hook = Callhook::start(&office.ini).await;
    let call = office.call(GROUP);
    // Bob has left, so Carol stands for the call; Dan answers it.
    office.portal.was_asked(&["register 7 2", "register 8 2"]).await;
    told(&hook, "ringing", 3).await;
    office.answers("109", &call);
    told(&hook, "start", 1).await;
    office.caller_leaves(&call);
    office.is_done(&["register 7 2", "register 8 2", "hide 8", "finish 109 200"]).await;
    assert_eq!(office.portal.calls()[0].finishes[0].user, 9, "the portal knows Dan");
}

#[tokio::test]
async fn a_recording_is_attached_to_its_call() {
    let recorded = Pbx::small_office().configuration_api(true).recordings(true);
    let office = Office::with(recorded).await;
    let hook = Callhook::start(&office.ini).await;
    office.talk(&hook).await;
    let attached = |portal: &Portal| portal.asked().iter().any(|it| it == "attachRecord");
    office.portal.wait("the recording", attached).await;
    office.is_done(&[TALKED[0], TALKED[1], "attachRecord"]).await;
    assert!(office.portal.calls()[0].recording.is_some());
}

#[tokio::test]
async fn all_that_happens_before_the_portal_answers_is_made_up_for() {
    let office = Office::open().await;
    let gate = Arc::new(watch::Sender::new(false));
    office.portal.trouble(at_first("register", 1, Trouble::Held(Arc::clone(&gate))));
    let hook = Callhook::start(&office.ini).await;
    let call = office.call(QUEUE);
    office.portal.was_asked(&["register 6 2"]).await;
    told(&hook, "ringing", 3).await;
    office.answers("107", &call);
    told(&hook, "start", 1).await;
    office.pbx.person("107").transfers(&call, "108").expect("he transfers");
    told(&hook, "ringing", 4).await;
    office.caller_leaves(&call);
    told(&hook, "end", 2).await;
    assert_eq!(office.portal.asked(), ["register 6 2"]);
    gate.send_replace(true);
    let all = ["register 6 2", "hide 6", "finish 7 200", "register 8 3", "finish 8 304"];
    let eventually_all = |portal: &Portal| portal.calls().iter().all(|it| it.finishes.len() == 1);
    office
        .portal
        .wait("both calls are finished", |portal| {
            portal.calls().len() == 2 && eventually_all(portal)
        })
        .await;
    // Carol's card was asked for while her phone rang; `finish` takes it away.
    office.is_done(&all).await;
}

#[tokio::test]
async fn a_portal_that_fails_for_a_while_gets_every_call() {
    for trouble in [
        refused(500, "INTERNAL_SERVER_ERROR", None),
        refused(503, "QUERY_LIMIT_EXCEEDED", Some(1)),
        refused(429, "QUERY_LIMIT_EXCEEDED", None),
        refused(200, "QUERY_LIMIT_EXCEEDED", None),
        Trouble::Page,
        Trouble::Unheard,
    ] {
        eprintln!("{trouble:?}");
        let office = Office::open().await;
        let mut chance = at_first("register", 2, trouble.clone());
        let mut later = at_first("finish", 2, trouble);
        office.portal.trouble(move |number, method| {
            chance(number, method).or_else(|| later(number, method))
        });
        let hook = Callhook::start(&office.ini).await;
        office.talk(&hook).await;
        let finished = |portal: &Portal| portal.asked().iter().any(|it| it.starts_with("finish"));
        office.portal.wait("the call is finished", finished).await;
        let ledger = Ledger::settled(&office.ini.database(), LONG).await;
        assert!(ledger.entries.iter().all(|it| it.state == "delivered"), "{ledger:#?}");
        office.portal.audit();
        assert_eq!(office.portal.calls().len(), 1);
        assert!(office.portal.count() >= 6, "two attempts were in vain twice");
    }
}

#[tokio::test]
async fn replies_that_are_lost_register_and_finish_nothing_twice() {
    let office = Office::open().await;
    let mut register = at_first("register", 1, Trouble::ReplyLost);
    let mut finish = at_first("finish", 1, Trouble::ReplyLost);
    office
        .portal
        .trouble(move |number, method| register(number, method).or_else(|| finish(number, method)));
    let hook = Callhook::start(&office.ini).await;
    office.talk(&hook).await;
    office.is_done(&["register 6 2", "register 6 2", "finish 6 200", "finish 6 200"]).await;
    assert_eq!(office.portal.calls().len(), 1);
    hook.wait_for_log("it was finished before").await;
}

#[tokio::test]
async fn a_call_that_the_portal_refuses_is_kept_and_can_be_sent_again() {
    let office = Office::open().await;
    let refusal = Trouble::Refused(403, "WRONG_AUTH_TYPE", "denied for this method", None);
    office.portal.trouble(at_first("register", 1, refusal));
    let hook = Callhook::start(&office.ini).await;
    office.talk(&hook).await;
    let database = office.ini.database();
    let given_up = |ledger: &Ledger| ledger.entries.iter().any(|entry| entry.state == "dead");
    let ledger = Ledger::wait(&database, LONG, "it is given up", given_up).await;
    let dead = ledger.entries.iter().find(|entry| entry.state == "dead").expect("one is dead");
    let reason = dead.reason.clone().expect("it says why");
    assert!(reason.contains("use OAuth"), "{reason}");
    let retried = Callhook::command(&["deliveries", "retry", &dead.id, "--config"])
        .arg(office.ini.folder().join("callhook.ini"))
        .output()
        .expect("callhook starts");
    assert!(retried.status.success(), "{retried:?}");
    office.is_done(&TALKED).await;
}

#[tokio::test]
async fn with_oauth_a_token_that_has_expired_is_renewed_in_the_middle_of_a_call() {
    let pbx = Pbx::small_office().start().await.expect("the exchange starts");
    let portal = Portal::open().await;
    let (url, tokens) = portal.application();
    let ini = settings(&pbx, &portal, PEOPLE)
        .webhook(&format!("url = {url}"))
        .webhook("auth = refresh-token")
        .webhook(&format!("auth_token_url = {tokens}"))
        .webhook("auth_client_id = local.callhook")
        .webhook("auth_client_secret = not-so-secret")
        .webhook("auth_refresh_token = refresh-1");
    let office = Office { pbx, portal, ini };
    let hook = Callhook::start(&office.ini).await;
    let call = office.call(ALICE);
    office.portal.was_asked(&["register 6 2"]).await;
    office.portal.expire_token();
    office.answers("106", &call);
    told(&hook, "start", 1).await;
    office.caller_leaves(&call);
    office.is_done(&TALKED).await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_call_does_not_forget_what_the_portal_calls_it() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    let call = office.call(QUEUE);
    office.portal.was_asked(&["register 6 2", "show 7"]).await;
    Ledger::settled(&office.ini.database(), LONG).await;
    hook.kill();
    let hook = Callhook::start(&office.ini).await;
    office.answers("106", &call);
    told(&hook, "start", 1).await;
    hook.kill();
    let _hook = Callhook::start(&office.ini).await;
    office.caller_leaves(&call);
    office
        .portal
        .wait("the call is finished", |portal| {
            portal.calls().iter().all(|call| call.finishes.len() == 1)
        })
        .await;
    Ledger::settled(&office.ini.database(), LONG).await;
    office.portal.audit();
    assert_eq!(office.portal.calls().len(), 1);
}

#[tokio::test]
async fn a_kill_while_the_portal_registers_a_call_registers_it_once() {
    let office = Office::open().await;
    let gate = Arc::new(watch::Sender::new(false));
    office.portal.trouble(at_first("register", 1, Trouble::Held(gate)));
    let hook = Callhook::start(&office.ini).await;
    let call = office.call(ALICE);
    office.portal.was_asked(&["register 6 2"]).await;
    hook.kill();
    let hook = Callhook::start(&office.ini).await;
    office.portal.was_asked(&["register 6 2", "register 6 2"]).await;
    office.answers("106", &call);
    told(&hook, "start", 1).await;
    office.caller_leaves(&call);
    office.is_done(&["register 6 2", "register 6 2", "finish 6 200"]).await;
    assert_eq!(office.portal.calls().len(), 1);
}

/// SIGABRT: how a failpoint ends the process.
const ABORTED: i32 = 6;

/// How often the service is looked after.
const BEAT: Duration = Duration::from_millis(50);

/// Places that one call does not bring the service to.
const SELDOM: [&str; 6] = [
    "app-",
    "outbox-drained",
    "outbox-opened",
    "outbox-before-opening",
    "outbox-before-checkpoint",
    "outbox-after-checkpoint",
];

/// The places around a commit or a send that a call passes.
fn failpoints(folder: &Path, names: &mut Vec<String>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            failpoints(&path, names);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let parts = text.split("failpoint!(\"").skip(1);
            names.extend(parts.filter_map(|it| it.split('"').next()).map(str::to_owned));
        }
    }
    names.retain(|name| !SELDOM.iter().any(|other| name.starts_with(other)));
}

/// The service, which dies once, at a place that it was told, and is then started again.
struct Mortal<'a> {
    office: &'a Office,
    hook: Callhook,
    died: bool,
}

impl<'a> Mortal<'a> {
    async fn start(office: &'a Office, place: &str, time: u64) -> Self {
        let mut command = Callhook::command(&["run"]);
        command.env("CALLHOOK_FAILPOINT", format!("{place}:{time}"));
        let hook = Callhook::spawn_command(&office.ini, command);
        let mut mortal = Self { office, hook, died: false };
        mortal.lives_to_see().await;
        mortal
    }

    async fn revive(&mut self) {
        if let Some(ended) = self.hook.ended() {
            assert!(
                !self.died && ended.signal() == Some(ABORTED),
                "{ended:?}: {:#?}",
                self.hook.log()
            );
            self.died = true;
            self.hook = Callhook::start(&self.office.ini).await;
        }
    }

    /// Waits until it has seen everything at the exchange, in its second life if need be.
    async fn lives_to_see(&mut self) {
        let deadline = Instant::now() + LONG;
        let pbx = &self.office.pbx;
        while !matches!(timeout(BEAT, pbx.wait_until_caught_up()).await, Ok(Ok(()))) {
            self.revive().await;
            assert!(Instant::now() < deadline, "it does not catch up: {:#?}", self.hook.log());
        }
    }

    /// Waits until it has written down so many events of this kind, in its second life if need be:
    /// what it has only seen, and what is over when it comes back, it does not know of.
    async fn lives_to_tell(&mut self, kind: &str, count: usize) {
        let deadline = Instant::now() + LONG;
        let database = self.office.ini.database();
        let told = || {
            let events = Ledger::read(&database).events;
            events.values().filter(|(_, told)| told == kind).count()
        };
        while told() < count {
            self.revive().await;
            assert!(Instant::now() < deadline, "no {count} {kind}: {:#?}", self.hook.log());
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Waits until both links of the call have ended and nothing waits to be sent.
    async fn finishes(&mut self) -> Ledger {
        let deadline = Instant::now() + LONG;
        let database = self.office.ini.database();
        loop {
            self.revive().await;
            let ledger = Ledger::read(&database);
            if ledger.ends().values().eq([&2]) && ledger.waiting() == 0 {
                return ledger;
            }
            assert!(
                Instant::now() < deadline,
                "it never ends: {:#?}\n{:#?}",
                self.hook.log(),
                ledger.entries.iter().map(|it| (&it.id, &it.state)).collect::<Vec<_>>()
            );
            tokio::time::sleep(BEAT).await;
        }
    }
}

/// A queue call that Bob answers and passes on to Carol, with a death at `place` on the way.
/// Whether it came to that.
async fn dies_on_the_way(place: &str, time: u64) -> bool {
    let office = Office::open().await;
    let mut hook = Mortal::start(&office, place, time).await;
    let call = office.call(QUEUE);
    hook.lives_to_see().await;
    office.answers("107", &call);
    hook.lives_to_tell("start", 1).await;
    office.pbx.person("107").transfers(&call, "108").expect("he transfers");
    hook.lives_to_see().await;
    office.answers("108", &call);
    hook.lives_to_tell("start", 2).await;
    office.caller_leaves(&call);
    let ledger = hook.finishes().await;
    assert_eq!(dead(&ledger), 0, "{place}: {ledger:#?}");
    every_link_is_finished(&ledger, &office.portal, place);
    hook.died
}

fn dead(ledger: &Ledger) -> usize {
    ledger.entries.iter().filter(|entry| entry.state == "dead").count()
}

/// Each link of which an end was told is one call of the portal, and that is finished.
fn every_link_is_finished(ledger: &Ledger, portal: &Portal, when: &str) {
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for call in portal.calls() {
        let chain = call.external_id.split('-').next().expect("it begins with the chain");
        *calls.entry(chain.to_owned()).or_default() += 1;
    }
    let ends = ledger.ends();
    for (chain, count) in &ends {
        assert_eq!(calls.get(*chain), Some(count), "{when}: {chain}: {:#?}", portal.calls());
    }
    assert_eq!(calls.len(), ends.len(), "{when}");
    portal.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_named_place_leaves_no_call_open() {
    let mut places = Vec::new();
    failpoints(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src"), &mut places);
    assert!(places.len() >= 15, "{places:?}");
    let mut dice = Dice::new(24);
    let mut missed = Vec::new();
    for place in &places {
        let time = 1 + dice.below(8);
        if !dies_on_the_way(place, time).await && !dies_on_the_way(place, 1).await {
            missed.push(place.clone());
        }
    }
    println!("{} places, never reached: {missed:?}", places.len());
    assert!(missed.len() * 4 < places.len(), "never reached: {missed:?}");
}

fn rounds() -> u32 {
    std::env::var("CALLHOOK_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_instants_and_a_bad_portal_leave_no_call_open() {
    let pbx = Arc::new(Crowd::office().start().await.expect("the exchange starts"));
    let numbers = (100..150).map(|number: u64| (number, number.to_string()));
    let portal = Portal::with_users(numbers.clone()).await;
    let lines: Vec<String> = numbers.map(|(id, number)| format!("{number},{id}\n")).collect();
    let people = format!("extension,bitrix24_user\n{}", lines.concat());
    let ini = settings(&pbx, &portal, &people).level("info");
    let mut luck = Dice::new(25);
    portal.trouble(move |_, _| match luck.below(20) {
        0 | 1 => Some(Trouble::ReplyLost),
        2 => Some(Trouble::Unheard),
        3 => Some(refused(500, "INTERNAL_SERVER_ERROR", None)),
        4 => Some(Trouble::Slow(Duration::from_millis(luck.below(100)))),
        _ => None,
    });
    let bustle = Crowd::new(&pbx, 26, 100).bustle(100);
    let mut dice = Dice::new(27);
    for _ in 0..rounds() {
        let hook = Callhook::start(&ini).await;
        // The instant is the fault; nothing waits for it.
        tokio::time::sleep(Duration::from_millis(dice.below(1_000))).await;
        hook.kill();
    }
    let hook = Callhook::start(&ini).await;
    let mut crowd = bustle.stop().await;
    crowd.go_home();
    portal.recovers();
    let over = |ledger: &Ledger| ledger.ends().values().all(|ends| *ends > 0);
    Ledger::wait(&ini.database(), LONG, "all calls are over", over).await;
    let ledger = Ledger::settled(&ini.database(), 3 * LONG).await;
    assert_eq!(dead(&ledger), 0, "{ledger:#?}");
    every_link_is_finished(&ledger, &portal, "at the end");
    println!("{} kills, {} calls, {} requests", rounds(), portal.calls().len(), portal.count());
    assert!(portal.calls().len() > 20, "there was something to lose");
    assert!(hook.stop().await.success());
}
