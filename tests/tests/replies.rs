//! A plugin may read what the CRM answers, judge it, send what follows from it and remember what
//! it learnt, and none of it is lost or doubled, whatever happens.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::{HashMap, HashSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use callhook_pbx::{Call, Pbx};
use callhook_receiver::{Receiver, Webhook};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};
use promises::{
    Answer, Arrival, Callhook, Crowd, Dice, Entry, Ini, Ledger, Oracle, PATIENCE, component,
    eventually,
};

const CALLER: &str = "420774852629";

/// SIGABRT: how a failpoint ends the process.
const ABORTED: i32 = 6;

/// By path, statuses and bodies.
type Script = HashMap<String, Vec<(u16, String)>>;

/// A CRM that answers as it is told, path by path: each answer once, the last for ever.
struct Crm {
    receiver: Receiver,
    script: Arc<Mutex<Script>>,
}

impl Crm {
    async fn start() -> Self {
        let receiver = Receiver::start().await.expect("the receiver starts");
        let script = Arc::<Mutex<Script>>::default();
        let answers = Arc::clone(&script);
        receiver.answer(Box::new(move |_, request: &Request<()>| {
            let mut answers = answers.lock().unwrap();
            let path = request.uri().path().trim_start_matches('/');
            let (status, body) = match answers.get_mut(path) {
                Some(left) if left.len() > 1 => left.remove(0),
                Some(left) => left[0].clone(),
                None => (200, String::new()),
            };
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = status.try_into().unwrap();
            response
        }));
        Self { receiver, script }
    }

    /// From now on, requests to this path are answered with these bodies.
    fn says(&self, path: &str, bodies: &[&str]) {
        let answers = bodies.iter().map(|body| (200, (*body).to_owned())).collect();
        self.script.lock().unwrap().insert(path.to_owned(), answers);
    }

    /// The same with a status.
    fn answers(&self, path: &str, status: u16, body: &str) {
        self.script.lock().unwrap().insert(path.to_owned(), vec![(status, body.to_owned())]);
    }

    /// Waits until so many requests arrived, and gives where they went.
    async fn arrived(&self, count: usize) -> Vec<String> {
        let enough = |arrived: &Vec<Webhook>| arrived.len() >= count;
        let arrived = self.receiver.wait_until(PATIENCE, enough).await;
        arrived.unwrap_or_else(|error| panic!("{error:#}")).iter().map(target).collect()
    }

    /// Waits until exactly these have arrived, in this order.
    async fn expect(&self, expected: &[&str]) {
        assert_eq!(self.arrived(expected.len()).await, expected);
    }

    fn webhooks(&self) -> Vec<Webhook> {
        self.receiver.arrived()
    }
}

fn target(webhook: &Webhook) -> String {
    webhook.target.trim_start_matches('/').to_owned()
}

struct Office {
    pbx: Pbx,
    crm: Crm,
    ini: Ini,
}

fn replying() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| component("replying"))
}

impl Office {
    async fn open() -> Self {
        Self::with(&[]).await
    }

    /// With more lines for the plugin.
    async fn with(lines: &[&str]) -> Self {
        let pbx = Pbx::small_office().start().await.expect("the exchange starts");
        let crm = Crm::start().await;
        let file = format!("file = {}", replying().display());
        let lines: Vec<&str> = [file.as_str()].into_iter().chain(lines.iter().copied()).collect();
        let ini = Ini::new(&pbx, &crm.receiver.url())
            .webhook("plugins = replying")
            .section("plugin.replying", &lines);
        Self { pbx, crm, ini }
    }

    fn rings(&self) -> Call {
        self.pbx.outside(CALLER).calls("420226201001").expect("the call arrives")
    }

    fn hangs_up(&self, call: &Call) {
        self.pbx.outside(CALLER).hangs_up(call).expect("the caller hangs up");
    }

    /// Waits until the database says this.
    async fn ledger(&self, what: &str, enough: impl Fn(&Ledger) -> bool) -> Ledger {
        Ledger::wait(&self.ini.database(), PATIENCE, what, enough).await
    }

