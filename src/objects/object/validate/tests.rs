//! Validation against upstream's recorded refusals (`tests/data/upstream/refusals.md`), and rows beside them.

use super::*;
use crate::objects::object::{Kind, from_request, set_defaults};
use serde_json::json;

/// Where our words differ on purpose: the recording's title, and what is said here instead.
/// `y` is a boolean to upstream's YAML 1.1 and text to us; the rest is said while decoding or by the cluster, not by
/// validation.
const ELSEWHERE: &[(&str, Option<&str>)] = &[
    (
        "selector not matching (apply)",
        Some(
            "spec.template.metadata.labels: Invalid value: {\"app\":\"nginx\"}: `selector` does not match template \
             `labels`",
        ),
    ),
    ("two containers of one name (apply)", Some("spec.template.spec.containers[1].name: Duplicate value: \"a\"")),
    (
        "claim with bad quantity (apply)",
        Some(
            "spec.volumeClaimTemplates[0].spec.resources.requests[storage]: Invalid value: \"1Gb\": quantities must \
            match the \
              regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ),
    ("no name (apply)", Some("metadata.name: Required value: name or generateName is required")),
    ("replicas a string (apply)", None),
    ("unknown field (apply)", None),
    ("api version wrong (apply)", None),
    ("clusterIP outside the range (apply)", None),
    ("object in a missing namespace (apply)", None),
];

fn object(manifest: Value) -> Result<Object, serde_json::Error> {
    let name = manifest["kind"].as_str().unwrap().to_owned();
    let kind = *Kind::ALL.iter().find(|kind| kind.name() == name).unwrap();
    let mut object = from_request(kind, manifest)?;
    set_defaults(&mut object);
    Ok(object)
}

/// Upstream's errors out of kubectl's output.
fn recorded(output: &str) -> Vec<String> {
    let Some((_, errors)) = output.split_once("is invalid: ") else { return Vec::new() };
    match errors.trim_start().strip_prefix("* ") {
        Some(list) => list.split("\n* ").map(|line| line.trim().to_owned()).collect(),
        None => vec![errors.trim().to_owned()],
    }
}

#[test]
fn recorded_refusals() {
    let running = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {
            "serviceName": "nginx", "replicas": 2, "selector": {"matchLabels": {"app": "nginx"}},
            "template": {
                "metadata": {"labels": {"app": "nginx"}},
                "spec": {"terminationGracePeriodSeconds": 10, "containers": [
                    {"name": "nginx", "image": "nginx:1", "ports": [{"containerPort": 80, "name": "web"}]}]}
            }
        }
    });
    let running = object(running).unwrap();
    assert_eq!(validate(&running), []);
    let mut compared = 0;
    let text = REFUSALS.split(OTHER_KINDS).next().unwrap();
    for section in text.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap();
        let parts: Vec<&str> = section.split("```").collect();
        let manifest = parts[1].trim_start_matches("yaml");
        let mut expected = recorded(parts[3]);
        match ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == title) {
            Some((_, None)) => continue,
            Some((_, Some(ours))) => expected = vec![(*ours).to_owned()],
            None => assert!(!expected.is_empty() || section.contains("\nexit 0\n"), "{title}: nothing recorded"),
        }
        let object = object(serde_yaml::from_str(manifest).unwrap()).unwrap();
        let errors = if title.contains("running") { validate_update(&running, &object) } else { validate(&object) };
        let errors: Vec<String> = errors.iter().map(FieldError::to_string).collect();
        assert_eq!(errors, expected, "{title}");
        compared += 1;
    }
    assert!(compared >= 45, "{compared} refusals");
}

