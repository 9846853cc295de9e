//! Variables of Services with an address: those of upstream's `envvars.FromServices`, which are as old as Docker's links.

use crate::control::runtime::containers::{Referenced, ServiceVariables};
use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
};

/// The Service that pods have variables of whatever `enableServiceLinks` says.
const API_SERVICE: &str = "kubernetes";

/// The variables of all Services that a pod sees, in the order of the Services.
pub fn service_variables(referenced: &Referenced, enable_service_links: bool) -> Vec<(String, String)> {
    let mut seen = HashSet::new();
    let mut variables = Vec::new();
    // Those of the pod's own namespace come first and hide another one of their name.
    let services = referenced.services.iter().filter(|service| enable_service_links || service.name == API_SERVICE);
    for service in services {
        if seen.insert(service.name.as_str()) {
            of_service(service, &mut variables);
        }
    }
    variables
}

fn of_service(service: &ServiceVariables, variables: &mut Vec<(String, String)>) {
    let prefix = variable_name(&service.name);
    let address = service.address;
    variables.push((format!("{prefix}_SERVICE_HOST"), address.to_string()));
    let Some((_, protocol, port)) = service.ports.first() else { return };
    variables.push((format!("{prefix}_SERVICE_PORT"), port.to_string()));
    let named = service.ports.iter().filter(|(name, ..)| !name.is_empty());
    variables.extend(
        named.map(|(name, _, port)| (format!("{prefix}_SERVICE_PORT_{}", variable_name(name)), port.to_string())),
    );
    variables.push((format!("{prefix}_PORT"), url(protocol, address, *port)));
    for (_, protocol, port) in &service.ports {
        let prefix = format!("{prefix}_PORT_{port}_{}", protocol.to_uppercase());
        variables.push((prefix.clone(), url(protocol, address, *port)));
        variables.push((format!("{prefix}_PROTO"), protocol.to_lowercase()));
        variables.push((format!("{prefix}_PORT"), port.to_string()));
        variables.push((format!("{prefix}_ADDR"), address.to_string()));
    }
}

fn url(protocol: &str, address: IpAddr, port: u16) -> String {
    format!("{}://{}", protocol.to_lowercase(), SocketAddr::new(address, port))
}

fn variable_name(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Port = (&'static str, &'static str, u16);

    fn check(services: &[(&str, &str, &[Port])], links: bool, expected: &[&str]) {
        let services = services.iter().map(|(name, address, ports)| ServiceVariables {
            name: (*name).to_owned(),
            address: address.parse().unwrap(),
            ports: ports.iter().map(|(name, protocol, port)| ((*name).into(), (*protocol).into(), *port)).collect(),
        });
        let referenced = Referenced { services: services.collect(), ..Referenced::default() };
        let variables = service_variables(&referenced, links);
        let lines: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn rows() {
        check(
            &[("my-db", "10.96.0.7", &[("sql", "TCP", 5432), ("dns-tcp", "UDP", 53)])],
            true,
            &[
                "MY_DB_SERVICE_HOST=10.96.0.7",
                "MY_DB_SERVICE_PORT=5432",
                "MY_DB_SERVICE_PORT_SQL=5432",
                "MY_DB_SERVICE_PORT_DNS_TCP=53",
                "MY_DB_PORT=tcp://10.96.0.7:5432",
                "MY_DB_PORT_5432_TCP=tcp://10.96.0.7:5432",
                "MY_DB_PORT_5432_TCP_PROTO=tcp",
                "MY_DB_PORT_5432_TCP_PORT=5432",
                "MY_DB_PORT_5432_TCP_ADDR=10.96.0.7",
                "MY_DB_PORT_53_UDP=udp://10.96.0.7:53",
                "MY_DB_PORT_53_UDP_PROTO=udp",
                "MY_DB_PORT_53_UDP_PORT=53",
                "MY_DB_PORT_53_UDP_ADDR=10.96.0.7",
            ],
        );
        let six: &[Port] = &[("", "TCP", 80)];
        check(
            &[("w", "fd00::9", six)],
            true,
            &[
                "W_SERVICE_HOST=fd00::9",
                "W_SERVICE_PORT=80",
                "W_PORT=tcp://[fd00::9]:80",
                "W_PORT_80_TCP=tcp://[fd00::9]:80",
                "W_PORT_80_TCP_PROTO=tcp",
                "W_PORT_80_TCP_PORT=80",
                "W_PORT_80_TCP_ADDR=fd00::9",
            ],
        );
        check(&[("w", "10.96.0.9", six)], false, &[]);
        check(&[("kubernetes", "10.96.0.1", &[])], false, &["KUBERNETES_SERVICE_HOST=10.96.0.1"]);
        let twice: &[(&str, &str, &[Port])] = &[("kubernetes", "10.96.0.9", &[]), ("kubernetes", "10.96.0.1", &[])];
        check(twice, true, &["KUBERNETES_SERVICE_HOST=10.96.0.9"]);
    }
}
