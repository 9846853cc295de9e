//! Reading the objects of an earlier run, with all of the machine: nobody is answered before they are there.

use super::{OBJECTS, unseal};
use crate::object::{Kind, Object};
use redb::{ReadTransaction, ReadableTable as _, StorageError};
use std::{
    error::Error,
    fmt,
    num::NonZero,
    sync::{Mutex, PoisonError},
    thread,
};

/// Objects that a thread takes at a time.
const BATCH: usize = 512;
/// More threads than that wait for the file.
const THREADS: usize = 8;

/// An object as it stands in the file.
struct Stored {
    kind: String,
    namespace: String,
    name: String,
    sealed: Vec<u8>,
}

/// All objects, in order of their keys.
pub(super) fn read(transaction: &ReadTransaction) -> Result<Vec<Object>, Box<dyn Error>> {
    let table = transaction.open_table(OBJECTS)?;
    let stored = Mutex::new(table.iter()?.map(|entry| {
        let (key, value) = entry?;
        let (kind, namespace, name) = key.value();
        let [kind, namespace, name] = [kind, namespace, name].map(str::to_owned);
        Ok(Stored { kind, namespace, name, sealed: value.value().to_vec() })
    }));
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    let parts: Vec<Result<Vec<Object>, Failure>> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| parse(&stored))).collect();
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
enum Failure {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{0}")]
    Object(String),
}

/// Takes objects from the file until there are none.
fn parse(stored: &Mutex<impl Iterator<Item = Result<Stored, StorageError>>>) -> Result<Vec<Object>, Failure> {
    let mut objects = Vec::new();
    loop {
        let batch: Vec<_> = stored.lock().unwrap_or_else(PoisonError::into_inner).by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(objects);
        }
        for stored in batch {
            objects.push(stored?.object()?);
        }
    }
}

impl Stored {
    fn object(&self) -> Result<Object, Failure> {
        let Stored { kind, namespace, name, sealed } = self;
        let wrong = |problem: &dyn fmt::Display| Failure::Object(format!("{kind} {namespace}/{name}: {problem}"));
        let known = Kind::ALL.iter().find(|known| known.name() == kind).ok_or_else(|| wrong(&"unknown kind"))?;
        let json = unseal(&[kind, namespace, name], sealed).ok_or_else(|| wrong(&"wrong checksum"))?;
        Object::from_text(*known, json).map_err(|error| wrong(&error))
    }
}
