//! When an endpoint is given up for a while, and how it is tried again.
//!
//! Closed: everything is sent. It opens when half of enough attempts failed within the window, or
//! when enough connections in a row could not be made. Open: nothing is sent. After a wait it is
//! half open: a single request, the probe, is sent; its success closes the breaker, its failure
//! makes the next wait twice as long, up to a limit.
//!
//! Pure: the steady clock comes in as an argument.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::BreakerConfig;

/// The window is counted in so many parts.
const PARTS: u32 = 10;

/// Opens and closes.
#[derive(Debug)]
pub(super) struct Breaker {
    config: BreakerConfig,
    state: State,
    /// The attempts within the window, the latest part last.
    parts: VecDeque<Part>,
    /// Connections that could not be made since the last one that could.
    connects: u32,
}

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Everything.
    Closed,
    /// Nothing until then, on the steady clock.
    Open {
        /// When the next probe may start.
        probe_at: Duration,
        /// The wait that leads there.
        wait: Duration,
    },
    /// One request, which is under way.
    HalfOpen {
        /// The wait that led here.
        wait: Duration,
    },
}

/// What an attempt says about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It works.
    Good,
    /// It does not work.
    Bad,
    /// There is not even a connection.
    Unconnected,
    /// It works, but lets nothing in until somebody acts.
    Shut,
}

/// What an attempt changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The endpoint was given up for now.
    Opened,
    /// It works again.
    Closed,
}

/// Attempts within a part of the window.
#[derive(Debug)]
struct Part {
    began: Duration,
    attempts: u32,
    failed: u32,
}

