//! Text of strangers (names, labels, annotations, statuses, paths, arguments, names that are asked for) on its way to
//! people: no output changes a terminal, forges a line or turns the direction of writing.

use crate::support::{
    PATIENCE, dns, eventually, http,
    program::{Program, command, run},
};
use headless_dns::{
    program::{app::Server, settings::Settings},
    text::escape::is_unsafe,
};
use hickory_proto::{op::Message, rr::rdata::opt::EdnsCode};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    path::Path,
    time::Duration,
};

/// A colour, a forged line, both kinds of direction, a C1 control sequence, DEL, and separators of lines.
const HOSTILE: &str = "\u{1b}[31mMARK\u{202e}\u{2066}\u{9b}2J\u{7f}\u{2028}\u{2029}\u{85}";
/// [`HOSTILE`] as a double-quoted scalar of YAML.
const QUOTED: &str = r#""\e[31mMARK\u202e\u2066\x9b2J\x7f\L\P\N\n""#;
/// [`HOSTILE`] in JSON.
const JSON: &str = r#""\u001b[31mMARK\u202e\u2066\u009b2J\u007f\u2028\u2029\u0085\n""#;

/// Every unsafe character is written out, and the text did come along.
#[track_caller]
fn check(what: &str, output: &str) {
    let left: Vec<char> = output.chars().filter(|one| is_unsafe(*one) && !matches!(one, '\n' | '\t')).collect();
    assert!(left.is_empty(), "{what}: {left:?} in {output:?}");
    assert!(output.to_lowercase().contains("mark"), "{what}: {output}");
}

/// Manifests with the text in each place where one may stand.
fn manifests() -> Vec<(&'static str, String)> {
    let service = |metadata: &str, rest: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{{metadata}}}\nspec: {{clusterIP: None, ports: [{{port: 80}}]}}\n{rest}\n"
        )
    };
    let set = |annotation: &str| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: web}}\nspec:\n  serviceName: web\n  selector: {{matchLabels: \
             {{app: web}}}}\n  template:\n    metadata:\n      labels: {{app: web}}\n      annotations: {{{annotation}}}\n    spec: \
             {{containers: [{{name: a, image: a}}]}}\n"
        )
    };
    vec![
        ("name", service(&format!("name: {QUOTED}"), "")),
        ("namespace", service(&format!("name: a, namespace: {QUOTED}"), "")),
        ("label", service(&format!("name: a, labels: {{a: {QUOTED}}}"), "")),
        ("key of a label", service(&format!("name: a, labels: {{{QUOTED}: a}}"), "")),
        ("key of an annotation", service(&format!("name: a, annotations: {{{QUOTED}: a}}"), "")),
        ("own annotation", service(&format!("name: a, annotations: {{headless-dns/ttl: {QUOTED}}}"), "")),
        ("simulation", set(&format!("simulation.headless-dns/ready-after: {QUOTED}"))),
        ("unknown field", service("name: a", &format!("{QUOTED}: a"))),
        ("field given twice", service("name: a", &format!("{QUOTED}: a\n{QUOTED}: a"))),
        ("comment", service("name: a", "sepc: 1 # \u{202e}\u{2066}MARK\u{9b}")),
        ("kind", format!("apiVersion: v1\nkind: {QUOTED}\nmetadata: {{name: a}}\n")),
        ("version", format!("apiVersion: {QUOTED}\nkind: Service\nmetadata: {{name: a}}\n")),
        ("no YAML", "a: \"\u{202e}MARK\nb: [\u{1b}MARK".to_owned()),
    ]
}

fn directories(root: &Path) {
    for folder in ["manifests", "zones"] {
        fs::create_dir(root.join(folder)).unwrap();
    }
}

