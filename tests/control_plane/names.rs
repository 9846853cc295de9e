//! From objects to replies: Services and EndpointSlices as YAML, made records, published, and asked for. Each row
//! begins with its numbers in the list of DNS behaviour that the project keeps to.

mod endpoint_states;

use headless_dns::{
    control::records::{RecordSettings, Records},
    dns::{
        answer::Transport,
        name::Name,
        wire::rdata::RecordType,
        zone::{Snapshot, ZoneSpec},
    },
};
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::Record,
};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use serde::Deserialize;
use serde_yaml::Value;

const DOMAIN: &str = "cluster.local.";
/// What a negative answer's SOA tells: 5 s for records, 2 s for absence.
const TTL: [u32; 2] = [5, 2];

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Zones without any name of a Service.
pub fn empty() -> Snapshot {
    let spec = |origin: &str, empty_names: Vec<Name>| ZoneSpec {
        origin: name(origin),
        name_server: name("ns.dns.cluster.local"),
        name_server_addresses: vec!["192.0.2.53".parse().unwrap(), "2001:db8::53".parse().unwrap()],
        mailbox: name("hostmaster.cluster.local"),
        serial: 1,
        ttl: TTL[0],
        negative_ttl: TTL[1],
        empty_names,
    };
    let reverse = ["10.in-addr.arpa", "0.0.d.f.ip6.arpa"].map(|origin| spec(origin, vec![]));
    let cluster = spec("cluster.local", vec![name("svc.cluster.local"), name("pod.cluster.local")]);
    Snapshot::new([cluster].into_iter().chain(reverse).collect()).synced()
}

/// One document: a Service, or with `addressType` a slice, whose Service `of` names, or with `holds` the addresses of
/// somebody in the namespace.
fn feed(records: &mut Records, document: &str) {
    let mut value: Value = serde_yaml::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let namespace = text(value["metadata"].get("namespace")).unwrap_or_else(|| "default".to_owned());
    let object_name = text(value["metadata"].get("name")).unwrap();
    if let Some(holds) = value.get("holds") {
        for address in holds.as_sequence().unwrap() {
            records.holder(&namespace, address.as_str().unwrap().parse().unwrap(), true);
        }
    } else if value.get("addressType").is_some() {
        if let Some(owner) = value.as_mapping_mut().unwrap().remove("of") {
            let label = format!("kubernetes.io/service-name: {}", owner.as_str().unwrap());
            value["metadata"]["labels"] = serde_yaml::from_str(&label).unwrap();
        }
        let slice = EndpointSlice::deserialize(value).unwrap();
        records.slice(&namespace, &object_name, Some(&slice));
    } else {
        let service = Service::deserialize(value).unwrap();
        records.service(&namespace, &object_name, Some(&service));
    }
}

fn snapshot(yaml: &str) -> Snapshot {
    snapshot_with(RecordSettings::new(name("cluster.local"), TTL[0]), yaml)
}

fn snapshot_with(settings: RecordSettings, yaml: &str) -> Snapshot {
    let mut records = Records::new(settings);
    yaml.split("---\n").filter(|document| !document.trim().is_empty()).for_each(|one| feed(&mut records, one));
    empty().apply(&records.take())
}

