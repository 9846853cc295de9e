//! Ports of the host that lead into a pod.

use crate::engine::sandbox::{PortBinding, Protocol};
use k8s_openapi::api::core::v1::{ContainerPort, PodSpec};

/// The ports of all containers that name one of the host; none for a pod that is on the host's network anyway.
pub fn port_bindings(spec: &PodSpec) -> Vec<PortBinding> {
    if spec.host_network.unwrap_or(false) {
        return Vec::new();
    }
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = sidecars.chain(&spec.containers).flat_map(|container| container.ports.iter().flatten());
    let mut bindings: Vec<PortBinding> = Vec::new();
    for binding in ports.filter_map(binding) {
        if !bindings.contains(&binding) {
            bindings.push(binding);
        }
    }
    bindings
}

fn binding(port: &ContainerPort) -> Option<PortBinding> {
    let number = |port: i32| u16::try_from(port).ok().filter(|port| *port > 0);
    let address = port.host_ip.as_deref().and_then(|address| address.parse::<std::net::IpAddr>().ok());
    Some(PortBinding {
        host_address: address.filter(|address| !address.is_unspecified()),
        host_port: number(port.host_port?)?,
        port: number(port.container_port)?,
        protocol: match port.protocol.as_deref() {
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            _ => Protocol::Tcp,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{super::testing::pod, *};

    #[test]
    fn rows() {
        let check = |spec: &str, expected: &[&str]| {
            let bindings = port_bindings(pod(spec).spec.as_ref().unwrap());
            let line = |binding: &PortBinding| {
                let address = binding.host_address.map(|address| address.to_string()).unwrap_or_default();
                format!("{address}:{}->{} {:?}", binding.host_port, binding.port, binding.protocol)
            };
            assert_eq!(bindings.iter().map(line).collect::<Vec<_>>(), expected, "{spec}");
        };
        let ports = "ports: [{containerPort: 80}, {containerPort: 81, hostPort: 8081}, \
                     {containerPort: 53, hostPort: 53, protocol: UDP, hostIP: 127.0.0.1}, \
                     {containerPort: 81, hostPort: 8081, hostIP: 0.0.0.0}, {containerPort: 0, hostPort: 5}]";
        let expected = [":8081->81 Tcp", "127.0.0.1:53->53 Udp"];
        check(&format!("{{containers: [{{name: a, {ports}}}]}}"), &expected);
        check(&format!("{{hostNetwork: true, containers: [{{name: a, {ports}}}]}}"), &[]);
        check(&format!("{{initContainers: [{{name: a, {ports}}}]}}"), &[]);
        check(&format!("{{initContainers: [{{name: a, restartPolicy: Always, {ports}}}]}}"), &expected);
    }
}
