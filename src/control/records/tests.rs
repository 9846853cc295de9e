//! Objects as YAML, and the records they give in zone-file syntax; names without final dot are relative to
//! `svc.cluster.local.`.

use super::*;
use crate::dns::zone::Rrset;
use proptest::prelude::*;
use serde_yaml::Value;
use std::collections::BTreeMap;

type Published = BTreeMap<(Name, RecordType), Rrset>;

fn records() -> Records {
    Records::new(RecordSettings::new(Name::parse("cluster.local").unwrap(), 5))
}

/// Services and slices of a document.
fn feed(records: &mut Records, yaml: &str) {
    feed_leaving(records, yaml, None);
}

/// Services and slices of a document, where the endpoints of one hostname are about to go.
fn feed_leaving(records: &mut Records, yaml: &str, leaving: Option<&str>) {
    use serde::Deserialize;
    for document in serde_yaml::Deserializer::from_str(yaml) {
        let mut value = Value::deserialize(document).unwrap();
        let metadata = &mut value["metadata"];
        let namespace = metadata.get("namespace").and_then(Value::as_str).unwrap_or("default").to_owned();
        let name = metadata["name"].as_str().unwrap().to_owned();
        if value.get("addressType").is_some() {
            if let Some(owner) = value.as_mapping_mut().unwrap().remove("of") {
                value["metadata"]["labels"] =
                    serde_yaml::from_str(&format!("{{kubernetes.io/service-name: {}}}", owner.as_str().unwrap()))
                        .unwrap();
            }
            let slice: EndpointSlice = serde_yaml::from_value(value).unwrap();
            let is_leaving = |endpoint: &Endpoint| leaving.is_some() && endpoint.hostname.as_deref() == leaving;
            records.slice_with(&namespace, &name, Some(&slice), is_leaving);
        } else {
            let service: Service = serde_yaml::from_value(value).unwrap();
            records.service(&namespace, &name, Some(&service));
        }
    }
}

fn apply(published: &mut Published, delta: Delta) {
    let mut seen = std::collections::HashSet::new();
    for (owner, rtype, rrset) in delta.changes {
        let key = (owner, rtype);
        assert!(seen.insert(key.clone()), "each set at most once: {key:?}");
        match rrset {
            Some(rrset) => {
                assert!(rrset.ttl() <= 5 && !rrset.is_empty());
                assert_ne!(published.insert(key, rrset.clone()), Some(rrset), "only what differs is told");
            }
            None => assert!(published.remove(&key).is_some(), "only what is there is removed: {key:?}"),
        }
    }
}

fn short(name: &Name) -> String {
    let text = name.to_string();
    text.strip_suffix(".svc.cluster.local.").map(str::to_owned).unwrap_or(text)
}

fn lines(published: &Published) -> Vec<String> {
    let mut lines = Vec::new();
    for ((owner, rtype), rrset) in published {
        for rdata in rrset.rdata() {
            let number = |at: usize| u16::from_be_bytes([rdata[at], rdata[at + 1]]);
            let text = match *rtype {
                RecordType::A => format!("A {}", IpAddr::from(<[u8; 4]>::try_from(rdata).unwrap())),
                RecordType::AAAA => format!("AAAA {}", IpAddr::from(<[u8; 16]>::try_from(rdata).unwrap())),
                RecordType::PTR => format!("PTR {}", short(&Name::from_wire(rdata).unwrap())),
                RecordType::CNAME => format!("CNAME {}", short(&Name::from_wire(rdata).unwrap())),
                RecordType::TXT => format!("TXT {:?}", std::str::from_utf8(&rdata[1..]).unwrap()),
                RecordType::SRV => {
                    let target = short(&Name::from_wire(&rdata[6..]).unwrap());
                    format!("SRV {} {} {} {target}", number(0), number(2), number(4))
                }
                other => panic!("no other type is made: {other:?}"),
            };
            lines.push(format!("{} {text}", short(owner)));
        }
    }
    lines.retain(|line| line != "dns-version.cluster.local. TXT \"1.1.0\"");
    lines.sort();
    lines
}

/// The records of some objects, in whatever order these come.
fn check(what: &str, yaml: &str, expected: &[&str]) {
    let mut expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
    expected.sort();
    let mut documents: Vec<&str> = yaml.split("---\n").collect();
    for _ in 0..2 {
        let mut records = records();
        documents.iter().for_each(|document| feed(&mut records, document));
        let mut published = Published::new();
        apply(&mut published, records.take());
        assert_eq!(lines(&published), expected, "{what}");
        documents.reverse();
    }
}

#[test]
fn dns_version() {
    let delta = records().take();
    assert_eq!(delta.changes.len(), 1);
    let (owner, rtype, rrset) = &delta.changes[0];
    assert_eq!((owner.to_string().as_str(), *rtype), ("dns-version.cluster.local.", RecordType::TXT));
    assert_eq!(rrset.as_ref().unwrap().rdata().next().unwrap(), b"\x051.1.0");
}

#[test]
fn services_with_an_address() {
    check(
        "18-20, 33, 34, 43, 105-107: both families, named ports with the Service's number, unnamed ones at its name only",
        "metadata: {name: api, namespace: prod}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.7
  clusterIPs: [10.96.0.7, 'FD00:96::0:7']
  externalIPs: [198.51.100.1]
  ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}, {name: dns, port: 53, protocol: UDP}, {port: 9}]
