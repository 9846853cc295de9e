//! Directories of pods on a real disk: what is made, what changes at once, and what is never touched.

#![expect(clippy::unwrap_used)]

use super::{PodDirectories, group, host_path, sub_path};
use crate::{
    control::runtime::containers::spec::{FileEntry, GroupOwnership, HostPath, PodFiles, ProjectedVolume, SubPath},
    engine::sandbox::{ATTEMPT_LABEL, CONTAINER_NAME_LABEL, ContainerSpec, Mount, POD_UID_LABEL},
};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

const UID: &str = "6b0d-uid";

/// A state directory with pods, and a directory of somebody else beside it.
struct Home {
    directory: tempfile::TempDir,
    pods: PodDirectories,
}

impl Home {
    fn new() -> Home {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/data"), "precious").unwrap();
        let pods = PodDirectories::new(&directory.path().join("state/pods"));
        Home { directory, pods }
    }

    fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }

    /// A path in the pod's directory.
    fn pod(&self, path: &str) -> PathBuf {
        self.directory.path().join("state/pods").join(UID).join(path)
    }

    fn volume(&self, path: &str) -> PathBuf {
        self.pod("volumes").join(path)
    }

    fn write(&self, files: &PodFiles) -> Result<(), String> {
        self.pods.write(UID, files)
    }

    #[track_caller]
    fn outside_is_untouched(&self) {
        assert_eq!(fs::read_to_string(self.outside().join("data")).unwrap(), "precious");
        assert_eq!(fs::read_dir(self.outside()).unwrap().count(), 1);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// One volume `v` with these files.
fn projected(files: &[(&str, &str, u32)], group: Option<i64>) -> PodFiles {
    let files = files.iter().map(|(path, text, mode)| ((*path).to_owned(), FileEntry::new(text.as_bytes(), *mode)));
    let volume = ProjectedVolume { files: files.collect(), group };
    PodFiles { projected: BTreeMap::from([("v".to_owned(), volume)]), ..PodFiles::default() }
}

/// What containers see of a volume: path, mode, text; and nothing that is not told of.
fn seen(volume: &Path) -> Vec<String> {
    fn walk(directory: &Path, prefix: &str, lines: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.starts_with("..") {
                continue;
            }
            let (path, shown) = (directory.join(&name), format!("{prefix}{name}"));
            let metadata = fs::metadata(&path).unwrap();
            match metadata.is_dir() {
                true => walk(&path, &format!("{shown}/"), lines),
                false => {
                    lines.push(format!("{shown} {:o} {}", metadata.mode() & 0o777, fs::read_to_string(path).unwrap()))
                }
            }
        }
    }
    let mut lines = Vec::new();
    walk(volume, "", &mut lines);
    lines.sort();
    lines
}

/// The names that begin with two dots, with the time left out.
fn hidden(volume: &Path) -> Vec<String> {
    let names = fs::read_dir(volume).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("..")).collect();
    names.sort();
    names.iter().map(|name| if name.starts_with("..2") { "..TIME".to_owned() } else { name.clone() }).collect()
}

