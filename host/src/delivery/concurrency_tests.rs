//! The limit against simulated receivers, in simulated time.

use super::*;

/// What a simulated receiver does with a request, given how many it has and which one it is:
/// answers after a time, or refuses after a time.
type Behaviour = fn(concurrent: usize, number: usize) -> Result<Duration, Duration>;

/// What was seen in the second half of a run, when the limit has settled.
struct Outcome {
    lowest: usize,
    highest: usize,
    answered: usize,
    refused: usize,
}

/// A request under way.
struct Running {
    began: Duration,
    ends: Duration,
    good: bool,
}

/// A sender that always has more to send, against a receiver, for a minute.
fn run(behaviour: Behaviour) -> Outcome {
    let mut limiter = Concurrency::new(200);
    let mut now = Duration::ZERO;
    let mut running: Vec<Running> = Vec::new();
    let mut outcome = Outcome { lowest: usize::MAX, highest: 0, answered: 0, refused: 0 };
    let mut number = 0;
    while now < Duration::from_mins(1) {
        while running.len() < limiter.limit() {
            number += 1;
            let does = behaviour(running.len() + 1, number);
            let ends = now + does.unwrap_or_else(|after| after);
            running.push(Running { began: now, ends, good: does.is_ok() });
        }
        limiter.reached();
        let next = (0..running.len()).min_by_key(|at| running[*at].ends).unwrap();
        let Running { began, ends, good } = running.swap_remove(next);
        now = ends;
        if good {
            limiter.replied(ends.saturating_sub(began), now);
        } else {
            limiter.pushed_back(began, now);
        }
        if now > Duration::from_secs(30) {
            outcome.lowest = outcome.lowest.min(limiter.limit());
            outcome.highest = outcome.highest.max(limiter.limit());
            outcome.answered += usize::from(good);
            outcome.refused += usize::from(!good);
        }
    }
    outcome
}

const fn millis(millis: usize) -> Duration {
    Duration::from_millis(millis as u64)
}

#[test]
fn a_receiver_of_any_capacity_gets_all_that_is_allowed() {
    let outcome = run(|_, _| Ok(millis(100)));
    assert!(outcome.lowest > 190, "{} to {}", outcome.lowest, outcome.highest);
    assert_eq!(outcome.highest, 200);
}

#[test]
fn behind_a_knee_the_limit_settles_there_and_little_is_refused() {
    let outcome = run(|concurrent, number| match concurrent {
        ..=32 => Ok(millis(90 + number * 7_919 % 21)),
        _ => Err(millis(1)),
    });
    assert!(outcome.lowest >= 20, "{}..{}", outcome.lowest, outcome.highest);
    assert!(outcome.highest <= 33, "{}..{}", outcome.lowest, outcome.highest);
    let (answered, refused, capacity) = (outcome.answered, outcome.refused, 32 * 10 * 30);
    assert!(answered * 100 >= capacity * 85, "{answered} of {capacity}");
    assert!(refused * 50 <= answered, "{refused} of {answered} refused");
}

#[test]
fn a_receiver_that_slows_down_under_load_is_not_driven_into_the_ground() {
    let outcome = run(|concurrent, _| match concurrent {
        ..=20 => Ok(millis(100)),
        more => Ok(millis(100 + (more - 20) * 20)),
    });
    assert!(outcome.highest <= 40, "{}..{}", outcome.lowest, outcome.highest);
    assert!(outcome.lowest >= 10, "{}..{}", outcome.lowest, outcome.highest);
}

#[test]
fn jitter_alone_does_not_throttle() {
    let outcome = run(|_, number| Ok(millis(80 + number * 7_919 % 41)));
    assert!(outcome.lowest >= 20, "{}..{}", outcome.lowest, outcome.highest);
}

#[test]
fn a_receiver_that_drops_what_is_too_much_is_spared() {
    let outcome = run(|concurrent, _| match concurrent {
        ..=10 => Ok(millis(50)),
        _ => Err(millis(1_000)),
    });
    assert!(outcome.highest <= 12, "{}..{}", outcome.lowest, outcome.highest);
    assert!(outcome.lowest >= 5, "{}..{}", outcome.lowest, outcome.highest);
}

#[test]
fn a_limit_stays_between_one_and_the_ceiling() {
    let mut limiter = Concurrency::new(2);
    assert_eq!(limiter.limit(), 2);
    for second in 1..100 {
        limiter.pushed_back(Duration::from_secs(second), Duration::from_secs(second));
    }
    assert_eq!(limiter.limit(), 1);
    for second in 100..200 {
        limiter.reached();
        limiter.replied(Duration::from_millis(10), Duration::from_secs(second));
    }
    assert_eq!(limiter.limit(), 2);
}
