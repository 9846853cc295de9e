//! What survives a restart: the cluster's objects and the zones' serials, in an embedded transactional store.
//!
//! One file, `cluster.redb`, in the state directory; one process at a time. Each commit is one transaction on disk
//! before [`Store::commit`] returns, so a process that is killed at any instant leaves the cluster as it was after the
//! last commit.
//!
//! | table   | key                   | value                      |
//! |---------|-----------------------|----------------------------|
//! | format  | `version`             | the version of this layout |
//! | objects | kind, namespace, name | the object as JSON         |
//! | cluster | `resourceVersion`     | the last one given         |
//! |         | `objects`             | how many objects there are |
//! |         | `applied`             | how many rows of `applied` |
//! |         | `volumes`             | directories to be wiped    |
//! | serials | a zone's apex         | its last SOA serial        |
//! | applied | kind, namespace, name | what its manifest said     |
//!
//! The last table was not there in version 0.1.0, which reads a store with it as one without.
//!
//! All values but the format are text with a checksum of key and text before it: the store's library verifies its pages
//! only after a crash, and a cluster with a wrong address in it is worse than one that is refused.
//!
//! A file is left to the octet as it is until everything in it has been read ([`held_backend`]).
//!
//! What pods write lies beside the file, in directories ([`volumes`]).

mod held_backend;
mod objects;
pub mod pods;
pub mod volumes;

use crate::{
    control::cluster::Change,
    dns::name::Name,
    objects::object::{Kind, LastApplied, Object, ObjectKey},
    text::{fnv1a::Fnv1a, regular_file},
};
use held_backend::HeldBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError, TableDefinition,
    TableError, WriteTransaction, backends::FileBackend,
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt, fs,
    hash::Hasher as _,
    io,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    path::{Path, PathBuf},
    sync::{Arc, Once},
    thread,
};
use volumes::DirectoryPlan;

/// The file's name in the state directory.
pub const FILE: &str = "cluster.redb";

/// The file's name while it is being made.
const NEW_FILE: &str = "cluster.redb.new";

/// Octets of the file that the store's library keeps in memory. All is read once, at the start, and the objects stay here.
const CACHE_OCTETS: usize = 64 << 20;

/// The kinds that names are made of. They are read first, and answered while the others are read.
pub const NAMED: [Kind; 2] = [Kind::EndpointSlice, Kind::Service];

/// The version of the layout that this program writes.
pub const FORMAT: u64 = 1;

const FORMAT_TABLE: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
const OBJECTS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("objects");
const CLUSTER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("cluster");
/// The key of the table `cluster` with the work on volumes that is owed.
const VOLUMES: &str = "volumes";
/// What the manifest of each object said when it was applied last.
const APPLIED: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("applied");
const SERIALS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("serials");

/// Why the state could not be read or written. Nothing is ever deleted or overwritten because of an error.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory or the file cannot be opened or made.
    #[error(
        "{path}: {source}; make the state directory writable, name another with --state-dir, or \"none\" to keep \
         no state"
    )]
    Open {
        /// The directory or the file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has the file.
    #[error("{file} is in use by another process; stop that one, or name another directory with --state-dir")]
    Locked {
        /// The file.
        file: PathBuf,
    },
    /// The file is not what this program wrote.
    #[error(
        "{file} is damaged ({problem}) and was left as it is; move it away to start with an empty cluster \
         (pods get new addresses, claims new volumes), or put a copy from before in its place"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The file has no octet in it, which this program never leaves behind.
    #[error(
        "{file} is empty: a store was there, and what was in it is lost (the disk was full or failed, or somebody emptied \
         it); put a copy from before in its place, or, to start with an empty cluster (pods get new addresses, claims new \
         volumes), remove the file or name another directory with --state-dir"
    )]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// A later version of this program wrote the file.
    #[error(
        "{file} has format {found}, and this version knows formats up to {FORMAT}; use the version that wrote it, \
         or another --state-dir"
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u64,
    },
    /// A transaction was not carried out; it is kept in memory and is part of the next one.
    #[error(
        "{file}: changes are not on disk ({problem}); serving goes on and it is tried again every second, but a \
         restart before that forgets {objects} changed objects; make room or make the disk writable"
    )]
    Write {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        problem: String,
        /// How many objects wait to be written.
        objects: usize,
    },
}

