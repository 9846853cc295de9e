//! Who knows a name: the longest domain above it that is set decides.

use super::{
    ForwardError, ForwardOptions, LookupFailure, UpstreamAddress,
    cache::CacheKey,
    special_use::LOCAL,
    upstream::{Upstream, UpstreamProblem},
};
use crate::{
    dns::{
        name::{Name, parent},
        wire::{Rcode, edns::ExtendedError},
    },
    text::regular_file,
};
use hickory_proto::op::Message;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Most upstreams that a resolv.conf may name; the C library takes three.
const SYSTEM_UPSTREAMS_MAX: usize = 16;
/// The largest resolv.conf that is read, in octets.
const RESOLV_CONF_OCTETS_MAX: u64 = 1 << 16;
/// The largest file of certificates that is read, in octets; those of all known authorities have a fifth of a MiB.
const CA_FILE_OCTETS_MAX: u64 = 4 << 20;
/// From one trial query to a server that is down to the next.
const TRIAL_INTERVAL: Duration = Duration::from_secs(1);

/// Who is asked for which names.
#[derive(Debug)]
pub(super) struct Routes {
    /// By the domain in wire form; the root is for all others.
    by_domain: HashMap<Box<[u8]>, Route>,
    attempts: u32,
}

/// Who is asked for the names of one domain.
#[derive(Debug, Clone)]
pub(super) enum Route {
    /// Nobody: the answer is known here.
    Local,
    /// These, in this order.
    Upstreams(Arc<[Arc<Upstream>]>),
}

impl Routes {
    /// Reads resolv.conf and certificates where the settings name them. Addresses of this server itself (`own`) are left
    /// out with a warning: a query sent there would come back for ever.
    pub(super) fn new(settings: &ForwardOptions, own: &[SocketAddr]) -> Result<Routes, ForwardError> {
        let mut known: Vec<(UpstreamAddress, Arc<Upstream>)> = Vec::new();
        let mut by_domain = HashMap::new();
        for (domain, _) in LOCAL {
            if let Ok(name) = Name::parse(domain) {
                by_domain.insert(name.as_wire().into(), Route::Local);
            }
        }
        let everything = (Name::root(), settings.to.clone());
        let everything = Some(everything).filter(|(_, upstreams)| !upstreams.is_empty());
        for (domain, upstreams) in everything.into_iter().chain(settings.zones.clone()) {
            let mut chosen = Vec::new();
            for upstream in named(&upstreams, &settings.resolv_conf)? {
                if is_own(address(&upstream), own) {
                    tracing::warn!(%upstream, "this upstream is this server itself; it is not asked");
                    continue;
                }
                let one = match known.iter().find(|(other, _)| *other == upstream) {
                    Some((_, one)) => Arc::clone(one),
                    None => Arc::new(connectable(&upstream, settings)?),
                };
                known.push((upstream, Arc::clone(&one)));
                chosen.push(one);
            }
            if chosen.is_empty() {
                return Err(ForwardError::OnlyItself(domain.to_string()));
            }
            by_domain.insert(domain.as_wire().into(), Route::Upstreams(chosen.into()));
        }
        Ok(Routes { by_domain, attempts: settings.attempts.max(1) })
    }

    /// Who is asked for a name in lower case; `None` for nobody.
    pub(super) fn find(&self, name: &[u8]) -> Option<&Route> {
        let mut domain = Some(name);
        while let Some(suffix) = domain {
            if let Some(route) = self.by_domain.get(suffix) {
                return Some(route);
            }
            domain = parent(suffix);
        }
        None
    }

    /// The domain that decides who is asked for a name in lower case; empty where nobody is.
    pub(super) fn domain(&self, name: &[u8]) -> Vec<u8> {
        let mut domain = Some(name);
        while let Some(suffix) = domain {
            if self.by_domain.contains_key(suffix) {
                return suffix.to_vec();
            }
            domain = parent(suffix);
        }
        Vec::new()
    }

    /// Asks one upstream after the other until one has an answer, those that are down last. What one refused or failed
    /// to find out is the answer if nobody does better.
    pub(super) async fn ask(
        &self,
        upstreams: &[Arc<Upstream>],
        key: &CacheKey,
    ) -> Result<(Message, String), LookupFailure> {
        let (down, up): (Vec<_>, Vec<_>) = upstreams.iter().partition(|upstream| upstream.is_down());
        let mut unwilling = None;
        let mut problems: Vec<String> = Vec::new();
        let mut silent = true;
        for upstream in up.iter().chain(&down).cycle().take(self.attempts as usize) {
            match upstream.ask(key).await {
                Ok(message) if is_willing(&message) => return Ok((message, upstream.label.clone())),
                Ok(message) => {
                    unwilling.get_or_insert_with(|| (message, upstream.label.clone()));
                    // It would say the same again.
                    if upstreams.len() == 1 {
                        break;
                    }
                }
                Err(problem) => {
                    silent &= problem == UpstreamProblem::Silent;
                    problems.push(format!("{}: {problem}", upstream.label));
                }
            }
        }
        problems.dedup();
        unwilling.ok_or_else(|| LookupFailure {
            code: if silent { ExtendedError::NO_REACHABLE_AUTHORITY } else { ExtendedError::NETWORK_ERROR },
            text: problems.join(", "),
        })
    }

