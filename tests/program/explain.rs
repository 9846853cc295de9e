//! `explain` end to end: the real program explains what the real server answers, and what a fresh start would.

use crate::support::{
    dns::{A, Udp},
    eventually, http,
    program::{Ended, command, run},
};
use headless_dns::program::{app::Server, settings::Settings};
use serde_json::Value;
use std::{net::SocketAddr, path::Path, time::Duration};
use tempfile::TempDir;

const MANIFEST: &str = "\
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec: {clusterIP: None, selector: {app: nginx}, ports: [{name: web, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: nginx
  replicas: 2
  selector: {matchLabels: {app: nginx}}
  template:
    metadata:
      labels: {app: nginx}
      annotations: {simulation.headless-dns/ready: 'READY'}
    spec: {containers: [{name: nginx, image: nginx}]}
";

/// A directory with settings, a manifest, and no zones.
fn home(ready: bool) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for folder in ["manifests", "zones"] {
        std::fs::create_dir(home.path().join(folder)).unwrap();
    }
    std::fs::write(home.path().join("manifests/web.yaml"), MANIFEST.replace("READY", &ready.to_string())).unwrap();
    home
}

fn start(home: &Path) -> (Server, SocketAddr) {
    let mut settings = Settings::defaults();
    settings.listen = vec!["127.0.0.1:0".parse().unwrap()];
    settings.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    settings.manifests = vec![home.join("manifests")];
    settings.zones = home.join("zones");
    settings.state_directory = None;
    settings.simulation.start_after = Duration::from_millis(5);
    settings.simulation.ready_after = Duration::from_millis(5);
    let server = Server::start(settings).unwrap();
    let http = server.http_address().unwrap();
    (server, http)
}

fn explain(home: &Path, arguments: &[&str]) -> Ended {
    let mut command = command();
    command.current_dir(home).arg("explain").args(arguments);
    run(command)
}

#[track_caller]
fn check(ended: &Ended, code: i32, out: &[&str], err: &str) {
    let told = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let all = format!("{}\n---\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.status.code(), Some(code), "{all}");
    for part in out {
        assert!(told.contains(part), "`{part}` is not in\n{all}");
    }
    assert!(ended.stderr.contains(err), "{all}");
}

#[test]
fn without_a_server_it_tells_what_a_fresh_start_would_give() {
    let home = home(true);
    let fresh =
        "no server is known (metricsListen is not set, and --server not given); this is what a fresh start would give";
    check(&explain(home.path(), &["web-1.nginx"]), 0, &[fresh, "answer NOERROR", "5 A 10.244.0."], "");
    check(&explain(home.path(), &["web-2.nginx"]), 1, &["FAIL StatefulSet", "ordinal 2 is not among them"], "");
    check(&explain(home.path(), &["nginx", "AAAA"]), 1, &["answer NODATA"], "");
    check(
        &explain(home.path(), &["web-1.nginx", "--short"]),
        0,
        &["web-1.nginx.default.svc.cluster.local. 5 A 10."],
        fresh,
    );
    check(&explain(home.path(), &["a..b"]), 64, &[], "is no domain name");
    check(&explain(home.path(), &["a", "NOTYPE"]), 64, &[], "`NOTYPE` is no record type");
    check(&explain(home.path(), &["a", "--server", "nowhere"]), 64, &[], "http://127.0.0.1:9153");
    check(&explain(home.path(), &["a", "--server", "127.0.0.1:1"]), 70, &[], "cannot connect to 127.0.0.1:1");
    // The settings name a server, and it is not there.
    std::fs::write(home.path().join("s.yaml"), "metricsListen: 127.0.0.1:1\nmanifests: [manifests]\nzones: zones\n")
        .unwrap();
    check(
        &explain(home.path(), &["web-1.nginx", "--config", "s.yaml"]),
        0,
        &["no server is reachable at 127.0.0.1:1; this is what a fresh start would give", "answer NOERROR"],
        "",
    );
    let json = explain(home.path(), &["web-1.nginx", "-o", "json"]);
    let value: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value["answer"]["code"], "NOERROR");
    assert_eq!(value["tries"][0]["name"], "web-1.nginx.default.svc.cluster.local.");
}

#[test]
fn the_running_server_explains_what_it_answers() {
    let home = home(false);
    let (server, address) = start(home.path());
    let url = format!("http://{address}");
    let mut udp = Udp::new(server.addresses()[0]);
    let mut answers = || udp.ask(&[("web-0.nginx.default.svc.cluster.local", A)])[0].answers.len();
    eventually("web-0 runs and is not ready", || {
        let told = explain(home.path(), &["web-0.nginx", "--server", &url]).stdout;
        let is_so = told.contains("FAIL  endpoint") && told.contains("ContainersNotReady");
        if is_so { Ok(()) } else { Err(told) }
    });
    assert_eq!(answers(), 0);
    let ended = explain(home.path(), &["web-0.nginx", "--server", &url]);
    check(
        &ended,
        1,
        &["warn pod default/web-0: Running; not Ready", "answer NXDOMAIN", "set publishNotReadyAddresses"],
        "",
    );
    assert!(!ended.stdout.contains("fresh start"));
    // The Service publishes them after all.
    let published = MANIFEST.replace("clusterIP: None,", "clusterIP: None, publishNotReadyAddresses: true,");
    std::fs::write(home.path().join("manifests/web.yaml"), published.replace("READY", "false")).unwrap();
    server.control().rescan().unwrap();
    check(&explain(home.path(), &["web-0.nginx", "--server", &url]), 0, &["answer NOERROR"], "");
    assert_eq!(answers(), 1);

    for (path, status, part) in [
        ("/explain?name=nginx", 200, "\"code\":\"NOERROR\""),
        ("/explain?name=nginx&type=SRV&namespace=shop", 200, "\"namespace\":\"shop\""),
        ("/explain", 400, "name"),
        ("/explain?name=a..b", 400, "is no domain name"),
        ("/explain?name=a&type=x", 400, "is no record type"),
        ("/explain?name=a&nmespace=x", 400, "nmespace"),
    ] {
        let reply = http::get(address, path);
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        assert!(reply.body.contains(part), "{path}: {}", reply.body);
    }
}
