//! Errors of accepting connections, of which there can be thousands in a second: logged once, then counted.

use std::time::{Duration, Instant};

/// From one line to the next.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Errors of one listener that were not logged yet.
#[derive(Debug, Default)]
pub struct AcceptErrors {
    logged: Option<Instant>,
    since: u64,
}

impl AcceptErrors {
    /// Counts an error; returns how many there were since the last log line, if one is due now.
    pub fn count(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        if self.logged.is_some_and(|logged| now.saturating_duration_since(logged) < LOG_INTERVAL) {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_then_a_count_a_minute() {
        let (mut errors, begun) = (AcceptErrors::default(), Instant::now());
        let at = |milliseconds| begun + Duration::from_millis(milliseconds);
        assert_eq!(errors.count(at(0)), Some(1));
        let logged: Vec<_> = (1..=6000).filter_map(|number| errors.count(at(number * 20))).collect();
        assert_eq!(logged, [3000, 3000]);
    }
}
