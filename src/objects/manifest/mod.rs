//! Directories of manifests: files to objects and diagnostics, and the watching of them.
//!
//! # What keeps running
//!
//! * A file that was good and is now broken keeps its last good version as a whole; other files do not notice.
//! * A file that is broken when it is seen first (or was never good) gives the objects of its good documents; what it
//!   once gave is withdrawn only by a version without errors.
//! * A file that is suddenly empty is taken for half-written, and a directory that is suddenly missing for being
//!   replaced: both keep their objects until a scan at least [`EMPTY_FILE_GRACE`] later finds them so again.
//! * A file or directory that cannot be read, or has become a pipe, a socket or a device, keeps its objects.
//! * What a file or directory declares that could not be read yet since the start is unknown
//!   ([`Manifests::completeness`]): what an earlier run took from manifests stays until all have been read.
//! * A deleted file's objects are withdrawn. An object that appears in another file in the same scan only changes its
//!   place.
//! * An object that two files declare stays with the file that declared it first (at the first scan: the first by
//!   path); the other file gets an error that names both until one of them gives it up. Where both say the same word
//!   for word there is only a note.
//!
//! # Limits
//!
//! [`MAX_FILE_SIZE`] for one file, [`MAX_FILES`](walk::MAX_FILES) files, [`MAX_ENTRIES`](walk::MAX_ENTRIES) entries of
//! directories, [`MAX_DEPTH`](walk::MAX_DEPTH) sub-directories; depth of nesting and growth by aliases are limited by
//! [`crate::text::yaml`].

mod beside;
mod document;
mod file;
mod ignored_fields;
mod kinds;
mod nulls;
mod octets;
mod place;
mod removed;
mod secrets;
pub mod walk;
pub mod watch;
mod written;

#[cfg(test)]
mod tests;

pub use crate::text::yaml::MAX_DIAGNOSTICS;
use crate::{
    objects::object::{
        CustomDefinition, CustomKind, Declaration, FieldError, Kind, Object, ObjectKey,
        lint::{self, Lint},
    },
    text::diagnostic::{self, Diagnostic, Location, Severity, not_shown},
};
use document::{DeclaredObject, DefinedKinds};
use file::ManifestFile;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// Largest file, in octets.
pub const MAX_FILE_SIZE: u64 = 16 << 20;
/// How long an empty file or a missing directory keeps its objects.
pub const EMPTY_FILE_GRACE: Duration = Duration::from_secs(1);
/// What a message says of objects that stay as they were.
pub const KEPT: &str = "the version applied before keeps running";

/// What a re-scan found to be different from the one before. Objects are decoded, defaulted and valid.
#[derive(Debug, Default)]
pub struct Changes {
    /// Objects that are new, or of which their manifests say something else than before.
    pub applied: Vec<Declaration>,
    /// Objects that no file declares any more.
    pub withdrawn: Vec<ObjectKey>,
    /// Diagnostics that are new since the last scan (all of them on the first), in order of file and line.
    pub diagnostics: Vec<Diagnostic>,
}

/// How much is known of what the manifests declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Completeness {
    /// None of the directories is there.
    Nothing,
    /// A directory is missing, or of some file no version without errors has been seen yet: what is not declared may be
    /// declared there.
    Part,
    /// Each file has been read at least once without errors.
    Whole,
}

/// An object in use, and the file that declares it.
#[derive(Debug)]
struct Origin {
    path: PathBuf,
    declared: Arc<DeclaredObject>,
}

/// The manifests of some directories: remembers the last good version of every file.
#[derive(Debug)]
pub struct Manifests {
    directories: Vec<PathBuf>,
    files: BTreeMap<PathBuf, ManifestFile>,
    /// Whether the last scan met something that could not be looked at.
    unreadable: bool,
    /// Since when a directory is missing, for those that are.
    missing: BTreeMap<PathBuf, Instant>,
    objects: BTreeMap<ObjectKey, Origin>,
    /// What the definitions in all files define, and those that clients made.
    defined: DefinedKinds,
    /// The kinds that the definitions of clients define.
    served: Vec<CustomKind>,
    /// Messages about directories and about objects declared twice.
    between: Vec<Diagnostic>,
    /// Doubts with the text that their place was found in.
    lints: BTreeMap<Lint, (Arc<str>, Diagnostic)>,
    /// How many more doubts there are in files with too many.
    uncounted: Vec<Diagnostic>,
    reported: HashSet<String>,
    parsed: document::Parsed,
    /// Whether undeclared StorageClasses are provisioned, which makes a note of what is a warning else.
    provision_undeclared: bool,
    check_annotations: AnnotationCheck,
}

