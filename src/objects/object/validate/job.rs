//! Jobs (upstream's `ValidateJob`, `ValidateJobUpdate`).

use super::{FieldErrors, IMMUTABLE, MAX_REPLICAS, metadata, names, pod, same, text};
use crate::objects::object::{
    job::{
        self, CONTROLLER_UID_LABEL, IndexIntervals, JOB_NAME_LABEL, LEGACY_CONTROLLER_UID_LABEL, LEGACY_JOB_NAME_LABEL,
    },
    selector::{self, Labels},
};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule, SuccessPolicyRule},
        core::v1::PodSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Rules of a policy, and conditions of a rule.
const RULES_MAX: usize = 20;
/// Exit codes of a rule.
const EXIT_CODES_MAX: usize = 255;
/// Octets of a list of indexes.
const INDEXES_OCTETS_MAX: usize = 64 * 1024;
/// From so many completions on, a limit for each index needs smaller numbers elsewhere.
const MANY_COMPLETIONS: i32 = 100_000;
/// Parallelism and failed indexes beside so many completions.
const BESIDE_MANY_COMPLETIONS_MAX: i32 = 10_000;
/// Stands for the uid that a Job gets when it is stored.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// A new Job. Its selector is generated when it is stored and has its uid; it is looked at as it would be then.
pub(super) fn validate(errors: &mut FieldErrors, job: &Job) {
    let mut job = job.clone();
    job.metadata.uid.get_or_insert_with(|| NO_UID.to_owned());
    job::generate_selector(&mut job);
    let spec = job.spec.clone().unwrap_or_default();
    let name = text(&job.metadata.name);
    if job::is_indexed(&spec)
        && let Some(completions @ 1..) = spec.completions
    {
        // The longest hostname that its pods would have.
        let hostname = format!("{name}-{}", completions - 1);
        if !names::dns_label(&hostname).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {hostname}");
            errors.invalid("metadata.name", name, &detail);
        }
    }
    generated_selector(errors, &job, &spec);
    selected_spec(errors, &spec);
}

pub(super) fn validate_update(errors: &mut FieldErrors, old: &Job, new: &Job) {
    let started = old.status.as_ref().is_some_and(|status| status.start_time.is_some());
    let (old, new) = (old.spec.clone().unwrap_or_default(), new.spec.clone().unwrap_or_default());
    selected_spec(errors, &new);
    completions_update(errors, &old, &new);
    let mut immutable = |field: &str, old: Value, new: Value| {
        if !same(&old, &new) {
            errors.invalid(field, new, IMMUTABLE);
        }
    };
    immutable("spec.selector", json!(old.selector), json!(new.selector));
    let mut template = new.template.clone();
    if old.suspend == Some(true) && !started {
        keep_scheduling(&mut template.spec, old.template.spec.as_ref());
        keep_scheduling_metadata(&mut template.metadata, old.template.metadata.as_ref());
    }
    if !same(&template, &old.template) {
        immutable("spec.template", json!(old.template), json!(new.template));
    }
    immutable("spec.completionMode", json!(old.completion_mode), json!(new.completion_mode));
    immutable("spec.podFailurePolicy", json!(old.pod_failure_policy), json!(new.pod_failure_policy));
    immutable("spec.backoffLimitPerIndex", json!(old.backoff_limit_per_index), json!(new.backoff_limit_per_index));
    immutable("spec.managedBy", json!(old.managed_by), json!(new.managed_by));
    immutable("spec.successPolicy", json!(old.success_policy), json!(new.success_policy));
}

/// Completions of an indexed Job may change together with its parallelism, those of another one never.
fn completions_update(errors: &mut FieldErrors, old: &JobSpec, new: &JobSpec) {
    if old.completions == new.completions {
        return;
    }
    match new.completions {
        Some(completions) if job::is_indexed(new) => {
            if new.parallelism != Some(completions) {
                errors.invalid("spec.completions", completions, "can only be modified in tandem with spec.parallelism");
            }
        }
        completions => errors.invalid("spec.completions", json!(completions), IMMUTABLE),
    }
}

