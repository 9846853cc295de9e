//! One round: three ordered replicas from an empty state, a container that is killed, a ConfigMap that is edited.

use crate::{
    cluster::{API, Cluster, name, page, resolve, set},
    report::Figures,
    support::{engines::ContainerEngine, limited},
};
use serde_json::{Value, json};
use std::{
    io::Read as _,
    net::{IpAddr, SocketAddr, TcpStream},
    time::Instant,
};

fn settings(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{key: {value}}}\n")
}

/// Measures it.
pub fn measure(engine: &ContainerEngine, figures: &mut Figures) {
    let pod = "      volumes: [{name: settings, configMap: {name: settings}}]\n";
    let container = "          volumeMounts: [{name: settings, mountPath: /settings}]\n";
    let (set, first) = (set(3, "", pod, container), settings("first"));
    let cluster = Cluster::start(engine, &[("set.yaml", &set), ("settings.yaml", &first)]);
    let resolved = |ordinal: usize| cluster.until(&name(ordinal), || resolve(&name(ordinal)));
    resolved(0);
    figures.milliseconds("first name answered", cluster.begun.elapsed());
    resolved(1);
    let last = resolved(2);
    figures.milliseconds("third name answered", cluster.begun.elapsed());
    cluster.until("a page", || page(last, "/"));
    figures.milliseconds("page of the third", cluster.begun.elapsed());
    figures.add("resident memory, MB", cluster.resident());
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
    let (path, body) =
        ("/api/v1/namespaces/default/configmaps/settings", json!({"data": {"key": "third"}}).to_string());
    let reply = limited::send(API, "PATCH", path, limited::json_type("PATCH"), body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.body);
    shown("third");
    figures.milliseconds("ConfigMap edited over the API, then in the volume", begun.elapsed());
}
