//! Probes and hooks with everything resolved: ports by name, hosts, headers.

use super::{SpecError, expansion::expand};
use crate::control::runtime::containers::Probe;
use k8s_openapi::{
    api::core::v1::{self, Container, ExecAction, HTTPGetAction, LifecycleHandler, TCPSocketAction},
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::{collections::HashMap, net::IpAddr, time::Duration};

/// What a probe tries.
///
/// # Errors
/// A port is not there, or nothing is to be tried.
pub fn probe(container: &Container, probe: &v1::Probe, addresses: &[IpAddr]) -> Result<Probe, SpecError> {
    let refused = |message| SpecError { reason: "ProbeError", message };
    if let Some(exec) = &probe.exec {
        return exec_of_probe(container, exec).map_err(refused);
    }
    if let Some(grpc) = &probe.grpc {
        let port = u16::try_from(grpc.port).ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| refused(format!("invalid port number: {}", grpc.port)))?;
        let host = first(addresses).map_err(refused)?;
        return Ok(Probe::Grpc { host, port, service: grpc.service.clone().unwrap_or_default() });
    }
    let found = match (&probe.http_get, &probe.tcp_socket) {
        (Some(http), _) => http_get(container, http, addresses),
        (None, Some(tcp)) => tcp_socket(container, tcp, addresses),
        (None, None) => Err(format!("missing probe handler for container {}", container.name)),
    };
    found.map_err(refused)
}

/// What a hook does.
///
/// # Errors
/// A port is not there, or nothing is to be done.
pub fn hook(container: &Container, handler: &LifecycleHandler, addresses: &[IpAddr]) -> Result<Probe, SpecError> {
    let found = match (&handler.exec, &handler.http_get, &handler.sleep, &handler.tcp_socket) {
        (Some(exec), ..) => Ok(Probe::Exec(exec.command.clone().unwrap_or_default())),
        (None, Some(http), ..) => http_get(container, http, addresses),
        (None, None, Some(sleep), _) => {
            Ok(Probe::Sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))))
        }
        // Upstream has given it up for hooks, and does nothing for it.
        (None, None, None, Some(_)) => {
            Err("invalid handler: tcpSocket is not supported for lifecycle hooks".to_owned())
        }
        (None, None, None, None) => Err("invalid handler: it has no action".to_owned()),
    };
    found.map_err(|message| SpecError { reason: "FailedLifecycleHook", message })
}

/// The command of a probe: references are replaced, but only by what variables say literally, as upstream does.
fn exec_of_probe(container: &Container, exec: &ExecAction) -> Result<Probe, String> {
    let variables = container.env.iter().flatten();
    let literal: HashMap<&str, &str> =
        variables.map(|variable| (variable.name.as_str(), variable.value.as_deref().unwrap_or_default())).collect();
    let words = exec.command.iter().flatten().map(|word| expand(word, |name| literal.get(name).copied()));
    let words = words.collect::<Result<_, _>>();
    words.map(Probe::Exec).map_err(|_| format!("the command of a probe of container {} is too long", container.name))
}

fn http_get(container: &Container, http: &HTTPGetAction, addresses: &[IpAddr]) -> Result<Probe, String> {
    let path = http.path.as_deref().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let headers = http.http_headers.iter().flatten();
    Ok(Probe::Http {
        tls: http.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        host: host(http.host.as_deref(), addresses)?,
        port: port(container, &http.port)?,
        path,
        headers: headers.map(|header| (header.name.clone(), header.value.clone())).collect(),
    })
}

fn tcp_socket(container: &Container, tcp: &TCPSocketAction, addresses: &[IpAddr]) -> Result<Probe, String> {
    Ok(Probe::Tcp { host: host(tcp.host.as_deref(), addresses)?, port: port(container, &tcp.port)? })
}

fn host(named: Option<&str>, addresses: &[IpAddr]) -> Result<String, String> {
    match named.filter(|host| !host.is_empty()) {
        Some(host) => Ok(host.to_owned()),
        None => first(addresses),
    }
}

fn first(addresses: &[IpAddr]) -> Result<String, String> {
    addresses.first().map(ToString::to_string).ok_or_else(|| "the pod has no address yet".to_owned())
}