/// What is wrong with a pod's annotations for the runtime that is to run it: pairs of a key and a sentence.
pub type AnnotationCheck = fn(&BTreeMap<String, String>) -> Vec<(String, String)>;

impl Manifests {
    /// The directories are read at the first [`Manifests::scan`]; they need not exist yet. A file may stand for a
    /// directory.
    pub fn new(directories: Vec<PathBuf>) -> Manifests {
        Manifests {
            directories,
            files: BTreeMap::new(),
            unreadable: false,
            missing: BTreeMap::new(),
            objects: BTreeMap::new(),
            defined: DefinedKinds::new(),
            served: Vec::new(),
            between: Vec::new(),
            lints: BTreeMap::new(),
            uncounted: Vec::new(),
            reported: HashSet::new(),
            parsed: document::Parsed::default(),
            provision_undeclared: true,
            check_annotations: |_| Vec::new(),
        }
    }

    /// Warns of what the runtime finds wrong with the annotations of pods; unless this is called, nothing is.
    pub fn checking_annotations(self, check_annotations: AnnotationCheck) -> Manifests {
        Manifests { check_annotations, ..self }
    }

    /// Says whether claims of undeclared StorageClasses get simulated volumes, as they do unless this is called.
    pub fn provisioning_undeclared(self, provision_undeclared: bool) -> Manifests {
        Manifests { provision_undeclared, ..self }
    }

    /// From the next [`Manifests::scan`] on, takes resources of these kinds, too, whose definitions no file needs to declare.
    pub fn set_served(&mut self, kinds: Vec<CustomKind>) {
        self.served = kinds;
    }

    /// Reads other directories from the next [`Manifests::scan`] on. What only the old ones declare is withdrawn then.
    pub fn set_directories(&mut self, directories: Vec<PathBuf>) {
        self.missing.retain(|directory, _| directories.contains(directory));
        self.directories = directories;
    }

    /// Reads all files again and compares their contents with what was known.
    pub fn scan(&mut self) -> Changes {
        self.scan_at(Instant::now())
    }

    /// [`Manifests::scan`] at a time that the caller names; times must not go back.
    pub fn scan_at(&mut self, now: Instant) -> Changes {
        self.between.clear();
        let (found, kept) = self.list(now);
        self.files.retain(|path, _| found.contains(path) || kept.contains(path));
        for path in found {
            let known = self.files.entry(path.clone()).or_default();
            if known.read(&path, now, &self.defined) == file::Presence::Gone {
                self.files.remove(&path);
            }
        }
        self.redefine();
        self.parsed = document::Parsed::default();
        let mut changes = self.merge();
        self.lint();
        let all = self.diagnostics();
        let reported: HashSet<String> = all.iter().map(|diagnostic| format!("{diagnostic:?}")).collect();
        changes.diagnostics = all;
        changes.diagnostics.retain(|diagnostic| !self.reported.contains(&format!("{diagnostic:?}")));
        self.reported = reported;
        changes
    }

    /// Reads what belongs to definitions again that came, changed or went.
    fn redefine(&mut self) {
        let named = |kind: CustomKind| ((kind.group().to_owned(), kind.name().to_owned()), kind);
        let mut defined: DefinedKinds = self.served.iter().copied().map(named).collect();
        for declared in self.files.values().flat_map(ManifestFile::objects) {
            if let Object::Stored(stored) = &declared.declaration.object
                && stored.kind() == Kind::CustomResourceDefinition
                && let Some(CustomDefinition { kind, .. }) = CustomDefinition::of(stored)
            {
                defined.extend([named(kind)]);
            }
        }
        let kinds: BTreeSet<_> = defined.keys().chain(self.defined.keys()).cloned().collect();
        let changed = kinds.into_iter().filter(|kind| defined.get(kind) != self.defined.get(kind)).collect();
        for (path, file) in &mut self.files {
            file.redefine(path, &changed, &defined);
        }
        self.defined = defined;
    }

    /// How much the scans up to now can tell of what is declared.
    pub fn completeness(&self) -> Completeness {
        if !self.directories.is_empty() && self.directories.iter().all(|path| self.missing.contains_key(path)) {
            return Completeness::Nothing;
        }
        let whole = self.missing.is_empty() && !self.unreadable && self.files.values().all(ManifestFile::is_whole);
        if whole { Completeness::Whole } else { Completeness::Part }
    }

