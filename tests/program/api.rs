//! The Kubernetes API of a running server, asked over plain HTTP.

use headless_dns::program::{app::Server, certificate::CertificateSource, settings::Settings};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A server with an empty cluster, kept in memory.
struct Cluster {
    server: Server,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Cluster {
        Cluster::start_with(|_| ())
    }

    fn start_with(change: impl FnOnce(&mut Settings)) -> Cluster {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.listen = vec!["127.0.0.1:0".parse().unwrap()];
        settings.api_listen = Some("127.0.0.1:0".parse().unwrap());
        settings.manifests = vec![directory.path().join("manifests")];
        settings.zones = directory.path().join("zones");
        settings.state_directory = None;
        change(&mut settings);
        let server = Server::start(settings).unwrap();
        let address = server.api_address().unwrap();
        Cluster { server, address, _directory: directory }
    }

    /// Sends a request; the status and the body.
    fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let reply = exchange(self.address, method, target, headers, body);
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            unchunk(body)
        } else {
            body.to_owned()
        };
        (code, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    fn get(&self, target: &str) -> (u16, Value) {
        self.ask("GET", target, &[], "")
    }

    fn post(&self, target: &str, body: &Value) -> (u16, Value) {
        self.ask("POST", target, &[("Content-Type", "application/json")], &body.to_string())
    }

    /// Opens a watch; its lines are events.
    fn watch(&self, target: &str) -> Watch {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0);
            if line == "\r\n" {
                return Watch(lines);
            }
        }
    }
}

/// The events of a watch.
struct Watch(BufReader<TcpStream>);

impl Watch {
    /// The next event; `None` at the end.
    fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 || line == "0\r\n" {
                return None;
            }
            if line.starts_with('{') {
                return Some(serde_json::from_str(&line).unwrap());
            }
        }
    }

    /// Type and name of the next event that is not about what the API itself makes.
    fn seen(&mut self) -> (String, String) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        loop {
            let event = self.next().unwrap();
            let seen = (text(&event["type"]), text(&event["object"]["metadata"]["name"]));
            if seen.1 != "kubernetes" {
                return seen;
            }
        }
    }
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    crate::support::eventually(what, || if so() { Ok(()) } else { Err("no") });
}

fn exchange(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    if headers.iter().all(|(name, _)| *name != "Host") {
        request.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
        if size == 0 {
            break;
        }
    }
    body
}

const PODS: &str = "/api/v1/namespaces/default/pods";
const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const SERVICES: &str = "/api/v1/namespaces/default/services";

fn set(name: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "serviceName": "nginx", "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "i"}]},
            },
        },
    })
}

fn service(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"port": 80}]}})
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Method, target, headers, body; status and part of the message.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, u16, &'static str);

