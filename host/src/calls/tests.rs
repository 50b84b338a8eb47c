//! What the exchange shows, and what the engine says of it: one story per test.

mod fetched;
mod guests;
mod hung_up;
mod machines;
mod own_phone;
mod staying;
mod withheld;

use std::time::Duration;

use super::*;
use crate::clock::Moment;
use crate::event::{Direction, Ended, EventKind};
use crate::source::notice::{Dn, DnType, Status};

pub(super) const CALLER: &str = "420774852629";

fn settings() -> Settings {
    Settings {
        pbx: "pbx".into(),
        zone: TimeZone::get("Europe/Prague").unwrap(),
        settle: Duration::from_secs(2),
        dids: [("420226201001".into(), "PragueDID".into())].into(),
        dns: BTreeMap::new(),
        titles: Titles::default(),
        wanted: Wanted::default(),
    }
}

/// An engine, a clock, and everything the engine said.
pub(super) struct Story {
    pub(super) engine: Engine,
    mono: Duration,
    start: jiff::Timestamp,
    pub(super) events: Vec<CallEvent>,
    pub(super) kept: BTreeMap<String, Vec<u8>>,
    dns: Vec<Dn>,
    wanted: Wanted,
}

/// What a participant is made from, in the order: DN, status, other side.
pub(super) struct LegSketch(Participant);

pub(super) fn leg(dn: &str, id: i64, status: Status) -> LegSketch {
    LegSketch(Participant {
        key: LegKey { dn: dn.into(), id },
        call_id: 755,
        leg_id: 2,
        status,
        party_dn: "10007".into(),
        party_dn_type: DnType::ExternalLine,
        party_caller_id: CALLER.into(),
        party_caller_name: String::new(),
        party_did: String::new(),
        originated_by_dn: "ROUTER".into(),
        originated_by_type: DnType::RoutePoint,
        referred_by_dn: String::new(),
        referred_by_type: DnType::None,
        on_behalf_of_dn: String::new(),
        on_behalf_of_type: DnType::None,
        device_id: String::new(),
    })
}

impl LegSketch {
    pub(super) fn with(mut self, change: impl FnOnce(&mut Participant)) -> Self {
        change(&mut self.0);
        self
    }
    /// This side called out over the trunk.
    pub(super) fn outgoing(self) -> Self {
        self.with(|leg| {
            leg.leg_id = 1;
            leg.originated_by_dn = String::new();
            leg.originated_by_type = DnType::None;
        })
    }
    /// The other side is another extension.
    pub(super) fn with_extension(self, number: &str) -> Self {
        self.with(|leg| {
            leg.originated_by_dn = String::new();
            leg.originated_by_type = DnType::None;
            leg.party_dn = number.into();
            leg.party_caller_id = number.into();
            leg.party_dn_type = DnType::Extension;
        })
    }
}

impl Story {
    pub(super) fn new() -> Self {
        Self::with_dns(&[
            ("106", DnType::Extension),
            ("107", DnType::Extension),
            ("800", DnType::Queue),
            ("850", DnType::Receptionist),
        ])
    }

    pub(super) fn with_dns(dns: &[(&str, DnType)]) -> Self {
        let mut story = Self {
            engine: Engine::new(settings()),
            mono: Duration::ZERO,
            start: "2022-01-06T19:59:45Z".parse().unwrap(),
            events: Vec::new(),
            kept: BTreeMap::new(),
            dns: dns.iter().map(|(n, k)| Dn { number: (*n).into(), kind: k.clone() }).collect(),
            wanted: Wanted::default(),
        };
        story.snapshot(Vec::new());
        story
    }

    /// The usual numbers, and this is wanted of the call log.
    pub(super) fn wanting(wanted: Wanted) -> Self {
        let mut story = Self::new();
        story.wanted = wanted;
        story.restart();
        story.snapshot(Vec::new());
        story
    }

