//! Whether what a scenario expects of the objects holds, and what differs where it does not.

use super::{
    observe::{ClaimView, PodView, status},
    scenario::{Condition, FieldExpectations, Named, PodState},
};
use k8s_openapi::api::apps::v1::StatefulSet;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

/// Values that a scenario has given names to: one for a field, several for the set of an answer.
pub(super) type Remembered = BTreeMap<String, BTreeSet<String>>;

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// What was looked at: `pod web-1`, `StatefulSet web readyReplicas`.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub got: String,
}

/// Everything a condition can speak of, at one moment.
#[derive(Debug, Default)]
pub(super) struct DemoState {
    /// All pods.
    pub pods: Vec<PodView>,
    /// All claims.
    pub claims: Vec<ClaimView>,
    /// All StatefulSets.
    pub sets: Vec<Arc<StatefulSet>>,
}

/// What does not hold of a condition now.
pub(super) fn differences(condition: &Condition, observed: &DemoState, remembered: &Remembered) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (named, expected) in &condition.pods {
        let what = format!("pod {named}");
        let pod = observed.pods.iter().find(|pod| pod.named == *named);
        let Some(pod) = pod else {
            if expected.is != Some(PodState::Gone) {
                differences.push(difference(&what, word(expected.is), "gone"));
            }
            continue;
        };
        if let Some(state) = expected.is.filter(|state| !pod.is(*state)) {
            differences.push(difference(&what, word(Some(state)), &describe(pod)));
        }
        if let Some(image) = expected.image.as_ref().filter(|image| **image != pod.image) {
            differences.push(difference(&format!("{what} image"), image, &pod.image));
        }
        relations(&what, &expected.fields, |field| pod.field(field).to_owned(), remembered, &mut differences);
    }
    if let Some(names) = &condition.only_pods {
        let expected: BTreeSet<&Named> = names.iter().collect();
        let got: BTreeSet<&Named> = observed.pods.iter().map(|pod| &pod.named).collect();
        if expected != got {
            differences.push(difference("all pods", &list(expected), &list(got)));
        }
    }
    for (named, fields) in &condition.statefulsets {
        let set = observed.sets.iter().find(|set| is_named(set, named));
        let Some(set) = set else {
            differences.push(difference(&format!("StatefulSet {named}"), "present", "gone"));
            continue;
        };
        for (field, expected) in fields {
            let got = status(set, *field);
            if got != *expected {
                let what = format!("StatefulSet {named} status.{}", camel(&format!("{field:?}")));
                differences.push(difference(&what, &expected.to_string(), &got.to_string()));
            }
        }
    }
    for (named, expected) in &condition.claims {
        let what = format!("claim {named}");
        match observed.claims.iter().find(|claim| claim.named == *named) {
            None if expected.is == Some(super::scenario::ClaimState::Gone) => {}
            None => differences.push(difference(&what, word(expected.is), "gone")),
            Some(claim) => {
                if let Some(state) = expected.is.filter(|state| !claim.is(*state)) {
                    differences.push(difference(&what, word(Some(state)), &claim.phase));
                }
                relations(&what, &expected.fields, |field| claim.field(field).to_owned(), remembered, &mut differences);
            }
        }
    }
    differences
}

/// What the condition wants remembered of what is observed.
pub(super) fn remember(condition: &Condition, observed: &DemoState, remembered: &mut Remembered) {
    for (named, expected) in &condition.pods {
        if let Some(pod) = observed.pods.iter().find(|pod| pod.named == *named) {
            for (field, variable) in &expected.fields.remember {
                remembered.insert(variable.clone(), BTreeSet::from([pod.field(*field).to_owned()]));
            }
        }
    }
    for (named, expected) in &condition.claims {
        if let Some(claim) = observed.claims.iter().find(|claim| claim.named == *named) {
            for (field, variable) in &expected.fields.remember {
                remembered.insert(variable.clone(), BTreeSet::from([claim.field(*field).to_owned()]));
            }
        }
    }
}