#[test]
fn recorded_refusals_of_deployments() {
    let mut compared = 0;
    for section in sections_of(&["Deployment", "ReplicaSet", "ReplicationController"]) {
        let title = section.lines().next().unwrap();
        // What a patch makes of it is said by tests of patches.
        if section.contains("\n$ kubectl patch ") || section.contains("\nexit 0\n") {
            continue;
        }
        let (objects, printed) = recorded_objects(section);
        let errors = match objects.as_slice() {
            [one] => validate(one),
            [first, then] => {
                assert_eq!(validate(first), [], "{title}");
                validate_update(first, then)
            }
            _ => panic!("{title}: {} objects", objects.len()),
        };
        let errors: Vec<String> = errors.iter().map(FieldError::to_string).collect();
        assert_eq!(errors, recorded(printed), "{title}");
        compared += 1;
    }
    assert!(compared >= 20, "{compared} refusals");
}

#[test]
fn recorded_refusals_of_jobs() {
    let (mut compared, mut standing) = (0, None);
    for section in sections_of(&["Job", "CronJob"]) {
        let title = section.lines().next().unwrap();
        let (objects, printed) = recorded_objects(section);
        let errors = match objects.as_slice() {
            // Changes of the Job of an earlier section.
            [changed] if title.contains("change") => {
                let mut changed = as_stored(changed);
                // kubectl's patch leaves alone what the manifest does not say.
                if let (Object::Job(job), false) = (&mut changed, section.contains("completions:")) {
                    std::sync::Arc::make_mut(job).spec.as_mut().unwrap().completions = Some(1);
                }
                validate_update(standing.as_ref().unwrap(), &changed)
            }
            [one] => validate(one),
            [first, then] => {
                assert_eq!(validate(first), [], "{title}");
                let stored = as_stored(first);
                let errors = validate_update(&stored, &as_stored(then));
                standing = Some(stored);
                errors
            }
            _ => panic!("{title}: {} objects", objects.len()),
        };
        let errors: Vec<String> = errors.iter().map(FieldError::to_string).collect();
        let expected: Vec<String> = recorded(printed)
            .iter()
            .map(|error| error.replace("<uid>", "00000000-0000-0000-0000-000000000000"))
            .collect();
        // Upstream prints its own form of a template.
        if title.contains("template changed") {
            assert!(errors[0].starts_with("spec.template: Invalid value: ") && errors.len() == 1, "{errors:?}");
        } else {
            assert_eq!(errors, expected, "{title}");
        }
        compared += 1;
    }
    assert!(compared >= 30, "{compared} refusals");
}

/// A Job with the selector that it gets when it is stored.
fn as_stored(object: &Object) -> Object {
    let Object::Job(job) = object else { return object.clone() };
    let mut job = (**job).clone();
    job.metadata.uid = Some("00000000-0000-0000-0000-000000000000".to_owned());
    crate::objects::object::job::generate_selector(&mut job);
    job.into()
}

