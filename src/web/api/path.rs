//! What the path of a request names.

use super::{
    custom::CustomResources,
    resource::{GROUP_VERSIONS, GROUPS, Resource, Subresource, find},
};
use crate::text::percent;
use std::sync::Arc;

/// What a path leads to.
#[derive(Debug, PartialEq)]
pub enum RequestTarget {
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`.
    Alive,
    /// `/readyz`.
    Ready,
    /// `/api`: the versions of the core group, or in the aggregated form all of it.
    Core,
    /// `/apis`: the other groups.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`: the resources of a group (empty for the core) in a version.
    Resources(String, String),
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`.
    OpenApiIndex,
    /// `/openapi/v3/api/v1`, `/openapi/v3/apis/GROUP/v1`: what follows `v3/`.
    OpenApi(String),
    /// Objects.
    Objects(ResourcePath),
}

/// Where objects are.
#[derive(Debug, PartialEq)]
pub struct ResourcePath {
    /// The resource.
    pub resource: Arc<Resource>,
    /// The namespace; `None` for all, and where there are none.
    pub namespace: Option<String>,
    /// The name; `None` for all.
    pub name: Option<String>,
    /// What is beneath the object.
    pub beneath: Option<Subpath>,
}

/// What is beneath an object.
#[derive(Debug, PartialEq, Eq)]
pub enum Subpath {
    /// A subresource that is served.
    Served(Subresource),
    /// One that upstream has and that means nothing here: `log`, `exec`, …
    Unserved(&'static str),
}

/// Subresources of pods that need what this program does not have: running containers.
const OF_PODS: &[&str] = &["attach", "binding", "ephemeralcontainers", "exec", "log", "portforward", "proxy", "resize"];

/// Longest path that is looked at, in octets; namespaces and names have at most 253 each.
const PATH_OCTETS_MAX: usize = 2048;

/// What a path names, with the resources that definitions define; `None` for nothing.
pub fn parse(path: &str, custom: &CustomResources) -> Option<RequestTarget> {
    if path.len() > PATH_OCTETS_MAX {
        return None;
    }
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<String> = path.split('/').map(percent::decode).collect::<Option<_>>()?;
    // Whatever an encoded segment hides, no name has it.
    if parts.iter().any(|part| part.is_empty() || part.contains('/') || part == "." || part == "..") {
        return None;
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["version"] => Some(RequestTarget::Version),
        ["healthz" | "livez", ..] => Some(RequestTarget::Alive),
        ["readyz", ..] => Some(RequestTarget::Ready),
        ["api"] => Some(RequestTarget::Core),
        ["apis"] => Some(RequestTarget::Groups),
        ["openapi", "v2"] => Some(RequestTarget::OpenApiV2),
        ["openapi", "v3"] => Some(RequestTarget::OpenApiIndex),
        ["openapi", "v3", rest @ ..] => Some(RequestTarget::OpenApi(rest.join("/"))),
        ["api", version, rest @ ..] => resources(("", version), rest, custom),
        ["apis", group] => (GROUPS.contains(group) || !custom.of_group(group).is_empty())
            .then(|| RequestTarget::Group((*group).to_owned())),
        // The core has no group that could be named.
        ["apis", group, version, rest @ ..] if !group.is_empty() => resources((group, version), rest, custom),
        _ => None,
    }
}

fn resources((group, version): (&str, &str), parts: &[&str], custom: &CustomResources) -> Option<RequestTarget> {
    let known = (group, version);
    let is_known =
        || GROUP_VERSIONS.contains(&known) || custom.of_group(group).iter().any(|resource| resource.version == version);
    let place = match parts {
        [] => return is_known().then(|| RequestTarget::Resources(group.to_owned(), version.to_owned())),
        ["namespaces", _, "status" | "finalize"] if group.is_empty() => place(known, None, parts, custom)?,
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => place(known, Some(namespace), rest, custom)?,
        parts => place(known, None, parts, custom)?,
    };
    Some(RequestTarget::Objects(place))
}

fn place(
    (group, version): (&str, &str),
    namespace: Option<&str>,
    parts: &[&str],
    custom: &CustomResources,
) -> Option<ResourcePath> {
    let (plural, name, beneath) = match parts {
        [plural] => (plural, None, None),
        [plural, name] => (plural, Some(*name), None),
        [plural, name, beneath, rest @ ..] => (plural, Some(*name), Some((*beneath, rest))),
        [] => return None,
    };
    let resource = find(group, version, plural).or_else(|| custom.find(group, version, plural))?;
    // One object is named with its namespace; all of them may be listed without.
    if (namespace.is_some() && !resource.namespaced) || (namespace.is_none() && resource.namespaced && name.is_some()) {
        return None;
    }
    let beneath = match beneath {
        None => None,
        Some((beneath, rest)) => Some(beneath_of(&resource, beneath, rest)?),
    };
    Some(ResourcePath { resource, namespace: namespace.map(str::to_owned), name: name.map(str::to_owned), beneath })
}

fn beneath_of(resource: &Resource, name: &str, rest: &[&str]) -> Option<Subpath> {
    let served = match name {
        "status" => Some(Subresource::Status),
        "scale" => Some(Subresource::Scale),
        "eviction" => Some(Subresource::Eviction),
        _ => None,
    };
    if let Some(served) = served.filter(|served| rest.is_empty() && resource.subresources.contains(served)) {
        return Some(Subpath::Served(served));
    }
    // `proxy` goes on with a path of its own.
    let unserved = match resource.plural {
        "pods" => OF_PODS.iter().copied().find(|known| *known == name),
        "services" if name == "proxy" => Some("proxy"),
        "namespaces" if name == "finalize" => Some("finalize"),
        "serviceaccounts" if name == "token" => Some("token"),
        _ => None,
    };
    unserved.map(Subpath::Unserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_paths_name() {
        let rows = [
            ("/version/", "Version"),
            ("/readyz/ping", "Ready"),
            ("/livez", "Alive"),
            ("/api", "Core"),
            ("/apis/", "Groups"),
            ("/apis/apps", "Group apps"),
            ("/api/v1", "Resources  v1"),
            ("/apis/storage.k8s.io/v1/", "Resources storage.k8s.io v1"),
            ("/apis/autoscaling/v2", "Resources autoscaling v2"),
            ("/apis/autoscaling/v2/namespaces/x/horizontalpodautoscalers/a", "horizontalpodautoscalers x a"),
            ("/api/v1/nodes", "nodes - -"),
            ("/apis/batch/v1/jobs", "jobs - -"),
            ("/openapi/v3/apis/apps/v1", "OpenApi apis/apps/v1"),
            ("/api/v1/pods", "pods - -"),
            ("/api/v1/namespaces", "namespaces - -"),
            ("/api/v1/namespaces/x", "namespaces - x"),
            ("/api/v1/namespaces/x/status", "namespaces - x Served(Status)"),
            ("/api/v1/namespaces/x/finalize", "namespaces - x Unserved(\"finalize\")"),
            ("/api/v1/namespaces/x/pods", "pods x -"),
            ("/api/v1/namespaces/x/pods/web-0", "pods x web-0"),
            ("/api/v1/namespaces/x/pods/web-0/eviction", "pods x web-0 Served(Eviction)"),
            ("/api/v1/namespaces/x/pods/web%2D0/log", "pods x web-0 Unserved(\"log\")"),
            ("/api/v1/namespaces/x/pods/web-0/proxy/a/b", "pods x web-0 Unserved(\"proxy\")"),
            ("/apis/apps/v1/namespaces/x/statefulsets/web/scale", "statefulsets x web Served(Scale)"),
            ("/apis/storage.k8s.io/v1/storageclasses/fast", "storageclasses - fast"),
            // Nowhere.
            ("", ""),
            ("/", ""),
            ("/api/v2", ""),
            ("/api/v1/pods/web-0", ""),
            ("/api/v1/namespaces/x/persistentvolumes", ""),
            ("/api/v1/namespaces/x/pods/web-0/scale", ""),
            ("/apis/apps/v1/namespaces/x/statefulsets/web/scale/more", ""),
            ("/apis/apps/v1beta1/statefulsets", ""),
            ("/apis/batch/v2/jobs", ""),
            ("/apis//v1/pods", ""),
            ("/api/v1//pods", ""),
            ("/api/v1/namespaces/../pods", ""),
            ("/api/v1/namespaces/%2e%2e/pods", ""),
            ("/api/v1/namespaces/a%2Fb/pods", ""),
            ("/api/v1/namespaces/%zz/pods", ""),
            ("/api/v1/namespaces/%ff/pods", ""),
            ("/api/v1/namespaces/%00/pods", ""),
            ("/api/v1/namespaces/x/pods/web%2", ""),
        ];
        for (path, expected) in rows {
            let said = match parse(path, &CustomResources::default()) {
                None => String::new(),
                Some(RequestTarget::Objects(place)) => {
                    let text = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
                    let beneath = place.beneath.map(|beneath| format!(" {beneath:?}")).unwrap_or_default();
                    format!("{} {} {}{beneath}", place.resource.plural, text(place.namespace), text(place.name))
                }
                Some(RequestTarget::Group(group)) => format!("Group {group}"),
                Some(RequestTarget::Resources(group, version)) => format!("Resources {group} {version}"),
                Some(RequestTarget::OpenApi(rest)) => format!("OpenApi {rest}"),
                Some(other) => format!("{other:?}"),
            };
            assert_eq!(said, expected, "{path}");
        }
    }
}