#[test]
fn what_is_refused_and_how() {
    let cluster = Cluster::start();
    let rows: &[Row] = &[
        ("GET", "/api/v1/namespaces/default/pods/x", &[], "", 404, "pods \"x\" not found"),
        ("GET", "/api/v1/minions", &[], "", 404, "the server could not find the requested resource"),
        ("GET", PODS, &[("Host", "evil.example")], "", 403, "Host"),
        ("GET", PODS, &[("Origin", "http://localhost")], "", 403, "Origin"),
        ("GET", PODS, &[("Accept", "text/html")], "", 406, "only the following media types"),
        ("GET", "/api/v1/pods?limit=x", &[], "", 400, "limit"),
        ("GET", "/api/v1/pods?continue=x", &[], "", 400, "continue"),
        ("GET", "/api/v1/pods?resourceVersion=99999999999999999", &[], "", 504, "Too large resource version"),
        ("GET", "/api/v1/namespaces/default/pods/x/log", &[], "", 405, "runs no containers"),
        ("POST", "/api/v1/namespaces/default/pods/x/exec", &[], "", 405, "runs no containers"),
        ("POST", "/api/v1/pods", &[JSON], "{}", 405, "does not allow this method"),
        ("DELETE", "/api/v1/pods", &[], "", 405, "does not allow this method"),
        ("POST", "/version", &[], "", 405, "does not allow this method"),
        ("POST", SERVICES, &[JSON], "{\"metadata\": ", 400, "no JSON"),
        ("POST", SERVICES, &[("Content-Type", "text/plain")], "{}", 415, "unknown format"),
        ("POST", SERVICES, &[JSON], "{\"kind\": \"Pod\"}", 400, "cannot be handled as a Service"),
        ("POST", SERVICES, &[JSON], "{\"apiVersion\": \"v2\"}", 400, "does not match the expected API version"),
        ("POST", SERVICES, &[JSON], "{\"metadata\": {\"name\": \"x\", \"namespace\": \"y\"}}", 400, "namespace"),
        (
            "POST",
            SERVICES,
            &[JSON],
            "{\"spec\": {\"ports\": [{\"port\": 1}]}}",
            422,
            "name or generateName is required",
        ),
        (
            "POST",
            "/api/v1/namespaces/nope/services",
            &[JSON],
            "{\"metadata\": {\"name\": \"x\"}, \"spec\": \
            {\"ports\": [{\"port\": 1}]}}",
            404,
            "namespaces \"nope\" not found",
        ),
        ("PUT", "/api/v1/namespaces/default/services/a", &[JSON], "{\"metadata\": {\"name\": \"b\"}}", 400, "URL"),
        ("DELETE", "/api/v1/namespaces/default", &[], "", 403, "this namespace may not be deleted"),
        ("GET", "/api/v1/pods?watch=1&sendInitialEvents=true", &[], "", 422, "resourceVersionMatch"),
    ];
    for (method, target, headers, body, code, message) in rows {
        let (found, status) = cluster.ask(method, target, headers, body);
        assert_eq!(found, *code, "{method} {target} {body}: {status}");
        assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(code)), "{status}");
        assert!(status["message"].as_str().unwrap().contains(message), "{method} {target}: {status}");
    }
    let too_large = format!("{{\"a\": \"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(cluster.ask("POST", SERVICES, &[], &too_large).0, 413);
}

#[test]
fn discovery_in_both_forms() {
    let cluster = Cluster::start();
    let wanted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    for (target, old) in [("/api", "APIVersions"), ("/apis", "APIGroupList")] {
        assert_eq!(cluster.get(target).1["kind"], old);
        let (_, aggregated) = cluster.ask("GET", target, &[("Accept", wanted)], "");
        assert_eq!(aggregated["kind"], "APIGroupDiscoveryList");
    }
    assert_eq!(cluster.get("/apis/apps/v1/").1["groupVersion"], "apps/v1");
    assert_eq!(cluster.get("/version/").1["minor"], "33");
    let (_, index) = cluster.get("/openapi/v3");
    let hashed = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    assert!(cluster.get(hashed).1["paths"].is_object());
}

