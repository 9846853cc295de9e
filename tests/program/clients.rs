//! Real clients, each asked for everything: an address, absence of a name and of a type, a set that UDP cannot hold, ports,
//! a reverse name, the reason of a refusal, and a name in odd spelling.

use crate::support::{
    dig::printed,
    dns::{self, A, Udp},
    have,
    namespace::Namespace,
    program::{Program, command},
    skip,
};
use hickory_proto::op::ResponseCode;
use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

/// What `{z}` is in a row.
const ZONE: &str = "default.svc.cluster.local";
/// Debian's own, which its package of dnspython belongs to.
const PYTHON: &str = "/usr/bin/python3";
/// Endpoints of the Service `many`.
const MANY: usize = 90;

/// A Service `db` with two endpoints and a port, one with more endpoints than a datagram holds, and one elsewhere.
fn manifest() -> String {
    let many: String =
        (0..MANY).map(|number| format!("- {{addresses: [10.9.0.{number}], hostname: n{number}}}\n")).collect();
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: db}}
spec: {{clusterIP: None, ports: [{{name: sql, port: 5432}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: db-1, labels: {{kubernetes.io/service-name: db}}}}
addressType: IPv4
ports: [{{name: sql, port: 5432, protocol: TCP}}]
endpoints:
- {{addresses: [10.8.0.1], hostname: db-0}}
- {{addresses: [10.8.0.2], hostname: db-1}}
---
apiVersion: v1
kind: Service
metadata: {{name: many}}
spec: {{clusterIP: None}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: many-1, labels: {{kubernetes.io/service-name: many}}}}
addressType: IPv4
endpoints:
{many}---
apiVersion: v1
kind: Service
metadata: {{name: out}}
spec: {{type: ExternalName, externalName: www.example.com}}
"
    )
}

/// Asks as a row says, each word with `{ip}`, `{port}` and `{z}` filled in; what it printed.
fn print(server: SocketAddr, line: &str, input: Option<&str>) -> String {
    let filled = line
        .replace("{ip}", &server.ip().to_string())
        .replace("{port}", &server.port().to_string())
        .replace("{z}", ZONE);
    let mut words = filled.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdin(Stdio::null());
    if let Some(script) = input {
        command.args(["-c", script, &server.ip().to_string(), &server.port().to_string(), ZONE]);
    }
    printed(&mut command)
}

/// Rows of a command, what it must print and what it must not; a word that stands in `expected` with a number before it
/// (`90×10.9.0.`) has to be there so often.
fn check(tools: &[&str], rows: &[(&str, &[&str], &[&str])]) {
    if !have(tools) {
        return;
    }
    let program = Program::start(&[("names.yaml", &manifest())]);
    for (line, expected, absent) in rows {
        let text = print(program.address, line, None);
        check_text(line, &text, expected, absent);
    }
}

fn check_text(what: &str, text: &str, expected: &[&str], absent: &[&str]) {
    // Columns are as wide as each client likes.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in expected {
        let (count, word) = word.split_once('×').map_or((None, *word), |(count, word)| (count.parse().ok(), word));
        let word = word.replace("{z}", ZONE);
        let found = text.matches(&word).count();
        assert!(count.map_or(found > 0, |count: usize| found == count), "{what}: {found} times {word}: {text}");
    }
    for word in absent {
        assert!(!text.contains(word), "{what}: {word}: {text}");
    }
}

