//! Bodies, patches and watches that are made to fill the memory or to keep everybody waiting, against the real program with
//! 2 GB of address space: it refuses them, and DNS and the API answer meanwhile.
//!
//! `HEADLESS_DNS_WALL=1` plays it longer: as many watches as are let in, and as many objects.

use crate::support::{
    PATIENCE,
    dns::{A, Udp, code},
    exposition::Page,
    http::{self, Reply},
    limited::json_type,
    program::{Program, limited},
};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Address space that the program has, in KiB.
const SPACE: u64 = 2 << 20;
/// What a client that behaves may have to wait, on a busy machine and without optimization.
const FAIR: Duration = Duration::from_secs(10);
const SERVICES: &str = "/api/v1/namespaces/default/services";
const PODS: &str = "/api/v1/namespaces/default/pods";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn is_long() -> bool {
    std::env::var("HEADLESS_DNS_WALL").as_deref() == Ok("1")
}

struct Server {
    program: Program,
    api: SocketAddr,
    metrics: SocketAddr,
}

impl Server {
    fn start(settings: &str) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("settings.yaml");
        std::fs::write(&file, settings).unwrap();
        let mut command = limited(&format!("-v {SPACE}"));
        command.arg("--config").arg(&file);
        command.args(["--api-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
        // The file is read before it says where it listens.
        let program = Program::start_with(command, "127.0.0.1:0", &[]);
        let api = program.address_behind("Kubernetes API at http://");
        let metrics = program.address_behind("metrics and health at http://");
        Server { program, api, metrics }
    }

    fn send(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.api).unwrap();
        stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
        // What is too large is refused before it is there.
        let _ = stream.write_all(body);
        http::read(&mut stream).unwrap_or_else(|error| Reply {
            status: 0,
            head: error.to_string(),
            body: String::new(),
        })
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.send(method, path, json_type(method), body.to_string().as_bytes())
    }

    fn figure(&self, name: &str) -> f64 {
        Page::read(&http::get(self.metrics, "/metrics").body).unwrap().sum(name, &[])
    }

    /// Asks for small things until it is told to stop; the longest time that one took.
    fn asks_meanwhile(&self) -> Bystander {
        let (api, dns) = (self.api, self.program.address);
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let asking = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            let mut udp = Udp::new(dns);
            while !stopped.load(Ordering::Relaxed) {
                for path in ["/version", "/api/v1/namespaces/default"] {
                    let begun = Instant::now();
                    let mut stream = TcpStream::connect(api).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
                    assert_eq!(http::read(&mut stream).unwrap().status, 200, "{path}");
                    longest = longest.max(begun.elapsed());
                }
                let begun = Instant::now();
                assert_eq!(u16::from(code(&udp.ask(&[("www.example.com", A)]).remove(0))), 5);
                longest = longest.max(begun.elapsed());
                crate::support::pause();
            }
            longest
        });
        Bystander { stop, asking }
    }
}

struct Bystander {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Duration>,
}

impl Bystander {
    fn has_waited(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.join().unwrap()
    }
}