/// Asks in every way, and sees that all answers are the same.
pub fn ask(snapshot: &Snapshot, asked: &str, rtype: RecordType) -> Message {
    let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend_from_slice(name(asked).as_wire());
    packet.extend_from_slice(&rtype.0.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    let replies: Vec<(crate::ways::Reply, Message)> = crate::ways::all(snapshot, &packet)
        .into_iter()
        .map(|reply| {
            let octets = reply.octets.as_ref().unwrap_or_else(|| panic!("no reply: {asked}, {}", reply.way));
            let message = Message::from_vec(octets).unwrap();
            (reply, message)
        })
        .collect();
    // A stream has room for everything, a datagram for the additional records that fit (207).
    let (_, whole) = replies.iter().find(|(reply, _)| reply.transport.is_stream()).unwrap();
    let (header, [answers, authorities, additionals]) = content(whole);
    for (reply, message) in &replies {
        let (other, [same, too, fewer]) = content(message);
        let what = format!("{asked} {rtype}, {}", reply.way);
        if message.metadata.truncation {
            // A large set does not fit into a datagram: whole records of it, and a client that asks again by TCP.
            assert_eq!((other, reply.transport), (header, Transport::Udp), "205: {what}");
            assert!(!same.is_empty() && same.iter().all(|one| answers.contains(one)), "206: {what}");
            continue;
        }
        assert_eq!((other, same, too), (header, answers.clone(), authorities.clone()), "{what}");
        assert!(fewer.iter().all(|one| additionals.contains(one)), "{what}");
        assert!(fewer.len() == additionals.len() || reply.transport == Transport::Udp, "{what}");
    }
    whole.clone()
}

/// All that is said, whatever the order within the sections.
fn content(message: &Message) -> ((ResponseCode, bool), [Vec<String>; 3]) {
    let sections = [&message.answers, &message.authorities, &message.additionals].map(|records| {
        let mut lines: Vec<String> = records.iter().map(ToString::to_string).collect();
        lines.sort();
        lines
    });
    ((message.metadata.response_code, message.metadata.authoritative), sections)
}

/// Without the cluster's domain.
fn short(text: &str) -> String {
    let lower = text.to_lowercase();
    lower.strip_suffix(&format!(".{DOMAIN}")).map(str::to_owned).unwrap_or(lower)
}

/// `NODATA`, `NXDOMAIN`, `REFUSED` (behind the first two ` 0` where nobody is to remember it), or the records in order of
/// their text: `A 10.1.0.1` of the name asked for, `<owner> A 10.1.0.1` behind an alias, `+ <owner> A 10.1.0.1` in the additional section.
fn show(reply: &Message, asked: &str) -> Vec<String> {
    let header = &reply.metadata;
    let mut lines = Vec::new();
    match header.response_code {
        ResponseCode::NoError if reply.answers.is_empty() => lines.push("NODATA".to_owned()),
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => lines.push("NXDOMAIN".to_owned()),
        other => lines.push(format!("{other:?}").to_uppercase()),
    }
    let ours = header.response_code != ResponseCode::Refused;
    assert_eq!(header.authoritative, ours, "142, 169: {reply}");
    let negative = ours && !lines.is_empty();
    assert_eq!(reply.authorities.len(), usize::from(negative), "145, 147, 167: {reply}");
    for soa in &reply.authorities {
        assert_eq!(u16::from(soa.record_type()), RecordType::SOA.0, "145: {reply}");
        match soa.ttl {
            0 => lines[0] += " 0",
            ttl => assert_eq!(ttl, TTL[1], "146: {reply}"),
        }
    }
    let line = |record: &Record| {
        assert_eq!(record.ttl, TTL[0], "148, 151: {reply}");
        let rdata = record.data.to_string();
        let mut words: Vec<String> = rdata.split(' ').map(str::to_owned).collect();
        if let Some(last) = words.last_mut() {
            *last = short(last);
        }
        let owner = record.name.to_string();
        let owner = if owner.eq_ignore_ascii_case(asked) { String::new() } else { short(&owner) + " " };
        format!("{owner}{} {}", record.record_type(), words.join(" "))
    };
    lines.extend(reply.answers.iter().map(line));
    let aliases = reply.answers.iter().take_while(|record| u16::from(record.record_type()) == 5).count();
    assert!(reply.answers[aliases..].iter().all(|record| u16::from(record.record_type()) != 5), "161: {reply}");
    lines.extend(reply.additionals.iter().map(|record| format!("+ {}", line(record))));
    lines.sort();
    lines
}

/// Rows of `numbers: name TYPE,TYPE → line; line` (names without final dot are within the cluster's domain); all types
/// of a row have the same answer. RCODE is the same for every type (131).
fn check(yaml: &str, rows: &str) {
    check_snapshot(&snapshot(yaml), rows);
}

fn check_snapshot(snapshot: &Snapshot, rows: &str) {
    let rows = rows.replace("\\\n", "");
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (question, expected) = row.split_once('→').unwrap_or_else(|| panic!("{row}"));
        let (numbers, question) = question.split_once(": ").unwrap_or_else(|| panic!("{row}"));
        assert!(numbers.split(", ").all(|number| number.parse::<u16>().is_ok_and(|n| n < 277)), "{row}");
        let (asked, rtypes) = question.trim().split_once(' ').unwrap();
        let asked = if asked.ends_with('.') { asked.to_owned() } else { format!("{asked}.{DOMAIN}") };
        let mut expected: Vec<&str> = expected.split(';').map(str::trim).collect();
        expected.sort_unstable();
        let mut rcode = None;
        for rtype in rtypes.trim().split(',') {
            let reply = ask(snapshot, &asked, RecordType::parse(rtype).unwrap());
            assert_eq!(show(&reply, &asked), expected, "{row} ({rtype})");
            rcode = Some(reply.metadata.response_code);
        }
        // ANY is content with an alias itself.
        let alias = expected.iter().any(|line| line.contains("CNAME "));
        for rtype in [1, 28, 33, 12, 16, 15, 2, 6, 64, 65, 257, 65280, 255].into_iter().filter(|n| !alias || *n != 255)
        {
            let reply = ask(snapshot, &asked, RecordType(rtype));
            assert_eq!(Some(reply.metadata.response_code), rcode, "131, 141: {row}, type {rtype}");
        }
    }
}