#[test]
fn dig() {
    check(
        &["dig"],
        &[
            ("dig @{ip} -p {port} db-0.db.{z} A", &["status: NOERROR", "flags: qr aa rd;", "A 10.8.0.1"], &["SOA"]),
            ("dig @{ip} -p {port} +noedns db-9.db.{z} A", &["status: NXDOMAIN", "cluster.local. 1 IN SOA"], &["OPT"]),
            ("dig @{ip} -p {port} db-0.db.{z} AAAA", &["status: NOERROR", "ANSWER: 0, AUTHORITY: 1", "IN SOA"], &[]),
            (
                "dig @{ip} -p {port} +noedns many.{z} A",
                &["Truncated, retrying in TCP mode", "90×IN A 10.9.0."],
                &[" tc"],
            ),
            ("dig @{ip} -p {port} +noedns +ignore many.{z} A", &["qr aa tc rd", "29×IN A 10.9.0."], &[]),
            ("dig @{ip} -p {port} +bufsize=4096 many.{z} A", &["udp: 1232", "90×IN A 10.9.0."], &[]),
            ("dig @{ip} -p {port} +tcp many.{z} A", &["(TCP)", "90×IN A 10.9.0."], &[]),
            ("dig @{ip} -p {port} +tcp +keepopen db-0.db.{z} A db-1.db.{z} A", &["A 10.8.0.1", "A 10.8.0.2"], &[]),
            (
                "dig @{ip} -p {port} _sql._tcp.db.{z} SRV",
                &["0 50 5432 db-0.db.{z}.", "0 50 5432 db-1.db.{z}.", "db-0.db.{z}. 5 IN A 10.8.0.1"],
                &[],
            ),
            ("dig @{ip} -p {port} -x 10.8.0.2", &["2.0.8.10.in-addr.arpa. 5 IN PTR db-1.db.{z}."], &[]),
            ("dig @{ip} -p {port} out.{z} AAAA", &["status: NOERROR", "CNAME www.example.com."], &["SOA"]),
            ("dig @{ip} -p {port} www.example.com A", &["status: REFUSED", "EDE: 20 (Not Authoritative)"], &["qr aa"]),
            (
                "dig @{ip} -p {port} Db-0.dB.DEFAULT.svc.Cluster.Local A",
                &["Db-0.dB.DEFAULT.svc.Cluster.Local. 5 IN A"],
                &[],
            ),
            (
                "dig @{ip} -p {port} +ednsopt=100:ab +dnssec db-0.db.{z} A",
                &["flags: do; udp: 1232", "A 10.8.0.1"],
                &["OPT=100"],
            ),
            ("dig @{ip} -p {port} +edns=1 +noednsnegotiation db-0.db.{z} A", &["status: BADVERS"], &["10.8.0.1"]),
            ("dig @{ip} -p {port} +opcode=15 db-0.db.{z} A", &["status: NOTIMP"], &["10.8.0.1"]),
            ("dig @{ip} -p {port} +header-only +nocookie", &["status: FORMERR"], &[]),
            ("dig @{ip} -p {port} +header-only +cookie", &["status: NOERROR", "(good)"], &[]),
            ("dig @{ip} -p {port} db.{z} TYPE65280", &["status: NOERROR", "IN SOA"], &[]),
            ("dig @{ip} -p {port} db.{z} ANY +notcp", &["HINFO \"RFC8482\" \"\""], &[]),
        ],
    );
}

#[test]
fn kdig() {
    check(
        &["kdig"],
        &[
            ("kdig @{ip} -p {port} db-0.db.{z} A", &["status: NOERROR", "Flags: qr aa rd;", "A 10.8.0.1"], &[]),
            ("kdig @{ip} -p {port} db-9.db.{z} A", &["status: NXDOMAIN", "cluster.local. 1 IN SOA"], &[]),
            ("kdig @{ip} -p {port} db-0.db.{z} AAAA", &["status: NOERROR", "ANSWER: 0; AUTHORITY: 1", "IN SOA"], &[]),
            ("kdig @{ip} -p {port} many.{z} A", &["truncated reply", "(TCP)", "90×IN A 10.9.0."], &[" tc "]),
            ("kdig @{ip} -p {port} +tcp +keepopen db-0.db.{z} A db-1.db.{z} A", &["A 10.8.0.1", "A 10.8.0.2"], &[]),
            ("kdig @{ip} -p {port} _sql._tcp.db.{z} SRV", &["0 50 5432 db-0.db.{z}.", "A 10.8.0.1", "A 10.8.0.2"], &[]),
            ("kdig @{ip} -p {port} -x 10.8.0.2", &["PTR db-1.db.{z}."], &[]),
            ("kdig @{ip} -p {port} +edns www.example.com A", &["status: REFUSED", "EDE: 20 (Not Authoritative)"], &[]),
            // It writes names in lower case itself, so there is nothing to see of a spelling.
            ("kdig @{ip} -p {port} +edns=1 db-0.db.{z} A", &["status: BADVERS"], &["10.8.0.1"]),
            ("kdig @{ip} -p {port} +cookie +nsid +padding=64 db-0.db.{z} A", &["A 10.8.0.1", "COOKIE:"], &[]),
        ],
    );
}

