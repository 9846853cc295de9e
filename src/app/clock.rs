//! The clock of the control loop: the wall clock, but never backwards.

use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// Tells the time. When the wall clock is set back, this one goes on at its pace until the wall clock has caught up;
/// when it is set forward (or the machine slept), this one follows at once.
#[derive(Debug)]
pub(super) struct Clock {
    base: Timestamp,
    since: Instant,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { base: Timestamp::now(), since: Instant::now() }
    }

    /// Now; never earlier than what was told before.
    pub(super) fn now(&mut self) -> Timestamp {
        self.advance(Timestamp::now(), Instant::now())
    }

    fn advance(&mut self, wall: Timestamp, instant: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(instant.duration_since(self.since)).unwrap_or(SignedDuration::ZERO);
        let expected = self.base.checked_add(passed).unwrap_or(self.base);
        (self.base, self.since) = (expected.max(wall), instant);
        self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn never_backwards_and_never_standing_still() {
        let begin = Instant::now();
        let wall = Timestamp::from_second(1_000_000).expect("a valid time");
        let mut clock = Clock { base: wall, since: begin };
        // seconds that passed, what the wall clock says (relative to its begin), what is told
        let rows = [(1, 1, 1), (2, -3600, 2), (3, -3599, 3), (4, 4, 4), (5, 7200, 7200), (6, 7201, 7201)];
        for (passed, says, told) in rows {
            let now = clock.advance(wall + SignedDuration::from_secs(says), begin + Duration::from_secs(passed));
            assert_eq!(now, wall + SignedDuration::from_secs(told), "after {passed} s");
        }
    }
}