/// Nothing in the cluster yet.
#[test]
fn the_apex() {
    check(
        "",
        r#"
        1: dns-version TXT → TXT 1.1.0
        2: dns-version A,AAAA,SRV → NODATA
        3: x.dns-version TXT,A → NXDOMAIN
        5, 6, 7, 8: cluster.local. NS → NS ns.dns; + ns.dns A 192.0.2.53; + ns.dns AAAA 2001:db8::53
        9: ns.dns A → A 192.0.2.53
        9: ns.dns AAAA → AAAA 2001:db8::53
        9: dns A,TXT → NODATA
        10, 11, 12: cluster.local. A,AAAA,SRV,TXT,MX,HINFO,PTR,CNAME,DS,DNSKEY,NSEC,RRSIG → NODATA
        13, 14: svc SOA,NS → NODATA
        13, 14: foo SOA,NS → NXDOMAIN
        17: 10.in-addr.arpa. NS → NS ns.dns; + ns.dns A 192.0.2.53; + ns.dns AAAA 2001:db8::53
        132: svc A,AAAA,TXT,HTTPS → NODATA
        134, 135: default.svc A → NXDOMAIN
        135: web.nowhere.svc A → NXDOMAIN
        137: foo A → NXDOMAIN
        137: x.y.foo A → NXDOMAIN
        124, 127: 10-1-0-1.default.pod A → NXDOMAIN
        127: default.pod A → NXDOMAIN
        128: pod A,TXT → NODATA
        138: a.b.c.d.e.f.svc A → NXDOMAIN
        273: endpoint.cluster.web.default.svc A → NXDOMAIN
        255: www.example.com.default.svc A,AAAA → NXDOMAIN
        181: www.example.com. A → REFUSED
        182: notcluster.local. A → REFUSED
        182: cluster\.local. A → REFUSED
        "#,
    );
}

const CLUSTER_IP: &str = "
metadata: {name: api, namespace: prod}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.7
  clusterIPs: [10.96.0.7, 'FD00:0096::0:7']
  externalIPs: [198.51.100.1]
  ports:
  - {name: http, port: 80, targetPort: 8080, nodePort: 30080}
  - {name: dns, port: 53, protocol: UDP}
  - {name: sctp, port: 9, protocol: SCTP}
  - {port: 10}
status: {loadBalancer: {ingress: [{ip: 203.0.113.1}]}}
---
metadata: {name: api, namespace: test}
spec: {clusterIP: 10.96.0.8}
---
metadata: {name: six}
spec: {clusterIP: 'fd00::6', clusterIPs: ['fd00::6']}
---
{metadata: {name: unassigned}, spec: {clusterIP: '', ports: [{name: a, port: 1}]}}
---
{metadata: {name: svc, namespace: svc}, spec: {clusterIP: 10.96.1.1, ports: [{name: tcp, port: 1}]}}
---
{metadata: {name: pod, namespace: svc}, spec: {clusterIP: 10.96.1.2}}
---
{metadata: {name: 0db, namespace: pod}, spec: {clusterIP: 10.96.1.3}}
---
metadata: {name: api-1, namespace: prod}
of: api
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.1.0.1], hostname: api-0}
- {addresses: [10.1.0.2], conditions: {ready: false}}
- {addresses: [10.1.0.3]}
";

