//! The README's commands, run as they stand, and what they print compared with what it says.

use crate::support::{
    eventually, have, program,
    session::{Part, Shell, parts},
};
use std::{
    path::Path,
    process::{Command, Stdio},
};

/// The program itself stands for `cargo run --release --`; CI builds that one and runs it, too.
fn built(arguments: &str) -> Command {
    let mut command = program::command();
    command.args(arguments.split_whitespace()).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

#[test]
fn commands_print_what_the_readme_says() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut ran = 0;
    let mut server: Option<Server> = None;
    let cache = tempfile::tempdir().unwrap();
    let mut shell = Shell::new(cache.path(), &[("KUBECACHEDIR", cache.path().to_str().unwrap())]);
    let begun = |server: &Option<Server>| {
        let server = server.as_ref().expect("the README starts the server first");
        (server.port, server.api.clone())
    };
    for part in parts(&readme) {
        let Part::Run(command, output) = part else { continue };
        ran += 1;
        match command.strip_prefix("cargo run --release") {
            Some("") => {
                // On ports of its own and without state, so that nothing else on the machine is in the way.
                let mut serve =
                    built("--listen 127.0.0.1:0 --metrics-listen none --api-listen 127.0.0.1:0 --state-dir none");
                server = Some(Server::start(serve.stdout(Stdio::piped()).stderr(Stdio::null())));
            }
            Some(arguments) => {
                let ended = program::run(built(arguments.trim_start().trim_start_matches("-- ")));
                assert!(ended.status.success(), "{command}\n{}\n{}", ended.stdout, ended.stderr);
            }
            // This is it.
            None if command == "cargo test" => {}
            None if command.starts_with("dig ") => {
                if have(&["dig"]) {
                    let (port, _) = begun(&server);
                    eventually(&command, || compare(&command, port, &output));
                }
            }
            None if command.starts_with("k ") || command.starts_with("alias k=") => {
                if have(&["kubectl", "bash"]) {
                    shell.check(&command.replace("http://127.0.0.1:8001", &begun(&server).1), &output);
                }
            }
            None => panic!("tests/program/readme.rs does not know how to run `{command}`"),
        }
    }
    assert!(ran >= 14, "{ran}");
}

/// Runs a `dig` of the README. Sets come in any order, so lines are compared sorted.
fn compare(command: &str, port: u16, expected: &[String]) -> Result<(), String> {
    let arguments = command.replace("-p 1053", &format!("-p {port}"));
    let output = Command::new("dig").args(arguments.split_whitespace().skip(1)).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut got: Vec<String> = text.lines().map(words).collect();
    let mut expected: Vec<String> = expected.iter().map(|line| words(line)).filter(|line| !line.is_empty()).collect();
    got.sort();
    expected.sort();
    if got == expected { Ok(()) } else { Err(format!("the README says {expected:#?}, dig says {got:#?}")) }
}

/// The server that the README starts; ended when dropped.
struct Server {
    child: std::process::Child,
    port: u16,
    /// Where the Kubernetes API is.
    api: String,
}

impl Server {
    fn start(command: &mut Command) -> Server {
        use std::io::{BufRead, BufReader};
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut behind = |begin: &str| loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some(rest) = line.strip_prefix(begin) {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        let port = behind("listening on udp+tcp ").rsplit(':').next().unwrap().parse().unwrap();
        let api = behind("Kubernetes API at ").trim_end_matches(':').to_owned();
        // The pipe is read to its end, so that the server never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, port, api }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
