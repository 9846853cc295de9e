//! Objects as YAML, and the records they give in zone-file syntax; names without final dot are relative to
//! `svc.cluster.local.`.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::zone::Rrset;
use proptest::prelude::*;
use serde_yaml::Value;

type Published = BTreeMap<(Name, RecordType), Rrset>;

fn records() -> Records {
    Records::new(RecordSettings { cluster_domain: Name::parse("cluster.local").unwrap(), ttl: 5 })
}

/// One object of a document: `(is a service, namespace, name, object)`.
fn feed(records: &mut Records, yaml: &str) {
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
            records.slice(&namespace, &name, Some(&slice));
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
                assert_eq!((rrset.ttl(), rrset.is_empty()), (5, false));
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
        "18-20, 33, 34, 105-107: both families, named ports with the Service's number, unnamed ones not",
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
            "1.0.96.10.in-addr.arpa. PTR svc.svc",
            "0db.pod A 10.96.0.2",
            "2.0.96.10.in-addr.arpa. PTR 0db.pod",
        ],
    );
}

#[test]
fn headless_services() {
    check(
        "49-53, 59, 73-77, 81, 83: hostnames, readiness, both families under one name, the endpoint's port",
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
    let told: Vec<String> = delta
        .changes
        .iter()
        .map(|(owner, rtype, rrset)| format!("{} {} {}", short(owner), rtype.0, rrset.as_ref().map_or(0, Rrset::len)))
        .collect();
    let expected =
        ["2.0.1.10.in-addr.arpa. 12 0", "3.0.1.10.in-addr.arpa. 12 1", "nginx.default 1 2", "web-1.nginx.default 1 1"];
    assert_eq!(told, expected);
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
    assert!(records.take().is_empty());
    assert!(records.services.is_empty() && records.owners.is_empty(), "nothing is kept of what is gone");
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
        records.tally.changed(),
        4,
        "the Service's set, the pod's, two pointers; no other set was even looked at"
    );
    apply(&mut published, records.take());
    assert_eq!(published[&h].len(), 10_000);
}

/// One call, small enough that calls meet: three Services, four slices, few addresses and hostnames.
#[derive(Debug, Clone)]
enum Call {
    Service(u8, Option<String>),
    Slice(u8, Option<String>),
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
    ];
    let service = (0u8..3, proptest::option::weighted(0.8, spec)).prop_map(|(service, spec)| {
        Call::Service(service, spec.map(|spec| format!("{{metadata: {{name: s{service}}}, spec: {spec}}}")))
    });
    let hostname = prop_oneof![Just(""), Just("hostname: a,"), Just("hostname: b,"), Just("hostname: 10-1-0-1,")];
    let ready = prop_oneof![Just(""), Just("conditions: {ready: true}"), Just("conditions: {ready: false}")];
    let endpoint = (1u8..5, hostname, ready)
        .prop_map(|(address, hostname, ready)| format!("{{addresses: [10.1.0.{address}], {hostname} {ready}}}"));
    let ports =
        prop_oneof![Just(""), Just("ports: [{name: web, port: 80}],"), Just("ports: [{name: web, port: 8080}],")];
    let body = (0u8..3, ports, proptest::collection::vec(endpoint, 0..5)).prop_map(|(service, ports, endpoints)| {
        format!("of: s{service}, addressType: IPv4, {ports} endpoints: [{}]", endpoints.join(", "))
    });
    let slice = (0u8..4, proptest::option::weighted(0.8, body)).prop_map(|(slice, body)| {
        Call::Slice(slice, body.map(|body| format!("{{metadata: {{name: slice{slice}}}, {body}}}")))
    });
    prop_oneof![2 => service, 4 => slice, 1 => Just(Call::Take)]
}

proptest! {
    #[test]
    fn incremental_equals_full(calls in proptest::collection::vec(any_call(), 0..40)) {
        let mut incremental = records();
        let mut published = Published::new();
        let (mut services, mut slices) = (BTreeMap::new(), BTreeMap::new());
        for call in calls {
            match call {
                Call::Take => apply(&mut published, incremental.take()),
                Call::Service(number, object) => {
                    match &object {
                        Some(yaml) => feed(&mut incremental, yaml),
                        None => incremental.service("default", &format!("s{number}"), None),
                    }
                    services.insert(number, object);
                }
                Call::Slice(number, object) => {
                    match &object {
                        Some(yaml) => feed(&mut incremental, yaml),
                        None => incremental.slice("default", &format!("slice{number}"), None),
                    }
                    slices.insert(number, object);
                }
            }
        }
        apply(&mut published, incremental.take());

        let mut fresh = records();
        services.into_values().chain(slices.into_values()).flatten().for_each(|yaml| feed(&mut fresh, &yaml));
        let mut full = Published::new();
        apply(&mut full, fresh.take());
        prop_assert_eq!(lines(&published), lines(&full));
    }

    #[test]
    fn every_pointer_resolves_back(calls in proptest::collection::vec(any_call(), 0..20)) {
        let mut records = records();
        for call in calls {
            if let Call::Service(_, Some(yaml)) | Call::Slice(_, Some(yaml)) = call {
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
