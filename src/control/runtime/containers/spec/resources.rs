//! Limits and requests: what an engine is told, the class of service, and `resourceFieldRef`.

use crate::{control::runtime::containers::NodeFacts, engine::sandbox::Resources, objects::object::quantity::Amount};
use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec, ResourceFieldSelector},
    apimachinery::pkg::api::resource::Quantity,
};
use std::collections::BTreeMap;

const NANO: i128 = 1_000_000_000;
const NANO_OF_MILLI: i128 = 1_000_000;
/// The kernel's bounds of the weight of a control group.
const SHARES_MIN: u64 = 2;
const SHARES_MAX: u64 = 262_144;
/// The smallest share of a processor that a quota can express: 1 ms of 100 ms.
const MILLICORES_MIN: u64 = 10;
/// Kubelet's adjustments for pods whose limits are their requests, and for pods without any.
const OOM_GUARANTEED: i32 = -997;
const OOM_BEST_EFFORT: i32 = 1000;
/// `priority` of pods that the node needs itself (`system-node-critical`).
const NODE_CRITICAL: i32 = 2_000_001_000;

/// How much a pod has asked for: how soon its processes are killed when memory is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Guaranteed,
    Burstable,
    BestEffort,
}

/// What a container may use.
pub fn resources(pod: &Pod, container: &Container, facts: &NodeFacts) -> Resources {
    let cpu_limit = milli(amount(container, Side::Limits, "cpu"));
    let cpu_request = match milli(amount(container, Side::Requests, "cpu")) {
        0 => cpu_limit,
        request => request,
    };
    // An engine refuses more processors than there are; all of them are no limit.
    let limited = cpu_limit > 0 && (facts.millicores == 0 || cpu_limit < facts.millicores);
    let memory = value(amount(container, Side::Limits, "memory"));
    Resources {
        memory_octets: (memory > 0).then_some(memory),
        nano_cpus: limited.then(|| cpu_limit.max(MILLICORES_MIN).saturating_mul(1_000_000)),
        cpu_shares: Some((cpu_request.saturating_mul(1024) / 1000).clamp(SHARES_MIN, SHARES_MAX)),
        oom_score_adj: oom_score_adj(pod, container, facts),
    }
}

/// Kubelet's `GetContainerOOMScoreAdjust`.
fn oom_score_adj(pod: &Pod, container: &Container, facts: &NodeFacts) -> i32 {
    if pod.spec.as_ref().and_then(|spec| spec.priority).is_some_and(|priority| priority >= NODE_CRITICAL) {
        return OOM_GUARANTEED;
    }
    match class(pod) {
        Class::Guaranteed => OOM_GUARANTEED,
        Class::BestEffort => OOM_BEST_EFFORT,
        Class::Burstable => {
            let request = i128::from(value(amount(container, Side::Requests, "memory")));
            let part = (1000 * request).checked_div(i128::from(facts.memory_octets)).unwrap_or(0);
            let wanted = i32::try_from(1000 - part).unwrap_or(i32::MIN);
            wanted.clamp(1000 + OOM_GUARANTEED, OOM_BEST_EFFORT - 1)
        }
    }
}

/// Upstream's `GetPodQOS`: by processors and memory of all containers.
fn class(pod: &Pod) -> Class {
    let Some(spec) = &pod.spec else { return Class::BestEffort };
    let all = || spec.init_containers.iter().flatten().chain(&spec.containers);
    let amounts = |container| {
        ["cpu", "memory"].map(|name| (amount(container, Side::Requests, name), amount(container, Side::Limits, name)))
    };
    if all().flat_map(amounts).all(|(request, limit)| request == 0 && limit == 0) {
        return Class::BestEffort;
    }
    // A request that is not there is the limit.
    let fixed = |(request, limit): (i128, i128)| limit > 0 && (request == 0 || request == limit);
    match all().flat_map(amounts).all(fixed) {
        true => Class::Guaranteed,
        false => Class::Burstable,
    }
}