    async fn settled(&self) -> Ledger {
        Ledger::settled(&self.ini.database(), PATIENCE).await
    }

    /// What `callhook deliveries` says.
    fn deliveries(&self, arguments: &[&str]) -> String {
        self.deliveries_ending_with(0, arguments)
    }

    /// The same, where it ends with this exit code.
    fn deliveries_ending_with(&self, code: i32, arguments: &[&str]) -> String {
        let config = self.ini.folder().join("callhook.ini");
        let mut command = Callhook::command(&["deliveries"]);
        command.args(arguments).arg("--config").arg(config);
        let output = command.output().expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        String::from_utf8(output.stdout).expect("it is text")
    }
}

fn entry<'a>(ledger: &'a Ledger, end: &str) -> &'a Entry {
    let found = ledger.entries.iter().find(|entry| entry.id.ends_with(end));
    found.unwrap_or_else(|| panic!("no {end} in {ledger:#?}"))
}

#[tokio::test]
async fn a_chain_of_requests_follows_from_replies_and_what_was_learnt_is_remembered() {
    let office = Office::open().await;
    office.crm.says("ringing", &["follow find"]);
    office.crm.says("find", &["keep call 77\nfollow register"]);
    office.crm.says("register", &["follow show?call={call}\nfollow note"]);
    let hook = Callhook::start(&office.ini).await;
    let call = office.rings();
    let chain = ["ringing?before=0&call=", "find", "register", "show?call=77", "note"];
    office.crm.expect(&chain).await;
    office.hangs_up(&call);
    office.crm.expect(&[&chain[..], &["ended?before=1&call=77"]].concat()).await;
    let webhooks = office.crm.webhooks();
    let first = webhooks[0].header("webhook-id").to_owned();
    let ids: Vec<&str> = webhooks[1..5].iter().map(|it| it.header("webhook-id")).collect();
    let expected = ["/1", "/1/1", "/1/1/1", "/1/1/2"].map(|end| format!("{first}{end}"));
    assert_eq!(ids, expected);
    assert_eq!(webhooks[1].body, "after ringing 1 200");
    assert_eq!(webhooks[3].body, "after register 1 200", "the tag comes back");
    assert_eq!(office.settled().await.entries.len(), 6);
    let shown = office.deliveries(&["show", &expected[3]]);
    assert!(shown.contains(&format!("follows   {first}/1/1\n")), "{shown}");
    let judged = hook.metric("callhook_replies_total{endpoint=\"webhook\",outcome=\"done\"}").await;
    assert_eq!(judged, Some(6.0));
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn a_reply_that_says_later_has_the_request_sent_again() {
    let office = Office::open().await;
    office.crm.says("ringing", &["retry 1 too many requests", "retry - slow down", ""]);
    let hook = Callhook::start(&office.ini).await;
    office.rings();
    office.crm.expect(&["ringing?before=0&call="; 3]).await;
    let ids: HashSet<String> =
        office.crm.webhooks().iter().map(|it| it.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 1);
    let ledger = office.settled().await;
    assert_eq!((ledger.entries[0].state.as_str(), ledger.entries[0].attempts), ("delivered", 3));
    let shown = office.deliveries(&["show", &ledger.entries[0].id]);
    assert!(shown.contains("200 after") && shown.contains("wants it later: slow down"), "{shown}");
    let class = "callhook_attempts_total{endpoint=\"webhook\",class=\"postponed\"}";
    assert_eq!(hook.metric(class).await, Some(2.0));
}

#[tokio::test]
async fn a_request_that_is_given_up_is_a_dead_letter_and_holds_up_nobody() {
    let office = Office::open().await;
    office.crm.says("ringing", &["give-up no user 106\nfollow elsewhere"]);
    office.crm.answers("ended", 503, "give-up not that either");
    let hook = Callhook::start(&office.ini).await;
    let call = office.rings();
    office.crm.expect(&["ringing?before=0&call=", "elsewhere"]).await;
    office.hangs_up(&call);
    office.crm.arrived(3).await;
    let ledger = office.settled().await;
    let reasons: Vec<Option<&str>> = ledger.entries.iter().map(|it| it.reason.as_deref()).collect();
    let given_up = |why| Some(why);
    assert_eq!(
        reasons,
        [
            given_up("given up by the plugin: no user 106"),
            None,
            given_up("given up by the plugin: not that either")
        ]
    );
    assert_eq!(ledger.entries[0].state, "dead");
    assert_eq!(entry(&ledger, "/1").state, "delivered");
    hook.wait_for_log("A request failed and will not be sent again.").await;
}

#[tokio::test]
async fn a_reply_with_a_faulty_status_can_be_a_success() {
    let office = Office::open().await;
    office.crm.answers("ringing", 404, "follow show");
    let hook = Callhook::start(&office.ini).await;
    office.rings();
    office.crm.expect(&["ringing?before=0&call=", "show"]).await;
    let ledger = office.settled().await;
    assert!(ledger.entries.iter().all(|entry| entry.state == "delivered"), "{ledger:#?}");
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn what_follows_goes_before_all_that_waits_and_sees_what_happened_meanwhile() {
    let office = Office::open().await;
    office.crm.says("ringing", &["retry 1 wait"]);
    let hook = Callhook::start(&office.ini).await;
    let call = office.rings();
    office.crm.arrived(1).await;
    office.hangs_up(&call);
    office.ledger("the end waits", |ledger| ledger.entries.len() == 2).await;
    office.crm.says("ringing", &["follow first\nlater finish\nfollow last"]);
    office.crm.says("first", &["follow between"]);
    let ledger = office.settled().await;
    assert_eq!(ledger.entries.len(), 6);
    let mut arrived = office.crm.arrived(7).await;
    arrived.retain(|target| !target.starts_with("ringing"));
    assert_eq!(arrived, ["first", "between", "finish", "last", "ended?before=1&call="]);
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn what_was_learnt_survives_a_restart() {
    let office = Office::open().await;
    office.crm.says("ringing", &["keep call 5"]);
    let hook = Callhook::start(&office.ini).await;
    let call = office.rings();
    office.crm.arrived(1).await;
    office.settled().await;
    assert!(hook.stop().await.success());
    let hook = Callhook::start(&office.ini).await;
    office.hangs_up(&call);
    office.crm.expect(&["ringing?before=0&call=", "ended?before=1&call=5"]).await;
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn a_death_at_any_place_around_a_judgement_loses_nothing_and_doubles_nothing() {
    let places = [
        "delivery-replied",
        "reply-taken",
        "reply-judged",
        "reply-before-settle",
        "reply-queued",
        "outbox-before-commit:2",
        "outbox-committed:2",
        "outbox-before-acknowledge:2",
        "reply-settled",
    ];
    for place in places {
        let office = Office::open().await;
        office.crm.says("ringing", &["keep call 9\nfollow a\nfollow b"]);
        let mut command = Callhook::command(&["run"]);
        command.env("CALLHOOK_FAILPOINT", place);
        let mut hook = Callhook::spawn_command(&office.ini, command);
        hook.wait_until_ready().await;
        let call = office.rings();
        let ended = eventually("its death", || hook.ended()).await;
        assert_eq!(ended.unwrap_or_else(|_| panic!("{place}")).signal(), Some(ABORTED), "{place}");
        let hook = Callhook::start(&office.ini).await;
        office.ledger("all followed", |it| it.entries.len() == 3 && it.waiting() == 0).await;
        office.hangs_up(&call);
        office.ledger("it is told", |it| it.entries.len() == 4 && it.waiting() == 0).await;
        let mut seen = Vec::new();
        for webhook in office.crm.webhooks() {
            let sent = (webhook.header("webhook-id").to_owned(), target(&webhook));
            if !seen.contains(&sent) {
                seen.push(sent);
            }
        }
        let first = seen[0].0.clone();
        let ids: Vec<&str> = seen.iter().map(|(id, _)| id.as_str()).collect();
        let targets: Vec<&str> = seen.iter().map(|(_, target)| target.as_str()).collect();
        let expected = ["ringing?before=0&call=", "a", "b", "ended?before=1&call=9"];
        assert_eq!(targets, expected, "{place}");
        assert_eq!(ids[1..3], [format!("{first}/1"), format!("{first}/2")], "{place}");
        assert!(hook.stop().await.success());
    }
}

#[tokio::test]
async fn a_plugin_that_fails_on_a_reply_is_never_the_reason_to_send_again() {
    let office = Office::with(&["deadline = 2s"]).await;
    let failures = [
        ("keep call 1\npanic", "trap", "plugin \"replying\" 1.2.3 trapped"),
        ("keep call 1\nloop", "deadline", "was stopped after its deadline of 2s"),
        ("keep call 1\nfail no idea", "other", "failed: no idea"),
        ("keep call 1\nfollow a b", "bad-url", "characters that must be percent-encoded"),
        ("keep call 1\nfill more 65536", "kept-too-much", "where 65536 are allowed"),
        ("keep call 1\nretry 1 x\nfollow a", "bad-verdict", "together with `retry`"),
    ];
    let hook = Callhook::start(&office.ini).await;
    for (number, (commands, kind, words)) in failures.into_iter().enumerate() {
        office.crm.says("ringing", &[commands]);
        let call = office.rings();
        hook.wait_for_logs("Plugin failed to judge a reply", number + 1).await;
        office.hangs_up(&call);
        let arrived = office.crm.arrived(2 * number + 2).await;
        let expected = ["ringing?before=0&call=", "ended?before=1&call="];
        assert_eq!(arrived[2 * number..], expected, "{kind}: nothing of it is kept");
        let metric = format!("callhook_plugin_failures_total{{kind=\"{kind}\"}}");
        assert_eq!(hook.metric(&metric).await, Some(1.0), "{kind}");
        let dead = office.deliveries(&["list", "--state", "dead"]);
        let line = dead.lines().last().expect("there is a dead letter");
        assert!(line.contains(":0/reply") && line.contains(kind) && line.contains(words), "{line}");
    }
    let ledger = office.settled().await;
    assert!(ledger.entries.iter().all(|entry| entry.state == "delivered"), "{ledger:#?}");
    let dead = office.deliveries(&["list", "--state", "dead", "--json"]);
    assert_eq!(dead.lines().count(), failures.len());
    let first: serde_json::Value = serde_json::from_str(dead.lines().next().unwrap()).unwrap();
    let shown = office.deliveries(&["show", first["id"].as_str().unwrap()]);
    assert!(shown.contains("GET http://") && shown.contains("keep call 1"), "{shown}");
}

#[tokio::test]
async fn follow_ups_without_end_are_stopped() {
    let office = Office::open().await;
    office.crm.says("ringing", &["follow on"]);
    office.crm.says("on", &["follow on"]);
    let hook = Callhook::start(&office.ini).await;
    office.rings();
    let line = hook.wait_for_log("follow-ups without end: 16 requests lead to this one").await;
    assert!(line.contains("replying"), "{line}");
    assert_eq!(office.crm.arrived(17).await.len(), 17);
    assert_eq!(office.settled().await.entries.len(), 17);
}

#[tokio::test]
async fn a_reply_that_comes_after_a_reload_is_judged_as_the_new_settings_say() {
    let office = Office::open().await;
    office.crm.says("ringing", &["retry 1 wait"]);
    let hook = Callhook::start(&office.ini).await;
    office.rings();
    office.crm.arrived(1).await;
    office.ini.rewrite("plugins = replying", "plugins = plain-get");
    hook.reload().await;
    let ledger = office.settled().await;
    assert_eq!(ledger.entries[0].state, "delivered", "by its status");
    // The first judges, though it is not the last; what follows goes through the last.
    office.crm.says("ringing", &["retry 1 wait", "follow show"]);
    office.ini.rewrite("plugins = plain-get", "plugins = replying, plain-get");
    hook.reload().await;
    let before = office.crm.webhooks().len();
    office.rings();
    let arrived = office.crm.arrived(before + 3).await;
    assert!(arrived[before + 2].starts_with("show?event=ringing&"), "{arrived:?}");
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn two_endpoints_of_one_plugin_share_no_memory() {
    let office = Office::open().await;
    let other = Crm::start().await;
    office.crm.says("ringing", &["keep call 1"]);
    other.says("ringing", &["keep call 2"]);
    let url = format!("url = {}", other.receiver.url());
    let Office { pbx, crm, ini } = office;
    let ini = ini.section("webhook.second", &[&url, "plugins = replying"]);
    let office = Office { pbx, crm, ini };
    let hook = Callhook::start(&office.ini).await;
    let call = office.rings();
    office.crm.arrived(1).await;
    other.arrived(1).await;
    office
        .ledger("both are judged", |ledger| ledger.entries.len() == 2 && ledger.waiting() == 0)
        .await;
    office.hangs_up(&call);
    office.crm.expect(&["ringing?before=0&call=", "ended?before=1&call=1"]).await;
    other.expect(&["ringing?before=0&call=", "ended?before=1&call=2"]).await;
    assert!(hook.stop().await.success());
}

#[tokio::test]
async fn a_skip_keeps_what_it_learnt_and_a_failure_does_not() {
    for (line, before) in [("skip = ringing", 1), ("fail = ringing", 0)] {
        let office = Office::with(&[line]).await;
        let hook = Callhook::start(&office.ini).await;
        let call = office.rings();
        hook.wait_for_log("\"Leg seen.\"").await;
        let told = if before == 1 { "Plugin skips the event." } else { "Plugin failed" };
        hook.wait_for_log(told).await;
        office.hangs_up(&call);
        office.crm.expect(&[&format!("ended?before={before}&call=")]).await;
        assert!(hook.stop().await.success());
    }
}

#[tokio::test]
async fn a_plugin_says_how_long_a_request_lasts() {
    for (lasting, expires, class) in [("yes", false, 2), ("no", true, 1), ("maybe", true, 1)] {
        let office = Office::with(&[&format!("lasting = {lasting}")]).await;
        let hook = Callhook::start(&office.ini).await;
        let call = office.rings();
        office.crm.arrived(1).await;
        office.hangs_up(&call);
        office.crm.arrived(2).await;
        let database = rusqlite::Connection::open(office.ini.database()).unwrap();
        let sql = "SELECT expires IS NOT NULL, class FROM requests ORDER BY seq";
        let mut rows = database.prepare(sql).unwrap();
        let rows: Vec<(bool, i64)> = rows
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let end = if lasting == "no" { (true, 1) } else { (false, 2) };
        assert_eq!(rows, [(expires, class), end], "{lasting}");
        assert!(hook.stop().await.success());
    }
}

#[tokio::test]
async fn a_reply_that_a_plugin_failed_on_is_judged_when_the_plugin_is_mended() {
    let office = Office::open().await;
    office.crm.says("ringing", &["keep call 3\nfollow show\npanic"]);
    let hook = Callhook::start(&office.ini).await;
    let call = office.rings();
    hook.wait_for_log("Plugin failed to judge a reply").await;
    office.settled().await;
    let dead = office.deliveries(&["list", "--state", "dead", "--json"]);
    let letter: serde_json::Value = serde_json::from_str(dead.trim()).expect("one dead letter");
    let id = letter["id"].as_str().unwrap().to_owned();
    let told = office.deliveries_ending_with(1, &["retry", &id]);
    assert!(told.contains("0 requests sent again"), "{told}");
    assert!(told.contains("1 event or reply failed on by a plugin"), "{told}");
    office.ini.rewrite("[plugin.replying]", "[plugin.replying]\nmended = yes");
    hook.reload().await;
    let told = office.deliveries(&["retry", "--state", "dead"]);
    assert!(told.contains("1 request sent again") && told.contains("1 reply judged"), "{told}");
    office.crm.expect(&["ringing?before=0&call=", "show"]).await;
    assert_eq!(office.deliveries(&["list", "--state", "dead"]), "");
    office.hangs_up(&call);
    office.crm.expect(&["ringing?before=0&call=", "show", "ended?before=1&call=3"]).await;
    assert!(hook.stop().await.success());
}

/// What an order of arrival says: each follow-up comes directly behind what it follows, or behind
/// its elder sister, as far as its lane is concerned.
fn follows_directly(ledger: &Ledger, arrived: &[Arrival]) {
    let lanes: HashMap<&str, &str> =
        ledger.entries.iter().map(|entry| (entry.id.as_str(), entry.lane.as_str())).collect();
    let mut seen = HashSet::new();
    let mut last: HashMap<&str, &str> = HashMap::new();
    for arrival in arrived.iter().filter(|arrival| arrival.was_taken()) {
        let id = arrival.id();
        if !seen.insert(id) {
            continue;
        }
        let before = last.insert(lanes[id], id);
        if let Some((parent, number)) = id.rsplit_once('/') {
            let elder = format!("{parent}/{}", number.parse::<u32>().unwrap() - 1);
            let right = before == Some(if number == "1" { parent } else { &elder });
            assert!(right, "{id} came behind {before:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_and_stops_under_load_lose_no_follow_up_and_double_none() {
    let pbx = Arc::new(Crowd::office().start().await.expect("the exchange starts"));
    let oracle = Oracle::start().await;
    oracle.script(|number, arrival| {
        let body = match arrival.target.split('?').next().unwrap_or_default() {
            _ if number % 9 == 4 && arrival.attempt() < 3 => {
                return Answer::With(503, Vec::new(), "retry 1 busy".to_owned());
            }
            "/ringing" => "keep call 1\nfollow show\nfollow note",
            "/started" => "follow mark",
            _ => "",
        };
        Answer::With(200, Vec::new(), body.to_owned())
    });
    let file = format!("file = {}", replying().display());
    let ini = Ini::new(&pbx, &oracle.url())
        .level("info")
        .webhook("plugins = replying")
        .section("plugin.replying", &[&file]);
    let mut dice = Dice::new(11);
    let bustle = Crowd::new(&pbx, 12, 200).bustle(300);
    for round in 0..8 {
        let hook = Callhook::start(&ini).await;
        let arrived = oracle.count();
        oracle.wait("some of the load", |all| all.len() > arrived + 20).await;
        // The instant is the fault; nothing waits for it.
        tokio::time::sleep(Duration::from_millis(dice.below(100))).await;
        if round % 4 == 3 { assert!(hook.stop().await.success()) } else { hook.kill() }
    }
    let hook = Callhook::start(&ini).await;
    bustle.stop().await.go_home();
    let limit = Duration::from_mins(1);
    let over = |ledger: &Ledger| ledger.ends().values().all(|ends| *ends > 0);
    Ledger::wait(&ini.database(), limit, "all calls are over", over).await;
    let ledger = Ledger::settled(&ini.database(), limit).await;
    ledger.every_call_ended_once();
    let arrived = oracle.arrived();
    let account = ledger.audit("webhook", &arrived);
    println!("{account:?}");
    assert_eq!((account.dead, account.expired), (0, 0), "{account:?}");
    let ids: HashSet<&str> = ledger.entries.iter().map(|entry| entry.id.as_str()).collect();
    let mut followed = 0;
    for entry in ledger.entries.iter().filter(|entry| !entry.id.contains('/')) {
        let kind = ledger.events[&entry.event].1.as_str();
        let expected = match kind {
            "ringing" => 2,
            "start" => 1,
            _ => 0,
        };
        let following = (1..4).filter(|n| ids.contains(format!("{}/{n}", entry.id).as_str()));
        assert_eq!(following.count(), expected, "{kind}: {entry:#?}");
        followed += expected;
    }
    assert!(followed > 50, "there was something to lose: {followed}");
    follows_directly(&ledger, &arrived);
    assert!(hook.stop().await.success());
}
