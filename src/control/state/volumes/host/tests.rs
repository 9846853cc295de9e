//! Which declared paths are used, and what is never touched: by what is written, and by where links lead.

#![expect(clippy::unwrap_used)]
use super::*;
use crate::{
    control::{
        cluster::Change,
        state::volumes::{DirectoryPlan, STARTS, Tracker, VolumeWork, Volumes},
    },
    objects::object::{Kind, Object},
};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

/// A root with a state directory and a directory of somebody else beside it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        for directory in ["root/there", "outside", "state/volumes"] {
            fs::create_dir_all(home.path(directory)).unwrap();
        }
        for file in ["root/there/data", "outside/data", "state/cluster.redb"] {
            fs::write(home.path(file), "precious").unwrap();
        }
        home
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn root(&self, path: &str) -> HostRoot {
        HostRoot::new(&self.path(path)).unwrap()
    }

    /// A volume whose source may name the home as HOME.
    fn volume(&self, policy: &str, phase: &str, source: &str) -> Value {
        let mut source: Value = serde_json::from_str(&source.replace("HOME", self.0.path().to_str().unwrap())).unwrap();
        source["persistentVolumeReclaimPolicy"] = json!(policy);
        source["claimRef"] = json!({"namespace": "default", "name": "data", "uid": "u"});
        json!({"metadata": {"name": "pv-1"}, "spec": source, "status": {"phase": phase}})
    }

    /// Everything in it but what was there from the beginning: files with their text, directories that are empty.
    fn found(&self) -> Vec<String> {
        fn walk(directory: &Path, home: &Path, found: &mut Vec<String>) {
            let entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()).collect();
            let name = |path: &Path| path.strip_prefix(home).unwrap().display().to_string();
            if entries.is_empty() {
                found.push(format!("{}/", name(directory)));
            }
            for entry in entries {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    walk(&entry.path(), home, found);
                } else if kind.is_file() {
                    let text = fs::read_to_string(entry.path()).unwrap().replace('\n', " ");
                    found.push(format!("{}: {}", name(&entry.path()), text.trim_end()));
                }
            }
        }
        let mut found = Vec::new();
        walk(self.0.path(), self.0.path(), &mut found);
        let initial =
            ["root/there/data: precious", "outside/data: precious", "state/cluster.redb: precious", "state/volumes/"];
        for one in initial {
            match found.iter().position(|other| other == one) {
                Some(index) => drop(found.remove(index)),
                None if one == "state/volumes/" => {}
                None => found.push(format!("no {one}")),
            }
        }
        found.sort();
        found
    }
}

fn change(before: Option<&Value>, after: Option<&Value>) -> Change {
    let object = |json: &Value| Object::from_json(Kind::PersistentVolume, json.clone()).unwrap();
    let (before, after) = (before.map(object), after.map(object));
    let key = before.as_ref().or(after.as_ref()).unwrap().key();
    Change { key, before, after, resource_version: 1 }
}

/// What a volume's life leaves behind.
#[derive(Debug)]
struct Life {
    /// On the disk after a pod has started.
    used: Vec<String>,
    /// On the disk after the volume was reclaimed.
    reclaimed: Vec<String>,
    /// Warnings and errors.
    said: Vec<String>,
}

/// The volume appears, a pod starts on it twice, it is reclaimed by its policy. Plans go over the disk as JSON.
fn live(home: &Home, root: &str, has_state: bool, policy: &str, source: &str) -> Life {
    let (root, state) = (home.root(root), home.path("state"));
    let mut tracker = Tracker::new(&[], Some(root.clone())).0;
    let mut volumes = Volumes::new(has_state.then_some(&*state), Some(root));
    let mut said = Vec::new();
    let mut carry_out = |tracker: &mut Tracker, plan: DirectoryPlan| {
        let plan: DirectoryPlan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        let errors = volumes.carry_out(plan);
        let fallbacks = tracker.take_fallbacks().into_iter().chain(volumes.take_fallbacks());
        said.extend(fallbacks.map(|one| one.to_string()).chain(errors.iter().map(ToString::to_string)));
    };
    let (bound, mut plan) = (home.volume(policy, "Bound", source), DirectoryPlan::default());
    tracker.observe(&change(None, Some(&bound)), &mut plan);
    let place = plan.0.keys().next().unwrap().clone();
    carry_out(&mut tracker, plan);
    for _ in 0..2 {
        let mut plan = DirectoryPlan::default();
        plan.add(&place, VolumeWork::Append { line: "web-0".to_owned(), times: 1 });
        carry_out(&mut tracker, plan);
    }
    let used = home.found();
    let (released, free) = (home.volume(policy, "Released", source), home.volume(policy, "Available", source));
    let mut plan = DirectoryPlan::default();
    tracker.observe(&change(Some(&released), (policy == "Recycle").then_some(&free)), &mut plan);
    carry_out(&mut tracker, plan);
    Life { used, reclaimed: home.found(), said }
}

