//! Upstream's validation (v1.36): field paths, sentences and order of `pkg/apis/*/validation`.
//!
//! What is checked: everything that this program acts on (names, labels, addresses, ports, hostnames, selectors,
//! claims, volumes, update strategies), and of a pod's specification what decides whether the pod could exist. What
//! only a kubelet or a scheduler would act on (affinity, security contexts, sidecar rules) passes as it is.

mod cronjob;
mod daemonset;
mod definition;
mod deployment;
mod endpoints;
mod job;
pub mod metadata;
pub mod names;
mod pod;
mod poddisruptionbudget;
mod replicaset;
mod resources;
mod service;
mod slice;
mod statefulset;
mod stored;
mod volume;

use super::{FieldError, Kind, Object, quantity};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;
pub use service::service_addresses;

/// Largest number of replicas of one set here, a limit of this program that upstream does not have: it bounds what
/// one manifest or one request can make the simulation hold.
pub const MAX_REPLICAS: i32 = 100_000;

/// Most errors that are told of one object; the others are counted.
pub const MAX_ERRORS: usize = 100;
/// Longest text of a value that an error repeats, in octets.
const MAX_VALUE: usize = 1024;

/// Errors in the order in which they are found, bounded in number and size.
#[derive(Debug, Default)]
pub(crate) struct FieldErrors {
    kept: Vec<FieldError>,
    found: usize,
}

impl FieldErrors {
    /// How many there are, told or not.
    pub fn count(&self) -> usize {
        self.found
    }
    /// How many were found beyond those that are told.
    fn untold(&self) -> usize {
        self.found - self.kept.len()
    }

    /// The errors, and at the end how many more there are.
    fn finish(mut self) -> Vec<FieldError> {
        let more = self.untold();
        if more > 0 {
            let message = format!("only the first {MAX_ERRORS} are told");
            self.kept.push(FieldError { field: format!("and {more} more errors"), message });
        }
        self.kept
    }
    fn push(&mut self, field: impl Into<String>, message: String) {
        self.found += 1;
        if self.kept.len() < MAX_ERRORS {
            self.kept.push(FieldError { field: shortened(field.into()), message });
        }
    }
    /// `Required value[: detail]`.
    pub fn required(&mut self, field: impl Into<String>, detail: &str) {
        self.push(field, with_detail("Required value", detail));
    }
    /// `Forbidden: detail`.
    pub fn forbidden(&mut self, field: impl Into<String>, detail: &str) {
        self.push(field, with_detail("Forbidden", detail));
    }
    /// `Invalid value: VALUE: detail`.
    pub fn invalid(&mut self, field: impl Into<String>, value: impl Into<Value>, detail: &str) {
        self.push(field, with_detail(&format!("Invalid value: {}", shown(value)), detail));
    }
    /// One [`FieldErrors::invalid`] for each message.
    pub fn each(&mut self, field: &str, value: &str, messages: Vec<String>) {
        for message in messages {
            self.invalid(field, value, &message);
        }
    }
    /// `Duplicate value: VALUE`.
    pub fn duplicate(&mut self, field: impl Into<String>, value: impl Into<Value>) {
        self.push(field, format!("Duplicate value: {}", shown(value)));
    }
    /// `Not found: VALUE`.
    pub fn not_found(&mut self, field: impl Into<String>, value: &str) {
        self.push(field, format!("Not found: {}", shown(value)));
    }
    /// `Unsupported value: VALUE: supported values: "a", "b"`.
    pub fn unsupported(&mut self, field: impl Into<String>, value: impl Into<Value>, supported: &[&str]) {
        let listed: Vec<String> = supported.iter().map(|value| format!("\"{value}\"")).collect();
        self.push(field, format!("Unsupported value: {}: supported values: {}", shown(value), listed.join(", ")));
    }
    /// `Too many: N: must have at most LIMIT items`.
    pub fn too_many(&mut self, field: impl Into<String>, count: usize, limit: usize) {
        self.push(field, format!("Too many: {count}: must have at most {limit} items"));
    }
    /// `Too long: may not be more than LIMIT bytes`.
    pub fn too_long(&mut self, field: impl Into<String>, limit: usize) {
        self.push(field, format!("Too long: may not be more than {limit} bytes"));
    }
    /// A number that must not be negative.
    pub fn nonnegative(&mut self, field: impl Into<String>, value: i64) {
        if value < 0 {
            self.invalid(field, value, "must be greater than or equal to 0");
        }
    }
    /// A port number, 1–65535.
    pub fn port(&mut self, field: impl Into<String>, value: i32) {
        if !(1..=65535).contains(&value) {
            self.invalid(field, value, "must be between 1 and 65535, inclusive");
        }
    }
    /// One of a few words; `required` when it is empty.
    pub fn word(&mut self, field: impl Into<String>, value: &str, supported: &[&str]) {
        match value {
            "" => self.required(field, ""),
            value if !supported.contains(&value) => self.unsupported(field, value, supported),
            _ => {}
        }
    }
}