    /// The settings are read again, and now this is wanted.
    pub(super) fn adopt(&mut self, wanted: Wanted) {
        self.wanted = wanted;
        self.engine.adopt(Settings { wanted, ..settings() });
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.start.checked_add(self.mono).unwrap(), mono: self.mono }
    }

    pub(super) fn see(&mut self, what: Seen) -> &mut Self {
        let step = self.engine.apply(&Notice { at: self.moment(), what });
        self.events.extend(step.events);
        for (key, state) in step.state {
            match state {
                Some(state) => self.kept.insert(key, state),
                None => self.kept.remove(&key),
            };
        }
        self
    }

    pub(super) fn leg(&mut self, sketch: LegSketch) -> &mut Self {
        self.see(Seen::Leg(Box::new(sketch.0)))
    }

    pub(super) fn gone(&mut self, dn: &str, id: i64) -> &mut Self {
        self.see(Seen::LegGone(LegKey { dn: dn.into(), id }))
    }

    /// Time passes, and the engine is woken when it asked for it.
    pub(super) fn pass(&mut self, ms: u64) -> &mut Self {
        let end = self.mono + Duration::from_millis(ms);
        while let Some(due) = self.engine.next_tick().filter(|due| *due <= end) {
            self.mono = self.mono.max(due);
            self.see(Seen::Tick);
        }
        self.mono = end;
        self
    }

    /// The process is killed and another takes over what was kept.
    pub(super) fn restart(&mut self) -> &mut Self {
        self.engine = Engine::new(Settings { wanted: self.wanted, ..settings() });
        for (key, state) in &self.kept {
            self.engine.restore(key, state).unwrap();
        }
        self.start = self.start.checked_add(self.mono).unwrap();
        self.mono = Duration::ZERO;
        self
    }

    /// As [`Story::restart`], with what was kept in whatever state.
    pub(super) fn restart_with_what_can_be_read(&mut self) -> &mut Self {
        let kept = std::mem::take(&mut self.kept);
        self.restart();
        for (key, state) in kept {
            if self.engine.restore(&key, &state).is_ok() {
                self.kept.insert(key, state);
            }
        }
        self
    }

    pub(super) fn snapshot(&mut self, legs: Vec<LegSketch>) -> &mut Self {
        let legs = legs.into_iter().map(|sketch| sketch.0).collect();
        let dns = self.dns.clone();
        self.see(Seen::Snapshot(Snapshot { after_gap: true, dns, legs }))
    }

    /// One line per usual event: kind, user, link, what is particular.
    pub(super) fn told(&self) -> Vec<String> {
        self.lines(|event| event.kind.is_usual())
    }

    /// One line per event of any kind.
    pub(super) fn told_of_all_kinds(&self) -> Vec<String> {
        self.lines(|_| true)
    }

    fn lines(&self, wanted: fn(&CallEvent) -> bool) -> Vec<String> {
        let line = |event: &CallEvent| {
            let user = format!("{}({})", event.user.number, event.user.kind.user_type());
            let tail = match &event.kind {
                EventKind::Started(s) => format!(" {:?}", s.transfer),
                EventKind::Ended(e) => {
                    let moved = if e.transferred { " moved" } else { "" };
                    format!(" {:?}{moved}", e.finish)
                }
                EventKind::RingingStopped(stopped) => format!(" {}", stopped.reason.name()),
                _ => String::new(),
            };
            format!("{} {user} -{}{tail}", event.kind.name(), event.id.link)
        };
        self.events.iter().filter(|event| wanted(event)).map(line).collect()
    }

    fn titles(&self) -> Vec<&str> {
        self.events.iter().filter_map(end_of).map(|ended| ended.title.as_str()).collect()
    }
}

fn end_of(event: &CallEvent) -> Option<&Ended> {
    match &event.kind {
        EventKind::Ended(ended) => Some(ended),
        _ => None,
    }
}

