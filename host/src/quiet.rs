//! What is worth a line in the log, and what has been said already.
//!
//! What fails again and again is said once per kind of failure, and again when that kind comes back
//! after a while of absence, or goes on for an hour; what is lost is said once a minute. What was
//! left out is counted.

use std::collections::BTreeMap;
use std::time::Duration;

/// A failure that was away for so long is news.
const ABSENCE: Duration = Duration::from_mins(5);

/// What goes on and on is said this often.
const REMINDER: Duration = Duration::from_hours(1);

/// A loss is said this often at most.
const PAUSE: Duration = Duration::from_mins(1);

/// What has been said, by kind.
#[derive(Debug)]
pub(crate) struct Said<K>(BTreeMap<K, Kind>);

impl<K> Default for Said<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

#[derive(Debug)]
struct Kind {
    /// When it happened last, on the steady clock.
    last: Duration,
    /// When it was said last.
    said: Duration,
    /// How often it happened since it was said.
    unsaid: u64,
}

impl<K: Ord> Said<K> {
    /// `kind` has happened, which passes by itself. If it is to be said, how often it happened
    /// unsaid before.
    pub(crate) fn news(&mut self, kind: K, now: Duration) -> Option<u64> {
        self.note(kind, now, |kind| {
            now.saturating_sub(kind.last) >= ABSENCE || now.saturating_sub(kind.said) >= REMINDER
        })
    }

    /// `kind` begins, which is said anyway.
    pub(crate) fn begins(&mut self, kind: K, now: Duration) {
        self.0.insert(kind, Kind { last: now, said: now, unsaid: 0 });
    }

    /// `kind` goes on. If it is to be said again, how often it happened unsaid before.
    pub(crate) fn goes_on(&mut self, kind: K, now: Duration) -> Option<u64> {
        if !self.0.contains_key(&kind) {
            // It was said by whoever was here before.
            self.begins(kind, now);
            return None;
        }
        self.note(kind, now, |kind| now.saturating_sub(kind.said) >= REMINDER)
    }

    /// `kind` has happened, and something is lost. If it is to be said, how often it happened
    /// unsaid before.
    pub(crate) fn loss(&mut self, kind: K, now: Duration) -> Option<u64> {
        self.note(kind, now, |kind| now.saturating_sub(kind.said) >= PAUSE)
    }

    fn note(&mut self, kind: K, now: Duration, again: impl Fn(&Kind) -> bool) -> Option<u64> {
        let Some(known) = self.0.get_mut(&kind) else {
            self.0.insert(kind, Kind { last: now, said: now, unsaid: 0 });
            return Some(0);
        };
        let say = again(known);
        known.last = now;
        if say {
            known.said = now;
            return Some(std::mem::take(&mut known.unsaid));
        }
        known.unsaid += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_said_once_and_again_when_it_comes_back() {
        let mut said = Said::default();
        assert_eq!(said.news("timeout", Duration::ZERO), Some(0));
        for second in 1..1_000 {
            assert_eq!(said.news("timeout", Duration::from_secs(second)), None);
        }
        assert_eq!(said.news("connect", Duration::from_secs(999)), Some(0));
        assert_eq!(said.news("timeout", Duration::from_secs(999) + ABSENCE), Some(999));
    }

    #[test]
    fn what_goes_on_is_said_every_hour() {
        let minutes = |minutes| Duration::from_mins(minutes);
        let mut said = Said::default();
        said.begins("down", Duration::ZERO);
        let told = |said: &mut Said<_>, from, until| -> Vec<_> {
            (from..until).filter_map(|now| said.goes_on("down", minutes(now))).collect()
        };
        assert_eq!(told(&mut said, 1, 150), [59, 59]);
        said.begins("down", minutes(150));
        assert_eq!(said.goes_on("taken over", minutes(150)), None);
        assert_eq!(told(&mut said, 151, 210), [0; 0]);
        let news: Vec<_> = (0..150).filter_map(|now| said.news("429", minutes(now))).collect();
        assert_eq!(news, [0, 59, 59]);
    }

    #[test]
    fn losses_are_said_once_a_minute_with_their_number() {
        let mut said = Said::default();
        let news = (0..150).map(|second| said.loss("dead", Duration::from_secs(second)));
        let lines: Vec<u64> = news.flatten().collect();
        assert_eq!(lines, [0, 59, 59]);
    }
}