#[test]
fn check_shows_manifests_zones_and_paths() {
    for (what, text) in manifests() {
        let home = tempfile::tempdir().unwrap();
        directories(home.path());
        fs::write(home.path().join("manifests/a.yaml"), text).unwrap();
        let mut command = command();
        command.current_dir(home.path()).arg("check");
        let ended = run(command);
        check(what, &(ended.stderr + &ended.stdout));
    }
    let zones = [
        ("owner", format!("$ORIGIN example.\n@ SOA a b 1 1 1 1 1\n@ NS a\n{HOSTILE} A 300.1.1.1\n")),
        ("text", format!("$ORIGIN example.\n@ SOA a b 1 1 1 1 1\n@ NS a\nt TXT \"{HOSTILE}\" \"\n")),
        ("type", format!("$ORIGIN example.\n@ SOA a b 1 1 1 1 1\n@ NS a\nt {HOSTILE} 1\n")),
    ];
    for (what, text) in zones {
        let home = tempfile::tempdir().unwrap();
        directories(home.path());
        fs::write(home.path().join("zones/example.zone"), text).unwrap();
        let mut command = command();
        command.current_dir(home.path()).arg("check");
        let ended = run(command);
        check(what, &(ended.stderr + &ended.stdout));
    }
    let home = tempfile::tempdir().unwrap();
    let hostile = home.path().join(format!("{HOSTILE}\n"));
    fs::create_dir(&hostile).unwrap();
    fs::write(hostile.join(format!("{HOSTILE}.yaml")), "kind: [\n").unwrap();
    let mut command = command();
    command.current_dir(home.path()).args(["check", "--manifests"]).arg(&hostile);
    let ended = run(command);
    check("path", &(ended.stderr + &ended.stdout));
}

#[test]
fn arguments_are_shown() {
    let home = tempfile::tempdir().unwrap();
    directories(home.path());
    let rows: [&[&str]; 11] = [
        &["explain", HOSTILE],
        &["explain", HOSTILE, "--short"],
        &["explain", HOSTILE, "--output", "json"],
        &["explain", "a.default", HOSTILE],
        &["explain", "a.default", "--namespace", HOSTILE],
        &["wait", HOSTILE, "--timeout", "10ms", "--server", "127.0.0.1:1"],
        &["check", "--manifests", HOSTILE],
        &["check", "--config", HOSTILE],
        &["check", "--listen", HOSTILE],
        &[HOSTILE],
        &["demo", HOSTILE],
    ];
    for arguments in rows {
        let mut command = command();
        command.current_dir(home.path()).args(arguments);
        let ended = run(command);
        check(&format!("{arguments:?}"), &(ended.stderr + &ended.stdout));
    }
}

#[test]
fn logs_show_paths_queries_and_diagnostics() {
    for format in ["text", "json"] {
        let home = tempfile::tempdir().unwrap();
        directories(home.path());
        for (number, (_, text)) in manifests().into_iter().enumerate() {
            fs::write(home.path().join(format!("manifests/{number}.yaml")), text).unwrap();
        }
        let settings = home.path().join("settings.yaml");
        fs::write(&settings, format!("log: {{format: {format}, queries: all}}\n")).unwrap();
        let mut command = command();
        command.arg("--config").arg(&settings).arg("--state-dir").arg(home.path().join(HOSTILE));
        let program = Program::spawn(command, "127.0.0.1:0", home.path()).listening();
        dns::Udp::new(program.address).ask(&[(HOSTILE, dns::A)]);
        program.expect_stderr("headless_dns::queries");
        check(format, &program.stderr());
        check(format, &program.stdout());
        let logged: Vec<String> =
            program.stderr().lines().filter(|line| line.contains("queries")).map(str::to_owned).collect();
        assert_eq!(logged.len(), 1, "one line each: {logged:?}");
    }
}

/// Sends a request with a body of JSON; the whole reply.
fn send(server: SocketAddr, request: &str, kind: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
    );
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

/// The text of the extended error (RFC 8914) that a reply has.
fn extended_error(server: SocketAddr, name: &str) -> String {
    let mut query = dns::query(1, name, dns::A);
    // EDNS: one additional record, of the root, type OPT, for 1232 octets.
    query[11] = 1;
    query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query, server).unwrap();
    let mut reply = [0; 4096];
    let length = socket.recv(&mut reply).unwrap();
    let message = Message::from_vec(&reply[..length]).unwrap();
    let option = message.edns.as_ref().and_then(|edns| edns.option(EdnsCode::from(15)).cloned());
    let octets = option.map(|option| Vec::<u8>::try_from(&option).unwrap()).unwrap_or_default();
    String::from_utf8_lossy(octets.get(2..).unwrap_or_default()).into_owned()
}

