//! `headless-dns serve`: settings to a running server, and what it says about itself.

use super::say;
use crate::{
    dns::name::Name,
    objects::object::{
        Kind, Object,
        statefulset::{self, Ordinals},
    },
    program::{
        app::{Server, Signals, StartError},
        exit::Exit,
        settings::{Overrides, Settings},
        telemetry,
    },
    text::{
        diagnostic::{self, Diagnostic},
        escape::visible,
    },
};
use std::{
    error::Error,
    fmt::Write as _,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// Serves until a signal ends it; returns the exit code.
pub(super) fn serve(overrides: Overrides) -> Exit {
    let (settings, warnings) = match super::settings(&overrides) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if let Err(error) = telemetry::init(&settings.log) {
        diagnostic::print(&[Diagnostic::error(Path::new(""), error.to_string())]);
        return Exit::Configuration;
    }
    telemetry::report(&warnings);
    // From here on, so that a signal during the start is not lost.
    let signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => {
            diagnostic::print(&[Diagnostic::error(Path::new(""), format!("signals cannot be caught: {error}"))]);
            return Exit::Internal;
        }
    };
    let start = || {
        let server = Server::start(settings)?;
        say(&banner(&server));
        Ok(server.with_overrides(overrides))
    };
    signals.run(start).unwrap_or_else(|error| {
        let (diagnostic, code) = explain(&error);
        diagnostic::print(&[diagnostic]);
        code
    })
}

/// Why the server did not start, what to do about it, and the exit code.
pub(super) fn explain(error: &StartError) -> (Diagnostic, Exit) {
    if let StartError::Certificate(diagnostic) | StartError::Token(diagnostic) = error {
        return ((**diagnostic).clone(), Exit::Configuration);
    }
    let (help, code) = match (cause(error), error) {
        (Some(io::ErrorKind::PermissionDenied), StartError::Listen(_)) => (
            "take a port from 1024 up with --listen, or allow the program the others: setcap cap_net_bind_service=+ep",
            Exit::Permission,
        ),
        (Some(io::ErrorKind::PermissionDenied), _) => ("", Exit::Permission),
        (Some(io::ErrorKind::AddrInUse), StartError::Listen(error)) if error.transport == "http" => (
            "another program has this port, perhaps another headless-dns: name another with --metrics-listen, or none",
            Exit::Configuration,
        ),
        (Some(io::ErrorKind::AddrInUse), StartError::Listen(error)) if error.transport == "api" => (
            "another program has this port, perhaps another headless-dns: name another with --api-listen, or none",
            Exit::Configuration,
        ),
        (Some(io::ErrorKind::AddrInUse), StartError::Listen(_)) => (
            "another program has this port, perhaps another headless-dns: name another with --listen, or port 0 for a \
             free one",
            Exit::Configuration,
        ),
        (Some(io::ErrorKind::AddrNotAvailable), StartError::Listen(_)) => {
            ("this machine does not have the address: name one of its own with --listen", Exit::Configuration)
        }
        // They say themselves what can be done.
        (_, StartError::State(error)) if error.is_permission() => ("", Exit::Permission),
        (_, StartError::State(_)) => ("", Exit::Configuration),
        (_, StartError::Domain(_)) => ("shorten it", Exit::Configuration),
        (_, StartError::Forward(_)) => ("", Exit::Configuration),
        (_, StartError::Engine { .. }) if error.is_permission() => ("", Exit::Permission),
        (_, StartError::Engine { .. } | StartError::NoEngine(_)) => ("", Exit::Configuration),
        (
            _,
            StartError::Listen(_)
            | StartError::System { .. }
            | StartError::Thread { .. }
            | StartError::Certificate(_)
            | StartError::Token(_),
        ) => ("", Exit::Internal),
    };
    (Diagnostic::error(Path::new(""), error.to_string()).help(help), code)
}

/// What the system said, if it was the system that said no.
fn cause(error: &StartError) -> Option<io::ErrorKind> {
    let mut next: Option<&(dyn Error + 'static)> = Some(match error {
        StartError::Listen(listen) => &listen.source,
        other => other,
    });
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}

