//! What the tests that start a server share: waiting without sleeping, the program, its clients, a network of its own.
//!
//! Each test file includes this folder as a module and uses a part of it.
#![allow(dead_code)]

pub mod cluster;
pub mod control_plane;
pub mod dig;
pub mod dns;
pub mod engines;
pub mod exposition;
pub mod http;
pub mod limited;
pub mod namespace;
pub mod pods_zone;
pub mod program;
pub mod rows;
pub mod session;
pub mod transcript;

use std::{
    fmt,
    net::{TcpListener, UdpSocket},
    path::Path,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up; generous, because nobody waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Tries until it works, and says what was wrong the last time when it never does.
pub fn eventually<T, E: fmt::Display>(what: &str, mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if Instant::now() > end => panic!("{what}: still not after {PATIENCE:?}: {error}"),
            Err(_) => pause(),
        }
    }
}

/// A port that is free over UDP and TCP, for a server that cannot choose one itself. It is none of those that the system
/// gives to clients, or a connection of another test could have it in the next moment.
pub fn free_port() -> u16 {
    eventually("a port that is free for both", || {
        let port = fastrand::u16(20_000..32_000);
        let _udp = UdpSocket::bind(("127.0.0.1", port))?;
        TcpListener::bind(("127.0.0.1", port)).map(|_| port)
    })
}

/// The pause between two looks at another process, which cannot wake us.
pub fn pause() {
    std::thread::park_timeout(Duration::from_millis(5));
}

/// Says whether the tools are here. Where they are missing a test is skipped, but not in CI, where nothing may be
/// skipped.
pub fn have(tools: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing: Vec<_> =
        tools.iter().filter(|tool| !std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())).collect();
    missing.is_empty() || skip(&format!("{missing:?} not installed"))
}

/// Skips a test, or fails it in CI; returns false.
pub fn skip(reason: &str) -> bool {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}, and in CI nothing may be skipped");
    println!("skipped: {reason}");
    false
}

/// Writes a file as a careful editor does: beside it, then renamed into place, so that no scan sees half of it.
pub fn write(path: &Path, text: &str) {
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// A headless Service `nginx` with port `web`, and a StatefulSet `web` behind it. `template` goes into the pods'
/// metadata (indented by 6), `spec` into the set's spec (indented by 2).
pub fn web(replicas: usize, template: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: nginx
  labels:
    app: nginx
spec:
  clusterIP: None
  selector:
    app: nginx
  ports:
  - name: web
    port: 80
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: web
spec:
  serviceName: nginx
  replicas: {replicas}
{spec}  selector:
    matchLabels:
      app: nginx
  template:
    metadata:
      labels:
        app: nginx
{template}    spec:
      containers:
      - name: nginx
        image: nginx:1.29
        ports:
        - name: web
          containerPort: 80
"
    )
}
