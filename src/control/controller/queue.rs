//! What is to be looked at again, and when: a queue without duplicates, timers, and back-off after failures.

use crate::{control::runtime::SetBack, objects::object::ObjectKey};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

/// Upstream's back-off (`workqueue.DefaultTypedControllerRateLimiter`): the first wait after a failure …
const RETRY_DELAY_MIN: Duration = Duration::from_millis(5);
/// … and the longest.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1000);

/// Who is to look at an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reconciler {
    /// A set: its pods, claims, revisions and status.
    StatefulSet,
    /// A DaemonSet: its pod, revisions and status.
    DaemonSet,
    /// A PodDisruptionBudget: its status.
    Disruption,
    /// A ReplicaSet or ReplicationController: its pods and status.
    ReplicaSet,
    /// A Deployment: its ReplicaSets, conditions and status.
    Deployment,
    /// A Job: its pods and its status.
    Job,
    /// A CronJob: its Jobs.
    CronJob,
    /// A pod: starting and stopping.
    Pod,
    /// Pods that have ended: whether there are too many.
    PodGarbage,
    /// An object whose owners or dependents are going.
    Garbage,
    /// A namespace that is being deleted.
    Namespace,
    /// A namespace: what every one has.
    NamespaceObjects,
    /// The one node: its taint.
    Node,
    /// A claim that is being deleted: whether it is still in use.
    Protection,
    /// An aggregated ClusterRole: its rules.
    ClusterRoleAggregation,
    /// A definition: its names, or its deletion.
    CustomResourceDefinition,
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Work {
    /// Who.
    pub reconciler: Reconciler,
    /// At what.
    pub key: ObjectKey,
}

impl Work {
    /// Who looks at what.
    pub fn new(reconciler: Reconciler, key: ObjectKey) -> Work {
        Work { reconciler, key }
    }
}

/// First in, first out, so that no object waits for another one's troubles; what waits already is not queued twice.
/// Where there is more to do than one turn takes, pods go first: those that are there are started, and so answered,
/// before sets make more of them.
#[derive(Debug, Default)]
pub struct Queue {
    /// Each with its place in the order of coming.
    pods: VecDeque<(u64, Work)>,
    others: VecDeque<(u64, Work)>,
    came: u64,
    pods_first: bool,
    queued: HashSet<Work>,
    timers: BTreeSet<(Timestamp, Work)>,
    due: HashMap<Work, Timestamp>,
    failures: HashMap<Work, u32>,
}

impl Queue {
    /// Work to be done as soon as possible.
    pub fn add(&mut self, work: Work) {
        if self.queued.insert(work.clone()) {
            let lane = if work.reconciler == Reconciler::Pod { &mut self.pods } else { &mut self.others };
            lane.push_back((self.came, work));
            self.came += 1;
        }
    }

    /// Work to be done at a time, or earlier if something happens; the earlier of two times holds.
    pub fn add_at(&mut self, work: Work, at: Timestamp) {
        match self.due.get(&work) {
            Some(standing) if *standing <= at => return,
            Some(standing) => {
                self.timers.remove(&(*standing, work.clone()));
            }
            None => {}
        }
        self.due.insert(work.clone(), at);
        self.timers.insert((at, work));
    }

    /// The work failed and is to be tried again, later each time: 5 ms, 10 ms, 20 ms, … at most 1,000 s.
    pub fn retry(&mut self, work: Work, now: Timestamp) {
        let failures = self.failures.entry(work.clone()).or_insert(0);
        let wait = RETRY_DELAY_MIN.saturating_mul(1u32.checked_shl(*failures).unwrap_or(u32::MAX)).min(RETRY_DELAY_MAX);
        *failures = failures.saturating_add(1);
        self.add_at(work, now.saturating_add(wait).unwrap_or(now));
    }

    /// The work succeeded: the next failure waits as the first.
    pub fn forget(&mut self, work: &Work) {
        self.failures.remove(work);
    }

