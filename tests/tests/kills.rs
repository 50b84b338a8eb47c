//! Killed, stopped or starved at any instant under load, the service loses nothing that it has
//! committed, keeps the order of each call, and repeats little, always under the same id.
//!
//! `CALLHOOK_ROUNDS=200` kills more often than usual, `CALLHOOK_PACE=2000` under more load,
//! `CALLHOOK_WITHIN=2000` up to so many milliseconds after the start, `CALLHOOK_SEED` elsewhere.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callhook_pbx::Pbx;
use promises::{Account, Callhook, Crowd, Dice, Ini, Ledger, Oracle, eventually};
use tokio::net::TcpStream;

/// What a kill may repeat at most: what the contract says.
const REPEATED: usize = 512;

/// For what takes its time on a busy machine.
const LONG: Duration = Duration::from_mins(1);

struct Office {
    pbx: Arc<Pbx>,
    oracle: Oracle,
    ini: Ini,
}

impl Office {
    async fn open() -> Self {
        let pbx = Arc::new(Crowd::office().start().await.expect("the exchange starts"));
        let oracle = Oracle::start().await;
        // The numbers of calls do not start over, so they say everything.
        let ini = Ini::new(&pbx, &oracle.url()).level("info");
        Self { pbx, oracle, ini }
    }

    /// Waits until all calls of which anything was kept are over and told, and audits that.
    async fn audit(&self) -> Account {
        let database = self.ini.database();
        let over = |ledger: &Ledger| ledger.ends().values().all(|ends| *ends > 0);
        Ledger::wait(&database, LONG, "all calls are over", over).await;
        let ledger = Ledger::settled(&database, LONG).await;
        ledger.every_call_ended_once();
        ledger.audit("webhook", &self.oracle.arrived())
    }
}

fn rounds() -> u32 {
    number("CALLHOOK_ROUNDS", 25)
}

fn number(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_instants_under_load_lose_nothing_and_repeat_little() {
    let office = Office::open().await;
    let mut dice = Dice::new(1);
    let bustle = Crowd::new(&office.pbx, 2, 400).bustle(number("CALLHOOK_PACE", 1_000).into());
    let within = number("CALLHOOK_WITHIN", 300).into();
    let (mut slowest, mut up) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds() {
        let began = Instant::now();
        let hook = Callhook::start(&office.ini).await;
        slowest = slowest.max(began.elapsed());
        // The instant is the fault; nothing waits for it.
        let time = Duration::from_millis(dice.below(within));
        tokio::time::sleep(time).await;
        hook.kill();
        up += time;
    }
    let meanwhile = office.oracle.count();
    let hook = Callhook::start(&office.ini).await;
    let mut crowd = bustle.stop().await;
    crowd.go_home();
    let account = office.audit().await;
    assert!(hook.stop().await.success());
    println!(
        "{} kills, {} calls, {meanwhile} requests in {up:?}: {account:?}, ready after {slowest:?} \
         at most",
        rounds(),
        crowd.began()
    );
    assert!(account.delivered > 100, "there was something to lose: {account:?}");
    assert_eq!((account.dead, account.expired), (0, 0));
    let bound = REPEATED * usize::try_from(rounds()).unwrap();
    assert!(account.repeated <= bound, "{account:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_finishes_what_is_in_flight_and_repeats_nothing() {
    let office = Office::open().await;
    let bustle = Crowd::new(&office.pbx, 3, 200).bustle(500);
    for _ in 0..3 {
        let hook = Callhook::start(&office.ini).await;
        let arrived = office.oracle.count();
        office.oracle.wait("some of the load", |all| all.len() > arrived + 50).await;
        assert_eq!(hook.stop().await.code(), Some(0));
    }
    let hook = Callhook::start(&office.ini).await;
    bustle.stop().await.go_home();
    let account = office.audit().await;
    assert_eq!((account.dead, account.expired, account.repeated), (0, 0, 0), "{account:?}");
    assert!(hook.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_goes_on_and_repeats_nothing() {
    let office = Office::open().await;
    let hook = Callhook::start(&office.ini).await;
    let bustle = Crowd::new(&office.pbx, 4, 200).bustle(300);
    for _ in 0..3 {
        let arrived = office.oracle.count();
        office.oracle.wait("some of the load", |all| all.len() > arrived + 20).await;
        hook.signal("STOP");
        // Long enough for everything that the receiver and the exchange have to say.
        tokio::time::sleep(Duration::from_millis(700)).await;
        hook.signal("CONT");
    }
    bustle.stop().await.go_home();
    let account = office.audit().await;
    assert_eq!((account.dead, account.expired, account.repeated), (0, 0, 0), "{account:?}");
    assert!(hook.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_left_to_open_it_waits_without_spinning_and_loses_nothing() {
    let office = Office::open().await;
    let mut limited = Command::new("prlimit");
    let binary = Callhook::command(&[]);
    limited.arg("--nofile=64").arg(binary.get_program()).arg("run");
    let hook = Callhook::spawn_command(&office.ini, limited);
    hook.wait_until_ready().await;
    let bustle = Crowd::new(&office.pbx, 5, 200).bustle(100);
    office.oracle.wait("some of the load", |all| all.len() > 50).await;
    // Whoever wants can hold connections to the console open for a while.
    let console = hook.console().await;
    let mut held = Vec::new();
    for _ in 0..80 {
        held.push(TcpStream::connect(&console).await.expect("the machine takes it"));
    }
    let full = eventually("no file left to open", || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", hook.pid())).ok()?.count();
        (open >= 60).then_some(open)
    });
    let open = full.await.expect("all may be opened");
    let (used, lines) = (hook.processor_time(), hook.log().len());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = hook.processor_time().saturating_sub(used);
    let lines = hook.log().len() - lines;
    println!("{open} files open; {used:?} of processor time and {lines} lines of log in a second");
    assert!(used < Duration::from_millis(800), "it spins: {used:?}");
    assert!(lines < 200, "it floods the log: {lines} lines");
    drop(held);
    bustle.stop().await.go_home();
    let account = office.audit().await;
    assert_eq!(account.dead, 0, "{account:?}");
    assert!(hook.stop().await.success());
}