#[test]
fn an_incoming_call_that_is_answered_rings_starts_and_ends() {
    let mut story = Story::new();
    let with_did = |leg: LegSketch| leg.with(|leg| leg.party_did = "+420226201001".into());
    story.leg(with_did(leg("106", 1, Status::Ringing))).pass(4_000);
    story.leg(with_did(leg("106", 1, Status::Connected))).pass(204_000);
    story.gone("106", 1).pass(2_000);
    assert_eq!(
        story.told(),
        ["ringing 106(ext) -0", "start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]
    );
    assert_eq!(story.titles(), ["Incoming call from 420774852629 to 106 via PragueDID, 3:24"]);
    let start = &story.events[1];
    assert_eq!(start.id.to_string(), "220106205945_755-1");
    assert_eq!(start.did.as_ref().unwrap().label(), "PragueDID");
    let EventKind::Started(started) = &start.kind else { panic!("not a start") };
    assert_eq!((started.ring_ms, started.wait_ms), (Some(4_000), 4_000));
    let ended = end_of(&story.events[2]).unwrap();
    assert_eq!(ended.talk_ms, Some(204_000), "the settling time is not talk");
    assert_eq!(story.engine.live_calls(), 0);
}

#[test]
fn an_incoming_call_that_nobody_answers_is_missed_at_the_extension() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(20_000).gone("106", 1).pass(2_000);
    assert_eq!(story.told(), ["ringing 106(ext) -0", "end 106(ext) -0 Missed"]);
    assert_eq!(story.titles(), ["Missed incoming call from 420774852629 to 106, waited 0:20"]);
}

#[test]
fn repeated_notices_of_the_same_state_say_nothing() {
    let mut story = Story::new();
    for _ in 0..3 {
        story.leg(leg("106", 1, Status::Ringing)).pass(10);
    }
    for _ in 0..3 {
        story.leg(leg("106", 1, Status::Connected)).pass(10);
    }
    story.gone("106", 1).gone("106", 1).pass(5_000);
    assert_eq!(story.told().len(), 3);
}

#[test]
fn an_outgoing_call_starts_when_the_far_side_answers() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Dialing).outgoing()).pass(7_000);
    story.leg(leg("106", 1, Status::Connected).outgoing()).pass(60_000);
    story.gone("106", 1).pass(2_000);
    assert_eq!(story.told(), ["start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]);
    assert_eq!(story.events[0].direction, Direction::Outgoing);
    assert_eq!(story.titles(), ["Outgoing call from 106 to 420774852629, 1:00"]);
}

#[test]
fn an_outgoing_call_that_is_not_answered_ends_missed() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Dialing).outgoing()).pass(7_000).gone("106", 1).pass(2_000);
    assert_eq!(story.told(), ["end 106(ext) -0 Missed"]);
    assert_eq!(story.titles(), ["Outgoing call from 106 to 420774852629, no answer"]);
}