/// A Service in JSON, as text: a name, and what stands in its specification beside that it is headless.
fn service(name: &str, spec: &str) -> Vec<u8> {
    format!(r#"{{"metadata": {{"name": "{name}"}}, "spec": {{"clusterIP": "None"{spec}}}}}"#).into_bytes()
}

fn repeated(one: &str, count: usize) -> String {
    vec![one; count].join(",")
}

fn config_map(octets: usize) -> Vec<u8> {
    format!(r#"{{"metadata": {{"name": "of-{octets}"}}, "data": {{"a": "{}"}}}}"#, "x".repeat(octets)).into_bytes()
}

/// A definition, with the schema of one property in the specification.
fn definition(name: &str, property: &str) -> Vec<u8> {
    let schema = format!(r#"{{"type": "object", "properties": {{"x": {property}}}}}"#);
    let version =
        format!(r#"{{"name": "v1", "served": true, "storage": true, "schema": {{"openAPIV3Schema": {schema}}}}}"#);
    let names = format!(r#"{{"plural": "{name}s", "kind": "{name}"}}"#);
    let spec = format!(r#""group": "example.com", "scope": "Namespaced", "names": {names}, "versions": [{version}]"#);
    format!(r#"{{"metadata": {{"name": "{name}s.example.com"}}, "spec": {{{spec}}}}}"#).into_bytes()
}

/// A schema with so many properties within each other.
fn tower(levels: usize) -> String {
    let of = |inner: String| format!(r#"{{"type": "object", "properties": {{"a": {inner}}}}}"#);
    (0..levels).fold(r#"{"type": "string"}"#.to_owned(), |inner, _| of(inner))
}

/// A schema with so many properties beside each other.
fn wide(count: usize) -> String {
    let properties: Vec<String> = (0..count).map(|index| format!(r#""a{index}": {{"type": "string"}}"#)).collect();
    format!(r#"{{"type": "object", "properties": {{{}}}}}"#, properties.join(","))
}

fn labels(count: usize) -> Value {
    let label = |index| (format!("l{index:06}xxxxxxxxxxxxxxxxx"), Value::from("v"));
    Value::Object((0..count).map(label).collect())
}

/// A field of protobuf with octets in it.
fn field(number: u8, octets: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = octets.len();
    while length >= 128 {
        field.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap());
    field.extend_from_slice(octets);
    field
}

fn protobuf(finalizers: usize) -> Vec<u8> {
    let kind = field(1, &[field(1, b"v1"), field(2, b"Service")].concat());
    let metadata = [field(1, b"many"), field(14, b"").repeat(finalizers)].concat();
    [b"k8s\0".to_vec(), kind, field(2, &field(1, &metadata))].concat()
}

/// One that is sent by POST, and the status of the reply to the first one.
pub struct Body {
    pub name: &'static str,
    pub path: &'static str,
    pub media_type: &'static str,
    pub octets: Vec<u8>,
    pub expected: u16,
}

/// Bodies that want more memory or work than their octets.
pub fn bodies() -> Vec<Body> {
    const JSON: &str = "application/json";
    let twice = (0..24_000).fold(String::new(), |mut text, index| {
        write!(text, r#","a{index}":1,"a{index}":1"#).unwrap();
        text
    });
    let long_name = "n".repeat(1_500_000);
    let addresses = (0..20_000).map(|index| format!(r#""10.0.{}.{}""#, index / 250, index % 250 + 1));
    let addresses = addresses.collect::<Vec<_>>().join(",");
    let rows: Vec<(&str, &str, &str, Vec<u8>, u16)> = vec![
        ("empty ports", SERVICES, JSON, service("a", &format!(r#","ports":[{}]"#, repeated("{}", 400_000))), 413),
        (
            "as many as are read",
            SERVICES,
            JSON,
            service("a", &format!(r#","ports":[{}]"#, repeated("{}", 19_000))),
            422,
        ),
        ("empty volumes", PODS, JSON, service("a", &format!(r#","volumes":[{}]"#, repeated("{}", 19_000))), 422),
        ("lists in lists", SERVICES, JSON, service("a", &format!(r#","x":[{}]"#, repeated("[]", 900_000))), 413),
        ("zeros", SERVICES, JSON, service("a", &format!(r#","x":[{}]"#, repeated("0", 1_400_000))), 413),
        (
            "fields twice under a long name",
            SERVICES,
            JSON,
            service("a", &format!(r#","{long_name}":{{"x":0{twice}}}"#)),
            201,
        ),
        ("empty finalizers", SERVICES, "application/vnd.kubernetes.protobuf", protobuf(1_400_000), 413),
        ("fewer of them", SERVICES, "application/vnd.kubernetes.protobuf", protobuf(90_000), 422),
        ("YAML of many values", SERVICES, "application/yaml", format!("x: [{}]", repeated("a", 1_000_000)).into(), 400),
        ("a ConfigMap beyond 1 MiB", CONFIG_MAPS, JSON, config_map(1 << 20), 201),
        ("one octet more", CONFIG_MAPS, JSON, config_map((1 << 20) + 1), 422),
        ("base64 that is none", SECRETS, JSON, br#"{"metadata": {"name": "a"}, "data": {"a": "%%%"}}"#.to_vec(), 400),
        ("a definition", DEFINITIONS, JSON, definition("widget", r#"{"type": "string"}"#), 201),
        ("the same name again", DEFINITIONS, JSON, definition("widget", r#"{"type": "string"}"#), 409),
        ("a recursive schema", DEFINITIONS, JSON, definition("gadget", r##"{"type": "object", "$ref": "#"}"##), 422),
        ("a schema of a tower", DEFINITIONS, JSON, definition("gadget", &tower(55)), 422),
        ("a huge schema", DEFINITIONS, JSON, definition("gadget", &wide(19_000)), 201),
        ("a larger one", DEFINITIONS, JSON, definition("gizmo", &wide(21_000)), 413),
        (
            "a custom resource of 2.9 MB",
            WIDGETS,
            JSON,
            service("a", &format!(r#","x":"{}""#, "x".repeat(2_900_000))),
            201,
        ),
        ("of 3.2 MB", WIDGETS, JSON, service("b", &format!(r#","x":"{}""#, "x".repeat(3_200_000))), 413),
        ("a large list", SERVICES, JSON, service("large", &format!(r#","externalIPs":[{addresses}]"#)), 201),
    ];
    let body = |(name, path, media_type, octets, expected)| Body { name, path, media_type, octets, expected };
    rows.into_iter().map(body).collect()
}

/// JSON patches of 9000 operations for the Service `large` that is one of [`bodies`], and the status of each one's reply.
pub fn patches() -> Vec<(&'static str, String, u16)> {
    let at = "/spec/externalIPs/0";
    let of =
        |(name, operation, expected): (_, Value, _)| (name, Value::Array(vec![operation; 9000]).to_string(), expected);
    [
        ("insertions at the front", json!({"op": "add", "path": at, "value": "10.0.0.1"}), 422),
        ("tests", json!({"op": "test", "path": at, "value": "10.0.0.1"}), 200),
        ("moves", json!({"op": "move", "from": "/spec/externalIPs", "path": "/spec/externalIPs"}), 422),
    ]
    .map(of)
    .to_vec()
}

#[test]
fn no_body_and_no_patch_fills_the_memory_or_keeps_others_waiting() {
    let server = Server::start("{}\n");
    let bystander = server.asks_meanwhile();
    for Body { name, path, media_type, octets, expected } in bodies() {
        let reply = server.send("POST", path, media_type, &octets);
        let told: String = reply.body.chars().take(300).collect();
        assert_eq!(reply.status, expected, "{name}: {told}");
        assert!(expected == 201 || reply.body.len() < 100_000, "{name}: {} octets of reply", reply.body.len());
    }
    for (name, patch, expected) in patches() {
        let large = format!("{SERVICES}/large");
        let reply = server.send("PATCH", &large, "application/json-patch+json", patch.as_bytes());
        assert_eq!(reply.status, expected, "{name}: {}", reply.body.chars().take(300).collect::<String>());
    }
    let waited = bystander.has_waited();
    assert!(waited < FAIR, "somebody waited for {waited:?}");
    assert_eq!(server.figure("headless_dns_api_memory_bytes"), 0.0);
}

#[test]
fn many_who_take_nothing_share_what_they_are_told() {
    let server = Server::start("limits: { apiSlow: 1m }\n");
    let (watches, many, rounds) = if is_long() { (1700, 70_000, 30) } else { (150, 10_000, 4) };
    let made = json!({"metadata": {"name": "a", "labels": labels(many)}, "spec": {"clusterIP": "None"}});
    assert_eq!(server.json("POST", SERVICES, &made).status, 201);
    let accepted = [
        "application/json",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    ];
    let unread: Vec<TcpStream> = (0..watches)
        .map(|index| {
            let mut stream = TcpStream::connect(server.api).unwrap();
            let accept = accepted[index % accepted.len()];
            write!(stream, "GET {SERVICES}?watch=true HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n")
                .unwrap();
            stream
        })
        .collect();
    let mut reading = TcpStream::connect(server.api).unwrap();
    reading.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    write!(reading, "GET {SERVICES}?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let bystander = server.asks_meanwhile();
    let mut seen = Vec::new();
    let begun = Instant::now();
    for round in 0..rounds {
        let change = json!({"metadata": {"annotations": {"round": format!("round-{round}-")}}});
        let reply = server.json("PATCH", &format!("{SERVICES}/a"), &change);
        assert_eq!(reply.status, 200, "{}", reply.body.chars().take(300).collect::<String>());
        println!("round {round}: {:?}", begun.elapsed());
        // Who reads is told everything meanwhile.
        let wanted = format!("round-{round}-");
        let mut part = vec![0; 1 << 16];
        while !contains(&seen, &wanted) {
            let length = reading.read(&mut part).unwrap();
            assert!(length > 0, "a watcher that reads was cut off");
            let kept = seen.len().saturating_sub(64);
            seen.drain(..kept);
            seen.extend_from_slice(&part[..length]);
        }
    }
    let waited = bystander.has_waited();
    assert!(waited < FAIR, "somebody waited for {waited:?}");
    let octets = server.figure("process_resident_memory_bytes");
    println!("{watches} watches: {} MiB in memory", octets / 1048576.0);
    // A copy for each of them would be 800 MB even here.
    assert!(octets < if is_long() { 1.2e9 } else { 3e8 }, "{octets} octets in memory");
    drop(unread);
}

fn contains(octets: &[u8], text: &str) -> bool {
    octets.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn objects_are_let_in_until_they_take_what_they_may() {
    let (limit, most) = if is_long() { (1 << 30, 200_000) } else { (2 << 20, 2000) };
    let server = Server::start(&format!("limits: {{ apiObjectOctets: {limit} }}\n"));
    let set = |replicas: u32| {
        json!({"metadata": {"name": "set"}, "spec": {"replicas": replicas, "serviceName": "a",
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "a", "image": "a"}]}}}})
    };
    let sets = "/apis/apps/v1/namespaces/default/statefulsets";
    // The pods of a set count when it is made, and when it is scaled.
    let reply = server.json("POST", sets, &set(if is_long() { 100_000 } else { 10_000 }));
    assert_eq!(reply.status, if is_long() { 201 } else { 403 }, "{}", reply.body);
    if !is_long() {
        assert!(reply.body.contains("limits.apiObjectOctets"), "{}", reply.body);
        assert_eq!(server.json("POST", sets, &set(1)).status, 201);
        let scale = server.json("PATCH", &format!("{sets}/set/scale"), &json!({"spec": {"replicas": 10_000}}));
        assert_eq!(scale.status, 403, "{}", scale.body);
    }
    let filling = "x".repeat(if is_long() { 100_000 } else { 10_000 });
    let refused = (0..most).find_map(|index| {
        let made = json!({"metadata": {"name": format!("s{index}"), "annotations": {"a": filling}},
            "spec": {"clusterIP": "None"}});
        let reply = server.json("POST", SERVICES, &made);
        (reply.status != 201).then_some((index, reply))
    });
    let (index, reply) = refused.unwrap();
    assert_eq!(reply.status, 403, "{}", reply.body);
    // What does not grow is changed, and what goes makes room.
    let changed = server.json("PATCH", &format!("{SERVICES}/s0"), &json!({"metadata": {"annotations": {"a": "y"}}}));
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(server.json("DELETE", &format!("{SERVICES}/s{}", index - 1), &json!({})).status, 200);
    assert_eq!(
        server.json("POST", SERVICES, &json!({"metadata": {"name": "b"}, "spec": {"clusterIP": "None"}})).status,
        201
    );
    println!("{index} Services: {} MiB in memory", server.figure("process_resident_memory_bytes") / 1048576.0);
}