    /// When the next scan is due though nothing changes: a grace runs out.
    pub fn rescan_within(&self) -> Option<Duration> {
        let graced = !self.missing.is_empty() && !self.objects.is_empty();
        (graced || self.files.values().any(ManifestFile::is_suspicious)).then_some(EMPTY_FILE_GRACE)
    }

    /// Every diagnostic that holds now, in order of file and line.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let files = self.files.values().flat_map(ManifestFile::diagnostics);
        let lints = self.lints.values().map(|(_, diagnostic)| diagnostic.clone());
        let between = self.between.iter().chain(&self.uncounted).cloned();
        let mut all: Vec<Diagnostic> = files.chain(between).chain(lints).collect();
        diagnostic::sort(&mut all);
        all
    }

    /// A refusal that came after decoding (an immutable field, say) as a diagnostic at the field's place in the
    /// object's file, without what is kept meanwhile. `None` for an object that no file declares.
    pub fn diagnose(&self, key: &ObjectKey, error: &FieldError) -> Option<Diagnostic> {
        let Origin { path, declared } = self.objects.get(key)?;
        Some(document::diagnose(&self.parsed, path, declared, error))
    }

    /// The file and place that declare an object.
    pub fn origin(&self, key: &ObjectKey) -> Option<(&Path, Location)> {
        self.objects.get(key).map(|origin| (origin.path.as_path(), origin.declared.place))
    }

    /// How many files and objects are in use.
    pub fn counts(&self) -> (usize, usize) {
        (self.files.len(), self.objects.len())
    }

    /// Fields that are declared and that nothing acts on: kind and path, and the objects that have it.
    pub fn inert(&self) -> BTreeMap<String, Vec<ObjectKey>> {
        let mut fields: BTreeMap<String, Vec<ObjectKey>> = BTreeMap::new();
        for (key, origin) in &self.objects {
            for path in &origin.declared.inert {
                fields.entry(format!("{} {path}", key.kind.name())).or_default().push(key.clone());
            }
        }
        fields
    }

    /// The files that exist, and those that stay as they are because nothing can be told of them.
    fn list(&mut self, now: Instant) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let (mut seen, mut found, mut kept) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        self.unreadable = false;
        for directory in self.directories.clone() {
            let listing = walk::list(&directory, &mut seen);
            let mut keep = |below: &Path| {
                let from = self.files.range::<Path, _>((Bound::Included(below), Bound::Unbounded));
                kept.extend(from.map(|(path, _)| path).take_while(|path| path.starts_with(below)).cloned());
            };
            if let Some(what) = listing.special {
                // Nothing can be told of what was there, and nothing is read meanwhile.
                self.missing.entry(directory.clone()).or_insert(now);
                keep(&directory);
                let message = format!("it is {what}, and neither a directory nor a regular file: waiting for one");
                self.between.push(Diagnostic::error(&directory, message).kept("what it declared before keeps running"));
            } else if listing.missing {
                let since = *self.missing.entry(directory.clone()).or_insert(now);
                let message = "the directory does not exist: waiting for it";
                let mut diagnostic = Diagnostic::warning(&directory, message);
                if now.duration_since(since) < EMPTY_FILE_GRACE
                    && self.files.keys().any(|path| path.starts_with(&directory))
                {
                    keep(&directory);
                    diagnostic =
                        diagnostic.kept("what it declared keeps running for a moment, in case it is being replaced");
                }
                self.between.push(diagnostic);
            } else {
                self.missing.remove(&directory);
            }
            self.unreadable |= !listing.unreadable.is_empty();
            for (path, why) in listing.unreadable {
                keep(&path);
                let diagnostic = Diagnostic::error(&path, format!("cannot be read: {why}"));
                self.between.push(diagnostic.kept("what it declared before keeps running"));
            }
            found.extend(listing.files);
        }
        (found, kept)
    }

    /// Puts the files' objects together: who declares what, and what differs from before.
    fn merge(&mut self) -> Changes {
        let mut claims: BTreeMap<&ObjectKey, Vec<(&Path, &Arc<DeclaredObject>)>> = BTreeMap::new();
        let mut order = Vec::new();
        for (path, file) in &self.files {
            for declared in file.objects() {
                claims.entry(&declared.key).or_default().push((path, declared));
                order.push((path, &declared.key));
            }
        }
        let mut owners = BTreeMap::new();
        for (key, claims) in claims {
            let before = self.objects.get(key).map(|origin| origin.path.as_path());
            let owner = claims.iter().find(|(path, _)| Some(*path) == before).or(claims.first());
            let Some(&(winner, declared)) = owner else { continue };
            let (same, others): (Vec<_>, Vec<_>) =
                claims.iter().filter(|(path, _)| *path != winner).partition(|(_, other)| {
                    other.written == declared.written && other.declaration.object == declared.declaration.object
                });
            for (loser, other) in others {
                self.between.push(declared_twice(key, (winner, declared), (loser, other)));
            }
            self.between.extend(declared_alike(key, (winner, declared), &same));
            owners.insert(key.clone(), Origin { path: winner.to_owned(), declared: Arc::clone(declared) });
        }
        let mut changes = Changes::default();
        for (path, key) in order {
            if let Some(origin) = owners.get(key)
                && origin.path == *path
                && self.objects.get(key).is_none_or(|before| before.declared.declaration != origin.declared.declaration)
            {
                changes.applied.push(origin.declared.declaration.clone());
            }
        }
        changes.withdrawn = self.objects.keys().filter(|key| !owners.contains_key(*key)).cloned().collect();
        self.objects = owners;
        changes
    }

    /// Doubts about all objects together. A place is looked for only once in a text, and only for as many doubts about
    /// one file as are shown.
    fn lint(&mut self) {
        let mut before = std::mem::take(&mut self.lints);
        self.uncounted.clear();
        let objects = || self.objects.values().map(|origin| &origin.declared.declaration.object);
        let mut lints = lint::lint(objects(), self.files.values().flat_map(ManifestFile::neighbours));
        lints.extend(lint::lint_simulation(objects(), self.check_annotations));
        let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
        for lint in lints {
            let Some(Origin { path, declared }) = self.objects.get(&lint.key) else { continue };
            let count = counts.entry(path).or_default();
            *count += 1;
            if *count > MAX_DIAGNOSTICS {
                continue;
            }
            let placed = match before.remove(&lint) {
                Some((text, diagnostic)) if Arc::ptr_eq(&text, &declared.text) && diagnostic.file == *path => {
                    diagnostic
                }
                _ => {
                    let (severity, consequence) = match lint.rule {
                        lint::Rule::StorageClassMissing if self.provision_undeclared => {
                            (Severity::Note, lint::CLASS_SIMULATED)
                        }
                        lint::Rule::StorageClassMissing => (Severity::Warning, lint::CLASS_AWAITED),
                        _ => (Severity::Warning, ""),
                    };
                    let message = format!("{}{consequence} [{}]", lint.message, lint.rule);
                    let error = FieldError { field: lint.field.clone(), message };
                    let diagnostic = document::diagnose(&self.parsed, path, declared, &error).help(&*lint.help);
                    Diagnostic { severity, ..diagnostic }
                }
            };
            self.lints.insert(lint, (declared.text.clone(), placed));
        }
        for (path, count) in counts {
            if let Some(more) = count.checked_sub(MAX_DIAGNOSTICS).filter(|more| *more > 0) {
                self.uncounted.push(Diagnostic::warning(path, not_shown(more, Severity::Warning)));
            }
        }
    }
}

