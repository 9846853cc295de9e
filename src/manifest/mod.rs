//! Directories of manifests: files to objects and diagnostics, and the watching of them.

pub mod watch;

use crate::{
    diagnostic::Diagnostic,
    object::{FieldError, Object, ObjectKey},
};
use std::path::PathBuf;

/// What a re-scan found to be different from the one before. Objects are decoded, defaulted and valid.
#[derive(Debug, Default)]
pub struct Changes {
    /// Objects that are new or differ from what was declared before.
    pub applied: Vec<Object>,
    /// Objects that no file declares any more.
    pub withdrawn: Vec<ObjectKey>,
    /// Diagnostics that are new since the last scan (all of them on the first), in order of file and line.
    pub diagnostics: Vec<Diagnostic>,
}

/// The manifests of some directories: remembers the last good version of every file.
#[derive(Debug)]
pub struct Manifests {}

impl Manifests {
    /// The directories are read at the first [`Manifests::scan`]; they need not exist yet.
    pub fn new(_directories: Vec<PathBuf>) -> Manifests {
        Manifests {}
    }
    /// Reads all files again and compares their contents with what was known.
    pub fn scan(&mut self) -> Changes {
        Changes::default()
    }
    /// Every diagnostic that holds now.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        Vec::new()
    }
    /// A refusal that came after decoding (an immutable field, say) as a diagnostic at the field's place in the object's file.
    pub fn diagnose(&self, _key: &ObjectKey, _error: &FieldError) -> Option<Diagnostic> {
        None
    }
    /// How many files and objects are in use.
    pub fn counts(&self) -> (usize, usize) {
        (0, 0)
    }
}
