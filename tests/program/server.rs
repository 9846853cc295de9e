//! The whole server in this process: what follows from files, from a restart and from its end.

use crate::support::{
    dns::{self, A, PTR, Tcp, Udp},
    eventually, web, write,
};
use headless_dns::{
    control::controller::{Cascade, Write},
    objects::object::{CustomKind, Kind, Object, ObjectKey, set_defaults},
    program::{
        app::{Server, StartError},
        settings::{Overrides, Settings},
    },
};
use hickory_proto::op::ResponseCode;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

const SERVICE: &str = "nginx.default.svc.cluster.local";

/// Settings with directories of their own, and pods that are ready after a moment.
struct Home {
    directory: TempDir,
    settings: Settings,
}

impl Home {
    fn new() -> Home {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("manifests")).unwrap();
        let mut settings = Settings::defaults();
        settings.listen = vec!["127.0.0.1:0".parse().unwrap()];
        settings.manifests = vec![directory.path().join("manifests")];
        settings.zones = directory.path().join("zones");
        settings.state_directory = None;
        settings.simulation.start_after = Duration::from_millis(5);
        settings.simulation.ready_after = Duration::from_millis(5);
        settings.simulation.stop_after = Duration::from_millis(5);
        settings.watch.settle = Duration::from_millis(10);
        Home { directory, settings }
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.directory.path().join("manifests").join(name)
    }

    fn start(&self) -> Server {
        Server::start(self.settings.clone()).unwrap()
    }
}

/// A hostPath volume of class `manual` with room for one claim.
fn host_path_volume(name: &str, policy: &str, path: &Path) -> String {
    format!(
        "apiVersion: v1
kind: PersistentVolume
metadata:
  name: {name}
spec:
  capacity:
    storage: 1Gi
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  persistentVolumeReclaimPolicy: {policy}
  hostPath:
    path: {}
",
        path.display()
    )
}

fn pod(ordinal: usize) -> String {
    format!("web-{ordinal}.{SERVICE}")
}

fn addresses(server: SocketAddr, name: &str) -> Result<BTreeSet<IpAddr>, ResponseCode> {
    let reply = Udp::new(server).ask(&[(name, A)]).remove(0);
    match dns::code(&reply) {
        ResponseCode::NoError => Ok(reply.answers.iter().filter_map(dns::address).collect()),
        code => Err(code),
    }
}

