//! What is seen from outside: metrics, health, waiting, the query log; and that strangers at HTTP harm no query.

use crate::support::{
    PATIENCE,
    dns::{A, SRV, Tcp, Udp},
    eventually,
    exposition::Page,
    free_port, have, http,
    program::{Program, command, run},
    web, write,
};
use headless_dns::{
    control::controller::{Cascade, Write},
    objects::object::{Kind, ObjectKey},
    program::{app::Server, settings::Settings},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::{Read, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const SERVICE: &str = "nginx.default.svc.cluster.local";

struct Home {
    directory: TempDir,
    settings: Settings,
}

impl Home {
    fn new() -> Home {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["manifests", "zones"] {
            std::fs::create_dir(directory.path().join(folder)).unwrap();
        }
        let mut settings = Settings::defaults();
        settings.listen = vec!["127.0.0.1:0".parse().unwrap()];
        settings.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
        settings.manifests = vec![directory.path().join("manifests")];
        settings.zones = directory.path().join("zones");
        settings.state_directory = None;
        settings.simulation.start_after = Duration::from_millis(5);
        settings.simulation.ready_after = Duration::from_millis(5);
        settings.watch.settle = Duration::from_millis(10);
        Home { directory, settings }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start(&self) -> (Server, SocketAddr) {
        let server = Server::start(self.settings.clone()).unwrap();
        let http = server.http_address().unwrap();
        (server, http)
    }
}

fn metrics(server: SocketAddr) -> Page {
    let reply = http::get(server, "/metrics");
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("content-type: text/plain; version=0.0.4"), "{}", reply.head);
    Page::read(&reply.body).unwrap_or_else(|problem| panic!("{problem}\n{}", reply.body))
}

fn wait_for(server: SocketAddr, query: &str) -> (u16, Value) {
    let reply = http::get(server, &format!("/wait?{query}"));
    (reply.status, serde_json::from_str(&reply.body).unwrap_or(Value::String(reply.body)))
}

#[test]
fn every_query_is_counted_once() {
    let home = Home::new();
    write(&home.path("manifests/web.yaml"), &web(2, "", ""));
    let odd = "$ORIGIN a\\\"b\\\\c.test.\n$TTL 60\n@ SOA n.e. h.e. 1 2 3 4 5\n@ NS n.e.\nwww A 192.0.2.1\n";
    write(&home.path("zones/odd.zone"), odd);
    let (server, http) = home.start();
    assert_eq!(wait_for(http, "service=nginx&ready=2").0, 200);
    let before = metrics(http);
    let address = server.addresses()[0];
    let (mut udp, mut tcp) = (Udp::new(address), Tcp::new(address));
    // Three transports' worth of questions; type 99 and 4711 have no column of their own.
    let rounds = 50;
    for _ in 0..rounds {
        udp.ask(&[(SERVICE, A), (SERVICE, SRV), ("nothing.cluster.local", A), ("www.example.com", A), (SERVICE, 4711)]);
        tcp.ask(&[(SERVICE, A), ("nothing.cluster.local", 28)]);
    }
    let after = metrics(http);
    after.check_grown(&before);
    let grown = |name: &str, labels: &[(&str, &str)]| after.sum(name, labels) - before.sum(name, labels);
    let n = f64::from(rounds);
    // Family, labels, how much it has grown.
    type Row = (&'static str, &'static [(&'static str, &'static str)], f64);
    let rows: &[Row] = &[
        ("headless_dns_queries_total", &[("transport", "udp")], 5.0 * n),
        ("headless_dns_queries_total", &[("transport", "tcp")], 2.0 * n),
        ("headless_dns_queries_total", &[("zone", "cluster.local."), ("type", "A"), ("transport", "udp")], 2.0 * n),
        ("headless_dns_queries_total", &[("zone", "cluster.local."), ("type", "other")], n),
        ("headless_dns_queries_total", &[("zone", "none")], n),
        ("headless_dns_responses_total", &[("rcode", "NXDOMAIN"), ("transport", "udp")], n),
        ("headless_dns_responses_total", &[("rcode", "NXDOMAIN"), ("transport", "tcp")], n),
        ("headless_dns_responses_total", &[("rcode", "REFUSED"), ("zone", "none")], n),
        ("headless_dns_responses_total", &[], 7.0 * n),
        ("headless_dns_query_size_bytes_count", &[("transport", "udp")], 5.0 * n),
        ("headless_dns_response_size_bytes_count", &[("transport", "tcp")], 2.0 * n),
        ("headless_dns_query_duration_seconds_count", &[("transport", "tcp")], 2.0 * n),
        ("headless_dns_edns_queries_total", &[], 0.0),
        ("headless_dns_dropped_queries_total", &[], 0.0),
        ("headless_dns_query_size_bytes_sum", &[("transport", "tcp")], n * (12.0 * 2.0 + 33.0 + 23.0 + 8.0)),
    ];
    for (name, labels, expected) in rows {
        assert_eq!(grown(name, labels), *expected, "{name} {labels:?}");
    }
    // The thread that sent a reply counts its duration right behind that.
    eventually("the durations of all UDP queries", || {
        let count = |page: &Page| page.sum("headless_dns_query_duration_seconds_count", &[("transport", "udp")]);
        let more = count(&metrics(http)) - count(&before);
        if more == 5.0 * n { Ok(()) } else { Err(more) }
    });
    assert_eq!(after.sum("headless_dns_zone_names", &[("zone", "a\\\"b\\\\c.test.")]), 2.0);
    assert_eq!(after.sum("headless_dns_objects", &[("kind", "Pod")]), 2.0);
    assert_eq!(after.sum("headless_dns_ready", &[]), 1.0);
    let programming = |name: &str| after.sum(name, &[("service_kind", "headless_with_selector")]);
    let count = programming("headless_dns_dns_programming_duration_seconds_count");
    assert!(count >= 2.0, "a Service and its pods' readiness: {count}");
    assert_eq!(programming("coredns_kubernetes_dns_programming_duration_seconds_count"), count);

    // An octet that is no DNS, a zone that goes, another load: nothing falls.
    std::fs::remove_file(home.path("zones/odd.zone")).unwrap();
    write(&home.path("manifests/web.yaml"), &web(1, "", ""));
    server.control().rescan().unwrap();
    metrics(http).check_grown(&after);
}

#[test]
fn the_table_of_metrics_is_true() {
    let mut home = Home::new();
    // Its figures are there where it is served.
    home.settings.api_listen = Some("127.0.0.1:0".parse().unwrap());
    write(&home.path("manifests/web.yaml"), &web(1, "", ""));
    let (server, http) = home.start();
    Udp::new(server.addresses()[0]).ask(&[(SERVICE, A)]);
    let page = metrics(http);
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let mut told = BTreeSet::new();
    for line in document.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let &[name, kind, labels, _] = cells.as_slice() else { continue };
        assert!(told.insert(name.to_owned()), "{name} twice");
        // One that is there only where an engine runs the pods.
        if name == "headless_dns_engine_up" {
            told.remove(name);
            continue;
        }
        let Some(family) = page.0.get(name) else { panic!("docs/metrics.md tells of {name}, which is not there") };
        assert_eq!(family.kind, kind, "{name}");
        let keys = family.samples.keys().flat_map(|(_, labels)| labels.keys()).filter(|key| *key != "le");
        let keys: BTreeSet<&str> = keys.map(String::as_str).collect();
        let expected = labels.split(", ").map(|label| label.trim_matches('`')).filter(|label| !label.is_empty());
        assert_eq!(keys, expected.collect(), "{name}");
    }
    let there: BTreeSet<String> = page.0.keys().cloned().collect();
    assert_eq!(told, there, "docs/metrics.md and what is served");
}

#[test]
fn routes_and_refusals() {
    let home = Home::new();
    write(&home.path("manifests/web.yaml"), &(web(1, "", "") + &cluster_ip()));
    let (server, http) = home.start();
    assert_eq!(wait_for(http, "service=nginx").0, 200);
    let rows = [
        ("GET /healthz", 200, "ok"),
        ("GET /readyz", 200, "ok"),
        ("HEAD /readyz", 200, ""),
        ("POST /readyz", 405, ""),
        ("DELETE /metrics", 405, ""),
        ("GET /", 404, "/metrics"),
        ("GET /metrics/x", 404, "/metrics"),
        ("GET /explain?name=web-0.nginx", 200, "web-0.nginx.default.svc.cluster.local"),
        ("GET /explain?name=web-7.nginx&type=A&namespace=default", 200, "replicas: 8"),
        ("GET /explain?name=a..b", 400, "no domain name"),
        ("GET /explain", 400, "name"),
        ("GET /wait", 400, "service"),
        ("GET /wait?service=a/b/c", 400, "namespace/name"),
        ("GET /wait?service=nginx&ready=-1", 400, "ready"),
        ("GET /wait?service=nginx&redy=1", 400, "redy"),
        ("GET /wait?service=nginx&timeout=5", 400, "timeout"),
        ("GET /wait?service=nginx&timeout=2h", 400, "at most 600 s"),
        ("GET /wait?service=nginx&ready=1&timeout=0", 200, "web-0"),
        ("GET /wait?service=nginx&ready=2&timeout=0", 408, "\"ready\":1"),
        ("GET /wait?service=gone&ready=1&timeout=10ms", 408, "\"ready\":0"),
        ("GET /wait?service=virtual&ready=1&timeout=0", 200, "10.96."),
        ("GET /wait?service=virtual&ready=2", 409, "ClusterIP"),
    ];
    for (request, status, text) in rows {
        let reply = http::ask(http, request).unwrap();
        assert_eq!(reply.status, status, "{request}: {reply:?}");
        assert!(reply.body.contains(text), "{request}: {reply:?}");
        assert!(!reply.head.contains("access-control"), "{request}");
    }
    if have(&["curl"]) {
        let curl = std::process::Command::new("curl").args(["-sf", &format!("http://{http}/readyz")]).output().unwrap();
        assert_eq!((curl.status.success(), curl.stdout.as_slice()), (true, b"ok\n".as_slice()));
    }
    drop(server);
}

fn cluster_ip() -> String {
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: virtual}\nspec: {selector: {app: nginx}, ports: [{port: 80}]}\n"
        .to_owned()
}

