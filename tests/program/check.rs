//! `check` over sets of manifests as people have them: what is written, and everything that is printed.
//!
//! Each set is a directory of `tests/data/check`: its files, perhaps a `settings.yaml`, and `expected.txt` with the exit
//! codes of `check` and `check --strict` in the first line, then standard error, then standard output. A new set without
//! `expected.txt` is told with what it should hold.

use crate::support::program::{Ended, command, run};
use std::{fs, path::Path};

/// Lines of a screen; every set here fits on one.
const SCREEN: usize = 40;

fn check(directory: &Path, arguments: &[&str]) -> Ended {
    let mut command = command();
    command.current_dir(directory).args(["check", "--manifests", "manifests"]).args(arguments);
    run(command)
}

#[test]
fn sets_of_manifests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/check");
    let (mut sets, mut wrong) = (0, String::new());
    let mut directories: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    directories.sort();
    for set in directories {
        sets += 1;
        let settings: &[&str] = if set.join("settings.yaml").exists() { &["--config", "settings.yaml"] } else { &[] };
        let ended = check(&set, settings);
        let strict = check(&set, &[settings, &["--strict"]].concat());
        let codes = [&ended, &strict].map(|ended| ended.status.code().unwrap_or(-1).to_string()).join(" ");
        let told = format!("{codes}\n{}---\n{}", ended.stderr, ended.stdout);
        let expected = fs::read_to_string(set.join("expected.txt")).unwrap_or_default();
        if told != expected {
            wrong.push_str(&format!("{}: expected\n{expected}\nbut it is\n{told}\n", set.display()));
        }
        assert!(told.lines().count() <= SCREEN, "{}: more than a screen\n{told}", set.display());
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(sets >= 12, "{sets}");
}

/// The default directories may be missing, and those that somebody names may not.
#[test]
fn directories_that_nobody_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("manifests")).unwrap();
    let rows: [(&[&str], i32, &str); 4] = [
        (&["--strict"], 0, ""),
        (&["--strict", "--zones", "zones"], 78, "warning: zones: there is no such directory (yet)\n"),
        (&["--strict", "--manifests", "gone"], 78, "warning: gone: the directory does not exist"),
        (&["--strict", "--zones", "manifests"], 0, ""),
    ];
    for (arguments, code, told) in rows {
        let ended = check(directory.path(), arguments);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with(told) && ended.stderr.is_empty() == told.is_empty(), "{}", ended.stderr);
    }
    fs::remove_dir(directory.path().join("manifests")).unwrap();
    let mut plain = command();
    plain.current_dir(directory.path()).args(["check", "--strict"]);
    let ended = run(plain);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr, "note: manifests: the directory does not exist: waiting for it\n\nno errors\n");
}

/// Thousands of faults take no more time than few, and are counted.
#[test]
fn thousands_of_faults() {
    let begun = std::time::Instant::now();
    let ports = "  - {}\n".repeat(40_000);
    let many = |spec: &str, end: &str| {
        (0..2_000).fold(String::new(), |text, n| {
            text + &format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s{n}{end}}}\nspec: {{{spec}}}\n---\n")
        })
    };
    for (text, more) in [
        (format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec:\n  ports:\n{ports}"), "more errors"),
        (many("clusterIP: 192.0.2.1, ports: [{port: 80}]", ""), "1900 more errors"),
        (many("selector: {a: b}, clusterIP: None", ""), "more warnings"),
        (many("clusterIp: None, clusterIP: None", ""), "1900 more warnings"),
        (many("clusterIP: None", "!"), "1900 more errors"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("manifests")).unwrap();
        fs::write(directory.path().join("manifests/a.yaml"), text).unwrap();
        let ended = check(directory.path(), &[]);
        assert!(ended.stderr.contains(&format!("{more} in this file are not shown")), "{more}: {}", ended.stderr);
        assert!(ended.stderr.len() < 100_000, "{}", ended.stderr.len());
    }
    assert!(begun.elapsed() < crate::support::PATIENCE, "{:?}", begun.elapsed());
}
