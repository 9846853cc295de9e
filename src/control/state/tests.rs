//! Restarts, crashes at every write, full disks, damaged and foreign files.

use super::*;
use crate::objects::object::Kind;
use k8s_openapi::api::core::v1::{Pod, PodStatus, Service};
use redb::{
    BackendError, StorageBackend,
    backends::{FileBackend, InMemoryBackend},
};
use std::{
    ops::Bound,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

fn pod(name: &str, ip: &str) -> Object {
    let mut pod = Pod::default();
    pod.metadata.name = Some(name.to_owned());
    pod.metadata.namespace = Some("default".to_owned());
    pod.status = Some(PodStatus { pod_ip: Some(ip.to_owned()), ..PodStatus::default() });
    pod.into()
}

fn service(name: &str) -> Object {
    let mut service = Service::default();
    service.metadata.name = Some(name.to_owned());
    service.metadata.namespace = Some("default".to_owned());
    service.into()
}

fn stored(object: &Object) -> Change {
    Change { key: object.key(), before: None, after: Some(object.clone()), resource_version: 1 }
}

fn gone(object: &Object) -> Change {
    Change { key: object.key(), before: Some(object.clone()), after: None, resource_version: 1 }
}

fn apex() -> Name {
    Name::root()
}

#[test]
fn what_was_stored_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("made/on/the/way");
    let mut store = Store::open(&directory).unwrap();
    assert_eq!(store.load().unwrap(), LoadedState::default());
    let (a, b, c) = (pod("web-0", "10.0.0.2"), pod("web-1", "10.0.0.3"), service("nginx"));
    store.commit(&[stored(&b), stored(&a), stored(&c)], 3, &[(apex(), 7)]).unwrap();
    let a = pod("web-0", "10.0.0.9");
    store.commit(&[stored(&a), gone(&b)], 5, &[(apex(), 8)]).unwrap();
    store.commit(&[], 6, &[]).unwrap();
    let expected = LoadedState {
        objects: vec![c, a],
        resource_version: 6,
        serials: vec![(apex().to_string(), 8)],
        ..LoadedState::default()
    };
    assert_eq!(store.load().unwrap(), expected);
    drop(store);
    assert_eq!(Store::open(&directory).unwrap().load().unwrap(), expected);
}