#[test]
fn jobs() {
    let job = |spec: &str| {
        format!(
            "{{apiVersion: batch/v1, kind: Job, metadata: {{name: a}}, spec: {{{spec}, template: {{spec: \
             {{restartPolicy: Never, containers: [{{name: c, image: x}}]}}}}}}}}"
        )
    };
    let rules = |rules: &str| job(&format!("podFailurePolicy: {{rules: [{rules}]}}"));
    let success =
        |rule: &str| job(&format!("completions: 5, completionMode: Indexed, successPolicy: {{rules: [{rule}]}}"));
    let rows: [(String, &[&str]); 16] = [
        (job("suspend: true"), &[]),
        (
            job("parallelism: 100001"),
            &[
                "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000, the most that this server \
               simulates for one Job",
            ],
        ),
        (
            job("completions: 3, maxFailedIndexes: 4, backoffLimitPerIndex: 1, completionMode: Indexed"),
            &["spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions"],
        ),
        (
            job("completions: 3, maxFailedIndexes: 1, completionMode: Indexed"),
            &["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"],
        ),
        (
            job("successPolicy: {rules: []}"),
            &["spec.successPolicy: Invalid value: {\"rules\":[]}: requires indexed completion mode"],
        ),
        (
            rules("{action: FailIndex, onExitCodes: {operator: In, values: [1]}}"),
            &[
                "spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
            ],
        ),
        (
            rules("{action: Ignore}"),
            &[
                "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            ],
        ),
        (
            rules("{action: Count, onExitCodes: {operator: In, values: [3, 0, 3], containerName: d}}"),
            &[
                "spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"d\": must be one of the container \
                 or initContainer names in the pod template",
                "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
                "spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 3",
                "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0,3]: must be ordered",
            ],
        ),
        (rules("{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}"), &[]),
        (
            rules("{action: Ignore, onPodConditions: [{type: A, status: Maybe}]}"),
            &[
                "spec.podFailurePolicy.rules[0].onPodConditions[0].status: Unsupported value: \"Maybe\": supported values: \
               \"False\", \"True\", \"Unknown\"",
            ],
        ),
        (success("{succeededIndexes: \"0-2,4\", succeededCount: 3}"), &[]),
        (
            success("{succeededIndexes: \"0,2\", succeededCount: 3}"),
            &[
                "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of \
               indexes in the specified succeededIndexes field)",
            ],
        ),
        (
            success("{succeededIndexes: \"2,1\"}"),
            &["spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"2,1\": error parsing succeededIndexes: \
               non-increasing order, previous: 2, current: 1"],
        ),
        (
            success("{}"),
            &[
                "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be \
               specified",
            ],
        ),
        (
            job("managedBy: me"),
            &["spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")"],
        ),
        (
            job("podReplacementPolicy: Never"),
            &["spec.podReplacementPolicy: Unsupported value: \"Never\": supported values: \"Failed\", \
               \"TerminatingOrFailed\""],
        ),
    ];
    for (manifest, expected) in rows {
        check(&manifest, expected);
    }
}

#[test]
fn replication_controllers() {
    const CONTROLLER: &str = "{apiVersion: v1, kind: ReplicationController, metadata: {name: a}, spec: ";
    let template = |labels: &str| {
        format!("template: {{metadata: {{labels: {labels}}}, spec: {{containers: [{{name: a, image: x}}]}}}}")
    };
    for (spec, expected) in [
        (format!("{{{}}}", template("{a: b}")), vec![]),
        ("{selector: {a: b}}".to_owned(), vec!["spec.template: Required value"]),
        (
            "{replicas: 100001}".to_owned(),
            vec![
                "spec.selector: Required value",
                "spec.replicas: Invalid value: 100001: must be less than or equal to 100000, the most that this server \
                 simulates for one object",
                "spec.template: Required value",
            ],
        ),
        (
            format!("{{selector: {{a: c}}, {}}}", template("{a: b}")),
            vec![
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ],
        ),
    ] {
        check(&format!("{CONTROLLER}{spec}}}"), &expected);
    }
    // Unlike that of others its selector may change.
    let [old, new] = ["b", "c"].map(|label| format!("{CONTROLLER}{{{}}}}}", template(&format!("{{a: {label}}}"))));
    check_update(&old, &new, &[]);
}

const REFUSALS: &str = include_str!("../../../../tests/data/upstream/refusals.md");
/// What the second part of the recording begins with.
const OTHER_KINDS: &str = "\n# The other kinds";

/// Kinds whose refusals are compared where their controllers are, and those that this program does not know.
const OF_CONTROLLERS: [&str; 5] = ["Deployment", "ReplicaSet", "Job", "CronJob", "Thing"];

/// What is said by admission and not by validation, and null, which is filled in before an object is decoded.
const BY_ADMISSION: [&str; 4] = [
    "ConfigMap data null (apply)",
    "Pod: unknown PriorityClass (apply)",
    "a ConfigMap over quota (apply)",
    "clusterIP that another Service has (apply)",
];

/// The manifests of a section, and what kubectl printed after the last one.
fn section_parts(section: &str) -> (Vec<&str>, &str) {
    let mut manifests = Vec::new();
    for part in section.split("```yaml\n").skip(1) {
        manifests.push(part.split("\n```").next().unwrap_or_default());
    }
    let rest = section.rsplit("```yaml\n").next().unwrap_or_default();
    let printed = rest.split("```\n").nth(2).unwrap_or_default();
    (manifests, printed)
}

/// The sections of the second part whose first manifest is of one of these kinds.
fn sections_of(kinds: &[&str]) -> impl Iterator<Item = &'static str> {
    let is_of = |section: &str| {
        let (manifests, _) = section_parts(section);
        let first = manifests.first().and_then(|manifest| serde_yaml::from_str::<Value>(manifest).ok());
        first.is_some_and(|first| kinds.contains(&first["kind"].as_str().unwrap_or_default()))
    };
    REFUSALS.split_once(OTHER_KINDS).unwrap().1.split("\n## ").skip(1).filter(move |section| is_of(section))
}

