//! The grammar of the cluster's names, by the Kubernetes DNS specification 1.1.0: how each form of name is written, and
//! which form a name has.
//!
//! Pure: whether a name exists is decided by the records. Code that makes a name writes it with a function of this
//! file, and code that explains one reads it with [`NameForm::parse`], so that both always agree.

use super::reverse::{address_of_reverse_name, reverse_name};
use crate::dns::name::{Name, NameError, is_host_label};
use std::{fmt, net::IpAddr};

/// The names that a cluster domain has whatever is declared in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixedName {
    /// The domain itself.
    Domain,
    /// `svc.<domain>`, above all Services.
    Services,
    /// `pod.<domain>`, above all names of pods' addresses.
    PodAddresses,
    /// `dns-version.<domain>`, which has the version of the specification as TXT.
    Version,
    /// `ns.dns.<domain>`, this name server.
    NameServer,
    /// `dns.<domain>`, above the name server.
    AboveNameServer,
    /// `hostmaster.<domain>`, the mailbox of the SOA record.
    Mailbox,
}

impl FixedName {
    /// All of them.
    pub const ALL: [FixedName; 7] = [
        FixedName::Domain,
        FixedName::Services,
        FixedName::PodAddresses,
        FixedName::Version,
        FixedName::NameServer,
        FixedName::AboveNameServer,
        FixedName::Mailbox,
    ];

    /// The labels before the domain.
    fn labels(self) -> &'static [&'static str] {
        match self {
            FixedName::Domain => &[],
            FixedName::Services => &[SERVICES],
            FixedName::PodAddresses => &[PODS],
            FixedName::Version => &["dns-version"],
            FixedName::NameServer => &["ns", "dns"],
            FixedName::AboveNameServer => &["dns"],
            FixedName::Mailbox => &["hostmaster"],
        }
    }

    /// The whole name in a domain.
    ///
    /// # Errors
    /// If the domain is so long that there is no room for it.
    pub fn in_domain(self, domain: &Name) -> Result<Name, NameError> {
        self.labels().iter().rev().try_fold(domain.clone(), |name, label| name.child(label.as_bytes()))
    }
}

const SERVICES: &str = "svc";
const PODS: &str = "pod";

/// A Service's name in DNS, in its parts; shown as `<service>.<namespace>.svc.<domain>` with a final dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName {
    /// The Service's name.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
    /// The cluster domain.
    pub domain: Name,
}

impl ServiceName {
    /// From its parts.
    pub fn new(service: impl Into<String>, namespace: impl Into<String>, domain: &Name) -> ServiceName {
        ServiceName { service: service.into(), namespace: namespace.into(), domain: domain.clone() }
    }

    /// The name of another Service of the same namespace and domain.
    pub fn sibling(&self, service: impl Into<String>) -> ServiceName {
        ServiceName::new(service, &*self.namespace, &self.domain)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{SERVICES}.{}", self.service, self.namespace, self.domain)
    }
}

/// The meaning of a name. Parts are as they are written, in lower case; whether a Service or a namespace of that name
/// exists is another question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameForm {
    /// A name that every cluster domain has.
    Fixed(FixedName, Name),
    /// `<namespace>.svc.<domain>`.
    Namespace(String, Name),
    /// `<namespace>.pod.<domain>`.
    PodNamespace(String, Name),
    /// `<service>.<namespace>.svc.<domain>`.
    Service(ServiceName),
    /// `<hostname>.<service>.<namespace>.svc.<domain>`; without hostname the label of an address ([`address_label`]).
    Endpoint(ServiceName, String),
    /// `_tcp.<service>.<namespace>.svc.<domain>`: exists if a port is named below it. The protocol without its `_`.
    Protocol(ServiceName, String),
    /// `_<port>._<protocol>.<service>.<namespace>.svc.<domain>`; port and protocol without their `_`.
    Port(ServiceName, String, String),
    /// `<label of an address>.<namespace>.pod.<domain>`: label, namespace, domain.
    PodAddress(String, String, Name),
    /// The reverse name of an address.
    Reverse(IpAddr),
    /// In a cluster domain, and of no form that gives a name.
    Unknown,
    /// In no cluster domain, and no address's reverse name.
    Elsewhere,
}

