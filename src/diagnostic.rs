//! A message for a person about something they wrote: place, field, what is kept meanwhile, what to do.

use std::path::PathBuf;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but probably not as meant.
    Warning,
    /// It is not used.
    Error,
}

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Line, from 1; 0 when there is none.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// One thing that is wrong or doubtful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub place: Place,
    /// How many characters the caret line underlines; at least 1.
    pub width: usize,
    /// The object (`StatefulSet default/web`), empty when it is not known.
    pub object: String,
    /// The field's path (`spec.template.spec.containers[0].image`), empty when there is none.
    pub field: String,
    /// What is wrong, lower-case, without a final dot.
    pub message: String,
    /// What to do, empty when the message says it already.
    pub help: String,
    /// What keeps running meanwhile, empty when nothing ran before.
    pub kept: String,
    /// The line of the file that the caret points into, empty when there is none.
    pub source_line: String,
}