#[test]
fn services_with_an_address() {
    check(
        CLUSTER_IP,
        r#"
        18, 20, 23, 24, 25: api.prod.svc A → A 10.96.0.7
        19, 20: api.prod.svc AAAA → AAAA fd00:96::7
        28: api.test.svc A → A 10.96.0.8
        21: api.test.svc AAAA → NODATA
        19, 26: six.default.svc AAAA → AAAA fd00::6
        21: six.default.svc A → NODATA
        27: unassigned.default.svc A,AAAA,SRV → NXDOMAIN 0
        27: _a._tcp.unassigned.default.svc SRV → NXDOMAIN 0
        29: api-0.api.prod.svc A → A 10.1.0.1
        29: 10-1-0-3.api.prod.svc A → NXDOMAIN
        30: bogus.api.prod.svc A → NXDOMAIN
        31: 0db.pod.svc A → A 10.96.1.3
        32: svc.svc.svc A → A 10.96.1.1
        32: pod.svc.svc A → A 10.96.1.2
        32: _tcp._tcp.svc.svc.svc SRV → SRV 0 100 1 svc.svc.svc; + svc.svc.svc A 10.96.1.1
        33, 34, 35, 40: _http._tcp.api.prod.svc SRV → SRV 0 100 80 api.prod.svc; \
            + api.prod.svc A 10.96.0.7; + api.prod.svc AAAA fd00:96::7
        37: _dns._udp.api.prod.svc SRV → SRV 0 100 53 api.prod.svc; \
            + api.prod.svc A 10.96.0.7; + api.prod.svc AAAA fd00:96::7
        37: _sctp._sctp.api.prod.svc SRV → SRV 0 100 9 api.prod.svc; \
            + api.prod.svc A 10.96.0.7; + api.prod.svc AAAA fd00:96::7
        39: _HTTP._TCP.api.prod.svc SRV → SRV 0 100 80 api.prod.svc; \
            + api.prod.svc A 10.96.0.7; + api.prod.svc AAAA fd00:96::7
        36: _._tcp.api.prod.svc SRV → NXDOMAIN
        38: _http._udp.api.prod.svc SRV → NXDOMAIN
        38: _https._tcp.api.prod.svc SRV → NXDOMAIN
        38: _80._tcp.api.prod.svc SRV → NXDOMAIN
        42: _tcp.api.prod.svc SRV,A,TXT → NODATA
        42: _udp.api.prod.svc SRV → NODATA
        42: _tcp.api.test.svc SRV → NXDOMAIN
        43: api.prod.svc SRV → SRV 0 25 80 api.prod.svc; SRV 0 25 53 api.prod.svc; SRV 0 25 9 api.prod.svc; \
            SRV 0 25 10 api.prod.svc; + A 10.96.0.7; + AAAA fd00:96::7
        43: api.test.svc SRV → NODATA
        44: _http._tcp.api.prod.svc A,AAAA → NODATA
        45: http.tcp.api.prod.svc SRV → NXDOMAIN
        46: _._.api.prod.svc SRV → NXDOMAIN
        47: *.prod.svc A → NXDOMAIN
        47: any.prod.svc A → NXDOMAIN
        47: *.api.prod.svc A → NXDOMAIN
        47: *._tcp.api.prod.svc SRV → NXDOMAIN
        47: any.any.svc A → NXDOMAIN
        48: _http._tcp.api-0.api.prod.svc SRV → NXDOMAIN
        105, 107: 7.0.96.10.in-addr.arpa. PTR → PTR api.prod.svc
        106, 107: 7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.D.F.IP6.arpa. PTR → PTR api.prod.svc
        108: 1.0.1.10.in-addr.arpa. PTR → PTR api-0.api.prod.svc
        112: 3.0.1.10.in-addr.arpa. PTR → NXDOMAIN
        121, 123: 1.100.51.198.in-addr.arpa. PTR → REFUSED
        121, 123: 1.113.0.203.in-addr.arpa. PTR → REFUSED
        133, 140: prod.svc A,NS,TXT,HTTPS → NODATA
        139: x._http._tcp.api.prod.svc SRV → NXDOMAIN
        141: api.prod.svc HTTPS,SVCB,CAA,TYPE65280 → NODATA
        156: \226\132\170.prod.svc A → NXDOMAIN
        158: api\.prod.svc A → NXDOMAIN
        "#,
    );
}