/// Waits until the service has so many addresses; returns those of its pods.
fn eventually_ready(server: SocketAddr, replicas: usize) -> Vec<IpAddr> {
    eventually(&format!("{replicas} pods"), || match addresses(server, SERVICE) {
        Ok(all) if all.len() == replicas => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let own = |ordinal| addresses(server, &pod(ordinal)).unwrap().into_iter().next().unwrap();
    (0..replicas).map(own).collect()
}

#[test]
fn files_become_answers_and_go() {
    let home = Home::new();
    write(&home.manifest("web.yaml"), &web(2, "", ""));
    let server = home.start();
    let address = server.addresses()[0];
    let pods = eventually_ready(address, 2);
    let reply = Tcp::new(address).ask(&[(&dns::reverse(pods[1]), PTR)]).remove(0);
    assert_eq!(reply.answers.iter().filter_map(dns::target).collect::<Vec<_>>(), [pod(1)]);

    write(&home.manifest("web.yaml"), &web(3, "", ""));
    assert_eq!(eventually_ready(address, 3)[..2], pods);
    // Moving an unchanged object to another file changes nothing.
    std::fs::rename(home.manifest("web.yaml"), home.manifest("other.yaml")).unwrap();
    server.control().rescan().unwrap();
    assert_eq!(eventually_ready(address, 3)[..2], pods);

    std::fs::remove_file(home.manifest("other.yaml")).unwrap();
    eventually("NXDOMAIN", || match addresses(address, &pod(0)) {
        Err(ResponseCode::NXDomain) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(!server.failed());
}

#[test]
fn what_the_controller_refuses_is_told_until_it_is_mended() {
    let home = Home::new();
    let file = home.manifest("web.yaml");
    write(&file, &web(1, "", ""));
    let server = home.start();
    let control = server.control();
    let pods = eventually_ready(server.addresses()[0], 1);
    assert_eq!(control.diagnostics(), []);

    // The policy of pod management cannot be changed.
    write(&file, &web(1, "", "  podManagementPolicy: Parallel\n"));
    control.rescan().unwrap();
    let diagnostics = control.diagnostics();
    assert!(diagnostics.iter().any(|one| one.file.ends_with("web.yaml")), "{diagnostics:?}");
    assert_eq!(eventually_ready(server.addresses()[0], 1), pods);

    write(&file, &web(1, "", ""));
    control.rescan().unwrap();
    assert_eq!(control.diagnostics(), []);
}

#[test]
fn a_restart_finds_the_pods_as_they_were() {
    let mut home = Home::new();
    home.settings.state_directory = Some(home.directory.path().join("state"));
    write(&home.manifest("web.yaml"), &web(3, "", ""));
    let first = home.start();
    let before = eventually_ready(first.addresses()[0], 3);
    let serials = first.reader().load().serials();
    first.stop();

    let second = home.start();
    assert_eq!(eventually_ready(second.addresses()[0], 3), before);
    for (origin, serial) in second.reader().load().serials() {
        let earlier = serials.iter().find(|(name, _)| *name == origin).unwrap().1;
        assert!(serial.wrapping_sub(earlier) as i32 > 0, "{origin}: {earlier}, then {serial}");
    }
    second.stop();

    // What went while it was down is gone.
    std::fs::remove_file(home.manifest("web.yaml")).unwrap();
    let third = home.start();
    eventually("NXDOMAIN", || match addresses(third.addresses()[0], &pod(0)) {
        Err(ResponseCode::NXDomain) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn stop_frees_the_sockets() {
    let mut home = Home::new();
    let server = home.start();
    let address = server.addresses()[0];
    assert!(TcpStream::connect(address).is_ok());
    home.settings.listen = vec![address];
    let error = Server::start(home.settings.clone()).unwrap_err();
    assert!(matches!(error, StartError::Listen(_)) && !error.is_permission(), "{error}");
    let control = server.control();
    server.stop();
    // A process that another test starts has copies of all our sockets, from its fork until it runs its program.
    eventually("the sockets are free", || match TcpStream::connect(address) {
        Ok(_) => Err("a client is still accepted".to_owned()),
        Err(_) => UdpSocket::bind(address).map(drop).map_err(|error| error.to_string()),
    });
    assert!(control.rescan().is_err());
    let server =
        eventually("it starts again", || Server::start(home.settings.clone()).map_err(|error| error.to_string()));
    server.stop();
}

#[test]
fn custom_resources_survive_a_restart() {
    let mut home = Home::new();
    home.settings.state_directory = Some(home.directory.path().join("state"));
    let create = |server: &Server, kind: Kind, json: serde_json::Value| {
        let mut object = Object::from_json(kind, json).unwrap();
        set_defaults(&mut object);
        let write = Write::Create { object, with_namespace: false };
        server.control().write(write).unwrap().unwrap().object
    };
    let definition = json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Service"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]},
    });
    let server = home.start();
    create(&server, Kind::CustomResourceDefinition, definition);
    let kind = Kind::Custom(CustomKind::new("example.com", "widgets", "Service", true).unwrap());
    // Called as one of ours, so that only its group tells it apart.
    let resource = json!({"apiVersion": "example.com/v1", "metadata": {"name": "a", "namespace": "default"}, "spec": {"b": [null]}});
    let created = create(&server, kind, resource);
    server.stop();
    let server = home.start();
    let found = server.control().objects(kind).unwrap();
    assert_eq!(found, [created]);
    assert_eq!(found[0].to_json()["spec"], json!({"b": [null]}));
    let key = ObjectKey::new(Kind::CustomResourceDefinition, "", "widgets.example.com");
    server.control().write(Write::delete(key, None, Cascade::Background)).unwrap().unwrap();
    eventually("it is gone", || match server.control().objects(kind).unwrap() {
        gone if gone.is_empty() => Ok(()),
        there => Err(format!("{there:?}")),
    });
    server.stop();
}

/// A claim for each pod, of a class.
fn claims(class: &str) -> String {
    format!(
        "  volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: {class}
      resources:
        requests:
          storage: 1Gi
"
    )
}

/// The lines of each volume by the volume's name; none where nobody has written.
fn volumes(state: &Path) -> BTreeMap<String, Vec<String>> {
    let Ok(entries) = std::fs::read_dir(state.join("volumes")) else { return BTreeMap::new() };
    let volume = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path().join("starts")).unwrap_or_default();
        (entry.file_name().into_string().unwrap(), text.lines().map(str::to_owned).collect())
    };
    entries.map(|entry| volume(entry.unwrap())).collect()
}

fn delete(server: &Server, kind: Kind, name: &str) {
    let key = ObjectKey::new(kind, "default", name);
    server.control().write(Write::delete(key, None, Cascade::Background)).unwrap().unwrap();
}

fn eventually_gone(server: &Server, name: &str) {
    eventually(&format!("{name} is gone"), || match addresses(server.addresses()[0], name) {
        Err(ResponseCode::NXDomain) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn data_follows_the_claim_and_not_the_pod() {
    let mut home = Home::new();
    let state = home.directory.path().join("state");
    home.settings.state_directory = Some(state.clone());
    let (file, text) = (home.manifest("web.yaml"), web(2, "", &claims("fast")));
    let class =
        "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}, provisioner: example.test}\n";
    write(&home.manifest("class.yaml"), class);
    write(&file, &text);
    let server = home.start();
    let before = eventually_ready(server.addresses()[0], 2);
    let started = |lines: [usize; 2]| {
        // A server that has stopped has written everything.
        let mut all: Vec<_> = volumes(&state).into_iter().collect();
        all.sort_by(|a, b| a.1.cmp(&b.1));
        let (names, found): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        assert_eq!(found, [vec!["web-0"; lines[0]], vec!["web-1"; lines[1]]]);
        names
    };

    delete(&server, Kind::Pod, "web-0");
    eventually("a new address", || match addresses(server.addresses()[0], &pod(0)) {
        Ok(all) if all.len() == 1 && !all.contains(&before[0]) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    server.stop();
    let names = started([2, 1]);

    // Pods that go on over a restart have not started.
    let server = home.start();
    eventually_ready(server.addresses()[0], 2);
    server.stop();
    assert_eq!(started([2, 1]), names);

    // The set goes and comes again; its claims stay meanwhile, and the data with them.
    let server = home.start();
    std::fs::remove_file(&file).unwrap();
    eventually_gone(&server, &pod(0));
    write(&file, &text);
    eventually_ready(server.addresses()[0], 2);
    server.stop();
    assert_eq!(started([3, 2]), names);

    // A volume that was made for a claim goes with it.
    let server = home.start();
    std::fs::remove_file(&file).unwrap();
    eventually_gone(&server, &pod(0));
    delete(&server, Kind::PersistentVolumeClaim, "data-web-0");
    eventually("one volume", || match volumes(&state) {
        all if all.values().eq(&[vec!["web-1"; 2]]) => Ok(()),
        all => Err(format!("{all:?}")),
    });
    assert!(!server.control().is_degraded());
}

#[test]
fn volumes_are_reclaimed_by_their_policy() {
    // The policy, and what is left of the volume when its claim has gone.
    let rows = [("Retain", Some(vec!["web-0".to_owned()])), ("Recycle", Some(vec![])), ("Delete", None)];
    for (policy, expected) in rows {
        let mut home = Home::new();
        let (state, outside) = (home.directory.path().join("state"), home.directory.path().join("outside"));
        home.settings.state_directory = Some(state.clone());
        std::fs::create_dir(&outside).unwrap();
        write(&home.manifest("disk.yaml"), &host_path_volume("disk.one", policy, &outside));
        write(&home.manifest("web.yaml"), &web(1, "", &claims("manual")));
        let server = home.start();
        eventually_ready(server.addresses()[0], 1);
        eventually("a line", || match volumes(&state) {
            all if all.get("disk.one").is_some_and(|lines| lines == &["web-0"]) => Ok(()),
            all => Err(format!("{all:?}")),
        });
        std::fs::remove_file(home.manifest("web.yaml")).unwrap();
        eventually_gone(&server, &pod(0));
        delete(&server, Kind::PersistentVolumeClaim, "data-web-0");
        let phase = || server.control().object(&ObjectKey::new(Kind::PersistentVolume, "", "disk.one")).unwrap();
        eventually(policy, || match volumes(&state) {
            all if all.get("disk.one") == expected.as_ref() => Ok(()),
            all => Err(format!("{all:?}, {:?}", phase().map(|object| object.to_json()["status"].to_string()))),
        });
        server.stop();
        assert_eq!(volumes(&state).remove("disk.one"), expected, "{policy}");
        assert_eq!(std::fs::read_dir(outside).unwrap().count(), 0, "the path of the volume itself is not used");
    }
}

#[test]
fn volumes_are_where_they_are_declared_below_the_root() {
    // The policy, whether there is a state directory, whether the path is below the root, and the files that are left
    // when the claim has gone.
    let rows = [
        ("Retain", true, true, &["root/disk/data", "root/disk/starts"][..]),
        ("Delete", true, true, &["root/disk/data", "root/disk/starts"]),
        ("Recycle", true, true, &[]),
        ("Recycle", false, true, &[]),
        ("Delete", false, true, &["root/disk/data", "root/disk/starts"]),
        ("Retain", true, false, &["other/disk/data", "state/volumes/disk/starts"]),
    ];
    for (policy, has_state, is_below, expected) in rows {
        let mut home = Home::new();
        let path = |name: &str| home.directory.path().join(name);
        let directory = if is_below { path("root/disk") } else { path("other/disk") };
        let starts = if is_below { path("root/disk/starts") } else { path("state/volumes/disk/starts") };
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("data"), "").unwrap();
        write(&home.manifest("disk.yaml"), &host_path_volume("disk", policy, &directory));
        write(&home.manifest("web.yaml"), &web(1, "", &claims("manual")));
        let settings = Settings {
            state_directory: has_state.then(|| path("state")),
            host_path_root: Some(path("root")),
            ..home.settings.clone()
        };
        let left = || -> Vec<&str> {
            let all = ["other/disk/data", "other/disk/starts", "root/disk/data", "root/disk/starts"];
            all.into_iter().chain(["state/volumes/disk/starts"]).filter(|file| path(file).exists()).collect()
        };
        let is_there = directory.join("data");
        home.settings = settings;
        let server = home.start();
        eventually_ready(server.addresses()[0], 1);
        eventually("a line", || match std::fs::read_to_string(&starts) {
            Ok(text) if text == "web-0\n" => Ok(()),
            other => Err(format!("{other:?}")),
        });
        assert!(is_there.exists());
        std::fs::remove_file(home.manifest("web.yaml")).unwrap();
        eventually_gone(&server, &pod(0));
        delete(&server, Kind::PersistentVolumeClaim, "data-web-0");
        let key = ObjectKey::new(Kind::PersistentVolume, "", "disk");
        eventually(policy, || match server.control().object(&key).unwrap() {
            Some(volume) if volume.to_json()["status"]["phase"] == "Bound" => Err("bound".to_owned()),
            _ => Ok(()),
        });
        // A server that has stopped has done everything.
        server.stop();
        assert_eq!(left(), expected, "{policy}, state {has_state}, below {is_below}");
        assert!(directory.is_dir());
    }
}

#[test]
fn settings_are_read_again() {
    let home = Home::new();
    let path = |name: &str| home.directory.path().join(name);
    let settings = |text: &str| {
        let always = "listen: [\"127.0.0.1:0\"]\nstateDirectory: none\nwatch: {settle: 5ms}\n";
        write(&path("settings.yaml"), &format!("{always}{text}"));
    };
    for folder in ["one", "two"] {
        std::fs::create_dir(path(folder)).unwrap();
    }
    write(&path("one/web.yaml"), &web(1, "", ""));
    write(&path("two/db.yaml"), &web(1, "", "").replace("nginx", "db").replace("name: web", "name: sql"));
    settings("manifests: [one]\nsimulation: {startAfter: 0, readyAfter: 0}\n");
    let overrides = Overrides { config: Some(path("settings.yaml")), ..Overrides::default() };
    let started_with = Settings::load(&overrides).unwrap().0;
    let mut server = Server::start(started_with.clone()).unwrap().with_overrides(overrides);
    let address = server.addresses()[0];
    let pods = eventually_ready(address, 1);
    let other = "sql-0.db.default.svc.cluster.local";

    // Settings with an error change nothing.
    settings("manifests: [two]\nttl: soon\n");
    server.reload();
    assert_eq!(server.settings(), &started_with);
    assert_eq!(eventually_ready(address, 1), pods);

    // What cannot change now waits, and the rest does not wait for it.
    settings("manifests: [one, two]\nttl: 60\nsimulation: {startAfter: 0, readyAfter: 1h}\n");
    server.reload();
    assert_eq!((server.settings().ttl, server.settings().manifests.len()), (started_with.ttl, 2));
    let key = ObjectKey::new(Kind::Pod, "default", "sql-0");
    eventually("a pod that runs and is not ready", || {
        let json = server.control().object(&key).unwrap().map(|object| object.to_json().to_string());
        json.filter(|json| json.contains("\"Running\"")).ok_or("not yet")
    });
    assert_eq!(eventually_ready(address, 1), pods, "pods that run already are as they were");
    assert!(addresses(address, other).is_err());

    // The new directory is watched, and what only an old one declares is withdrawn.
    settings("manifests: [two]\nsimulation: {startAfter: 0, readyAfter: 0}\n");
    server.reload();
    eventually_gone(&server, &pod(0));
    write(&path("two/web.yaml"), &web(2, "", ""));
    eventually_ready(address, 2);
    assert!(!server.failed());
}