/// What an earlier run left.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadedState {
    /// The objects, in order of their keys.
    pub objects: Vec<Object>,
    /// The last resource version given; 0 for an empty store.
    pub resource_version: u64,
    /// Each zone's apex in presentation form and its last serial.
    pub serials: Vec<(String, u32)>,
    /// What was to be done with volumes and may not have been.
    pub owed: DirectoryPlan,
    /// What the manifests of objects said when they were applied last.
    pub last_applied: Vec<(ObjectKey, Arc<str>)>,
}

/// How the file is opened; tests put a failing disk in its place.
type Open = Box<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send>;

/// The open store. It holds the file's lock until it is dropped.
pub struct Store {
    file: PathBuf,
    open: Open,
    /// `None` after an error of the disk: then it has to be opened anew.
    database: Option<Database>,
    /// The file, where it is left as it is until all of it was read.
    held: Option<HeldBackend>,
    pending: Pending,
}

/// What is not on disk yet.
#[derive(Debug, Default)]
struct Pending {
    /// JSON of each changed object; `None` for those that are gone.
    objects: BTreeMap<ObjectKey, Option<Vec<u8>>>,
    serials: BTreeMap<String, u32>,
    applied: BTreeMap<ObjectKey, Option<Arc<str>>>,
    /// All work on volumes that is owed; `None` where that has not changed.
    owed: Option<DirectoryPlan>,
    resource_version: Option<u64>,
}

impl StateError {
    /// Whether a missing permission is the reason (a read-only file system is one).
    pub fn is_permission(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self, StateError::Open { source, .. } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
    }
}

impl Store {
    /// Opens the store of a state directory; makes the directory and the file if they are not there.
    pub fn open(directory: &Path) -> Result<Store, StateError> {
        make_directory(directory)?;
        make_file(directory)?;
        let file = directory.join(FILE);
        regular_file::look(&file).map_err(|source| StateError::Open { path: file.clone(), source })?;
        if fs::metadata(&file).is_ok_and(|metadata| metadata.len() == 0) {
            return Err(StateError::Empty { file });
        }
        let held = hold(&file)?;
        let shared = held.clone();
        let database = guarded(&file, || {
            let opened = Database::builder().set_cache_size(CACHE_OCTETS).create_with_backend(shared);
            opened.map_err(|error| refused(&file, error))
        })?;
        let open: Open = Box::new(|file| Database::builder().set_cache_size(CACHE_OCTETS).create(file));
        Store::checked(Store { file, open, database: Some(database), held: Some(held), pending: Pending::default() })
    }

    /// With its format looked at.
    fn checked(store: Store) -> Result<Store, StateError> {
        if let Some(database) = &store.database {
            guarded(&store.file, || check_format(&store.file, database))?;
        }
        Ok(store)
    }

