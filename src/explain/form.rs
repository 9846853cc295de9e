//! What a name of each form means, by the Kubernetes DNS specification.

use crate::name::Name;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a name stands for. Names of Services and the like are as they are written; whether they exist is another
/// question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// The cluster's domain itself, or `svc`, `pod` right below it, or `ns.dns` and its parent.
    Fixed(&'static str),
    /// `dns-version.<domain>`.
    Version,
    /// `<namespace>.svc.<domain>`.
    Namespace(String),
    /// `<service>.<namespace>.svc.<domain>`.
    Service(Place),
    /// `<hostname>.<service>.<namespace>.svc.<domain>`.
    Endpoint(Place, String),
    /// `_tcp.<service>.<namespace>.svc.<domain>`: exists if a port is named below it.
    Protocol(Place, String),
    /// `_<port>._<protocol>.<service>.<namespace>.svc.<domain>`; port and protocol without their `_`.
    Port(Place, String, String),
    /// `<address with dashes>.<namespace>.pod.<domain>`.
    PodAddress(String, String),
    /// The reverse name of an address.
    Reverse(IpAddr),
    /// In a cluster domain, and of no form that gives a name.
    Unknown,
    /// In no cluster domain, and no address's reverse name.
    Elsewhere,
}

/// A Service's namespace and name, and the cluster domain it is asked for in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub namespace: String,
    pub service: String,
    pub domain: Name,
}

impl Form {
    /// What `name` means where these are the cluster's domains.
    pub(super) fn of(name: &Name, domains: &[Name]) -> Form {
        if let Some(address) = address_of(name) {
            return Form::Reverse(address);
        }
        // The longest domain wins, as the longest apex does.
        let above = domains.iter().filter(|domain| name.is_within(domain));
        let Some(domain) = above.max_by_key(|domain| domain.as_wire().len()) else { return Form::Elsewhere };
        let count = name.labels().count() - domain.labels().count();
        let labels: Vec<String> =
            name.labels().take(count).map(|label| String::from_utf8_lossy(label).into_owned()).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let place = |service: &str, namespace: &str| Place {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            domain: domain.clone(),
        };
        let bare = |label: &str| label.strip_prefix('_').map(str::to_owned);
        match *labels.as_slice() {
            [] => Form::Fixed("the cluster's domain itself"),
            ["svc"] => Form::Fixed("the name above all Services"),
            ["pod"] => Form::Fixed("the name above all pods' addresses"),
            ["dns"] | ["ns", "dns"] | ["hostmaster"] => Form::Fixed("a name of this name server"),
            ["dns-version"] => Form::Version,
            [namespace, "svc"] => Form::Namespace(namespace.to_owned()),
            [service, namespace, "svc"] => Form::Service(place(service, namespace)),
            [first, service, namespace, "svc"] => match bare(first) {
                Some(protocol) => Form::Protocol(place(service, namespace), protocol),
                None => Form::Endpoint(place(service, namespace), first.to_owned()),
            },
            [port, protocol, service, namespace, "svc"] => match (bare(port), bare(protocol)) {
                (Some(port), Some(protocol)) => Form::Port(place(service, namespace), port, protocol),
                _ => Form::Unknown,
            },
            [address, namespace, "pod"] => Form::PodAddress(address.to_owned(), namespace.to_owned()),
            _ => Form::Unknown,
        }
    }
}

/// The address that a complete reverse name stands for (RFC 1035 §3.5, RFC 3596 §2.5).
fn address_of(name: &Name) -> Option<IpAddr> {
    let labels: Vec<&str> = name.labels().map(|label| std::str::from_utf8(label).unwrap_or_default()).collect();
    match labels.as_slice() {
        [a, b, c, d, "in-addr", "arpa"] => {
            let octet = |text: &&str| text.parse::<u8>().ok().filter(|octet| octet.to_string() == **text);
            Some(Ipv4Addr::new(octet(d)?, octet(c)?, octet(b)?, octet(a)?).into())
        }
        [nibbles @ .., "ip6", "arpa"] if nibbles.len() == 32 => {
            let mut address = 0u128;
            for nibble in nibbles.iter().rev() {
                if nibble.len() != 1 {
                    return None;
                }
                address = address << 4 | u128::from_str_radix(nibble, 16).ok()?;
            }
            Some(Ipv6Addr::from(address).into())
        }
        _ => None,
    }
}