impl Breaker {
    /// A closed breaker.
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::Closed, parts: VecDeque::new(), connects: 0 }
    }

    /// Goes on by other settings, with a probe at once if it is open.
    pub(super) fn adopt(&mut self, config: BreakerConfig, now: Duration) {
        self.config = config;
        if let State::Open { probe_at, wait } = &mut self.state {
            *probe_at = now;
            *wait = (*wait).min(config.last_probe);
        }
    }

    /// What it lets through at the moment.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether a probe may start now.
    pub(super) fn wants_probe(&self, now: Duration) -> bool {
        matches!(self.state, State::Open { probe_at, .. } if probe_at <= now)
    }

    /// A probe starts.
    pub(super) fn probe(&mut self) {
        if let State::Open { wait, .. } = self.state {
            self.state = State::HalfOpen { wait };
        }
    }

    /// The probe came to nothing: there was no request for it, or it was cut off.
    pub(super) fn forget_probe(&mut self, now: Duration) {
        if let State::HalfOpen { wait } = self.state {
            self.state = State::Open { probe_at: now, wait };
        }
    }

    /// An attempt has ended. While the breaker is open only the probe counts.
    pub(super) fn record(&mut self, sign: Sign, probe: bool, now: Duration) -> Option<Change> {
        match self.state {
            State::Closed => {
                let open = self.counts_enough(sign, now);
                open.then(|| self.open(self.config.first_probe, now))
            }
            State::HalfOpen { .. } if probe && sign == Sign::Good => Some(self.close()),
            State::HalfOpen { wait } if probe => {
                self.open(wait.saturating_mul(2).min(self.config.last_probe), now);
                None
            }
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Whether that was one failure too many.
    fn counts_enough(&mut self, sign: Sign, now: Duration) -> bool {
        self.connects = match sign {
            Sign::Good | Sign::Bad | Sign::Shut => 0,
            Sign::Unconnected => self.connects.saturating_add(1),
        };
        self.forget_old(now);
        let length = self.config.window / PARTS;
        let fresh = self.parts.back().is_some_and(|part| now < part.began + length);
        if !fresh {
            self.parts.push_back(Part { began: now, attempts: 0, failed: 0 });
        }
        if let Some(part) = self.parts.back_mut() {
            part.attempts += 1;
            part.failed += u32::from(sign != Sign::Good);
        }
        let attempts: u32 = self.parts.iter().map(|part| part.attempts).sum();
        let failed: u32 = self.parts.iter().map(|part| part.failed).sum();
        let half = attempts >= self.config.attempts && failed.saturating_mul(2) >= attempts;
        // A success is never the reason.
        sign == Sign::Shut
            || sign != Sign::Good && half
            || sign == Sign::Unconnected && self.connects >= self.config.connects
    }

    fn forget_old(&mut self, now: Duration) {
        let window = self.config.window;
        while self.parts.front().is_some_and(|part| part.began + window <= now) {
            self.parts.pop_front();
        }
    }

    fn open(&mut self, wait: Duration, now: Duration) -> Change {
        self.state = State::Open { probe_at: now.saturating_add(wait), wait };
        Change::Opened
    }

    fn close(&mut self) -> Change {
        self.state = State::Closed;
        self.parts.clear();
        self.connects = 0;
        Change::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        Breaker::new(BreakerConfig::default())
    }

    /// Attempts a millisecond apart, beginning at `at`; whether one of them opened it.
    fn opens(breaker: &mut Breaker, at: Duration, signs: &[Sign]) -> bool {
        let times = (0..).map(|n| at + Duration::from_millis(n));
        let changes = signs.iter().zip(times).map(|(sign, at)| breaker.record(*sign, false, at));
        changes.filter(|change| *change == Some(Change::Opened)).count() > 0
    }

    #[test]
    fn it_opens_when_half_of_twenty_fail_within_the_window() {
        let half = [[Sign::Good; 10], [Sign::Bad; 10]].concat();
        assert!(!opens(&mut breaker(), SECOND, &half[..19]));
        assert!(opens(&mut breaker(), SECOND, &half));
        let less = [[Sign::Good; 11].as_slice(), &[Sign::Bad; 10]].concat();
        assert!(!opens(&mut breaker(), SECOND, &less));
        let mut spread = breaker();
        for at in 0..100 {
            assert!(!opens(&mut spread, 2 * SECOND * at, &[Sign::Bad]), "too far apart");
        }
    }

    #[test]
    fn it_opens_after_five_connect_failures_in_a_row_however_far_apart() {
        let mut apart = breaker();
        for at in 0..4 {
            assert!(!opens(&mut apart, 60 * SECOND * at, &[Sign::Unconnected]));
        }
        assert!(opens(&mut apart, 300 * SECOND, &[Sign::Unconnected]));
        for connected in [Sign::Good, Sign::Bad] {
            let mut broken_row = [Sign::Unconnected; 9];
            broken_row[4] = connected;
            assert!(!opens(&mut breaker(), SECOND, &broken_row));
        }
    }

    #[test]
    fn a_single_answer_that_nobody_is_let_in_opens_it() {
        assert!(opens(&mut breaker(), SECOND, &[Sign::Shut]));
    }

    #[test]
    fn a_success_of_the_probe_closes_it_with_a_clean_slate() {
        let mut breaker = breaker();
        assert!(opens(&mut breaker, Duration::ZERO, &[Sign::Unconnected; 5]));
        assert!(!breaker.wants_probe(4 * SECOND));
        assert!(breaker.wants_probe(6 * SECOND));
        breaker.probe();
        assert!(!breaker.wants_probe(60 * SECOND), "one at a time");
        assert_eq!(breaker.record(Sign::Good, false, 6 * SECOND), None, "an earlier attempt");
        assert_eq!(breaker.record(Sign::Good, true, 7 * SECOND), Some(Change::Closed));
        assert_eq!(breaker.state(), State::Closed);
        assert!(!opens(&mut breaker, 8 * SECOND, &[Sign::Unconnected; 4]));
    }

    #[test]
    fn an_outage_of_an_hour_costs_at_most_thirty_probes_and_one_opening() {
        let mut breaker = breaker();
        assert!(opens(&mut breaker, Duration::ZERO, &[Sign::Unconnected; 5]));
        let mut probes = 0;
        for now in (0..3_600).map(Duration::from_secs) {
            if breaker.wants_probe(now) {
                breaker.probe();
                probes += 1;
                assert_eq!(breaker.record(Sign::Unconnected, true, now), None);
            }
        }
        assert!((10..=30).contains(&probes), "{probes}");
        let State::Open { wait, .. } = breaker.state() else { panic!("open") };
        assert_eq!(wait, 300 * SECOND);
    }

    #[test]
    fn a_probe_that_came_to_nothing_may_be_repeated_at_once() {
        let mut breaker = breaker();
        assert!(opens(&mut breaker, Duration::ZERO, &[Sign::Unconnected; 5]));
        breaker.probe();
        breaker.forget_probe(6 * SECOND);
        assert!(breaker.wants_probe(6 * SECOND));
    }
}
