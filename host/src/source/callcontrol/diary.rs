//! Which calls have gone out of sight, by what was told of legs. Pure.
//!
//! Kept for those who look elsewhere then, in the call log or in the list of active calls. It
//! knows calls by their run-time numbers only, and concludes nothing: whether a call is over is
//! not for the source to say.

use std::collections::{HashMap, HashSet};

use crate::clock::Moment;
use crate::source::notice::{DnType, LegKey, Notice, Participant, Seen, Snapshot, Status};

/// So many calls that left, or came back, wait to be noticed; more are not looked after.
const MOST_LEFT: usize = 1000;

/// What is known of the calls of the moment.
#[derive(Debug, Default)]
pub(super) struct Diary {
    legs: HashMap<LegKey, i64>,
    calls: HashMap<i64, Life>,
    /// DNs that are no persons' phones.
    machines: HashSet<String>,
    queues: HashSet<String>,
    news: News,
}

/// What has happened since the last time that somebody looked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// The PBX is watched.
    pub(super) watched: bool,
    /// It is watched again, with another token perhaps.
    pub(super) regained: bool,
    /// Calls whose last visible leg is gone.
    pub(super) left: Vec<Left>,
    /// Calls that were out of sight and have a leg again.
    pub(super) back: Vec<i64>,
}

/// A call that has no visible leg any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// Its run-time number.
    pub(super) call: i64,
    /// What is known of it.
    pub(super) life: Life,
    /// When the last leg went.
    pub(super) at: Moment,
}

/// A call, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Life {
    /// When it was first seen.
    pub(super) began: Moment,
    /// The number outside; empty where no leg told one.
    pub(super) number: String,
    /// Somebody's phone was connected.
    pub(super) talked: bool,
    /// A queue took part.
    pub(super) queued: bool,
    /// It may have gone on for long when it was first seen.
    pub(super) met: bool,
    legs: usize,
}

impl Left {
    /// A call of which nothing is known but that it goes on without a visible leg.
    pub(super) fn unseen(call: i64, at: Moment) -> Self {
        Self { call, life: Life { queued: true, ..Life::new(at) }, at }
    }
}

impl Life {
    fn new(began: Moment) -> Self {
        Self { began, number: String::new(), talked: false, queued: false, met: false, legs: 0 }
    }

    #[cfg(test)]
    pub(super) fn of(number: &str, talked: bool, queued: bool, began: Moment) -> Self {
        Self { number: number.to_owned(), talked, queued, ..Self::new(began) }
    }
}

impl Diary {
    /// Takes in what is being told; true if there is news.
    pub(super) fn note(&mut self, notice: &Notice) -> bool {
        match &notice.what {
            Seen::Leg(leg) => self.see(leg, false, notice.at),
            Seen::LegGone(key) => self.forget(key, notice.at),
            Seen::Snapshot(snapshot) => self.compare(snapshot, notice.at),
            _ => {}
        }
        self.news != News::default()
    }