const HEADLESS: &str = "
metadata: {name: db, namespace: prod}
spec: {clusterIP: None, ports: [{name: sql, port: 5432, targetPort: 15432}]}
---
metadata: {name: db-a, namespace: prod}
of: db
addressType: IPv4
ports: [{name: sql, port: 15432, protocol: TCP}, {port: 9}]
endpoints:
- {addresses: [10.1.0.1], hostname: db-0}
- {addresses: [10.1.0.2], hostname: db-1, conditions: {}}
- {addresses: [10.1.0.3], hostname: db-2, conditions: {ready: false, serving: true, terminating: true}}
- {addresses: [10.1.0.4], hostname: db-3, conditions: {ready: true, serving: false, terminating: true}}
- {addresses: [10.1.0.5]}
- {addresses: [10.1.0.6, 10.1.0.7], hostname: '42'}
---
metadata: {name: db-skew, namespace: prod}
of: db
addressType: IPv4
ports: [{name: sql, port: 15432}]
endpoints: [{addresses: [10.1.0.1], hostname: db-0}]
---
metadata: {name: db-b, namespace: prod}
of: db
addressType: IPv6
ports: [{name: sql, port: 15432}]
endpoints:
- {addresses: ['FD00:0:0::AB'], hostname: db-0}
- {addresses: ['fd00::2'], hostname: db-1, conditions: {ready: false}}
- {addresses: ['fd00:db8::']}
---
{metadata: {name: other, namespace: prod}, spec: {clusterIP: None}}
---
metadata: {name: other-a, namespace: prod}
of: other
addressType: IPv4
endpoints: [{addresses: [10.1.0.1], hostname: x}]
---
{metadata: {name: unready}, spec: {clusterIP: None, ports: [{name: sql, port: 1}]}}
---
metadata: {name: unready-a}
of: unready
addressType: IPv4
ports: [{name: sql, port: 1}]
endpoints: [{addresses: [10.1.1.1], hostname: a, conditions: {ready: false}}]
---
{metadata: {name: none}, spec: {clusterIP: None}}
---
{metadata: {name: hasty}, spec: {clusterIP: None, publishNotReadyAddresses: true}}
---
metadata: {name: hasty-a}
of: hasty
addressType: IPv4
endpoints:
- {addresses: [10.1.2.1], hostname: a, conditions: {ready: true, serving: false, terminating: true}}
- {addresses: [10.1.2.2], hostname: b, conditions: {ready: false}}
---
metadata: {name: annotated, annotations: {service.alpha.kubernetes.io/tolerate-unready-endpoints: 'true'}}
spec: {clusterIP: None}
---
metadata: {name: annotated-a}
of: annotated
addressType: IPv4
endpoints: [{addresses: [10.1.3.1], conditions: {ready: false}}]
---
{metadata: {name: orphan}, of: gone, addressType: IPv4, endpoints: [{addresses: [10.1.4.1], hostname: a}]}
---
metadata: {name: stray, namespace: test}
of: db
addressType: IPv4
endpoints: [{addresses: [10.1.4.2], hostname: a}]
---
{metadata: {name: unlabelled, namespace: prod}, addressType: IPv4, endpoints: [{addresses: [10.1.4.3], hostname: a}]}
---
{metadata: {name: named, namespace: prod}, of: db, addressType: FQDN, endpoints: [{addresses: [www.example.com]}]}
---
{metadata: {name: rollout}, spec: {clusterIP: None, ports: [{name: http, port: 80, targetPort: http}]}}
---
metadata: {name: rollout-a}
of: rollout
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.1.5.1], hostname: old}]
---
metadata: {name: rollout-b}
of: rollout
addressType: IPv4
ports: [{name: http, port: 8081}]
endpoints:
- {addresses: [10.1.5.2], hostname: new}
- {addresses: [10.1.5.3], hostname: a.b}
- {addresses: [10.1.5.4], hostname: 10-1-5-3}
---
{metadata: {name: taken}, spec: {clusterIP: 10.1.5.1}}
";