",
        &[
            "api.prod A 10.96.0.7",
            "api.prod AAAA fd00:96::7",
            "_http._tcp.api.prod SRV 0 100 80 api.prod",
            "_dns._udp.api.prod SRV 0 100 53 api.prod",
            "api.prod SRV 0 33 53 api.prod",
            "api.prod SRV 0 33 80 api.prod",
            "api.prod SRV 0 33 9 api.prod",
            "7.0.96.10.in-addr.arpa. PTR api.prod",
            "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa. PTR api.prod",
        ],
    );
    check(
        "22, 23, 29, N14: clusterIP alone; no readiness; names of pods with hostname, none with dashes; no SRV to pods",
        "metadata: {name: db}
spec: {clusterIP: 10.96.0.8, ports: [{name: sql, port: 5432}]}
---
metadata: {name: db-1}
of: db
addressType: IPv4
ports: [{name: sql, port: 5432}]
endpoints:
- {addresses: [10.1.0.1], hostname: db-0}
- {addresses: [10.1.0.2], hostname: db-1, conditions: {ready: false}}
- {addresses: [10.1.0.3]}
",
        &[
            "db.default A 10.96.0.8",
            "_sql._tcp.db.default SRV 0 100 5432 db.default",
            "db.default SRV 0 100 5432 db.default",
            "8.0.96.10.in-addr.arpa. PTR db.default",
            "db-0.db.default A 10.1.0.1",
            "1.0.1.10.in-addr.arpa. PTR db-0.db.default",
        ],
    );
    check(
        "27, 41: no address yet, so nothing",
        "{metadata: {name: new}, spec: {clusterIP: '', ports: [{name: a, port: 1}]}}\n---\n{metadata: {name: none}}",
        &[],
    );
    check(
        "31, 32, 47: digits first, words of the schema, capitals in a port; what is no label makes no name",
        "metadata: {name: svc, namespace: svc}
spec: {clusterIP: 10.96.0.1, ports: [{name: TCP, port: 1, protocol: SCTP}]}
---
{metadata: {name: 0db, namespace: pod}, spec: {clusterIP: 10.96.0.2}}
---
{metadata: {name: '*'}, spec: {clusterIP: 10.96.0.3}}
---
{metadata: {name: a.b}, spec: {clusterIP: 10.96.0.4}}
---
{metadata: {name: odd}, spec: {clusterIP: 0.0.0.0, ports: [{name: a.b, port: 1}, {name: '', port: 2}]}}
",
        &[
            "svc.svc A 10.96.0.1",
            "_tcp._sctp.svc.svc SRV 0 100 1 svc.svc",
            "svc.svc SRV 0 100 1 svc.svc",
            "1.0.96.10.in-addr.arpa. PTR svc.svc",
            "0db.pod A 10.96.0.2",
            "2.0.96.10.in-addr.arpa. PTR 0db.pod",
        ],
    );
}