/// What says where pods run may change while a Job is suspended that has not begun.
fn keep_scheduling(new: &mut Option<PodSpec>, old: Option<&PodSpec>) {
    if let (Some(new), Some(old)) = (new, old) {
        new.affinity.clone_from(&old.affinity);
        new.node_selector.clone_from(&old.node_selector);
        new.tolerations.clone_from(&old.tolerations);
        new.scheduling_gates.clone_from(&old.scheduling_gates);
    }
}

fn keep_scheduling_metadata(new: &mut Option<ObjectMeta>, old: Option<&ObjectMeta>) {
    let new = new.get_or_insert_default();
    new.labels = old.and_then(|old| old.labels.clone());
    new.annotations = old.and_then(|old| old.annotations.clone());
}

/// Whether selector and labels are those that are generated.
fn generated_selector(errors: &mut FieldErrors, job: &Job, spec: &JobSpec) {
    if spec.manual_selector == Some(true) {
        return;
    }
    let Some(wanted) = &spec.selector else { return };
    let (uid, name) = (text(&job.metadata.uid), text(&job.metadata.name));
    let expected = [
        (LEGACY_CONTROLLER_UID_LABEL, uid),
        (LEGACY_JOB_NAME_LABEL, name),
        (CONTROLLER_UID_LABEL, uid),
        (JOB_NAME_LABEL, name),
    ];
    let labels = template_labels(spec);
    for (label, expected) in expected {
        let field = format!("spec.template.metadata.labels[{label}]");
        match labels.get(label) {
            None => errors.required(field, &format!("must be '{expected}'")),
            Some(found) if found != expected => {
                errors.invalid(field, found.as_str(), &format!("must be '{expected}'"));
            }
            Some(_) => {}
        }
    }
    let expected: Labels = expected.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
    if !selector::matches(wanted, &expected) {
        errors.invalid("spec.selector", json!(wanted), "`selector` not auto-generated");
    }
}

fn template_labels(spec: &JobSpec) -> Labels {
    spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default()
}

/// The specification of a Job with its selector.
fn selected_spec(errors: &mut FieldErrors, spec: &JobSpec) {
    validate_spec(errors, "spec", spec);
    let labels = template_labels(spec);
    match &spec.selector {
        None => errors.required("spec.selector", ""),
        Some(selector) => metadata::selector(errors, "spec.selector", selector),
    }
    if !spec.selector.as_ref().is_some_and(|selector| selector::matches(selector, &labels)) {
        let printed = metadata::printed(&Some(labels));
        errors.invalid("spec.template.metadata.labels", printed, "`selector` does not match template `labels`");
    }
}