#[test]
fn a_makecall_whose_other_side_shows_later_is_outgoing() {
    let mut story = Story::new();
    let unknown = leg("106", 1, Status::Dialing).outgoing().with(|leg| {
        leg.party_dn = String::new();
        leg.party_dn_type = DnType::None;
    });
    story.leg(unknown).pass(50).leg(leg("106", 1, Status::Dialing).outgoing()).pass(900);
    story.leg(leg("106", 1, Status::Connected).outgoing()).pass(900).gone("106", 1).pass(2_000);
    assert_eq!(story.told(), ["start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]);
    assert_eq!(story.events[0].caller_id, CALLER);
}

fn queue_leg(id: i64) -> LegSketch {
    leg("800", id, Status::Connected)
}

#[test]
fn a_queue_rings_all_agents_under_one_id_and_one_answers() {
    let mut story = Story::new();
    story.leg(queue_leg(1)).pass(20);
    story
        .leg(leg("106", 2, Status::Ringing))
        .pass(1)
        .leg(leg("107", 3, Status::Ringing))
        .pass(6_000);
    story.leg(leg("107", 3, Status::Connected)).pass(4).gone("106", 2).pass(1).gone("800", 1);
    story.pass(30_000).gone("107", 3).pass(2_000);
    assert_eq!(
        story.told(),
        [
            "ringing 800(queue) -0",
            "ringing 106(ext) -0",
            "ringing 107(ext) -0",
            "start 107(ext) -1 NotDef",
            "end 107(ext) -1 Ok"
        ]
    );
    let usual: Vec<&CallEvent> = story.events.iter().filter(|it| it.kind.is_usual()).collect();
    assert_eq!(usual[3].queue.as_ref().unwrap().number, "800");
    let ended = end_of(usual[4]).unwrap();
    assert_eq!(ended.unanswered.iter().map(|p| p.number.as_str()).collect::<Vec<_>>(), ["106"]);
}

#[test]
fn a_queue_leg_that_stays_during_the_talk_is_no_transfer() {
    let mut story = Story::new();
    story.leg(queue_leg(1)).leg(leg("106", 2, Status::Ringing)).pass(3_000);
    story.leg(leg("106", 2, Status::Connected)).pass(9_000);
    story.gone("106", 2).pass(3).gone("800", 1).pass(2_000);
    assert_eq!(story.told().last().unwrap(), "end 106(ext) -1 Ok");
    assert_eq!(story.told().len(), 4);
}

#[test]
fn a_call_that_nobody_takes_is_missed_by_the_queue() {
    let mut story = Story::new();
    story.leg(queue_leg(1)).pass(20).leg(leg("106", 2, Status::Ringing)).pass(10_000);
    story.gone("106", 2).pass(350).leg(leg("106", 3, Status::Ringing)).pass(10_000);
    story.gone("800", 1).gone("106", 3).pass(2_000);
    assert_eq!(
        story.told(),
        [
            "ringing 800(queue) -0",
            "ringing 106(ext) -0",
            "ringing 106(ext) -0",
            "end 800(queue) -0 Missed"
        ]
    );
    assert_eq!(
        story.titles(),
        ["Missed incoming call from 420774852629, ended in queue 800, waited 0:20"]
    );
}

#[test]
fn a_queue_that_is_not_visible_is_known_from_its_offers() {
    let mut story = Story::with_dns(&[("106", DnType::Extension)]);
    let offer = leg("106", 2, Status::Ringing).with(|leg| {
        leg.originated_by_dn = "800".into();
        leg.originated_by_type = DnType::Queue;
    });
    story.leg(offer).pass(10_000).gone("106", 2).pass(2_000);
    assert_eq!(story.told(), ["ringing 106(ext) -0", "end 800(queue) -0 Missed"]);
}

#[test]
fn a_call_that_leaves_the_queue_for_an_extension_is_missed_there() {
    let mut story = Story::new();
    story.leg(queue_leg(1)).pass(10_000).gone("800", 1).pass(30);
    story.leg(leg("107", 2, Status::Ringing)).pass(9_000).gone("107", 2).pass(2_000);
    assert_eq!(story.told().last().unwrap(), "end 107(ext) -0 Missed");
}

#[test]
fn a_ring_group_without_a_leg_of_its_own_rings_its_members() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).leg(leg("107", 2, Status::Ringing)).pass(5_000);
    story.leg(leg("106", 1, Status::Connected)).gone("107", 2).pass(5_000);
    story.gone("106", 1).pass(2_000);
    assert_eq!(
        story.told(),
        [
            "ringing 106(ext) -0",
            "ringing 107(ext) -0",
            "start 106(ext) -1 NotDef",
            "end 106(ext) -1 Ok"
        ]
    );
}

#[test]
fn a_receptionist_that_picks_up_is_no_answer() {
    let mut story = Story::new();
    story.leg(leg("850", 1, Status::Connected)).pass(8_000);
    story.leg(leg("106", 2, Status::Ringing)).pass(40).gone("850", 1).pass(3_000);
    story.leg(leg("106", 2, Status::Connected)).pass(9_000).gone("106", 2).pass(2_000);
    assert_eq!(
        story.told(),
        [
            "ringing 850(other) -0",
            "ringing 106(ext) -0",
            "start 106(ext) -1 NotDef",
            "end 106(ext) -1 Ok"
        ]
    );
}