/// What is served, and a command to try.
fn banner(server: &Server) -> String {
    let settings = server.settings();
    let mut out = String::new();
    for address in server.addresses() {
        let _ = writeln!(out, "listening on udp+tcp {address}");
    }
    for (transport, address) in server.encrypted_addresses() {
        let path = transport.path().map(|path| format!(" at {path}")).unwrap_or_default();
        let _ = writeln!(out, "listening on {} {address}{path}", transport.name());
    }
    if let Some(pin) = server.self_signed() {
        let _ = writeln!(out, "certificate: self-signed, to be pinned as sha256 {pin}");
    }
    if let Some(address) = server.http_address() {
        let _ = writeln!(out, "metrics and health at http://{address}");
    }
    if let Some(address) = server.api_address() {
        match settings.api_token_file {
            None => writeln!(out, "Kubernetes API at http://{address}: kubectl -s http://{address} get pods"),
            Some(_) => writeln!(out, "Kubernetes API at https://{address}: see `headless-dns kubeconfig`"),
        }
        // Text takes everything.
        .unwrap_or_default();
    }
    let objects = |kind| server.control().objects(kind).unwrap_or_default();
    let (mut services, sets) = (objects(Kind::Service), objects(Kind::StatefulSet));
    // The API's own Service is nobody's.
    services.retain(|service| service.key().namespace != "default" || service.key().name != "kubernetes");
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let directories: Vec<String> = settings.manifests.iter().map(|path| visible(&path.display().to_string())).collect();
    let domains: Vec<String> = settings.cluster_domains().map(|domain| bare(&domain.to_string())).collect();
    let _ = writeln!(
        out,
        "serving {}: {}, {} from {}",
        domains.join(", "),
        many(services.len(), "Service"),
        many(sets.len(), "StatefulSet"),
        directories.join(", ")
    );
    let zones = static_zones(server, settings);
    let named = if zones.is_empty() { "none".to_string() } else { zones.join(", ") };
    let _ = writeln!(out, "static zones: {named} from {}", visible(&settings.zones.display().to_string()));
    let _ = match server.upstreams() {
        upstreams if upstreams.is_empty() => writeln!(out, "other names: refused"),
        upstreams => writeln!(out, "other names: asked of {}", upstreams.join(", ")),
    };
    let _ = match &settings.state_directory {
        Some(directory) => writeln!(out, "state: {}", visible(&directory.display().to_string())),
        None => writeln!(out, "state: in memory only"),
    };
    let question = question(&services, &sets, &bare(&settings.cluster_domain.first.to_string()));
    if let Some(address) = server.addresses().first() {
        let _ = writeln!(out, "try: {}", dig(*address, &question));
    }
    out
}

/// The zones that come from files.
fn static_zones(server: &Server, settings: &Settings) -> Vec<String> {
    let built_in = |name: &Name| settings.cluster_domains().chain(&settings.reverse_zones).any(|zone| zone == name);
    let snapshot = server.reader().load().serials();
    snapshot.iter().map(|(name, _)| name).filter(|name| !built_in(name)).map(|name| bare(&name.to_string())).collect()
}

/// A name without its final dot, as people write it.
fn bare(name: &str) -> String {
    name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(name).to_string()
}

/// A name that is served: the first pod of the first StatefulSet whose Service is there, else the first Service.
fn question(services: &[Object], sets: &[Object], domain: &str) -> String {
    let is_there = |namespace: &str, name: &str| {
        services.iter().map(Object::key).any(|key| key.namespace == namespace && key.name == name)
    };
    let of_set = sets.iter().find_map(|set| {
        let Object::StatefulSet(set) = set else { return None };
        let namespace = set.metadata.namespace.as_deref().unwrap_or("default");
        let spec = set.spec.as_ref()?;
        let service = spec.service_name.as_deref().filter(|name| is_there(namespace, name))?;
        let pod = statefulset::pod_name(set, Ordinals::of(set).range().next()?);
        Some(format!("{pod}.{service}.{namespace}.svc.{domain}"))
    });
    let of_service = || {
        let key = services.first()?.key();
        Some(format!("{}.{}.svc.{domain}", key.name, key.namespace))
    };
    of_set.or_else(of_service).unwrap_or_else(|| format!("dns-version.{domain} TXT"))
}