#[test]
fn headless_services() {
    check(
        "49-53, 59, 73-77, 81, 83, 90: hostnames, readiness, both families under one name, the endpoint's port",
        "{metadata: {name: nginx}, spec: {clusterIP: None, ports: [{name: web, port: 80, targetPort: 8080}]}}
---
metadata: {name: nginx-a}
of: nginx
addressType: IPv4
ports: [{name: web, port: 8080, protocol: TCP}, {name: '', port: 9}, {port: 10}, {name: all}]
endpoints:
- {addresses: [10.1.0.1], hostname: web-0, conditions: {ready: true, serving: false, terminating: true}}
- {addresses: [10.1.0.2], hostname: web-1, conditions: {serving: false}}
- {addresses: [10.1.0.3], hostname: web-2, conditions: {ready: false, serving: true, terminating: true}}
---
metadata: {name: nginx-b}
of: nginx
addressType: IPv6
ports: [{name: web, port: 8080}]
endpoints:
- {addresses: ['FD00:0:0::AB'], hostname: web-0}
",
        &[
            "nginx.default A 10.1.0.1",
            "nginx.default A 10.1.0.2",
            "nginx.default AAAA fd00::ab",
            "web-0.nginx.default A 10.1.0.1",
            "web-0.nginx.default AAAA fd00::ab",
            "web-1.nginx.default A 10.1.0.2",
            "_web._tcp.nginx.default SRV 0 50 8080 web-0.nginx.default",
            "_web._tcp.nginx.default SRV 0 50 8080 web-1.nginx.default",
            "nginx.default SRV 0 16 8080 web-0.nginx.default",
            "nginx.default SRV 0 16 8080 web-1.nginx.default",
            "nginx.default SRV 0 16 9 web-0.nginx.default",
            "nginx.default SRV 0 16 9 web-1.nginx.default",
            "nginx.default SRV 0 16 10 web-0.nginx.default",
            "nginx.default SRV 0 16 10 web-1.nginx.default",
            "1.0.1.10.in-addr.arpa. PTR web-0.nginx.default",
            "2.0.1.10.in-addr.arpa. PTR web-1.nginx.default",
            "b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR web-0.nginx.default",
        ],
    );
    check(
        "51, 66, 82, 110: an address twice, two endpoints of one hostname, two addresses of one endpoint",
        "{metadata: {name: h}, spec: {clusterIP: None}}
---
metadata: {name: h-a}
of: h
addressType: IPv4
ports: [{name: p, port: 1}]
endpoints:
- {addresses: [10.1.0.1], hostname: dup}
- {addresses: [10.1.0.1], hostname: dup}
- {addresses: [10.1.0.2, 10.1.0.2, 10.1.0.3, fd00::1, nonsense], hostname: dup}
---
metadata: {name: h-b}
of: h
addressType: IPv4
ports: [{name: p, port: 1}]
endpoints: [{addresses: [10.1.0.1], hostname: dup}]
",
        &[
            "h.default A 10.1.0.1",
            "h.default A 10.1.0.2",
            "h.default A 10.1.0.3",
            "dup.h.default A 10.1.0.1",
            "dup.h.default A 10.1.0.2",
            "dup.h.default A 10.1.0.3",
            "_p._tcp.h.default SRV 0 100 1 dup.h.default",
            "h.default SRV 0 100 1 dup.h.default",
            "1.0.1.10.in-addr.arpa. PTR dup.h.default",
            "2.0.1.10.in-addr.arpa. PTR dup.h.default",
            "3.0.1.10.in-addr.arpa. PTR dup.h.default",
        ],
    );
    check(
        "54, 55, 57, 58, 61, 72: dashes; hostnames that are none; digits; a hostname that looks like another's dashes",
        "{metadata: {name: h}, spec: {clusterIP: None}}
---
metadata: {name: h-a}
of: h
addressType: IPv4
endpoints:
- {addresses: [10.1.0.1]}
- {addresses: [10.1.0.2], hostname: a.b}
- {addresses: [10.1.0.3], hostname: '123'}
- {addresses: [10.1.0.4], hostname: 10-1-0-1}
- {addresses: [10.1.0.5], hostname: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
---
metadata: {name: h-b}
of: h
addressType: IPv6
endpoints: [{addresses: ['fd00::']}, {addresses: ['2001:db8::0:1']}]
",
        &[
            "h.default A 10.1.0.1",
            "h.default A 10.1.0.2",
            "h.default A 10.1.0.3",
            "h.default A 10.1.0.4",
            "h.default A 10.1.0.5",
            "h.default AAAA 2001:db8::1",
            "h.default AAAA fd00::",
            "10-1-0-1.h.default A 10.1.0.1",
            "10-1-0-1.h.default A 10.1.0.4",
            "10-1-0-2.h.default A 10.1.0.2",
            "123.h.default A 10.1.0.3",
            "10-1-0-5.h.default A 10.1.0.5",
            "2001-db8--1.h.default AAAA 2001:db8::1",
            "fd00--0.h.default AAAA fd00::",
            "1.0.1.10.in-addr.arpa. PTR 10-1-0-1.h.default",
            "2.0.1.10.in-addr.arpa. PTR 10-1-0-2.h.default",
            "3.0.1.10.in-addr.arpa. PTR 123.h.default",
            "4.0.1.10.in-addr.arpa. PTR 10-1-0-1.h.default",
            "5.0.1.10.in-addr.arpa. PTR 10-1-0-5.h.default",
            "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR fd00--0.h.default",
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR 2001-db8--1.h.default",
        ],
    );
    check(
        "85, 86, 91: numbers that differ by slice, no protocol, SRV to dashes, weights of three",
        "{metadata: {name: h}, spec: {clusterIP: None}}
---
metadata: {name: h-a}
of: h
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.1.0.1], hostname: a}, {addresses: [10.1.0.2]}]
---
metadata: {name: h-b}
of: h
addressType: IPv4
ports: [{name: http, port: 8081, protocol: TCP}, {name: http, port: 70000, protocol: UDP}]
endpoints: [{addresses: [10.1.0.3], hostname: c}]
",
        &[
            "h.default A 10.1.0.1",
            "h.default A 10.1.0.2",
            "h.default A 10.1.0.3",
            "a.h.default A 10.1.0.1",
            "10-1-0-2.h.default A 10.1.0.2",
            "c.h.default A 10.1.0.3",
            "_http._tcp.h.default SRV 0 33 8080 10-1-0-2.h.default",
            "_http._tcp.h.default SRV 0 33 8080 a.h.default",
            "_http._tcp.h.default SRV 0 33 8081 c.h.default",
            "h.default SRV 0 33 8080 10-1-0-2.h.default",
            "h.default SRV 0 33 8080 a.h.default",
            "h.default SRV 0 33 8081 c.h.default",
            "1.0.1.10.in-addr.arpa. PTR a.h.default",
            "2.0.1.10.in-addr.arpa. PTR 10-1-0-2.h.default",
            "3.0.1.10.in-addr.arpa. PTR c.h.default",
        ],
    );
    check(
        "68, 89: nothing ready, nothing there",
        "{metadata: {name: h}, spec: {clusterIP: None, clusterIPs: [None], ports: [{name: a, port: 1}]}}
---
metadata: {name: x}
of: h
addressType: IPv4
ports: [{name: a, port: 1}]
endpoints: [{addresses: [10.1.0.1], conditions: {ready: false}}]
---
{metadata: {name: y}, of: h, addressType: IPv6}
",
        &[],
    );
    check(
        "78: publishNotReadyAddresses disregards a hand-written slice's readiness",
        "{metadata: {name: h}, spec: {clusterIP: None, publishNotReadyAddresses: true}}
---
metadata: {name: x}
of: h
addressType: IPv4
endpoints: [{addresses: [10.1.0.1], hostname: a, conditions: {ready: false}}]
",
        &["h.default A 10.1.0.1", "a.h.default A 10.1.0.1", "1.0.1.10.in-addr.arpa. PTR a.h.default"],
    );
}