    /// What has happened since the last time.
    pub(super) fn take(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Whether this call has a visible leg.
    pub(super) fn shows(&self, call: i64) -> bool {
        self.calls.contains_key(&call)
    }

    fn compare(&mut self, snapshot: &Snapshot, at: Moment) {
        self.news.watched = true;
        self.news.regained |= snapshot.after_gap;
        self.machines.clear();
        self.queues.clear();
        for dn in &snapshot.dns {
            if !matches!(dn.kind, DnType::Extension | DnType::None) {
                self.machines.insert(dn.number.clone());
            }
            if dn.kind == DnType::Queue {
                self.queues.insert(dn.number.clone());
            }
        }
        let present: HashSet<&LegKey> = snapshot.legs.iter().map(|leg| &leg.key).collect();
        let gone: Vec<LegKey> =
            self.legs.keys().filter(|key| !present.contains(key)).cloned().collect();
        for key in gone {
            self.forget(&key, at);
        }
        for leg in &snapshot.legs {
            self.see(leg, snapshot.after_gap, at);
        }
    }

    fn see(&mut self, leg: &Participant, met: bool, at: Moment) {
        let before = self.legs.insert(leg.key.clone(), leg.call_id);
        let is_machine = self.machines.contains(&leg.key.dn);
        let call = self.calls.entry(leg.call_id).or_insert_with(|| {
            if self.news.back.len() < MOST_LEFT {
                self.news.back.push(leg.call_id);
            }
            Life { met, ..Life::new(at) }
        });
        call.legs += usize::from(before != Some(leg.call_id));
        let to_menu = leg.party_dn_type == DnType::SpecialMenu;
        call.talked |= leg.status == Status::Connected && !is_machine && !to_menu;
        call.queued |= self.queues.contains(&leg.key.dn)
            || [&leg.originated_by_type, &leg.party_dn_type].contains(&&DnType::Queue);
        if leg.party_dn_type == DnType::ExternalLine && call.number.is_empty() {
            call.number.clone_from(&leg.party_caller_id);
        }
        if let Some(other) = before.filter(|other| *other != leg.call_id) {
            self.let_go(other, at);
        }
    }

    fn forget(&mut self, key: &LegKey, at: Moment) {
        if let Some(call) = self.legs.remove(key) {
            self.let_go(call, at);
        }
    }

    /// A leg of this call is gone.
    fn let_go(&mut self, call: i64, at: Moment) {
        let Some(life) = self.calls.get_mut(&call) else { return };
        life.legs = life.legs.saturating_sub(1);
        if life.legs > 0 {
            return;
        }
        if let Some(life) = self.calls.remove(&call) {
            self.news.back.retain(|back| *back != call);
            if self.news.left.len() < MOST_LEFT {
                self.news.left.push(Left { call, life, at });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::source::notice::Dn;

    fn moment(second: u64) -> Moment {
        Moment { wall: jiff::Timestamp::UNIX_EPOCH, mono: Duration::from_secs(second) }
    }

    fn leg(dn: &str, call_id: i64, status: Status) -> Participant {
        Participant {
            key: LegKey { dn: dn.to_owned(), id: 1 },
            call_id,
            leg_id: 2,
            status,
            party_dn: "10007".to_owned(),
            party_dn_type: DnType::ExternalLine,
            party_caller_id: "420774852629".to_owned(),
            party_caller_name: String::new(),
            party_did: String::new(),
            originated_by_dn: String::new(),
            originated_by_type: DnType::None,
            referred_by_dn: String::new(),
            referred_by_type: DnType::None,
            on_behalf_of_dn: String::new(),
            on_behalf_of_type: DnType::None,
            device_id: String::new(),
        }
    }

    fn diary(told: Vec<Seen>) -> Diary {
        let mut diary = Diary::default();
        for (second, what) in (0..).zip(told) {
            diary.note(&Notice { at: moment(second), what });
        }
        diary
    }

    fn seen(leg: Participant) -> Seen {
        Seen::Leg(Box::new(leg))
    }

    fn snapshot(dns: &[(&str, DnType)], legs: Vec<Participant>) -> Seen {
        let dns = dns.iter().map(|(n, k)| Dn { number: (*n).to_owned(), kind: k.clone() });
        Seen::Snapshot(Snapshot { after_gap: true, dns: dns.collect(), legs })
    }

    #[test]
    fn a_call_has_left_when_its_last_leg_went() {
        let mut diary = diary(vec![
            seen(leg("106", 7, Status::Ringing)),
            seen(leg("107", 7, Status::Ringing)),
            seen(leg("106", 7, Status::Connected)),
            Seen::LegGone(LegKey { dn: "107".to_owned(), id: 1 }),
        ]);
        assert_eq!(diary.take().left, []);
        diary.note(&Notice {
            at: moment(9),
            what: Seen::LegGone(LegKey { dn: "106".to_owned(), id: 1 }),
        });
        let left = diary.take().left;
        assert_eq!((left[0].call, left[0].life.talked, left[0].life.queued), (7, true, false));
        assert_eq!((left[0].life.began, left[0].at), (moment(0), moment(9)));
        assert_eq!(left[0].life.number, "420774852629");
        assert_eq!(diary.take(), News::default());
    }

    #[test]
    fn a_queue_that_picks_up_is_no_talk() {
        let dns = [("800", DnType::Queue)];
        let waiting = snapshot(&dns, vec![leg("800", 7, Status::Connected)]);
        let mut diary = diary(vec![waiting, snapshot(&dns, Vec::new())]);
        let left = diary.take().left;
        assert_eq!((left[0].life.talked, left[0].life.queued), (false, true));
    }

    #[test]
    fn a_leg_that_goes_to_another_call_leaves_its_own() {
        let mut diary = diary(vec![
            seen(leg("106", 7, Status::Connected)),
            seen(leg("106", 8, Status::Connected)),
        ]);
        let news = diary.take();
        assert_eq!(news.left.iter().map(|left| left.call).collect::<Vec<_>>(), [7]);
        assert!(diary.shows(8) && !diary.shows(7));
    }
}
