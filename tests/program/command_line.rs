//! The program as a shell sees it: exit codes, what goes to which stream, closed pipes.

use crate::support::program::{Ended, command, run};
use std::{path::Path, process::Stdio};

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
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    for folder in ["manifests", "zones", "one", "two"] {
        std::fs::create_dir(directory.path().join(folder)).expect("a folder");
    }
    for file in ["a.yaml", "b.yaml"] {
        let text = "manifests: [of-file]\nzones: zones\ntls: {selfSigned: [a.test]}\nlistenTls: [\"127.0.0.1:0\"]\n";
        std::fs::write(directory.path().join(file), text).expect("a file");
    }
    // Variables without HEADLESS_DNS_, arguments, exit code, and what is said.
    type Row<'r> = (&'r [(&'r str, &'r str)], &'r [&'r str], i32, &'r str);
    let rows: &[Row<'_>] = &[
        (&[("LISTEN", "127.0.0.1:1,nowhere")], &["check"], 78, "HEADLESS_DNS_LISTEN: `nowhere` is no address"),
        (&[("LISTEN", "127.0.0.1:1, [::1]:2,")], &["check"], 0, "no errors"),
        (&[("LISTEN", "nowhere")], &["check", "--listen", "127.0.0.1:1"], 0, "no errors"),
        (&[("LISTEN", "nowhere")], &["version"], 0, "headless-dns 0."),
        (&[("LISTEN", "nowhere")], &["--help"], 0, "HEADLESS_DNS_LISTEN"),
        (&[("LISTEN", "nowhere")], &["check", "--listen", "also"], 64, "`also` is no address"),
        (&[("LISTEN", "x"), ("FORWARD", "nobody")], &["check"], 78, "HEADLESS_DNS_LISTEN: `x`"),
        (&[("LISTEN", "x"), ("FORWARD", "nobody")], &["check"], 78, "HEADLESS_DNS_FORWARD: `nobody`"),
        (&[("LISTEN", "")], &["check"], 0, "no errors"),
        (&[("LISTEN_QUIC", "127.0.0.1:1")], &["check"], 78, "no certificate for listenQuic"),
        (&[("LISTEN_TLS", "127.0.0.1")], &["check"], 78, "HEADLESS_DNS_LISTEN_TLS: `127.0.0.1` is no address"),
        (&[("LISTEN_HTTPS", "x")], &["check"], 78, "HEADLESS_DNS_LISTEN_HTTPS: `x`"),
        (&[("METRICS_LISTEN", "9153")], &["check"], 78, "HEADLESS_DNS_METRICS_LISTEN: `9153` is no address"),
        (&[("API_LISTEN", "192.0.2.1:1")], &["check"], 78, "nothing protects the API"),
        (&[("API_LISTEN", "192.0.2.1:1")], &["check", "--api-listen", "none"], 0, "no errors"),
        (&[("FORWARD", "system, nobody")], &["check"], 78, "HEADLESS_DNS_FORWARD: `nobody` is no upstream"),
        (&[("CLUSTER_DOMAIN", "a.b, c.d,")], &["check"], 0, "no errors"),
        (&[("CLUSTER_DOMAIN", "b, a.b")], &["check"], 78, "lie one within the other"),
        (&[("MANIFESTS", "one:two")], &["check"], 0, "0 manifest files"),
        (&[("MANIFESTS", "one:three")], &["check"], 0, "three: the directory does not exist"),
        (&[("MANIFESTS", "three")], &["--manifests", "four", "check"], 0, "four: the directory does not exist"),
        (&[("ZONES", "three")], &["check"], 0, "three: there is no such directory"),
        (&[("CONFIG", "a.yaml")], &["check"], 0, "of-file: the directory does not exist"),
        (&[("CONFIG", "a.yaml"), ("MANIFESTS", "three")], &["check"], 0, "three: the directory does not exist"),
        (&[("CONFIG", "a.yaml")], &["check", "--config", "b.yaml"], 0, "b.yaml: "),
        (&[("CONFIG", "none.yaml")], &["check"], 78, "none.yaml: the settings cannot be read"),
        (&[("STATE_DIR", "none")], &["check"], 0, "no errors"),
    ];
    for (variables, arguments, code, said) in rows {
        let mut command = command();
        command.current_dir(directory.path()).args(*arguments);
        command.envs(variables.iter().map(|(name, value)| (format!("HEADLESS_DNS_{name}"), value)));
        let ended = run(command);
        let all = format!("{variables:?} {arguments:?}\n{}\n---\n{}", ended.stdout, ended.stderr);
        assert_eq!(ended.status.code(), Some(*code), "{all}");
        assert!(ended.stdout.contains(said) || ended.stderr.contains(said), "{all}");
    }
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