/// What breaks the order that a condition demands for as long as it is waited for.
pub(super) fn disorder(condition: &Condition, pods: &[PodView]) -> Option<Difference> {
    if let Some(set) = &condition.ascending {
        let members = members(set, pods);
        let (_, predecessors) = members.split_last()?;
        if let Some((_, pod)) = predecessors.iter().find(|(_, pod)| !pod.is(PodState::Ready)) {
            let above = members.last().map(|(_, pod)| pod.named.to_string()).unwrap_or_default();
            let expected = format!("ready before {above} exists");
            return Some(difference(&format!("pod {}", pod.named), &expected, &describe(pod)));
        }
    }
    if let Some(set) = &condition.descending {
        let members = members(set, pods);
        let (_, others) = members.split_last()?;
        if let Some((_, pod)) = others.iter().find(|(_, pod)| pod.terminating) {
            let above = members.last().map(|(_, pod)| pod.named.to_string()).unwrap_or_default();
            let expected = format!("kept until {above} is gone");
            return Some(difference(&format!("pod {}", pod.named), &expected, &describe(pod)));
        }
    }
    None
}

/// A set's pods by ordinal.
fn members<'a>(set: &Named, pods: &'a [PodView]) -> Vec<(i64, &'a PodView)> {
    let mut members: Vec<_> = pods.iter().filter_map(|pod| pod.ordinal_in(set).map(|ordinal| (ordinal, pod))).collect();
    members.sort_by_key(|(ordinal, _)| *ordinal);
    members
}

fn relations<F: Copy + Debug>(
    what: &str,
    fields: &FieldExpectations<F>,
    value: impl Fn(F) -> String,
    remembered: &Remembered,
    differences: &mut Vec<Difference>,
) {
    let mut relate = |field: F, variable: &String, wanted: bool| {
        let what = format!("{what} {}", camel(&format!("{field:?}")));
        let got = value(field);
        match remembered.get(variable) {
            None => differences.push(difference(&what, &format!("compared with `{variable}`"), "never remembered")),
            Some(values) if values.contains(&got) != wanted => {
                let not = if wanted { "" } else { "other than " };
                let expected = format!("{not}{} (`{variable}`)", list(values));
                differences.push(difference(&what, &expected, &got));
            }
            Some(_) => {}
        }
    };
    fields.same_as.iter().for_each(|(field, variable)| relate(*field, variable, true));
    fields.differs_from.iter().for_each(|(field, variable)| relate(*field, variable, false));
}

fn is_named(set: &StatefulSet, named: &Named) -> bool {
    let (namespace, name) = (&set.metadata.namespace, &set.metadata.name);
    namespace.as_ref() == Some(&named.namespace) && name.as_ref() == Some(&named.name)
}

fn describe(pod: &PodView) -> String {
    match (pod.terminating, pod.ready) {
        (true, _) => pod.state(),
        (false, true) => format!("{}, ready", pod.state()),
        (false, false) => format!("{}, not ready", pod.state()),
    }
}

fn difference(what: &str, expected: &str, got: &str) -> Difference {
    Difference { what: what.to_owned(), expected: expected.to_owned(), got: got.to_owned() }
}

/// A state's name in the scenario language, from the variant's name.
fn word<S: Debug>(state: Option<S>) -> &'static str {
    match state.map(|state| format!("{state:?}")).as_deref() {
        Some("Ready") => "ready",
        Some("NotReady") => "not-ready",
        Some("Pending") => "pending",
        Some("Running") => "running",
        Some("Failed") => "failed",
        Some("Terminating") => "terminating",
        Some("Bound") => "bound",
        Some("Lost") => "lost",
        Some("Gone") => "gone",
        _ => "present",
    }
}

