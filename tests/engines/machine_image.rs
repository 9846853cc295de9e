//! Images of this machine's own programs, with the libraries that they need: a shell, `curl` or Python without a registry.

use crate::support::engines::{
    ContainerEngine,
    images::{self, Image},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What name resolution loads by itself.
const RESOLVING: [&str; 3] = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];

/// Loads an image with these programs (what each is called there, and here), and with everything that is in these directories.
pub fn load(engine: &ContainerEngine, reference: &str, programs: &[(&str, &str)], directories: &[&Path]) {
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (name, program) in programs {
        let path = found(program);
        for library in libraries(&path) {
            add(&mut files, &library);
        }
        files.insert(format!("usr/bin/{name}"), path);
    }
    for directory in directories {
        everything(directory, &mut files);
    }
    let libc = libraries(&found("sh")).into_iter().find(|path| path.ends_with("libc.so.6")).unwrap();
    for name in RESOLVING {
        add(&mut files, &libc.with_file_name(name));
    }
    let contents: Vec<(String, u32, Vec<u8>)> = files
        .iter()
        .filter_map(|(name, path)| {
            // What cannot be read is not needed.
            let content = fs::read(path).ok()?;
            Some((name.clone(), mode(path), content))
        })
        .collect();
    let mut all: Vec<(&str, u32, &[u8])> =
        contents.iter().map(|(name, mode, content)| (name.as_str(), *mode, content.as_slice())).collect();
    all.extend([
        ("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n".as_slice()),
        ("etc/group", 0o644, b"root:x:0:\n"),
        ("etc/nsswitch.conf", 0o644, b"hosts: files dns\n"),
    ]);
    let image = Image {
        reference,
        files: &all,
        directories: &[("tmp", 0o1777), ("root", 0o700)],
        links: &[("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")],
        config: json!({"Cmd": ["/bin/sh"], "Env": ["PATH=/usr/bin"]}),
        architecture: "",
    };
    images::load(engine, &image);
}

/// A program of this machine as its packages bring it, with links followed.
pub fn found(program: &str) -> PathBuf {
    let path = ["/usr/bin", "/bin"].iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
    fs::canonicalize(path.unwrap_or_else(|| panic!("no {program} here"))).unwrap()
}

/// The shared libraries of a program, as its loader finds them.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// Adds a file where the image's links lead to it.
fn add(files: &mut BTreeMap<String, PathBuf>, path: &Path) {
    let name = path.strip_prefix("/").unwrap().to_str().unwrap();
    let name = if name.starts_with("usr/") { name.to_owned() } else { format!("usr/{name}") };
    files.insert(name, path.to_owned());
}

/// Adds all files of a directory, but caches and tests.
fn everything(directory: &Path, files: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().map_while(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name());
        match path.is_dir() {
            true if ["__pycache__", "test", "tests"].iter().any(|skipped| name == *skipped) => {}
            true => everything(&path, files),
            false => add(files, &path),
        }
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).map_or(0o644, |metadata| metadata.permissions().mode() & 0o7777)
}
