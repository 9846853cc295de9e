//! The document of the settings file beside what was read from it: what is wrong or doubtful is said at its place.

use crate::text::{
    diagnostic::{Diagnostic, Severity, has_error, sort},
    options::Section,
    yaml::{SourceText, YamlNode, YamlValue, find, locate},
};
use std::path::{Component, Path, PathBuf};

/// Collects what is said about the file.
pub(super) struct CheckedSettings<'a> {
    source: SourceText<'a>,
    node: &'a YamlNode,
    found: Vec<Diagnostic>,
}

impl<'a> CheckedSettings<'a> {
    pub(super) fn new(source: SourceText<'a>, node: &'a YamlNode, found: Vec<Diagnostic>) -> CheckedSettings<'a> {
        CheckedSettings { source, node, found }
    }

    /// Warnings in order of their places, or everything that was found if there is an error among it.
    pub(super) fn finish(mut self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        sort(&mut self.found);
        if has_error(&self.found) { Err(self.found) } else { Ok(self.found) }
    }

    pub(super) fn has_error(&self) -> bool {
        has_error(&self.found)
    }

    /// Whether the file sets a key.
    pub(super) fn has(&self, field: &str) -> bool {
        find(self.node, field).is_some_and(|node| node.value != YamlValue::Null)
    }

    /// Whether the value of a key is written as a list.
    pub(super) fn is_list(&self, key: &str) -> bool {
        self.node.get(key).is_some_and(|value| value.as_sequence().is_some())
    }

    /// Whether a key is written as a list without entries.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        self.node.get(key).and_then(YamlNode::as_sequence).is_some_and(<[YamlNode]>::is_empty)
    }

    /// A path of the file as seen from the working directory.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        beside(self.source.path.parent().unwrap_or(Path::new("")), path)
    }

    /// An error at a field.
    pub(super) fn refuse(&mut self, field: &str, message: String, help: &str) {
        self.note(Severity::Error, field, message, help);
    }

    /// A warning at a field.
    pub(super) fn doubt(&mut self, field: &str, message: String, help: &str) {
        self.note(Severity::Warning, field, message, help);
    }

    /// Refuses every value of a section that is out of its range; the section of the top level has no name.
    pub(super) fn ranges(&mut self, section: &str, options: &dyn Section) {
        for (key, outside) in options.out_of_range() {
            let field = if section.is_empty() { key } else { format!("{section}.{key}") };
            self.refuse(&field, format!("{} is out of range", outside.value), &outside.help);
        }
    }

    fn note(&mut self, severity: Severity, field: &str, message: String, help: &str) {
        let (place, width) = locate(self.node, field);
        let diagnostic = Diagnostic { severity, ..Diagnostic::error(self.source.path, message) };
        self.found.push(diagnostic.at(self.source.text, place, width).field(field).help(help));
    }
}

/// A path of the file as seen from the working directory: `config` and `../zones` give `zones`. A directory is only gone
/// up from where it is named plainly: above a symbolic link `..` would lead elsewhere.
fn beside(directory: &Path, path: &Path) -> PathBuf {
    let mut joined = directory.to_path_buf();
    for part in path.components() {
        let plain = matches!(joined.components().next_back(), Some(Component::Normal(_))) && !joined.is_symlink();
        match part {
            Component::ParentDir if plain => drop(joined.pop()),
            Component::CurDir => {}
            part => joined.push(part),
        }
    }
    if joined.as_os_str().is_empty() { PathBuf::from(".") } else { joined }
}
