//! The text of a pod's `/etc/resolv.conf`, as kubelet's `GetPodDNS`: `dnsPolicy`, `dnsConfig`, limits.

use crate::control::runtime::containers::NodeFacts;
use k8s_openapi::api::core::v1::{Pod, PodDNSConfig};
use std::collections::HashSet;

/// Name servers that a resolver asks at most.
const SERVERS_MAX: usize = 3;
/// Domains of a search list at most.
const SEARCH_DOMAINS_MAX: usize = 32;
/// Octets of a search list at most.
const SEARCH_OCTETS_MAX: usize = 2048;
/// Octets of one domain at most: glibc gives up on longer ones.
const DOMAIN_OCTETS_MAX: usize = 253;
/// The reason of the events about limits.
const REASON: &str = "DNSConfigForming";

#[derive(Debug, Default)]
struct Resolver {
    servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

/// The text, and the events that are to be told of it.
pub fn resolv_conf(pod: &Pod, facts: &NodeFacts) -> (String, Vec<(&'static str, String)>) {
    let spec = pod.spec.as_ref();
    let on_host = spec.and_then(|spec| spec.host_network).unwrap_or(false);
    let policy = spec.and_then(|spec| spec.dns_policy.as_deref()).unwrap_or("ClusterFirst");
    let mut resolver = match policy {
        "None" => Resolver::default(),
        "Default" => Resolver::of_host(facts),
        "ClusterFirst" if on_host => Resolver::of_host(facts),
        _ => Resolver::of_cluster(pod.metadata.namespace.as_deref().unwrap_or_default(), facts),
    };
    if let Some(config) = spec.and_then(|spec| spec.dns_config.as_ref()) {
        resolver.append(config);
    }
    let mut warnings = Vec::new();
    resolver.keep_limits(&mut warnings);
    (resolver.text(), warnings)
}

impl Resolver {
    /// The host's own; where it has no server that a pod reaches, ours.
    fn of_host(facts: &NodeFacts) -> Resolver {
        let servers = match facts.host_name_servers.as_slice() {
            [] => &facts.dns_servers,
            servers => servers,
        };
        Resolver {
            servers: servers.iter().map(ToString::to_string).collect(),
            search: facts.host_search.clone(),
            options: facts.host_options.clone(),
        }
    }

    fn of_cluster(namespace: &str, facts: &NodeFacts) -> Resolver {
        let domain = &facts.cluster_domain;
        let search = [format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
        Resolver {
            servers: facts.dns_servers.iter().map(ToString::to_string).collect(),
            search: once_each(search.into_iter().chain(facts.host_search.iter().cloned())),
            options: vec!["ndots:5".to_owned()],
        }
    }

    fn append(&mut self, config: &PodDNSConfig) {
        let more = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let servers = std::mem::take(&mut self.servers);
        self.servers = once_each(servers.into_iter().chain(more(&config.nameservers)));
        let search = std::mem::take(&mut self.search);
        self.search = once_each(search.into_iter().chain(more(&config.searches)));
        for option in config.options.iter().flatten() {
            let Some(name) = option.name.as_deref() else { continue };
            let text = match option.value.as_deref().filter(|value| !value.is_empty()) {
                Some(value) => format!("{name}:{value}"),
                None => name.to_owned(),
            };
            // A later one takes the place of an earlier one.
            match self.options.iter_mut().find(|known| known.split(':').next() == Some(name)) {
                Some(known) => *known = text,
                None => self.options.push(text),
            }
        }
    }

    fn keep_limits(&mut self, warnings: &mut Vec<(&'static str, String)>) {
        if self.servers.len() > SERVERS_MAX {
            self.servers.truncate(SERVERS_MAX);
            let message =
                "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ";
            warnings.push((REASON, message.to_owned() + &self.servers.join(" ")));
        }
        let wanted = self.search.len();
        self.search.truncate(SEARCH_DOMAINS_MAX);
        self.search.retain(|domain| domain.len() <= DOMAIN_OCTETS_MAX);
        while self.search.join(" ").len() > SEARCH_OCTETS_MAX {
            self.search.pop();
        }
        if self.search.len() < wanted {
            let message =
                "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ";
            warnings.push((REASON, message.to_owned() + &self.search.join(" ")));
        }
    }

    /// The lines in the order in which kubelets' engines write them.
    fn text(&self) -> String {
        let mut text = String::new();
        if !self.search.is_empty() {
            text.extend(["search ", &self.search.join(" "), "\n"]);
        }
        for server in &self.servers {
            text.extend(["nameserver ", server, "\n"]);
        }
        if !self.options.is_empty() {
            text.extend(["options ", &self.options.join(" "), "\n"]);
        }
        text
    }
}

fn once_each(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{facts, pod};

    fn check(spec: &str, expected: &str, warnings: &[&str]) {
        let (text, told) = super::resolv_conf(&pod(spec), &facts());
        assert_eq!(text, expected, "{spec}");
        let told: Vec<&str> = told.iter().map(|(_, message)| message.as_str()).collect();
        assert_eq!(told, warnings, "{spec}");
    }

    #[test]
    fn policies() {
        let cluster = "search shop.svc.cluster.local svc.cluster.local cluster.local corp.test\nnameserver 10.9.0.1\n\
                       options ndots:5\n";
        let host = "search corp.test\nnameserver 192.0.2.53\noptions edns0 timeout:2\n";
        let rows = [
            ("{}", cluster),
            ("{dnsPolicy: ClusterFirst}", cluster),
            ("{dnsPolicy: ClusterFirst, hostNetwork: true}", host),
            ("{dnsPolicy: ClusterFirstWithHostNet, hostNetwork: true}", cluster),
            ("{dnsPolicy: Default}", host),
            ("{dnsPolicy: None}", ""),
            (
                "{dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.1], searches: [a.test, b.test, a.test], \
                 options: [{name: ndots, value: '2'}, {name: edns0}]}}",
                "search a.test b.test\nnameserver 192.0.2.1\noptions ndots:2 edns0\n",
            ),
            (
                "{dnsConfig: {nameservers: [192.0.2.1, 10.9.0.1], searches: [a.test, cluster.local], \
                 options: [{name: ndots, value: '2'}, {name: single-request}]}}",
                "search shop.svc.cluster.local svc.cluster.local cluster.local corp.test a.test\nnameserver 10.9.0.1\n\
                 nameserver 192.0.2.1\noptions ndots:2 single-request\n",
            ),
        ];
        for (spec, expected) in rows {
            check(spec, expected, &[]);
        }
        let lonely = super::NodeFacts { host_name_servers: Vec::new(), ..facts() };
        let (text, _) = super::resolv_conf(&pod("{dnsPolicy: Default}"), &lonely);
        assert_eq!(
            text, "search corp.test\nnameserver 10.9.0.1\noptions edns0 timeout:2\n",
            "ours, for want of another"
        );
    }

    #[test]
    fn limits() {
        check(
            "{dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4]}}",
            "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n",
            &["Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: \
               192.0.2.1 192.0.2.2 192.0.2.3"],
        );
        let cut = |domains: &[String], kept: usize| {
            let line = domains.get(..kept).unwrap().join(" ");
            let spec = format!("{{dnsPolicy: None, dnsConfig: {{searches: [{}]}}}}", domains.join(", "));
            let warning = format!(
                "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {line}"
            );
            check(&spec, &format!("search {line}\n"), &[&warning]);
        };
        let many: Vec<String> = (0..40).map(|number| format!("d{number}.test")).collect();
        cut(&many, 32);
        // 20 of 100 octets: 2019 with spaces is as much as fits.
        let long: Vec<String> = (0..25).map(|number| format!("{number:0>95}.test")).collect();
        cut(&long, 20);
        let spec = format!("{{dnsPolicy: None, dnsConfig: {{searches: [{}, b.test]}}}}", "a".repeat(254));
        let warning =
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: b.test";
        check(&spec, "search b.test\n", &[warning]);
    }
}