#[test]
fn who_waits_hears_of_it_at_once() {
    let mut home = Home::new();
    home.settings.simulation.ready_after = Duration::from_secs(3600);
    let (server, http) = home.start();
    let waiters: Vec<_> = (0..20)
        .map(|_| std::thread::spawn(move || wait_for(http, "service=default/nginx&ready=3&timeout=30s")))
        .collect();
    eventually("twenty that wait", || match metrics(http).sum("headless_dns_waiting", &[]) {
        20.0 => Ok(()),
        other => Err(other),
    });
    let annotated = "      annotations: {simulation.headless-dns/ready-after: 20ms}\n";
    write(&home.path("manifests/web.yaml"), &web(3, annotated, ""));
    server.control().rescan().unwrap();
    for waiter in waiters {
        let (status, found) = waiter.join().unwrap();
        assert_eq!(status, 200, "{found}");
        let addresses: BTreeSet<&str> =
            found["addresses"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        assert_eq!((addresses.len(), &found["ready"], &found["wanted"]), (3, &3.into(), &3.into()), "{found}");
        let names: Vec<String> = (0..3).map(|ordinal| format!("web-{ordinal}.{SERVICE}")).collect();
        assert_eq!(found["names"], serde_json::to_value(names).unwrap());
        assert_eq!(found["serial"].as_u64(), Some(u64::from(serial(&server))));
    }
    assert_eq!(metrics(http).sum("headless_dns_waiting", &[]), 0.0);
}

fn serial(server: &Server) -> u32 {
    let serials = server.reader().load().serials();
    serials.into_iter().find(|(zone, _)| zone.to_string() == "cluster.local.").unwrap().1
}

/// The figure counts from the pod's readiness, not from when somebody looked.
#[test]
fn changes_are_in_dns_within_milliseconds() {
    let home = Home::new();
    write(&home.path("manifests/web.yaml"), &web(10, "", "  podManagementPolicy: Parallel\n"));
    let (server, http) = home.start();
    assert_eq!(wait_for(http, "service=nginx&ready=10").0, 200);
    let before = metrics(http);
    for round in 0..30 {
        let key = ObjectKey::new(Kind::Pod, "default", format!("web-{}", round % 10));
        server.control().write(Write::delete(key, Some(0), Cascade::Background)).unwrap().unwrap();
        assert_eq!(wait_for(http, "service=nginx&ready=10").0, 200);
    }
    let page = metrics(http);
    let name = "coredns_kubernetes_dns_programming_duration_seconds";
    let kind = ("service_kind", "headless_with_selector");
    let grown = |le: &str| {
        let of = |page: &Page| page.sum(&format!("{name}_bucket"), &[kind, ("le", le)]);
        of(&page) - of(&before)
    };
    // Each pod goes and comes; some of it falls into one turn.
    assert!(grown("+Inf") >= 30.0, "{}", grown("+Inf"));
    println!("{} of {} within 2 ms, {} within 16 ms", grown("0.002"), grown("+Inf"), grown("0.016"));
    assert!(grown("0.128") >= grown("+Inf") * 0.9, "{:?}", page.0[name]);
}

#[test]
fn strangers_at_http_harm_no_query() {
    let mut home = Home::new();
    home.settings.limits.program.http_connections = 8;
    write(&home.path("manifests/web.yaml"), &web(1, "", ""));
    let (server, http) = home.start();
    assert_eq!(wait_for(http, "service=nginx").0, 200);
    let connect = || {
        let stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let mut udp = Udp::new(server.addresses()[0]);
    // Heads that are too long, too many fields, no HTTP, nothing at all; each ends its own connection.
    let long = format!("GET /readyz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET /readyz HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000));
    for octets in [long.as_bytes(), many.as_bytes(), b"\x00\x01\x02\xff\r\n\r\n", b"GET\r\n\r\n"] {
        let mut stream = connect();
        // It may be closed before all of it is written.
        let _ = stream.write_all(octets);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        assert!(!reply.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&reply));
        udp.ask(&[(SERVICE, A)]);
    }
    eventually("closed", || match metrics(http).sum("headless_dns_http_connections", &[]) {
        1.0 => Ok(()),
        other => Err(other),
    });
    // Half a head is no request: the ninth client is served at once, the oldest of the slow ones goes, and DNS goes on.
    let mut slow: Vec<TcpStream> = (0..8).map(|_| connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /rea").unwrap();
    }
    let begun = Instant::now();
    for _ in 0..20 {
        udp.ask(&[(SERVICE, A)]);
        let mut stream = connect();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        assert!(reply.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&reply));
    }
    for stream in &mut slow {
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        assert!(!reply.starts_with(b"HTTP/1.1 200"));
    }
    assert!(begun.elapsed() < PATIENCE, "slow heads are given up");
    let page = eventually("a place for us again", || {
        http::ask(http, "GET /metrics").and_then(|reply| Page::read(&reply.body).map_err(std::io::Error::other))
    });
    assert!(page.sum("headless_dns_http_connections_refused_total", &[]) >= 1.0);
    assert!(!server.failed());
}

/// Some places are left for whoever looks after the server.
#[test]
fn those_who_wait_leave_room() {
    let mut home = Home::new();
    home.settings.limits.program.http_connections = 8;
    let (server, http) = home.start();
    let ask = || {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /wait?service=none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        stream
    };
    let mut waiters: Vec<TcpStream> = (0..6).map(|_| ask()).collect();
    eventually("six that wait", || match metrics(http).sum("headless_dns_waiting", &[]) {
        6.0 => Ok(()),
        other => Err(other),
    });
    let refused = http::read(&mut ask()).unwrap();
    assert_eq!((refused.status, refused.body.contains("limits.httpConnections")), (503, true), "{refused:?}");
    // One that goes away leaves its place at once.
    drop(waiters.pop());
    eventually("five that wait", || match metrics(http).sum("headless_dns_waiting", &[]) {
        5.0 => Ok(()),
        other => Err(other),
    });
    // The server's end is told to all of them.
    let begun = Instant::now();
    server.stop();
    for stream in &mut waiters {
        let reply = http::read(stream).unwrap();
        assert_eq!((reply.status, reply.body.contains("about to end")), (503, true), "{reply:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}

fn program(arguments: &[&str], manifests: &[(&str, &str)]) -> (Program, SocketAddr) {
    let mut command = command();
    command.args(["--metrics-listen", "127.0.0.1:0"]).args(arguments);
    let program = Program::start_with(command, "127.0.0.1:0", manifests);
    let http = program.address_behind("metrics and health at http://");
    (program, http)
}

#[test]
fn unready_while_a_lame_duck_answers() {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("settings.yaml");
    write(&settings, "limits: {lameDuck: 60s}\nlog: {queries: all}\n");
    let (program, http) = program(&["--config", settings.to_str().unwrap()], &[("web.yaml", &web(1, "", ""))]);
    assert_eq!(http::get(http, "/readyz").status, 200);
    program.signal("TERM");
    eventually("unready", || match http::get(http, "/readyz") {
        reply if reply.status == 503 && reply.body.contains("lameDuck") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(http::get(http, "/healthz").status, 200);
    // Its name is odd, and no octet of it reaches the log as it is.
    Udp::new(program.address).ask(&[("a\u{1b}[31m\nb.cluster.local", A)]);
    program.expect_stderr("a\\027[31m\\010b.cluster.local.");
    program.expect_stderr("transport=udp");
    program.signal("TERM");
    assert!(program.ended().success());
}

#[test]
fn the_command_waits() {
    let (program, http) = program(&[], &[("web.yaml", &web(2, "", ""))]);
    let server = http.to_string();
    // Service, ready, timeout, server; exit code, standard output, standard error.
    let none = "127.0.0.1:1";
    let rows = [
        ("nginx", "2", "30s", server.as_str(), 0, "web-1.nginx.default.svc.cluster.local\n10.244.", ""),
        ("default/nginx", "1", "30s", &server, 0, "web-0.nginx", ""),
        ("nginx", "3", "200ms", &server, 75, "", "2 of 3 addresses are there"),
        ("nginx", "1", "200ms", none, 75, "", "cannot connect to 127.0.0.1:1"),
        ("no name", "1", "1s", &server, 64, "", "`no name` is no name of a Service"),
        ("nginx", "1", "1s", &program.address.to_string(), 75, "", ""),
    ];
    for (service, ready, timeout, server, code, stdout, stderr) in rows {
        let mut command = command();
        command.args(["wait", "--service", service, "--ready", ready, "--timeout", timeout, "--server", server]);
        let ended = run(command);
        let said = format!("{service} {ready}: {:?}\n{}\n{}", ended.status, ended.stdout, ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(ended.stdout.contains(stdout) && ended.stderr.contains(stderr), "{said}");
    }
    let mut command = command();
    command.args(["wait", "--service", "nginx"]).current_dir(program.manifest("").parent().unwrap());
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
    assert!(ended.stderr.contains("metricsListen"), "{}", ended.stderr);
}

/// A gang that is started together with the server waits for it, too.
#[test]
fn the_command_waits_for_a_server_that_is_not_there_yet() {
    let address = format!("127.0.0.1:{}", free_port());
    let mut waiting = command();
    waiting.args(["wait", "--service", "nginx", "--ready", "2", "--server", &address]);
    let mut child = waiting.spawn().unwrap();
    let mut serving = command();
    serving.args(["--metrics-listen", &address]);
    let _program = Program::start_with(serving, "127.0.0.1:0", &[("web.yaml", &web(2, "", ""))]);
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(stdout.lines().filter(|line| line.contains(SERVICE)).count(), 2, "{stdout}");
}