#[test]
fn slices_that_make_nothing() {
    check(
        "64, 65: orphans, no label, another namespace, FQDN",
        "{metadata: {name: h}, spec: {clusterIP: None}}
---
{metadata: {name: a}, of: gone, addressType: IPv4, endpoints: [{addresses: [10.1.0.1]}]}
---
{metadata: {name: b}, addressType: IPv4, endpoints: [{addresses: [10.1.0.2]}]}
---
{metadata: {name: c, namespace: other}, of: h, addressType: IPv4, endpoints: [{addresses: [10.1.0.3]}]}
---
{metadata: {name: d}, of: h, addressType: FQDN, endpoints: [{addresses: [www.example.com]}]}
---
{metadata: {name: e}, of: h, addressType: IPv6, endpoints: [{addresses: [10.1.0.4]}]}
",
        &[],
    );
}

#[test]
fn external_names() {
    check(
        "92, 100-103: always absolute, nothing below, no address for a name",
        "{metadata: {name: a}, spec: {type: ExternalName, externalName: WWW.Example.com, ports: [{name: p, port: 1}]}}
---
{metadata: {name: b}, spec: {type: ExternalName, externalName: nginx.default.svc.cluster.local.}}
---
{metadata: {name: c}, spec: {type: ExternalName, externalName: 192.0.2.1}}
---
{metadata: {name: d}, spec: {type: ExternalName, externalName: 'fd00::1'}}
---
{metadata: {name: e}, spec: {type: ExternalName, externalName: ''}}
---
{metadata: {name: f}, spec: {type: ExternalName}}
---
{metadata: {name: g}, spec: {type: ExternalName, externalName: 192.0.2.1.}}
---
metadata: {name: s}
of: a
addressType: IPv4
ports: [{name: p, port: 1}]
endpoints: [{addresses: [10.1.0.1], hostname: h}]
",
        &["a.default CNAME www.example.com.", "b.default CNAME nginx.default"],
    );
}

#[test]
fn one_pointer_for_one_address() {
    let slice = |of: &str, endpoint: &str| {
        format!("---\n{{metadata: {{name: slice-of-{of}}}, of: {of}, addressType: IPv4, endpoints: [{endpoint}]}}\n")
    };
    let headless = |name: &str| format!("---\n{{metadata: {{name: {name}}}, spec: {{clusterIP: None}}}}\n");
    let address = |name: &str, ip: &str| format!("---\n{{metadata: {{name: {name}}}, spec: {{clusterIP: {ip}}}}}\n");
    let named = "{addresses: [10.1.0.1], hostname: web-0}";
    let bare = "{addresses: [10.1.0.1]}";
    let rows: &[(&str, String, &[&str])] = &[
        (
            "the hostname's",
            headless("a") + &slice("a", bare) + &headless("b") + &slice("b", named),
            &["web-0.b.default"],
        ),
        (
            "109: both hostnames'",
            headless("a") + &slice("a", named) + &headless("b") + &slice("b", named),
            &["web-0.a.default", "web-0.b.default"],
        ),
        ("113: the ClusterIP's", headless("a") + &slice("a", named) + &address("b", "10.1.0.1"), &["b.default"]),
        (
            "the headless Service's before the other's",
            headless("a") + &slice("a", named) + &address("b", "10.96.0.1") + &slice("b", named),
            &["web-0.a.default"],
        ),
        (
            "a hostname before dashes, even behind a ClusterIP",
            headless("a") + &slice("a", bare) + &address("b", "10.96.0.1") + &slice("b", named),
            &["web-0.b.default"],
        ),
        ("112: none behind a ClusterIP without hostname", address("b", "10.96.0.1") + &slice("b", bare), &[]),
    ];
    for (what, yaml, expected) in rows {
        let mut records = records();
        yaml.split("---\n").filter(|document| !document.is_empty()).for_each(|document| feed(&mut records, document));
        let mut published = Published::new();
        apply(&mut published, records.take());
        let prefix = "1.0.1.10.in-addr.arpa. PTR ";
        let lines = lines(&published);
        let targets: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(prefix)).collect();
        assert_eq!(targets, *expected, "{what}");
        for target in targets {
            assert!(lines.contains(&format!("{target} A 10.1.0.1")), "115: {target} resolves back");
        }
    }
}

