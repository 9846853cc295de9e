//! The clock was set back: where times go that it gave while it was ahead.
//!
//! What is due keeps its distance from now. What happened while the clock was ahead moves back as far as the clock did, so
//! that its age stays what it was; what happened before that keeps its time.

use crate::objects::object::whole_second;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{ContainerState, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};

/// How far the clock was set back, and to what.
#[derive(Debug, Clone, Copy)]
pub struct SetBack {
    by: SignedDuration,
    now: Timestamp,
    min_ready: SignedDuration,
}

impl SetBack {
    /// The clock was set back by `by` (not negative) to `now`; `min_ready` is the longest `minReadySeconds` that anybody
    /// asks for. With `by` zero it is not known how far: what lies in the future counts as happening now.
    pub fn new(by: SignedDuration, now: Timestamp, min_ready: SignedDuration) -> SetBack {
        SetBack { by, now, min_ready }
    }

    fn moved(&self, at: Timestamp) -> Timestamp {
        at.checked_sub(self.by).unwrap_or(Timestamp::MIN)
    }

    /// When something is due that was due at `at`.
    pub fn due(&self, at: Timestamp) -> Timestamp {
        self.moved(at)
    }

    /// When something happened that happened at `at`; never later than now.
    pub fn happened(&self, at: Timestamp) -> Timestamp {
        if at > self.now { self.moved(at).min(self.now) } else { at }
    }

    /// When a pod became ready that did so at `at`. One that had been ready for long enough, by the clock as it was, still
    /// has been.
    fn became_ready(&self, at: Timestamp) -> Timestamp {
        let long_enough = self.now.checked_sub(self.min_ready).unwrap_or(Timestamp::MIN);
        if at > self.now { self.happened(at) } else { at.min(self.moved(at).max(long_enough)) }
    }

    /// Moves the times of a pod's status; whether one of them changed.
    pub fn status(&self, status: &mut PodStatus) -> bool {
        let mut changed = false;
        for_each_time(status, |of, Time(at)| {
            let to = if of == "Ready" { self.became_ready(*at) } else { self.happened(*at) };
            let before = std::mem::replace(at, whole_second(to).0);
            changed |= before != *at;
        });
        changed
    }
}

/// Takes what is less than a second off the times of a pod's status, as they are stored.
pub fn to_whole_seconds(status: &mut PodStatus) {
    for_each_time(status, |_, time| *time = whole_second(time.0));
}

/// Visits every time of a pod's status; those of a condition's transition with its type, all others with nothing.
fn for_each_time(status: &mut PodStatus, mut visit: impl FnMut(&str, &mut Time)) {
    let mut put = |of: &str, time: &mut Option<Time>| {
        if let Some(time) = time {
            visit(of, time);
        }
    };
    put("", &mut status.start_time);
    for condition in status.conditions.iter_mut().flatten() {
        put(&condition.type_, &mut condition.last_transition_time);
        put("", &mut condition.last_probe_time);
    }
    let containers = status.container_statuses.iter_mut().chain(&mut status.init_container_statuses);
    let containers = containers.chain(&mut status.ephemeral_container_statuses).flatten();
    for ContainerState { running, terminated, .. } in
        containers.flat_map(|container| [&mut container.state, &mut container.last_state]).flatten()
    {
        if let Some(running) = running {
            put("", &mut running.started_at);
        }
        if let Some(terminated) = terminated {
            put("", &mut terminated.started_at);
            put("", &mut terminated.finished_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_the_clock() {
        let at = |second| Timestamp::from_second(second).unwrap();
        // Set back by, to now, longest minReadySeconds; a time, and what it is as one that is due, that happened, that a
        // pod became ready at.
        let rows = [
            // Ahead for a while, and back: what is of that while moves, what was before it stays.
            (1_000, 500, 0, 1_490, [490, 490, 490]),
            (1_000, 500, 0, 500, [-500, 500, 500]),
            (1_000, 500, 0, 400, [-600, 400, 400]),
            (1_000, 500, 0, 9_999, [8_999, 500, 500]),
            // Ready for longer than anybody asks for: still so, and not older than it must be.
            (1_000, 500, 60, 450, [-550, 450, 440]),
            (20, 500, 60, 450, [430, 450, 440]),
            (5, 500, 60, 450, [445, 450, 445]),
            (20, 500, 60, 430, [410, 430, 430]),
            // Nobody knows by how much.
            (0, 500, 60, 501, [501, 500, 500]),
            (0, 500, 60, 499, [499, 499, 499]),
        ];
        for (by, now, min_ready, time, expected) in rows {
            let [by, min_ready] = [by, min_ready].map(SignedDuration::from_secs);
            let set_back = SetBack::new(by, at(now), min_ready);
            let time = at(time);
            let found = [set_back.due(time), set_back.happened(time), set_back.became_ready(time)];
            assert_eq!(found, expected.map(at), "by {by}, to {now}, {min_ready}: {time}");
        }
        let first = SetBack::new(SignedDuration::MAX, Timestamp::MIN, SignedDuration::MAX);
        assert_eq!(first.happened(Timestamp::MAX), Timestamp::MIN);
        assert_eq!(first.became_ready(Timestamp::MIN), Timestamp::MIN);
    }
}
