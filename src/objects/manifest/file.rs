//! One file: its contents as last read, what they say, and which version of them is in use.

use super::{
    EMPTY_FILE_GRACE, KEPT, MAX_FILE_SIZE,
    document::{self, DeclaredObject, Decoded, DefinedKinds, GroupKind},
    walk::is_gone,
};
use crate::{
    objects::object::{ObjectKey, lint::Neighbour},
    text::{
        diagnostic::{Diagnostic, has_error},
        regular_file, yaml,
    },
};
use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
    sync::Arc,
    time::Instant,
};

/// Whether a file was there when it was to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Here,
    Gone,
}

/// A file's state.
#[derive(Debug, Default)]
pub(super) struct ManifestFile {
    /// What was read last; `None` before the first time.
    contents: Option<Contents>,
    /// What is wrong with that.
    diagnostics: Vec<Diagnostic>,
    /// Why it could not be read the last time.
    unreadable: Option<Diagnostic>,
    /// The objects in use.
    objects: Vec<Arc<DeclaredObject>>,
    /// What stands beside objects in the contents as last read.
    neighbours: Vec<Neighbour>,
    /// Kinds of documents in the contents as last read that definitions define, or could define.
    custom: BTreeSet<GroupKind>,
    /// Whether they are a whole version of the file without errors.
    whole: bool,
    /// Since when the file is empty though it declared something.
    empty_since: Option<Instant>,
}

/// What a file holds; where objects have it as their text, only once.
#[derive(Debug)]
enum Contents {
    Text(Arc<str>),
    Octets(Vec<u8>),
}

impl Contents {
    fn new(octets: Vec<u8>, objects: &[Arc<DeclaredObject>]) -> Contents {
        match objects.first() {
            Some(first) if first.text.as_bytes() == octets => Contents::Text(Arc::clone(&first.text)),
            _ => Contents::Octets(octets),
        }
    }

    fn octets(&self) -> &[u8] {
        match self {
            Contents::Text(text) => text.as_bytes(),
            Contents::Octets(octets) => octets,
        }
    }
}

impl ManifestFile {
    /// The objects in use.
    pub fn objects(&self) -> &[Arc<DeclaredObject>] {
        &self.objects
    }

    /// What stands beside them, for doubts about them.
    pub fn neighbours(&self) -> impl Iterator<Item = &Neighbour> {
        const UNREADABLE: &Neighbour = &Neighbour::Unknown;
        self.neighbours.iter().chain(self.unreadable.as_ref().map(|_| UNREADABLE))
    }

    /// What is wrong with the file now.
    pub fn diagnostics(&self) -> impl Iterator<Item = Diagnostic> + '_ {
        self.diagnostics.iter().chain(&self.unreadable).cloned()
    }

    /// Whether a later scan will judge the file differently though nothing changes.
    pub fn is_suspicious(&self) -> bool {
        self.empty_since.is_some()
    }

    /// Whether a version without errors has been seen, so that it is known what the file declares.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Reads the file again and takes its contents over if they changed.
    pub fn read(&mut self, path: &Path, now: Instant, defined: &DefinedKinds) -> Presence {
        let bytes = match regular_file::read(path, MAX_FILE_SIZE) {
            Ok(bytes) => bytes,
            Err(error) if is_gone(&error) => return Presence::Gone,
            Err(error) => {
                let diagnostic = Diagnostic::error(path, format!("cannot be read: {error}"));
                self.unreadable = Some(if self.objects.is_empty() { diagnostic } else { diagnostic.kept(KEPT) });
                return Presence::Here;
            }
        };
        self.unreadable = None;
        if self.contents.as_ref().map(Contents::octets) == Some(&*bytes) && self.empty_since.is_none() {
            return Presence::Here;
        }
        // One that is seen first may have declared something to an earlier run.
        let first = self.contents.is_none() || self.empty_since.is_some();
        if yaml::is_blank(&bytes) && (first || !self.objects.is_empty()) {
            let since = *self.empty_since.get_or_insert(now);
            if now.duration_since(since) < EMPTY_FILE_GRACE {
                if !self.objects.is_empty() {
                    let message = "the file is empty: taken for half-written";
                    let kept = "what it declared keeps running for a moment, then it is withdrawn";
                    self.diagnostics = vec![Diagnostic::warning(path, message).kept(kept)];
                }
                self.contents = Some(Contents::Octets(bytes));
                return Presence::Here;
            }
        }
        self.empty_since = None;
        self.take(path, &bytes, defined);
        self.contents = Some(Contents::new(bytes, &self.objects));
        Presence::Here
    }

    /// The definitions of other files have changed: contents that one of these kinds is in are decoded again.
    pub fn redefine(&mut self, path: &Path, changed: &BTreeSet<GroupKind>, defined: &DefinedKinds) {
        if !self.custom.is_disjoint(changed)
            && let Some(contents) = self.contents.take()
        {
            self.take(path, contents.octets(), defined);
            self.contents = Some(contents);
        }
    }

    /// Decodes new contents, and puts them into use as far as they are good.
    fn take(&mut self, path: &Path, bytes: &[u8], defined: &DefinedKinds) {
        let Decoded { objects, mut diagnostics, neighbours, custom } = match yaml::text(path, bytes) {
            Ok(text) => document::decode(path, &text, defined),
            Err(diagnostic) => {
                Decoded { diagnostics: vec![*diagnostic], neighbours: vec![Neighbour::Unknown], ..Decoded::default() }
            }
        };
        let mut objects: Vec<Arc<DeclaredObject>> = objects.into_iter().map(Arc::new).collect();
        (self.neighbours, self.custom) = (neighbours, custom);
        if !has_error(&diagnostics) {
            (self.objects, self.whole) = (objects, true);
        } else {
            if !self.objects.is_empty() {
                for diagnostic in
                    diagnostics.iter_mut().filter(|diagnostic| has_error(std::slice::from_ref(diagnostic)))
                {
                    diagnostic.kept = KEPT.to_owned();
                }
            }
            if !self.whole {
                let before = std::mem::take(&mut self.objects);
                let new: HashSet<ObjectKey> = objects.iter().map(|new| new.key.clone()).collect();
                objects.extend(before.into_iter().filter(|old| !new.contains(&old.key)));
                self.objects = objects;
            }
        }
        self.diagnostics = diagnostics;
    }
}