#[test]
fn a_delta_tells_only_what_changed() {
    let mut records = records();
    let slice = |first: &str, second: &str| {
        format!(
            "{{metadata: {{name: s}}, of: nginx, addressType: IPv4, ports: [{{name: web, port: 80}}], endpoints: \
             [{{addresses: [{first}], hostname: web-0}}, {{addresses: [{second}], hostname: web-1}}]}}"
        )
    };
    feed(&mut records, "{metadata: {name: nginx, labels: {a: b}}, spec: {clusterIP: None}}");
    feed(&mut records, &slice("10.1.0.1", "10.1.0.2"));
    let mut published = Published::new();
    apply(&mut published, records.take());
    assert!(records.take().is_empty());

    // Labels, an order, a detour: nothing.
    feed(
        &mut records,
        "{metadata: {name: nginx, labels: {a: c}}, spec: {clusterIP: None, ports: [{name: x, port: 1}]}}",
    );
    feed(&mut records, &slice("10.1.0.9", "10.1.0.8"));
    feed(&mut records, &slice("10.1.0.1", "10.1.0.2"));
    records.service("default", "nginx", None);
    feed(&mut records, "{metadata: {name: nginx}, spec: {clusterIP: None}}");
    assert!(records.take().is_empty());

    // A pod that comes back with a new address: its name, the Service's, two pointers; SRV is as it was.
    feed(&mut records, &slice("10.1.0.1", "10.1.0.3"));
    let delta = records.take();
    let mut shown: Vec<String> = delta
        .changes
        .iter()
        .map(|(owner, rtype, rrset)| format!("{} {} {}", short(owner), rtype.0, rrset.as_ref().map_or(0, Rrset::len)))
        .collect();
    let expected =
        ["2.0.1.10.in-addr.arpa. 12 0", "3.0.1.10.in-addr.arpa. 12 1", "nginx.default 1 2", "web-1.nginx.default 1 1"];
    shown.sort_unstable();
    assert_eq!(shown, expected);
    apply(&mut published, delta);

    // The slice moves to another Service, then goes.
    feed(&mut records, &slice("10.1.0.1", "10.1.0.3").replace("of: nginx", "of: other"));
    apply(&mut published, records.take());
    assert_eq!(lines(&published), Vec::<String>::new());
    feed(&mut records, "{metadata: {name: other}, spec: {clusterIP: None}}");
    apply(&mut published, records.take());
    assert!(lines(&published).contains(&"web-1.other.default A 10.1.0.3".to_owned()));
    records.slice("default", "s", None);
    apply(&mut published, records.take());
    assert_eq!(lines(&published), Vec::<String>::new());
    records.service("default", "other", None);
    records.service("default", "nginx", None);
    records.service("default", "never-seen", None);
    records.slice("default", "never-seen", None);
    let delta = records.take();
    assert!(delta.changes.is_empty() && delta.notes.iter().all(|(_, note)| note.is_none()), "{delta:?}");
    assert!(records.take().is_empty());
    assert!(records.services.is_empty() && records.owners.is_empty(), "nothing is kept of what is gone");
    assert!(records.namespaces.is_empty() && records.declared.is_empty(), "nor is anything of notes");
}

#[test]
fn ten_thousand_endpoints_and_one_change() {
    let slice = |number: usize, last: usize| {
        let endpoints: Vec<String> = (0..100)
            .map(|n| {
                format!("{{addresses: [10.1.{number}.{}], hostname: web-{number}-{n}}}", if n == 99 { last } else { n })
            })
            .collect();
        let text = format!(
            "{{metadata: {{name: s{number}}}, of: h, addressType: IPv4, endpoints: [{}]}}",
            endpoints.join(",")
        );
        text
    };
    let mut records = records();
    feed(&mut records, "{metadata: {name: h}, spec: {clusterIP: None}}");
    (0..100).for_each(|number| feed(&mut records, &slice(number, 99)));
    let mut published = Published::new();
    apply(&mut published, records.take());
    let h = (Name::parse("h.default.svc.cluster.local").unwrap(), RecordType::A);
    assert_eq!(published[&h].len(), 10_000);
    feed(&mut records, &slice(7, 200));
    assert_eq!(
        records.rrsets.changed(),
        4,
        "the Service's set, the pod's, two pointers; no other set was even looked at"
    );
    apply(&mut published, records.take());
    assert_eq!(published[&h].len(), 10_000);
}

/// `owner TTL` of every set, as objects and settings give it.
fn ttls(records: &mut Records) -> Vec<String> {
    let mut published = Published::new();
    apply(&mut published, records.take());
    let lines = published.iter().map(|((owner, rtype), set)| format!("{} {rtype} {}", short(owner), set.ttl()));
    lines.filter(|line| !line.starts_with("dns-version")).collect()
}

fn with_ttls() -> RecordSettings {
    let ttls = Ttls { pods: Some(4), srv: Some(3), ptr: Some(2), replaced: 1, ..Ttls::all(5) };
    RecordSettings { ttls, ..RecordSettings::new(Name::parse("cluster.local").unwrap(), 5) }
}

#[test]
fn ttls_by_kind_by_service_and_of_those_that_go() {
    let service = |annotations: &str, spec: &str| format!("{{metadata: {{name: h{annotations}}}, spec: {spec}}}");
    let headless = |annotations: &str| service(annotations, "{clusterIP: None, publishNotReadyAddresses: true}");
    let slice = |conditions: &str| {
        format!(
            "{{metadata: {{name: s}}, of: h, addressType: IPv4, ports: [{{name: p, port: 1}}], endpoints: \
             [{{addresses: [10.1.0.1], hostname: a}}, {{addresses: [10.1.0.2], hostname: b, conditions: {conditions}}}]}}"
        )
    };
    // What is fed, who leaves though the slice does not say so, the TTLs of: the Service, a, b, SRV, the pointers of a, b.
    type Row<'a> = (&'a str, String, String, Option<&'a str>, [u32; 6]);
    let rows: &[Row<'_>] = &[
        ("by kind", headless(""), slice("{}"), None, [5, 4, 4, 3, 2, 2]),
        ("terminating", headless(""), slice("{terminating: true}"), None, [1, 4, 1, 1, 2, 1]),
        ("about to be replaced", headless(""), slice("{}"), Some("b"), [1, 4, 1, 1, 2, 1]),
        ("annotation", headless(", annotations: {headless-dns/ttl: '9'}"), slice("{}"), None, [9; 6]),
        ("both", headless(", annotations: {headless-dns/ttl: '9'}"), slice("{}"), Some("b"), [1, 9, 1, 1, 9, 1]),
        ("annotation of 0", headless(", annotations: {headless-dns/ttl: '0'}"), slice("{}"), Some("b"), [0; 6]),
        ("bad", headless(", annotations: {headless-dns/ttl: '3601'}"), slice("{}"), None, [5, 4, 4, 3, 2, 2]),
    ];
    for (what, service, slice, leaving, expected) in rows {
        let expected = [
            format!("1.0.1.10.in-addr.arpa. PTR {}", expected[4]),
            format!("2.0.1.10.in-addr.arpa. PTR {}", expected[5]),
            format!("h.default A {}", expected[0]),
            format!("h.default SRV {}", expected[3]),
            format!("_p._tcp.h.default SRV {}", expected[3]),
            format!("a.h.default A {}", expected[1]),
            format!("b.h.default A {}", expected[2]),
        ];
        let mut records = Records::new(with_ttls());
        feed(&mut records, service);
        feed_leaving(&mut records, slice, *leaving);
        let mut published = Published::new();
        let delta = records.take();
        for (owner, rtype, set) in delta.changes {
            published.insert((owner, rtype), set.unwrap());
        }
        let mut lines: Vec<String> =
            published.iter().map(|((owner, rtype), set)| format!("{} {rtype} {}", short(owner), set.ttl())).collect();
        lines.retain(|line| !line.starts_with("dns-version"));
        lines.sort();
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(lines, expected, "{what}");
    }
    let mut records = Records::new(with_ttls());
    feed(&mut records, &service("", "{clusterIP: 10.96.0.1, ports: [{port: 1}]}"));
    assert_eq!(ttls(&mut records), ["1.0.96.10.in-addr.arpa. PTR 2", "h.default A 5", "h.default SRV 3"]);
    feed(&mut records, &service("", "{type: ExternalName, externalName: a.example}"));
    let changed: Vec<_> =
        records.take().changes.into_iter().map(|(_, rtype, set)| (rtype, set.map(|s| s.ttl()))).collect();
    assert!(changed.contains(&(RecordType::CNAME, Some(5))), "{changed:?}");
}

