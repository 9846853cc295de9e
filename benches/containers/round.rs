//! One round: three ordered replicas from an empty state, a container that is killed, a ConfigMap that is edited.

use crate::{
    IMAGE,
    cluster::{API, Cluster, page, resolve},
    report::Figures,
    support::engines::ContainerEngine,
};
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

const SET: &str = r"apiVersion: v1
kind: Service
metadata: {name: nginx}
spec:
  clusterIP: None
  selector: {app: nginx}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: nginx
  replicas: 3
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec:
      containers:
        - name: web
          image: IMAGE
          volumeMounts: [{name: settings, mountPath: /settings}]
      volumes: [{name: settings, configMap: {name: settings}}]
";

fn settings(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{key: {value}}}\n")
}

fn name(ordinal: usize) -> String {
    format!("web-{ordinal}.nginx.default.svc.cluster.local")
}

/// Measures it.
pub fn measure(engine: &ContainerEngine, figures: &mut Figures) {
    let (set, first) = (SET.replace("IMAGE", IMAGE), settings("first"));
    let cluster = Cluster::start(engine, &[("set.yaml", &set), ("settings.yaml", &first)]);
    let resolved = |ordinal: usize| cluster.until(&name(ordinal), || resolve(&name(ordinal)));
    resolved(0);
    figures.milliseconds("first name answered", cluster.begun.elapsed());
    resolved(1);
    let last = resolved(2);
    figures.milliseconds("third name answered", cluster.begun.elapsed());
    cluster.until("a page", || page(last, "/"));
    figures.milliseconds("page of the third", cluster.begun.elapsed());
    figures.add("resident memory, MB", cluster.process().resident());
    killed(engine, &cluster, figures);
    edited(&cluster, resolved(0), figures);
}

/// From the end of a container until its name answers and what it leads to does.
fn killed(engine: &ContainerEngine, cluster: &Cluster<'_>, figures: &mut Figures) {
    let address = cluster.until("web-0", || resolve(&name(0)));
    let id = running(engine, "web-0");
    // It ends when the container does.
    let mut witness = TcpStream::connect(SocketAddr::new(address, 80)).unwrap();
    std::thread::scope(|scope| {
        // Podman replies only when the next container may run already.
        scope.spawn(|| {
            let path = format!("/v1.41/containers/{id}/kill?signal=KILL");
            let (status, reply) = engine.request("POST", &path, b"").unwrap();
            assert!(status < 300, "{}", String::from_utf8_lossy(&reply));
        });
        let _ = witness.read(&mut [0]);
        let ended = Instant::now();
        cluster.until("web-0 again", || resolve(&name(0)).and_then(|address| page(address, "/")));
        figures.milliseconds("killed, then answers again", ended.elapsed());
    });
}

/// The id of the pod's container that runs and is no sandbox.
fn running(engine: &ContainerEngine, pod: &str) -> String {
    let list: Value = serde_json::from_slice(&engine.request("GET", "/v1.41/containers/json", b"").unwrap().1).unwrap();
    let has = |one: &Value, label: &str, value: &str| one["Labels"][label] == value;
    let found = list
        .as_array()
        .unwrap()
        .iter()
        .find(|one| has(one, "io.kubernetes.pod.name", pod) && has(one, "io.kubernetes.container.name", "web"));
    found.unwrap()["Id"].as_str().unwrap().to_owned()
}

/// From an edit, over the API and in the manifest, until the container reads the new value.
fn edited(cluster: &Cluster<'_>, address: IpAddr, figures: &mut Figures) {
    let shown = |value: &str| {
        let text = || page(address, "/read?/settings/key").filter(|text| text == value);
        cluster.until(value, text);
    };
    shown("first");
    let begun = Instant::now();
    cluster.write("settings.yaml", &settings("second"));
    shown("second");
    figures.milliseconds("ConfigMap edited in its manifest, then in the volume", begun.elapsed());
    let begun = Instant::now();
    patch(&json!({"data": {"key": "third"}}).to_string());
    shown("third");
    figures.milliseconds("ConfigMap edited over the API, then in the volume", begun.elapsed());
}

fn patch(body: &str) {
    let mut stream = TcpStream::connect(API).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (path, length) = ("/api/v1/namespaces/default/configmaps/settings", body.len());
    write!(
        stream,
        "PATCH {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/merge-patch+json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let reply = crate::support::http::read(&mut stream).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
}