#[test]
fn what_was_applied_is_kept_beside_the_objects() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(directory.path()).unwrap();
    let (a, b) = (service("a"), service("b"));
    // A store of version 0.1.0 has no such table.
    store.commit(&[stored(&a), stored(&b)], 2, &[]).unwrap();
    assert_eq!(store.load_last_applied().unwrap(), []);
    let text = |text: &str| Some(Arc::from(text));
    store.remember([(b.key(), text("{\"b\":1}")), (a.key(), text("{}"))]);
    assert_eq!(store.load_last_applied().unwrap(), [], "with the next commit");
    store.commit(&[], 3, &[]).unwrap();
    store.remember([(a.key(), text("{\"a\":\"ä\"}"))]);
    store.remember([(b.key(), None)]);
    store.commit(&[gone(&b)], 4, &[]).unwrap();
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.load().unwrap().last_applied, [(a.key(), Arc::from("{\"a\":\"ä\"}"))]);
    drop(store);

    // Lost or changed, it is damage like any other.
    for (damage, message) in [
        (None, "0 versions of manifests of 1 are there"),
        (Some(&b"nonsense"[..]), "what was applied of Service default/a: wrong checksum"),
    ] {
        let database = Database::create(directory.path().join(FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(APPLIED).unwrap();
            let place = ("Service", "default", "a");
            match damage {
                Some(value) => drop(table.insert(place, value).unwrap()),
                None => drop(table.remove(place).unwrap()),
            }
        }
        transaction.commit().unwrap();
        drop(database);
        let error = Store::open(directory.path()).unwrap().load_last_applied().unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

/// An object of each kind, in order of their keys.
fn one_of_each_kind() -> Vec<Object> {
    Kind::ALL
        .iter()
        .map(|kind| {
            let namespace = if kind.is_namespaced() { "default" } else { "" };
            let mut json = serde_json::json!({
                "apiVersion": kind.api_version(), "kind": kind.name(), "metadata": {"name": "x"},
                "addressType": "IPv4", "provisioner": "p", "revision": 1, "involvedObject": {},
            });
            if !namespace.is_empty() {
                json["metadata"]["namespace"] = namespace.into();
            }
            Object::from_json(*kind, json).unwrap()
        })
        .collect()
}

#[test]
fn every_kind_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(directory.path()).unwrap();
    let objects = one_of_each_kind();
    store.commit(&objects.iter().map(stored).collect::<Vec<_>>(), 1, &[]).unwrap();
    assert_eq!(store.load().unwrap().objects, objects);
}

/// Each kind is read in the part where it belongs and in no other: what is damaged there is refused there.
#[test]
fn what_names_are_made_of_is_read_first_and_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(directory.path()).unwrap();
    let objects = one_of_each_kind();
    store.commit(&objects.iter().map(stored).collect::<Vec<_>>(), 7, &[(apex(), 5)]).unwrap();
    let (mut named, rest): (Vec<Object>, Vec<Object>) =
        objects.into_iter().partition(|object| NAMED.contains(&object.kind()));
    named.sort_by_cached_key(Object::key);
    let loaded = store.load_named().unwrap();
    assert_eq!((&loaded.objects, loaded.resource_version, loaded.serials.len()), (&named, 7, 1));
    assert_eq!(store.load_rest(&loaded).unwrap(), rest);
    let put = |(kind, namespace, name): (&str, &str, &str), value: &[u8]| {
        let transaction = store.database.as_ref().unwrap().begin_write().unwrap();
        let before = {
            let mut table = transaction.open_table(OBJECTS).unwrap();
            match value {
                [] => table.remove((kind, namespace, name)).unwrap().map(|before| before.value().to_vec()),
                _ => table.insert((kind, namespace, name), value).unwrap().map(|before| before.value().to_vec()),
            }
        };
        transaction.commit().unwrap();
        before.unwrap_or_default()
    };
    let kinds = Kind::ALL.iter().map(|kind| (kind.name(), if kind.is_namespaced() { "default" } else { "" }, "x"));
    // One that comes after a kind of the first part, and is none.
    for key in kinds.chain([("ServiceAccount", "default", "x")]) {
        let before = put(key, b"damaged");
        let is_named = NAMED.iter().any(|kind| kind.name() == key.0);
        let error = match is_named {
            true => store.load_named().expect_err(key.0),
            false => store.load_rest(&store.load_named().unwrap()).expect_err(key.0),
        };
        let message = format!("is damaged ({} {}/{}: ", key.0, key.1, key.2);
        assert!(matches!(error, StateError::Damaged { .. }) && error.to_string().contains(&message), "{error}");
        assert_eq!(store.load().unwrap_err().to_string(), error.to_string());
        put(key, &before);
    }
    assert_eq!(store.load_rest(&loaded).unwrap(), rest);
    put(("Pod", "default", "x"), b"");
    let error = store.load_rest(&loaded).unwrap_err().to_string();
    let message = format!("{} objects of {} are there", Kind::ALL.len() - 1, Kind::ALL.len());
    assert!(error.contains(&message), "{error}");
}

#[test]
fn what_is_owed_stands_until_it_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(directory.path()).unwrap();
    let mut plan = DirectoryPlan::default();
    plan.add("pv-1", volumes::VolumeWork::Remove);
    plan.add("pv-1", volumes::VolumeWork::Append { line: "web-0".to_owned(), times: 2 });
    store.owe(plan.clone());
    assert_eq!(store.load().unwrap().owed, DirectoryPlan::default(), "not before the commit");
    for (version, owe) in [(1, None), (2, None), (3, Some(DirectoryPlan::default()))] {
        let expected = if owe.is_some() { DirectoryPlan::default() } else { plan.clone() };
        owe.into_iter().for_each(|plan| store.owe(plan));
        store.commit(&[], version, &[]).unwrap();
        drop(store);
        store = Store::open(directory.path()).unwrap();
        assert_eq!(store.load().unwrap().owed, expected, "{version}");
    }
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = Store::open(directory.path()).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StateError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("cluster.redb is in use by another process"), "{error}");
    drop(first);
    Store::open(directory.path()).unwrap();
}

#[test]
fn files_that_are_none_are_refused_and_left_alone() {
    let whole = {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        store.commit(&[stored(&service("nginx"))], 1, &[]).unwrap();
        let file = store.file().to_owned();
        drop(store);
        fs::read(file).unwrap()
    };
    let rows: &[(&str, Vec<u8>)] = &[
        ("text", b"metadata: {name: web}\n".repeat(300)),
        ("a short text", b"hello".to_vec()),
        ("half a file", whole[..whole.len() / 2].to_vec()),
        ("a header and no more", whole[..512].to_vec()),
        ("zeroes", vec![0; whole.len()]),
    ];
    for (what, contents) in rows {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        fs::write(&file, contents).unwrap();
        let error = Store::open(directory.path()).and_then(|store| store.load()).expect_err(what);
        assert!(matches!(error, StateError::Damaged { .. }), "{what}: {error}");
        assert!(error.to_string().contains("move it away"), "{what}: {error}");
        assert!(fs::read(&file).unwrap() == *contents, "{what}: nothing was changed");
    }
}