impl NameForm {
    /// What `name` means where these are the cluster's domains; of domains within each other the longest counts.
    pub fn parse(name: &Name, domains: &[Name]) -> NameForm {
        if let Some(address) = address_of_reverse_name(name) {
            return NameForm::Reverse(address);
        }
        let above = domains.iter().filter(|domain| name.is_within(domain));
        let Some(domain) = above.max_by_key(|domain| domain.as_wire().len()) else { return NameForm::Elsewhere };
        let count = name.labels().count() - domain.labels().count();
        let labels: Result<Vec<&str>, _> = name.labels().take(count).map(str::from_utf8).collect();
        let Ok(labels) = labels else { return NameForm::Unknown };
        if let Some(fixed) = FixedName::ALL.into_iter().find(|fixed| fixed.labels() == labels) {
            return NameForm::Fixed(fixed, domain.clone());
        }
        let service = |service: &str, namespace: &str| ServiceName::new(service, namespace, domain);
        let bare = |label: &str| label.strip_prefix('_').map(str::to_owned);
        match *labels {
            [namespace, SERVICES] => NameForm::Namespace(namespace.to_owned(), domain.clone()),
            [namespace, PODS] => NameForm::PodNamespace(namespace.to_owned(), domain.clone()),
            [name, namespace, SERVICES] => NameForm::Service(service(name, namespace)),
            [first, name, namespace, SERVICES] => match bare(first) {
                Some(protocol) => NameForm::Protocol(service(name, namespace), protocol),
                None => NameForm::Endpoint(service(name, namespace), first.to_owned()),
            },
            [port, protocol, name, namespace, SERVICES] => match (bare(port), bare(protocol)) {
                (Some(port), Some(protocol)) => NameForm::Port(service(name, namespace), port, protocol),
                _ => NameForm::Unknown,
            },
            [address, namespace, PODS] => {
                NameForm::PodAddress(address.to_owned(), namespace.to_owned(), domain.clone())
            }
            _ => NameForm::Unknown,
        }
    }

    /// The name of this form; `None` where it has none ([`NameForm::Unknown`], [`NameForm::Elsewhere`]), and where a
    /// part of it cannot be a label or the whole is too long.
    pub fn name_of(&self) -> Option<Name> {
        let base = |name: &ServiceName| service_name(&name.domain, &name.namespace, &name.service);
        match self {
            NameForm::Fixed(fixed, domain) => fixed.in_domain(domain).ok(),
            NameForm::Namespace(namespace, domain) => namespace_name(domain, namespace),
            NameForm::PodNamespace(namespace, domain) => pod_namespace_name(domain, namespace),
            NameForm::Service(service) => base(service),
            NameForm::Endpoint(service, hostname) => labelled(&base(service)?, hostname),
            NameForm::Protocol(service, protocol) => base(service)?.child(underscored(protocol)?.as_bytes()).ok(),
            NameForm::Port(service, port, protocol) => {
                port_name(&base(service)?, &underscored(port)?, &underscored(protocol)?)
            }
            NameForm::PodAddress(label, namespace, domain) => labelled(&pod_namespace_name(domain, namespace)?, label),
            NameForm::Reverse(address) => Some(reverse_name(*address)),
            NameForm::Unknown | NameForm::Elsewhere => None,
        }
    }
}

/// `<namespace>.svc.<domain>`; `None` where the namespace is not a label.
pub fn namespace_name(domain: &Name, namespace: &str) -> Option<Name> {
    domain.descendant(&[checked(namespace)?, SERVICES.as_bytes()]).ok()
}

/// `<namespace>.pod.<domain>`; `None` where the namespace is not a label.
pub fn pod_namespace_name(domain: &Name, namespace: &str) -> Option<Name> {
    domain.descendant(&[checked(namespace)?, PODS.as_bytes()]).ok()
}

