//! What an endpoint may be sent at the moment: its breaker, its limit, and what it asked for.
//!
//! Pure: the steady clock comes in as an argument.

use std::time::Duration;

use super::breaker::{Breaker, Change, Sign, State};
use super::concurrency::Concurrency;
use crate::config::DeliveryConfig;

/// Between the worker, which starts attempts, and the endpoint.
#[derive(Debug)]
pub(super) struct Gate {
    breaker: Breaker,
    concurrency: Concurrency,
    /// Attempts under way.
    in_flight: usize,
    /// The endpoint asked for quiet until then.
    quiet_until: Duration,
    /// The endpoint said that it is gone for good.
    disabled: bool,
}

/// What may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// So many, at least one.
    For(usize),
    /// One, to find out whether the endpoint works again.
    Probe,
    /// Nothing until an attempt ends.
    Full,
    /// Nothing for so long, or until something changes.
    Closed(Option<Duration>),
}

/// What an attempt says, for the gate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lesson {
    /// How the endpoint is, if that says something.
    pub(super) sign: Option<Sign>,
    /// How long the attempt took.
    pub(super) took: Duration,
    /// It was too much for the endpoint.
    pub(super) pushed_back: bool,
    /// For so long the endpoint wants to be left alone.
    pub(super) quiet: Option<Duration>,
    /// The attempt was the probe.
    pub(super) probe: bool,
}

impl Gate {
    /// An open gate.
    pub(super) fn new(config: &DeliveryConfig) -> Self {
        Self {
            breaker: Breaker::new(config.breaker),
            concurrency: Concurrency::new(config.concurrency),
            in_flight: 0,
            quiet_until: Duration::ZERO,
            disabled: false,
        }
    }

    /// What may start now.
    pub(super) fn room(&mut self, now: Duration) -> Room {
        if self.disabled {
            return Room::Closed(None);
        }
        if now < self.quiet_until {
            return Room::Closed(Some(self.quiet_until.saturating_sub(now)));
        }
        match self.breaker.state() {
            State::Closed => match self.concurrency.limit().saturating_sub(self.in_flight) {
                0 => Room::Full,
                room => Room::For(room),
            },
            State::Open { .. } if self.breaker.wants_probe(now) => Room::Probe,
            State::Open { probe_at, .. } => Room::Closed(Some(probe_at.saturating_sub(now))),
            State::HalfOpen { .. } => Room::Full,
        }
    }

    /// An attempt starts.
    pub(super) fn start(&mut self, probe: bool) {
        if probe {
            self.breaker.probe();
        }
        self.in_flight += 1;
        if self.in_flight >= self.concurrency.limit() {
            self.concurrency.reached();
        }
    }

    /// Whether an attempt that has its turn may still be made.
    pub(super) fn admits(&self, probe: bool, now: Duration) -> bool {
        let closed = self.breaker.state() == State::Closed;
        !self.disabled && now >= self.quiet_until && (closed || probe)
    }

    /// An attempt has ended, with or without a lesson.
    pub(super) fn end(&mut self, probe: bool, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if probe {
            self.breaker.forget_probe(now);
        }
    }

    /// What an attempt says. Before it ends.
    pub(super) fn learn(&mut self, lesson: &Lesson, now: Duration) -> Option<Change> {
        if let Some(quiet) = lesson.quiet {
            self.hush(quiet, now);
        }
        if lesson.pushed_back {
            self.concurrency.pushed_back(now.saturating_sub(lesson.took), now);
        } else if lesson.sign == Some(Sign::Good) {
            self.concurrency.replied(lesson.took, now);
        }
        lesson.sign.and_then(|sign| self.breaker.record(sign, lesson.probe, now))
    }

    /// Nothing is to be sent for so long.
    pub(super) fn hush(&mut self, quiet: Duration, now: Duration) {
        self.quiet_until = self.quiet_until.max(now.saturating_add(quiet));
    }

    /// Goes on by other settings. What is given up is tried at once: the old ones may have been to
    /// blame.
    pub(super) fn adopt(&mut self, config: &DeliveryConfig, now: Duration) {
        self.breaker.adopt(config.breaker, now);
        self.concurrency.adopt(config.concurrency);
    }

