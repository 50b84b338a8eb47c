//! Whether a receiver's clock and ours agree, by the `Date` of its replies.
//!
//! A clock that is wrong by more than five minutes has every signature refused, and nothing in the
//! refusal says why.

use jiff::Timestamp;

/// Differences of up to so many seconds are nobody's concern.
const TOLERANCE: i64 = 60;

/// How far a receiver's clock is from ours.
#[derive(Debug, Default)]
pub(super) struct Skew {
    /// By so many seconds the receiver's clock is ahead, at least; negative if it is behind.
    seconds: Option<i64>,
    /// What was said last.
    told: i64,
}

impl Skew {
    /// A reply was dated `date` by its writer's clock, between these two times by ours. `true` if
    /// that is news.
    pub(super) fn learn(&mut self, date: Timestamp, began: Timestamp, ended: Timestamp) -> bool {
        let date = date.as_second();
        let ahead = date.saturating_sub(ended.as_second()).max(0);
        let behind = began.as_second().saturating_sub(date).max(0);
        let seconds = if ahead > 0 { ahead } else { -behind };
        self.seconds = Some(seconds);
        let changed = seconds.abs_diff(self.told) > TOLERANCE.unsigned_abs();
        let back = self.told != 0 && !is_wrong(seconds);
        if changed || back {
            self.told = if is_wrong(seconds) { seconds } else { 0 };
        }
        changed || back
    }

    /// By so many seconds the receiver's clock is ahead, as far as that is known.
    pub(super) fn seconds(&self) -> Option<i64> {
        self.seconds
    }
}

/// Whether somebody should look at the clocks.
pub(super) fn is_wrong(seconds: i64) -> bool {
    seconds.unsigned_abs() > TOLERANCE.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_date_within_the_exchange_is_no_difference() {
        for date in [0, 7, 15] {
            let mut skew = Skew::default();
            assert!(!skew.learn(at(date), at(0), at(15)));
            assert_eq!(skew.seconds(), Some(0));
        }
    }

    #[test]
    fn a_difference_is_told_once_and_again_when_it_changes() {
        let mut skew = Skew::default();
        let mut news = |date| {
            let news = skew.learn(at(date), at(0), at(1));
            (news, skew.seconds().unwrap())
        };
        assert_eq!(news(61), (false, 60), "that much is tolerated");
        assert_eq!(news(62), (true, 61));
        assert_eq!(news(100), (false, 99));
        assert_eq!(news(401), (true, 400));
        assert_eq!(news(-400), (true, -400));
        assert_eq!(news(-401), (false, -401));
        assert_eq!(news(0), (true, 0), "they agree again");
        assert_eq!(news(1), (false, 0));
    }
}
