//! NetworkPolicies, Ingresses and their classes (upstream's `pkg/apis/networking/validation`).

use super::super::{FieldErrors, IMMUTABLE, metadata, names, text};
use k8s_openapi::{
    api::networking::v1::{
        HTTPIngressPath, IPBlock, Ingress, IngressBackend, IngressClass, NetworkPolicy, NetworkPolicyPeer,
        NetworkPolicyPort,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::{Map, Value};

pub(super) fn validate_policy(errors: &mut FieldErrors, policy: &NetworkPolicy) {
    let Some(spec) = &policy.spec else { return };
    if let Some(selector) = &spec.pod_selector {
        metadata::selector(errors, "spec.podSelector", selector);
    }
    for (index, rule) in spec.ingress.iter().flatten().enumerate() {
        let field = format!("spec.ingress[{index}]");
        validate_ports(errors, &field, rule.ports.as_deref());
        validate_peers(errors, &format!("{field}.from"), rule.from.as_deref());
    }
    for (index, rule) in spec.egress.iter().flatten().enumerate() {
        let field = format!("spec.egress[{index}]");
        validate_ports(errors, &field, rule.ports.as_deref());
        validate_peers(errors, &format!("{field}.to"), rule.to.as_deref());
    }
    for (index, direction) in spec.policy_types.iter().flatten().enumerate() {
        if !matches!(direction.as_str(), "Ingress" | "Egress") {
            errors.unsupported(format!("spec.policyTypes[{index}]"), direction.as_str(), &["Ingress", "Egress"]);
        }
    }
}

fn validate_ports(errors: &mut FieldErrors, field: &str, ports: Option<&[NetworkPolicyPort]>) {
    for (index, port) in ports.unwrap_or_default().iter().enumerate() {
        let field = format!("{field}.ports[{index}]");
        errors.word(format!("{field}.protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
        let end = format!("{field}.endPort");
        match (&port.port, port.end_port) {
            (Some(IntOrString::Int(number)), last) => {
                errors.port(format!("{field}.port"), *number);
                match last {
                    // Upstream repeats the first port here.
                    Some(last) if last < *number => {
                        errors.invalid(end, *number, "must be greater than or equal to `port`");
                    }
                    Some(last) => errors.port(end, last),
                    None => {}
                }
            }
            (Some(IntOrString::String(name)), last) => {
                if let Some(last) = last {
                    errors.invalid(end, last, "may not be specified when `port` is non-numeric");
                }
                errors.each(&format!("{field}.port"), name, names::port_name(name));
            }
            (None, Some(last)) => errors.invalid(end, last, "may not be specified when `port` is not specified"),
            (None, None) => {}
        }
    }
}

fn validate_peers(errors: &mut FieldErrors, field: &str, peers: Option<&[NetworkPolicyPeer]>) {
    for (index, peer) in peers.unwrap_or_default().iter().enumerate() {
        let field = format!("{field}[{index}]");
        let mut count = 0;
        for (name, selector) in [("podSelector", &peer.pod_selector), ("namespaceSelector", &peer.namespace_selector)] {
            if let Some(selector) = selector {
                count += 1;
                metadata::selector(errors, &format!("{field}.{name}"), selector);
            }
        }
        match &peer.ip_block {
            Some(block) => {
                validate_block(errors, &format!("{field}.ipBlock"), block);
                if count > 0 {
                    errors.forbidden(field, "may not specify both ipBlock and another peer");
                }
            }
            None if count == 0 => errors.required(field, "must specify a peer"),
            None => {}
        }
    }
}

fn validate_block(errors: &mut FieldErrors, field: &str, block: &IPBlock) {
    if block.cidr.is_empty() {
        return errors.required(format!("{field}.cidr"), "");
    }
    errors.each(&format!("{field}.cidr"), &block.cidr, names::cidr(&block.cidr));
    let Some(outer) = names::parse_cidr(&block.cidr) else { return };
    for (index, except) in block.except.iter().flatten().enumerate() {
        let field = format!("{field}.except[{index}]");
        match names::parse_cidr(except) {
            None => errors.each(&field, except, names::cidr(except)),
            Some(inner) if !names::is_strictly_within(inner, outer) => {
                errors.invalid(field, except.as_str(), "must be a strict subset of `cidr`");
            }
            Some(_) => {}
        }
    }
}

pub(super) fn validate_ingress(errors: &mut FieldErrors, ingress: &Ingress) {
    let spec = ingress.spec.clone().unwrap_or_default();
    let rules = spec.rules.as_deref().unwrap_or_default();
    if rules.is_empty() && spec.default_backend.is_none() {
        errors.invalid("spec", Value::Null, "either `defaultBackend` or `rules` must be specified");
    }
    if let Some(backend) = &spec.default_backend {
        validate_backend(errors, "spec.defaultBackend", backend);
    }
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("spec.rules[{index}]");
        if let Some(host) = rule.host.as_deref().filter(|host| !host.is_empty()) {
            validate_host(errors, &format!("{field}.host"), host);
        }
        if let Some(http) = &rule.http {
            if http.paths.is_empty() {
                errors.required(format!("{field}.http.paths"), "");
            }
            for (index, path) in http.paths.iter().enumerate() {
                validate_path(errors, &format!("{field}.http.paths[{index}]"), path);
            }
        }
    }
    for (index, tls) in spec.tls.iter().flatten().enumerate() {
        let field = format!("spec.tls[{index}]");
        for (index, host) in tls.hosts.iter().flatten().enumerate() {
            validate_host(errors, &format!("{field}.hosts[{index}]"), host);
        }
        if let Some(name) = tls.secret_name.as_deref().filter(|name| !name.is_empty()) {
            errors.each(&format!("{field}.secretName"), name, names::dns_subdomain(name));
        }
    }
    if let Some(class) = &spec.ingress_class_name {
        errors.each("spec.ingressClassName", class, names::dns_subdomain(class));
    }
}

fn validate_host(errors: &mut FieldErrors, field: &str, host: &str) {
    if host.parse::<std::net::IpAddr>().is_ok() {
        errors.invalid(field, host, "must be a DNS name, not an IP address");
    }
    errors.each(field, host, if host.contains('*') { names::wildcard(host) } else { names::dns_subdomain(host) });
}

fn validate_path(errors: &mut FieldErrors, field: &str, path: &HTTPIngressPath) {
    const TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
    let (place, of, path_text) = (format!("{field}.path"), path.path_type.as_str(), text(&path.path));
    if of.is_empty() {
        return errors.required(format!("{field}.pathType"), "pathType must be specified");
    }
    let is_absolute = path_text.starts_with('/');
    match of {
        "Exact" | "Prefix" => {
            if !is_absolute {
                errors.invalid(place.as_str(), path_text, "must be an absolute path");
            }
            for sequence in ["//", "/./", "/../", "%2f", "%2F"] {
                if path_text.contains(sequence) {
                    errors.invalid(place.as_str(), path_text, &format!("must not contain '{sequence}'"));
                }
            }
            for end in ["/..", "/."] {
                if path_text.ends_with(end) {
                    errors.invalid(place.as_str(), path_text, &format!("cannot end with '{end}'"));
                }
            }
        }
        "ImplementationSpecific" if !path_text.is_empty() && !is_absolute => {
            errors.invalid(place, path_text, "must be an absolute path");
        }
        "ImplementationSpecific" => {}
        other => errors.unsupported(format!("{field}.pathType"), other, &TYPES),
    }
    validate_backend(errors, &format!("{field}.backend"), &path.backend);
}

fn validate_backend(errors: &mut FieldErrors, field: &str, backend: &IngressBackend) {
    match (&backend.resource, &backend.service) {
        (Some(_), Some(_)) => errors.invalid(field, "", "cannot set both resource and service backends"),
        (None, None) => errors.invalid(field, "", "resource or service backend is required"),
        (Some(_), None) => {}
        (None, Some(service)) => {
            match service.name.as_str() {
                "" => errors.required(format!("{field}.service.name"), ""),
                name => errors.each(&format!("{field}.service.name"), name, names::dns_label(name)),
            }
            let port = service.port.clone().unwrap_or_default();
            match (text(&port.name), port.number.unwrap_or(0)) {
                ("", 0) => errors.required(field, "port name or number is required"),
                ("", number) => errors.port(format!("{field}.service.port.number"), number),
                (name, 0) => errors.each(&format!("{field}.service.port.name"), name, names::port_name(name)),
                _ => errors.invalid(field, "", "cannot set both port name & port number"),
            }
        }
    }
}

pub(super) fn validate_ingress_class(errors: &mut FieldErrors, class: &IngressClass) {
    let Some(spec) = &class.spec else { return };
    let controller = text(&spec.controller);
    let is_path = controller.split_once('/').is_some_and(|(domain, path)| {
        names::dns_subdomain(domain).is_empty() && !path.is_empty() && !path.contains(char::is_whitespace)
    });
    if !controller.is_empty() && !is_path {
        let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.invalid("spec.controller", controller, detail);
    }
    if let Some(parameters) = &spec.parameters {
        for (part, value) in [("kind", &parameters.kind), ("name", &parameters.name)] {
            if value.is_empty() {
                errors.required(format!("spec.parameters.{part}"), "");
            }
        }
        match (text(&parameters.scope), text(&parameters.namespace)) {
            ("Namespace", "") => {
                errors.required("spec.parameters.namespace", "`parameters.scope` is set to 'Namespace'")
            }
            ("Cluster", namespace) if !namespace.is_empty() => {
                errors.forbidden("spec.parameters.namespace", "`parameters.scope` is set to 'Cluster'");
            }
            ("Namespace" | "Cluster", _) => {}
            (other, _) => errors.unsupported("spec.parameters.scope", other, &["Cluster", "Namespace"]),
        }
    }
}

pub(super) fn update_ingress_class(errors: &mut FieldErrors, old: &Map<String, Value>, new: &Map<String, Value>) {
    let controller = |fields: &Map<String, Value>| fields.get("spec").map(|spec| spec["controller"].clone());
    let after = controller(new);
    if controller(old) != after {
        errors.invalid("spec.controller", after.unwrap_or_default(), IMMUTABLE);
    }
}