#[test]
fn an_empty_file_is_no_new_store() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    fs::write(&file, "").unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StateError::Empty { .. }), "{error}");
    for part in ["cluster.redb is empty", "--state-dir", "remove the file"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(fs::metadata(&file).unwrap().len(), 0);
    fs::remove_file(&file).unwrap();
    Store::open(directory.path()).unwrap();
}

/// Also one that was not closed, which the library repairs before it can be read.
#[test]
fn a_file_is_left_to_the_octet_until_something_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    let mut store = Store::open(directory.path()).unwrap();
    store.commit(&[stored(&service("nginx")), stored(&pod("web-0", "10.0.0.2"))], 1, &[]).unwrap();
    let open = fs::read(&file).unwrap();
    drop(store);
    let closed = fs::read(&file).unwrap();
    assert_ne!(open, closed);
    for before in [open, closed] {
        fs::write(&file, &before).unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        assert_eq!(store.load().unwrap().objects.len(), 2);
        drop(store);
        assert!(fs::read(&file).unwrap() == before);
        store = Store::open(directory.path()).unwrap();
        store.commit(&[stored(&service("other"))], 2, &[]).unwrap();
        drop(store);
        assert_eq!(Store::open(directory.path()).unwrap().load().unwrap().objects.len(), 3);
    }
}

#[test]
fn a_panic_of_the_library_is_an_error_of_ours() {
    let message = guarded(Path::new("cluster.redb"), || -> Result<(), StateError> {
        assert!(IS_QUIET.get());
        panic!("index out of bounds in a library")
    });
    assert!(message.unwrap_err().to_string().contains("its pages contradict each other"));
    assert!(!IS_QUIET.get());
}

#[test]
fn flipped_bytes_are_told_or_do_not_matter() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(directory.path()).unwrap();
    let objects: Vec<Object> = (0..50).map(|n| pod(&format!("web-{n}"), "10.0.0.2")).collect();
    store.remember(objects.iter().map(|object| (object.key(), Some(object.to_json().to_string().into()))));
    store.commit(&objects.iter().map(stored).collect::<Vec<_>>(), 50, &[(apex(), 7)]).unwrap();
    let expected = store.load().unwrap();
    let file = store.file().to_owned();
    drop(store);
    let whole = fs::read(&file).unwrap();
    // Most of the file is room for later.
    let used: Vec<usize> = (0..whole.len()).filter(|index| whole[*index] != 0).collect();
    let mut refused = 0;
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut contents = whole.clone();
        let start = used[random.usize(..used.len())];
        for octet in contents.iter_mut().skip(start).take(random.usize(1..64)) {
            *octet ^= random.u8(1..);
        }
        fs::write(&file, &contents).unwrap();
        match Store::open(directory.path()).and_then(|store| store.load()) {
            Ok(found) => assert_eq!(found, expected, "seed {seed}, octet {start}"),
            Err(_) => refused += 1,
        }
        assert!(fs::read(&file).unwrap() == contents, "seed {seed}: nothing was changed");
    }
    assert!(refused > 3, "{refused}");
}

#[test]
fn a_later_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.held.as_ref().unwrap().release().unwrap();
    let transaction = store.database.as_ref().unwrap().begin_write().unwrap();
    transaction.open_table(FORMAT_TABLE).unwrap().insert("version", FORMAT + 1).unwrap();
    transaction.commit().unwrap();
    drop(store);
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StateError::Newer { found: 2, .. }), "{error}");
}

#[test]
fn a_directory_that_cannot_be_made() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("state")).unwrap_err();
    assert!(matches!(error, StateError::Open { .. }), "{error}");
    assert!(error.to_string().contains("--state-dir"), "{error}");
}

/// What a disk was told, and whether it is full.
#[derive(Debug, Default)]
struct Disk {
    full: AtomicBool,
    writes: Mutex<Vec<Write>>,
}

#[derive(Debug, Clone)]
enum Write {
    Length(u64),
    At(u64, Vec<u8>),
}

#[derive(Debug)]
struct Watched {
    file: FileBackend,
    disk: Arc<Disk>,
}

