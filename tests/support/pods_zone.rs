//! The zone of a headless Service of many pods, as records: `nginx` in namespace `default` with a port `web`.

use headless_dns::dns::{
    name::Name,
    wire::rdata::{self, RecordType},
    zone::{Delta, Rrset, ZoneSpec},
};

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// A zone without records but its own.
pub fn spec(origin: &str) -> ZoneSpec {
    ZoneSpec {
        origin: name(origin),
        name_server: name("ns.dns.cluster.local"),
        name_server_addresses: vec!["127.0.0.1".parse().expect("an address")],
        mailbox: name("hostmaster.cluster.local"),
        serial: 1,
        ttl: 5,
        negative_ttl: 1,
        empty_names: vec![],
    }
}

/// The records of so many pods: each has an address of its own, one of the Service's, and its share of the SRV records.
pub fn records(pods: u8) -> Delta {
    let mut delta = Delta::default();
    let (mut addresses, mut ports) = (Vec::new(), Vec::new());
    for pod in 0..pods {
        let host = name(&format!("web-{pod}.nginx.default.svc.cluster.local"));
        addresses.push(vec![10, 244, 0, pod]);
        ports.push(rdata::srv(0, 1, 80, &host));
        delta.set(host, Rrset::new(RecordType::A, 5, [vec![10, 244, 0, pod]]));
    }
    delta.set(name("nginx.default.svc.cluster.local"), Rrset::new(RecordType::A, 5, addresses));
    delta.set(name("_web._tcp.nginx.default.svc.cluster.local"), Rrset::new(RecordType::SRV, 5, ports));
    delta
}
