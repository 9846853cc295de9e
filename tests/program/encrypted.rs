//! DNS over TLS, HTTPS, QUIC and HTTP/3 against the real program, asked with the clients that people use.

use crate::support::{
    PATIENCE, eventually, have,
    program::{Program, command, run},
    skip, web,
};
use futures::StreamExt;
use hickory_net::{
    h3::H3ClientStream,
    proto::{
        op::{DnsRequest, DnsRequestOptions, Message, Query},
        rr::{Name, RecordType},
    },
    xfer::DnsRequestSender,
};
use rustls::crypto::ring::default_provider;
use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// The one that Debian's package of dnspython is for.
const PYTHON: &str = "/usr/bin/python3";
const NAME: &str = "web-0.nginx.default.svc.cluster.local";

/// A program that listens on everything.
struct Served {
    program: Program,
    tls: SocketAddr,
    https: SocketAddr,
    quic: SocketAddr,
    http3: SocketAddr,
}

impl Served {
    fn start(directory: &Path, tls: &str) -> Served {
        let settings = directory.join("settings.yaml");
        let text = format!(
            "listenTls: ['127.0.0.1:0']\nlistenHttps: ['127.0.0.1:0']\nlistenQuic: ['127.0.0.1:0']\n\
             listenHttp3: ['127.0.0.1:0']\nwatch: {{rescan: 100ms}}\ntls: {{{tls}}}\n"
        );
        fs::write(&settings, text).unwrap();
        let mut command = command();
        command.arg("--config").arg(&settings);
        let program = Program::start_with(command, "127.0.0.1:0", &[("web.yaml", &web(1, "", ""))]);
        let address = |transport: &str| {
            let mark = format!("listening on {transport} ");
            let stdout = program.stdout();
            let line = stdout.lines().find_map(|line| line.strip_prefix(&mark)).unwrap();
            line.split(' ').next().unwrap().parse().unwrap()
        };
        let (tls, https, quic, http3) = (address("tls"), address("https"), address("quic"), address("http3"));
        Served { program, tls, https, quic, http3 }
    }