    #[cfg(test)]
    fn open_with(directory: &Path, open: Open) -> Result<Store, StateError> {
        make_directory(directory)?;
        let file = directory.join(FILE);
        let database = guarded(&file, || open(&file).map_err(|error| refused(&file, error)))?;
        Store::checked(Store { file, open, database: Some(database), held: None, pending: Pending::default() })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads everything.
    pub fn load(&self) -> Result<LoadedState, StateError> {
        let mut loaded = self.load_named()?;
        let rest = self.load_rest(&loaded)?;
        loaded.objects.extend(rest);
        loaded.objects.sort_by_cached_key(Object::key);
        loaded.last_applied = self.load_last_applied()?;
        Ok(loaded)
    }

    /// Reads what names are made of: of the objects only those of the kinds [`NAMED`], and everything that is no object.
    pub fn load_named(&self) -> Result<LoadedState, StateError> {
        self.read(read_named)
    }

    /// Reads the objects that [`Store::load_named`] left out, in order of their keys. The file stays as it is until the
    /// first [`Store::commit`] that follows.
    pub fn load_rest(&self, named: &LoadedState) -> Result<Vec<Object>, StateError> {
        self.read(|database| read_rest(database, named.objects.len()))
    }

    /// Reads what the manifests of objects said when they were applied last, in order of the objects' keys.
    pub fn load_last_applied(&self) -> Result<Vec<(ObjectKey, Arc<str>)>, StateError> {
        self.read(read_last_applied)
    }

    fn read<T>(&self, read: impl FnOnce(&Database) -> Result<T, Box<dyn std::error::Error>>) -> Result<T, StateError> {
        let Some(database) = &self.database else {
            return Err(self.unwritten("the file has to be opened anew first"));
        };
        guarded(&self.file, || read(database).map_err(|problem| damaged(&self.file, problem)))
    }

    /// Writes what changed, in one transaction that is on disk when this returns, together with whatever an earlier
    /// call could not write. After an error everything is kept for the next call, which opens the file anew.
    pub fn commit(
        &mut self,
        changes: &[Change],
        resource_version: u64,
        serials: &[(Name, u32)],
    ) -> Result<(), StateError> {
        for change in changes {
            let json = change.after.as_ref().map(|object| object.to_json().to_string().into_bytes());
            self.pending.objects.insert(change.key.clone(), json);
        }
        self.pending.serials.extend(serials.iter().map(|(name, serial)| (name.to_string(), *serial)));
        self.pending.resource_version = Some(resource_version);
        self.flush()
    }

    /// What has to be done with volumes once the next [`Store::commit`] is on disk. It is stored there until a later
    /// commit takes another plan in its place.
    pub fn owe(&mut self, plan: DirectoryPlan) {
        self.pending.owed = Some(plan);
    }

    /// What was applied of manifests; it is written with the next [`Store::commit`].
    pub fn remember(&mut self, applied: impl IntoIterator<Item = LastApplied>) {
        self.pending.applied.extend(applied);
    }

    /// Tries again to write what an earlier [`Store::commit`] could not; without that it does nothing.
    pub fn flush(&mut self) -> Result<(), StateError> {
        if !self.has_pending() {
            return Ok(());
        }
        if let Some(held) = self.held.take()
            && let Err(error) = held.release()
        {
            // It has to be opened anew, as after any other error of the disk.
            self.database.take().into_iter().for_each(close);
            return Err(self.unwritten(error));
        }
        let database = match self.database.take() {
            Some(database) => database,
            // What is not pending was only in that file; a new one would lack it.
            None if !self.file.exists() => return Err(self.unwritten("the file has gone")),
            None if fs::metadata(&self.file).is_ok_and(|metadata| metadata.len() == 0) => {
                return Err(self.unwritten("the file was emptied"));
            }
            // Between an error and this call another process may have taken it.
            None => (self.open)(&self.file).map_err(|error| match refused(&self.file, error) {
                StateError::Open { source, .. } => self.unwritten(source),
                StateError::Locked { .. } => self.unwritten("the file is in use by another process"),
                other => other,
            })?,
        };
        match quietly(|| write(&database, &self.pending)) {
            Ok(Ok(())) => {
                self.database = Some(database);
                self.pending = Pending::default();
                Ok(())
            }
            Ok(Err(problem)) => {
                close(database);
                Err(self.unwritten(problem))
            }
            Err(Panicked) => {
                close(database);
                Err(self.unwritten("its pages contradict each other"))
            }
        }
    }

    /// Whether something is not on disk because an earlier call failed.
    pub fn has_pending(&self) -> bool {
        self.pending.resource_version.is_some()
    }

    fn unwritten(&self, problem: impl fmt::Display) -> StateError {
        StateError::Write { file: self.file.clone(), problem: problem.to_string(), objects: self.pending.objects.len() }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.database.take().into_iter().for_each(close);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("file", &self.file)
            .field("pending", &self.pending.objects.len())
            .finish_non_exhaustive()
    }
}

fn make_directory(directory: &Path) -> Result<(), StateError> {
    fs::create_dir_all(directory).map_err(|source| StateError::Open { path: directory.to_owned(), source })
}

/// Makes an empty store where there is none. It gets its name only when it is complete: a first start that is killed or
/// finds the disk full must not leave a half that the next start would have to refuse as damaged.
fn make_file(directory: &Path) -> Result<(), StateError> {
    let file = directory.join(FILE);
    if fs::symlink_metadata(&file).is_ok() {
        return Ok(());
    }
    // Two first starts at once; where a directory cannot be locked they have to be kept apart by who starts them.
    let handle = fs::File::open(directory).map_err(|source| StateError::Open { path: directory.to_owned(), source })?;
    let _ = handle.lock();
    if fs::symlink_metadata(&file).is_ok() {
        return Ok(());
    }
    let new = directory.join(NEW_FILE);
    // Left by a first start that was killed.
    let _ = fs::remove_file(&new);
    let made = guarded(&file, || {
        let database = Database::create(&new).map_err(|error| refused(&file, error))?;
        let made = check_format(&file, &database);
        close(database);
        made
    });
    let named = made.and_then(|()| {
        let named = fs::rename(&new, &file).and_then(|()| handle.sync_all());
        named.map_err(|source| StateError::Open { path: file, source })
    });
    if named.is_err() {
        // It holds nothing.
        let _ = fs::remove_file(&new);
    }
    named
}

/// Reading a damaged file may make the store's library panic; that is an error like any other here.
fn guarded<T>(file: &Path, read: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError> {
    quietly(read).unwrap_or_else(|Panicked| Err(damaged(file, "its pages contradict each other")))
}

/// What was called panicked.
struct Panicked;

thread_local! {
    /// Whether a panic of this thread is an error that is reported in our own words.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Calls the store's library. What it says in a panic tells people nothing and looks like the end of this program, so
/// nobody sees it.
fn quietly<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    static HOOK: Once = Once::new();
    // A hook cannot be changed from a thread that panics.
    if !thread::panicking() {
        HOOK.call_once(|| {
            let others = take_hook();
            set_hook(Box::new(move |panic| {
                if !IS_QUIET.get() {
                    others(panic);
                }
            }));
        });
    }
    let before = IS_QUIET.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked);
    IS_QUIET.set(before);
    outcome
}

/// The file, which stays as it is until all of it was read.
fn hold(file: &Path) -> Result<HeldBackend, StateError> {
    let opened = |source| StateError::Open { path: file.to_owned(), source };
    let handle = fs::File::options().read(true).write(true).open(file).map_err(opened)?;
    let backend = FileBackend::new(handle).map_err(|error| refused(file, error))?;
    HeldBackend::new(backend).map_err(opened)
}

/// Closing writes, and so it may panic over a damaged file as well. Everything committed is on disk already.
fn close(database: Database) {
    let _ = quietly(|| drop(database));
}

fn damaged(file: &Path, problem: impl fmt::Display) -> StateError {
    StateError::Damaged { file: file.to_owned(), problem: problem.to_string() }
}

fn refused(file: &Path, error: DatabaseError) -> StateError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StateError::Locked { file: file.to_owned() },
        DatabaseError::Storage(StorageError::Io(error))
            if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            StateError::Open { path: file.to_owned(), source: error }
        }
        DatabaseError::Storage(StorageError::Io(_)) => damaged(file, "it is no state file, or only a part of one"),
        other => damaged(file, other),
    }
}

