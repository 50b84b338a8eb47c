//! An exchange, an engine that watches it, a clock, and everything the engine said.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use callhook::calls::title::Titles;
use callhook::calls::{Engine, Settings, Wanted};
use callhook::clock::Moment;
use callhook::event::{CallEvent, Direction, EventKind};
use callhook::source::notice::{self, DnType, LegKey, Notice, Seen, Snapshot};
use callhook_pbx::exchange::{Change, Exchange, Participant, Refused, Status, Who, Wire};
use jiff::tz::TimeZone;

use crate::office::{CALLER, plan};

/// How long the engine waits for a call to show up again.
pub(crate) const SETTLE_MS: u64 = 2_000;
/// After this long, nothing of a call that is over is left.
const LINGER_MS: u64 = 601_000;

/// The exchange and its watcher.
pub(crate) struct Desk {
    pub(crate) exchange: Exchange,
    pub(crate) engine: Engine,
    pub(crate) events: Vec<CallEvent>,
    pub(crate) kept: BTreeMap<String, Vec<u8>>,
    hidden: BTreeSet<String>,
    mono: Duration,
    start: jiff::Timestamp,
}

impl Desk {
    /// An idle exchange of which these numbers are not visible.
    pub(crate) fn new(wire: Wire, hidden: &[&str]) -> Self {
        let mut desk = Self {
            exchange: Exchange::new(plan(wire)),
            engine: Engine::new(settings()),
            events: Vec::new(),
            kept: BTreeMap::new(),
            hidden: hidden.iter().map(|&dn| dn.to_owned()).collect(),
            mono: Duration::ZERO,
            start: "2022-01-06T19:59:45Z".parse().unwrap(),
        };
        desk.snapshot(true);
        desk
    }
}

/// What people and the exchange do. Everything must make sense.
impl Desk {
    pub(crate) fn arrives(&mut self, line: &str) -> i64 {
        self.does(|exchange| exchange.arrive(CALLER, "", &format!("42022620{line}")))
    }

    pub(crate) fn dials(&mut self, from: &str, number: &str) -> i64 {
        self.does(|exchange| exchange.dial(from, number))
    }

    pub(crate) fn makes_call(&mut self, from: &str, number: &str) -> i64 {
        self.does(|exchange| exchange.make_call(from, number))
    }

    pub(crate) fn answers(&mut self, call: i64, dn: &str) -> &mut Self {
        self.act(|exchange| exchange.answer(call, Who::Dn(dn)))
    }

    pub(crate) fn outside_answers(&mut self, call: i64, number: &str) -> &mut Self {
        self.act(|exchange| exchange.answer(call, Who::Outside(number)))
    }

    pub(crate) fn rejects(&mut self, call: i64, dn: &str) -> &mut Self {
        self.act(|exchange| exchange.reject(call, Who::Dn(dn)))
    }

    pub(crate) fn transfers(&mut self, call: i64, by: &str, to: &str) -> &mut Self {
        self.act(|exchange| exchange.transfer(call, Who::Dn(by), to))
    }

    pub(crate) fn diverts(&mut self, call: i64, by: &str, to: &str) -> &mut Self {
        self.act(|exchange| exchange.divert(call, Who::Dn(by), to))
    }

    pub(crate) fn goes_to(&mut self, call: i64, to: &str) -> &mut Self {
        self.act(|exchange| exchange.go_to(call, to))
    }

    pub(crate) fn polls_again(&mut self, call: i64) -> &mut Self {
        self.act(|exchange| exchange.poll_again(call))
    }

    pub(crate) fn rings_out(&mut self, call: i64) -> &mut Self {
        self.act(|exchange| exchange.ring_out(call))
    }

    pub(crate) fn picks_up(&mut self, call: i64, by: &str) -> &mut Self {
        self.act(|exchange| exchange.pick_up(call, by))
    }

    pub(crate) fn parks(&mut self, call: i64, by: &str) -> &mut Self {
        self.act(|exchange| exchange.park(call, Who::Dn(by), "SP0"))
    }