/// The sum of the containers' limits of memory in octets, if all have one.
pub fn memory_of_pod(spec: &PodSpec) -> Option<u64> {
    let limits = spec.containers.iter().map(|container| value(amount(container, Side::Limits, "memory")));
    limits.map(|limit| (limit > 0).then_some(limit)).try_fold(0_u64, |sum, limit| Some(sum.saturating_add(limit?)))
}

/// The octets of a quantity, if it says more than nothing.
pub fn octets(quantity: Option<&Quantity>) -> Option<u64> {
    Some(value(Amount::nano_of(quantity))).filter(|octets| *octets > 0)
}

/// The value of a limit or request in units of its divisor, rounded up. A limit that is not there is what the node has.
///
/// # Errors
/// There is no such container or resource, in kubelet's words.
pub fn resource_field(
    pod: &Pod,
    own: Option<&Container>,
    field: &ResourceFieldSelector,
    facts: &NodeFacts,
) -> Result<String, String> {
    let container = match field.container_name.as_deref().filter(|name| !name.is_empty()) {
        None => own.ok_or_else(|| "containerName is missing".to_owned())?,
        Some(name) => {
            let spec = pod.spec.iter();
            let all = spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
            let found = all.into_iter().find(|container| container.name == name);
            found.ok_or_else(|| format!("container {name} not found"))?
        }
    };
    let unsupported = || format!("unsupported container resource : {}", field.resource);
    let (side, name) = field.resource.split_once('.').ok_or_else(unsupported)?;
    let side = match side {
        "limits" => Side::Limits,
        "requests" => Side::Requests,
        _ => return Err(unsupported()),
    };
    if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !name.starts_with("hugepages-") {
        return Err(unsupported());
    }
    let mut amount = amount(container, side, name);
    if amount == 0 && matches!(side, Side::Limits) {
        amount = match name {
            "cpu" => i128::from(facts.millicores) * NANO_OF_MILLI,
            "memory" => i128::from(facts.memory_octets) * NANO,
            _ => 0,
        };
    }
    let divisor = match Amount::nano_of(field.divisor.as_ref()) {
        0 => NANO,
        divisor => divisor,
    };
    // Upstream counts processors in thousandths, everything else in whole units.
    let unit = if name == "cpu" { NANO_OF_MILLI } else { NANO };
    let (amount, divisor) = (rounded_up(amount, unit), rounded_up(divisor, unit).max(1));
    Ok(rounded_up(amount, divisor).to_string())
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Limits,
    Requests,
}

fn amount(container: &Container, side: Side, name: &str) -> i128 {
    let resources = container.resources.as_ref();
    let map: Option<&BTreeMap<String, Quantity>> = match side {
        Side::Limits => resources.and_then(|resources| resources.limits.as_ref()),
        Side::Requests => resources.and_then(|resources| resources.requests.as_ref()),
    };
    Amount::nano_of(map.and_then(|map| map.get(name))).max(0)
}

fn rounded_up(amount: i128, unit: i128) -> i128 {
    amount.div_euclid(unit) + i128::from(amount.rem_euclid(unit) > 0)
}

fn milli(nano: i128) -> u64 {
    u64::try_from(rounded_up(nano, NANO_OF_MILLI)).unwrap_or(u64::MAX)
}