#[test]
fn a_running_server_shows_statuses_names_and_refusals() {
    let home = tempfile::tempdir().unwrap();
    directories(home.path());
    crate::support::write(&home.path().join("manifests/web.yaml"), &crate::support::web(1, "", ""));
    let mut settings = Settings::defaults();
    settings.listen = vec!["127.0.0.1:0".parse().unwrap()];
    settings.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    settings.api_listen = Some("127.0.0.1:0".parse().unwrap());
    settings.manifests = vec![home.path().join("manifests")];
    settings.zones = home.path().join("zones");
    settings.state_directory = None;
    settings.simulation.start_after = Duration::ZERO;
    settings.simulation.ready_after = Duration::ZERO;
    let server = Server::start(settings).unwrap();
    let (api, observed) = (server.api_address().unwrap(), server.http_address().unwrap());
    let pod = "/api/v1/namespaces/default/pods/web-0";
    eventually("a pod that runs", || {
        let reply = send(api, &format!("GET {pod}"), "", "");
        if reply.contains("\"Running\"") { Ok(()) } else { Err(reply) }
    });

    let condition = format!("{{\"type\": \"Ready\", \"status\": \"False\", \"reason\": {JSON}, \"message\": {JSON}}}");
    let patch = format!("{{\"status\": {{\"conditions\": [{condition}]}}}}");
    let reply = send(api, &format!("PATCH {pod}/status"), "application/strategic-merge-patch+json", &patch);
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    let name = "web-0.nginx.default.svc.cluster.local";
    let told = eventually("a reason for the pod's name", || match extended_error(server.addresses()[0], name) {
        told if told.contains("MARK") => Ok(told),
        told => Err(told),
    });
    check("extended error", &told);
    for output in [&["--output", "text"][..], &["--output", "json"]] {
        let mut command = command();
        command
            .current_dir(home.path())
            .args(["explain", name, "--server", &format!("http://{observed}")])
            .args(output);
        let ended = run(command);
        check(&format!("explain {output:?}"), &(ended.stderr + &ended.stdout));
    }

    let reply = http::get(observed, "/wait?service=%1b%5b31mMARK%e2%80%ae&timeout=1ms");
    check("wait", &reply.body);
    let reply = http::get(observed, &format!("/explain?name={name}"));
    check("explain as JSON", &reply.body);
    let reply = http::get(observed, "/explain?name=a&type=%1b%5b31mMARK%e2%80%ae");
    check("explain over HTTP", &reply.body);
    let page = http::get(observed, "/metrics").body;
    check("metrics", &(page + "MARK"));

    let service = |field: &str| {
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {{\"name\": \"a\"}}, \"spec\": {{\"ports\": [{{\"port\": \
             80}}]}}, {field}: 1}}"
        )
    };
    let services = "POST /api/v1/namespaces/default/services";
    let reply = send(api, &format!("{services}?fieldValidation=Warn"), "application/json", &service(JSON));
    let warning = reply.lines().find(|line| line.to_lowercase().starts_with("warning:")).unwrap_or_default().to_owned();
    check("warning", warning.trim_end());
    let rows = [
        ("refusal", send(api, &format!("{services}?fieldValidation=Strict"), "application/json", &service(JSON))),
        ("name", send(api, "GET /api/v1/namespaces/default/pods/%1b%5b31mMARK%e2%80%ae", "", "")),
    ];
    for (what, reply) in rows {
        let body = reply.split_once("\r\n\r\n").unwrap().1;
        let status: serde_json::Value = serde_json::from_str(body).unwrap();
        check(what, status["message"].as_str().unwrap());
    }
    let invalid = format!(
        "{{\"metadata\": {{\"name\": {JSON}, \"labels\": {{\"a\": {JSON}}}}}, \"spec\": {{\"ports\": [{{\"port\": 80}}]}}}}"
    );
    let reply = send(api, services, "application/json", &invalid);
    let status: serde_json::Value = serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap();
    check("name in details", status["details"]["name"].as_str().unwrap());
    let causes = status["details"]["causes"].as_array().unwrap();
    assert!(causes.len() >= 2, "{status}");
    causes.iter().for_each(|cause| check("cause", cause["message"].as_str().unwrap()));
}
