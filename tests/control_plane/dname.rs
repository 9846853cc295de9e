//! DNAME (RFC 6672) as BIND, NSD and Knot answer it: the same zone, the same questions, the same records.

use crate::support::{dns::query, eventually, free_port, have};
use headless_dns::dns::{
    answer::{QueryContext, Transport, Verdict, answer},
    zone::{Snapshot, file},
};
use hickory_proto::{op::Message, rr::RecordType};
use std::{
    collections::BTreeSet,
    net::UdpSocket,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

const ZONE: &str = "\
$TTL 300
@ SOA ns h 1 3600 600 86400 60
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
d 120 DNAME target
d TXT beside
x.d A 192.0.2.9
target A 192.0.2.3
x.target A 192.0.2.4
*.w.target TXT wild
alias.target CNAME www
cut.target NS ns.cut.target
ns.cut.target A 192.0.2.6
deep CNAME x.d
out DNAME example.com.
chain DNAME d
loop DNAME loop2
loop2 DNAME loop
long DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
wild A 192.0.2.7
*.wild DNAME target
sub NS ns.sub
ns.sub A 192.0.2.5
below.sub DNAME target
lower.d NS ns.lower.d
mx MX 10 x.d
mx MX 20 www
";

/// Owners of records below a DNAME.
const HIDDEN: &[&str] = &["x.d ", "lower.d "];

/// Name, type, and the servers that answer otherwise with the reason.
type Row = (&'static str, RecordType, &'static [(&'static str, &'static str)]);

const HOPS: &str = "it goes round before it gives up, and so has each record several times";
/// As for any alias here.
const CUT: &[(&str, &str)] = &[
    ("named", "it adds the referral; here the client asks on from the alias's target"),
    ("nsd", "the same"),
    ("knotd", "the same"),
];
const LONG: &str = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccc.dddddddddddddddddddddddddddddddddddddddddddddddddddddddd.\
                    eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.long";

const ROWS: &[Row] = &[
    ("d", RecordType::A, &[]),
    ("d", RecordType::DNAME, &[]),
    ("d", RecordType::TXT, &[]),
    ("x.d", RecordType::A, &[]),
    ("x.d", RecordType::AAAA, &[]),
    ("x.d", RecordType::DNAME, &[]),
    ("x.d", RecordType::DS, &[]),
    ("X.D", RecordType::A, &[]),
    ("none.d", RecordType::A, &[]),
    ("x.y.d", RecordType::A, &[]),
    ("a.w.d", RecordType::TXT, &[]),
    ("a.w.d", RecordType::A, &[]),
    ("w.d", RecordType::A, &[]),
    ("alias.d", RecordType::A, &[]),
    ("alias.d", RecordType::CNAME, &[]),
    ("x.d", RecordType::CNAME, &[]),
    ("lower.d", RecordType::A, &[]),
    ("a.lower.d", RecordType::A, &[]),
    ("deep", RecordType::A, &[]),
    ("deep", RecordType::CNAME, &[]),
    ("x.out", RecordType::A, &[]),
    ("out", RecordType::A, &[]),
    ("x.chain", RecordType::A, &[]),
    ("none.chain", RecordType::A, &[]),
    ("x.loop", RecordType::A, &[("named", HOPS)]),
    (LONG, RecordType::A, &[("knotd", "it says NXDOMAIN, and RFC 6672 §2.2 YXDOMAIN")]),
    ("short.long", RecordType::A, &[]),
    ("wild", RecordType::A, &[]),
    ("x.wild", RecordType::DNAME, &[]),
    ("x.wild", RecordType::A, &[]),
    ("x.y.wild", RecordType::A, &[]),
    ("x.below.sub", RecordType::A, &[]),
    ("a.cut.d", RecordType::A, CUT),
    ("cut.d", RecordType::NS, CUT),
    ("mx", RecordType::MX, &[]),
    ("none", RecordType::A, &[]),
];

struct Server {
    program: &'static str,
    child: Child,
    port: u16,
}

impl Server {
    fn start(program: &'static str, directory: &Path) -> Server {
        let port = free_port();
        let path = directory.display();
        let config = match program {
            "named" => format!(
                "options {{ directory \"{path}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
                 pid-file none; session-keyfile \"{path}/key\"; recursion no; minimal-responses yes; }};\n\
                 controls {{ }};\nzone \"example.org\" {{ type primary; file \"{path}/zone\"; }};\n"
            ),
            "nsd" => format!(
                "server:\n  username: \"\"\n  chroot: \"\"\n  database: \"\"\n  zonesdir: \"{path}\"\n  pidfile: \"{path}/pid\"\n  \
                 xfrdfile: \"{path}/xfrd\"\n  xfrdir: \"{path}\"\n  zonelistfile: \"{path}/list\"\n  ip-address: 127.0.0.1@{port}\n  \
                 minimal-responses: yes\nremote-control:\n  control-enable: no\n\
                 zone:\n  name: example.org\n  zonefile: \"{path}/zone\"\n"
            ),
            _ => format!(
                "server:\n    rundir: \"{path}\"\n    listen: 127.0.0.1@{port}\ndatabase:\n    storage: \"{path}\"\n\
                 zone:\n  - domain: example.org\n    file: \"{path}/zone\"\n"
            ),
        };
        // NSD and Knot want no records below a DNAME; without them they answer as with them.
        let hidden = |line: &&str| program != "named" && HIDDEN.iter().any(|owner| line.starts_with(owner));
        let zone: String = ZONE.lines().filter(|line| !hidden(line)).map(|line| format!("{line}\n")).collect();
        std::fs::write(directory.join("zone"), zone).unwrap();
        std::fs::write(directory.join("conf"), config).unwrap();
        let arguments: &[&str] = match program {
            "named" => &["-g", "-c"],
            "nsd" => &["-d", "-c"],
            _ => &["-c"],
        };
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).arg(directory.join("conf")).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let server = Server { program, child, port };
        eventually("the server answers", || {
            server
                .ask(&query(1, "example.org", 6))
                .filter(|reply| !reply.answers.is_empty())
                .ok_or_else(|| std::fs::read_to_string(directory.join("log")).unwrap_or_default())
        });
        server
    }

    fn ask(&self, packet: &[u8]) -> Option<Message> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket.send(packet).ok()?;
        let mut out = [0; 4096];
        let length = socket.recv(&mut out).ok()?;
        Message::from_vec(&out[..length]).ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // So that it ends its own children.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Code, AA, records of the answer, SOA or NS of the authority section. Names in lower case.
fn meaning(message: &Message) -> BTreeSet<String> {
    let mut lines: BTreeSet<String> =
        message.answers.iter().map(|record| record.to_string().to_ascii_lowercase()).collect();
    let authority =
        message.authorities.iter().map(|record| format!("authority {} {}", record.name, record.record_type()));
    lines.extend(authority.map(|line| line.to_ascii_lowercase()));
    lines.insert(format!("{} aa={}", message.metadata.response_code, message.metadata.authoritative));
    lines
}

fn ours(snapshot: &Snapshot, packet: &[u8]) -> Message {
    let mut out = vec![0; 65_535];
    let Verdict::Reply(length) = answer(packet, snapshot, QueryContext::new(Transport::Udp, 1232, 0), &mut out) else {
        panic!("no reply")
    };
    Message::from_vec(&out[..length]).unwrap()
}

#[test]
fn other_servers_answer_the_same() {
    if !have(&["named", "nsd", "knotd"]) {
        return;
    }
    let (zone, diagnostics) = file::read(Path::new("example.org.zone"), ZONE.as_bytes(), &[]);
    let snapshot = Snapshot::new(vec![]).with_static_zones(vec![zone.unwrap_or_else(|| panic!("{diagnostics:?}"))]);
    let mut differences = String::new();
    for program in ["named", "nsd", "knotd"] {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(program, directory.path());
        for (name, rtype, exempt) in ROWS {
            let packet = query(7, &format!("{name}.example.org"), (*rtype).into());
            let (ours, theirs) = (meaning(&ours(&snapshot, &packet)), meaning(&server.ask(&packet).unwrap()));
            let meant = exempt.iter().any(|(other, _)| *other == server.program);
            if (ours == theirs) == meant {
                differences.push_str(&format!("{program}: {name} {rtype}\n  ours   {ours:?}\n  theirs {theirs:?}\n"));
            }
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}