    /// The printed hash of a self-signed certificate.
    fn pin(&self) -> String {
        let stdout = self.program.stdout();
        let line =
            stdout.lines().find_map(|line| line.strip_prefix("certificate: self-signed, to be pinned as sha256 "));
        line.unwrap().to_owned()
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn kdig(server: SocketAddr, arguments: &[&str]) -> String {
    let server_arguments = [format!("@{}", server.ip()), "-p".to_owned(), server.port().to_string()];
    output(Command::new("kdig").args(server_arguments).args(["+timeout=10", "+retry=0"]).args(arguments))
}

#[test]
fn kdig_asks_over_every_transport() {
    if !have(&["kdig"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let served = Served::start(directory.path(), "selfSigned: [localhost, 127.0.0.1]");
    let pinned = format!("+tls-pin={}", served.pin());
    let wrong = format!("+tls-pin={}", "A".repeat(43) + "=");
    let expected = eventually("the pod's address", || {
        let plain = kdig(served.program.address, &["+short", NAME]);
        if plain.starts_with("10.") { Ok(plain) } else { Err(plain) }
    });
    let (tls, https, quic) = (served.tls, served.https, served.quic);
    let rows: [(SocketAddr, &[&str], bool); 7] = [
        (tls, &["+tls"], true),
        (tls, &["+tls", &pinned], true),
        (tls, &["+tls", &wrong], false),
        (https, &["+https"], true),
        (https, &["+https-get"], true),
        (quic, &["+quic"], true),
        (quic, &[&pinned, "+quic"], true),
    ];
    for (server, how, good) in rows {
        let reply = kdig(server, &[how, &["+short", NAME]].concat());
        assert_eq!(reply == expected, good, "{how:?}: {reply}");
    }
    // Negative answers, aliases and the whole of a reply are the same, too; TYPE65400 is none that exists here.
    for (name, kind) in [(NAME, "AAAA"), ("no.cluster.local", "A"), ("example.org", "A"), (NAME, "TYPE65400")] {
        let comparable = |reply: String| {
            let line =
                |line: &&str| !line.starts_with(";; TLS") && !line.starts_with(";; QUIC") && !line.contains("HTTP");
            reply.lines().filter(line).collect::<Vec<_>>().join("\n")
        };
        let ask = |server, how: &[&str]| {
            let quiet = ["+noheader", "+nostats", "+noedns", "+norec", name, kind];
            comparable(kdig(server, &[how, &quiet].concat()))
        };
        let plain = ask(served.program.address, &["+tcp"]);
        for (server, how) in [(tls, "+tls"), (https, "+https"), (quic, "+quic")] {
            assert_eq!(ask(server, &[how]), plain, "{how} {name} {kind}");
        }
    }
}

#[test]
fn curl_gets_the_statuses_of_http() {
    if !have(&["curl"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let served = Served::start(directory.path(), "selfSigned: [localhost]");
    let query = directory.path().join("query");
    // An id of 0, as caches like it; the name is one that is always there.
    fs::write(&query, b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x07cluster\x05local\0\0\x06\0\x01").unwrap();
    let url = format!("https://{}/dns-query", served.https);
    let get = format!("{url}?dns=AAABAAABAAAAAAAAB2NsdXN0ZXIFbG9jYWwAAAYAAQ");
    let nothing = format!("{url}?dns=AAABAAABAAAAAAAAAm5vB2NsdXN0ZXIFbG9jYWwAAAYAAQ");
    let elsewhere = format!("{url}?dns=AAABAAABAAAAAAAAB2V4YW1wbGUDb3JnAAAGAAE");
    let pin = format!("sha256//{}", served.pin());
    let data = format!("@{}", query.display());
    let message = "content-type: application/dns-message";
    // Every response tells that there is HTTP/3, and where.
    let http3 = format!("alt-svc: h3=\":{}\"; ma=86400", served.http3.port());
    // Arguments; what is in the head of the response.
    let rows: [(&[&str], &[&str]); 14] = [
        (&[&get], &["HTTP/2 200", "content-type: application/dns-message", "cache-control: max-age=", &http3]),
        (&[&get, "--http1.1"], &["HTTP/1.1 200", &http3]),
        (&["-H", message, "--data-binary", &data, &url], &["HTTP/2 200", "content-type: application/dns-message"]),
        // Errors of DNS are none of HTTP, and a negative answer holds for as long as its SOA says.
        (&[&nothing], &["HTTP/2 200", "cache-control: max-age=1"]),
        (&[&elsewhere], &["HTTP/2 200", "no-store"]),
        (&[&url], &["HTTP/2 400"]),
        (&[&format!("{url}?dns=AAAB")], &["HTTP/2 400"]),
        (&[&get, "-H", "accept: text/html"], &["HTTP/2 406"]),
        (&[&format!("https://{}/", served.https)], &["HTTP/2 404"]),
        (&["-X", "DELETE", &get], &["HTTP/2 405", "allow: GET, POST"]),
        (&["--data-binary", &data, &url], &["HTTP/2 415"]),
        (&["-H", message, "--data-binary", &"x".repeat(65_536), &url], &["HTTP/2 413"]),
        (
            &["--http1.1", "-H", message, "-H", "transfer-encoding: chunked", "--data-binary", &data, &url],
            &["HTTP/1.1 200"],
        ),
        (&["--tls-max", "1.2", &get], &["HTTP/2 200"]),
    ];
    for (arguments, expected) in rows {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-k", "--pinnedpubkey", &pin, "--max-time", "20", "-o", "/dev/null", "-D", "-"]);
        let head = output(curl.args(arguments));
        for text in expected {
            assert!(head.contains(text), "{:?}: {text} is missing: {head}", &arguments[..1]);
        }
    }
}

#[test]
fn python_asks_over_tls() {
    let dnspython = || output(Command::new(PYTHON).args(["-c", "import dns.query"])).is_empty();
    if !have(&[PYTHON]) || !dnspython() && !skip("dnspython not installed") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let served = Served::start(directory.path(), "selfSigned: [localhost]");
    let script = "import sys, ssl, socket, dns.message, dns.query\n\
                  context = ssl.create_default_context()\n\
                  context.check_hostname = False\n\
                  context.verify_mode = ssl.CERT_NONE\n\
                  context.set_alpn_protocols(['dot'])\n\
                  s = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=20))\n\
                  s.settimeout(20)\n\
                  queries = [dns.message.make_query('cluster.local', 'SOA') for _ in range(50)]\n\
                  for q in queries: dns.query.send_tcp(s, q)\n\
                  ids = {dns.query.receive_tcp(s)[0].id for _ in queries}\n\
                  print(s.selected_alpn_protocol(), s.version(), ids == {q.id for q in queries})\n";
    let port = served.tls.port().to_string();
    assert_eq!(output(Command::new(PYTHON).args(["-c", script, &port])), "dot TLSv1.3 True\n");
}

/// A certificate and its key in files, and the certificate as clients see it.
fn make(certificate: &Path, key: &Path) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    crate::support::write(key, &made.signing_key.serialize_pem());
    crate::support::write(certificate, &made.cert.pem());
    made.cert.der().to_vec()
}

/// How a client shakes hands that trusts one certificate.
fn trusting(certificate: &[u8]) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.to_vec().into()).unwrap();
    rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What hickory's client of HTTP/3 gets for each question, on one connection.
fn over_http3(server: SocketAddr, trusted: &[u8], questions: &[(&str, RecordType)]) -> Result<Vec<Message>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = H3ClientStream::builder().crypto_config(trusting(trusted)).request_timeout(PATIENCE);
        let client = client.build(server, "localhost".into(), "/dns-query".into()).await;
        let mut client = client.map_err(|error| error.to_string())?;
        let mut replies = Vec::new();
        for &(name, kind) in questions {
            let query = Query::query(Name::from_ascii(name).unwrap(), kind);
            let mut sent = client.send_message(DnsRequest::from_query(query, DnsRequestOptions::default()));
            let reply = sent.next().await.ok_or("there is no reply")?.map_err(|error| error.to_string())?;
            replies.push(Message::clone(&reply));
        }
        Ok(replies)
    })
}

#[test]
fn hickory_asks_over_http_3() {
    let directory = tempfile::tempdir().unwrap();
    let first = make(&directory.path().join("tls.crt"), &directory.path().join("tls.key"));
    let served = Served::start(directory.path(), "certificate: tls.crt, key: tls.key");
    let questions = [
        (NAME, RecordType::A),
        (NAME, RecordType::AAAA),
        ("no.cluster.local.", RecordType::A),
        ("example.org.", RecordType::A),
    ];
    // RCODE and records of the answer.
    let expected = [(0, 1), (0, 0), (3, 0), (5, 0)];
    eventually("the pod's address", || {
        let replies = over_http3(served.http3, &first, &questions)?;
        let seen = replies.iter().map(|reply| (u16::from(reply.metadata.response_code), reply.answers.len()));
        if seen.clone().eq(expected) { Ok(()) } else { Err(format!("{:?}", seen.collect::<Vec<_>>())) }
    });
    // The certificate is the one of the other transports, and renewed with it.
    let second = make(&directory.path().join("tls.crt"), &directory.path().join("tls.key"));
    eventually("the new certificate", || over_http3(served.http3, &second, &questions));
    assert!(over_http3(served.http3, &first, &questions).is_err());
}

/// The certificate that a client is shown; it has to be the one that it trusts.
fn shown(server: SocketAddr, trusted: &[u8]) -> Result<(), String> {
    let config = trusting(trusted);
    let client = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    rustls::StreamOwned::new(client, stream).flush().map_err(|error| error.to_string())
}

#[test]
fn new_certificates_are_taken_and_broken_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    let first = make(&certificate, &key);
    let served = Served::start(directory.path(), "certificate: tls.crt, key: tls.key");
    for server in [served.tls, served.https] {
        shown(server, &first).unwrap();
    }
    let second = make(&certificate, &key);
    for server in [served.tls, served.https] {
        eventually("the new certificate", || shown(server, &second));
    }
    assert!(shown(served.tls, &first).is_err());
    served.program.expect_stderr("a new certificate is in use");

    crate::support::write(&certificate, "no certificate");
    served.program.expect_stderr("tls.crt: there is no certificate in it");
    served.program.expect_stderr("clients are still shown the certificate that was read before");
    shown(served.tls, &second).unwrap();
    // SIGHUP looks as well.
    let third = make(&certificate, &key);
    served.program.signal("HUP");
    eventually("the third certificate", || shown(served.https, &third));
    served.program.signal("TERM");
    assert!(served.program.ended().success());
}

#[test]
fn why_it_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    file("empty.pem", "");
    // Settings; what is said.
    let rows: [(&str, &[&str]); 4] = [
        ("listenTls: ['127.0.0.1:0']\n", &["no certificate for listenTls", "selfSigned"]),
        ("listenQuic: ['127.0.0.1:0']\ntls: {certificate: none.pem, key: none.pem}\n", &["none.pem", "cannot be read"]),
        (
            "listenHttps: ['127.0.0.1:0']\ntls: {certificate: empty.pem, key: empty.pem}\n",
            &["empty.pem", "there is no certificate in it", "-----BEGIN CERTIFICATE-----"],
        ),
        ("listenTls: ['192.0.2.1:0']\ntls: {selfSigned: [a.test]}\n", &["cannot listen on tls 192.0.2.1:0"]),
    ];
    for (text, expected) in rows {
        let settings = file("settings.yaml", &format!("stateDirectory: none\nlisten: ['127.0.0.1:0']\n{text}"));
        for verb in ["serve", "check"] {
            // That an address is nobody's shows only when it is bound.
            if verb == "check" && text.contains("192.0.2.1") {
                continue;
            }
            let mut command = command();
            command.arg(verb).arg("--config").arg(&settings).current_dir(directory.path());
            let ended = run(command);
            assert_eq!(ended.status.code(), Some(78), "{verb} {text}: {}", ended.stderr);
            for part in expected {
                assert!(ended.stderr.contains(part), "{verb} {text}: {part} is missing: {}", ended.stderr);
            }
        }
    }
}
