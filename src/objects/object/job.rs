//! Jobs: the names of labels and annotations, the selector that is generated, what its status says, lists of indexes.

pub use super::annotations::COMPLETION_INDEX;
use k8s_openapi::api::{
    batch::v1::{Job, JobCondition, JobSpec},
    core::v1::Pod,
};
use std::fmt::Write as _;

/// The finalizer of pods that their Job has not counted yet.
pub const TRACKING_FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// The label of a Job's uid, by which its generated selector finds its pods.
pub const CONTROLLER_UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
/// The label of a Job's name.
pub const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";
/// What [`CONTROLLER_UID_LABEL`] was called before; both are set.
pub const LEGACY_CONTROLLER_UID_LABEL: &str = "controller-uid";
/// What [`JOB_NAME_LABEL`] was called before; both are set.
pub const LEGACY_JOB_NAME_LABEL: &str = "job-name";
/// Annotation of a pod of an indexed Job: how often pods of its index failed before it.
pub const INDEX_FAILURE_COUNT: &str = "batch.kubernetes.io/job-index-failure-count";
/// Annotation of a pod of an indexed Job: how many failures of its index did not count.
pub const INDEX_IGNORED_FAILURE_COUNT: &str = "batch.kubernetes.io/job-index-ignored-failure-count";
/// The controller that [`JobSpec::managed_by`] names when it is this one.
pub const CONTROLLER_NAME: &str = "kubernetes.io/job-controller";

/// Writes the selector and the labels of a Job that has its uid, unless `manualSelector` is set (upstream's
/// `generateSelector`). What was there stays, so that validation can refuse it. A Job without labels gets those of its
/// template.
pub fn generate_selector(job: &mut Job) {
    let (uid, name) = (job.metadata.uid.clone().unwrap_or_default(), job.metadata.name.clone().unwrap_or_default());
    let spec = job.spec.get_or_insert_default();
    let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
    if spec.manual_selector != Some(true) {
        for (label, value) in [
            (JOB_NAME_LABEL, &name),
            (LEGACY_JOB_NAME_LABEL, &name),
            (CONTROLLER_UID_LABEL, &uid),
            (LEGACY_CONTROLLER_UID_LABEL, &uid),
        ] {
            labels.entry(label.to_owned()).or_insert_with(|| value.clone());
        }
        let selector = spec.selector.get_or_insert_default().match_labels.get_or_insert_default();
        selector.entry(CONTROLLER_UID_LABEL.to_owned()).or_insert_with(|| uid.clone());
    }
    if job.metadata.labels.as_ref().is_none_or(|standing| standing.is_empty()) && !labels.is_empty() {
        job.metadata.labels = Some(labels.clone());
    }
}

/// Whether each pod of the Job has an index of its own.
pub fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// Whether the Job's status has this condition, and it is true.
pub fn has_condition(job: &Job, kind: &str) -> bool {
    condition(job, kind).is_some_and(|condition| condition.status == "True")
}

/// The condition of this type, true or not.
pub fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    job.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// The condition that says that the Job is finished: Complete or Failed.
pub fn finished(job: &Job) -> Option<&JobCondition> {
    let conditions = job.status.as_ref()?.conditions.iter().flatten();
    conditions.into_iter().find(|one| matches!(one.type_.as_str(), "Complete" | "Failed") && one.status == "True")
}

/// A pod's completion index; `None` of a pod without one, or with one that is no index.
pub fn completion_index(pod: &Pod) -> Option<u32> {
    pod.metadata.annotations.as_ref()?.get(COMPLETION_INDEX)?.parse().ok()
}

/// A set of indexes as intervals in order, which neither overlap nor touch: as long as there are gaps, not as indexes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexIntervals(Vec<(u32, u32)>);

impl IndexIntervals {
    /// Reads `0-2,5,7-9`; what is no interval is passed over, and so are indexes from `completions` on.
    pub fn parse(text: &str, completions: u32) -> IndexIntervals {
        let mut intervals: Vec<(u32, u32)> = text
            .split(',')
            .filter_map(|interval| {
                let (first, last) = interval.split_once('-').unwrap_or((interval, interval));
                let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
                (first <= last && first < completions).then(|| (first, last.min(completions - 1)))
            })
            .collect();
        intervals.sort_unstable();
        IndexIntervals::merged(intervals)
    }