#[test]
fn headless_services() {
    check(
        HEADLESS,
        "
        49, 51, 62, 66, 73, 74, 75, 77: db.prod.svc A → \
            A 10.1.0.1; A 10.1.0.2; A 10.1.0.4; A 10.1.0.5; A 10.1.0.6; A 10.1.0.7
        50, 67, 70: db.prod.svc AAAA → AAAA fd00::ab; AAAA fd00:db8::
        52, 53: db-0.db.prod.svc A → A 10.1.0.1
        52: db-0.db.prod.svc AAAA → AAAA fd00::ab
        58, 66: 42.db.prod.svc A → A 10.1.0.6; A 10.1.0.7
        54: 10-1-0-5.db.prod.svc A → A 10.1.0.5
        55: fd00-db8--0.db.prod.svc AAAA → AAAA fd00:db8::
        57: 10-1-5-3.rollout.default.svc A → A 10.1.5.3; A 10.1.5.4
        57: a.b.rollout.default.svc A → NXDOMAIN
        59: 10-1-0-1.db.prod.svc A → NXDOMAIN
        60: 10-9-9-9.db.prod.svc A → NXDOMAIN
        61: other.prod.svc A → A 10.1.0.1
        64: gone.default.svc A → NXDOMAIN
        64: db.test.svc A → NXDOMAIN
        64: 1.4.1.10.in-addr.arpa. PTR → NXDOMAIN
        64: 2.4.1.10.in-addr.arpa. PTR → NXDOMAIN
        64: 3.4.1.10.in-addr.arpa. PTR → NXDOMAIN
        65: db.prod.svc CNAME → NODATA
        68, 89: unready.default.svc A,AAAA,SRV,TXT → NXDOMAIN 0
        68, 73: a.unready.default.svc A → NXDOMAIN
        68, 89: _sql._tcp.unready.default.svc SRV → NXDOMAIN 0
        68, 89: _tcp.unready.default.svc SRV → NXDOMAIN
        68: none.default.svc A → NXDOMAIN 0
        69, 70: db-1.db.prod.svc AAAA → NODATA
        69: other.prod.svc AAAA → NODATA
        72: 10-1-5-3.rollout.default.svc AAAA → NODATA
        75: db-2.db.prod.svc A → NXDOMAIN
        76, 78: hasty.default.svc A → A 10.1.2.1; A 10.1.2.2
        78: b.hasty.default.svc A → A 10.1.2.2
        79: annotated.default.svc A → NXDOMAIN 0
        81, 82, 83, 87, 91: _sql._tcp.db.prod.svc SRV → \
            SRV 0 16 15432 10-1-0-5.db.prod.svc; SRV 0 16 15432 42.db.prod.svc; SRV 0 16 15432 db-0.db.prod.svc; \
            SRV 0 16 15432 db-1.db.prod.svc; SRV 0 16 15432 db-3.db.prod.svc; \
            SRV 0 16 15432 fd00-db8--0.db.prod.svc; \
            + 10-1-0-5.db.prod.svc A 10.1.0.5; + 42.db.prod.svc A 10.1.0.6; + 42.db.prod.svc A 10.1.0.7; \
            + db-0.db.prod.svc A 10.1.0.1; + db-0.db.prod.svc AAAA fd00::ab; + db-1.db.prod.svc A 10.1.0.2; \
            + db-3.db.prod.svc A 10.1.0.4; + fd00-db8--0.db.prod.svc AAAA fd00:db8::
        84: _._tcp.db.prod.svc SRV → NXDOMAIN
        85, 86: _http._tcp.rollout.default.svc SRV → SRV 0 33 8080 old.rollout.default.svc; \
            SRV 0 33 8081 new.rollout.default.svc; SRV 0 33 8081 10-1-5-3.rollout.default.svc; \
            + old.rollout.default.svc A 10.1.5.1; + new.rollout.default.svc A 10.1.5.2; \
            + 10-1-5-3.rollout.default.svc A 10.1.5.3; + 10-1-5-3.rollout.default.svc A 10.1.5.4
        88: _tcp.db.prod.svc SRV,A,TXT → NODATA
        90: other.prod.svc SRV → NODATA
        90: rollout.default.svc SRV → SRV 0 33 8080 old.rollout.default.svc; \
            SRV 0 33 8081 new.rollout.default.svc; SRV 0 33 8081 10-1-5-3.rollout.default.svc; \
            + old.rollout.default.svc A 10.1.5.1; + new.rollout.default.svc A 10.1.5.2; \
            + 10-1-5-3.rollout.default.svc A 10.1.5.3; + 10-1-5-3.rollout.default.svc A 10.1.5.4
        47: *.db.prod.svc A → NXDOMAIN
        48: _sql._tcp.db-0.db.prod.svc SRV → NXDOMAIN
        108, 109, 110: 1.0.1.10.in-addr.arpa. PTR → PTR db-0.db.prod.svc; PTR x.other.prod.svc
        111: 5.0.1.10.in-addr.arpa. PTR → PTR 10-1-0-5.db.prod.svc
        113: 1.5.1.10.in-addr.arpa. PTR → PTR taken.default.svc
        114: 3.0.1.10.in-addr.arpa. PTR → NXDOMAIN
        115: 7.0.1.10.in-addr.arpa. PTR → PTR 42.db.prod.svc
        106: b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR → PTR db-0.db.prod.svc
        116: 1.0.1.10.in-addr.arpa. A,TXT,SRV → NODATA
        117: 0.1.10.in-addr.arpa. PTR → NODATA
        117: 0.0.0.0.d.f.ip6.arpa. PTR → NODATA
        118: 9.9.9.10.in-addr.arpa. PTR → NXDOMAIN
        119: 256.0.1.10.in-addr.arpa. PTR → NXDOMAIN
        119: 01.0.1.10.in-addr.arpa. PTR → NXDOMAIN
        119: 0x1.0.1.10.in-addr.arpa. PTR → NXDOMAIN
        119: x.1.0.1.10.in-addr.arpa. PTR → NXDOMAIN
        119: 0.b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR → NXDOMAIN
        119: ba.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR → NXDOMAIN
        120: 1.0.1.10.in-addr.arpa.cluster.local. PTR → NXDOMAIN
        120: db.prod.svc.cluster.local.10.in-addr.arpa. A → NXDOMAIN
        121: 1.2.0.192.in-addr.arpa. PTR → REFUSED
        139: x.db-0.db.prod.svc A → NXDOMAIN
        139: x._sql._tcp.db.prod.svc SRV → NXDOMAIN
        ",
    );
}