/// The error at the second of two declarations of one object.
fn declared_twice(
    key: &ObjectKey,
    winner: (&Path, &Arc<DeclaredObject>),
    loser: (&Path, &Arc<DeclaredObject>),
) -> Diagnostic {
    let (path, declared) = loser;
    let message = format!("{key} is declared in {}:{} too", winner.0.display(), winner.1.place.line);
    Diagnostic::error(path, message)
        .at(&declared.text, declared.place, declared.width)
        .field("metadata.name")
        .object(key.to_string())
        .kept(format!("the one in {} is used", winner.0.display()))
        .help("remove one of the two, or give it another name")
}

/// The note about files that declare an object as it is declared already.
fn declared_alike(
    key: &ObjectKey,
    winner: (&Path, &Arc<DeclaredObject>),
    same: &[(&Path, &Arc<DeclaredObject>)],
) -> Option<Diagnostic> {
    let ((path, declared), others) = same.split_first()?;
    let elsewhere = match others.len() {
        0 => String::new(),
        1 => ", and in 1 more file".to_owned(),
        more => format!(", and in {more} more files"),
    };
    let (file, line) = (winner.0.display(), winner.1.place.line);
    let message = format!("{key} is declared in {file}:{line} word for word the same{elsewhere}");
    Some(Diagnostic { place: declared.place, ..Diagnostic::note(path, message) })
}