#[test]
fn files_change_together() {
    let home = Home::new();
    let data = || fs::read_link(home.volume("v/..data")).unwrap();
    type Step = (&'static [(&'static str, &'static str, u32)], &'static [&'static str]);
    let steps: [Step; 6] = [
        (&[("a", "1", 0o644), ("b/c", "2", 0o400)], &["a 644 1", "b/c 400 2"]),
        (&[("a", "1", 0o644), ("b/c", "3", 0o400)], &["a 644 1", "b/c 400 3"]),
        (&[("b/c", "3", 0o444), ("b/d/e", "4", 0o644)], &["b/c 444 3", "b/d/e 644 4"]),
        // What was a directory is a file now, and the other way round.
        (&[("b", "5", 0o644), ("a/x", "6", 0o644)], &["a/x 644 6", "b 644 5"]),
        (&[], &[]),
        (&[("a", "7", 0o644)], &["a 644 7"]),
    ];
    for (files, expected) in steps {
        let files = projected(files, None);
        home.write(&files).unwrap();
        assert_eq!(seen(&home.volume("v")), expected);
        assert_eq!(hidden(&home.volume("v")), ["..TIME", "..data"]);
        let before = data();
        home.write(&files).unwrap();
        assert_eq!(data(), before, "what is right is left alone: {expected:?}");
    }
    let target = fs::read_link(home.volume("v/a")).unwrap();
    assert_eq!(target, Path::new("..data/a"));
    assert_eq!(mode(&home.pod("")), 0o700);
    assert_eq!(mode(&home.volume("v")), 0o755);
    assert_eq!(mode(&home.directory.path().join("state/pods")), 0o700);
}

#[test]
fn a_reader_sees_one_version() {
    let home = Home::new();
    let version = |number: u32| {
        let text = format!("{number:0>2000}");
        projected(&[("a", &text, 0o644), ("b", &text, 0o644)], None)
    };
    home.write(&version(0)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0_u32;
            while !done.load(Ordering::Relaxed) {
                // As programs that watch `..data` do: one look at the link, then the files behind it.
                let Ok(directory) = fs::canonicalize(home.volume("v/..data")) else { continue };
                let read = |name| fs::read_to_string(directory.join(name));
                if let (Ok(a), Ok(b)) = (read("a"), read("b")) {
                    assert_eq!(a, b);
                    seen += 1;
                }
                // A file is there at every moment, and whole.
                assert_eq!(fs::read_to_string(home.volume("v/a")).map(|text| text.len()).unwrap_or(2000), 2000);
            }
            seen
        });
        for number in 1..60 {
            home.write(&version(number)).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}

#[test]
fn paths_that_lead_out_are_refused() {
    for path in ["../x", "/x", "..data", "..data/x", "a/../../x", "a//b", ".", "..", ""] {
        let home = Home::new();
        let error = home.write(&projected(&[("ok", "1", 0o644), (path, "hunter2", 0o644)], None)).unwrap_err();
        assert!(error.starts_with("MountVolume.SetUp failed for volume \"v\" : a path leads out"), "{path:?}: {error}");
        assert!(!error.contains("hunter2"));
        home.outside_is_untouched();
        assert!(!home.volume("v/..data").exists(), "{path:?}: nothing is to be seen");
        // What failed is no obstacle, and leaves nothing.
        home.write(&projected(&[("ok", "1", 0o644)], None)).unwrap();
        assert_eq!((seen(&home.volume("v")), hidden(&home.volume("v")).len()), (vec!["ok 644 1".to_owned()], 2));
    }
    for name in ["..", "../x", "a/b", "", ".gone-x"] {
        let home = Home::new();
        let volumes = BTreeMap::from([(name.to_owned(), ProjectedVolume::default())]);
        assert!(home.write(&PodFiles { projected: volumes, ..PodFiles::default() }).is_err(), "{name:?}");
        let directories = BTreeMap::from([(name.to_owned(), 0o777)]);
        assert!(home.write(&PodFiles { directories, ..PodFiles::default() }).is_err(), "{name:?}");
        assert!(home.pods.write(name, &PodFiles::default()).is_err(), "{name:?}");
        assert!(home.pods.remove(name).is_err(), "{name:?}");
        home.outside_is_untouched();
    }
}

#[test]
fn many_keys_and_large_values() {
    let home = Home::new();
    let large = "x".repeat(1 << 20);
    let names: Vec<String> = (0..800).map(|number| format!("key-{number}")).collect();
    let mut files: Vec<(&str, &str, u32)> = names.iter().map(|name| (name.as_str(), "v", 0o644)).collect();
    files.push(("large", &large, 0o600));
    home.write(&projected(&files, None)).unwrap();
    assert_eq!(fs::read_to_string(home.volume("v/large")).unwrap(), large);
    assert_eq!(fs::read_dir(home.volume("v")).unwrap().count(), 803);
    home.write(&projected(&[("key-7", "w", 0o644)], None)).unwrap();
    assert_eq!(seen(&home.volume("v")), ["key-7 644 w"]);
}

#[test]
fn what_earlier_runs_did_not_end_is_removed() {
    let home = Home::new();
    let files =
        PodFiles { directories: BTreeMap::from([("tmp".to_owned(), 0o777)]), ..projected(&[("a", "1", 0o644)], None) };
    home.write(&files).unwrap();
    fs::write(home.volume("tmp/data"), "mine").unwrap();
    // As if the program had ended in the middle of each step.
    fs::create_dir(home.volume("v/..2020_01_01_00_00_00.1")).unwrap();
    fs::write(home.volume("v/..2020_01_01_00_00_00.1/a"), "half").unwrap();
    symlink("..2020_01_01_00_00_00.1", home.volume("v/..data_tmp")).unwrap();
    fs::create_dir(home.volume(".new-other")).unwrap();
    let gone = home.directory.path().join("state/pods/.gone-old");
    fs::create_dir_all(gone.join("volumes/x")).unwrap();
    symlink(home.outside(), gone.join("volumes/x/link")).unwrap();
    let again = PodDirectories::new(&home.directory.path().join("state/pods"));
    let files =
        PodFiles { directories: BTreeMap::from([("other".to_owned(), 0o777), ("tmp".to_owned(), 0o777)]), ..files };
    again.write(UID, &files).unwrap();
    assert_eq!(hidden(&home.volume("v")), ["..TIME", "..data"]);
    assert_eq!(seen(&home.volume("v")), ["a 644 1"]);
    assert_eq!(fs::read_to_string(home.volume("tmp/data")).unwrap(), "mine");
    assert!(!home.volume(".new-other").exists() && !gone.exists());
    // `..data` that leads to nothing, or was never made.
    for target in [Some("..gone"), Some("../../outside"), None] {
        fs::remove_file(home.volume("v/..data")).unwrap();
        if let Some(target) = target {
            symlink(target, home.volume("v/..data")).unwrap();
        }
        again.write(UID, &files).unwrap();
        assert_eq!(seen(&home.volume("v")), ["a 644 1"], "{target:?}");
        assert_eq!(hidden(&home.volume("v")), ["..TIME", "..data"], "{target:?}");
    }
    home.outside_is_untouched();
}

#[test]
fn plain_files_stay_the_same_file() {
    let home = Home::new();
    let files = |text: &str, with_hosts_of_node| PodFiles {
        plain: BTreeMap::from([("etc-hosts".to_owned(), FileEntry::new(text.as_bytes(), 0o644))]),
        with_hosts_of_node,
        ..PodFiles::default()
    };
    let path = home.pod("etc-hosts");
    home.write(&files("first\nlonger text\n", false)).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    for text in ["second\n", "", "third\n"] {
        home.write(&files(text, false)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!((fs::metadata(&path).unwrap().ino(), mode(&path)), (inode, 0o644));
    }
    home.write(&files("# head\n\n# aliases\n", true)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let node = fs::read_to_string("/etc/hosts").unwrap_or_default();
    assert_eq!(text, format!("# head\n{node}\n# aliases\n"));
    // Somebody who got into the state directory gets no further.
    fs::remove_file(&path).unwrap();
    symlink(home.outside().join("data"), &path).unwrap();
    let error = home.write(&files("x", false)).unwrap_err();
    assert!(error.contains("etc-hosts"), "{error}");
    home.outside_is_untouched();
}

#[test]
fn empty_directories_are_made_once() {
    let home = Home::new();
    let files = PodFiles { directories: BTreeMap::from([("tmp".to_owned(), 0o777)]), ..PodFiles::default() };
    home.write(&files).unwrap();
    assert_eq!(mode(&home.volume("tmp")), 0o777);
    // A container has taken it for itself.
    fs::set_permissions(home.volume("tmp"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(home.volume("tmp/data"), "mine").unwrap();
    home.write(&files).unwrap();
    assert_eq!(
        (mode(&home.volume("tmp")), fs::read_to_string(home.volume("tmp/data")).unwrap().as_str()),
        (0o700, "mine")
    );
}

#[test]
fn groups_own_what_is_in_a_volume() {
    let home = Home::new();
    let claim = home.directory.path().join("claim");
    fs::create_dir_all(claim.join("a/b")).unwrap();
    fs::write(claim.join("a/file"), "").unwrap();
    fs::set_permissions(claim.join("a/file"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(claim.join("a/b"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink(home.outside(), claim.join("link")).unwrap();
    assert!(Command::new("mkfifo").arg(claim.join("pipe")).status().unwrap().success());
    let outside = (mode(&home.outside()), fs::metadata(home.outside()).unwrap().gid());
    let ownership = |only_if_root_differs| GroupOwnership {
        volume: "data".to_owned(),
        directory: claim.clone(),
        group: 4242,
        only_if_root_differs,
    };
    let mut files = PodFiles { groups: vec![ownership(false)], ..projected(&[("s/key", "x", 0o400)], Some(4242)) };
    files.directories.insert("tmp".to_owned(), 0o777);
    files.groups.push(GroupOwnership { volume: "tmp".to_owned(), directory: home.volume("tmp"), ..ownership(false) });
    home.write(&files).unwrap();
    let owned = |path: &Path, expected: u32| {
        let found = fs::symlink_metadata(path).unwrap();
        assert_eq!(found.mode() & 0o7770, expected & 0o7770, "{path:?} {:o}", found.mode());
        assert!(!is_root() || found.gid() == 4242, "{path:?} {}", found.gid());
    };
    owned(&claim, 0o2775);
    owned(&claim.join("a"), 0o2775);
    owned(&claim.join("a/b"), 0o2770);
    owned(&claim.join("a/file"), 0o660);
    owned(&home.volume("tmp"), 0o2777);
    owned(&fs::canonicalize(home.volume("v/s/key")).unwrap(), 0o440);
    owned(&fs::canonicalize(home.volume("v/s")).unwrap(), 0o2755);
    assert!(!is_root() || fs::symlink_metadata(claim.join("link")).unwrap().gid() == 4242);
    assert_eq!((mode(&home.outside()), fs::metadata(home.outside()).unwrap().gid()), outside);
    // Once in the life of a pod.
    fs::set_permissions(claim.join("a/file"), fs::Permissions::from_mode(0o600)).unwrap();
    home.write(&files).unwrap();
    assert_eq!(mode(&claim.join("a/file")), 0o600);
    // Another pod: not where the directory itself is right.
    if is_root() {
        home.pods.write("other", &PodFiles { groups: vec![ownership(true)], ..PodFiles::default() }).unwrap();
        assert_eq!(mode(&claim.join("a/file")), 0o600);
        fs::set_permissions(&claim, fs::Permissions::from_mode(0o755)).unwrap();
        home.pods.write("third", &PodFiles { groups: vec![ownership(true)], ..PodFiles::default() }).unwrap();
        assert_eq!(mode(&claim.join("a/file")), 0o660);
    }
    // What is right already is compared with rights and group.
    let data = fs::read_link(home.volume("v/..data")).unwrap();
    home.write(&files).unwrap();
    assert_eq!(fs::read_link(home.volume("v/..data")).unwrap(), data);
    assert!(group::give(&claim.join("none"), 1, false).is_err());
}

#[test]
fn host_paths_are_what_their_type_says() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    fs::create_dir(path("directory")).unwrap();
    fs::write(path("file"), "").unwrap();
    let _socket = UnixListener::bind(path("socket")).unwrap();
    symlink("directory", path("link")).unwrap();
    let rows = [
        ("directory", "", None),
        ("file", "", None),
        ("directory", "Directory", None),
        ("link", "Directory", None),
        ("directory", "DirectoryOrCreate", None),
        ("file", "Directory", Some("directory")),
        ("file", "DirectoryOrCreate", Some("directory")),
        ("none", "Directory", Some("directory")),
        ("file", "File", None),
        ("file", "FileOrCreate", None),
        ("directory", "File", Some("file")),
        ("directory", "FileOrCreate", Some("file")),
        ("none", "File", Some("file")),
        ("socket", "Socket", None),
        ("file", "Socket", Some("socket file")),
        ("none", "Socket", Some("socket file")),
        ("file", "CharDevice", Some("character device")),
        ("file", "BlockDevice", Some("block device")),
        ("/dev/null", "CharDevice", None),
        ("/dev/null", "BlockDevice", Some("block device")),
    ];
    for (name, kind, expected) in rows {
        let path = path(name);
        let found = host_path::prepare(&path, kind).err().map(|error| error.to_string());
        let expected = expected.map(|what| format!("hostPath type check failed: {} is not a {what}", path.display()));
        assert_eq!(found, expected, "{name} {kind}");
    }
    assert!(!path("none").exists());
    for (name, kind, is_directory) in
        [("a/b", "", true), ("c/d", "DirectoryOrCreate", true), ("c/e", "FileOrCreate", false)]
    {
        host_path::prepare(&path(name), kind).unwrap();
        assert_eq!((path(name).is_dir(), path(name).is_file()), (is_directory, !is_directory), "{name}");
        assert_eq!(mode(&path(name)), if is_directory { 0o755 } else { 0o644 });
    }
    assert!(host_path::prepare(&path("none/file"), "FileOrCreate").is_err(), "the directory above is not made");
    assert_eq!(host_path::prepare(&path("file"), "Pipe").unwrap_err().to_string(), "Pipe is an invalid volume type");
    let home = Home::new();
    let host_paths = vec![HostPath { volume: "h".to_owned(), path: path("file"), kind: "Directory".to_owned() }];
    let error = home.write(&PodFiles { host_paths, ..PodFiles::default() }).unwrap_err();
    assert!(error.starts_with("MountVolume.SetUp failed for volume \"h\" : hostPath type check failed: "), "{error}");
}

/// A container with these sources of mounts.
fn container(attempt: u32, sources: &[PathBuf]) -> ContainerSpec {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let attempt = attempt.to_string();
    let mount = |source: &PathBuf| Mount::Bind {
        source: source.clone(),
        target: "/x".to_owned(),
        read_only: false,
        propagation: "private",
    };
    ContainerSpec {
        labels: [label(POD_UID_LABEL, UID), label(CONTAINER_NAME_LABEL, "app"), label(ATTEMPT_LABEL, &attempt)].into(),
        mounts: sources.iter().map(mount).collect(),
        ..ContainerSpec::default()
    }
}

#[test]
fn places_are_made_when_the_container_starts() {
    let home = Home::new();
    let claim = home.directory.path().join("claim");
    fs::create_dir(&claim).unwrap();
    let place = |container: &str, path: &str| SubPath {
        container: container.to_owned(),
        volume: "data".to_owned(),
        directory: claim.clone(),
        path: path.to_owned(),
    };
    let spec = container(0, &[claim.join("conf/app.yaml"), home.pod("containers/app/0")]);
    assert_eq!(home.pods.before_start(&spec), Err("the pod's files are not written yet".to_owned()));
    let sub_paths = vec![place("app", "conf/app.yaml"), place("app", "not/mounted"), place("other", "of/another")];
    home.write(&PodFiles { sub_paths, ..PodFiles::default() }).unwrap();
    assert_eq!(fs::read_dir(&claim).unwrap().count(), 0, "a container before it may make it");
    fs::create_dir(claim.join("conf")).unwrap();
    fs::write(claim.join("conf/app.yaml"), "x").unwrap();
    home.pods.before_start(&spec).unwrap();
    assert!(claim.join("conf/app.yaml").is_file());
    assert_eq!(fs::read_dir(&claim).unwrap().count(), 1);
    assert_eq!(mode(&home.pod("containers/app/0")), 0o666);
    fs::remove_dir_all(claim.join("conf")).unwrap();
    symlink(home.outside(), claim.join("conf")).unwrap();
    let expected = "failed to prepare subPath for volumeMount \"data\" of container \"app\": the path leads out of the volume, or \
                    to nothing";
    assert_eq!(home.pods.before_start(&spec), Err(expected.to_owned()));
    home.outside_is_untouched();
}

#[test]
fn sub_paths_stay_in_their_volume() {
    type Trick = fn(volume: &Path, outside: &Path);
    let leads_out = Some("the path leads out of the volume, or to nothing");
    let rows: [(&str, &str, Trick, Option<&str>); 13] = [
        ("nothing is there", "a/b/c", |_, _| {}, None),
        ("it is there", "a", |volume, _| fs::create_dir(volume.join("a")).unwrap(), None),
        ("a file", "a", |volume, _| fs::write(volume.join("a"), "").unwrap(), None),
        (
            "below a file",
            "a/b",
            |volume, _| fs::write(volume.join("a"), "").unwrap(),
            Some("a part of the path is no directory"),
        ),
        (
            "a link inside",
            "a/b/c",
            |volume, _| {
                fs::create_dir_all(volume.join("x/y")).unwrap();
                fs::create_dir(volume.join("a")).unwrap();
                symlink("../x/y", volume.join("a/b")).unwrap();
            },
            None,
        ),
        ("a link out", "a", |volume, outside| symlink(outside, volume.join("a")).unwrap(), leads_out),
        ("through a link out", "a/b", |volume, outside| symlink(outside, volume.join("a")).unwrap(), leads_out),
        ("a relative link out", "a/b", |volume, _| symlink("../outside", volume.join("a")).unwrap(), leads_out),
        ("a link to the top", "a", |volume, _| symlink("/", volume.join("a")).unwrap(), leads_out),
        (
            "a link to nothing",
            "a/b",
            |volume, outside| symlink(outside.join("new"), volume.join("a")).unwrap(),
            leads_out,
        ),
        ("a link to nothing inside", "a", |volume, _| symlink("new", volume.join("a")).unwrap(), leads_out),
        ("a link to itself", "a", |volume, _| symlink("a", volume.join("a")).unwrap(), leads_out),
        ("written upwards", "a/../../outside/new", |_, _| {}, leads_out),
    ];
    for (what, path, trick, expected) in rows {
        let home = Home::new();
        let volume = home.directory.path().join("volume");
        fs::create_dir(&volume).unwrap();
        fs::set_permissions(&volume, fs::Permissions::from_mode(0o2770)).unwrap();
        trick(&volume, &home.outside());
        let there_before = volume.join(path).exists();
        let found = sub_path::make(&volume, path).err().map(|error| error.to_string());
        assert_eq!(found.as_deref(), expected, "{what}");
        home.outside_is_untouched();
        if expected.is_none() && !there_before {
            assert_eq!(mode(&volume.join(path)), 0o2770, "{what}");
        }
    }
}

/// A container exchanges a directory for a link, again and again, while places below it are made.
#[test]
fn no_race_leads_out() {
    let home = Home::new();
    let volume = home.directory.path().join("volume");
    fs::create_dir_all(volume.join("real/a")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = fs::rename(volume.join("real/a"), volume.join("a"));
                let _ = fs::remove_dir_all(volume.join("a/b"));
                let _ = fs::rename(volume.join("a"), volume.join("real/a"));
                let _ = symlink(home.outside(), volume.join("a"));
                let _ = fs::remove_file(volume.join("a"));
            }
        });
        let until = Instant::now() + Duration::from_millis(400);
        let (mut made, mut refused) = (0, 0);
        while Instant::now() < until {
            match sub_path::make(&volume, "a/b/c") {
                Ok(()) => made += 1,
                Err(_) => refused += 1,
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(made + refused > 0);
    });
    home.outside_is_untouched();
}

#[test]
fn a_pod_goes_with_everything_and_nothing_else() {
    let home = Home::new();
    assert_eq!(home.pods.remove(UID), Ok(()), "it was never there");
    let mut files = projected(&[("a", "1", 0o644)], None);
    files.directories.insert("tmp".to_owned(), 0o777);
    home.write(&files).unwrap();
    symlink(home.outside(), home.volume("tmp/link")).unwrap();
    fs::create_dir_all(home.volume("tmp/deep").join("d/".repeat(600))).unwrap();
    fs::hard_link(home.outside().join("data"), home.volume("tmp/hard")).unwrap();
    assert!(Command::new("mkfifo").arg(home.volume("tmp/pipe")).status().unwrap().success());
    home.pods.write("other", &files).unwrap();
    home.pods.remove(UID).unwrap();
    assert!(!home.pod("").exists());
    let left = fs::read_dir(home.directory.path().join("state/pods")).unwrap();
    assert_eq!(left.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(), ["other"]);
    home.outside_is_untouched();
    assert_eq!(home.pods.remove(UID), Ok(()), "twice is once");
    // The directory of a pod is a link.
    symlink(home.outside(), home.pod("")).unwrap_or_else(|_| {
        symlink(home.outside(), home.directory.path().join("state/pods").join(UID)).unwrap();
    });
    home.pods.remove(UID).unwrap();
    home.outside_is_untouched();
    // It comes back under the same uid.
    home.write(&files).unwrap();
    assert_eq!(seen(&home.volume("v")), ["a 644 1"]);
}

/// A directory of somebody else is mounted in a volume (`mountPropagation: Bidirectional`, or by hand). This test runs once
/// more in a mount namespace of its own, where it may mount.
#[test]
fn what_is_mounted_in_a_volume_is_not_emptied() {
    const AGAIN: &str = "POD_DIRECTORY_TEST_MOUNTS";
    const NAME: &str = "control::state::pods::tests::what_is_mounted_in_a_volume_is_not_emptied";
    if std::env::var_os(AGAIN).is_none() {
        let mut unshared = Command::new("unshare");
        unshared
            .arg("--mount")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(AGAIN, "1");
        let may_mount = Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
        match may_mount {
            true => assert!(unshared.status().unwrap().success()),
            false => println!("skipped: nothing may be mounted here"),
        }
        return;
    }
    let home = Home::new();
    let files = PodFiles { directories: BTreeMap::from([("tmp".to_owned(), 0o777)]), ..PodFiles::default() };
    home.write(&files).unwrap();
    let place = home.volume("tmp/a/b");
    fs::create_dir_all(&place).unwrap();
    let mount = |arguments: &[&Path]| Command::new("mount").arg("--bind").args(arguments).status().unwrap().success();
    assert!(mount(&[&home.outside(), &place]));
    let error = home.pods.remove(UID).unwrap_err();
    assert!(error.contains("something is mounted at b; unmount it"), "{error}");
    home.outside_is_untouched();
    let moved = home.directory.path().join("state/pods").join(format!(".gone-{UID}/volumes/tmp/a/b"));
    assert!(group::give(&moved.join("../.."), 4242, false).is_ok());
    assert_ne!(fs::metadata(home.outside().join("data")).unwrap().gid(), 4242, "nor given away");
    assert!(Command::new("umount").arg(&moved).status().unwrap().success());
    assert_eq!(home.pods.remove(UID), Ok(()));
    home.outside_is_untouched();
}

#[test]
fn messages_are_short_and_never_waited_for() {
    let home = Home::new();
    home.write(&PodFiles::default()).unwrap();
    let file = |attempt: u32| home.pod("containers/app").join(attempt.to_string());
    let start = |attempt| home.pods.before_start(&container(attempt, &[file(attempt)])).unwrap();
    start(0);
    assert_eq!(home.pods.message(&file(0)).as_deref(), Some(""));
    fs::write(file(0), "out of luck").unwrap();
    start(0);
    assert_eq!(home.pods.message(&file(0)).as_deref(), Some("out of luck"), "it may run already");
    fs::OpenOptions::new().append(true).open(file(0)).unwrap().write_all(&[b'x'; 5000]).unwrap();
    assert_eq!(home.pods.message(&file(0)).unwrap(), "x".repeat(4096), "the end of it");
    fs::write(file(0), [0xff, b'a']).unwrap();
    assert_eq!(home.pods.message(&file(0)).as_deref(), Some("\u{fffd}a"));
    start(1);
    start(2);
    assert_eq!((file(0).exists(), file(1).exists(), file(2).exists()), (false, true, true), "those that are asked for");
    fs::remove_file(file(2)).unwrap();
    assert!(Command::new("mkfifo").arg(file(2)).status().unwrap().success());
    assert_eq!(home.pods.message(&file(2)), None);
    fs::remove_file(file(2)).unwrap();
    symlink(home.outside().join("data"), file(2)).unwrap();
    assert_eq!(home.pods.message(&file(2)), None);
    let elsewhere =
        [home.outside().join("data"), home.pod("etc-hosts"), home.pod("containers/app/../../etc-hosts"), file(9)];
    for path in elsewhere {
        assert_eq!(home.pods.message(&path), None, "{path:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// Whatever came before, after a write there is what it says and nothing else.
    #[test]
    fn the_last_write_counts(
        versions in proptest::collection::vec(
            proptest::collection::btree_map("[ab](/[ab]){0,2}", ("[xy]{0,2}", prop_oneof![Just(0o644_u32), Just(0o400)]), 0..5), 1..4),
    ) {
        let home = Home::new();
        for version in versions {
            let files: Vec<(&str, &str, u32)> =
                version.iter().map(|(path, (text, mode))| (path.as_str(), text.as_str(), *mode)).collect();
            // A file among the directories of another one is refused, and changes nothing.
            let before = home.volume("v").exists().then(|| seen(&home.volume("v")));
            let clashes = version.keys().any(|path| version.keys().any(|other| other.starts_with(&format!("{path}/"))));
            let written = home.write(&projected(&files, None));
            prop_assert_eq!(written.is_err(), clashes);
            if clashes {
                prop_assert_eq!(seen(&home.volume("v")), before.unwrap_or_default());
            } else {
                let expected: Vec<String> = files.iter().map(|(path, text, mode)| format!("{path} {mode:o} {text}")).collect();
                let mut expected = expected;
                expected.sort();
                prop_assert_eq!(seen(&home.volume("v")), expected);
                prop_assert_eq!(hidden(&home.volume("v")).len(), 2);
            }
        }
    }
}
