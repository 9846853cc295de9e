//! Reading the objects of an earlier run, with all of the machine: no query is answered before those are there that
//! names are made of, and nothing goes on in the cluster before the others are.

use super::{NAMED, OBJECTS, unseal};
use crate::objects::object::{CustomDefinition, Kind, Object};
use redb::{AccessGuard, ReadTransaction, ReadableTable as _, StorageError};
use std::{
    collections::HashMap,
    error::Error,
    fmt,
    num::NonZero,
    sync::{Mutex, PoisonError},
    thread,
};

/// Objects that a thread takes at a time.
const BATCH_OBJECTS: usize = 512;
/// More threads than that wait for the file.
const THREADS_MAX: usize = 8;

/// An object as it is stored in the file.
struct Stored {
    kind: String,
    namespace: String,
    name: String,
    sealed: Vec<u8>,
}

/// A key and a value of the table.
type Entry<'a> =
    Result<(AccessGuard<'a, (&'static str, &'static str, &'static str)>, AccessGuard<'a, &'static [u8]>), StorageError>;

/// The objects that names are made of, in order of their keys.
pub(super) fn named(transaction: &ReadTransaction) -> Result<Vec<Object>, Box<dyn Error>> {
    let table = transaction.open_table(OBJECTS)?;
    let mut ranges = Vec::new();
    for kind in NAMED {
        let from_there = table.range((kind.name(), "", "")..)?;
        ranges.push(from_there.take_while(move |entry| kind_of(entry).is_none_or(|found| found == kind.name())));
    }
    read(ranges.into_iter().flatten(), &KnownKinds::default())
}

/// The kinds that definitions in the file define, by the names that they have in it.
#[derive(Debug, Default)]
pub(super) struct KnownKinds(HashMap<String, Kind>);

impl KnownKinds {
    /// Reads the definitions.
    pub(super) fn read(transaction: &ReadTransaction) -> Result<KnownKinds, Box<dyn Error>> {
        let table = transaction.open_table(OBJECTS)?;
        let name = Kind::CustomResourceDefinition.unique_name();
        let entries = table.range((name, "", "")..)?;
        let definitions = entries.take_while(|entry| kind_of(entry).is_none_or(|found| found == name));
        let kinds = read(definitions, &KnownKinds::default())?.into_iter().filter_map(|object| match object {
            Object::Stored(stored) => CustomDefinition::of(&stored).map(|definition| Kind::Custom(definition.kind)),
            _ => None,
        });
        Ok(KnownKinds(kinds.map(|kind| (kind.unique_name().to_owned(), kind)).collect()))
    }

    /// The kind of this name.
    pub(super) fn find(&self, name: &str) -> Option<Kind> {
        Kind::from_name(name).or_else(|| self.0.get(name).copied())
    }
}

/// All others, in order of their keys.
pub(super) fn rest(transaction: &ReadTransaction) -> Result<Vec<Object>, Box<dyn Error>> {
    let table = transaction.open_table(OBJECTS)?;
    let is_named =
        |entry: &Entry<'_>| kind_of(entry).is_some_and(|found| NAMED.iter().any(|kind| kind.name() == found));
    read(table.iter()?.filter(|entry| !is_named(entry)), &KnownKinds::read(transaction)?)
}

/// The kind in an entry's key; `None` for an error, which the parser reports.
fn kind_of<'a>(entry: &'a Entry<'_>) -> Option<&'a str> {
    entry.as_ref().ok().map(|(key, _)| key.value().0)
}

fn read<'a>(
    entries: impl Iterator<Item = Entry<'a>> + Send,
    kinds: &KnownKinds,
) -> Result<Vec<Object>, Box<dyn Error>> {
    let stored = Mutex::new(entries.map(|entry| {
        let (key, value) = entry?;
        let (kind, namespace, name) = key.value();
        let [kind, namespace, name] = [kind, namespace, name].map(str::to_owned);
        Ok(Stored { kind, namespace, name, sealed: value.value().to_vec() })
    }));
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    let parts: Vec<Result<Vec<Object>, ReadFailure>> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| parse(&stored, kinds))).collect();
        // A panic goes on in whoever reads, who knows what it means.
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut objects = Vec::new();
    for part in parts {
        objects.append(&mut part?);
    }
    objects.sort_by_cached_key(Object::key);
    Ok(objects)
}

/// What a thread found wrong.
#[derive(Debug, thiserror::Error)]
enum ReadFailure {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Object(String),
}

/// Takes objects from the file until there are none.
fn parse(
    stored: &Mutex<impl Iterator<Item = Result<Stored, StorageError>>>,
    kinds: &KnownKinds,
) -> Result<Vec<Object>, ReadFailure> {
    let mut objects = Vec::new();
    loop {
        let batch: Vec<_> =
            stored.lock().unwrap_or_else(PoisonError::into_inner).by_ref().take(BATCH_OBJECTS).collect();
        if batch.is_empty() {
            return Ok(objects);
        }
        for stored in batch {
            objects.push(stored?.object(kinds)?);
        }
    }
}

impl Stored {
    fn object(&self, kinds: &KnownKinds) -> Result<Object, ReadFailure> {
        let Stored { kind, namespace, name, sealed } = self;
        let wrong = |problem: &dyn fmt::Display| ReadFailure::Object(format!("{kind} {namespace}/{name}: {problem}"));
        let known = kinds.find(kind).ok_or_else(|| wrong(&"unknown kind"))?;
        let json = unseal(&[kind, namespace, name], sealed).ok_or_else(|| wrong(&"wrong checksum"))?;
        Object::from_text(known, json).map_err(|error| wrong(&error))
    }
}
