//! What a Secret holds is repeated nowhere but to who asks for the Secret: not in logs, diagnostics, refusals, events,
//! metrics or explanations, whatever is wrong with it.

use crate::support::{eventually, program, program::Program};
use data_encoding::BASE64;
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

/// Part of every value that is a secret here.
const MARKER: &str = "xyzzy27182";

/// A file's text with `{}` for the value, and how wrong it is: `check` refuses all but the first.
const FILES: &[&str] = &[
    "apiVersion: v1\nkind: Secret\nmetadata: {name: good}\nstringData:\n  password: {}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\ndata: {a: '%{}'}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\ndata:\n  a: [{}]\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData:\n  a: {x: {}}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData:\n  a: b\n  {} \"c\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData:\n  a: 'b\n{}: *nothing\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData:\n\ta: {}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData: {}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData:\n  a: !!int {}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: B_ad}\nstringData: {a: {}}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '[\"{}\"'}\n",
    "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: B_d}, stringData: {a: {}}}\n",
    "{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"b\"}, \"data\": {\"a\": \"{}\"} \"}\n",
];

/// Method, target, media type, body.
const REQUESTS: &[(&str, &str, &str, &str)] = &[
    ("POST", "", "application/json", r#"{"metadata":{"name":"x"},"data":{"a":"%{}"}}"#),
    ("POST", "", "application/json", r#"{"metadata":{"name":"x"},"data":["{}"]}"#),
    ("POST", "", "application/json", r#"{"metadata":{"name":"x"},"stringData":{"a":["{}"]}}"#),
    ("POST", "", "application/json", r#"{"metadata":{"name":"X"},"stringData":{"a":"{}"}}"#),
    ("POST", "", "application/json", r#"{"metadata":{"name":"x"},"stringData":{"a":"{}"}"#),
    ("POST", "?fieldValidation=Strict", "application/json", r#"{"metadata":{"name":"x"},"stringDatas":{"a":"{}"}}"#),
    ("POST", "", "application/yaml", "metadata: {name: x}\nstringData: {a: '{}}\n"),
    ("POST", "", "application/vnd.kubernetes.protobuf", "k8s\0{}"),
    ("PATCH", "/good", "application/merge-patch+json", r#"{"data":{"a":"%{}"}}"#),
    ("PATCH", "/good", "application/strategic-merge-patch+json", r#"{"stringData":["{}"]}"#),
    ("PATCH", "/good", "application/json-patch+json", r#"[{"op":"test","path":"/data/password","value":"{}"}]"#),
    ("PATCH", "/good", "application/json-patch+json", r#"[{"op":"add","path":"/data/a/b/c","value":"{}"}]"#),
    (
        "PATCH",
        "/good?fieldManager=m",
        "application/apply-patch+yaml",
        r#"{"data":{"password":"e30="},"stringData":{"a":7},"x":"{}"}"#,
    ),
    ("PATCH", "/good?fieldManager=m", "application/apply-patch+yaml", "stringData: {a: '{}"),
    ("PUT", "/good", "application/json", r#"{"metadata":{"name":"good"},"type":"a/b","stringData":{"a":"{}"}}"#),
    (
        "DELETE",
        "/none",
        "application/json",
        r#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u"}}"#,
    ),
];

fn with_marker(text: &str) -> String {
    text.replacen("{}", MARKER, 1)
}

/// The reply to a request, head and all.
fn exchange(address: SocketAddr, (method, target, media_type, body): (&str, &str, &str, &str)) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    String::from_utf8_lossy(&reply).into_owned()
}

#[track_caller]
fn check(what: &str, text: &str) {
    let encoded = BASE64.encode(MARKER.as_bytes());
    assert!(!text.contains(MARKER) && !text.contains(&encoded), "{what}:\n{text}");
}

#[test]
fn files() {
    for (index, file) in FILES.iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("manifests")).unwrap();
        fs::write(directory.path().join("manifests/secret.yaml"), with_marker(file)).unwrap();
        let mut command = program::command();
        command.args(["check", "--manifests", "manifests"]).current_dir(directory.path());
        let ended = program::run(command);
        let told = format!("{}{}", ended.stdout, ended.stderr);
        check(file, &told);
        assert_eq!(ended.status.success(), index == 0, "{file}: {told}");
    }
}

#[test]
fn a_running_server() {
    let directory = tempfile::tempdir().unwrap();
    for folder in ["manifests", "zones"] {
        fs::create_dir(directory.path().join(folder)).unwrap();
    }
    fs::write(directory.path().join("manifests/good.yaml"), with_marker(FILES[0])).unwrap();
    let settings = directory.path().join("settings.yaml");
    fs::write(&settings, "log: {filter: trace}\n").unwrap();
    let mut command = program::command();
    command.args(["--api-listen", "127.0.0.1:0", "--metrics-listen", "none", "--config"]).arg(settings);
    let server = Program::spawn(command, "127.0.0.1:0", directory.path()).listening();
    let address = server.address_behind("Kubernetes API at http://");
    const SECRETS: &str = "/api/v1/namespaces/default/secrets";
    let good = format!("{SECRETS}/good");
    let holds = |target: &str, text: &str| {
        let reply = exchange(address, ("GET", target, "", ""));
        if reply.contains(text) { Ok(()) } else { Err(reply) }
    };
    eventually("the Secret of the file", || holds(&good, &BASE64.encode(MARKER.as_bytes())));
    for (method, target, media_type, body) in REQUESTS {
        let reply = exchange(address, (method, &format!("{SECRETS}{target}"), media_type, &with_marker(body)));
        assert!(!reply.starts_with("HTTP/1.1 2"), "{method} {target} {body}: {reply}");
        check(body, &reply);
    }
    for file in FILES {
        fs::write(directory.path().join("manifests/other.yaml"), with_marker(file)).unwrap();
        server.signal("HUP");
    }
    fs::write(
        directory.path().join("manifests/last.yaml"),
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: last}\n",
    )
    .unwrap();
    eventually("the last file", || holds("/api/v1/namespaces/last", "HTTP/1.1 200"));
    let table = exchange(address, ("GET", "/api/v1/events", "", ""));
    check("events", &table);
    check("logs", &format!("{}{}", server.stdout(), server.stderr()));
}