/// `<service>.<namespace>.svc.<domain>`; `None` where a part is not a label, which validation lets no object have.
pub fn service_name(domain: &Name, namespace: &str, service: &str) -> Option<Name> {
    domain.descendant(&[checked(service)?, checked(namespace)?, SERVICES.as_bytes()]).ok()
}

/// `<label of the address>.<namespace>.pod.<domain>`.
pub fn pod_address_name(domain: &Name, namespace: &str, address: IpAddr) -> Option<Name> {
    let label = address_label(address);
    domain.descendant(&[label.as_bytes(), checked(namespace)?, PODS.as_bytes()]).ok()
}

/// `<hostname>.<name of the Service>`; `None` where the hostname is not a label.
pub fn endpoint_name(service: &Name, hostname: &str) -> Option<Name> {
    service.child(checked(hostname)?).ok()
}

fn checked(label: &str) -> Option<&[u8]> {
    is_host_label(label).then_some(label.as_bytes())
}

/// `_port._proto.<name of the Service>`, of labels as [`underscored`] makes them.
pub fn port_name(service: &Name, port: &str, protocol: &str) -> Option<Name> {
    service.descendant(&[port.as_bytes(), protocol.as_bytes()]).ok()
}

/// The label of a port's name or a protocol: `_web`, `_tcp` (RFC 2782); `None` where there is no such label.
pub fn underscored(text: &str) -> Option<String> {
    (is_host_label(text) && text.len() < crate::dns::name::LABEL_MAX).then(|| format!("_{}", text.to_ascii_lowercase()))
}

/// The label of an endpoint without hostname: `10-1-2-3`, `2001-db8--1`; a label cannot end in a hyphen, so `fd00::` is
/// `fd00--0`. Of the address, not of its text: `FD00::1` and `fd00:0::1` are both `fd00--1`.
pub fn address_label(address: IpAddr) -> String {
    let mut label = address.to_string().replace(['.', ':'], "-");
    if label.ends_with('-') {
        label.push('0');
    }
    label
}

/// The address that a label means, however it is written ([`address_label`] gives the only form that exists).
pub fn address_of_label(label: &str) -> Option<IpAddr> {
    // Mixed: `::ffff:10.1.2.3`, an IPv4 address in an IPv6 one.
    let mixed = label.rmatch_indices('-').nth(2).map(|(at, _)| {
        let (front, back) = label.split_at(at);
        front.replace('-', ":") + &back.replace('-', ".")
    });
    let texts = [Some(label.replace('-', ".")), mixed, Some(label.replace('-', ":"))];
    let mut readings = texts.into_iter().flatten().filter_map(|text| text.parse().ok());
    let first = readings.next()?;
    let exact = std::iter::once(first).chain(readings).find(|address| address_label(*address) == label);
    Some(exact.unwrap_or(first))
}

/// The label of a host, or that of an address, which may begin with a hyphen (`--1` of `::1`), below a name.
fn labelled(above: &Name, label: &str) -> Option<Name> {
    let is_of_address = address_of_label(label).is_some_and(|address| address_label(address) == label);
    if is_of_address { above.child(label.as_bytes()).ok() } else { endpoint_name(above, label) }
}

