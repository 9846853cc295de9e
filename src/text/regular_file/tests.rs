//! What is read, what is refused with which words, and what happens when a file is exchanged between look and opening.
#![cfg(unix)]

use super::*;
use std::{
    os::unix::{fs::symlink, net::UnixListener},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use tempfile::TempDir;

const LIMIT: u64 = 1024;

/// A directory with one of each kind, under its name.
struct Kinds {
    directory: TempDir,
    _socket: UnixListener,
}

impl Kinds {
    fn new() -> Kinds {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "text").unwrap();
        fs::write(at("full"), "x".repeat(1024)).unwrap();
        fs::write(at("large"), "x".repeat(1025)).unwrap();
        fs::write(at("empty"), "").unwrap();
        fs::write(at("latin1"), b"\xe4").unwrap();
        fs::create_dir(at("directory")).unwrap();
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let links = [
            "file",
            "pipe",
            "directory",
            "nowhere",
            "/dev/zero",
            "/dev/null",
            "/proc/self/environ",
            "/proc/kcore",
            "/proc",
        ];
        for target in links {
            symlink(target, at(&format!("to-{}", target.rsplit('/').next().unwrap()))).unwrap();
        }
        symlink("to-file", at("to-to-file")).unwrap();
        symlink("circle", at("circle")).unwrap();
        Kinds { _socket: UnixListener::bind(at("socket")).unwrap(), directory }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn shown(read: io::Result<Vec<u8>>) -> String {
    match read {
        Ok(octets) => format!("{} octets", octets.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_read() {
    let kinds = Kinds::new();
    let linux = cfg!(target_os = "linux");
    for (name, expected) in [
        ("file", "4 octets"),
        ("full", "1024 octets"),
        ("large", "it is larger than 1 KiB"),
        ("empty", "0 octets"),
        ("to-file", "4 octets"),
        ("to-to-file", "4 octets"),
        ("directory", "it is a directory, and no regular file"),
        ("to-directory", "it is a directory, and no regular file"),
        ("pipe", "it is a pipe, and no regular file"),
        ("to-pipe", "it is a pipe, and no regular file"),
        ("socket", "it is a socket, and no regular file"),
        ("to-zero", "it is a device, and no regular file"),
        ("to-null", "0 octets"),
        ("to-environ", "it is part of /proc or /sys, which the kernel makes up, and no regular file"),
        ("to-proc", "it is a directory, and no regular file"),
        ("to-nowhere", "No such file or directory (os error 2)"),
    ] {
        if linux || !matches!(name, "to-environ" | "to-proc") {
            assert_eq!(shown(read(&kinds.at(name), LIMIT)), expected, "{name}");
        }
    }
    for name in ["circle", "to-kcore"] {
        assert!(read(&kinds.at(name), LIMIT).is_err(), "{name}");
    }
    assert_eq!(read_text(&kinds.at("file"), LIMIT).unwrap(), "text");
    assert_eq!(read_text(&kinds.at("latin1"), LIMIT).unwrap_err().to_string(), "it is not UTF-8");
}

/// Each thing in the place of each other one, after the look.
#[test]
fn exchanged_between_look_and_opening() {
    for (before, after, expected) in [
        ("file", "file", "4 octets"),
        ("file", "full", "1024 octets"),
        ("file", "large", "it is larger than 1 KiB"),
        ("file", "pipe", "it is a pipe, and no regular file"),
        ("file", "to-pipe", "it is a pipe, and no regular file"),
        ("file", "to-zero", "it is a device, and no regular file"),
        ("file", "directory", "it is a directory, and no regular file"),
        ("pipe", "file", "it is a pipe, and no regular file"),
        ("directory", "file", "it is a directory, and no regular file"),
    ] {
        let kinds = Kinds::new();
        let path = kinds.at("exchanged");
        fs::rename(kinds.at(before), &path).unwrap();
        let outcome = read_with(&path, LIMIT, || {
            fs::rename(&path, kinds.at(before)).unwrap();
            fs::rename(kinds.at(after), &path).unwrap();
        });
        assert_eq!(shown(outcome), expected, "{before}, then {after}");
    }
}

/// Somebody exchanges a file for a pipe and back as fast as possible: every reading ends, and gives the file or an error.
#[test]
fn exchanged_all_the_time() {
    let kinds = Kinds::new();
    let path = kinds.at("exchanged");
    symlink("file", &path).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let beside = kinds.at("beside");
            for target in
                ["pipe", "/dev/zero", "file"].into_iter().cycle().take_while(|_| !done.load(Ordering::Relaxed))
            {
                symlink(target, &beside).unwrap();
                fs::rename(&beside, &path).unwrap();
            }
        });
        for _ in 0..5_000 {
            let outcome = shown(read(&path, LIMIT));
            let known = ["4 octets", "it is a pipe, and no regular file", "it is a device, and no regular file"];
            assert!(known.contains(&outcome.as_str()), "{outcome}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn limits_in_words() {
    for (limit, text) in [(16 << 20, "16 MiB"), (3 << 10, "3 KiB"), (1000, "1000 octets"), (0, "0 octets")] {
        assert_eq!(size(limit), text);
    }
}