#[test]
fn voicemail_that_picks_up_is_a_missed_call() {
    let dns = [("106", DnType::Extension), ("666", DnType::SpecialMenu)];
    let mut story = Story::with_dns(&dns);
    story.leg(leg("106", 1, Status::Ringing)).pass(20_000).gone("106", 1).pass(30);
    story.leg(leg("666", 2, Status::Connected)).pass(15_000).gone("666", 2).pass(2_000);
    assert_eq!(
        story.told(),
        ["ringing 106(ext) -0", "ringing 666(other) -0", "end 106(ext) -0 Missed"]
    );
}

#[test]
fn an_internal_call_is_told_from_the_called_side() {
    let mut story = Story::new();
    let caller = |status| leg("107", 1, status).outgoing().with_extension("106");
    let callee = |status| leg("106", 2, status).with_extension("107");
    story.leg(caller(Status::Dialing)).leg(callee(Status::Ringing)).pass(3_000);
    story.leg(caller(Status::Connected)).leg(callee(Status::Connected)).pass(9_000);
    story.gone("107", 1).gone("106", 2).pass(2_000);
    assert_eq!(
        story.told(),
        ["ringing 106(ext) -0", "start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]
    );
    assert!(story.events.iter().all(|event| event.direction == Direction::Internal));
    assert!(story.events.iter().all(|event| event.caller_id == "107"));
}

#[test]
fn a_caller_who_reaches_voicemail_inside_has_not_been_answered() {
    let mut story = Story::new();
    let menu = |status| {
        leg("107", 1, status).outgoing().with(|leg| {
            leg.party_dn = "666".into();
            leg.party_dn_type = DnType::SpecialMenu;
            leg.party_caller_id = "106".into();
        })
    };
    story.leg(leg("107", 1, Status::Dialing).outgoing().with_extension("106")).pass(9_000);
    story.leg(menu(Status::Dialing)).leg(menu(Status::Connected)).pass(5_000);
    story.gone("107", 1).pass(2_000);
    assert!(story.told().iter().all(|line| line.starts_with("end") && line.ends_with("Missed")));
}

#[test]
fn a_blind_transfer_raises_the_link_when_the_first_party_leaves() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(1_000).leg(leg("106", 1, Status::Connected));
    story.pass(10_000).leg(leg("107", 2, Status::Ringing).with(|leg| {
        leg.referred_by_dn = "106".into();
    }));
    story.pass(50).gone("106", 1).pass(4_000).leg(leg("107", 2, Status::Connected));
    story.pass(6_000).gone("107", 2).pass(2_000);
    assert_eq!(
        story.told(),
        [
            "ringing 106(ext) -0",
            "start 106(ext) -1 NotDef",
            "end 106(ext) -1 Ok moved",
            "ringing 107(ext) -2",
            "start 107(ext) -2 Blind",
            "end 107(ext) -2 Ok"
        ]
    );
}

#[test]
fn a_visible_trunk_ends_the_call_without_delay() {
    let dns = [("106", DnType::Extension), ("10007", DnType::ExternalLine)];
    let mut story = Story::with_dns(&dns);
    let trunk = |status| {
        leg("10007", 1, status).with(|leg| {
            leg.leg_id = 1;
            leg.party_dn = String::new();
            leg.party_dn_type = DnType::None;
            leg.party_did = "420226201001".into();
        })
    };
    story.leg(trunk(Status::Dialing)).leg(leg("106", 2, Status::Ringing)).pass(3_000);
    story.leg(leg("106", 2, Status::Connected)).leg(trunk(Status::Connected)).pass(8_000);
    story.gone("106", 2).gone("10007", 1);
    assert_eq!(
        story.told(),
        ["ringing 106(ext) -0", "start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]
    );
    assert_eq!(story.events[0].did.as_ref().unwrap().label(), "PragueDID");
}

#[test]
fn a_restart_in_mid_call_changes_no_id_and_repeats_nothing() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(2_000).leg(leg("106", 1, Status::Connected));
    story.pass(60_000).restart().pass(500);
    story.snapshot(vec![leg("106", 1, Status::Connected)]).pass(30_000);
    story.gone("106", 1).pass(2_000);
    assert_eq!(
        story.told(),
        ["ringing 106(ext) -0", "start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]
    );
    let ended = end_of(&story.events[2]).unwrap();
    assert_eq!(ended.talk_ms, Some(90_500));
    assert!(story.events.iter().all(|event| event.id.chain == story.events[0].id.chain));
}

#[test]
fn a_call_that_vanished_while_nobody_watched_ends_resynced() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(2_000).leg(leg("106", 1, Status::Connected));
    story.pass(1_000).see(Seen::Lost).pass(600_000).snapshot(Vec::new()).pass(2_000);
    assert_eq!(story.told().last().unwrap(), "end 106(ext) -1 Ok");
    assert!(story.events.last().unwrap().resynced);
    assert!(!story.events[0].resynced);
}