    /// The endpoint is given up for now: what fails meanwhile is not the request's fault.
    pub(super) fn is_open(&self) -> bool {
        self.breaker.state() != State::Closed
    }

    /// How long nothing will be sent, as far as that is known.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        let probe_at = match self.breaker.state() {
            State::Open { probe_at, .. } => probe_at,
            State::Closed | State::HalfOpen { .. } => now,
        };
        probe_at.max(self.quiet_until).saturating_sub(now)
    }

    /// Whether the endpoint is gone for good.
    pub(super) fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// Shuts for good, or opens again. `true` if that changed something.
    pub(super) fn disable(&mut self, disabled: bool) -> bool {
        std::mem::replace(&mut self.disabled, disabled) != disabled
    }

    /// The limit on attempts at once, and how many there are.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.concurrency.limit(), self.in_flight)
    }

    /// What the breaker lets through.
    pub(super) fn breaker(&self) -> State {
        self.breaker.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lesson(sign: Sign) -> Lesson {
        Lesson { sign: Some(sign), took: SECOND, pushed_back: false, quiet: None, probe: false }
    }

    #[test]
    fn whoever_asks_for_quiet_gets_it_and_a_shorter_wish_does_not_cut_it() {
        let mut gate = Gate::new(&DeliveryConfig::default());
        let wish = |seconds| Lesson { quiet: Some(seconds * SECOND), ..lesson(Sign::Bad) };
        gate.learn(&wish(60), SECOND);
        gate.learn(&wish(5), SECOND);
        assert_eq!(gate.room(SECOND), Room::Closed(Some(60 * SECOND)));
        assert_eq!(gate.room(60 * SECOND), Room::Closed(Some(SECOND)));
        assert_eq!(gate.room(61 * SECOND), Room::For(4));
    }

    #[test]
    fn while_the_breaker_is_open_there_is_room_for_one_probe_only() {
        let mut gate = Gate::new(&DeliveryConfig::default());
        for _ in 0..5 {
            gate.start(false);
            gate.learn(&lesson(Sign::Unconnected), SECOND);
            gate.end(false, SECOND);
        }
        assert!(gate.is_open());
        assert_eq!(gate.room(SECOND), Room::Closed(Some(5 * SECOND)));
        assert_eq!(gate.room(6 * SECOND), Room::Probe);
        gate.start(true);
        assert_eq!(gate.room(7 * SECOND), Room::Full);
        gate.end(true, 8 * SECOND);
        assert_eq!(gate.room(8 * SECOND), Room::Probe, "it was cut off");
        gate.start(true);
        gate.learn(&Lesson { probe: true, ..lesson(Sign::Good) }, 9 * SECOND);
        gate.end(true, 9 * SECOND);
        assert_eq!(gate.room(9 * SECOND), Room::For(4));
    }

    #[test]
    fn other_settings_forget_nothing_and_try_at_once_what_is_given_up() {
        let mut gate = Gate::new(&DeliveryConfig::default());
        gate.hush(60 * SECOND, SECOND);
        for _ in 0..5 {
            gate.start(false);
            gate.learn(&lesson(Sign::Unconnected), SECOND);
        }
        let config = DeliveryConfig { concurrency: 2, ..DeliveryConfig::default() };
        gate.adopt(&config, 2 * SECOND);
        assert_eq!(gate.room(2 * SECOND), Room::Closed(Some(59 * SECOND)));
        assert_eq!(gate.room(61 * SECOND), Room::Probe);
        assert!(gate.is_open());
        assert_eq!(gate.load(), (2, 5));
    }

    #[test]
    fn what_is_disabled_stays_so_until_it_is_enabled() {
        let mut gate = Gate::new(&DeliveryConfig::default());
        assert!(gate.disable(true));
        assert!(!gate.disable(true));
        assert_eq!(gate.room(1_000_000 * SECOND), Room::Closed(None));
        assert!(gate.disable(false));
        assert_eq!(gate.room(SECOND), Room::For(4));
    }
}
