//! The program as a shell sees it: exit codes, what goes to which stream, closed pipes.

mod support;

use std::{path::Path, process::Stdio};
use support::program::{Ended, command, run};

/// Runs with these arguments in a directory.
fn program(directory: &Path, arguments: &[&str]) -> Ended {
    let mut command = command();
    command.current_dir(directory).args(arguments);
    run(command)
}

#[test]
fn exit_codes() {
    let directory = tempfile::tempdir().expect("a directory");
    for folder in ["manifests", "zones"] {
        std::fs::create_dir(directory.path().join(folder)).expect("a folder");
    }
    std::fs::write(directory.path().join("bad.yaml"), "ttl: three\n").expect("a file");
    std::fs::write(directory.path().join("odd.yaml"), "ttl: 600\nmanifests: [manifests]\nzones: zones\n")
        .expect("a file");
    // Arguments, exit code, a part of standard output, a part of standard error.
    let rows: &[(&[&str], i32, &str, &str)] = &[
        (&["--version"], 0, "headless-dns 0.", ""),
        (&["version"], 0, "headless-dns 0.", ""),
        (&["--help"], 0, "HEADLESS_DNS_LISTEN", ""),
        (&["check"], 0, "0 manifest files with 0 objects, 0 static zones: no errors", ""),
        (&["check", "--strict"], 0, "built-in settings", ""),
        (&["check", "--config", "odd.yaml"], 0, "odd.yaml: ", "warning: odd.yaml:1:6: ttl"),
        (&["check", "--strict", "--config", "odd.yaml"], 78, "1 warning", "ttl"),
        (&["check", "--manifests", "elsewhere"], 0, "1 warning", "elsewhere: the directory does not exist"),
        (&["check", "--config", "bad.yaml"], 78, "", "bad.yaml:1:6: ttl: expected a whole number"),
        (&["--config", "none.yaml", "serve"], 78, "", "none.yaml: the settings cannot be read"),
        (&["serve", "--listen", "198.51.100.1:0", "--state-dir", "none"], 78, "", "--listen"),
        (&["serve", "--cluster-domain", "a..b"], 78, "", "--cluster-domain"),
        (&["--lisen", "127.0.0.1:0"], 64, "", "--listen"),
        (&["serve", "--listen", "localhost"], 64, "", "no address with a port"),
        (&["--listen", "127.0.0.1:0", "version"], 64, "", "takes no settings"),
        (&["demo"], 64, "", "FILE"),
        (&["nonsense"], 64, "", "nonsense"),
    ];
    for (arguments, code, out, err) in rows {
        let ended = program(directory.path(), arguments);
        let all = format!("{arguments:?}\n{}\n---\n{}", ended.stdout, ended.stderr);
        assert_eq!(ended.status.code(), Some(*code), "{all}");
        assert!(ended.stdout.contains(out) && ended.stderr.contains(err), "{all}");
        assert!(!ended.stderr.contains('\u{1b}'), "no colour without a terminal: {all}");
    }
}

#[test]
fn the_environment_is_heeded_and_its_mistakes_are_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = command();
    command.current_dir(directory.path()).arg("check").env("HEADLESS_DNS_LISTEN", "127.0.0.1:1,nowhere");
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(78));
    assert!(ended.stderr.contains("HEADLESS_DNS_LISTEN: `nowhere` is no address"), "{}", ended.stderr);
}

#[test]
fn a_closed_pipe_is_no_panic() {
    for arguments in [["--help"], ["version"], ["check"]] {
        let mut command = command();
        let directory = tempfile::tempdir().expect("a directory");
        command.current_dir(directory.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{told}");
        assert!(!told.contains("panicked"), "{told}");
    }
}
