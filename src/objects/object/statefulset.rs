//! What a StatefulSet's spec says of its pods: which ordinals there are, and which pod's name belongs to which.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use std::{ops::Range, sync::LazyLock};

/// The ordinals of a set: `start`, `start + 1`, … as many as there are replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordinals {
    /// The first one.
    pub start: i64,
    /// One more than the last one.
    pub end: i64,
}

impl Ordinals {
    /// The ordinals that the set's spec asks for.
    pub fn of(set: &StatefulSet) -> Ordinals {
        let start = i64::from(spec(set).ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0));
        Ordinals { start, end: start + i64::from(replicas(set)) }
    }

    /// Whether the pod of this ordinal is to exist.
    pub fn contains(self, ordinal: i64) -> bool {
        self.range().contains(&ordinal)
    }

    /// All of them, in ascending order.
    pub fn range(self) -> Range<i64> {
        self.start..self.end
    }

    /// How many there are.
    pub fn count(self) -> usize {
        usize::try_from(self.end.saturating_sub(self.start)).unwrap_or(0)
    }
}

/// The set's spec; validation refuses a set without one, and such a set would ask for no pods.
pub fn spec(set: &StatefulSet) -> &StatefulSetSpec {
    static NONE: LazyLock<StatefulSetSpec> =
        LazyLock::new(|| StatefulSetSpec { replicas: Some(0), ..StatefulSetSpec::default() });
    set.spec.as_ref().unwrap_or(&NONE)
}

/// How many pods the set asks for: 1 if it does not say (upstream's default), never less than 0.
pub fn replicas(set: &StatefulSet) -> i32 {
    spec(set).replicas.unwrap_or(1).max(0)
}

/// The set's name.
pub fn set_name(set: &StatefulSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}

/// The name of the pod of an ordinal.
pub fn pod_name(set: &StatefulSet, ordinal: i64) -> String {
    format!("{}-{ordinal}", set_name(set))
}

/// The name of the set that a pod's name belongs to, and the pod's ordinal: `web-a-12` is ordinal 12 of `web-a`. `None`
/// for a name that no set gives to a pod.
///
/// Upstream (`stateful_set_utils.go`, `getParentNameAndOrdinal`) takes a name apart with the regular expression
/// `(.*)-([0-9]+)$` and `strconv`, and `isMemberOf` compares only the set's name. So upstream adopts an orphan `web-01`
/// as ordinal 1 of `web`, fails to rename it to `web-1`, and does not get past it. Here only the form that the controller
/// itself writes counts: no leading zero, at most `i32::MAX`. An orphan `web-01` belongs to nobody, is left as it is, and
/// no two pods of a set have one ordinal.
pub fn parent_and_ordinal(pod_name: &str) -> Option<(&str, i64)> {
    let (parent, digits) = pod_name.rsplit_once('-')?;
    Some((parent, parse_ordinal(digits)?))
}

/// The ordinal of a pod of the set named `set_name`; `None` if the pod's name does not belong to that set.
pub fn ordinal_of(set_name: &str, pod_name: &str) -> Option<i64> {
    parent_and_ordinal(pod_name).and_then(|(parent, ordinal)| (parent == set_name).then_some(ordinal))
}

/// The ordinal that is written as `digits`, as the last part of the name of a pod or a claim; see [`parent_and_ordinal`].
pub fn parse_ordinal(digits: &str) -> Option<i64> {
    let is_canonical = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits.parse::<i32>().ok().filter(|_| is_canonical).map(i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_set_writes_have_an_ordinal() {
        let rows = [
            ("web-0", Some(("web", 0))),
            ("web-12", Some(("web", 12))),
            ("web-2-1", Some(("web-2", 1))),
            ("xweb-2", Some(("xweb", 2))),
            ("web-2147483647", Some(("web", 2_147_483_647))),
            ("web--1", Some(("web-", 1))),
            ("web", None),
            ("web-", None),
            ("web-a", None),
            ("web-01", None),
            ("web-00", None),
            ("web-+1", None),
            ("web-2147483648", None),
            ("web-99999999999999999999", None),
        ];
        for (name, expected) in rows {
            assert_eq!(parent_and_ordinal(name), expected, "{name}");
            let of_web = expected.filter(|(parent, _)| *parent == "web").map(|(_, ordinal)| ordinal);
            assert_eq!(ordinal_of("web", name), of_web, "{name}");
        }
    }
}
