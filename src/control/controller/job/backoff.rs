//! How long failed pods are waited for before others are made (upstream's `backoff_utils.go`).

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

/// After the first failure …
const FIRST: SignedDuration = SignedDuration::from_secs(10);
/// … doubled with each further one, up to this.
const LONGEST: SignedDuration = SignedDuration::from_mins(10);

/// The failures of a Job's pods since the last success. It is kept in memory only: after a restart back-off begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackoffRecord {
    failures: u32,
    last_failure: Option<Timestamp>,
}

impl BackoffRecord {
    /// The record with pods that have ended since: when each did, and whether well.
    pub fn with(self, mut ended: Vec<(Timestamp, bool)>) -> BackoffRecord {
        ended.sort_unstable();
        ended.into_iter().fold(self, |record, (at, is_success)| match is_success {
            true => BackoffRecord::default(),
            false => BackoffRecord { failures: record.failures.saturating_add(1), last_failure: Some(at) },
        })
    }

    /// How long no pod is made yet; `None` if one may be made now.
    pub fn remaining(self, now: Timestamp) -> Option<SignedDuration> {
        remaining(self.failures, self.last_failure?, now)
    }

    /// The last failure, to be moved when the clock is set back.
    pub fn last_failure_mut(&mut self) -> Option<&mut Timestamp> {
        self.last_failure.as_mut()
    }
}

/// How long no pod is made yet after so many failures, the last of which was at `last`.
pub fn remaining(failures: u32, last: Timestamp, now: Timestamp) -> Option<SignedDuration> {
    let doublings = failures.checked_sub(1)?;
    let wait = 1_i32.checked_shl(doublings.min(30)).map_or(LONGEST, |factor| FIRST.saturating_mul(factor).min(LONGEST));
    let left = wait - now.duration_since(last);
    left.is_positive().then_some(left)
}

/// When a pod ended: with the last of its containers, or when its deletion was asked for.
pub fn finished_at(pod: &Pod, now: Timestamp) -> Timestamp {
    let status = pod.status.as_ref();
    let containers = status.into_iter().flat_map(|status| status.container_statuses.iter().flatten());
    let ended = containers.filter_map(|container| container.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    if let Some(last) = ended.map(|time| time.0).max() {
        return last;
    }
    let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
    let deleted = pod.metadata.deletion_timestamp.as_ref().and_then(|end| end.0.checked_sub(grace).ok());
    let created = || pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    deleted.or_else(created).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn waits() {
        let at = |second| Timestamp::from_second(second).unwrap();
        // What ended when, and how long is waited at second 100.
        type Row = (&'static [(i64, bool)], Option<i64>);
        let rows: &[Row] = &[
            (&[], None),
            (&[(95, true)], None),
            (&[(95, false)], Some(5)),
            (&[(89, false)], None),
            (&[(80, false), (95, false)], Some(15)),
            (&[(95, false), (80, true), (70, false)], Some(5)),
            (&[(95, true), (99, false), (98, false)], Some(19)),
            (&[(99, true), (98, false)], None),
        ];
        for (ended, expected) in rows {
            let record =
                BackoffRecord::default().with(ended.iter().map(|(second, well)| (at(*second), *well)).collect());
            assert_eq!(record.remaining(at(100)).map(|left| left.as_secs()), *expected, "{ended:?}");
        }
        for (failures, expected) in [(6, 320), (7, 600), (31, 600), (u32::MAX, 600)] {
            assert_eq!(remaining(failures, at(0), at(0)).unwrap().as_secs(), expected, "{failures}");
        }
    }
}
