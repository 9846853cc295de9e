//! Which ReplicaSet is of a template, and what one is called.

use crate::{
    objects::object::{Object, labels::POD_TEMPLATE_HASH_LABEL, validate::same, written_as},
    text::fnv1a::Fnv1a,
};
use k8s_openapi::api::{
    apps::v1::{ReplicaSet, ReplicaSetSpec},
    core::v1::PodTemplateSpec,
};
use std::hash::Hasher;

/// Upstream's alphabet for hashes (`rand.SafeEncodeString`): no vowels, no characters that look alike.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// The longest name of an object.
const NAME_OCTETS_MAX: usize = 253;

/// Whether two templates make the same pods: but for the hash label and for the writing of equal quantities (upstream's
/// `EqualIgnoreHash`).
pub fn equal_ignoring_hash(one: &PodTemplateSpec, other: &PodTemplateSpec) -> bool {
    let (one, other) = (without_hash(one), without_hash(other));
    if one == other {
        return true;
    }
    let [one, other] = [one, other].map(|template| {
        let spec = ReplicaSetSpec { template: Some(template), ..ReplicaSetSpec::default() };
        Object::from(ReplicaSet { spec: Some(spec), ..ReplicaSet::default() })
    });
    let rewritten = written_as(&one, &other).unwrap_or(one);
    same(&rewritten.pod_template(), &other.pod_template())
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(metadata) = &mut template.metadata {
        if let Some(labels) = &mut metadata.labels {
            labels.remove(POD_TEMPLATE_HASH_LABEL);
        }
        // A template has no time of creation.
        metadata.creation_timestamp = None;
    }
    template
}

/// The hash of a template in upstream's form: a number of 32 bits, its digits written in an alphabet without vowels.
/// Upstream hashes what Go prints of its structures, which nobody else can; so that the same template has another
/// hash here, though always the same.
pub fn hash(template: &PodTemplateSpec, collision_count: Option<i32>) -> String {
    let mut hasher = Fnv1a::default();
    hasher.write(&serde_json::to_vec(template).unwrap_or_default());
    if let Some(count) = collision_count {
        hasher.write(&count.to_le_bytes());
    }
    let wide = hasher.finish();
    // Folded as FNV's authors recommend for hashes of fewer bits.
    let folded = ((wide >> 32) ^ wide) & u64::from(u32::MAX);
    let letter = |digit: u8| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]);
    folded.to_string().bytes().map(letter).collect()
}

/// The name of the ReplicaSet of a hash; a long name of a Deployment is cut off.
pub fn replica_set_name(deployment: &str, hash: &str) -> String {
    let room = NAME_OCTETS_MAX.saturating_sub(hash.len() + 1);
    let kept = &deployment[..deployment.floor_char_boundary(room)];
    format!("{kept}-{hash}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn template(json: Value) -> PodTemplateSpec {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn templates_that_make_the_same_pods() {
        let memory = |memory: &str| {
            let resources = json!({"requests": {"memory": memory}});
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "resources": resources}]}})
        };
        let hashed = |hash: &str| json!({"metadata": {"labels": {"a": "b", POD_TEMPLATE_HASH_LABEL: hash}}});
        for (one, other, expected) in [
            (hashed("x"), hashed("y"), true),
            (hashed("x"), json!({"metadata": {"labels": {"a": "b"}}}), true),
            (hashed("x"), json!({"metadata": {"labels": {"a": "c"}}}), false),
            (memory("1Gi"), memory("1073741824"), true),
            (memory("1Gi"), memory("1G"), false),
            (json!({"metadata": {"annotations": {}}}), json!({}), true),
            (json!({"spec": {"containers": []}}), json!({"spec": {"containers": [], "volumes": []}}), true),
        ] {
            assert_eq!(
                equal_ignoring_hash(&template(one.clone()), &template(other.clone())),
                expected,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn hashes_are_stable_and_can_stand_in_names() {
        let template = template(json!({"spec": {"containers": [{"name": "a", "image": "nginx:1"}]}}));
        let all: Vec<String> = [None, Some(0), Some(1)].iter().map(|count| hash(&template, *count)).collect();
        assert_eq!(all, ["66cbc86487", "78f54878dd", "675ff4bdc6"]);
        assert_eq!(replica_set_name("web", "x"), "web-x");
        assert_eq!(replica_set_name(&"a".repeat(253), "xyz").len(), 253);
    }
}