/// With `emptyServices: nodata`: what is a Service and has no address exists, and nothing else does.
#[test]
fn empty_services_that_exist() {
    let settings = RecordSettings { empty_services_exist: true, ..RecordSettings::new(name("cluster.local"), TTL[0]) };
    let yaml = "{metadata: {name: unassigned}, spec: {ports: [{name: a, port: 1}]}}\n---\n\
        {metadata: {name: none}, spec: {clusterIP: None}}\n---\n\
        {metadata: {name: unready}, spec: {clusterIP: None, ports: [{name: sql, port: 1}]}}\n---\n\
        {metadata: {name: s}, of: unready, addressType: IPv4, ports: [{name: sql, port: 1}], endpoints: \
        [{addresses: [10.1.0.1], hostname: a, conditions: {ready: false}}]}\n---\n\
        {metadata: {name: t}, of: nobody, addressType: IPv4, endpoints: [{addresses: [10.1.0.2]}]}";
    check_snapshot(
        &snapshot_with(settings, yaml),
        r#"
        27: unassigned.default.svc A,AAAA,SRV,TXT → NODATA 0
        27: _a._tcp.unassigned.default.svc SRV,A → NODATA 0
        68: none.default.svc A,AAAA,SRV → NODATA 0
        68, 89: unready.default.svc A,AAAA,SRV,TXT → NODATA 0
        68, 89: _sql._tcp.unready.default.svc SRV → NODATA 0
        68, 73: a.unready.default.svc A → NXDOMAIN
        64: nobody.default.svc A → NXDOMAIN
        64: other.default.svc A → NXDOMAIN
        "#,
    );
}

#[test]
fn names_of_addresses() {
    check(
        "
{metadata: {name: a, namespace: prod}, holds: [10.244.0.3, 'fd00::']}
---
{metadata: {name: b, namespace: prod}, holds: ['2001:DB8:0::1']}
---
{metadata: {name: s, namespace: test}, spec: {clusterIP: None}}
",
        "
        124: 10-244-0-3.prod.pod A → A 10.244.0.3
        125: 2001-db8--1.prod.pod AAAA → AAAA 2001:db8::1
        125: fd00--0.prod.pod AAAA → AAAA fd00::
        126: 10-244-0-3.prod.pod AAAA,SRV,TXT → NODATA
        126: fd00--0.prod.pod A → NODATA
        127: 10-244-0-4.prod.pod A → NXDOMAIN
        127: 10-244-0-3.test.pod A → NXDOMAIN
        127: 10-244-0-3.nowhere.pod A → NXDOMAIN
        127: a-b-c-d.prod.pod A → NXDOMAIN
        127: 10-244-0-03.prod.pod A → NXDOMAIN
        128: pod A → NODATA
        128: prod.pod A,TXT → NODATA
        128: test.pod A → NODATA
        129: x.10-244-0-3.prod.pod A → NXDOMAIN
        129: _a._b.10-244-0-3.prod.pod SRV → NXDOMAIN
        133: test.svc A,TXT → NODATA
        112: 3.0.244.10.in-addr.arpa. PTR → NXDOMAIN
        ",
    );
}