/// A value as errors repeat it.
fn shown(value: impl Into<Value>) -> String {
    shortened(value.into().to_string())
}

/// A text that nobody would read to its end is cut, with its length.
fn shortened(mut text: String) -> String {
    let octets = text.len();
    if octets > MAX_VALUE {
        text.truncate(text.floor_char_boundary(MAX_VALUE));
        text.push_str(&format!("… ({octets} octets)"));
    }
    text
}

fn with_detail(kind: &str, detail: &str) -> String {
    if detail.is_empty() { kind.to_owned() } else { format!("{kind}: {detail}") }
}

/// The text of an optional field; absent and empty are the same to upstream.
pub(crate) fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

/// An IP address as upstream reads it: IPv4 without leading zeros, IPv6, no zone. `None` leaves an error.
pub(crate) fn ip(errors: &mut FieldErrors, field: &str, address: &str) -> Option<std::net::IpAddr> {
    let parsed = address.parse().ok();
    if parsed.is_none() {
        errors.invalid(field, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }
    parsed
}

/// Addresses that no endpoint can have.
pub(crate) fn ordinary_ip(errors: &mut FieldErrors, field: &str, address: std::net::IpAddr) {
    let text = address.to_string();
    let (link_local, multicast) = match address {
        std::net::IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        std::net::IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if address.is_unspecified() {
        errors.invalid(field, text.clone(), &format!("may not be unspecified ({text})"));
    }
    if address.is_loopback() {
        errors.invalid(field, text.clone(), "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    if link_local {
        errors.invalid(field, text.clone(), "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if multicast {
        errors.invalid(field, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

/// A number that is not negative, or a percentage; gives the number, 0 for what is neither.
fn count_or_percent(errors: &mut FieldErrors, field: &str, value: &IntOrString) -> i64 {
    match value {
        IntOrString::Int(count) => {
            errors.nonnegative(field, (*count).into());
            (*count).into()
        }
        IntOrString::String(percent) => {
            let digits = percent.strip_suffix('%').unwrap_or_default();
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                let rule = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                            '93%', regex used for validation is '[0-9]+%')";
                errors.invalid(field, percent.as_str(), rule);
                return 0;
            }
            // Digits only, so what does not fit is too much.
            digits.parse().unwrap_or(i64::MAX)
        }
    }
}

/// A number or percentage as upstream prints it.
fn printed_count(value: &IntOrString) -> Value {
    match value {
        IntOrString::Int(number) => Value::from(*number),
        IntOrString::String(text) => Value::from(text.as_str()),
    }
}

/// Quantities that cannot be read. Upstream refuses these while decoding (a BadRequest), before it validates.
pub fn malformed_quantities(object: &Object) -> Vec<FieldError> {
    let mut errors = FieldErrors::default();
    super::defaults::for_each_quantity(&mut object.clone(), &mut |field, precision, text| {
        if let Err(error) = quantity::canonical(&text.0, precision) {
            errors.invalid(field, text.0.as_str(), error);
        }
    });
    errors.finish()
}

/// What upstream's validation says to a new, defaulted object: every error, in upstream's order. Quantities that
/// cannot be read come alone, since upstream never gets as far as validating such an object.
pub fn validate(object: &Object) -> Vec<FieldError> {
    match errors_of(object) {
        Ok(errors) => errors.finish(),
        Err(malformed) => malformed,
    }
}

/// As [`validate`], with the number of errors beyond the first [`MAX_ERRORS`] beside them instead of in a last one.
pub fn validate_counted(object: &Object) -> (Vec<FieldError>, usize) {
    match errors_of(object) {
        Ok(errors) => {
            let untold = errors.untold();
            (errors.kept, untold)
        }
        Err(malformed) => (malformed, 0),
    }
}

/// The errors, or those of quantities that cannot be read, beside which nothing else is said.
fn errors_of(object: &Object) -> Result<FieldErrors, Vec<FieldError>> {
    let malformed = malformed_quantities(object);
    if !malformed.is_empty() {
        return Err(malformed);
    }
    let mut errors = FieldErrors::default();
    metadata::validate(&mut errors, object);
    validate_body(&mut errors, object);
    Ok(errors)
}

fn validate_body(errors: &mut FieldErrors, object: &Object) {
    match object {
        Object::Service(service) => service::validate(errors, service),
        Object::Pod(pod) => pod::validate(errors, pod),
        Object::PersistentVolume(volume) => volume::validate_volume(errors, volume),
        Object::PersistentVolumeClaim(claim) => volume::validate_claim(errors, claim),
        Object::StatefulSet(set) => statefulset::validate(errors, set),
        Object::DaemonSet(set) => daemonset::validate(errors, set),
        Object::PodDisruptionBudget(budget) => poddisruptionbudget::validate(errors, budget),
        Object::Deployment(deployment) => deployment::validate(errors, deployment),
        Object::ReplicaSet(set) => replicaset::validate(errors, set),
        Object::ReplicationController(controller) => replicaset::validate_controller(errors, controller),
        Object::StorageClass(class) => volume::validate_class(errors, class),
        Object::EndpointSlice(slice) => slice::validate(errors, slice),
        Object::Endpoints(endpoints) => endpoints::validate(errors, endpoints),
        Object::Stored(stored) if stored.kind() == Kind::CustomResourceDefinition => {
            definition::validate(errors, stored)
        }
        Object::Stored(object) => stored::validate(errors, object),
        Object::Job(job) => job::validate(errors, job),
        Object::CronJob(cron_job) => cronjob::validate(errors, cron_job),
        _ => {}
    }
}

/// Upstream's errors about a StatefulSet's `maxUnavailable`, for where its feature gate is on.
pub fn validate_max_unavailable(max_unavailable: &IntOrString) -> Vec<FieldError> {
    let mut errors = FieldErrors::default();
    statefulset::validate_max_unavailable(&mut errors, max_unavailable);
    errors.finish()
}

/// What upstream's validation says to replacing `old` by `new` (both defaulted): immutable fields, and all of
/// [`validate`].
///
/// Fields that the API server fills in from the old object when the new one leaves them out (clusterIP, a pod's
/// nodeName, a claim's volumeName) count as unchanged when they are empty.
pub fn validate_update(old: &Object, new: &Object) -> Vec<FieldError> {
    let malformed = malformed_quantities(new);
    if !malformed.is_empty() {
        return malformed;
    }
    let mut errors = FieldErrors::default();
    metadata::validate_update(&mut errors, old, new);
    // An equal quantity in another writing is no change.
    let rewritten = super::defaults::written_as(old, new);
    match (rewritten.as_ref().unwrap_or(old), new) {
        (Object::Service(old), Object::Service(new)) => service::validate_update(&mut errors, old, new),
        (Object::Pod(old), Object::Pod(new)) => pod::validate_update(&mut errors, old, new),
        (Object::PersistentVolume(old), Object::PersistentVolume(new)) => volume::update_volume(&mut errors, old, new),
        (Object::PersistentVolumeClaim(old), Object::PersistentVolumeClaim(new)) => {
            volume::update_claim(&mut errors, old, new);
        }
        (Object::StatefulSet(old), Object::StatefulSet(new)) => statefulset::validate_update(&mut errors, old, new),
        (Object::DaemonSet(old), Object::DaemonSet(new)) => daemonset::validate_update(&mut errors, old, new),
        (Object::Deployment(old), Object::Deployment(new)) => deployment::validate_update(&mut errors, old, new),
        (Object::ReplicaSet(old), Object::ReplicaSet(new)) => replicaset::validate_update(&mut errors, old, new),
        (Object::StorageClass(old), Object::StorageClass(new)) => volume::update_class(&mut errors, old, new),
        (Object::EndpointSlice(old), Object::EndpointSlice(new)) => slice::validate_update(&mut errors, old, new),
        (Object::Job(old), Object::Job(new)) => job::validate_update(&mut errors, old, new),
        (Object::CronJob(old), Object::CronJob(new)) => cronjob::validate_update(&mut errors, old, new),
        (Object::ControllerRevision(old), Object::ControllerRevision(new)) => {
            if old.data != new.data {
                let data = new.data.as_ref().map(|data| data.0.clone()).unwrap_or_default();
                errors.invalid("data", data, IMMUTABLE);
            }
        }
        (Object::Stored(old), Object::Stored(new)) if new.kind() == Kind::CustomResourceDefinition => {
            definition::validate_update(&mut errors, old, new);
        }
        (Object::Stored(old), Object::Stored(new)) => stored::validate_update(&mut errors, old, new),
        (_, new) => validate_body(&mut errors, new),
    }
    errors.finish()
}

/// What upstream says to a changed immutable field.
pub(crate) const IMMUTABLE: &str = "field is immutable";

/// Whether two parts of objects mean the same: null, empty text, empty list and empty map are all nothing, as
/// upstream's `Semantic.DeepEqual` has it. Equal quantities are written alike already ([`validate_update`]).
pub(crate) fn same(a: &impl serde::Serialize, b: &impl serde::Serialize) -> bool {
    pruned(serde_json::to_value(a).unwrap_or_default()) == pruned(serde_json::to_value(b).unwrap_or_default())
}

fn pruned(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: serde_json::Map<_, _> = fields
                .into_iter()
                .map(|(key, value)| (key, pruned(value)))
                .filter(|(_, value)| !value.is_null())
                .collect();
            if fields.is_empty() { Value::Null } else { Value::Object(fields) }
        }
        Value::Array(items) if !items.is_empty() => Value::Array(items.into_iter().map(pruned).collect()),
        Value::Array(_) => Value::Null,
        Value::String(text) if text.is_empty() => Value::Null,
        other => other,
    }
}

#[cfg(test)]
mod tests;