/// The specification of a Job, or of the Jobs of a template, without the selector.
pub(super) fn validate_spec(errors: &mut FieldErrors, field: &str, spec: &JobSpec) {
    let numbers: [(&str, Option<i64>); 7] = [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.map(i64::from)),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ];
    for (part, number) in numbers {
        errors.nonnegative(format!("{field}.{part}"), number.unwrap_or(0));
    }
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        errors.required(format!("{field}.backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    validate_managed_by(errors, field, spec);
    validate_mode(errors, field, spec);
    if let Some(policy) = &spec.pod_failure_policy {
        validate_failure_rules(errors, &format!("{field}.podFailurePolicy.rules"), spec, &policy.rules);
    }
    if let Some(policy) = &spec.success_policy {
        if job::is_indexed(spec) {
            validate_success_rules(errors, &format!("{field}.successPolicy.rules"), spec, &policy.rules);
        } else {
            errors.invalid(format!("{field}.successPolicy"), json!(policy), "requires indexed completion mode");
        }
    }
    let replaced = text(&spec.pod_replacement_policy);
    let supported: &[&str] =
        if spec.pod_failure_policy.is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if !replaced.is_empty() && !supported.contains(&replaced) {
        errors.unsupported(format!("{field}.podReplacementPolicy"), replaced, supported);
    }
    validate_template(errors, &format!("{field}.template"), spec);
}

fn validate_managed_by(errors: &mut FieldErrors, field: &str, spec: &JobSpec) {
    if let Some(manager) = &spec.managed_by {
        let field = format!("{field}.managedBy");
        if manager.split_once('/').is_none_or(|(domain, path)| domain.is_empty() || path.is_empty()) {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            errors.invalid(field.clone(), manager.as_str(), detail);
        }
        if manager.len() > 63 {
            errors.too_long(field, 63);
        }
    }
}

fn validate_mode(errors: &mut FieldErrors, field: &str, spec: &JobSpec) {
    let mode = text(&spec.completion_mode);
    if !matches!(mode, "" | "NonIndexed" | "Indexed") {
        errors.unsupported(format!("{field}.completionMode"), mode, &["NonIndexed", "Indexed"]);
    }
    // Every pod that ends stays, so that these bound what one Job makes the simulation hold.
    for (part, number) in [("parallelism", spec.parallelism), ("completions", spec.completions)] {
        if let Some(number) = number.filter(|number| *number > MAX_REPLICAS) {
            let detail = match (part, mode) {
                ("parallelism", "Indexed") => {
                    format!("must be less than or equal to {MAX_REPLICAS} when completion mode is Indexed")
                }
                _ => format!(
                    "must be less than or equal to {MAX_REPLICAS}, the most that this server simulates for one Job"
                ),
            };
            errors.invalid(format!("{field}.{part}"), number, &detail);
        }
    }
    if mode != "Indexed" {
        for (part, number) in
            [("backoffLimitPerIndex", spec.backoff_limit_per_index), ("maxFailedIndexes", spec.max_failed_indexes)]
        {
            if let Some(number) = number {
                errors.invalid(format!("{field}.{part}"), number, "requires indexed completion mode");
            }
        }
        return;
    }
    let Some(completions) = spec.completions else {
        return errors.required(format!("{field}.completions"), "when completion mode is Indexed");
    };
    let field_failed = format!("{field}.maxFailedIndexes");
    if let Some(failed) = spec.max_failed_indexes.filter(|failed| *failed > completions) {
        errors.invalid(field_failed.clone(), failed, "must be less than or equal to completions");
    }
    if let Some(failed) = spec.max_failed_indexes.filter(|failed| *failed > MANY_COMPLETIONS) {
        errors.invalid(field_failed.clone(), failed, &format!("must be less than or equal to {MANY_COMPLETIONS}"));
    }
    if completions > MANY_COMPLETIONS && spec.backoff_limit_per_index.is_some() {
        let detail = format!(
            "must be less than or equal to {BESIDE_MANY_COMPLETIONS_MAX} when completions are above \
             {MANY_COMPLETIONS} and used with backoff limit per index"
        );
        match spec.max_failed_indexes {
            None => errors
                .required(field_failed, &format!("must be specified when completions is above {MANY_COMPLETIONS}")),
            Some(failed) if failed > BESIDE_MANY_COMPLETIONS_MAX => errors.invalid(field_failed, failed, &detail),
            Some(_) => {}
        }
        if let Some(parallelism) = spec.parallelism.filter(|number| *number > BESIDE_MANY_COMPLETIONS_MAX) {
            errors.invalid(format!("{field}.parallelism"), parallelism, &detail);
        }
    }
}

fn validate_template(errors: &mut FieldErrors, field: &str, spec: &JobSpec) {
    let template = spec.template.metadata.clone().unwrap_or_default();
    metadata::labels(errors, &format!("{field}.labels"), &template.labels.unwrap_or_default());
    if let Some(annotations) = &template.annotations {
        metadata::annotations(errors, &format!("{field}.annotations"), annotations);
    }
    let pod = spec.template.spec.clone().unwrap_or_default();
    pod::validate_spec(errors, &format!("{field}.spec"), &pod, &BTreeSet::new());
    let policy = text(&pod.restart_policy);
    let field = format!("{field}.spec.restartPolicy");
    match policy {
        // Always may be upstream's default for what was left out.
        "" | "Always" => errors.required(field, "valid values: \"OnFailure\", \"Never\""),
        "Never" => {}
        "OnFailure" if spec.pod_failure_policy.is_some() => {
            errors.invalid(field, policy, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        // What is unknown was refused with the rest of the pod.
        _ => {}
    }
}

fn validate_failure_rules(errors: &mut FieldErrors, field: &str, spec: &JobSpec, rules: &[PodFailurePolicyRule]) {
    if rules.len() > RULES_MAX {
        return errors.too_many(field, rules.len(), RULES_MAX);
    }
    let pod = spec.template.spec.clone().unwrap_or_default();
    let containers = pod.containers.iter().chain(pod.init_containers.iter().flatten());
    let names: BTreeSet<&str> = containers.map(|container| container.name.as_str()).collect();
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("{field}[{index}]");
        match rule.action.as_str() {
            "" => {
                errors.required(format!("{field}.action"), r#"valid values: ["Count" "FailIndex" "FailJob" "Ignore"]"#)
            }
            "FailIndex" if spec.backoff_limit_per_index.is_none() => {
                let detail = "requires the backoffLimitPerIndex to be set";
                errors.invalid(format!("{field}.action"), "FailIndex", detail);
            }
            "Count" | "FailIndex" | "FailJob" | "Ignore" => {}
            other => {
                errors.unsupported(format!("{field}.action"), other, &["Count", "FailIndex", "FailJob", "Ignore"]);
            }
        }
        // An empty list is none, as upstream has it.
        let conditions = rule.on_pod_conditions.as_deref().filter(|conditions| !conditions.is_empty());
        match (&rule.on_exit_codes, conditions) {
            (Some(_), Some(_)) => errors.push(
                field.as_str(),
                "Invalid value: specifying both OnExitCodes and OnPodConditions is not supported".to_owned(),
            ),
            (None, None) => errors.push(
                field.as_str(),
                "Invalid value: specifying one of OnExitCodes and OnPodConditions is required".to_owned(),
            ),
            _ => {}
        }
        if let Some(codes) = &rule.on_exit_codes {
            validate_exit_codes(errors, &format!("{field}.onExitCodes"), codes, &names);
        }
        let conditions = conditions.unwrap_or_default();
        if conditions.len() > RULES_MAX {
            errors.too_many(format!("{field}.onPodConditions"), conditions.len(), RULES_MAX);
            continue;
        }
        for (index, condition) in conditions.iter().enumerate() {
            let field = format!("{field}.onPodConditions[{index}]");
            errors.each(&format!("{field}.type"), &condition.type_, names::qualified_name(&condition.type_));
            match text(&condition.status) {
                "" => errors.required(format!("{field}.status"), r#"valid values: ["False" "True" "Unknown"]"#),
                "False" | "True" | "Unknown" => {}
                other => errors.unsupported(format!("{field}.status"), other, &["False", "True", "Unknown"]),
            }
        }
    }
}

fn validate_exit_codes(
    errors: &mut FieldErrors,
    field: &str,
    codes: &PodFailurePolicyOnExitCodesRequirement,
    containers: &BTreeSet<&str>,
) {
    match codes.operator.as_str() {
        "" => errors.required(format!("{field}.operator"), r#"valid values: ["In" "NotIn"]"#),
        "In" | "NotIn" => {}
        other => errors.unsupported(format!("{field}.operator"), other, &["In", "NotIn"]),
    }
    if let Some(name) = codes.container_name.as_deref().filter(|name| !containers.contains(name)) {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.invalid(format!("{field}.containerName"), name, detail);
    }
    let field = format!("{field}.values");
    match codes.values.len() {
        0 => return errors.invalid(field, json!([]), "at least one value is required"),
        EXIT_CODES_MAX.. if codes.values.len() > EXIT_CODES_MAX => {
            return errors.too_many(field, codes.values.len(), EXIT_CODES_MAX);
        }
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for (index, code) in codes.values.iter().enumerate() {
        if codes.operator == "In" && *code == 0 {
            errors.invalid(format!("{field}[{index}]"), 0, "must not be 0 for the In operator");
        }
        if !seen.insert(code) {
            errors.duplicate(format!("{field}[{index}]"), *code);
        }
    }
    if !codes.values.is_sorted() {
        errors.invalid(field, json!(codes.values), "must be ordered");
    }
}

fn validate_success_rules(errors: &mut FieldErrors, field: &str, spec: &JobSpec, rules: &[SuccessPolicyRule]) {
    if rules.is_empty() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        return errors.required(field, detail);
    }
    if rules.len() > RULES_MAX {
        return errors.too_many(field, rules.len(), RULES_MAX);
    }
    let completions = spec.completions.unwrap_or(0);
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("{field}[{index}]");
        if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
            errors.required(field.as_str(), "at least one of succeededCount or succeededIndexes must be specified");
        }
        let mut listed = None;
        if let Some(indexes) = &rule.succeeded_indexes {
            let field = format!("{field}.succeededIndexes");
            if indexes.len() > INDEXES_OCTETS_MAX {
                errors.too_long(field.clone(), INDEXES_OCTETS_MAX);
            }
            match read_indexes(indexes, completions) {
                Ok(total) => listed = Some(total),
                Err(error) => {
                    let detail = format!("error parsing succeededIndexes: {error}");
                    errors.invalid(field, indexes.as_str(), &detail);
                }
            }
        }
        if let Some(count) = rule.succeeded_count {
            let field = format!("{field}.succeededCount");
            errors.nonnegative(field.clone(), count.into());
            if count > completions {
                let detail =
                    format!("must be less than or equal to {completions} (the number of specified completions)");
                errors.invalid(field.clone(), count, &detail);
            }
            if let Some(total) = listed.filter(|total| i64::from(count) > i64::from(*total)) {
                let detail = format!(
                    "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes \
                     field)"
                );
                errors.invalid(field, count, &detail);
            }
        }
    }
}

/// How many indexes a list names, whose intervals must be in order and below `completions`.
fn read_indexes(text: &str, completions: i32) -> Result<u32, String> {
    let mut before: Option<i64> = None;
    if text.is_empty() {
        return Ok(0);
    }
    for interval in text.split(',') {
        let number = |text: &str| {
            let parsed: Result<i64, _> = text.parse();
            parsed.map_err(|_| format!("cannot convert string to integer for index: {text:?}"))
        };
        let parts: Vec<&str> = interval.split('-').collect();
        let (first, last) = match parts[..] {
            [only] => (number(only)?, number(only)?),
            [first, last] => (number(first)?, number(last)?),
            _ => {
                return Err(format!(
                    "the fragment {interval:?} violates the requirement that an index interval can have at most two parts separated by '-'"
                ));
            }
        };
        if before.is_some_and(|before| before >= first) {
            return Err(format!("non-increasing order, previous: {}, current: {first}", before.unwrap_or(0)));
        }
        if first >= last && parts.len() == 2 {
            return Err(format!("non-increasing order, previous: {first}, current: {last}"));
        }
        for index in [first, last] {
            if index >= i64::from(completions) {
                return Err(format!("too large index: {:?}", index.to_string()));
            }
        }
        before = Some(last);
    }
    Ok(IndexIntervals::parse(text, u32::try_from(completions).unwrap_or(0)).total())
}