    pub(crate) fn holds(&mut self, call: i64, by: &str) -> &mut Self {
        self.act(|exchange| exchange.hold(call, Who::Dn(by)))
    }

    pub(crate) fn resumes(&mut self, call: i64, by: &str) -> &mut Self {
        self.act(|exchange| exchange.resume(call, Who::Dn(by)))
    }

    /// Callhook is killed and started again, and looks at what there is.
    pub(crate) fn begins_anew(&mut self) -> &mut Self {
        self.restart();
        self.snapshot(true);
        self
    }

    pub(crate) fn hangs_up(&mut self, call: i64, dn: &str) -> &mut Self {
        self.act(|exchange| exchange.hang_up(call, Who::Dn(dn)))
    }

    pub(crate) fn caller_hangs_up(&mut self, call: i64) -> &mut Self {
        self.act(|exchange| exchange.hang_up(call, Who::Outside(CALLER)))
    }

    /// Returns the number that the joined call bears.
    pub(crate) fn joins(&mut self, first: i64, second: i64, by: &str) -> i64 {
        self.does(|exchange| exchange.join(first, second, by))
    }

    pub(crate) fn act(
        &mut self,
        act: impl FnOnce(&mut Exchange) -> Result<(), Refused>,
    ) -> &mut Self {
        self.does(act);
        self
    }

    fn does<T>(&mut self, act: impl FnOnce(&mut Exchange) -> Result<T, Refused>) -> T {
        let done = act(&mut self.exchange).expect("the action makes sense");
        for change in self.exchange.take_changes() {
            self.show(&change);
            self.pass(1);
        }
        done
    }
}

/// What the engine sees.
impl Desk {
    /// Whether a number is visible.
    pub(crate) fn sees(&self, dn: &str) -> bool {
        !self.hidden.contains(dn)
    }

    /// Tells the engine one change, if it is visible.
    pub(crate) fn show(&mut self, change: &Change) {
        let leg = change.participant();
        if !self.sees(&leg.dn) {
            return;
        }
        let seen = match change {
            Change::Upsert(leg) => Seen::Leg(Box::new(participant(leg))),
            Change::Remove(leg) => Seen::LegGone(LegKey { dn: leg.dn.clone(), id: leg.id }),
        };
        self.see(seen);
    }

    /// Tells the engine all that is visible now.
    pub(crate) fn snapshot(&mut self, after_gap: bool) {
        let seen: Vec<&Participant> =
            self.exchange.participants().filter(|leg| self.sees(&leg.dn)).collect();
        let mut legs: Vec<notice::Participant> = seen.into_iter().map(participant).collect();
        legs.sort_by(|a, b| a.key.cmp(&b.key));
        let dns = self.exchange.plan().dns.iter().filter(|(number, _)| self.sees(number));
        let dns = dns.map(|(number, dn)| notice::Dn {
            number: number.clone(),
            kind: DnType::parse(dn.kind.word()),
        });
        let dns = dns.collect();
        self.see(Seen::Snapshot(Snapshot { after_gap, dns, legs }));
    }

    pub(crate) fn see(&mut self, what: Seen) {
        let wall = self.start.checked_add(self.mono).unwrap();
        let step = self.engine.apply(&Notice { at: Moment { wall, mono: self.mono }, what });
        self.events.extend(step.events);
        for (key, state) in step.state {
            match state {
                Some(state) => self.kept.insert(key, state),
                None => self.kept.remove(&key),
            };
        }
    }

    /// Time passes, and the engine is woken when it asked for it.
    pub(crate) fn pass(&mut self, ms: u64) -> &mut Self {
        let end = self.mono + Duration::from_millis(ms);
        while let Some(due) = self.engine.next_tick().filter(|due| *due <= end) {
            self.mono = self.mono.max(due);
            self.see(Seen::Tick);
        }
        self.mono = end;
        self
    }

