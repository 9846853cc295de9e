//! When a thread that answers datagrams does better to let more of them gather.
//!
//! What a query costs is mostly the system's work for each call and for each piece that is sent, and full batches leave
//! in fewer pieces. A thread that is asked much, and yet is quicker than they ask, finds a few datagrams each time; one
//! that pauses for an instant finds many. Network cards do the same with interrupts.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

/// How long more datagrams gather. The system adds up to 50 µs (its timer slack).
pub(super) const COALESCE_PAUSE: Duration = Duration::from_micros(60);
/// Datagrams that come at this distance in the mean are many: some ten of them come in a pause. Where fewer do, it saves
/// nothing, and they wait for no good.
const INTERARRIVAL_SECONDS_MAX: f32 = 9e-6;
/// Batches after which a pause makes sense: where one datagram is taken at a time, nothing can gather, and beside three
/// quarters of all that a batch holds, others most likely wait already.
const BATCH_RANGE: RangeInclusive<usize> = 2..=48;
/// So many batches make the mean.
const MEAN_BATCHES: f32 = 8.0;

/// How quickly datagrams come of late.
#[derive(Debug)]
pub(super) struct Coalescer {
    last: Instant,
    /// Datagrams of a batch, and the seconds from one to the next.
    count: f32,
    period: f32,
}

impl Coalescer {
    /// Nothing came before now.
    pub(super) fn new(now: Instant) -> Coalescer {
        Coalescer { last: now, count: 0.0, period: 1.0 }
    }

    /// A batch of so many datagrams came now; says whether to pause once they are answered.
    pub(super) fn came(&mut self, count: usize, now: Instant) -> bool {
        let period = now.saturating_duration_since(self.last).as_secs_f32();
        self.last = now;
        self.count += (count as f32 - self.count) / MEAN_BATCHES;
        self.period += (period - self.period) / MEAN_BATCHES;
        BATCH_RANGE.contains(&count) && self.period < self.count * INTERARRIVAL_SECONDS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_only_where_many_come() {
        /// Datagrams of a batch and microseconds from one to the next, for so many batches.
        type Batches = (usize, u64, usize);
        // Whether there is a pause after the last one.
        let rows: [(&[Batches], bool); 11] = [
            (&[(1, 1_000_000, 1)], false),
            (&[(10, 1, 1)], false),
            (&[(1, 20, 1000)], false),
            (&[(1, 5, 1000)], false),
            (&[(1, 5, 1000), (2, 10, 1)], true),
            (&[(10, 60, 1000)], true),
            (&[(10, 85, 1000)], true),
            (&[(10, 95, 1000)], false),
            // In bursts: the mean counts.
            (&[(12, 40, 500), (2, 25, 1), (12, 40, 1), (2, 25, 1)], true),
            // Nobody is waited for any more after an instant in which nobody came.
            (&[(10, 60, 1000), (1, 1000, 1)], false),
            // There is no more room.
            (&[(64, 100, 1000)], false),
        ];
        for (batches, expected) in rows {
            let mut now = Instant::now();
            let mut pace = Coalescer::new(now);
            let mut pauses = false;
            for &(count, period, times) in batches {
                for _ in 0..times {
                    now += Duration::from_micros(period);
                    pauses = pace.came(count, now);
                }
            }
            assert_eq!(pauses, expected, "{batches:?}");
        }
    }
}
