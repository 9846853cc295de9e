//! Clients of the Kubernetes API that take nothing, send nothing, or come in crowds: they delay no other client, what
//! waits for them is bounded, and nothing of them is left.

use crate::support::{
    PATIENCE,
    cluster::{Home, eventually_figure, eventually_watches, figure},
    dns::{A, Udp, code},
    eventually,
    http::{self, Reply},
};
use headless_dns::program::app::Server;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// What a client that behaves may have to wait, on a busy machine.
const FAIR: Duration = Duration::from_secs(10);
const SERVICES: &str = "/api/v1/namespaces/default/services";

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.api_address().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Begins a request; whatever the server closes meanwhile is seen when its reply is read.
fn begin(server: &Server, method: &str, target: &str, length: usize, body: &str) -> TcpStream {
    let mut stream = connect(server);
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let _ = write!(stream, "{head}Content-Length: {length}\r\nContent-Type: application/json\r\n\r\n{body}");
    stream
}

fn ask(server: &Server, method: &str, target: &str, body: &str) -> Reply {
    http::read(&mut begin(server, method, target, body.len(), body)).unwrap()
}

fn make(server: &Server, name: &str) {
    let body =
        format!(r#"{{"metadata": {{"name": "{name}"}}, "spec": {{"clusterIP": "None", "ports": [{{"port": 80}}]}}}}"#);
    let reply = ask(server, "POST", SERVICES, &body);
    assert_eq!(reply.status, 201, "{reply:?}");
}

/// Changes a Service, so that it holds so much.
fn fill(server: &Server, name: &str, round: usize, octets: usize) {
    let much = "x".repeat(octets);
    let patch = format!(r#"{{"metadata": {{"annotations": {{"round": "{round}", "much": "{much}"}}}}}}"#);
    let head = format!("PATCH {SERVICES}/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let mut stream = connect(server);
    write!(stream, "{head}Content-Type: application/merge-patch+json\r\nContent-Length: {}\r\n\r\n", patch.len())
        .unwrap();
    stream.write_all(patch.as_bytes()).unwrap();
    assert_eq!(http::read(&mut stream).unwrap().status, 200);
}

/// A watch from now on, opened and not read.
fn watch(server: &Server) -> TcpStream {
    let mut stream = connect(server);
    write!(stream, "GET {SERVICES}?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream
}

fn eventually_connections(server: &Server, count: usize) {
    eventually_figure(server, "headless_dns_api_connections", count);
}

/// DNS and the API answer as ever.
fn check_service(server: &Server) {
    let begun = Instant::now();
    let reply = Udp::new(server.addresses()[0]).ask(&[("www.example.com", A)]).remove(0);
    assert_eq!(u16::from(code(&reply)), 5, "{reply}");
    assert_eq!(ask(server, "GET", "/version", "").status, 200);
    assert!(begun.elapsed() < FAIR, "{:?}", begun.elapsed());
}

#[test]
fn watchers_that_read_nothing_are_cut_off() {
    let mut home = Home::new();
    home.settings.limits.api.api_slow = Duration::from_millis(300);
    home.settings.limits.api.api_changes = 100;
    let server = home.start();
    make(&server, "big");
    let silent: Vec<TcpStream> = (0..3).map(|_| watch(&server)).collect();
    let mut reading = BufReader::new(watch(&server));
    eventually_watches(&server, 4);
    // More than the system keeps for a connection, so that the server sees that nobody takes it.
    let mut cut_off = 0.0;
    for round in 0..400 {
        fill(&server, "big", round, 200_000);
        // Who reads has everything.
        let mut line = String::new();
        while !line.contains(&format!(r#""round":"{round}""#)) {
            line.clear();
            assert!(reading.read_line(&mut line).unwrap() > 0, "a watcher that reads was cut off");
        }
        cut_off = 4.0 - figure(&server, "headless_dns_api_watches");
        if cut_off == 3.0 {
            break;
        }
    }
    assert_eq!(cut_off, 3.0, "those who read nothing are still there");
    assert_eq!(figure(&server, "headless_dns_api_connections_slow_total"), 3.0);
    check_service(&server);
    drop((silent, reading));
    eventually_watches(&server, 0);
}

#[test]
fn old_versions_of_large_objects_are_not_kept_for_long() {
    const LARGE: usize = 250_000;
    let mut home = Home::new();
    home.settings.limits.api.api_change_octets = 64 * LARGE as u64;
    home.settings.limits.api.api_slow = PATIENCE;
    let server = home.start();
    make(&server, "big");
    let slow = watch(&server);
    eventually_watches(&server, 1);
    // More than is kept and the system keeps for a connection together; it is far from limits.apiChanges.
    let rounds = 200;
    for round in 0..rounds {
        fill(&server, "big", round, LARGE);
    }
    let (mut told, mut last) = (0, String::new());
    let mut reading = BufReader::new(slow);
    while !last.starts_with(r#"{"type":"ERROR""#) {
        last.clear();
        assert!(reading.read_line(&mut last).unwrap() > 0, "it ended without a word");
        told += usize::from(last.contains(r#""much":"#));
    }
    assert!(last.contains(r#""code":410"#), "{last}");
    assert!(told < rounds, "all of them were kept");
    assert_eq!(figure(&server, "headless_dns_api_watches_overtaken_total"), 1.0);
    assert_eq!(figure(&server, "headless_dns_api_connections_slow_total"), 0.0);
}

#[test]
fn bodies_that_do_not_come_are_given_up() {
    let mut home = Home::new();
    home.settings.limits.api.api_slow = Duration::from_millis(300);
    let server = home.start();
    // Nothing of the body, its beginning, and less than was said.
    for (length, body) in [(100, ""), (100, "{"), (3 << 20, "{\"metadata\": {\"name\": \"a\"")] {
        let mut stalled: Vec<TcpStream> = (0..20).map(|_| begin(&server, "POST", SERVICES, length, body)).collect();
        check_service(&server);
        for stream in &mut stalled {
            let reply = http::read(stream).unwrap();
            assert_eq!((reply.status, reply.body.contains("did not come in time")), (400, true), "{reply:?}");
        }
    }
    // Heads that do not end are no requests, and longer bodies than are taken no bodies.
    let reply = http::read(&mut begin(&server, "POST", SERVICES, (3 << 20) + 1, &" ".repeat(1 << 10)));
    assert!(reply.map_or(true, |reply| [400, 413].contains(&reply.status)));
    eventually_connections(&server, 0);
    check_service(&server);
}

/// Sends a request as it is and reads the reply, which has to have one of these codes.
fn check_refused(server: &Server, (method, target): (&str, &str), media_type: &str, body: &[u8], codes: &[u16]) {
    let mut stream = connect(server);
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let length = body.len();
    // What the server does not want to have, it may close before it has all of it.
    let _ = write!(stream, "{head}Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n")
        .and_then(|()| stream.write_all(body));
    let what = format!("{method} {target:.80} with {length} octets of {media_type:?}");
    let reply = http::read(&mut stream).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(codes.contains(&reply.status), "{what}: {reply:?}");
    // Beyond what HTTP itself refuses, it is said in the API's own words.
    if !reply.body.is_empty() {
        let status: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!((&status["kind"], &status["code"]), (&"Status".into(), &reply.status.into()), "{what}");
        // It may repeat what stood in the head.
        assert!(reply.body.len() < 16 << 10, "{what} is told in {} octets", reply.body.len());
    }
}

#[test]
fn what_cannot_be_meant_is_refused_and_changes_nothing() {
    const YAML: &str = "application/yaml";
    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    const APPLY: &str = "application/apply-patch+yaml";
    const PATCHES: [&str; 4] = [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        APPLY,
    ];
    let mut home = Home::new();
    home.settings.state_directory = Some(home.path("state"));
    let server = home.start();
    make(&server, "there");
    let one = format!("{SERVICES}/there");
    let before = ask(&server, "GET", &one, "").body;
    let create = ["application/json", YAML, PROTOBUF].map(|of| (("POST", SERVICES), of));
    let replace = [YAML, PROTOBUF, "application/json"].map(|of| (("PUT", one.as_str()), of));
    let patch = PATCHES.map(|of| (("PATCH", one.as_str()), of));
    let requests: Vec<_> = create.into_iter().chain(replace).chain(patch).collect();

    // Bodies, whatever they are said to be.
    let mut random = fastrand::Rng::with_seed(7);
    let mut noise: Vec<u8> = (0..4096).map(|_| random.u8(..)).collect();
    let nested = |open: &str, depth: usize, close: &str| (open.repeat(depth) + "1" + &close.repeat(depth)).into_bytes();
    let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1)
    });
    let bodies: [(Vec<u8>, &[u16]); 10] = [
        (noise.clone(), &[400]),
        (vec![b' '; (3 << 20) + 1], &[413]),
        (vec![b'['; 3 << 20], &[400, 413]),
        (nested("[", 1000, "]"), &[400]),
        (nested("{\"metadata\":", 100_000, "}"), &[400, 413]),
        (nested("{\"metadata\":", 110, "}"), &[400, 422]),
        (bomb.into_bytes(), &[400]),
        (b"\xff\xfe{\0}\0".to_vec(), &[400]),
        (b"null".to_vec(), &[400, 422]),
        (b"{\"metadata\": {\"name\": 1e999}}".to_vec(), &[400, 422]),
    ];
    for (request, media_type) in &requests {
        for (body, codes) in &bodies {
            check_refused(&server, *request, media_type, body, codes);
        }
    }
    noise.splice(..0, *b"k8s\0");
    check_refused(&server, ("POST", SERVICES), PROTOBUF, &noise, &[400]);
    for media_type in ["text/plain", "application/cbor", "multipart/form-data; boundary=x", "/", "a/b/c", "\u{e9}"] {
        for request in [("POST", SERVICES), ("PUT", &one), ("PATCH", &one)] {
            // What is no text counts as not said.
            let codes = if media_type.is_ascii() { &[415][..] } else { &[400, 415, 422] };
            check_refused(&server, request, media_type, b"{}", codes);
        }
    }

    // Paths and queries.
    let long = "a".repeat(8000);
    let rows: [(String, &[u16]); 18] = [
        ("/api/v1/namespaces/default/../default/services".to_owned(), &[404]),
        ("/api/v1/namespaces/default/%2e%2e/default/services".to_owned(), &[404]),
        ("/api/v1/namespaces/%2E%2E/services/there".to_owned(), &[404]),
        ("/api/v1/namespaces/default/services/..%2f..%2fpods".to_owned(), &[404]),
        ("/api/v1/namespaces/default/services/%2e".to_owned(), &[404]),
        ("/api/v1/namespaces/default/services/there%00".to_owned(), &[404]),
        ("/api/v1/namespaces/default/services/%ff%fe".to_owned(), &[404]),
        ("/api/v1/namespaces//services/there".to_owned(), &[404]),
        ("//api/v1/namespaces/default/services".to_owned(), &[404]),
        ("/api/v1/namespaces/default/services//".to_owned(), &[404]),
        (format!("{SERVICES}/{long}"), &[404]),
        (format!("{SERVICES}/{}", "%61".repeat(5000)), &[404]),
        (format!("/{}", "a/".repeat(5000)), &[404]),
        (format!("{SERVICES}?labelSelector={long}"), &[400]),
        (format!("{SERVICES}?fieldSelector={long}"), &[400]),
        (format!("{SERVICES}?continue={long}"), &[400]),
        (format!("{SERVICES}?resourceVersion={}", "9".repeat(8000)), &[400]),
        (format!("{SERVICES}/{}", long.repeat(10)), &[400, 414, 431]),
    ];
    for (target, codes) in &rows {
        check_refused(&server, ("GET", target), "application/json", b"", codes);
    }
    assert_eq!(ask(&server, "GET", &one, "").body, before);
    check_service(&server);
}

/// Whether the server has closed a connection on which nothing was asked.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    !stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn crowds_leave_room_and_nothing_behind() {
    let mut home = Home::new();
    home.settings.limits.api.api_connections = 16;
    let server = home.start();
    for round in 0..3 {
        let mut watches: Vec<TcpStream> = (0..14).map(|_| watch(&server)).collect();
        eventually_watches(&server, 14);
        let refused = ask(&server, "GET", &format!("{SERVICES}?watch=true"), "");
        assert_eq!((refused.status, refused.body.contains("limits.apiConnections")), (429, true), "{refused:?}");
        check_service(&server);
        eventually_connections(&server, 14);
        // All places taken: the next one is served, and of those that ask nothing one goes.
        let mut taken: Vec<TcpStream> = (0..2).map(|_| connect(&server)).collect();
        eventually_connections(&server, 16);
        let reply = http::read(&mut begin(&server, "GET", "/version", 0, "")).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        eventually("one of the silent ones goes", || {
            taken.retain_mut(|stream| !is_closed(stream));
            if taken.len() < 2 { Ok(()) } else { Err("both are there") }
        });
        drop(taken);
        eventually_connections(&server, 14);
        // Aborted in the middle of what they are told, with and without having read some of it.
        make(&server, &format!("more{round}"));
        for stream in watches.iter_mut().step_by(2) {
            assert!(stream.read(&mut [0; 64]).unwrap() > 0);
        }
        drop(watches);
        eventually_watches(&server, 0);
        eventually_connections(&server, 0);
    }
    assert!(figure(&server, "headless_dns_api_watches_refused_total") >= 3.0);
    assert!(figure(&server, "headless_dns_api_connections_refused_total") >= 3.0);
    check_service(&server);
}

#[test]
fn ready_as_the_rest_of_the_server() {
    let mut home = Home::new();
    // A directory that is not there is waited for.
    let server = home.start();
    let ready = |server: &Server, path: &str| {
        let address: SocketAddr = server.api_address().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        http::read(&mut stream).unwrap()
    };
    assert_eq!(ready(&server, "/livez").status, 200);
    let reply = ready(&server, "/readyz?verbose");
    assert_eq!((reply.status, reply.body.contains("manifests")), (503, true), "{reply:?}");
    drop(server);
    let manifests = home.path("manifests");
    std::fs::create_dir(&manifests).unwrap();
    home.settings.manifests = vec![manifests];
    let server = home.start();
    eventually("ready", || match ready(&server, "/readyz") {
        reply if reply.status == 200 => Ok(()),
        reply => Err(reply.body),
    });
}