#[test]
fn external_names() {
    check(
        "
metadata: {name: out}
spec: {type: ExternalName, externalName: www.Example.com, ports: [{name: http, port: 80}]}
---
{metadata: {name: inside}, spec: {type: ExternalName, externalName: api.default.svc.cluster.local.}}
---
{metadata: {name: chain}, spec: {type: ExternalName, externalName: inside.default.svc.cluster.local}}
---
{metadata: {name: short}, spec: {type: ExternalName, externalName: api}}
---
{metadata: {name: gone}, spec: {type: ExternalName, externalName: no.default.svc.cluster.local}}
---
{metadata: {name: one}, spec: {type: ExternalName, externalName: two.default.svc.cluster.local}}
---
{metadata: {name: two}, spec: {type: ExternalName, externalName: one.default.svc.cluster.local}}
---
{metadata: {name: self}, spec: {type: ExternalName, externalName: self.default.svc.cluster.local}}
---
{metadata: {name: digits}, spec: {type: ExternalName, externalName: 192.0.2.1}}
---
{metadata: {name: api}, spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}}
---
metadata: {name: s}
of: out
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.1.0.1], hostname: h}]
",
        "
        92, 93, 94: out.default.svc CNAME,A,AAAA,TXT,MX,SRV,HTTPS,TYPE65280,ANY → CNAME www.example.com.
        95: inside.default.svc A → CNAME api.default.svc; api.default.svc A 10.96.0.1
        95: chain.default.svc A → CNAME inside.default.svc; inside.default.svc CNAME api.default.svc; \
            api.default.svc A 10.96.0.1
        98: chain.default.svc CNAME → CNAME inside.default.svc
        100: short.default.svc A → CNAME api.
        96: gone.default.svc A,AAAA,SRV → NXDOMAIN; CNAME no.default.svc
        99: one.default.svc A → CNAME two.default.svc; two.default.svc CNAME one.default.svc
        99: self.default.svc A → CNAME self.default.svc
        101: digits.default.svc A → NXDOMAIN
        102: x.out.default.svc A → NXDOMAIN
        102: _http._tcp.out.default.svc SRV → NXDOMAIN
        102, 103: h.out.default.svc A → NXDOMAIN
        103: 1.0.1.10.in-addr.arpa. PTR → NXDOMAIN
        41: _http._tcp.api.default.svc SRV → SRV 0 100 80 api.default.svc; + api.default.svc A 10.96.0.1
        ",
    );
    // 97: the alias, and the SOA of the zone in which the type is missing.
    let snapshot = snapshot(
        "{metadata: {name: inside}, spec: {type: ExternalName, externalName: api.default.svc.cluster.local}}\n---\n\
         {metadata: {name: api}, spec: {clusterIP: 10.96.0.1}}",
    );
    let reply = ask(&snapshot, "inside.default.svc.cluster.local", RecordType::AAAA);
    let types = |records: &[Record]| records.iter().map(|record| record.record_type().into()).collect::<Vec<u16>>();
    assert_eq!((types(&reply.answers), types(&reply.authorities)), (vec![5], vec![6]), "97: {reply}");
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
}

#[test]
fn changes_and_serials() {
    let mut records = Records::new(RecordSettings::new(name("cluster.local"), TTL[0]));
    let slice = |ready: bool, label: &str| {
        format!(
            "{{metadata: {{name: s, resourceVersion: '{label}'}}, of: h, addressType: IPv4, endpoints: \
             [{{addresses: [10.1.0.1], hostname: a}}, \
             {{addresses: [10.1.0.2], hostname: b, conditions: {{ready: {ready}}}}}]}}"
        )
    };
    feed(&mut records, "{metadata: {name: h}, spec: {clusterIP: None}}");
    feed(&mut records, &slice(true, "1"));
    let first = empty().apply(&records.take());
    let both = show(&ask(&first, "h.default.svc.cluster.local", RecordType::A), "h.default.svc.cluster.local.");
    assert_eq!(both, ["A 10.1.0.1", "A 10.1.0.2"]);

    // 16: nothing that is served differs, so no serial does.
    feed(&mut records, &slice(true, "2"));
    feed(&mut records, "{metadata: {name: h, labels: {a: b}}, spec: {clusterIP: None}}");
    let second = first.apply(&records.take());
    assert_eq!(second.serials(), first.serials());

    // 15, 80: the next change is seen at once, and told by the serials of both zones that it touches, no other.
    feed(&mut records, &slice(false, "3"));
    let third = second.apply(&records.take());
    let asked = "b.h.default.svc.cluster.local.";
    assert_eq!(show(&ask(&third, asked, RecordType::A), asked), ["NXDOMAIN"]);
    let grown = third
        .serials()
        .into_iter()
        .zip(second.serials())
        .map(|((origin, new), (_, old))| (origin.to_string(), new.wrapping_sub(old)));
    let grown: Vec<_> = grown.collect();
    let expected = [("10.in-addr.arpa.", 1), ("0.0.d.f.ip6.arpa.", 0), ("cluster.local.", 1)];
    assert_eq!(grown, expected.map(|(origin, by)| (origin.to_owned(), by)));
    // Those who hold the earlier snapshot see no half of it.
    assert_eq!(show(&ask(&second, asked, RecordType::A), asked), ["A 10.1.0.2"]);
}
