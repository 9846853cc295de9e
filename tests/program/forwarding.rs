//! The real program as a container's only nameserver: names outside its zones come from an upstream.

use crate::support::{
    dig::{eventually_addresses, eventually_dig},
    dns::{code, query},
    eventually, have,
    namespace::Namespace,
    program::{Program, command},
    web, write,
};
use hickory_proto::op::{Message, ResponseCode};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    process::Command,
    time::Duration,
};

const SERVICE: &str = "nginx.default.svc.cluster.local";
const OUTSIDE: &str = "$TTL 60
@ SOA ns.elsewhere. h.elsewhere. 1 2 3 4 60
@ NS ns.elsewhere.
www A 192.0.2.10
www HTTPS 1 . alpn=h2
mail MX 10 www
";
const EXTERNAL: &str = "apiVersion: v1
kind: Service
metadata: {name: ext, namespace: default}
spec: {type: ExternalName, externalName: www.example.com}
";
const A: u16 = 1;
const PATIENCE: Duration = Duration::from_secs(20);

fn forwarding(mut command: Command, upstream: SocketAddr) -> Command {
    command.args(["--forward", &upstream.to_string()]);
    command
}

/// A server for `example.com` and nothing else.
fn upstream(command: Command, listen: &str) -> Program {
    let program = Program::start_with(command, listen, &[]);
    write(&program.zone("example.com.zone"), OUTSIDE);
    program
}

#[test]
fn a_container_with_one_nameserver() {
    if !have(&["dig", "busybox", "getent"]) {
        return;
    }
    let resolv_conf = "nameserver 127.0.0.1
search default.svc.cluster.local svc.cluster.local cluster.local
options ndots:5
";
    let Some(namespace) = Namespace::new(resolv_conf) else { return };
    let binary = env!("CARGO_BIN_EXE_headless-dns");
    let _upstream = upstream(namespace.command(binary), "127.0.0.2:53");
    let program = Program::start_with(
        forwarding(namespace.command(binary), "127.0.0.2:53".parse().unwrap()),
        "127.0.0.1:53",
        &[("web.yaml", &web(1, "", "")), ("ext.yaml", EXTERNAL)],
    );
    assert!(program.stdout().contains("other names: asked of 127.0.0.2\n"), "{}", program.stdout());
    let rows: [(&str, &[&str], &str); 8] = [
        ("getent", &["ahostsv4", "www.example.com"], "192.0.2.10"),
        ("getent", &["ahostsv4", "ext"], "192.0.2.10"),
        ("getent", &["ahostsv4", "web-0.nginx"], "10.244."),
        ("busybox", &["nslookup", "www.example.com", "127.0.0.1"], "192.0.2.10"),
        ("dig", &["+noall", "+comments", "+answer", "www.example.com"], "flags: qr rd ra;"),
        ("dig", &["+noall", "+answer", "mail.example.com", "MX"], "10 www.example.com."),
        ("dig", &["+noall", "+answer", "www.example.com", "HTTPS"], "1 . alpn=\"h2\""),
        ("dig", &["+short", "localhost"], "127.0.0.1"),
    ];
    for (program, arguments, expected) in rows {
        eventually(&format!("{program} {arguments:?}"), || {
            let (success, text) = namespace.run(program, arguments);
            if success && text.contains(expected) { Ok(()) } else { Err(text) }
        });
    }
    for name in ["nosuch.example.com", "web-9.nginx", "nosuch"] {
        let (success, text) = namespace.run("getent", &["hosts", name]);
        assert!(!success && text.is_empty(), "{name}: {text}");
    }
    let (_, text) = namespace.run("dig", &["ext.default.svc.cluster.local"]);
    let cname = text.find("CNAME\twww.example.com.").unwrap_or_else(|| panic!("{text}"));
    assert!(cname < text.find("A\t192.0.2.10").unwrap() && text.contains("flags: qr aa rd ra;"), "{text}");
    // What is absent here is asked of nobody.
    let (_, text) = namespace.run("dig", &["web-9.nginx.default.svc.cluster.local"]);
    assert!(text.contains("status: NXDOMAIN") && text.contains("flags: qr aa rd ra;"), "{text}");
}