/// What is noted: `owner (exists, TTL): reason`.
fn noted(notes: &BTreeMap<Name, std::sync::Arc<crate::dns::zone::NameNote>>) -> Vec<String> {
    let line = |(owner, note): (&Name, &std::sync::Arc<crate::dns::zone::NameNote>)| {
        let ttl = note.negative_ttl.map_or("-".to_owned(), |ttl| ttl.to_string());
        let what = if note.exists { "exists" } else { "absent" };
        format!("{} {what} {ttl} {}", short(owner), note.reason)
    };
    let mut lines: Vec<String> = notes.iter().map(line).collect();
    lines.retain(|line| !line.contains(" is a namespace, "));
    lines.sort();
    lines
}

fn note(notes: &mut BTreeMap<Name, std::sync::Arc<crate::dns::zone::NameNote>>, delta: Delta) {
    for (owner, note) in delta.notes {
        match note {
            Some(note) => {
                assert!(note.reason.len() <= 200);
                assert_ne!(notes.insert(owner, note.clone()), Some(note), "only what differs is told");
            }
            None => assert!(notes.remove(&owner).is_some(), "only what is there is taken back: {owner}"),
        }
    }
}

#[test]
fn notes_about_what_is_declared() {
    let expectation = |reason: &str, hidden| Some(Expectation { reason: reason.to_owned(), hidden });
    let slice = |ready: bool| {
        format!(
            "{{metadata: {{name: s}}, of: h, addressType: IPv4, endpoints: \
             [{{addresses: [10.1.0.1], hostname: web-0, conditions: {{ready: {ready}}}}}]}}"
        )
    };
    let headless = "{metadata: {name: h}, spec: {clusterIP: None, ports: [{name: p, port: 1}, {port: 2}]}}";
    let mut records = records();
    let mut notes = BTreeMap::new();
    let mut check = |records: &mut Records, expected: &[&str]| {
        note(&mut notes, records.take());
        assert_eq!(noted(&notes), expected);
    };
    records.expect("default", "h", "web-0", expectation("pod web-0 is ready", false));
    check(&mut records, &["web-0.h.default absent 0 pod web-0 is ready; there is no Service default/h"]);
    feed(&mut records, headless);
    records.expect("default", "h", "web-0", None);
    let none = "Service default/h has no endpoints";
    check(&mut records, &[&format!("_p._tcp.h.default absent 0 {none}"), &format!("h.default absent 0 {none}")]);
    records.explain("default", "h", Some("its selector app=h matches no pod".to_owned()));
    let none = "Service default/h: its selector app=h matches no pod";
    check(&mut records, &[&format!("_p._tcp.h.default absent 0 {none}"), &format!("h.default absent 0 {none}")]);
    feed(&mut records, &slice(false));
    records.expect("default", "h", "web-0", expectation("pod web-0 exists, not ready: starting", true));
    records.expect("default", "h", "web-1", expectation("no pod web-1", false));
    let none = "Service default/h has 1 endpoint, not ready; publishNotReadyAddresses=false";
    check(
        &mut records,
        &[
            &format!("_p._tcp.h.default absent 0 {none}"),
            &format!("h.default absent 0 {none}"),
            "web-0.h.default absent 0 pod web-0 exists, not ready: starting; Service h has publishNotReadyAddresses=false",
            "web-1.h.default absent 0 no pod web-1",
        ],
    );
    // Its address is there before anybody takes the expectation back.
    feed(&mut records, &slice(true));
    check(&mut records, &["web-1.h.default absent 0 no pod web-1"]);
    records.expect("default", "h", "web-0", None);
    check(&mut records, &["web-1.h.default absent 0 no pod web-1"]);
    feed(&mut records, "{metadata: {name: h}, spec: {type: ExternalName, externalName: 192.0.2.1}}");
    check(&mut records, &["h.default absent - Service default/h has an externalName that is no domain name"]);
    feed(&mut records, "{metadata: {name: h}, spec: {type: ClusterIP, ports: [{name: p, port: 1}]}}");
    let none = "Service default/h has no ClusterIP yet";
    check(
        &mut records,
        &[
            &format!("_p._tcp.h.default absent 0 {none}"),
            &format!("h.default absent 0 {none}"),
            "web-1.h.default absent 0 no pod web-1",
        ],
    );
    records.service("default", "h", None);
    check(&mut records, &["web-1.h.default absent 0 no pod web-1; there is no Service default/h"]);
    records.expect("default", "h", "web-1", None);
    check(&mut records, &[]);
}