fn found_format(file: &Path, database: &impl ReadableDatabase) -> Result<Option<u64>, StateError> {
    (|| -> Result<Option<u64>, redb::Error> {
        match database.begin_read()?.open_table(FORMAT_TABLE) {
            Ok(table) => Ok(table.get("version")?.map(|version| version.value())),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })()
    .map_err(|error| damaged(file, error))
}

/// Refuses a file of a later format; writes the format into a new one.
fn check_format(file: &Path, database: &Database) -> Result<(), StateError> {
    match found_format(file, database)? {
        Some(version) if version > FORMAT => Err(StateError::Newer { file: file.to_owned(), found: version }),
        Some(FORMAT) => Ok(()),
        Some(version) => Err(damaged(file, format_args!("there never was a format {version}"))),
        None => make_tables(database)
            .map_err(|error| StateError::Open { path: file.to_owned(), source: io::Error::other(error) }),
    }
}

fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(FORMAT_TABLE)?.insert("version", FORMAT)?;
    transaction.open_table(OBJECTS)?;
    transaction.open_table(CLUSTER)?;
    transaction.open_table(SERIALS)?;
    transaction.commit()?;
    Ok(())
}

fn read_named(database: &Database) -> Result<LoadedState, Box<dyn std::error::Error>> {
    let transaction = database.begin_read()?;
    let mut loaded = LoadedState { objects: objects::named(&transaction)?, ..LoadedState::default() };
    for entry in transaction.open_table(SERIALS)?.iter()? {
        let (zone, serial) = entry?;
        let number = number(zone.value(), serial.value())?;
        loaded.serials.push((zone.value().to_owned(), u32::try_from(number)?));
    }
    let cluster = transaction.open_table(CLUSTER)?;
    loaded.resource_version = cluster_number(&cluster, "resourceVersion")?;
    if let Some(owed) = cluster.get(VOLUMES)? {
        let json = unseal(&[VOLUMES], owed.value()).ok_or("volumes: wrong checksum")?;
        loaded.owed = serde_json::from_slice(json).map_err(|error| format!("volumes: {error}"))?;
    }
    Ok(loaded)
}

/// What the manifest of each object said.
type Versions = Vec<(ObjectKey, Arc<str>)>;