    /// All upstreams by their names, for people.
    pub(super) fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = self
            .by_domain
            .iter()
            .flat_map(|(domain, route)| match route {
                Route::Local => Vec::new(),
                Route::Upstreams(upstreams) => {
                    let domain = Name::from_wire(domain).map_or(String::new(), |name| name.to_string());
                    let suffix = if domain == "." { String::new() } else { format!(" for {domain}") };
                    upstreams.iter().map(|upstream| format!("{}{suffix}", upstream.label)).collect()
                }
            })
            .collect();
        labels.sort();
        labels
    }
}

fn is_willing(message: &Message) -> bool {
    matches!(Rcode(message.metadata.response_code.into()), Rcode::NOERROR | Rcode::NXDOMAIN)
}

/// The upstreams meant, `system` replaced by what it stands for.
fn named(upstreams: &[UpstreamAddress], resolv_conf: &Path) -> Result<Vec<UpstreamAddress>, ForwardError> {
    let mut all = Vec::new();
    for upstream in upstreams {
        match upstream {
            UpstreamAddress::System => all.extend(system(resolv_conf)?),
            other => all.push(other.clone()),
        }
    }
    Ok(all)
}

/// The `nameserver` lines of a resolv.conf.
fn system(path: &Path) -> Result<Vec<UpstreamAddress>, ForwardError> {
    let refused = |reason: String| ForwardError::ResolvConf { path: path.to_path_buf(), reason };
    let text = regular_file::read_text(path, RESOLV_CONF_OCTETS_MAX).map_err(|error| refused(error.to_string()))?;
    let found: Vec<UpstreamAddress> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let value = words.next().filter(|&word| word == "nameserver").and_then(|_| words.next())?;
            // A link-local address names its link after a `%`, which only this machine knows to read; without, it
            // could not be reached.
            let ip: IpAddr = value.parse().ok()?;
            Some(UpstreamAddress::Plain(SocketAddr::new(ip, 53)))
        })
        .take(SYSTEM_UPSTREAMS_MAX)
        .collect();
    if found.is_empty() { Err(refused("it names no nameserver".to_owned())) } else { Ok(found) }
}

fn address(upstream: &UpstreamAddress) -> Option<SocketAddr> {
    match upstream {
        UpstreamAddress::System => None,
        UpstreamAddress::Plain(address) | UpstreamAddress::Tls { address, .. } => Some(*address),
    }
}

/// Whether an address is one that this server listens on.
fn is_own(address: Option<SocketAddr>, own: &[SocketAddr]) -> bool {
    let Some(address) = address else { return false };
    own.iter().filter(|own| own.port() == address.port()).any(|own| {
        own.ip() == address.ip()
            || own.ip().is_unspecified()
                && own.is_ipv4() == address.is_ipv4()
                // Only an address of this machine can be bound.
                && UdpSocket::bind((address.ip(), 0)).is_ok()
    })
}

fn connectable(upstream: &UpstreamAddress, settings: &ForwardOptions) -> Result<Upstream, ForwardError> {
    let label = upstream.to_string();
    let (address, tls) = match upstream {
        UpstreamAddress::System => return Err(ForwardError::OnlyItself(label)),
        UpstreamAddress::Plain(address) => (*address, None),
        UpstreamAddress::Tls { address, name } => {
            let name = match name {
                Some(name) => {
                    ServerName::try_from(name.clone()).map_err(|error| ForwardError::Tls(error.to_string()))?
                }
                None => ServerName::IpAddress(address.ip().into()),
            };
            (*address, Some((name, tls(settings.ca_file.as_deref())?)))
        }
    };
    Ok(Upstream::new(address, label, tls, settings.timeout, TRIAL_INTERVAL))
}