/// The reply comes from the address that was asked, also when it is sent later.
#[test]
fn replies_leave_from_the_address_that_was_asked() {
    if !have(&["dig"]) {
        return;
    }
    let upstream = upstream(command(), "127.0.0.1:0");
    let program = Program::start_with(forwarding(command(), upstream.address), "0.0.0.0:0", &[]);
    for address in ["127.0.0.1", "127.0.0.77"] {
        let server = SocketAddr::new(address.parse().unwrap(), program.address.port());
        eventually_addresses(server, "www.example.com", 1);
    }
}

/// Over TLS, if the certificate is for the name that is expected.
#[test]
fn an_upstream_over_tls() {
    if !have(&["dig"]) {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name);
    let certified = rcgen::generate_simple_self_signed(vec!["dns.test".to_owned()]).unwrap();
    write(&path("cert.pem"), &certified.cert.pem());
    write(&path("key.pem"), &certified.signing_key.serialize_pem());
    write(&path("upstream.yaml"), "listenTls: ['127.0.0.1:0']\ntls: {certificate: cert.pem, key: key.pem}\n");
    let with = |name: &str| {
        let mut command = command();
        command.arg("--config").arg(path(name));
        command
    };
    let upstream = upstream(with("upstream.yaml"), "127.0.0.1:0");
    let address = upstream.listening_on("tls");
    for (name, status) in [("dns.test", "NOERROR"), ("other.test", "SERVFAIL")] {
        let settings = format!("forward: {{to: ['tls://{address}#{name}'], caFile: cert.pem}}\n");
        write(&path("ours.yaml"), &settings);
        let program = Program::start_with(with("ours.yaml"), "127.0.0.1:0", &[]);
        eventually_dig(program.address, &["www.example.com", "A"], |reply| reply.status == status);
    }
}

/// An upstream that says nothing holds nobody up: neither our own names over UDP nor others of the same connection.
#[test]
fn a_dead_upstream_holds_nobody_up() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let program = Program::start_with(
        forwarding(command(), silent.local_addr().unwrap()),
        "127.0.0.1:0",
        &[("web.yaml", &web(2, "", ""))],
    );
    eventually_addresses(program.address, SERVICE, 2);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(program.address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();

    let mut stream = TcpStream::connect(program.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut send = |id, name: &str| {
        let message = query(id, name, A);
        stream.write_all(&[&(message.len() as u16).to_be_bytes()[..], &message].concat()).unwrap();
    };
    send(1, "over.tcp.example");
    send(2, SERVICE);
    send(3, SERVICE);
    // As many as may wait, while our own names are asked.
    for id in 0..200 {
        client.send(&query(id, &format!("n{id}.example"), A)).unwrap();
    }
    let mut own = 0;
    let mut buffer = [0; 1232];
    for id in 1000..3000 {
        client.send(&query(id, SERVICE, A)).unwrap();
        loop {
            let length = client.recv(&mut buffer).unwrap();
            let reply = Message::from_vec(&buffer[..length]).unwrap();
            if reply.metadata.id == id {
                assert_eq!((code(&reply), reply.answers.len()), (ResponseCode::NoError, 2));
                own += 1;
                break;
            }
            assert_eq!(code(&reply), ResponseCode::ServFail, "{reply}");
        }
    }
    assert_eq!(own, 2000);

    let mut read = || {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message).unwrap();
        let reply = Message::from_vec(&message).unwrap();
        (reply.metadata.id, code(&reply))
    };
    assert_eq!(read(), (2, ResponseCode::NoError));
    assert_eq!(read(), (3, ResponseCode::NoError));
    assert_eq!(read(), (1, ResponseCode::ServFail));
}