/// The objects of a section, and what kubectl printed after the last one.
fn recorded_objects(section: &str) -> (Vec<Object>, &str) {
    let (manifests, printed) = section_parts(section);
    let read = |manifest: &&str| object(serde_yaml::from_str(manifest).unwrap()).unwrap();
    (manifests.iter().map(read).collect(), printed)
}

/// The second part: several sections may be about one object, which is then the one of the section before.
#[test]
fn recorded_refusals_of_the_other_kinds() {
    let mut standing: std::collections::HashMap<String, Object> = Default::default();
    let mut compared = 0;
    for section in REFUSALS.split_once(OTHER_KINDS).unwrap().1.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap();
        let (manifests, printed) = section_parts(section);
        // Texts that are no manifests, and refusals before anything is validated, are kubectl's or the decoder's.
        if manifests.is_empty() || printed.contains("(BadRequest)") || printed.contains("error: ") {
            continue;
        }
        for (index, manifest) in manifests.iter().enumerate() {
            let Ok(manifest) = serde_yaml::from_str::<Value>(manifest) else { continue };
            let kind = manifest["kind"].as_str().unwrap_or_default();
            if OF_CONTROLLERS.contains(&kind) || kind.is_empty() || BY_ADMISSION.contains(&title) {
                continue;
            }
            let object = object(manifest).unwrap();
            let key = object.key().to_string();
            let errors = match standing.get(&key) {
                Some(before) => validate_update(before, &object),
                None => validate(&object),
            };
            let mut errors: Vec<String> = errors.iter().map(FieldError::to_string).collect();
            let mut expected = if index + 1 < manifests.len() { Vec::new() } else { recorded(printed) };
            // Go's maps have no order.
            errors.sort();
            expected.sort();
            assert_eq!(errors, expected, "{title}");
            compared += 1;
            if errors.is_empty() && !key.ends_with("/bad") {
                standing.insert(key, object);
            }
        }
    }
    assert!(compared >= 42, "{compared} refusals");
}