fn read_last_applied(database: &Database) -> Result<Versions, Box<dyn std::error::Error>> {
    let transaction = database.begin_read()?;
    let mut found = Vec::new();
    let kinds = objects::KnownKinds::read(&transaction)?;
    let table = match transaction.open_table(APPLIED) {
        Err(TableError::TableDoesNotExist(_)) => None,
        table => Some(table?),
    };
    for entry in table.iter().map(ReadableTable::iter).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        let (key, value) = entry?;
        let (kind, namespace, name) = key.value();
        let wrong = |problem: &str| format!("what was applied of {kind} {namespace}/{name}: {problem}");
        let text = unseal(&[kind, namespace, name], value.value()).ok_or_else(|| wrong("wrong checksum"))?;
        let known = kinds.find(kind).ok_or_else(|| wrong("unknown kind"))?;
        found.push((ObjectKey::new(known, namespace, name), std::str::from_utf8(text)?.into()));
    }
    found.sort_unstable();
    match cluster_number(&transaction.open_table(CLUSTER)?, "applied")? {
        expected if expected == found.len() as u64 => Ok(found),
        expected => Err(format!("{} versions of manifests of {expected} are there", found.len()).into()),
    }
}

/// The rest, when so many have been read before.
fn read_rest(database: &Database, named: usize) -> Result<Vec<Object>, Box<dyn std::error::Error>> {
    let transaction = database.begin_read()?;
    let rest = objects::rest(&transaction)?;
    let found = named + rest.len();
    match cluster_number(&transaction.open_table(CLUSTER)?, "objects")? {
        expected if expected == found as u64 => Ok(rest),
        expected => Err(format!("{found} objects of {expected} are there").into()),
    }
}

/// A number of the table `cluster`; 0 where there is none yet.
fn cluster_number(
    cluster: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<u64, Box<dyn std::error::Error>> {
    cluster.get(key)?.map_or(Ok(0), |value| number(key, value.value()))
}

fn number(key: &str, value: &[u8]) -> Result<u64, Box<dyn std::error::Error>> {
    let text = unseal(&[key], value).ok_or_else(|| format!("{key}: wrong checksum"))?;
    Ok(std::str::from_utf8(text)?.parse()?)
}

fn write(database: &Database, pending: &Pending) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    write_tables(&transaction, pending)?;
    transaction.commit()?;
    Ok(())
}

fn write_tables(transaction: &WriteTransaction, pending: &Pending) -> Result<(), redb::Error> {
    let mut objects = transaction.open_table(OBJECTS)?;
    for (key, json) in &pending.objects {
        let place = (key.kind.unique_name(), key.namespace.as_str(), key.name.as_str());
        match json {
            Some(json) => drop(objects.insert(place, seal(&[place.0, place.1, place.2], json).as_slice())?),
            None => drop(objects.remove(place)?),
        }
    }
    let mut applied_versions = None;
    if !pending.applied.is_empty() {
        let mut applied = transaction.open_table(APPLIED)?;
        for (key, written) in &pending.applied {
            let place = (key.kind.unique_name(), key.namespace.as_str(), key.name.as_str());
            match written {
                Some(text) => {
                    let sealed = seal(&[place.0, place.1, place.2], text.as_bytes());
                    drop(applied.insert(place, sealed.as_slice())?);
                }
                None => drop(applied.remove(place)?),
            }
        }
        applied_versions = Some(applied.len()?);
    }
    let mut serials = transaction.open_table(SERIALS)?;
    for (zone, serial) in &pending.serials {
        serials.insert(zone.as_str(), seal(&[zone], serial.to_string().as_bytes()).as_slice())?;
    }
    let mut cluster = transaction.open_table(CLUSTER)?;
    let numbers = [
        ("resourceVersion", pending.resource_version),
        ("objects", Some(objects.len()?)),
        ("applied", applied_versions),
    ];
    for (key, number) in numbers {
        if let Some(number) = number {
            cluster.insert(key, seal(&[key], number.to_string().as_bytes()).as_slice())?;
        }
    }
    if let Some(owed) = &pending.owed {
        let json = serde_json::to_vec(owed).map_err(io::Error::other)?;
        cluster.insert(VOLUMES, seal(&[VOLUMES], &json).as_slice())?;
    }
    Ok(())
}

/// The checksum of key and text, then the text.
fn seal(key: &[&str], text: &[u8]) -> Vec<u8> {
    [&checksum(key, text).to_le_bytes()[..], text].concat()
}

/// The text, if its checksum is right.
fn unseal<'a>(key: &[&str], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, text) = sealed.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*sum) == checksum(key, text)).then_some(text)
}

fn checksum(key: &[&str], text: &[u8]) -> u64 {
    let mut hasher = Fnv1a::default();
    for part in key {
        hasher.write(part.as_bytes());
        hasher.write(&[0]);
    }
    hasher.write(text);
    hasher.finish()
}

#[cfg(test)]
mod tests;
