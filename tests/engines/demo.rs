//! The shipped demo of real pods, played on both engines; what it made on them is gone afterwards, even if it is interrupted.

use crate::{
    machine_image,
    support::{
        engines::{ContainerEngine, Kind},
        eventually,
    },
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

fn demo(engine: &ContainerEngine) -> Command {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demos/real-pods.yaml");
    let mut command = engine.command_inside(env!("CARGO_BIN_EXE_headless-dns"));
    command.arg("demo").arg(file).env("DOCKER_HOST", format!("unix://{}", engine.socket().display()));
    command.stdin(Stdio::null());
    command
}

/// What is on the engine: as many containers, and whether there is a network of ours.
fn left(engine: &ContainerEngine) -> (usize, bool) {
    let get = |path| engine.request("GET", path, b"").unwrap().1;
    let containers: serde_json::Value = serde_json::from_slice(&get("/v1.41/containers/json?all=true")).unwrap();
    let networks = String::from_utf8_lossy(&get("/v1.41/networks")).contains("headless-dns-");
    (containers.as_array().unwrap().len(), networks)
}

fn play(kind: Kind) {
    // One of its own: what others make on a shared one is not ours to count.
    let Some(engine) = ContainerEngine::start(kind) else { return };
    let tools = ["sh", "httpd", "hostname"].map(|tool| (tool, "busybox"));
    machine_image::load(&engine, "docker.io/library/busybox:1.37", &tools, &[]);

    let output = demo(&engine).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    for expected in ["pods that are containers", "  this is web-1\n  this is web-1\n", "everything as expected"] {
        assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
    }
    assert_eq!(left(&engine), (0, false), "{text}");

    let mut interrupted = demo(&engine).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(interrupted.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("web-0") && line.contains("Running")));
    assert!(left(&engine).0 > 0);
    // The command is a child of `nsenter`.
    let children = format!("/proc/{0}/task/{0}/children", interrupted.id());
    let child = std::fs::read_to_string(children).unwrap();
    assert!(Command::new("kill").args(["-INT", child.trim()]).status().unwrap().success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(interrupted.wait().unwrap().code(), Some(1), "{rest:#?}");
    assert!(rest.iter().any(|line| line.contains("interrupted")), "{rest:#?}");
    eventually("nothing is left", || match left(&engine) {
        (0, false) => Ok(()),
        left => Err(format!("{left:?}")),
    });
}

#[test]
fn the_demo_on_docker() {
    play(Kind::Docker);
}

#[test]
fn the_demo_on_podman() {
    play(Kind::Podman);
}