#[test]
fn the_same_names_in_every_domain() {
    let domain = |text| Name::parse(text).unwrap();
    let settings = RecordSettings {
        further_domains: vec![domain("k8s.test"), domain("a")],
        ..RecordSettings::new(domain("cluster.local"), 5)
    };
    let mut records = Records::new(settings);
    feed(&mut records, "{metadata: {name: h}, spec: {clusterIP: None}}");
    let slice = "{metadata: {name: s}, of: h, addressType: IPv4, ports: [{port: 1}], endpoints: \
                 [{addresses: [10.1.0.1], hostname: b}]}";
    feed(&mut records, slice);
    feed(&mut records, "{metadata: {name: e}, spec: {type: ExternalName, externalName: h.default.svc.k8s.test}}");
    feed(&mut records, "{metadata: {name: f}, spec: {type: ExternalName, externalName: h.example}}");
    feed(&mut records, "{metadata: {name: g}, spec: {clusterIP: None}}");
    let delta = records.take();
    let noted: Vec<String> = delta.notes.iter().map(|(owner, _)| owner.to_string()).collect();
    let mut published = Published::new();
    apply(&mut published, delta);
    let mut expected = vec!["1.0.1.10.in-addr.arpa. PTR b.h.default".to_owned()];
    for origin in ["", ".svc.k8s.test.", ".svc.a."] {
        for line in [
            "h.default A 10.1.0.1",
            "b.h.default A 10.1.0.1",
            "h.default SRV 0 100 1 b.h.default",
            "e.default CNAME h.default",
        ] {
            // Targets stay in their own domain.
            expected.push(line.replace(".default", &format!(".default{origin}")));
        }
        expected.push(format!("f.default{origin} CNAME h.example."));
        let owner = format!("g.default{}", if origin.is_empty() { ".svc.cluster.local." } else { origin });
        assert!(noted.contains(&owner), "{noted:?}");
    }
    expected.extend(["dns-version.k8s.test. TXT \"1.1.0\"", "dns-version.a. TXT \"1.1.0\""].map(str::to_owned));
    expected.sort();
    assert_eq!(lines(&published), expected);
    records.slice("default", "s", None);
    apply(&mut published, records.take());
    assert_eq!(lines(&published).iter().filter(|line| line.contains("10.1.0.1") || line.contains(" SRV ")).count(), 0);
}

#[test]
fn names_of_addresses() {
    let mut records = records();
    let addresses: [IpAddr; 3] = ["10.1.0.1", "fd00::", "2001:db8::1"].map(|text| text.parse().unwrap());
    for (namespace, address) in addresses.map(|address| ("prod", address)).into_iter().chain([("*", addresses[0])]) {
        records.holder(namespace, address, true);
    }
    // A second one, on the node's network, comes and goes.
    records.holder("prod", addresses[0], true);
    records.holder("prod", addresses[0], false);
    let mut published = Published::new();
    apply(&mut published, records.take());
    let expected = [
        "10-1-0-1.prod.pod.cluster.local. A 10.1.0.1",
        "2001-db8--1.prod.pod.cluster.local. AAAA 2001:db8::1",
        "fd00--0.prod.pod.cluster.local. AAAA fd00::",
    ];
    assert_eq!(lines(&published), expected);
    records.holder("prod", addresses[0], false);
    apply(&mut published, records.take());
    assert_eq!(lines(&published), expected[1..]);
    let settings = RecordSettings { pod_names: false, ..RecordSettings::new(Name::parse("cluster.local").unwrap(), 5) };
    let mut records = Records::new(settings);
    records.holder("prod", addresses[0], true);
    assert_eq!(records.take().changes.len(), 1, "dns-version");
}