    /// Makes ready what is due.
    pub fn wake(&mut self, now: Timestamp) {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, work)) = self.timers.pop_first() {
                self.due.remove(&work);
                self.add(work);
            }
        }
    }

    /// The next piece of work. Its timer is taken back: who still needs it sets it again. But the time of a retry stands,
    /// as it does upstream: a look in between, which fails again, must not put it off.
    pub fn pop(&mut self) -> Option<Work> {
        let place = |lane: &VecDeque<(u64, Work)>| lane.front().map_or(u64::MAX, |(place, _)| *place);
        let pod = !self.pods.is_empty() && (self.pods_first || place(&self.pods) < place(&self.others));
        let (_, work) = if pod { self.pods.pop_front() } else { self.others.pop_front() }?;
        self.queued.remove(&work);
        if !self.failures.contains_key(&work)
            && let Some(at) = self.due.remove(&work)
        {
            self.timers.remove(&(at, work.clone()));
        }
        Some(work)
    }

    /// Whether nothing is ready.
    pub fn is_quiet(&self) -> bool {
        self.pods.is_empty() && self.others.is_empty()
    }

    /// From now on pods go before all others, or all objects are taken in the order of arrival.
    pub fn pods_first(&mut self, pods_first: bool) {
        self.pods_first = pods_first;
    }

    /// The clock was set back: timers follow.
    pub fn clock_set_back(&mut self, set_back: &SetBack) {
        self.due.values_mut().for_each(|at| *at = set_back.due(*at));
        self.timers = self.due.iter().map(|(work, at)| (*at, work.clone())).collect();
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::object::Kind;

    fn work(name: &str) -> Work {
        Work::new(Reconciler::StatefulSet, ObjectKey::new(Kind::StatefulSet, "default", name))
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn waits_once_in_order() {
        let mut queue = Queue::default();
        for name in ["a", "b", "a", "c", "b"] {
            queue.add(work(name));
        }
        let names: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|work| work.key.name).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn pods_go_first_if_told_so() {
        let pod = |name: &str| Work::new(Reconciler::Pod, ObjectKey::new(Kind::Pod, "default", name));
        for (pods_first, expected) in [(true, ["a-0", "a-1", "a", "b"]), (false, ["a", "a-0", "b", "a-1"])] {
            let mut queue = Queue::default();
            queue.pods_first(pods_first);
            for work in [work("a"), pod("a-0"), work("b"), pod("a-1")] {
                queue.add(work);
            }
            let names: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|work| work.key.name).collect();
            assert_eq!(names, expected);
            assert!(queue.is_quiet());
        }
    }

    #[test]
    fn backs_off_and_forgets() {
        let mut queue = Queue::default();
        let mut waits = Vec::new();
        for _ in 0..20 {
            queue.retry(work("a"), at(0));
            waits.push(queue.next_due().unwrap().as_millisecond());
            queue.wake(at(10_000_000));
            queue.pop().unwrap();
        }
        assert_eq!(waits[..4], [5, 10, 20, 40]);
        assert_eq!(waits[19], 1_000_000);
        queue.forget(&work("a"));
        queue.retry(work("a"), at(0));
        assert_eq!(queue.next_due(), Some(at(5)));
    }

    #[test]
    fn a_look_in_between_puts_no_retry_off() {
        let mut queue = Queue::default();
        for _ in 0..4 {
            queue.wake(at(100));
            queue.retry(work("a"), at(100));
        }
        let due = queue.next_due();
        queue.add(work("a"));
        queue.pop().unwrap();
        queue.retry(work("a"), at(101));
        assert_eq!(queue.next_due(), due);
    }

    #[test]
    fn earlier_timer_holds_and_doing_the_work_takes_it_back() {
        let mut queue = Queue::default();
        queue.add_at(work("a"), at(50));
        queue.add_at(work("a"), at(20));
        queue.add_at(work("a"), at(70));
        assert_eq!(queue.next_due(), Some(at(20)));
        queue.add(work("a"));
        queue.pop().unwrap();
        assert_eq!(queue.next_due(), None);
        queue.wake(at(100));
        assert!(queue.is_quiet());
    }
}
