//! How many pods more, and how many fewer, a Deployment may have during a rollout (upstream's `deployment_util.go`).

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::sync::LazyLock;

/// The spec; validation refuses a Deployment without one, and such a Deployment would ask for no pods.
pub fn spec(deployment: &Deployment) -> &DeploymentSpec {
    static NONE: LazyLock<DeploymentSpec> =
        LazyLock::new(|| DeploymentSpec { replicas: Some(0), ..DeploymentSpec::default() });
    deployment.spec.as_ref().unwrap_or(&NONE)
}

/// How many pods are wanted; never less than 0.
pub fn replicas(deployment: &Deployment) -> i32 {
    spec(deployment).replicas.unwrap_or(1).max(0)
}

/// Whether all pods go before new ones come.
pub fn is_recreate(deployment: &Deployment) -> bool {
    strategy_type(deployment) == Some("Recreate")
}

/// Whether pods are replaced a few at a time.
pub fn is_rolling_update(deployment: &Deployment) -> bool {
    strategy_type(deployment) == Some("RollingUpdate")
}

fn strategy_type(deployment: &Deployment) -> Option<&str> {
    spec(deployment).strategy.as_ref()?.type_.as_deref()
}

/// How many pods there may be beyond those that are wanted; 0 without rolling update.
pub fn max_surge(deployment: &Deployment) -> i32 {
    if is_rolling_update(deployment) { limits(deployment).0 } else { 0 }
}

/// How many of the wanted pods may be unavailable; 0 without rolling update.
pub fn max_unavailable(deployment: &Deployment) -> i32 {
    let replicas = replicas(deployment);
    if is_rolling_update(deployment) { limits(deployment).1.min(replicas) } else { 0 }
}

/// Surge and unavailable pods, a part of the replicas rounded up and down; never both 0, or a rollout would stand still
/// (upstream's `ResolveFenceposts`).
fn limits(deployment: &Deployment) -> (i32, i32) {
    let rolling = spec(deployment).strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let replicas = replicas(deployment);
    let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref()).map_or(0, |value| count(value, replicas, true));
    let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
    let unavailable = unavailable.map_or(0, |value| count(value, replicas, false));
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// A number, or a part of the replicas.
fn count(value: &IntOrString, replicas: i32, is_rounded_up: bool) -> i32 {
    let count = match value {
        IntOrString::Int(count) => i64::from(*count),
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()).unwrap_or(0);
            let hundredfold = percent.saturating_mul(replicas.into());
            if is_rounded_up { hundredfold.saturating_add(99) / 100 } else { hundredfold / 100 }
        }
    };
    // Together with the replicas it must still be a number of pods.
    i32::try_from(count.clamp(0, i64::from(i32::MAX / 2))).unwrap_or(0)
}

/// Seconds without progress after which a rollout has failed; `None` if it may take for ever.
pub fn progress_deadline(deployment: &Deployment) -> Option<i32> {
    spec(deployment).progress_deadline_seconds.filter(|seconds| *seconds != i32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_of_a_rollout() {
        // replicas, maxSurge, maxUnavailable; surge, unavailable (rows of upstream's TestMaxUnavailable,
        // TestResolveFenceposts).
        for (replicas, surge, unavailable, expected) in [
            (10, json!(1), json!(5), (1, 5)),
            (10, json!("20%"), json!("20%"), (2, 2)),
            (5, json!("25%"), json!("25%"), (2, 1)),
            (1, json!("25%"), json!("25%"), (1, 0)),
            (5, json!(0), json!(10), (0, 5)),
            (0, json!(1), json!(10), (1, 0)),
            (10, json!("0%"), json!("0%"), (0, 1)),
            (1, json!("0%"), json!("1%"), (0, 1)),
            (10, json!("1000%"), json!(0), (100, 0)),
            (2, json!("99999999999999999999%"), json!(1), (0, 1)),
            (2, json!(i32::MAX), json!(1), (i32::MAX / 2, 1)),
        ] {
            let rolling = json!({"maxSurge": surge, "maxUnavailable": unavailable});
            let strategy = json!({"type": "RollingUpdate", "rollingUpdate": rolling});
            let spec = json!({"replicas": replicas, "strategy": strategy, "selector": {}, "template": {}});
            let deployment: Deployment = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            assert_eq!((max_surge(&deployment), max_unavailable(&deployment)), expected, "{rolling} of {replicas}");
        }
    }
}
