//! How many pods of a set a rollout may take at once.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// `maxUnavailable` of a set of so many replicas: a part of them rounded down, but never less than one. (Upstream's
/// field documentation says rounded up; its code rounds down.)
pub fn count(max_unavailable: &IntOrString, replicas: i64) -> i64 {
    let count = match max_unavailable {
        IntOrString::Int(count) => i64::from(*count),
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()).unwrap_or(0);
            replicas.saturating_mul(percent) / 100
        }
    };
    count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_rounded_down_to_one_at_least() {
        // The rows of upstream's TestGetStatefulSetMaxUnavailable.
        #[rustfmt::skip]
        let rows = [
            ("3", 10, 3), ("3", 0, 3), ("0", 0, 1), ("10%", 25, 2), ("100%", 5, 5), ("50%", 5, 2), ("10%", 5, 1),
            ("1%", 0, 1), ("0%", 0, 1), ("25%", 10, 2), ("x", 10, 1),
        ];
        for (text, replicas, expected) in rows {
            let value = text.parse().map_or_else(|_| IntOrString::String(text.to_owned()), IntOrString::Int);
            assert_eq!(count(&value, replicas), expected, "{text} of {replicas}");
        }
    }
}