fn host_path(path: &str, kind: &str) -> String {
    json!({"hostPath": {"path": path, "type": kind}}).to_string()
}

const OWN: &str = "state/volumes/pv-1/starts: web-0 web-0";
const OWN_EMPTY: &str = "state/volumes/pv-1/";

#[test]
fn declared_paths_below_the_root_are_used_and_never_removed() {
    let local = json!({"local": {"path": "HOME/root/there"}}).to_string();
    let own = json!({"nfs": {"path": "/root", "server": "s"}}).to_string();
    // The source, where the lines are, and what is left when it was recycled.
    let rows = [
        (host_path("HOME/root/new/er", ""), "root/new/er/starts", vec!["root/new/er/"]),
        (host_path("HOME/root/new", "DirectoryOrCreate"), "root/new/starts", vec!["root/new/"]),
        (host_path("HOME/root/./x/../new", ""), "root/new/starts", vec!["root/new/"]),
        (
            host_path("HOME/root/there", "Directory"),
            "root/there/starts",
            vec!["no root/there/data: precious", "root/there/"],
        ),
        (local, "root/there/starts", vec!["no root/there/data: precious", "root/there/"]),
        (host_path("HOME/root/", ""), "root/starts", vec!["no root/there/data: precious", "root/"]),
        (own, "state/volumes/pv-1/starts", vec![OWN_EMPTY]),
    ];
    for (source, file, recycled) in rows {
        for has_state in [true, false] {
            let declared = !file.starts_with("state/");
            let used = if has_state || declared { vec![format!("{file}: web-0 web-0")] } else { vec![] };
            for policy in ["Retain", "Delete", "Recycle"] {
                let home = Home::new();
                let life = live(&home, "root", has_state, policy, &source);
                assert_eq!(life.said, [""; 0], "{source}");
                assert_eq!(life.used, used, "{source}");
                match policy {
                    "Recycle" if !used.is_empty() => assert_eq!(life.reclaimed, recycled, "{source}"),
                    "Delete" if !declared => assert_eq!(life.reclaimed, [""; 0], "{source}"),
                    _ => assert_eq!(life.reclaimed, used, "{source} {policy}"),
                }
            }
        }
    }
}