fn value(nano: i128) -> u64 {
    u64::try_from(rounded_up(nano, NANO)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{facts, pod, pod_of},
        *,
    };

    #[test]
    fn what_engines_are_told() {
        type Row = (&'static str, Option<u64>, Option<u64>, u64, i32);
        let gib = 1 << 30;
        let rows: [Row; 11] = [
            ("", None, None, 2, 1000),
            ("limits: {cpu: 500m, memory: 1Gi}", Some(gib), Some(500_000_000), 512, -997),
            (
                "limits: {cpu: '1', memory: 1Gi}, requests: {cpu: '1', memory: 1Gi}",
                Some(gib),
                Some(1_000_000_000),
                1024,
                -997,
            ),
            ("limits: {cpu: '1', memory: 1Gi}, requests: {cpu: 100m}", Some(gib), Some(1_000_000_000), 102, 999),
            ("requests: {memory: 2Gi}", None, None, 2, 750),
            ("requests: {memory: 8Gi}", None, None, 2, 3),
            ("requests: {memory: 80Gi}", None, None, 2, 3),
            ("requests: {cpu: 100m}", None, None, 102, 999),
            // All processors, or more than there are.
            ("limits: {cpu: '2'}", None, None, 2048, 999),
            ("limits: {cpu: '64'}", None, None, 65_536, 999),
            ("limits: {cpu: 1m}, requests: {cpu: '900'}", None, Some(10_000_000), 262_144, 999),
        ];
        for (text, memory_octets, nano_cpus, shares, oom_score_adj) in rows {
            let (pod, container) = pod_of(&format!("resources: {{{text}}}"), "");
            let expected = Resources { memory_octets, nano_cpus, cpu_shares: Some(shares), oom_score_adj };
            assert_eq!(resources(&pod, &container, &facts()), expected, "{text}");
        }
        let (pod, container) = pod_of("resources: {}", "priority: 2000001000");
        assert_eq!(resources(&pod, &container, &facts()).oom_score_adj, -997);
    }

    #[test]
    fn init_containers_count() {
        let all = "limits: {cpu: 100m, memory: 1Mi}";
        let rows = [
            (all, all, Class::Guaranteed),
            (all, "", Class::Burstable),
            ("", all, Class::Burstable),
            ("", "", Class::BestEffort),
            ("limits: {ephemeral-storage: 1Gi}", "", Class::BestEffort),
        ];
        for (init, main, expected) in rows {
            let text = format!(
                "{{initContainers: [{{name: i, resources: {{{init}}}}}], containers: [{{name: a, resources: {{{main}}}}}]}}"
            );
            assert_eq!(class(&pod(&text)), expected, "{text}");
        }
    }

    #[test]
    fn fields() {
        let (pod, container) =
            pod_of("resources: {limits: {cpu: 1500m, memory: 64Mi}, requests: {cpu: 250m, memory: 33Mi}}", "");
        let (bare_pod, bare) = pod_of("resources: {}", "");
        let rows = [
            ("limits.cpu", "", Ok("2"), Ok("2")),
            ("limits.cpu", "1m", Ok("1500"), Ok("2000")),
            ("requests.cpu", "", Ok("1"), Ok("0")),
            ("requests.cpu", "1m", Ok("250"), Ok("0")),
            ("limits.memory", "", Ok("67108864"), Ok("8589934592")),
            ("limits.memory", "1Mi", Ok("64"), Ok("8192")),
            ("requests.memory", "1Gi", Ok("1"), Ok("0")),
            ("requests.ephemeral-storage", "1", Ok("0"), Ok("0")),
            ("limits.gpu", "1", Err("unsupported container resource : limits.gpu"), Err("")),
            ("cpu", "1", Err("unsupported container resource : cpu"), Err("")),
        ];
        for (resource, divisor, expected, of_bare) in rows {
            let field = ResourceFieldSelector {
                container_name: None,
                divisor: (!divisor.is_empty()).then(|| Quantity(divisor.to_owned())),
                resource: resource.to_owned(),
            };
            let value = resource_field(&pod, Some(&container), &field, &facts());
            assert_eq!(value.as_deref().map_err(String::as_str), expected, "{resource} {divisor}");
            if let Ok(expected) = of_bare {
                assert_eq!(
                    resource_field(&bare_pod, Some(&bare), &field, &facts()).as_deref(),
                    Ok(expected),
                    "{resource}"
                );
            }
            let named = ResourceFieldSelector { container_name: Some("app".to_owned()), ..field.clone() };
            assert_eq!(resource_field(&pod, None, &named, &facts()), value);
            let unknown = ResourceFieldSelector { container_name: Some("x".to_owned()), ..field };
            assert_eq!(resource_field(&pod, None, &unknown, &facts()), Err("container x not found".to_owned()));
        }
    }
}
