//! Images for tests, made on the spot: of the static program `app.c`, or of nothing but links into the machine's `/usr`.

use super::ContainerEngine;
use serde_json::json;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tempfile::TempDir;

/// What an image has.
#[derive(Default)]
pub struct Image<'a> {
    /// Its name: `app:1`.
    pub reference: &'a str,
    /// Files with their mode: path without a leading `/`.
    pub files: &'a [(&'a str, u32, &'a [u8])],
    /// Directories with their mode.
    pub directories: &'a [(&'a str, u32)],
    /// Symbolic links: the link, and what it contains.
    pub links: &'a [(&'a str, &'a str)],
    /// The part `config` of its configuration: `Entrypoint`, `Cmd`, `Env`, `User`, `StopSignal`, ….
    pub config: serde_json::Value,
    /// The machine's own, if empty.
    pub architecture: &'a str,
}

/// Loads an image whose entry point is the static program; `docs`: `usage` in `app.c`. Without arguments it serves
/// `The host is NAME` on port 80.
pub fn load_app(engine: &ContainerEngine, reference: &str) {
    let config = json!({"Entrypoint": ["/app"], "Cmd": ["serve"], "Env": ["PATH=/", "FROM_IMAGE=yes"]});
    load(engine, &app(reference, config));
}

/// The image of [`load_app`] with a configuration of its own.
pub fn app(reference: &str, config: serde_json::Value) -> Image<'_> {
    static FILES: OnceLock<[(&str, u32, &[u8]); 3]> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        [
            ("app", 0o755, compiled()),
            ("etc/passwd", 0o644, b"root:x:0:0:root:/:/app\nalice:x:1001:1002:alice:/:/app\n"),
            ("etc/group", 0o644, b"root:x:0:\nalice:x:1002:\n"),
        ]
    });
    Image { reference, files, directories: &[("tmp", 0o1777)], config, ..Image::default() }
}

/// Loads an image of links only: a pod that mounts the machine's `/usr` at `/usr` (hostPath, read-only) has `sh`, `curl`,
/// `getent`, `python` and everything else that is installed here.
pub fn load_links(engine: &ContainerEngine, reference: &str, command: &[&str]) {
    load(
        engine,
        &Image {
            reference,
            files: &[
                ("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
                ("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n"),
                ("etc/nsswitch.conf", 0o644, b"hosts: files dns\n"),
            ],
            directories: &[("tmp", 0o1777), ("usr", 0o755), ("root", 0o700), ("var/tmp", 0o1777)],
            links: &[
                ("bin", "usr/bin"),
                ("sbin", "usr/sbin"),
                ("lib", "usr/lib"),
                ("lib64", "usr/lib64"),
                ("opt/bin/python", "/usr/bin/python3"),
            ],
            config: json!({
                "Cmd": command,
                "Env": ["PATH=/opt/bin:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"],
                "WorkingDir": "/",
            }),
            ..Image::default()
        },
    );
}

/// Loads an image.
pub fn load(engine: &ContainerEngine, image: &Image<'_>) {
    let (status, body) = engine.request("POST", "/v1.41/images/load", &archive(image)).unwrap();
    assert_eq!(status, 200, "{}: {}", image.reference, String::from_utf8_lossy(&body));
}

/// The static program; compiled once for all tests of a file.
fn compiled() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (source, program) = (folder.path().join("app.c"), folder.path().join("app"));
        fs::write(&source, include_str!("app.c")).unwrap();
        run(Command::new("cc").args(["-O1", "-static", "-s", "-o"]).args([&program, &source]));
        fs::read(program).unwrap()
    })
}

/// The image as `docker save` would write it.
pub fn archive(image: &Image<'_>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    for (path, mode) in image.directories {
        fs::create_dir_all(root.join(path)).unwrap();
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(*mode)).unwrap();
    }
    for (path, mode, content) in image.files {
        fs::write(with_parent(&root.join(path)), content).unwrap();
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(*mode)).unwrap();
    }
    for (path, target) in image.links {
        std::os::unix::fs::symlink(target, with_parent(&root.join(path))).unwrap();
    }
    let layer = tar(&folder, "root", "layer.tar");
    let architecture = match image.architecture {
        "" if cfg!(target_arch = "aarch64") => "arm64",
        "" => "amd64",
        other => other,
    };
    let configuration = json!({
        "architecture": architecture,
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": image.config,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]},
    });
    let configuration = serde_json::to_vec(&configuration).unwrap();
    let name = format!("{}.json", sha256(&configuration));
    let manifest = json!([{"Config": name, "RepoTags": [image.reference], "Layers": ["layer.tar"]}]);
    let content = folder.path().join("archive");
    fs::create_dir(&content).unwrap();
    fs::write(content.join("layer.tar"), layer).unwrap();
    fs::write(content.join(name), configuration).unwrap();
    fs::write(content.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    tar(&folder, "archive", "archive.tar")
}

fn with_parent(path: &Path) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    path.to_owned()
}

fn tar(folder: &TempDir, content: &str, archive: &str) -> Vec<u8> {
    let archive = folder.path().join(archive);
    let mut command = Command::new("tar");
    command.args(["--create", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--sort=name", "--file"]);
    run(command.arg(&archive).arg("--directory").arg(folder.path().join(content)).arg("."));
    fs::read(archive).unwrap()
}

fn sha256(octets: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, octets).as_ref())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