/// Namespace and name of the Service whose name this is ([`service_name`]).
pub fn service_of(name: &Name) -> (&str, &str) {
    let mut labels = name.labels().map(|label| str::from_utf8(label).unwrap_or_default());
    let service = labels.next().unwrap_or_default();
    (labels.next().unwrap_or_default(), service)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domains() -> [Name; 2] {
        ["cluster.local", "other.cluster.local"].map(|domain| Name::parse(domain).unwrap())
    }

    #[test]
    fn forms_of_names() {
        let rows = [
            ("cluster.local", "Fixed(Domain"),
            ("svc.cluster.local", "Fixed(Services"),
            ("pod.cluster.local", "Fixed(PodAddresses"),
            ("ns.dns.cluster.local", "Fixed(NameServer"),
            ("dns.cluster.local", "Fixed(AboveNameServer"),
            ("hostmaster.cluster.local", "Fixed(Mailbox"),
            ("dns-version.cluster.local", "Fixed(Version"),
            ("a.svc.cluster.local", "Namespace(\"a\""),
            ("a.pod.cluster.local", "PodNamespace(\"a\""),
            ("s.a.svc.cluster.local", "Service("),
            ("p.s.a.svc.cluster.local", "Endpoint("),
            ("_tcp.s.a.svc.cluster.local", "Protocol("),
            ("_p._tcp.s.a.svc.cluster.local", "Port("),
            ("p._tcp.s.a.svc.cluster.local", "Unknown"),
            ("x.p.s.a.svc.cluster.local", "Unknown"),
            ("\\255.a.svc.cluster.local", "Unknown"),
            ("10-0-0-1.a.pod.cluster.local", "PodAddress("),
            ("s.a.svc.other.cluster.local", "Service("),
            ("a.example", "Elsewhere"),
            ("1.2.3.10.in-addr.arpa", "Reverse(10.3.2.1)"),
            ("01.2.3.10.in-addr.arpa", "Elsewhere"),
            ("2.3.10.in-addr.arpa", "Elsewhere"),
        ];
        for (text, expected) in rows {
            let form = format!("{:?}", NameForm::parse(&Name::parse(text).unwrap(), &domains()));
            assert!(form.starts_with(expected), "{text}: {form}");
        }
    }

    #[test]
    fn labels_of_addresses() {
        let rows = [
            ("10.1.2.3", "10-1-2-3"),
            ("fd00::1", "fd00--1"),
            ("FD00:0::1", "fd00--1"),
            ("fd00::1:2", "fd00--1-2"),
            ("fd00::", "fd00--0"),
            ("::1", "--1"),
            ("::ffff:10.1.2.3", "--ffff-10-1-2-3"),
        ];
        for (text, label) in rows {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(address_label(address), label, "{text}");
            assert_eq!(address_of_label(label), Some(address), "{label}");
        }
        for label in ["web-0", "10-1-2", "10-1-2-3-4", "fd00-1", ""] {
            assert_eq!(address_of_label(label), None, "{label}");
        }
    }

    /// A part of a name: mostly a label, sometimes a word of the grammar itself.
    fn part() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?",
            1 => prop::sample::select(vec!["svc", "pod", "dns", "ns", "arpa", "cluster"]).prop_map(str::to_owned),
        ]
    }

    fn forms() -> impl Strategy<Value = NameForm> {
        let domain = || prop::sample::select(domains().to_vec());
        let service = || {
            (part(), part(), domain()).prop_map(|(service, namespace, domain)| ServiceName {
                service,
                namespace,
                domain,
            })
        };
        prop_oneof![
            (prop::sample::select(FixedName::ALL.to_vec()), domain())
                .prop_map(|(fixed, domain)| NameForm::Fixed(fixed, domain)),
            (part(), domain()).prop_map(|(namespace, domain)| NameForm::Namespace(namespace, domain)),
            (part(), domain()).prop_map(|(namespace, domain)| NameForm::PodNamespace(namespace, domain)),
            service().prop_map(NameForm::Service),
            (service(), part()).prop_map(|(service, hostname)| NameForm::Endpoint(service, hostname)),
            (service(), part()).prop_map(|(service, protocol)| NameForm::Protocol(service, protocol)),
            (service(), part(), part()).prop_map(|(service, port, protocol)| NameForm::Port(service, port, protocol)),
            (any::<IpAddr>(), part(), domain()).prop_map(|(address, namespace, domain)| {
                NameForm::PodAddress(address_label(address), namespace, domain)
            }),
            any::<IpAddr>().prop_map(NameForm::Reverse),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(form in forms()) {
            let name = form.name_of().unwrap();
            prop_assert_eq!(NameForm::parse(&name, &domains()), form, "{}", name);
        }

        #[test]
        fn a_name_has_one_form(labels in prop::collection::vec("[_a-z0-9-]{1,8}", 0..6)) {
            let text = labels.iter().map(|label| format!("{label}.")).collect::<String>() + "cluster.local";
            let name = Name::parse(&text).unwrap();
            if let Some(written) = NameForm::parse(&name, &domains()).name_of() {
                prop_assert_eq!(written, name);
            }
        }
    }
}