impl Watched {
    fn note(&self, write: Write) -> io::Result<()> {
        if self.disk.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.writes.lock().unwrap().push(write);
        Ok(())
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.note(Write::Length(length))?;
        self.file.set_len(length)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(Write::At(offset, data.to_vec()))?;
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }
    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }
    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

fn watched(directory: &Path) -> (Store, Arc<Disk>) {
    let disk = Arc::new(Disk::default());
    let open = {
        let disk = Arc::clone(&disk);
        move |path: &Path| {
            let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path)?;
            let backend = Watched { file: FileBackend::new(file)?, disk: Arc::clone(&disk) };
            Database::builder().create_with_backend(backend)
        }
    };
    (Store::open_with(directory, Box::new(open)).unwrap(), disk)
}

#[test]
fn a_full_disk_costs_nothing_once_there_is_room_again() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, disk) = watched(directory.path());
    let (a, b, c) = (pod("web-0", "10.0.0.2"), pod("web-1", "10.0.0.3"), service("nginx"));
    store.commit(&[stored(&a)], 1, &[]).unwrap();
    disk.full.store(true, Ordering::Relaxed);
    for version in 2..4 {
        let error = store.commit(&[gone(&a), stored(&b)], version, &[(apex(), 9)]).unwrap_err();
        assert!(matches!(error, StateError::Write { objects: 2, .. }), "{error}");
        assert!(error.to_string().contains("serving goes on"), "{error}");
        assert!(store.has_pending());
    }
    assert!(store.load().is_err());
    disk.full.store(false, Ordering::Relaxed);
    store.commit(&[stored(&c)], 4, &[]).unwrap();
    assert!(!store.has_pending());
    let expected = LoadedState {
        objects: vec![c, b],
        resource_version: 4,
        serials: vec![(apex().to_string(), 9)],
        ..LoadedState::default()
    };
    assert_eq!(store.load().unwrap(), expected);
    drop(store);
    assert_eq!(Store::open(directory.path()).unwrap().load().unwrap(), expected);
}

#[test]
fn a_file_that_vanished_is_not_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, disk) = watched(directory.path());
    store.commit(&[stored(&service("nginx"))], 1, &[]).unwrap();
    disk.full.store(true, Ordering::Relaxed);
    store.commit(&[stored(&pod("web-0", "10.0.0.2"))], 2, &[]).unwrap_err();
    disk.full.store(false, Ordering::Relaxed);
    fs::rename(directory.path().join(FILE), directory.path().join("elsewhere")).unwrap();
    let error = store.flush().unwrap_err();
    assert!(error.to_string().contains("the file has gone"), "{error}");
    fs::rename(directory.path().join("elsewhere"), directory.path().join(FILE)).unwrap();
    store.flush().unwrap();
    assert_eq!(store.load().unwrap().objects.len(), 2);
}

/// The file as it is after each single write, as a killed process leaves it: always the state after one of the commits,
/// never less than the last one that was confirmed.
#[test]
fn killed_at_any_write() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, disk) = watched(directory.path());
    let mut states = vec![store.load().unwrap()];
    let mut confirmed = vec![disk.writes.lock().unwrap().len()];
    for round in 0..6u32 {
        let mut changes: Vec<Change> =
            (0..3).map(|n| stored(&pod(&format!("web-{n}"), &format!("10.0.{round}.{n}")))).collect();
        changes.push(gone(&pod("web-1", "")));
        store.commit(&changes, u64::from(round) + 1, &[(apex(), round)]).unwrap();
        states.push(store.load().unwrap());
        confirmed.push(disk.writes.lock().unwrap().len());
    }
    std::mem::forget(store);
    let writes = disk.writes.lock().unwrap().clone();
    assert!(confirmed.windows(2).all(|pair| pair[0] < pair[1]), "each commit writes: {confirmed:?}");
    for killed_after in confirmed[0]..=writes.len() {
        let open = {
            let writes = writes[..killed_after].to_vec();
            move |_: &Path| {
                let backend = InMemoryBackend::new();
                for write in &writes {
                    match write {
                        Write::Length(length) => backend.set_len(*length)?,
                        Write::At(offset, data) => backend.write(*offset, data)?,
                    }
                }
                Database::builder().create_with_backend(backend)
            }
        };
        let found = Store::open_with(directory.path(), Box::new(open)).unwrap().load().unwrap();
        let sure = confirmed.iter().rposition(|writes| *writes <= killed_after).unwrap();
        let possible = &states[sure..(sure + 2).min(states.len())];
        assert!(possible.contains(&found), "after write {killed_after} of {}: {found:?}", writes.len());
    }
}