/// A port by its number or its name in the container.
fn port(container: &Container, port: &IntOrString) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port);
            match named.or_else(|| name.parse().ok()) {
                Some(number) => Some(number),
                None => return Err(format!("port {name} not found in container {}", container.name)),
            }
        }
    };
    let valid = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    valid.ok_or_else(|| format!("invalid port number: {}", number.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{addresses, pod_of},
        *,
    };

    const CONTAINER: &str = "ports: [{containerPort: 8080, name: web}], \
                             env: [{name: A, value: one}, {name: B, valueFrom: {fieldRef: {fieldPath: x}}}]";

    fn http(tls: bool, host: &str, port: u16, path: &str, headers: &[(&str, &str)]) -> Probe {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Probe::Http { tls, host: host.to_owned(), port, path: path.to_owned(), headers }
    }

    fn exec(words: &[&str]) -> Probe {
        Probe::Exec(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn of_probes() {
        let rows = [
            ("httpGet: {port: 80}", Ok(http(false, "10.9.0.7", 80, "/", &[]))),
            (
                "httpGet: {port: web, path: /up?a=b, scheme: HTTPS, host: h.test, httpHeaders: [{name: Host, value: x}, \
                 {name: A, value: b}]}",
                Ok(http(true, "h.test", 8080, "/up?a=b", &[("Host", "x"), ("A", "b")])),
            ),
            ("httpGet: {port: '81', path: up}", Ok(http(false, "10.9.0.7", 81, "/up", &[]))),
            ("tcpSocket: {port: web}", Ok(Probe::Tcp { host: "10.9.0.7".to_owned(), port: 8080 })),
            ("tcpSocket: {port: 70000}", Err("invalid port number: 70000")),
            ("tcpSocket: {port: 0}", Err("invalid port number: 0")),
            ("httpGet: {port: none}", Err("port none not found in container app")),
            (
                "grpc: {port: 9000, service: s}",
                Ok(Probe::Grpc { host: "10.9.0.7".to_owned(), port: 9000, service: "s".to_owned() }),
            ),
            // A variable from elsewhere is empty here, as upstream.
            ("exec: {command: [sh, -c, 'x $(A) $(B) $(C) $$(A)']}", Ok(exec(&["sh", "-c", "x one  $(C) $(A)"]))),
            ("periodSeconds: 1", Err("missing probe handler for container app")),
        ];
        for (text, expected) in rows {
            let (_, container) = pod_of(&format!("{CONTAINER}, livenessProbe: {{{text}}}"), "");
            let found = probe(&container, container.liveness_probe.as_ref().unwrap(), &addresses("10.9.0.7 fd00::7"));
            assert_eq!(found.map_err(|error| error.message), expected.map_err(str::to_owned), "{text}");
        }
        let (_, container) = pod_of("livenessProbe: {tcpSocket: {port: 80}}", "");
        let found = probe(&container, container.liveness_probe.as_ref().unwrap(), &[]);
        assert_eq!(found.unwrap_err().message, "the pod has no address yet");
    }

    #[test]
    fn of_hooks() {
        let rows = [
            ("exec: {command: [echo, $(A)]}", Ok(exec(&["echo", "$(A)"]))),
            ("httpGet: {port: web, path: /stop}", Ok(http(false, "10.9.0.7", 8080, "/stop", &[]))),
            ("sleep: {seconds: 5}", Ok(Probe::Sleep(Duration::from_secs(5)))),
            ("sleep: {seconds: -5}", Ok(Probe::Sleep(Duration::ZERO))),
            ("tcpSocket: {port: 1}", Err("invalid handler: tcpSocket is not supported for lifecycle hooks")),
            ("", Err("invalid handler: it has no action")),
        ];
        for (text, expected) in rows {
            let (_, container) = pod_of(&format!("{CONTAINER}, lifecycle: {{preStop: {{{text}}}}}"), "");
            let handler = container.lifecycle.as_ref().unwrap().pre_stop.as_ref().unwrap();
            let found = hook(&container, handler, &addresses("10.9.0.7"));
            assert_eq!(found.map_err(|error| error.message), expected.map_err(str::to_owned), "{text}");
        }
    }
}
