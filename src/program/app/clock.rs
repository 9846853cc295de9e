//! The clock of the control loop: it follows the wall clock, and reports when that was set back and by how much.

use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// So far the wall clock may fall behind this one without a step: it then goes at half its pace until the wall clock has
/// caught up.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

/// The clock of the control loop. When the wall clock is set forward (or the machine slept), this one follows at once.
/// When it is set back by more than a second, this one is too, and says so, since timers that were set before are then
/// too late.
#[derive(Debug)]
pub(super) struct Clock {
    base: Timestamp,
    since: Instant,
    set_back: SignedDuration,
}

/// A reading of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockReading {
    /// Now.
    pub(super) at: Timestamp,
    /// By how much it was set back since the reading before; zero if it was not.
    pub(super) set_back: SignedDuration,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { base: Timestamp::now(), since: Instant::now(), set_back: SignedDuration::ZERO }
    }

    /// Now. If it was set back, the next reading says so.
    pub(super) fn now(&mut self) -> Timestamp {
        self.advance(Timestamp::now(), Instant::now())
    }

    /// Now, and by how much it was set back.
    pub(super) fn read(&mut self) -> ClockReading {
        let at = self.now();
        ClockReading { at, set_back: std::mem::take(&mut self.set_back) }
    }

    fn advance(&mut self, wall: Timestamp, instant: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(instant.duration_since(self.since)).unwrap_or(SignedDuration::ZERO);
        let expected = self.base.checked_add(passed).unwrap_or(self.base);
        let ahead = expected.duration_since(wall);
        self.since = instant;
        self.base = if ahead > SLACK {
            self.set_back = self.set_back.saturating_add(ahead);
            wall
        } else if ahead.is_positive() {
            self.base.checked_add(passed / 2).unwrap_or(self.base).max(wall)
        } else {
            wall
        };
        self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn follows_the_wall_clock_and_tells_of_steps_back() {
        let begin = Instant::now();
        let wall = Timestamp::from_second(1_000_000).expect("a valid time");
        let mut clock = Clock { base: wall, since: begin, set_back: SignedDuration::ZERO };
        // Milliseconds that passed, what the wall clock says (relative to its begin), what is told, and by how much it
        // was set back.
        let rows = [
            (1_000, 1_000, 1_000, 0),
            // A year ahead for two seconds, and back.
            (2_000, 31_536_002_000, 31_536_002_000, 0),
            (3_000, 31_536_003_000, 31_536_003_000, 0),
            (4_000, 4_000, 4_000, 31_536_000_000),
            (5_000, 5_000, 5_000, 0),
            // An hour back, and forward again.
            (6_000, -3_594_000, -3_594_000, 3_600_000),
            (7_000, 7_000, 7_000, 0),
            // A second and less: never backwards, and slower until they agree.
            (8_000, 7_200, 7_500, 0),
            (8_400, 7_600, 7_700, 0),
            (8_600, 7_800, 7_800, 0),
            (9_000, 8_200, 8_200, 0),
            (9_200, 7_401, 8_300, 0),
        ];
        for (passed, says, shown, by) in rows {
            let at = clock.advance(wall + SignedDuration::from_millis(says), begin + Duration::from_millis(passed));
            assert_eq!(at, wall + SignedDuration::from_millis(shown), "after {passed} ms");
            let set_back = std::mem::take(&mut clock.set_back);
            assert_eq!(set_back, SignedDuration::from_millis(by), "after {passed} ms");
        }
    }
}
