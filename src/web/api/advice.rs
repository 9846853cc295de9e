//! What is said beside the result of a write: fields that upstream takes and that mean nothing there.

use crate::objects::object::{
    Kind, Object,
    service::{is_alias, is_headless},
};

/// What a definition does not do here.
const CUSTOM: &str = "resources of this definition are kept as they are written: nothing is pruned, defaulted, validated \
                      or converted by its schema, which serves kubectl explain only";

/// Upstream's warnings about an object (`pkg/api/service/warnings.go`), and ours about what has no effect here.
pub fn advice(object: &Object) -> Vec<String> {
    let kind = object.kind();
    if let Some(why) = kind.description().without_effect {
        return vec![format!("this {} is stored and has no effect: {why}", kind.name())];
    }
    if kind == Kind::CustomResourceDefinition {
        return vec![CUSTOM.to_owned()];
    }
    let Object::Service(service) = object else { return Vec::new() };
    let Some(spec) = &service.spec else { return Vec::new() };
    let is_given = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let mut said = Vec::new();
    if !is_alias(spec) && spec.external_name.as_deref().is_some_and(|name| !name.is_empty()) {
        said.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if is_headless(spec) {
        let ignored = [
            ("loadBalancerIP", spec.load_balancer_ip.as_deref().is_some_and(|address| !address.is_empty())),
            ("externalIPs", is_given(&spec.external_ips)),
            ("SessionAffinity", spec.session_affinity.as_deref() == Some("ClientIP")),
        ];
        let named = ignored.into_iter().filter(|(_, is_set)| *is_set);
        said.extend(named.map(|(field, _)| format!("spec.{field} is ignored for headless services")));
    }
    if spec.traffic_distribution.as_deref() == Some("PreferClose") {
        said.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned());
    }
    said
}