    fn merged(ordered: impl IntoIterator<Item = (u32, u32)>) -> IndexIntervals {
        let mut intervals: Vec<(u32, u32)> = Vec::new();
        for (first, last) in ordered {
            match intervals.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => intervals.push((first, last)),
            }
        }
        IndexIntervals(intervals)
    }

    /// The set with more indexes, in any order.
    pub fn with(&self, mut more: Vec<u32>) -> IndexIntervals {
        more.sort_unstable();
        let mut all = Vec::with_capacity(self.0.len() + more.len());
        let mut more = more.into_iter().peekable();
        for interval in &self.0 {
            while let Some(index) = more.next_if(|index| *index < interval.0) {
                all.push((index, index));
            }
            all.push(*interval);
        }
        all.extend(more.map(|index| (index, index)));
        IndexIntervals::merged(all)
    }

    /// The indexes of both sets.
    pub fn union(&self, other: &IndexIntervals) -> IndexIntervals {
        let mut all: Vec<_> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        IndexIntervals::merged(all)
    }

    /// Whether an index is in the set.
    pub fn has(&self, index: u32) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(at).is_some_and(|(first, _)| *first <= index)
    }

    /// How many indexes there are.
    pub fn total(&self) -> u32 {
        self.0.iter().fold(0, |sum: u32, (first, last)| sum.saturating_add((last - first).saturating_add(1)))
    }

    /// How many indexes are in both sets.
    pub fn common(&self, other: &IndexIntervals) -> u32 {
        let (mut mine, mut others, mut sum) = (self.0.iter().peekable(), other.0.iter().peekable(), 0_u32);
        while let (Some((first, last)), Some((other_first, other_last))) = (mine.peek(), others.peek()) {
            let (from, to) = (first.max(other_first), last.min(other_last));
            if from <= to {
                sum = sum.saturating_add((to - from).saturating_add(1));
            }
            if last <= other_last {
                mine.next()
            } else {
                others.next()
            };
        }
        sum
    }

    /// The first `count` indexes below `completions` that are not in the set. Costs as much as there are intervals, and
    /// `count`.
    pub fn gaps(&self, count: usize, completions: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let mut next = 0;
        for (first, last) in self.0.iter().copied().chain([(completions, completions)]) {
            let end = first.min(completions);
            let left = count - found.len();
            found.extend((next..end).take(left));
            next = last.saturating_add(1);
            if found.len() >= count || next >= completions {
                break;
            }
        }
        found
    }
}

impl std::fmt::Display for IndexIntervals {
    /// `0-2,5,7-9`; two neighbours are written `1,2`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        for (first, last) in &self.0 {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a String does not fail.
            let _ = match last - first {
                0 => write!(text, "{comma}{first}"),
                1 => write!(text, "{comma}{first},{last}"),
                _ => write!(text, "{comma}{first}-{last}"),
            };
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        // A list, more indexes, the list with them, its total, the first two gaps below 10.
        type Row = (&'static str, &'static [u32], &'static str, u32, &'static [u32]);
        let rows: &[Row] = &[
            ("", &[], "", 0, &[0, 1]),
            ("", &[3, 1, 2], "1-3", 3, &[0, 4]),
            ("0-2,5", &[4, 3], "0-5", 6, &[6, 7]),
            ("0,1", &[], "0,1", 2, &[2, 3]),
            ("1,3", &[2], "1-3", 3, &[0, 4]),
            ("0-8", &[], "0-8", 9, &[9]),
            ("0-99", &[], "0-9", 10, &[]),
            ("x,4-2,7,-1,2-", &[], "7", 1, &[0, 1]),
            ("5-6,0-1", &[], "0,1,5,6", 4, &[2, 3]),
            ("0-4294967295", &[], "0-9", 10, &[]),
        ];
        for (text, more, expected, total, gaps) in rows {
            let intervals = IndexIntervals::parse(text, 10).with(more.to_vec());
            assert_eq!(intervals.to_string(), *expected, "{text:?} with {more:?}");
            assert_eq!(intervals.total(), *total, "{text:?}");
            assert_eq!(intervals.gaps(2, 10), *gaps, "{text:?}");
            assert_eq!(IndexIntervals::parse(expected, 10), intervals, "{expected:?} read again");
            assert!((0..10).all(|index| intervals.has(index) != intervals.gaps(10, 10).contains(&index)), "{text:?}");
        }
        let both = IndexIntervals::parse("0-3,8", 10);
        assert_eq!(both.common(&IndexIntervals::parse("2-9", 10)), 3);
        assert_eq!(both.union(&IndexIntervals::parse("4,6", 10)).to_string(), "0-4,6,8");
    }
}