fn camel(variant: &str) -> String {
    let mut letters = variant.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::StatefulSetStatus;

    fn pod(name: &str, state: &str) -> PodView {
        let named = Named { namespace: "default".to_owned(), name: name.to_owned() };
        PodView {
            named,
            uid: format!("uid-of-{name}"),
            phase: if state == "pending" { "Pending" } else { "Running" }.to_owned(),
            reason: String::new(),
            ready: state == "ready" || state == "terminating",
            terminating: state == "terminating",
            address: "10.0.0.1".to_owned(),
            revision: "web-1".to_owned(),
            image: "nginx:1".to_owned(),
        }
    }

    fn observed() -> DemoState {
        let mut set = StatefulSet::default();
        set.metadata.name = Some("web".to_owned());
        set.metadata.namespace = Some("default".to_owned());
        set.status = Some(StatefulSetStatus { replicas: 2, ready_replicas: Some(1), ..StatefulSetStatus::default() });
        let claim = ClaimView {
            named: Named { namespace: "default".to_owned(), name: "www-web-0".to_owned() },
            uid: "c1".to_owned(),
            phase: "Bound".to_owned(),
            volume: "v1".to_owned(),
        };
        DemoState {
            pods: vec![pod("web-0", "ready"), pod("web-1", "pending")],
            claims: vec![claim],
            sets: vec![Arc::new(set)],
        }
    }

    /// Each difference as `what: expected / got`.
    fn check(condition: &str, expected: &[&str]) {
        let condition: Condition = serde_yaml::from_str(condition).unwrap();
        let remembered = Remembered::from([("old".to_owned(), BTreeSet::from(["uid-of-web-0".to_owned()]))]);
        let got: Vec<String> = differences(&condition, &observed(), &remembered)
            .into_iter()
            .map(|difference| format!("{}: {} / {}", difference.what, difference.expected, difference.got))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn differences_are_named() {
        check("{pods: {web-0: ready, web-1: pending, web-2: gone}}", &[]);
        check("{pods: {web-1: ready}}", &["pod web-1: ready / Pending, not ready"]);
        check("{pods: {web-0: not-ready}}", &["pod web-0: not-ready / Running, ready"]);
        check("{pods: {web-0: gone, web-2: ready}}", &["pod web-0: gone / Running, ready", "pod web-2: ready / gone"]);
        check("{pods: {web-0: {image: 'nginx:2'}}}", &["pod web-0 image: nginx:2 / nginx:1"]);
        check("{pods: {web-0: {same-as: {uid: old}}, web-1: {differs-from: {uid: old}}}}", &[]);
        check("{pods: {web-1: {same-as: {uid: old}}}}", &["pod web-1 uid: uid-of-web-0 (`old`) / uid-of-web-1"]);
        check(
            "{pods: {web-0: {differs-from: {uid: old}}}}",
            &["pod web-0 uid: other than uid-of-web-0 (`old`) / uid-of-web-0"],
        );
        check("{pods: {web-0: {same-as: {uid: x}}}}", &["pod web-0 uid: compared with `x` / never remembered"]);
        check("{only-pods: [web-1, web-0]}", &[]);
        check("{only-pods: [web-0]}", &["all pods: web-0 / web-0, web-1"]);
        check("{statefulsets: {web: {replicas: 2, readyReplicas: 1, updatedReplicas: 0}}}", &[]);
        check("{statefulsets: {web: {readyReplicas: 2}}}", &["StatefulSet web status.readyReplicas: 2 / 1"]);
        check("{statefulsets: {db: {replicas: 0}}}", &["StatefulSet db: present / gone"]);
        check("{claims: {www-web-0: bound, www-web-1: gone}}", &[]);
        check(
            "{claims: {www-web-0: pending, x: bound}}",
            &["claim www-web-0: pending / Bound", "claim x: bound / gone"],
        );
    }

    #[test]
    fn values_are_remembered() {
        let condition: Condition = serde_yaml::from_str(
            "{pods: {web-0: {remember: {address: a}}}, claims: {www-web-0: {remember: {volume: v}}}}",
        )
        .unwrap();
        let mut remembered = Remembered::new();
        remember(&condition, &observed(), &mut remembered);
        assert_eq!(remembered["a"], BTreeSet::from(["10.0.0.1".to_owned()]));
        assert_eq!(remembered["v"], BTreeSet::from(["v1".to_owned()]));
    }

    #[test]
    fn order_is_watched() {
        let check = |condition: &str, pods: &[(&str, &str)], expected: &str| {
            let condition: Condition = serde_yaml::from_str(condition).unwrap();
            let pods: Vec<PodView> = pods.iter().map(|(name, state)| pod(name, state)).collect();
            let got = disorder(&condition, &pods).map(|d| format!("{}: {} / {}", d.what, d.expected, d.got));
            assert_eq!(got.as_deref().unwrap_or(""), expected);
        };
        check("{ascending: web}", &[("web-10", "pending"), ("web-9", "ready"), ("other-0", "pending")], "");
        check("{ascending: web}", &[], "");
        check(
            "{ascending: web}",
            &[("web-0", "pending"), ("web-1", "pending")],
            "pod web-0: ready before web-1 exists / Pending, not ready",
        );
        check("{descending: web}", &[("web-0", "ready"), ("web-1", "terminating")], "");
        check(
            "{descending: web}",
            &[("web-0", "terminating"), ("web-1", "ready")],
            "pod web-0: kept until web-1 is gone / Terminating",
        );
    }
}