/// A command that asks this server.
fn dig(address: SocketAddr, question: &str) -> String {
    let server = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    match address.port() {
        53 => format!("dig @{server} {question}"),
        port => format!("dig @{server} -p {port} {question}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{control::state::StateError, dns::serve::ListenError};
    use serde_json::json;

    fn object(kind: Kind, json: serde_json::Value) -> Object {
        Object::from_json(kind, json).unwrap()
    }

    #[test]
    fn a_command_to_try() {
        let rows = [
            ("127.0.0.1:1053", "dig @127.0.0.1 -p 1053 x"),
            ("0.0.0.0:53", "dig @127.0.0.1 x"),
            ("[::]:5300", "dig @::1 -p 5300 x"),
        ];
        for (address, expected) in rows {
            assert_eq!(dig(address.parse().unwrap(), "x"), expected);
        }
        let named = |kind: Kind, name: &str, spec: serde_json::Value| {
            object(kind, json!({"metadata": {"name": name, "namespace": "ns"}, "spec": spec}))
        };
        let service = named(Kind::Service, "nginx", json!({}));
        let set = |spec| named(Kind::StatefulSet, "web", spec);
        let selector = json!({"selector": {}, "template": {}});
        let with = |more: serde_json::Value| {
            let mut spec = selector.clone();
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            set(spec)
        };
        let services = std::slice::from_ref(&service);
        let rows = [
            (vec![with(json!({"serviceName": "nginx"}))], services, "web-0.nginx.ns.svc.k8s.test"),
            (
                vec![with(json!({"serviceName": "nginx", "ordinals": {"start": 5}}))],
                services,
                "web-5.nginx.ns.svc.k8s.test",
            ),
            (vec![with(json!({"serviceName": "nginx", "replicas": 0}))], services, "nginx.ns.svc.k8s.test"),
            (vec![with(json!({"serviceName": "other"}))], services, "nginx.ns.svc.k8s.test"),
            (vec![], &[], "dns-version.k8s.test TXT"),
        ];
        for (sets, services, expected) in rows {
            assert_eq!(question(services, &sets, "k8s.test"), expected);
        }
    }

    #[test]
    fn why_the_server_did_not_start() {
        let listen = |kind: io::ErrorKind| {
            StartError::Listen(ListenError {
                address: "127.0.0.1:53".parse().unwrap(),
                transport: "udp",
                source: kind.into(),
            })
        };
        let http = StartError::Listen(ListenError {
            address: "127.0.0.1:9153".parse().unwrap(),
            transport: "http",
            source: io::ErrorKind::AddrInUse.into(),
        });
        let state =
            |kind: io::ErrorKind| StartError::State(StateError::Open { path: "state".into(), source: kind.into() });
        let rows = [
            (http, "cannot listen on http 127.0.0.1:9153", "--metrics-listen", Exit::Configuration),
            (listen(io::ErrorKind::PermissionDenied), "127.0.0.1:53", "setcap", Exit::Permission),
            (listen(io::ErrorKind::AddrInUse), "127.0.0.1:53", "--listen", Exit::Configuration),
            (listen(io::ErrorKind::AddrNotAvailable), "127.0.0.1:53", "--listen", Exit::Configuration),
            (listen(io::ErrorKind::OutOfMemory), "127.0.0.1:53", "", Exit::Internal),
            (state(io::ErrorKind::PermissionDenied), "--state-dir", "", Exit::Permission),
            (state(io::ErrorKind::ReadOnlyFilesystem), "--state-dir", "", Exit::Permission),
            (state(io::ErrorKind::StorageFull), "--state-dir", "", Exit::Configuration),
            (
                StartError::State(StateError::Damaged { file: "cluster.redb".into(), problem: "broken".to_owned() }),
                "cluster.redb is damaged (broken)",
                "",
                Exit::Configuration,
            ),
            (
                StartError::System { what: "a thread", source: io::ErrorKind::WouldBlock.into() },
                "a thread",
                "",
                Exit::Internal,
            ),
        ];
        for (error, message, help, expected) in rows {
            let (diagnostic, code) = explain(&error);
            assert_eq!(code, expected, "{error}");
            assert!(diagnostic.message.contains(message) && diagnostic.help.contains(help), "{diagnostic}");
        }
    }
}