#[test]
fn silence_while_nobody_watches_ends_nothing() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(2_000).gone("106", 1).see(Seen::Lost);
    assert_eq!(story.engine.next_tick(), None);
    story.pass(60_000).snapshot(vec![leg("107", 2, Status::Ringing)]).pass(9_000);
    assert_eq!(story.told(), ["ringing 106(ext) -0", "ringing 107(ext) -0"]);
}

#[test]
fn a_call_that_comes_back_from_a_hidden_place_gets_the_next_link() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(2_000).leg(leg("106", 1, Status::Connected));
    story.pass(5_000).gone("106", 1).pass(211_000);
    story.leg(leg("107", 2, Status::Ringing)).pass(2_000).leg(leg("107", 2, Status::Connected));
    story.pass(5_000).gone("107", 2).pass(2_000);
    assert_eq!(
        story.told(),
        [
            "ringing 106(ext) -0",
            "start 106(ext) -1 NotDef",
            "end 106(ext) -1 Ok",
            "ringing 107(ext) -2",
            "start 107(ext) -2 Blind",
            "end 107(ext) -2 Ok"
        ]
    );
}

#[test]
fn a_reused_call_number_is_a_new_call() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(2_000).gone("106", 1).pass(60_000);
    let other =
        leg("106", 1, Status::Ringing).with(|leg| leg.party_caller_id = "420111222333".into());
    story.leg(other).pass(1_000).gone("106", 1).pass(2_000);
    assert_eq!(story.told()[2..], ["ringing 106(ext) -0", "end 106(ext) -0 Missed"]);
    assert_ne!(story.events[0].id.chain, story.events.last().unwrap().id.chain);
}

#[test]
fn nothing_is_kept_of_a_call_for_ever() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(2_000).gone("106", 1).pass(700_000);
    assert!(story.kept.is_empty());
    assert!(story.engine.is_empty());
}