#[test]
fn other_refusals_of_stored_kinds() {
    let of = |kind: Kind, rest: &str| {
        format!("{{apiVersion: {}, kind: {}, metadata: {{name: a}}, {rest}}}", kind.api_version(), kind.name())
    };
    let bound = "roleRef: {kind: ClusterRole, name: r}";
    let backend = "{service: {name: s, port: {number: 80}}}";
    let path = |path: &str| {
        let rule = format!("{{http: {{paths: [{{path: {path}, pathType: Exact, backend: {backend}}}]}}}}");
        of(Kind::Ingress, &format!("spec: {{rules: [{rule}]}}"))
    };
    check(&path("/a"), &[]);
    check(&path("/a//b"), &["spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'"]);
    let host =
        |host: &str| of(Kind::Ingress, &format!("spec: {{defaultBackend: {backend}, rules: [{{host: '{host}'}}]}}"));
    check(&host("*.example.com"), &[]);
    check(
        &host("10.0.0.1"),
        &["spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"],
    );
    let wildcard = names::wildcard("a.*").remove(0);
    check(&host("a.*"), &[&format!("spec.rules[0].host: Invalid value: \"a.*\": {wildcard}")]);
    check(&of(Kind::ClusterRoleBinding, bound).replace("{name: a}", "{name: 'system:a'}"), &[]);
    check(
        &of(Kind::ClusterRoleBinding, &format!("{bound}, subjects: [{{kind: ServiceAccount, name: s}}]")),
        &["subjects[0].namespace: Required value"],
    );
    check(
        &of(Kind::Role, bound).replace("{name: a}", "{name: 'a%b'}"),
        &["metadata.name: Invalid value: \"a%b\": may not contain '%'"],
    );
    let webhook = "{name: a.b, clientConfig: {url: 'https://a'}, sideEffects: None, admissionReviewVersions: [v1]}";
    check(
        &of(Kind::ValidatingWebhookConfiguration, &format!("webhooks: [{webhook}]")),
        &[
            "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots",
        ],
    );
    check(
        &of(Kind::PriorityClass, "value: 1000000001"),
        &["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
    );
    let except = "spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}";
    check(
        &of(Kind::NetworkPolicy, except),
        &[
            "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
        ],
    );
    let big = "x".repeat(1024 * 1024);
    check(&of(Kind::ConfigMap, &format!("data: {{a: {big}}}")), &[]);
    check(&of(Kind::ConfigMap, &format!("data: {{a: {big}y}}")), &["[]: Too long: may not be more than 1048576 bytes"]);
    check(&of(Kind::Secret, &format!("stringData: {{a: {big}}}")), &[]);
    check(
        &of(Kind::Secret, &format!("stringData: {{a: {big}yy}}")),
        &["data: Too long: may not be more than 1048576 bytes"],
    );
    let quota = |hard: &str| of(Kind::ResourceQuota, &format!("spec: {{hard: {{{hard}}}}}"));
    check(
        &quota(
            "count/jobs.batch: 1, requests.cpu: 500m, services.nodeports: 0, gold.storageclass.storage.k8s.io/requests.storage: 1Gi",
        ),
        &[],
    );
    check(
        &quota("pods: 1Gb"),
        &["spec.hard[pods]: Invalid value: \"1Gb\": quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"],
    );
    check(
        &of(
            Kind::HorizontalPodAutoscaler,
            "spec: {scaleTargetRef: {apiVersion: v1, kind: ReplicationController, name: r}, maxReplicas: 1}",
        ),
        &[],
    );
}

#[test]
fn refusals_of_autoscalers_and_of_admission() {
    let of = |kind: Kind, spec: &str| {
        format!("{{apiVersion: {}, kind: {}, metadata: {{name: a}}, spec: {spec}}}", kind.api_version(), kind.name())
    };
    let scaled = |rest: &str| {
        let target = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}";
        of(Kind::HorizontalPodAutoscaler, &format!("{{{target}, maxReplicas: 2, {rest}}}"))
    };
    let metric = |metric: &str| scaled(&format!("metrics: [{metric}]"));
    let both = "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 0, averageValue: '0'}}}";
    let rules = "{stabilizationWindowSeconds: 4000, selectPolicy: Some, policies: [{type: Pods, value: 0, periodSeconds: 2000}]}";
    let schema = |rest: &str| of(Kind::FlowSchema, &format!("{{priorityLevelConfiguration: {{name: l}}, {rest}}}"));
    let subject = "{kind: User, group: {name: g}}";
    let rule = "{verbs: [get, '*'], apiGroups: [], resources: [pods], namespaces: [X]}";
    let namespace = names::dns_label("X").remove(0);
    let level = |spec: &str| of(Kind::PriorityLevelConfiguration, spec);
    let policy = |spec: &str| of(Kind::ValidatingAdmissionPolicy, spec);
    let binding = |spec: &str| of(Kind::ValidatingAdmissionPolicyBinding, spec);
    let constraints = "matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}";
    let rows: Vec<(String, Vec<String>)> = vec![
        (metric("{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}"), vec![]),
        (
            metric("{type: Some}"),
            vec!["spec.metrics[0].type: Unsupported value: \"Some\": supported values: \"ContainerResource\", \
                  \"External\", \"Object\", \"Pods\", \"Resource\"".to_owned()],
        ),
        (
            metric("{type: Resource, pods: {metric: {name: m}, target: {type: AverageValue, averageValue: '1'}}}"),
            vec![
                "spec.metrics[0].pods: Forbidden: must populate the given metric source only".to_owned(),
                "spec.metrics[0].resource: Required value: must populate information for the given metric source".to_owned(),
            ],
        ),
        (
            metric(both),
            vec![
                "spec.metrics[0].resource.target.averageValue: Invalid value: \"0\": must be positive".to_owned(),
                "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0".to_owned(),
                "spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target \
                 utilization".to_owned(),
            ],
        ),
        (
            metric("{type: External, external: {metric: {name: ''}, target: {type: Value}}}"),
            vec![
                "spec.metrics[0].external.metric.name: Required value: must specify a metric name".to_owned(),
                "spec.metrics[0].external.target.averageValue: Required value: must set either a target value for metric or a \
                 per-pod target".to_owned(),
            ],
        ),
        (
            scaled(&format!("behavior: {{scaleDown: {rules}}}")),
            vec![
                "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600"
                    .to_owned(),
                "spec.behavior.scaleDown.selectPolicy: Unsupported value: \"Some\": supported values: \"Disabled\", \"Max\", \
                 \"Min\"".to_owned(),
                "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero".to_owned(),
                "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 2000: must be less than or equal to 1800"
                    .to_owned(),
            ],
        ),
        (schema("rules: []"), vec![]),
        (
            of(Kind::FlowSchema, "{matchingPrecedence: 1}"),
            vec![
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1".to_owned(),
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level".to_owned(),
            ],
        ),
        (
            schema(&format!("rules: [{{subjects: [{subject}], resourceRules: [{rule}]}}]")),
            vec![
                "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'".to_owned(),
                "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'".to_owned(),
                "spec.rules[0].resourceRules[0].verbs: Invalid value: [\"get\",\"*\"]: if '*' is present, must not specify other \
                 verbs".to_owned(),
                "spec.rules[0].resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group"
                    .to_owned(),
                format!(
                    "spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: \"X\": each member of this list must be '*' or \
                     a DNS-1123 label; {namespace}"
                ),
            ],
        ),
        (
            schema("rules: [{}]"),
            vec![
                "spec.rules[0].subjects: Required value: subjects must contain at least one value".to_owned(),
                "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty".to_owned(),
            ],
        ),
        (level("{type: Limited, limited: {limitResponse: {type: Queue, queuing: {}}}}"), vec![]),
        (
            level("{type: Exempt}"),
            vec!["spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'".to_owned()],
        ),
        (level("{type: Limited}"), vec!["spec.limited: Required value: must not be empty when type is Limited".to_owned()]),
        (
            level("{type: Limited, limited: {lendablePercent: 101, limitResponse: {type: Queue, queuing: {queues: 4}}}}"),
            vec![
                "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive".to_owned(),
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: should not be greater than queues (4)".to_owned(),
            ],
        ),
        (policy(&format!("{{{constraints}, validations: [{{expression: 'true'}}]}}")), vec![]),
        (
            policy("{failurePolicy: Some, validations: [{expression: ' ', reason: No}]}"),
            vec![
                "spec.failurePolicy: Unsupported value: \"Some\": supported values: \"Fail\", \"Ignore\"".to_owned(),
                "spec.matchConstraints: Required value".to_owned(),
                "spec.validations[0].expression: Required value: expression is not specified".to_owned(),
                "spec.validations[0].reason: Unsupported value: \"No\": supported values: \"Forbidden\", \"Invalid\", \
                 \"RequestEntityTooLarge\", \"Unauthorized\"".to_owned(),
            ],
        ),
        (
            policy(&format!("{{{constraints}}}")),
            ["validations", "auditAnnotations"]
                .map(|name| {
                    format!("spec.{name}: Required value: validations or auditAnnotations must contain at least one item")
                })
                .to_vec(),
        ),
        (binding("{policyName: p, validationActions: [Deny]}"), vec![]),
        (
            binding("{validationActions: [Deny, Warn, Deny]}"),
            vec![
                "spec.policyName: Required value".to_owned(),
                "spec.validationActions[2]: Duplicate value: \"Deny\"".to_owned(),
                "spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Deny\"]: must not contain both Deny and Warn (repeating \
                 the same validation failure information in the API response and headers serves no purpose)".to_owned(),
            ],
        ),
    ];
    for (manifest, expected) in rows {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&manifest, &expected);
    }
}