#[test]
fn drill() {
    check(
        &["drill"],
        &[
            ("drill -p {port} @{ip} db-0.db.{z} A", &["rcode: NOERROR", "flags: qr aa rd ;", "A 10.8.0.1"], &[]),
            ("drill -p {port} @{ip} db-9.db.{z} A", &["rcode: NXDOMAIN", "cluster.local. 1 IN SOA"], &[]),
            ("drill -p {port} @{ip} db-0.db.{z} AAAA", &["rcode: NOERROR", "ANSWER: 0, AUTHORITY: 1"], &[]),
            ("drill -p {port} @{ip} many.{z} A", &["qr aa tc rd", "29×IN A 10.9.0."], &[]),
            ("drill -t -p {port} @{ip} many.{z} A", &["qr aa rd", "90×IN A 10.9.0."], &[]),
            (
                "drill -p {port} @{ip} _sql._tcp.db.{z} SRV",
                &["0 50 5432 db-1.db.{z}.", "db-1.db.{z}. 5 IN A 10.8.0.2"],
                &[],
            ),
            ("drill -p {port} -x 10.8.0.2 @{ip}", &["PTR db-1.db.{z}."], &[]),
            ("drill -p {port} @{ip} www.example.com A", &["rcode: REFUSED"], &[" aa "]),
            (
                "drill -b 1232 -D -p {port} @{ip} db-0.db.{z} A",
                &["EDNS: version 0; flags: do ; udp: 1232", "A 10.8.0.1"],
                &[],
            ),
        ],
    );
}

#[test]
fn delv() {
    check(
        &["delv"],
        &[
            ("delv -i @{ip} -p {port} db-0.db.{z} A", &["db-0.db.{z}. 5 IN A 10.8.0.1"], &[]),
            ("delv -i @{ip} -p {port} db-9.db.{z} A", &["ncache nxdomain"], &[]),
            ("delv -i @{ip} -p {port} db-0.db.{z} AAAA", &["ncache nxrrset"], &[]),
            ("delv -i @{ip} -p {port} many.{z} A", &["90×IN A 10.9.0."], &[]),
            ("delv -i @{ip} -p {port} _sql._tcp.db.{z} SRV", &["0 50 5432 db-1.db.{z}."], &[]),
            ("delv -i @{ip} -p {port} -x 10.8.0.2", &["PTR db-1.db.{z}."], &[]),
        ],
    );
}

#[test]
fn nslookup() {
    check(
        &["nslookup"],
        &[
            ("nslookup -port={port} db-0.db.{z} {ip}", &["Name: db-0.db.{z}", "Address: 10.8.0.1"], &["can't find"]),
            ("nslookup -port={port} db-9.db.{z} {ip}", &["can't find db-9.db.{z}: NXDOMAIN"], &[]),
            ("nslookup -port={port} -type=AAAA db-0.db.{z} {ip}", &["No answer"], &["NXDOMAIN"]),
            ("nslookup -port={port} -type=A many.{z} {ip}", &["90×Address: 10.9.0."], &[]),
            ("nslookup -port={port} -type=SRV _sql._tcp.db.{z} {ip}", &["service = 0 50 5432 db-0.db.{z}."], &[]),
            ("nslookup -port={port} 10.8.0.2 {ip}", &["name = db-1.db.{z}."], &[]),
            ("nslookup -port={port} www.example.com {ip}", &["REFUSED"], &[]),
        ],
    );
}