/// How servers are known to be who they should be: by the system's certificates, or by those of a file.
fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, ForwardError> {
    let Some(path) = ca_file else {
        return hickory_net::tls::client_config().map_err(|error| ForwardError::Tls(error.to_string()));
    };
    let refused = |reason: String| ForwardError::CaFile { path: path.to_path_buf(), reason };
    let mut roots = RootCertStore::empty();
    let text = regular_file::read(path, CA_FILE_OCTETS_MAX).map_err(|error| refused(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| ForwardError::Tls(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::forward::parse_upstream;
    use std::fs;

    fn wire(name: &str) -> Vec<u8> {
        Name::parse(name).unwrap().as_wire().to_vec()
    }

    #[test]
    fn the_longest_domain_decides() {
        let upstream = |text: &str| vec![parse_upstream(text).unwrap()];
        let zone = |name: &str, text: &str| (Name::parse(name).unwrap(), upstream(text));
        let settings = ForwardOptions {
            to: upstream("192.0.2.1"),
            zones: vec![
                zone("corp.example", "192.0.2.2"),
                zone("lab.corp.example", "192.0.2.3"),
                zone("in.test", "192.0.2.4"),
            ],
            ..ForwardOptions::default()
        };
        let routes = Routes::new(&settings, &[]).unwrap();
        let only_stubs = Routes::new(&ForwardOptions { to: Vec::new(), ..settings }, &[]).unwrap();
        // name, who, who without `to`
        let rows = [
            ("www.example", "192.0.2.1", "nobody"),
            (".", "192.0.2.1", "nobody"),
            ("corp.example", "192.0.2.2", "192.0.2.2"),
            ("a.b.corp.example", "192.0.2.2", "192.0.2.2"),
            ("notcorp.example", "192.0.2.1", "nobody"),
            ("x.lab.corp.example", "192.0.2.3", "192.0.2.3"),
            ("localhost", "local", "local"),
            ("a.localhost", "local", "local"),
            ("x.test", "local", "local"),
            ("x.in.test", "192.0.2.4", "192.0.2.4"),
            ("1.0.0.127.in-addr.arpa", "local", "local"),
            ("8.8.8.8.in-addr.arpa", "192.0.2.1", "nobody"),
        ];
        for (name, expected, without) in rows {
            for (routes, expected) in [(&routes, expected), (&only_stubs, without)] {
                let found = match routes.find(&wire(name)) {
                    None => "nobody".to_owned(),
                    Some(Route::Local) => "local".to_owned(),
                    Some(Route::Upstreams(upstreams)) => upstreams[0].label.clone(),
                };
                assert_eq!(found, expected, "{name}");
            }
        }
        assert_eq!(routes.labels()[0], "192.0.2.1");
        assert_eq!(routes.labels()[1], "192.0.2.2 for corp.example.");
    }

    #[test]
    fn this_server_is_not_asked_by_itself() {
        let rows = [
            ("127.0.0.1:53", "127.0.0.1:53", true),
            ("127.0.0.1:5353", "127.0.0.1:53", false),
            ("127.0.0.2:53", "127.0.0.1:53", false),
            ("127.0.0.2:53", "0.0.0.0:53", true),
            ("192.0.2.77:53", "0.0.0.0:53", false),
            ("127.0.0.1:53", "[::]:53", false),
            ("[::1]:53", "127.0.0.1:53", false),
        ];
        for (address, own, expected) in rows {
            assert_eq!(is_own(address.parse().ok(), &[own.parse().unwrap()]), expected, "{address} at {own}");
        }
        let settings =
            ForwardOptions { to: vec![parse_upstream("127.0.0.1:53").unwrap()], ..ForwardOptions::default() };
        let error = Routes::new(&settings, &["127.0.0.1:53".parse().unwrap()]).unwrap_err();
        assert!(error.to_string().contains("itself"), "{error}");
    }

    #[test]
    fn resolv_conf() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            system(&path).map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        let text = "# nameserver 192.0.2.9\nsearch a b\nnameserver 192.0.2.1 # here\n nameserver\t2001:db8::1\n\
                    nameserver fe80::1%eth0\nnameserver x\noptions ndots:5\n";
        assert_eq!(read(text).unwrap(), "192.0.2.1 2001:db8::1");
        for text in ["", "search a\n", "nameserver\n"] {
            assert!(read(text).unwrap_err().to_string().contains("names no nameserver"), "{text}");
        }
        assert!(system(&directory.path().join("none")).is_err());
    }

    #[test]
    fn certificates() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(&path, text).unwrap();
            assert!(tls(Some(&path)).is_err(), "{text}");
        }
        let certified = rcgen::generate_simple_self_signed(vec!["dns.example".to_owned()]).unwrap();
        fs::write(&path, certified.cert.pem()).unwrap();
        assert!(tls(Some(&path)).is_ok());
    }
}