#[track_caller]
fn check(manifest: &str, expected: &[&str]) {
    let object = object(serde_yaml::from_str(manifest).unwrap()).unwrap();
    let errors: Vec<String> = validate(&object).iter().map(FieldError::to_string).collect();
    assert_eq!(errors, expected, "{manifest}");
}

#[track_caller]
fn check_update(old: &str, new: &str, expected: &[&str]) {
    let old = object(serde_yaml::from_str(old).unwrap()).unwrap();
    let new = object(serde_yaml::from_str(new).unwrap()).unwrap();
    let fields: Vec<String> = validate_update(&old, &new).iter().map(FieldError::to_string).collect();
    assert_eq!(fields, expected);
}

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: ";

#[test]
fn services() {
    for (spec, expected) in [
        ("{clusterIP: None}", vec![]),
        ("{clusterIP: None, ports: [{port: 80, targetPort: web}]}", vec![]),
        ("{type: ExternalName, externalName: www.example.com.}", vec![]),
        ("{type: NodePort, ports: [{port: 80, nodePort: 30000}]}", vec![]),
        (
            "{type: NodePort, clusterIP: None, ports: [{port: 80}]}",
            vec!["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        (
            "{ports: [{port: 80, nodePort: 30000}]}",
            vec!["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            "{clusterIP: 10.0.0.1, ipFamilies: [IPv6], ports: [{port: 80}]}",
            vec![
                "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by \
                 `ipFamilies[0]`",
            ],
        ),
        (
            "{clusterIPs: [10.0.0.1], ports: [{port: 80}]}",
            vec!["spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when `clusterIP` is not specified"],
        ),
        (
            "{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 10.0.0.2], ipFamilyPolicy: RequireDualStack, ports: \
             [{port: 80}]}",
            vec![
                "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP for \
                 each IP family",
            ],
        ),
        (
            "{ipFamilies: [IPv4, IPv6], ports: [{port: 80}]}",
            vec![
                "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' \
                 when multiple IP families are specified",
            ],
        ),
        (
            "{clusterIP: None, ports: [{name: a, port: 80}, {name: b, port: 80}]}",
            vec!["spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}"],
        ),
    ] {
        check(&format!("{SERVICE}{spec}}}"), &expected);
    }
    let plain = |address: &str| format!("{SERVICE}{{clusterIP: {address}, ports: [{{port: 80}}]}}}}");
    check_update(&plain("10.0.0.1"), &plain("10.0.0.1"), &[]);
    let changed = "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set";
    check_update(&plain("10.0.0.1"), &plain("10.0.0.2"), &[changed]);
    check_update(&plain("10.0.0.1"), &plain("''"), &[]);
}

#[test]
fn pods_claims_and_volumes() {
    let pod = |spec: &str| format!("{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {spec}}}");
    check(&pod("{hostname: a, subdomain: b, containers: [{name: a, image: b}]}"), &[]);
    let label = names::dns_label("A").remove(0);
    check(
        &pod("{hostname: a.b, subdomain: A, containers: [{name: a, image: b}]}"),
        &[
            "spec.hostname: Invalid value: \"a.b\": must not contain dots",
            &format!("spec.subdomain: Invalid value: \"A\": {label}"),
        ],
    );
    check(
        &pod("{containers: [{name: a, readinessProbe: {}}]}"),
        &["spec.containers[0].readinessProbe: Required value: must specify a handler type"],
    );
    let probe = pod("{containers: [{name: a, image: b, livenessProbe: {tcpSocket: {port: 0}}}]}");
    check(
        &probe,
        &["spec.containers[0].livenessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive"],
    );
    let image = |image: &str| pod(&format!("{{containers: [{{name: a, image: '{image}'}}]}}"));
    check_update(&image("a:1"), &image("b:2"), &[]);
    let renamed = pod("{hostname: x, containers: [{name: a, image: 'a:1'}]}");
    check_update(&image("a:1"), &renamed, &[&format!("spec: Forbidden: {}", pod::UPDATABLE)]);

    let claim =
        |spec: &str| format!("{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: a}}, spec: {spec}}}");
    let sized =
        |size: &str| claim(&format!("{{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: {size}}}}}}}"));
    check(&sized("0"), &["spec.resources[storage]: Invalid value: \"0\": must be greater than zero"]);
    check_update(&sized("1Gi"), &sized("1024Mi"), &[]);
    check_update(
        &sized("1Gi"),
        &sized("2Gi"),
        &["spec: Forbidden: spec is immutable after creation except resources.requests and \
            volumeAttributesClassName for bound \
             claims"],
    );
    let modes = claim("{accessModes: [ReadWriteOncePod, ReadWriteOnce], resources: {requests: {storage: 1}}}");
    check(&modes, &["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"]);

    let volume = |source: &str| {
        format!(
            "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: a}}, \
             spec: {{capacity: {{storage: 1}}, accessModes: [ReadWriteOnce], {source}}}}}"
        )
    };
    let two = volume("hostPath: {path: /x}, nfs: {server: a, path: /b}");
    check(&two, &["spec.nfs: Forbidden: may not specify more than 1 volume type"]);
    check_update(
        &volume("hostPath: {path: /x}"),
        &volume("hostPath: {path: /y}"),
        &["spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"],
    );
}

#[test]
fn sets_and_slices() {
    let set = |more: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: StatefulSet, metadata: {{name: a}}, spec: {{selector: {{matchLabels: {{a: \
            b}}}}, \
             template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: a, image: b}}]}}}}, {more}}}}}"
        )
    };
    check(&set("replicas: 100000"), &[]);
    check(
        &set("replicas: 2147483647"),
        &["spec.replicas: Invalid value: 2147483647: must be less than or equal to 100000, the most that this \
            server simulates \
           for one set"],
    );
    let claim = "{metadata: {name: w}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1}}}}";
    let duplicate = "spec.volumeClaimTemplates[1].metadata.name: Duplicate value: \"w\"";
    check(&set(&format!("volumeClaimTemplates: [{claim}, {claim}]")), &[duplicate]);
    check(
        &set("updateStrategy: {type: Recreate}"),
        &["spec.updateStrategy: Invalid value: {\"Type\":\"Recreate\",\"RollingUpdate\":null}: \
           must be 'RollingUpdate' or 'OnDelete'"],
    );
    check_update(&set("replicas: 1"), &set("replicas: 3, minReadySeconds: 5, revisionHistoryLimit: 2"), &[]);
    for mutable in [
        "ordinals: {start: 2}",
        "updateStrategy: {type: OnDelete}",
        "persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}",
    ] {
        check_update(&set("replicas: 1"), &set(mutable), &[]);
    }
    check_update(&set("replicas: 1"), &set("replicas: 1").replace("image: b", "image: c"), &[]);
    check(
        &set("replicas: 1").replace("spec: {containers", "spec: {activeDeadlineSeconds: 5, containers"),
        &["spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not Supported"],
    );
    check(
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4, \
         endpoints: [{addresses: [127.0.0.1]}, {addresses: []}], ports: [{port: 80}, {port: 81}]}",
        &[
            "endpoints[0].addresses[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range \
             (127.0.0.0/8, ::1/128)",
            "endpoints[1].addresses: Required value: must contain at least 1 address",
            "ports[1].name: Duplicate value: \"\"",
        ],
    );
    let name = "a".repeat(300);
    let messages = [
        format!("metadata.name: Invalid value: \"{name}\": must be no more than 253 characters"),
        "endpoints[0].hostname: Invalid value: \"a.b\": must not contain dots".to_owned(),
    ];
    check(
        &format!(
            "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {name}}}, addressType: IPv6, \
             endpoints: [{{addresses: ['fd00::1'], hostname: a.b}}]}}"
        ),
        &messages.each_ref().map(String::as_str),
    );
}