#[test]
fn busybox() {
    check(
        &["busybox"],
        &[
            ("busybox nslookup -type=a db-0.db.{z} {ip}:{port}", &["Name: db-0.db.{z}", "Address: 10.8.0.1"], &[]),
            ("busybox nslookup db-0.db.{z} {ip}:{port}", &["Address: 10.8.0.1"], &["NXDOMAIN", "can't"]),
            ("busybox nslookup -type=a db-9.db.{z} {ip}:{port}", &["NXDOMAIN"], &[]),
            ("busybox nslookup -type=srv _sql._tcp.db.{z} {ip}:{port}", &["0 50 5432 db-0.db.{z}"], &[]),
            ("busybox nslookup -type=ptr 2.0.8.10.in-addr.arpa {ip}:{port}", &["db-1.db.{z}"], &[]),
            // It has no TCP and uses what is there.
            ("busybox nslookup -type=a many.{z} {ip}:{port}", &["29×Address: 10.9.0."], &[]),
        ],
    );
}

#[test]
fn encrypted_transports() {
    if !have(&["dig", "kdig", "curl"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("settings.yaml");
    std::fs::write(&settings, "tls: {selfSigned: [localhost, 127.0.0.1]}\n").unwrap();
    let mut command = command();
    for transport in ["tls", "https", "quic"] {
        command.args([format!("--listen-{transport}"), "127.0.0.1:0".to_owned()]);
    }
    command.arg("--config").arg(&settings);
    let program = Program::start_with(command, "127.0.0.1:0", &[("names.yaml", &manifest())]);
    #[rustfmt::skip]
    let rows: [(&str, &str, &[&str], &[&str]); 15] = [
        ("tls", "kdig @{ip} -p {port} +tls db-0.db.{z} A", &["TLS session", "A 10.8.0.1", "Received 468 B"], &[]),
        ("tls", "kdig @{ip} -p {port} +tls +keepopen db-0.db.{z} A many.{z} A", &["A 10.8.0.1", "90×IN A 10.9.0."], &[]),
        ("tls", "dig @{ip} -p {port} +tls many.{z} A", &["(TLS)", "90×IN A 10.9.0."], &[" tc "]),
        ("tls", "dig @{ip} -p {port} +tls +keepalive db-0.db.{z} A", &["TCP KEEPALIVE: 10.0 secs", "A 10.8.0.1"], &[]),
        ("tls", "dig @{ip} -p {port} +tls www.example.com A", &["REFUSED", "EDE: 20 (Not Authoritative)"], &[]),
        ("tls", "dig @{ip} -p {port} +tls Db-0.DB.{z} SRV", &["NOERROR", "IN SOA", ";Db-0.DB.{z}. IN SRV"], &[]),
        ("https", "kdig @{ip} -p {port} +https db-0.db.{z} A", &["HTTP/2-POST", "status: 200", "A 10.8.0.1"], &[]),
        ("https", "kdig @{ip} -p {port} +https-get many.{z} A", &["HTTP/2-GET", "status: 200", "90×IN A 10.9.0."], &[]),
        ("https", "dig @{ip} -p {port} +https db-9.db.{z} A", &["(HTTPS)", "NXDOMAIN", "cluster.local. 1 IN SOA"], &[]),
        ("https", "dig @{ip} -p {port} +https-get _sql._tcp.db.{z} SRV", &["0 50 5432 db-1.db.{z}."], &[]),
        ("https", "curl -sk -i https://{ip}:{port}/dns-query?dns=AAABAAABAAAAAAAAAAABAAE",
            &["HTTP/2 200", "content-type: application/dns-message", "cache-control: max-age=0"], &[]),
        ("https", "curl -sk -i https://{ip}:{port}/elsewhere", &["HTTP/2 404"], &[]),
        ("quic", "kdig @{ip} -p {port} +quic db-0.db.{z} A", &["QUIC session", "id: 0", "A 10.8.0.1"], &[]),
        ("quic", "kdig @{ip} -p {port} +quic +edns db-9.db.{z} A", &["NXDOMAIN", "EDE: 0 (Other)", "Received 468 B"], &[]),
        ("quic", "kdig @{ip} -p {port} +quic many.{z} A", &["90×IN A 10.9.0."], &[" tc "]),
    ];
    for (transport, line, expected, absent) in rows {
        let text = print(program.listening_on(transport), line, None);
        check_text(line, &text, expected, absent);
    }
}

/// kdig sends the header that a proxy would.
#[test]
fn behind_a_proxy() {
    if !have(&["kdig"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("settings.yaml");
    let text = "proxyProtocol: {from: [127.0.0.1]}\ntransfer: {to: [198.51.100.0/24]}\nlog: {queries: all}\n";
    std::fs::write(&settings, text).unwrap();
    let mut command = command();
    command.arg("--config").arg(&settings);
    let program = Program::start_with(command, "127.0.0.1:0", &[("names.yaml", &manifest())]);
    let (client, other) = ("+proxy=198.51.100.7-192.0.2.1", "+proxy=203.0.113.9-192.0.2.1");
    let rows = [
        (format!("{client} db-0.db.{{z}} A"), "A 10.8.0.1"),
        (format!("{client} +tcp db-0.db.{{z}} A"), "A 10.8.0.1"),
        (format!("{client} +tcp cluster.local AXFR"), "A 10.8.0.1"),
        (format!("{other} +tcp cluster.local AXFR"), "REFUSED"),
        ("+tcp +retry=0 db-0.db.{z} A".to_owned(), "WARNING: "),
    ];
    for (words, expected) in rows {
        let line = format!("kdig @{{ip}} -p {{port}} {words}");
        check_text(&line, &print(program.address, &line, None), &[expected], &[]);
    }
    program.expect_stderr("198.51.100.7");
    program.expect_stderr("203.0.113.9");
}

/// Every question through dnspython, whose parser is strict; each line is one finding.
const SCRIPT: &str = r#"
import sys, dns.edns, dns.flags, dns.message, dns.query, dns.rcode
ip, port, zone = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def show(what, name, rtype, ask, **edns):
    query = dns.message.make_query(name, rtype, **edns)
    reply = ask(query, ip, 10, port)
    reply = reply[0] if isinstance(reply, tuple) else reply
    assert reply.question[0].name.to_text() == name + ".", reply
    assert dns.message.from_wire(reply.to_wire()) == reply
    count = sum(len(rrset) for rrset in reply.answer)
    data = sorted(item.to_text() for rrset in reply.answer for item in rrset)[:2]
    flags = dns.flags.to_text(reply.flags)
    print(what, dns.rcode.to_text(reply.rcode()), flags, count, *data, *(o.to_text() for o in reply.options), end=";\n")
    return reply
udp, tcp, both = dns.query.udp, dns.query.tcp, dns.query.udp_with_fallback
show("positive", "db-0.db." + zone, "A", udp)
show("nxdomain", "db-9.db." + zone, "A", udp)
show("nodata", "db-0.db." + zone, "AAAA", udp)
show("truncated", "many." + zone, "A", lambda q, *rest: udp(q, *rest, raise_on_truncation=False))
show("fallback", "many." + zone, "A", both)
show("stream", "many." + zone, "A", tcp)
show("ports", "_sql._tcp.db." + zone, "SRV", udp)
show("reverse", "2.0.8.10.in-addr.arpa", "PTR", udp)
show("spelling", "dB-0.DB." + zone.upper(), "A", udp)
show("refused", "www.example.com", "A", udp, use_edns=0, payload=4096)
show("subnet", "db-0.db." + zone, "A", udp, use_edns=0, options=[dns.edns.ECSOption("192.0.2.0", 24)])
"#;

#[test]
fn dnspython() {
    let here = Path::new(PYTHON).is_file()
        && Command::new(PYTHON).args(["-c", "import dns.message"]).output().is_ok_and(|output| output.status.success());
    if !here {
        skip("dnspython is not installed");
        return;
    }
    let program = Program::start(&[("names.yaml", &manifest())]);
    let text = print(program.address, PYTHON, Some(SCRIPT));
    let expected = [
        "positive NOERROR QR AA RD 1 10.8.0.1;",
        "nxdomain NXDOMAIN QR AA RD 0;",
        "nodata NOERROR QR AA RD 0;",
        "truncated NOERROR QR AA TC RD 29 10.9.0.",
        "fallback NOERROR QR AA RD 90 10.9.0.0 10.9.0.1;",
        "stream NOERROR QR AA RD 90 10.9.0.0 10.9.0.1;",
        "ports NOERROR QR AA RD 2 0 50 5432 db-0.db.{z}. 0 50 5432 db-1.db.{z}.;",
        "reverse NOERROR QR AA RD 1 db-1.db.{z}.;",
        "spelling NOERROR QR AA RD 1 10.8.0.1;",
        "refused REFUSED QR RD 0 EDE 20: ",
        "subnet NOERROR QR AA RD 1 10.8.0.1;",
    ];
    check_text("dnspython", &text, &expected, &["Traceback"]);
}

/// What musl does with a name: it asks for A and AAAA of each name of the search list in turn, and stops at the first
/// that is not NXDOMAIN. glibc goes on after NODATA, so musl is the one that a wrong answer stops.
#[test]
fn the_search_list_of_a_container() {
    let program = Program::start(&[("names.yaml", &manifest())]);
    let mut client = Udp::new(program.address);
    let search = [ZONE, "svc.cluster.local", "cluster.local"];
    // The name, and which of the list ends the search; `3` is the name itself.
    let rows = [
        ("db", 0, ResponseCode::NoError),
        ("db-0.db", 0, ResponseCode::NoError),
        ("db.default", 1, ResponseCode::NoError),
        ("db-1.db.default", 1, ResponseCode::NoError),
        ("db.default.svc", 2, ResponseCode::NoError),
        ("out", 0, ResponseCode::NoError),
        ("db.default.svc.cluster.local", 3, ResponseCode::NoError),
        ("nosuch", 3, ResponseCode::Refused),
        ("www.example.com", 3, ResponseCode::Refused),
        ("db-9.db", 3, ResponseCode::Refused),
    ];
    for (name, place, expected) in rows {
        let all = search.iter().map(|suffix| format!("{name}.{suffix}")).chain([name.to_owned()]);
        let mut found = None;
        for (number, full) in all.enumerate() {
            let replies = client.ask(&[(&full, A), (&full, 28)]);
            let codes = [dns::code(&replies[0]), dns::code(&replies[1])];
            assert_eq!(codes[0], codes[1], "257: A and AAAA of {full}");
            if codes[0] != ResponseCode::NXDomain {
                found = Some((number, codes[0]));
                break;
            }
        }
        assert_eq!(found, Some((place, expected)), "256: {name}");
    }
}

/// What the C library of this machine does with a search list, in a network of its own on port 53.
#[test]
fn the_c_library() {
    if !have(&["getent", "busybox"]) {
        return;
    }
    let resolv_conf =
        format!("nameserver 127.0.0.1\nsearch {ZONE} svc.cluster.local cluster.local\noptions ndots:5 timeout:5\n");
    let Some(namespace) = Namespace::new(&resolv_conf) else { return };
    let within = namespace.command(command().get_program().to_str().unwrap());
    let program = Program::start_with(within, "127.0.0.1:53", &[("names.yaml", &manifest())]);
    assert_eq!(program.address.port(), 53);
    let rows: [(&str, &[&str], bool, &[&str]); 9] = [
        ("getent", &["ahostsv4", "db"], true, &["10.8.0.1", "10.8.0.2"]),
        ("getent", &["ahosts", "db-1.db"], true, &["10.8.0.2"]),
        ("getent", &["ahostsv4", "db-1.db.default.svc"], true, &["10.8.0.2"]),
        // More than UDP holds: it asks again over TCP.
        ("getent", &["ahostsv4", "many"], true, &["10.9.0.0 ", "10.9.0.89 "]),
        ("getent", &["hosts", "10.8.0.1"], true, &["db-0.db.default.svc.cluster.local"]),
        ("getent", &["ahosts", "db-9.db"], false, &[]),
        ("getent", &["ahosts", "www.example.com"], false, &[]),
        ("busybox", &["nslookup", "-type=a", "db-0.db.default.svc.cluster.local"], true, &["10.8.0.1"]),
        ("busybox", &["ping", "-c1", "-W1", "db-9.db"], false, &["bad address"]),
    ];
    for (client, arguments, success, expected) in rows {
        let (succeeded, text) = namespace.run(client, arguments);
        assert_eq!(succeeded, success, "{client} {arguments:?}: {text}");
        check_text(&format!("{client} {arguments:?}"), &(text + " "), expected, &[]);
    }
}
