//! A file that is left to the octet as it is until everything in it has been read: the store's library marks a file as
//! open, and repairs one that was not closed, before it is known whether it will be refused.
//!
//! Until then what the library writes is kept in memory, and read back from there.

use redb::{BackendError, StorageBackend, backends::FileBackend};
use std::{
    collections::HashMap,
    io,
    ops::Bound,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

/// Octets that are kept in one piece.
const PAGE_OCTETS: u64 = 4096;

/// What was written and is not in the file yet.
#[derive(Debug)]
struct UnsyncedWrites {
    /// Of the file, what is still the file's: beyond it, zeros and [`UnsyncedWrites::pages`].
    of_file: u64,
    length: u64,
    pages: HashMap<u64, Box<[u8]>>,
    /// In order, as it goes into the file one day.
    steps: Vec<HeldStep>,
}

#[derive(Debug)]
enum HeldStep {
    Length(u64),
    Write(u64, Vec<u8>),
    Sync,
}

/// The file, and what is kept from it.
#[derive(Debug)]
struct HeldFile<B> {
    file: B,
    is_held: AtomicBool,
    kept: RwLock<UnsyncedWrites>,
}

/// A backend that can be held back. All clones are one.
#[derive(Debug)]
pub(super) struct HeldBackend<B = FileBackend>(Arc<HeldFile<B>>);

impl<B> Clone for HeldBackend<B> {
    fn clone(&self) -> HeldBackend<B> {
        HeldBackend(Arc::clone(&self.0))
    }
}

impl<B: StorageBackend> HeldBackend<B> {
    /// Holds a file back from now on.
    pub fn new(file: B) -> io::Result<HeldBackend<B>> {
        let length = file.len()?;
        let kept = UnsyncedWrites { of_file: length, length, pages: HashMap::new(), steps: Vec::new() };
        Ok(HeldBackend(Arc::new(HeldFile { file, is_held: AtomicBool::new(true), kept: RwLock::new(kept) })))
    }

    /// Writes into the file what was kept from it, in the order in which it came, and holds nothing back from now on.
    /// After an error the file is as after a crash at that place.
    pub fn release(&self) -> io::Result<()> {
        let mut kept = self.kept_to_change();
        for step in std::mem::take(&mut kept.steps) {
            match step {
                HeldStep::Length(length) => self.0.file.set_len(length)?,
                HeldStep::Write(offset, data) => self.0.file.write(offset, &data)?,
                HeldStep::Sync => self.0.file.sync_data()?,
            }
        }
        kept.pages = HashMap::new();
        self.0.is_held.store(false, Ordering::Release);
        Ok(())
    }

    fn is_held(&self) -> bool {
        self.0.is_held.load(Ordering::Acquire)
    }

    fn kept(&self) -> RwLockReadGuard<'_, UnsyncedWrites> {
        self.0.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_to_change(&self) -> RwLockWriteGuard<'_, UnsyncedWrites> {
        self.0.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnsyncedWrites {
    /// The octets at a place, taken from the file where nothing was written.
    fn read(&self, file: &impl StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(out.len() as u64).filter(|end| *end <= self.length);
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let of_file = usize::try_from(self.of_file.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (from_file, zeros) = out.split_at_mut(of_file);
        if !from_file.is_empty() {
            file.read(offset, from_file)?;
        }
        zeros.fill(0);
        let mut at = 0;
        while at < out.len() {
            let place = offset + at as u64;
            let within = (place % PAGE_OCTETS) as usize;
            let length = (PAGE_OCTETS as usize - within).min(out.len() - at);
            if let Some(page) = self.pages.get(&(place / PAGE_OCTETS)) {
                out[at..at + length].copy_from_slice(&page[within..within + length]);
            }
            at += length;
        }
        Ok(())
    }

    fn write(&mut self, file: &impl StorageBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset.saturating_add(data.len() as u64);
        self.length = self.length.max(end);
        let mut at = 0;
        while at < data.len() {
            let place = offset + at as u64;
            let (number, within) = (place / PAGE_OCTETS, (place % PAGE_OCTETS) as usize);
            let length = (PAGE_OCTETS as usize - within).min(data.len() - at);
            if !self.pages.contains_key(&number) {
                let mut page = vec![0; PAGE_OCTETS as usize].into_boxed_slice();
                let begin = number * PAGE_OCTETS;
                let there = self.length.saturating_sub(begin).min(PAGE_OCTETS) as usize;
                self.read(file, begin, &mut page[..there])?;
                self.pages.insert(number, page);
            }
            if let Some(page) = self.pages.get_mut(&number) {
                page[within..within + length].copy_from_slice(&data[at..at + length]);
            }
            at += length;
        }
        self.steps.push(HeldStep::Write(offset, data.to_vec()));
        Ok(())
    }

    fn set_length(&mut self, length: u64) {
        if length < self.length {
            // What was cut off is zeros if it comes back.
            self.of_file = self.of_file.min(length);
            self.pages.retain(|number, _| number * PAGE_OCTETS < length);
            if let Some(page) = self.pages.get_mut(&(length / PAGE_OCTETS)) {
                page[(length % PAGE_OCTETS) as usize..].fill(0);
            }
        }
        self.length = length;
        self.steps.push(HeldStep::Length(length));
    }
}

impl<B: StorageBackend> StorageBackend for HeldBackend<B> {
    fn len(&self) -> io::Result<u64> {
        if self.is_held() { Ok(self.kept().length) } else { self.0.file.len() }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.is_held() { self.kept().read(&self.0.file, offset, out) } else { self.0.file.read(offset, out) }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if !self.is_held() {
            return self.0.file.set_len(length);
        }
        self.kept_to_change().set_length(length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if !self.is_held() {
            return self.0.file.sync_data();
        }
        self.kept_to_change().steps.push(HeldStep::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.is_held() {
            return self.0.file.write(offset, data);
        }
        self.kept_to_change().write(&self.0.file, offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    fn all(backend: &impl StorageBackend) -> Vec<u8> {
        let mut all = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
        backend.read(0, &mut all).unwrap();
        all
    }

    fn do_to(backend: &impl StorageBackend, steps: &[(bool, u64, Vec<u8>)]) {
        for (is_write, place, data) in steps {
            // As the library does: it makes a file longer before it writes there.
            let end = place + data.len() as u64;
            match is_write {
                true if end > backend.len().unwrap() => backend.set_len(end).unwrap(),
                true => {}
                false => backend.set_len(*place).unwrap(),
            }
            if *is_write {
                backend.write(*place, data).unwrap();
            }
        }
    }

    proptest! {
        #[test]
        fn reads_as_if_it_were_written_and_is_in_the_end(
            before in prop::collection::vec(any::<u8>(), 0..10_000),
            steps in prop::collection::vec(
                (any::<bool>(), 0_u64..20_000, prop::collection::vec(any::<u8>(), 1..6000)), 0..8),
        ) {
            let filled = || {
                let backend = InMemoryBackend::new();
                backend.set_len(before.len() as u64).unwrap();
                backend.write(0, &before).unwrap();
                backend
            };
            let plain = filled();
            do_to(&plain, &steps);
            let held = HeldBackend::new(filled()).unwrap();
            do_to(&held, &steps);
            prop_assert_eq!(all(&held), all(&plain));
            prop_assert_eq!(all(&held.0.file), before);
            held.release().unwrap();
            prop_assert_eq!(all(&held.0.file), all(&plain));
            do_to(&held, &steps);
            do_to(&plain, &steps);
            prop_assert_eq!(all(&held.0.file), all(&plain));
        }
    }
}