#[test]
fn other_paths_are_left_alone_with_one_warning() {
    type Trick = fn(&Home);
    let nothing: Trick = |_| {};
    let rows: [(&str, &str, &str, Trick, &str); 14] = [
        ("root", "HOME/outside", "", nothing, "is outside of hostPathRoot"),
        ("root", "HOME/rooted", "", nothing, "is outside of hostPathRoot"),
        ("root", "HOME", "", nothing, "is outside of hostPathRoot"),
        ("root", "root/there", "", nothing, "is outside of hostPathRoot"),
        ("root", "HOME/root/../outside", "Directory", nothing, "is outside of hostPathRoot"),
        ("root", "/../../etc", "", nothing, "is outside of hostPathRoot"),
        ("root", "HOME/root/there", "File", nothing, "is declared as File"),
        ("root", "HOME/root/l", "", |home| symlink("../outside", home.path("root/l")).unwrap(), "by the link"),
        (
            "root",
            "HOME/root/l/sub/new",
            "",
            |home| symlink(home.path("outside"), home.path("root/l")).unwrap(),
            "by the link",
        ),
        ("root", "HOME/root/l", "", |home| symlink("nowhere", home.path("root/l")).unwrap(), "by the link"),
        (
            "root",
            "HOME/root/a",
            "Directory",
            |home| {
                symlink("b", home.path("root/a")).unwrap();
                symlink("../outside", home.path("root/b")).unwrap();
            },
            "by the link",
        ),
        (".", "HOME/state", "", nothing, "the state directory"),
        (".", "HOME/state/volumes/pv-2/new", "", nothing, "the state directory"),
        (".", "HOME", "", nothing, "the state directory"),
    ];
    for (root, path, kind, trick, reason) in rows {
        for policy in ["Retain", "Recycle", "Delete"] {
            let home = Home::new();
            trick(&home);
            let life = live(&home, root, true, policy, &host_path(path, kind));
            let [said] = &life.said[..] else { panic!("{path}: {:?}", life.said) };
            let path = path.replace("HOME", home.0.path().to_str().unwrap());
            for part in [&format!("volume pv-1: path {path} "), reason, "hostPathRoot", "volumes/pv-1 "] {
                assert!(said.contains(part), "{said}: {part}");
            }
            assert_eq!(life.used, [OWN], "{path}");
            let left = match policy {
                "Retain" => &[OWN][..],
                "Recycle" => &[OWN_EMPTY],
                _ => &[],
            };
            assert_eq!(life.reclaimed, left, "{path} {policy}");
        }
        // Without a state directory there is nothing to fall back to.
        if root == "root" {
            let home = Home::new();
            trick(&home);
            let life = live(&home, root, false, "Recycle", &host_path(path, kind));
            assert_eq!((life.said.len(), life.used.len(), life.reclaimed.len()), (1, 0, 0), "{path}: {life:?}");
        }
    }
}

#[test]
fn links_within_the_root_are_followed() {
    for target in ["there", "HOME/root/there", "../root/there"] {
        let home = Home::new();
        symlink(target.replace("HOME", home.0.path().to_str().unwrap()), home.path("root/l")).unwrap();
        // The root itself may be a link: who writes the settings is trusted.
        symlink("root", home.path("door")).unwrap();
        let life = live(&home, "door", true, "Delete", &host_path("HOME/door/l/sub", ""));
        assert_eq!((life.said, life.used), (vec![], vec!["root/there/sub/starts: web-0 web-0".to_owned()]), "{target}");
    }
}

#[test]
fn a_directory_that_must_exist_is_waited_for() {
    let home = Home::new();
    let place = VolumeDirectory::from("pv-1").at(home.path("root/late").to_str().unwrap(), false);
    let mut volumes = Volumes::new(None, Some(home.root("root")));
    let mut plan = DirectoryPlan::default();
    plan.add(&place, VolumeWork::Make);
    assert!(volumes.carry_out(plan.clone()).is_empty(), "nobody needs it yet");
    plan.add(&place, VolumeWork::Append { line: "web-0".to_owned(), times: 1 });
    let errors = volumes.carry_out(plan);
    assert!(
        errors.len() == 1 && errors[0].to_string().contains("root/late: this directory is not there"),
        "{errors:?}"
    );
    assert_eq!((volumes.retry().len(), home.found()), (1, vec![]));
    fs::create_dir(home.path("root/late")).unwrap();
    assert!(volumes.retry().is_empty() && volumes.stuck().is_empty());
    assert_eq!(home.found(), ["root/late/starts: web-0"]);
}

#[test]
fn tricks_in_a_declared_directory_lead_nowhere() {
    let home = Home::new();
    fs::create_dir(home.path("root/new")).unwrap();
    symlink(home.path("outside/data"), home.path("root/new").join(STARTS)).unwrap();
    symlink(home.path("outside"), home.path("root/new/way-out")).unwrap();
    let life = live(&home, "root", true, "Recycle", &host_path("HOME/root/new", ""));
    assert_eq!(life.said.len(), 1, "{life:?}");
    assert_eq!((life.used, life.reclaimed), (vec![], vec![]), "the recycled directory waits behind the line");
    fs::remove_file(home.path("root/new").join(STARTS)).unwrap();
    let life = live(&home, "root", true, "Recycle", &host_path("HOME/root/new", ""));
    assert_eq!((life.said, life.reclaimed), (vec![], vec!["root/new/".to_owned()]));
}