/// One call, small enough that calls meet: three Services, four slices, few addresses and hostnames.
#[derive(Debug, Clone)]
enum Call {
    Service(u8, Option<String>),
    Slice(u8, Option<String>, bool),
    Expect(u8, &'static str, Option<Expectation>),
    Explain(u8, Option<String>),
    Take,
}

fn any_call() -> impl Strategy<Value = Call> {
    let spec = prop_oneof![
        Just("{clusterIP: None}"),
        Just("{clusterIP: None, publishNotReadyAddresses: true}"),
        Just("{clusterIP: 10.1.0.1, ports: [{name: web, port: 80}]}"),
        Just("{clusterIP: 10.1.0.2, ports: [{name: web, port: 81}, {name: dns, port: 53, protocol: UDP}]}"),
        Just("{clusterIP: ''}"),
        Just("{type: ExternalName, externalName: a.example}"),
        Just("{type: ExternalName, externalName: 10.1.0.1}"),
    ];
    let ttl = prop_oneof![3 => Just(""), 1 => Just(", annotations: {headless-dns/ttl: '3'}")];
    let service = (0u8..3, ttl, proptest::option::weighted(0.8, spec)).prop_map(|(service, ttl, spec)| {
        Call::Service(service, spec.map(|spec| format!("{{metadata: {{name: s{service}{ttl}}}, spec: {spec}}}")))
    });
    let hostname = prop_oneof![Just(""), Just("hostname: a,"), Just("hostname: b,"), Just("hostname: 10-1-0-1,")];
    let ready = prop_oneof![
        Just(""),
        Just("conditions: {ready: true}"),
        Just("conditions: {ready: false}"),
        Just("conditions: {terminating: true}")
    ];
    let endpoint = (1u8..5, hostname, ready)
        .prop_map(|(address, hostname, ready)| format!("{{addresses: [10.1.0.{address}], {hostname} {ready}}}"));
    let ports =
        prop_oneof![Just(""), Just("ports: [{name: web, port: 80}],"), Just("ports: [{name: web, port: 8080}],")];
    let body = (0u8..3, ports, proptest::collection::vec(endpoint, 0..5)).prop_map(|(service, ports, endpoints)| {
        format!("of: s{service}, addressType: IPv4, {ports} endpoints: [{}]", endpoints.join(", "))
    });
    let slice = (0u8..4, proptest::option::weighted(0.8, body), any::<bool>()).prop_map(|(slice, body, leaving)| {
        Call::Slice(slice, body.map(|body| format!("{{metadata: {{name: slice{slice}}}, {body}}}")), leaving)
    });
    let expectation = proptest::option::of(any::<bool>());
    let expect = (0u8..3, prop_oneof![Just("a"), Just("b")], expectation).prop_map(|(service, hostname, hidden)| {
        let expectation = hidden.map(|hidden| Expectation { reason: format!("hidden {hidden}"), hidden });
        Call::Expect(service, hostname, expectation)
    });
    let explain = (0u8..3, proptest::option::of(Just("why".to_owned())));
    let explain = explain.prop_map(|(service, reason)| Call::Explain(service, reason));
    prop_oneof![2 => service, 4 => slice, 2 => expect, 1 => explain, 1 => Just(Call::Take)]
}

proptest! {
    #[test]
    fn incremental_equals_full(calls in proptest::collection::vec(any_call(), 0..40)) {
        let mut incremental = Records::new(with_ttls());
        let (mut published, mut notes) = (Published::new(), BTreeMap::new());
        let mut last = BTreeMap::new();
        let tell = |records: &mut Records, call: &Call| match call {
            Call::Take => {}
            Call::Service(_, Some(yaml)) => feed(records, yaml),
            Call::Service(number, None) => records.service("default", &format!("s{number}"), None),
            Call::Slice(_, Some(yaml), leaving) => feed_leaving(records, yaml, leaving.then_some("a")),
            Call::Slice(number, None, _) => records.slice("default", &format!("slice{number}"), None),
            Call::Expect(number, hostname, expectation) => {
                records.expect("default", &format!("s{number}"), hostname, expectation.clone());
            }
            Call::Explain(number, reason) => records.explain("default", &format!("s{number}"), reason.clone()),
        };
        for call in calls {
            tell(&mut incremental, &call);
            let at = match &call {
                Call::Take => {
                    let delta = incremental.take();
                    note(&mut notes, delta.clone());
                    apply(&mut published, delta);
                    continue;
                }
                Call::Service(number, _) => (0, *number, ""),
                Call::Slice(number, ..) => (1, *number, ""),
                Call::Expect(number, hostname, _) => (2, *number, *hostname),
                Call::Explain(number, _) => (3, *number, ""),
            };
            last.insert(at, call);
        }
        let delta = incremental.take();
        note(&mut notes, delta.clone());
        apply(&mut published, delta);

        let mut fresh = Records::new(with_ttls());
        last.into_values().for_each(|call| tell(&mut fresh, &call));
        let (mut full, mut fresh_notes) = (Published::new(), BTreeMap::new());
        // What is taken in pieces is the same.
        fresh.take_pieces(1, |delta| {
            assert!(delta.changes.len() <= 1);
            note(&mut fresh_notes, delta.clone());
            apply(&mut full, delta);
        });
        prop_assert!(fresh.take().is_empty());
        prop_assert_eq!(published, full);
        prop_assert_eq!(notes, fresh_notes);
    }

    #[test]
    fn every_pointer_resolves_back(calls in proptest::collection::vec(any_call(), 0..20)) {
        let mut records = records();
        for call in calls {
            if let Call::Service(_, Some(yaml)) | Call::Slice(_, Some(yaml), _) = call {
                feed(&mut records, &yaml);
            }
        }
        let mut published = Published::new();
        apply(&mut published, records.take());
        let lines = lines(&published);
        for line in &lines {
            if let Some((reverse, target)) = line.split_once(".0.1.10.in-addr.arpa. PTR ") {
                let forward = format!("{target} A 10.1.0.{reverse}");
                prop_assert!(lines.contains(&forward), "{} of {:?}", forward, lines);
            }
            if let Some((_, target)) = line.split_once(" SRV ") {
                let target = target.rsplit(' ').next().unwrap();
                prop_assert!(lines.iter().any(|line| line.starts_with(&format!("{target} A "))), "{}", line);
            }
            if let Some((owner, _)) = line.split_once(" CNAME ") {
                prop_assert_eq!(lines.iter().filter(|line| line.starts_with(&format!("{owner} "))).count(), 1);
            }
        }
    }
}