#[test]
fn an_object_from_its_creation_to_its_end() {
    let cluster = Cluster::start();
    let (code, created) = cluster.post(SERVICES, &service("nginx"));
    assert_eq!(code, 201, "{created}");
    assert!(created["metadata"]["uid"].is_string() && created["spec"]["ipFamilies"].is_array());
    assert_eq!(cluster.post(SERVICES, &service("nginx")).1["reason"], "AlreadyExists");
    let one = format!("{SERVICES}/nginx");
    let (_, read) = cluster.get(&one);
    assert_eq!(read, created);

    // Nothing changes: neither does the version.
    let put = |body: &Value| cluster.ask("PUT", &one, &[], &body.to_string());
    assert_eq!(put(&read), (200, read.clone()));
    // A stale version is a conflict; none at all is none.
    let mut changed = read.clone();
    changed["metadata"]["labels"] = json!({"a": "b"});
    let (code, second) = put(&changed);
    assert_eq!((code, &second["metadata"]["labels"]["a"]), (200, &json!("b")));
    let (code, status) = put(&changed);
    assert_eq!((code, status["reason"].as_str()), (409, Some("Conflict")), "{status}");
    changed["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(put(&changed).0, 200);
    changed["spec"]["clusterIP"] = json!("10.96.0.99");
    assert_eq!(put(&changed).0, 422);

    // A dry run tells and does nothing.
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let (_, before) = cluster.get(&one);
    let (code, gone) = cluster.ask("DELETE", &format!("{one}?dryRun=All"), &[], "");
    assert_eq!((code, &gone["metadata"]["uid"]), (200, &before["metadata"]["uid"]));
    let (code, dry) = cluster.post(&format!("{SERVICES}?dryRun=All"), &service("other"));
    assert_eq!((code, dry["metadata"]["uid"].is_string()), (201, true));
    assert_eq!(cluster.get(&format!("{SERVICES}/other")).0, 404);
    assert_eq!(version(&cluster.get(&one).1), version(&before));

    // Conditions, and the uid in the reply.
    let wrong = json!({"preconditions": {"uid": "another"}}).to_string();
    assert_eq!(cluster.ask("DELETE", &one, &[], &wrong).0, 409);
    let (code, gone) = cluster.ask("DELETE", &one, &[], "{\"propagationPolicy\": \"Background\"}");
    assert_eq!((code, &gone["metadata"]["uid"]), (200, &before["metadata"]["uid"]), "{gone}");
    assert_eq!(cluster.ask("DELETE", &one, &[], "").0, 404);
}

#[test]
fn unknown_fields_are_refused_warned_of_or_ignored() {
    let cluster = Cluster::start();
    let mut body = service("nginx");
    body["spec"]["clusterIp"] = json!("None");
    let (code, status) = cluster.post(&format!("{SERVICES}?fieldValidation=Strict"), &body);
    assert_eq!(code, 400);
    let expected = "Service in version \"v1\" cannot be handled as a Service: strict decoding error: unknown field \
                    \"spec.clusterIp\"";
    assert_eq!(status["message"], expected);
    for (parameter, warns) in [("&fieldValidation=Warn", true), ("", true), ("&fieldValidation=Ignore", false)] {
        let target = format!("{SERVICES}?dryRun=All{parameter}");
        let reply = exchange(cluster.address, "POST", &target, &[], &body.to_string());
        let warned = reply.to_lowercase().contains("warning: 299 - \"unknown field \\\"spec.clusterip\\\"\"");
        assert!(reply.starts_with("HTTP/1.1 201") && warned == warns, "{parameter}: {reply}");
    }
}

#[test]
fn a_scale_is_read_and_written() {
    let cluster = Cluster::start();
    cluster.post(SETS, &set("web", 1));
    let target = format!("{SETS}/web/scale");
    let (_, mut scale) = cluster.get(&target);
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
    assert_eq!(scale["status"]["selector"], "app=web");
    scale["spec"]["replicas"] = json!(2);
    scale["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let (code, scaled) = cluster.ask("PUT", &target, &[], &scale.to_string());
    assert_eq!((code, &scaled["spec"]["replicas"]), (200, &json!(2)), "{scaled}");
    let (_, set) = cluster.get(&format!("{SETS}/web"));
    assert_eq!((&set["spec"]["replicas"], &set["metadata"]["generation"]), (&json!(2), &json!(2)));
    scale["metadata"]["resourceVersion"] = json!("1");
    assert_eq!(cluster.ask("PUT", &target, &[], &scale.to_string()).0, 409);
    scale["spec"]["replicas"] = json!("many");
    assert_eq!(cluster.ask("PUT", &target, &[], &scale.to_string()).0, 400);
}

#[test]
fn a_pod_whose_status_is_written_by_hand_keeps_it() {
    let cluster = Cluster::start();
    cluster.post(SETS, &set("web", 1));
    let target = format!("{PODS}/web-0");
    let ready = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    until("the pod is ready", || ready(&cluster.get(&target).1));
    let (_, mut pod) = cluster.get(&target);
    for condition in pod["status"]["conditions"].as_array_mut().unwrap() {
        condition["status"] = json!("False");
    }
    pod["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let (code, written) = cluster.ask("PUT", &format!("{target}/status"), &[], &pod.to_string());
    assert!(code == 200 && !ready(&written), "{written}");
    until("the set sees it", || cluster.get(&format!("{SETS}/web")).1["status"].get("readyReplicas").is_none());
    assert!(!ready(&cluster.get(&target).1));
}

#[test]
fn patches_of_each_type() {
    let cluster = Cluster::start();
    cluster.post(SETS, &set("web", 1));
    let target = format!("{SETS}/web");
    let patch = |media_type: &str, query: &str, body: &str| {
        cluster.ask("PATCH", &format!("{target}{query}"), &[("Content-Type", media_type)], body)
    };
    let (json, merge) = ("application/json-patch+json", "application/merge-patch+json");
    let strategic = "application/strategic-merge-patch+json";
    let rows = [
        (merge, "", "{\"metadata\": {\"labels\": {\"a\": \"b\"}}}", 200, "/metadata/labels/a", json!("b")),
        (json, "", "[{\"op\": \"add\", \"path\": \"/spec/replicas\", \"value\": 2}]", 200, "/spec/replicas", json!(2)),
        (
            strategic,
            "",
            "{\"spec\": {\"template\": {\"spec\": {\"containers\": [{\"name\": \"c\", \"image\": \"j\"}]}}}}",
            200,
            "/spec/template/spec/containers/0/image",
            json!("j"),
        ),
        (merge, "", "{\"spec\": {\"serviceName\": \"x\"}}", 422, "/reason", json!("Invalid")),
        (merge, "", "{\"metadata\": {\"resourceVersion\": \"1\"}}", 409, "/reason", json!("Conflict")),
        (merge, "?fieldValidation=Strict", "{\"spec\": {\"x\": 1}}", 400, "/reason", json!("BadRequest")),
        (json, "", "[{\"op\": \"remove\", \"path\": \"/spec/x\"}]", 422, "/reason", json!("Invalid")),
        (json, "", "{", 400, "/reason", json!("BadRequest")),
        ("text/plain", "", "{}", 415, "/reason", json!("UnsupportedMediaType")),
        (merge, "/scale", "{\"spec\": {\"replicas\": 3}}", 200, "/spec/replicas", json!(3)),
        (merge, "?dryRun=All", "{\"spec\": {\"replicas\": 9}}", 200, "/spec/replicas", json!(9)),
        (merge, "", "{}", 200, "/spec/replicas", json!(3)),
    ];
    for (media_type, query, body, code, pointer, expected) in rows {
        let (found, object) = patch(media_type, query, body);
        assert_eq!((found, object.pointer(pointer)), (code, Some(&expected)), "{media_type} {body}: {object}");
    }
    // A dry run keeps the version in its result, too.
    let (_, before) = cluster.get(&target);
    let (_, dry) = patch(merge, "?dryRun=All", "{\"spec\": {\"replicas\": 9}}");
    assert_eq!(dry["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
}

#[test]
fn server_side_apply_with_conflicts() {
    let cluster = Cluster::start();
    let apply = |manager: &str, more: &str, body: &Value| {
        let target = format!("{SETS}/web?fieldManager={manager}{more}");
        cluster.ask("PATCH", &target, &[("Content-Type", "application/apply-patch+yaml")], &body.to_string())
    };
    let (code, created) = apply("one", "", &set("web", 1));
    assert_eq!((code, &created["metadata"]["managedFields"][0]["manager"]), (201, &json!("one")), "{created}");
    let (code, again) = apply("one", "", &set("web", 1));
    assert_eq!((code, &again["metadata"]["generation"]), (200, &json!(1)));
    let (code, status) = apply("two", "", &set("web", 2));
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    let cause = json!({
        "reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".spec.replicas"
    });
    assert_eq!(status["details"]["causes"], json!([cause]));
    assert_eq!(apply("two", "&force=true", &set("web", 2)).1["spec"]["replicas"], 2);
    assert_eq!(apply("", "", &set("web", 2)).0, 422);
}

#[test]
fn tables_selectors_and_endpoints() {
    let cluster = Cluster::start();
    cluster.post(SERVICES, &service("web"));
    cluster.post(SETS, &set("web", 2));
    until("both are ready", || cluster.get(&format!("{SETS}/web")).1["status"]["readyReplicas"] == 2);
    let accept = ("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
    let (_, table) = cluster.ask("GET", &format!("{PODS}?labelSelector=app%3Dweb&limit=1"), &[accept], "");
    assert_eq!((&table["kind"], &table["rows"][0]["cells"][0]), (&json!("Table"), &json!("web-0")));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert!(table["metadata"]["continue"].is_string() && table["columnDefinitions"].is_array());
    for (selector, count) in [
        ("labelSelector=app+in+(web,x)", 2),
        ("labelSelector=!app", 0),
        ("fieldSelector=metadata.name%3Dweb-1", 1),
        ("fieldSelector=status.phase%3DRunning,metadata.namespace%3Ddefault", 2),
    ] {
        let (_, list) = cluster.get(&format!("/api/v1/pods?{selector}"));
        assert_eq!(list["items"].as_array().unwrap().len(), count, "{selector}");
    }
    assert_eq!(cluster.get("/api/v1/pods?fieldSelector=spec.color%3Dred").0, 400);
    let endpoints = "/api/v1/namespaces/default/endpoints";
    let (_, one) = cluster.get(&format!("{endpoints}/web"));
    assert_eq!(one["subsets"][0]["addresses"].as_array().unwrap().len(), 2, "{one}");
    let mut watch = cluster.watch(&format!("{endpoints}?watch=1"));
    assert_eq!(watch.seen(), ("ADDED".to_owned(), "web".to_owned()));
    cluster.ask("DELETE", &format!("{SERVICES}/web"), &[], "");
    while watch.seen() != ("DELETED".to_owned(), "web".to_owned()) {}
    assert_eq!(cluster.post(endpoints, &json!({})).0, 422);
    // In pages, by name; what is not selected is on none of them.
    for name in ["a", "b", "c", "d"] {
        let mut service = service(name);
        service["metadata"]["labels"] = json!({"page": if name == "c" { "no" } else { "yes" }});
        cluster.post(SERVICES, &service);
    }
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let (_, page) = cluster.get(&format!("{endpoints}?limit=1&labelSelector=page%3Dyes&continue={token}"));
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].clone()));
        match page["metadata"]["continue"].as_str() {
            Some(more) => token = more.to_owned(),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "d"]);
}

#[test]
fn over_https_with_a_token() {
    if !crate::support::have(&["curl"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let cluster = Cluster::start_with(|settings| {
        settings.api_token_file = Some(token);
        settings.tls = Some(CertificateSource::SelfSigned(vec!["127.0.0.1".to_owned()]));
        settings.api_create_namespaces = true;
    });
    let url = format!("https://{}/api/v1/namespaces/made/services", cluster.address);
    let curl = |arguments: &[&str]| {
        let mut command = std::process::Command::new("curl");
        command.args(["--silent", "--insecure", "--max-time", "20", "--write-out", " %{http_code}"]).args(arguments);
        String::from_utf8(command.arg(&url).output().unwrap().stdout).unwrap()
    };
    let bearer = "Authorization: Bearer 0123456789abcdef";
    assert!(curl(&[]).ends_with(" 401"));
    assert!(curl(&["-H", "Authorization: Bearer 0123456789abcdee"]).ends_with(" 401"));
    assert!(curl(&["-H", bearer, "-H", "Origin: https://evil.example"]).ends_with(" 403"));
    assert!(curl(&["-H", bearer]).ends_with(" 200"));
    // Settings have the namespace made.
    let body = service("nginx").to_string();
    assert!(curl(&["-H", bearer, "--data-binary", &body, "-H", "Content-Type: application/json"]).ends_with(" 201"));
    // Plain HTTP gets nothing there.
    let mut plain = TcpStream::connect(cluster.address).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    plain.write_all(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut reply = Vec::new();
    let _ = plain.read_to_end(&mut reply);
    assert!(!reply.starts_with(b"HTTP"));
}

#[test]
fn a_list_in_pages() {
    let cluster = Cluster::start();
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(cluster.post(SERVICES, &service(name)).0, 201);
    }
    let mut names = Vec::new();
    let mut token = String::new();
    let mut versions = Vec::new();
    loop {
        let (_, page) = cluster.get(&format!("{SERVICES}?limit=2&continue={token}"));
        assert_eq!(page["kind"], "ServiceList");
        versions.push(page["metadata"]["resourceVersion"].clone());
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()));
        match page["metadata"]["continue"].as_str() {
            Some(more) => {
                assert!(page["metadata"]["remainingItemCount"].as_u64() >= Some(1), "{page}");
                // What goes on meanwhile does not end the list.
                cluster.post(SERVICES, &service(&format!("z{}", names.len())));
                token = more.to_owned();
            }
            None => break,
        }
        if names.len() > 9 {
            break;
        }
    }
    assert_eq!(names[..5], ["a", "b", "c", "d", "e"].map(str::to_owned));
    assert!(versions.iter().all(|version| *version == versions[0]), "{versions:?}");
    let (_, empty) = cluster.get("/api/v1/namespaces/nope/pods");
    assert_eq!((&empty["kind"], &empty["items"]), (&json!("PodList"), &json!([])));
}

#[test]
fn a_watch_tells_everything_once() {
    let cluster = Cluster::start();
    cluster.post(SERVICES, &service("old"));
    let (_, list) = cluster.get(SERVICES);
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut behind = cluster.watch(&format!("{SERVICES}?watch=true&resourceVersion={version}"));
    let mut all = cluster.watch(&format!("{SERVICES}?watch=1&resourceVersion=0"));
    let mut streamed = cluster.watch(&format!(
        "{SERVICES}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    ));
    let pair = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
    assert_eq!(all.seen(), pair("ADDED", "old"));
    assert_eq!(streamed.seen(), pair("ADDED", "old"));
    let end = streamed.next().unwrap();
    assert_eq!(end["type"], "BOOKMARK");
    let annotations = &end["object"]["metadata"]["annotations"];
    assert_eq!(annotations["k8s.io/initial-events-end"], "true");
    assert!(annotations["kubernetes.io/initial-events-list-blueprint"].is_string());

    cluster.post(SERVICES, &service("new"));
    cluster.post("/api/v1/namespaces", &json!({"metadata": {"name": "elsewhere"}}));
    cluster.post("/api/v1/namespaces/elsewhere/services", &service("far"));
    let (_, mut changed) = cluster.get(&format!("{SERVICES}/new"));
    changed["metadata"]["labels"] = json!({"a": "b"});
    cluster.ask("PUT", &format!("{SERVICES}/new"), &[], &changed.to_string());
    cluster.ask("DELETE", &format!("{SERVICES}/new"), &[], "");
    for watch in [&mut behind, &mut all, &mut streamed] {
        assert_eq!(watch.seen(), pair("ADDED", "new"));
        assert_eq!(watch.seen(), pair("MODIFIED", "new"));
        let gone = watch.next().unwrap();
        assert_eq!((&gone["type"], &gone["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("new")));
        let number = |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
        assert!(number(&gone["object"]) > number(&changed));
    }

    // A version from before the start has expired, which is told within the stream.
    let expired = cluster.watch(&format!("{SERVICES}?watch=1&resourceVersion=5")).next().unwrap();
    assert_eq!((&expired["type"], &expired["object"]["code"]), (&json!("ERROR"), &json!(410)));
    // The client's time ends it.
    let mut short = cluster.watch(&format!("{SERVICES}?watch=1&resourceVersion={version}&timeoutSeconds=1"));
    while short.next().is_some() {}
    // The server's end ends it, too, properly.
    cluster.server.stop();
    assert_eq!(behind.next(), None);
}

#[test]
fn endpoints_by_hand_and_those_of_pods() {
    let cluster = Cluster::start();
    let slices = |name: &str| {
        let target =
            format!("/apis/discovery.k8s.io/v1/endpointslices?labelSelector=kubernetes.io/service-name%3D{name}");
        let (_, list) = cluster.get(&target);
        let endpoints = |item: &Value| item["endpoints"].as_array().unwrap().len();
        list["items"].as_array().unwrap().iter().map(endpoints).collect::<Vec<_>>()
    };
    let all = "/api/v1/namespaces/default/endpoints";
    let ext = format!("{all}/ext");
    let spec = json!({"clusterIP": "None", "ports": [{"name": "web", "port": 80}]});
    cluster.post(SERVICES, &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ext"}, "spec": spec}));
    assert_eq!(cluster.get(&ext).0, 404);
    let mut watch = cluster.watch(&format!("{all}?watch=1"));
    let subset =
        json!({"addresses": [{"ip": "10.9.0.1"}, {"ip": "10.9.0.2"}], "ports": [{"name": "web", "port": 8080}]});
    let (code, made) = cluster.post(all, &json!({"metadata": {"name": "ext"}, "subsets": [subset]}));
    assert_eq!((code, &made["subsets"][0]["ports"][0]["protocol"]), (201, &json!("TCP")), "{made}");
    assert_eq!(watch.seen(), ("ADDED".to_owned(), "ext".to_owned()));
    until("the mirror", || slices("ext") == [2]);
    let patch = json!([{"op": "add", "path": "/subsets/0/addresses/-", "value": {"ip": "10.9.0.4"}}]);
    let patched = cluster.ask("PATCH", &ext, &[("Content-Type", "application/json-patch+json")], &patch.to_string());
    assert_eq!(patched.0, 200, "{}", patched.1);
    assert_eq!(watch.seen(), ("MODIFIED".to_owned(), "ext".to_owned()));
    until("the mirror of three", || slices("ext") == [3]);
    let (_, table) = cluster.ask("GET", all, &[("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")], "");
    assert_eq!(table["rows"][0]["cells"][1], "10.9.0.1:8080,10.9.0.2:8080,10.9.0.4:8080", "{table}");
    let bad = json!({"metadata": {"name": "bad"}, "subsets": [{"ports": [{"port": 1}]}]});
    let (code, refused) = cluster.post(all, &bad);
    let message =
        "Endpoints \"bad\" is invalid: subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`";
    assert_eq!((code, &refused["message"]), (422, &json!(message)));
    assert_eq!(cluster.ask("DELETE", &ext, &[], "").0, 200);
    assert_eq!(watch.seen(), ("DELETED".to_owned(), "ext".to_owned()));
    until("no mirror", || slices("ext").is_empty());

    // Those that are made of pods are made again.
    cluster.post(SERVICES, &service("web"));
    assert_eq!(watch.seen(), ("ADDED".to_owned(), "web".to_owned()));
    let web = format!("{all}/web");
    assert_eq!(cluster.post(all, &json!({"metadata": {"name": "web"}})).0, 409);
    let (_, derived) = cluster.get(&web);
    let merge = [("Content-Type", "application/merge-patch+json")];
    let (code, written) = cluster.ask("PATCH", &web, &merge, &json!({"metadata": {"labels": {"a": "b"}}}).to_string());
    assert_eq!((code, &written["metadata"]["labels"]["a"]), (200, &json!("b")));
    let (code, deleted) = cluster.ask("DELETE", &web, &[], "");
    assert_eq!(code, 200);
    assert_ne!(deleted["details"]["uid"], derived["metadata"]["uid"], "kubectl takes what comes back for another one");
    let again = cluster.get(&web).1;
    assert_eq!(again["metadata"]["labels"].get("a"), None);
    let (_, discovery) = cluster.get("/api/v1");
    let verbs =
        discovery["resources"].as_array().unwrap().iter().find(|r| r["name"] == "endpoints").unwrap()["verbs"].clone();
    let pods =
        discovery["resources"].as_array().unwrap().iter().find(|r| r["name"] == "pods").unwrap()["verbs"].clone();
    assert_eq!(verbs, pods);
}

#[test]
fn null_in_a_map_of_texts() {
    let cluster = Cluster::start();
    let at = format!("{SERVICES}/n");
    let metadata = |labels: Value| json!({"name": "n", "labels": labels});
    let object = |labels: Value, selector: Value| {
        let spec = json!({"clusterIP": "None", "selector": selector});
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata(labels), "spec": spec})
    };
    let shown =
        |(code, body): (u16, Value)| (code, body["metadata"]["labels"].clone(), body["spec"]["selector"].clone());
    let patch =
        |media: &str, body: Value| shown(cluster.ask("PATCH", &at, &[("Content-Type", media)], &body.to_string()));
    let (merge, strategic) = ("application/merge-patch+json", "application/strategic-merge-patch+json");
    let made = cluster.post(SERVICES, &object(json!({"a": null, "b": "x"}), json!({"a": null, "b": "x"})));
    assert_eq!(shown(made), (201, json!({"a": "", "b": "x"}), json!({"a": "", "b": "x"})));
    let put = object(json!({"a": null, "z": null}), json!({"a": null, "b": "x"})).to_string();
    let put = shown(cluster.ask("PUT", &at, &[("Content-Type", "application/json")], &put));
    assert_eq!(put, (200, json!({"a": "", "z": ""}), json!({"a": "", "b": "x"})));
    let merged =
        patch(merge, json!({"metadata": {"labels": {"a": null}}, "spec": {"selector": {"b": null, "c": null}}}));
    assert_eq!(merged, (200, json!({"z": ""}), json!({"a": ""})));
    let merged =
        patch(strategic, json!({"metadata": {"labels": {"z": null, "y": null}}, "spec": {"selector": {"a": null}}}));
    assert_eq!(merged, (200, Value::Null, Value::Null));
    let added =
        patch("application/json-patch+json", json!([{"op": "add", "path": "/metadata/labels", "value": {"j": null}}]));
    assert_eq!(added, (200, json!({"j": ""}), Value::Null));
    let applied =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "n", "labels": {"s": null}}}).to_string();
    let headers = [("Content-Type", "application/apply-patch+yaml")];
    let applied = shown(cluster.ask("PATCH", &format!("{at}?fieldManager=x&force=true"), &headers, &applied));
    assert_eq!(applied, (200, json!({"j": "", "s": ""}), Value::Null));
}