    /// Callhook is killed, and another takes over what was kept.
    pub(crate) fn restart(&mut self) {
        self.engine = Engine::new(settings());
        for (key, state) in &self.kept {
            self.engine.restore(key, state).expect("what was kept can be read");
        }
        self.start = self.start.checked_add(self.mono).unwrap();
        self.mono = Duration::ZERO;
    }

    /// Holds that nothing is left when the exchange has been idle for long.
    pub(crate) fn is_forgotten(&mut self) {
        self.pass(SETTLE_MS + LINGER_MS).pass(LINGER_MS);
        assert_eq!(self.engine.live_calls(), 0);
        assert_eq!(self.engine.next_tick(), None, "something is still waited for");
        assert!(self.kept.is_empty(), "kept: {:?}", self.kept.keys());
    }

    /// The events as lines: the usual kinds, or all of them.
    pub(crate) fn told(&self, with_internal: bool, of_all_kinds: bool) -> Vec<String> {
        let wanted = |event: &&CallEvent| {
            let is_inside = event.direction == Direction::Internal;
            (with_internal || !is_inside) && (of_all_kinds || event.kind.is_usual())
        };
        self.events.iter().filter(wanted).map(line).collect()
    }
}

/// Kind, user, number and link of the call, and what is particular: `end 106(ext) 1-1 Ok moved`.
pub(crate) fn line(event: &CallEvent) -> String {
    let user = format!("{}({})", event.user.number, event.user.kind.user_type());
    let tail = match &event.kind {
        EventKind::Started(started) => format!(" {:?}", started.transfer),
        EventKind::Ended(ended) => {
            let moved = if ended.transferred { " moved" } else { "" };
            format!(" {:?}{moved}", ended.finish)
        }
        EventKind::RingingStopped(stopped) => format!(" {}", stopped.reason.name()),
        _ => String::new(),
    };
    let id = event.id.to_string();
    let id = id.split_once('_').map_or(id.as_str(), |(_, id)| id);
    let way = match event.direction {
        Direction::Incoming => "",
        Direction::Outgoing => "out ",
        Direction::Internal => "internal ",
        Direction::Unknown => "unknown ",
    };
    format!("{way}{} {user} {id}{tail}", event.kind.name())
}

fn settings() -> Settings {
    Settings {
        pbx: "pbx".into(),
        zone: TimeZone::get("Europe/Prague").unwrap(),
        settle: Duration::from_millis(SETTLE_MS),
        dids: BTreeMap::new(),
        dns: BTreeMap::new(),
        titles: Titles::default(),
        wanted: Wanted::default(),
    }
}

/// As the wire tells it.
pub(crate) fn participant(leg: &Participant) -> notice::Participant {
    let status = match leg.status {
        Status::Dialing => notice::Status::Dialing,
        Status::Ringing => notice::Status::Ringing,
        Status::Connected => notice::Status::Connected,
        Status::Hold => notice::Status::Other("Hold".to_owned()),
        Status::Held => notice::Status::Other("Held".to_owned()),
    };
    notice::Participant {
        key: LegKey { dn: leg.dn.clone(), id: leg.id },
        call_id: leg.callid,
        leg_id: leg.legid,
        status,
        party_dn: leg.party_dn.clone(),
        party_dn_type: DnType::parse(leg.party_dn_type.word()),
        party_caller_id: leg.party_caller_id.clone(),
        party_caller_name: leg.party_caller_name.clone(),
        party_did: leg.party_did.clone(),
        originated_by_dn: leg.originated_by_dn.clone(),
        originated_by_type: DnType::parse(leg.originated_by_type.word()),
        referred_by_dn: leg.referred_by_dn.clone(),
        referred_by_type: DnType::parse(leg.referred_by_type.word()),
        on_behalf_of_dn: leg.on_behalf_of_dn.clone(),
        on_behalf_of_type: DnType::parse(leg.on_behalf_of_type.word()),
        device_id: leg.device_id.clone(),
    }
}