#[test]
fn what_is_owed_is_not_done_where_it_is_not_allowed_any_more() {
    let home = Home::new();
    let state = home.path("state");
    let mut plan = DirectoryPlan::default();
    plan.add(VolumeDirectory::from("pv-1").at(home.path("root/there").to_str().unwrap(), true), VolumeWork::Empty);
    for root in [None, Some(home.root("outside"))] {
        let mut volumes = Volumes::new(Some(&state), root);
        assert!(volumes.carry_out(plan.clone()).is_empty());
        assert_eq!((home.found(), volumes.take_fallbacks().len()), (vec![OWN_EMPTY.to_owned()], 1));
    }
}

/// A directory on the way is exchanged for a link to somebody else's directory, and back, as fast as that goes, while
/// lines are written into it and it is emptied. `HEADLESS_DNS_WALL=1` plays it for 100,000 exchanges.
#[cfg(target_os = "linux")]
#[test]
fn no_exchange_leads_outside() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let exchanges = if std::env::var("HEADLESS_DNS_WALL").as_deref() == Ok("1") { 100_000 } else { 3000 };
    let home = Home::new();
    let (there, link) = (home.path("root/x"), home.path("root/link"));
    fs::create_dir_all(there.join("sub")).unwrap();
    fs::create_dir_all(home.path("outside/sub")).unwrap();
    fs::write(home.path("outside/sub/data"), "precious").unwrap();
    symlink(home.path("outside"), &link).unwrap();
    let exchanging = std::thread::spawn(move || {
        for _ in 0..exchanges {
            renameat_with(CWD, &there, CWD, &link, RenameFlags::EXCHANGE).unwrap();
        }
    });
    let place = VolumeDirectory::from("pv-1").at(home.path("root/x/sub").to_str().unwrap(), false);
    let deeper = VolumeDirectory::from("pv-1").at(home.path("root/x/sub/new").to_str().unwrap(), true);
    let mut volumes = Volumes::new(None, Some(home.root("root")));
    let (mut rounds, mut failed) = (0, 0);
    while !exchanging.is_finished() {
        let mut plan = DirectoryPlan::default();
        plan.add(&place, VolumeWork::Append { line: "web-0".to_owned(), times: 1 });
        plan.add(&deeper, VolumeWork::Append { line: "web-0".to_owned(), times: 1 });
        plan.add(&place, VolumeWork::Empty);
        failed += usize::from(!volumes.carry_out(plan).is_empty());
        volumes.retry();
        rounds += 1;
    }
    exchanging.join().unwrap();
    println!("{exchanges} exchanges, {rounds} rounds, {failed} met one");
    let mut outside: Vec<PathBuf> = Vec::new();
    let mut open = vec![home.path("outside")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            open.extend(path.is_dir().then(|| path.clone()));
            outside.push(path);
        }
    }
    outside.sort();
    assert_eq!(outside, ["outside/data", "outside/sub", "outside/sub/data"].map(|path| home.path(path)));
    assert_eq!(fs::read_to_string(home.path("outside/sub/data")).unwrap(), "precious");
}

#[test]
fn a_tower_of_directories_is_emptied() {
    for depth in [199, 200, 201, 202, 1000] {
        let home = Home::new();
        let tower = home.path("root/x").join("d/".repeat(depth));
        fs::create_dir_all(&tower).unwrap();
        let place = VolumeDirectory::from("pv-1").at(home.path("root/x").to_str().unwrap(), false);
        let mut plan = DirectoryPlan::default();
        plan.add(&place, VolumeWork::Empty);
        let troubles = Volumes::new(None, Some(home.root("root"))).carry_out(plan);
        assert!(troubles.is_empty(), "{depth}: {troubles:?}");
        assert_eq!(fs::read_dir(home.path("root/x")).unwrap().count(), 0, "{depth}");
    }
}