/// How long each ringing that stopped had lasted.
fn rang(story: &Story) -> Vec<(&str, u32)> {
    let events = story.events.iter();
    events
        .filter_map(|event| match &event.kind {
            EventKind::RingingStopped(it) => Some((event.user.number.as_str(), it.rang_ms)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_ringing_that_stops_is_told_with_the_time_it_lasted_not_that_it_took_to_know_why() {
    let mut story = Story::new();
    story.leg(queue_leg(1)).leg(leg("106", 2, Status::Ringing)).pass(3_000);
    story.gone("106", 2).pass(100);
    assert_eq!(rang(&story), []);
    story.pass(400);
    assert_eq!(rang(&story), [("106", 3_000)]);
    let stopped = story.events.last().unwrap();
    assert_eq!(stopped.occurred_at.epoch_ms() - story.events[0].occurred_at.epoch_ms(), 3_000);
    story.pass(5_000).gone("800", 1).pass(2_000);
    assert_eq!(rang(&story), [("106", 3_000), ("800", 8_500)]);
    assert_eq!(
        story.told_of_all_kinds(),
        [
            "ringing 800(queue) -0",
            "ringing 106(ext) -0",
            "ringing-stopped 106(ext) -0 unknown",
            "ringing-stopped 800(queue) -0 caller-gone",
            "end 800(queue) -0 Missed"
        ]
    );
}

#[test]
fn a_phone_that_stops_before_the_answer_elsewhere_is_seen_was_not_rejected() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).leg(leg("107", 2, Status::Ringing)).pass(3_000);
    story.gone("106", 1).pass(4).leg(leg("107", 2, Status::Connected)).pass(5_000);
    story.gone("107", 2).pass(2_000);
    assert_eq!(
        story.told_of_all_kinds(),
        [
            "ringing 106(ext) -0",
            "ringing 107(ext) -0",
            "ringing-stopped 106(ext) -0 answered-elsewhere",
            "start 107(ext) -1 NotDef",
            "end 107(ext) -1 Ok"
        ]
    );
}

#[test]
fn a_restart_while_the_reason_of_a_stop_is_waited_for_loses_nothing() {
    let queue = || queue_leg(1);
    let mut story = Story::new();
    story.leg(queue()).leg(leg("106", 2, Status::Ringing)).pass(3_000).gone("106", 2).pass(100);
    story.restart().snapshot(vec![queue(), leg("107", 3, Status::Ringing)]);
    let told = story.told_of_all_kinds();
    assert_eq!(told[2..], ["ringing-stopped 106(ext) -0 moved", "ringing 107(ext) -0"]);
    assert_eq!(rang(&story), [("106", 3_000)]);
}

#[test]
fn a_phone_that_stopped_while_nobody_watched_tells_no_reason() {
    let mut story = Story::new();
    story.leg(queue_leg(1)).leg(leg("106", 2, Status::Ringing)).pass(3_000);
    story.see(Seen::Lost).pass(60_000).snapshot(Vec::new()).pass(2_000);
    let told = story.told_of_all_kinds();
    assert_eq!(told[2], "ringing-stopped 800(queue) -0 unknown");
    assert_eq!(told[3], "ringing-stopped 106(ext) -0 unknown");
    assert!(story.events[2].resynced && story.events[3].resynced);
}

#[test]
fn an_outgoing_call_that_was_up_when_it_was_first_seen_was_not_dialled_now() {
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Connected).outgoing()).pass(9_000).gone("106", 1).pass(2_000);
    assert_eq!(story.told_of_all_kinds(), ["start 106(ext) -1 NotDef", "end 106(ext) -1 Ok"]);
}

#[test]
fn a_hold_that_shows_as_a_status_is_told_also_over_a_restart() {
    let status = |word: &str| leg("106", 1, Status::Other(word.into()));
    let mut story = Story::new();
    story.leg(leg("106", 1, Status::Ringing)).pass(1_000).leg(leg("106", 1, Status::Connected));
    story.pass(1_000).leg(status("Hold")).leg(status("hold")).pass(1_000);
    story.restart().snapshot(vec![status("Hold")]).pass(1_000);
    story.leg(leg("106", 1, Status::Connected)).pass(1_000);
    story.leg(status("Held")).pass(1_000).leg(status("Whatever")).pass(1_000);
    story.leg(status("Hold")).pass(1_000).gone("106", 1).pass(2_000);
    assert_eq!(
        story.told_of_all_kinds(),
        [
            "ringing 106(ext) -0",
            "start 106(ext) -1 NotDef",
            "hold 106(ext) -1",
            "resume 106(ext) -1",
            "hold 106(ext) -1",
            "end 106(ext) -1 Ok"
        ]
    );
}

#[test]
fn a_call_that_grows_to_its_bound_says_so_once() {
    use std::io::{Read as _, Seek as _};
    let mut log = tempfile::tempfile().unwrap();
    let writer = std::sync::Mutex::new(log.try_clone().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
    let mut story = Story::new();
    tracing::subscriber::with_default(subscriber, || {
        for id in 0..1_000 {
            story.leg(leg("106", id, Status::Connected));
        }
    });
    let mut said = String::new();
    log.rewind().unwrap();
    log.read_to_string(&mut said).unwrap();
    assert_eq!(said.matches("Call keeps growing").count(), 1, "{said}");
    let kept: usize = story.kept.values().map(Vec::len).sum();
    assert!(kept < 100_000, "{kept} bytes are kept");
    for id in 0..1_000 {
        story.gone("106", id);
    }
    story.pass(700_000);
    assert_eq!(story.told().iter().filter(|line| line.starts_with("end")).count(), 1);
}
