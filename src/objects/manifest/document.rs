//! One file's text to objects and diagnostics: documents, lists, kinds, decoding, defaults, validation.
//!
//! What an API server sets itself (`status`, `metadata.uid`, `resourceVersion`, …) is dropped without a word, so that
//! what `kubectl get -o yaml` printed can be used as it is.

use super::{
    beside::{self, Passed},
    ignored_fields,
    kinds::{self, KindVerdict},
    nulls, octets,
    place::{locate, quoted},
    secrets,
    written::said,
};
use crate::{
    objects::object::{
        CustomKind, Declaration, FieldError, Kind, KindVisitor, Object, ObjectKey, SET_BY_SERVER,
        conversion::OtherVersion, lint::Neighbour, mark_empty_selector, set_defaults, validate, validate_counted,
        with_stack_for,
    },
    text::{
        diagnostic::{Diagnostic, Location, Severity, has_error, not_shown},
        yaml::{self, MAX_DIAGNOSTICS, SourceText, UnknownFields, YamlNode, YamlValue},
    },
};
use k8s_openapi::{api::autoscaling::v1, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::de::DeserializeOwned;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// Further errors that are told with a wrong version.
const FURTHER_ERRORS_MAX: usize = 3;
/// Lists within lists; kubectl makes one level, a pipeline of tools perhaps two.
const MAX_LISTS: usize = 8;

/// A declared object and where it stands.
#[derive(Debug, Clone)]
pub(super) struct DeclaredObject {
    pub key: ObjectKey,
    pub declaration: Declaration,
    /// Where its document or list item begins, and how wide that is.
    pub place: Location,
    pub width: usize,
    /// The text that it was decoded from.
    pub text: Arc<str>,
    /// Paths of fields that nothing acts on.
    pub inert: Vec<String>,
    /// Digest of the value as written, without what only an API server writes.
    pub written: u64,
    /// The document's index, then indices into `items` of lists.
    index: Vec<usize>,
}

/// What a file's text says.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub objects: Vec<DeclaredObject>,
    pub diagnostics: Vec<Diagnostic>,
    /// What else it holds that doubts about other objects must know of.
    pub neighbours: Vec<Neighbour>,
    /// Kinds of documents that definitions define, or could define, with their groups.
    pub custom: BTreeSet<GroupKind>,
}

/// An API group and a kind in it.
pub(super) type GroupKind = (String, String);

/// The kinds that the definitions of all manifests define.
pub(super) type DefinedKinds = BTreeMap<GroupKind, CustomKind>;

struct DocumentReader<'a> {
    source: SourceText<'a>,
    text: Arc<str>,
    /// Where each object is declared first, and the digest of what was written there.
    seen: BTreeMap<ObjectKey, (Location, u64)>,
    objects: Vec<DeclaredObject>,
    neighbours: Vec<Neighbour>,
    passed: Passed,
    without_effect: Passed,
    defined: &'a DefinedKinds,
    custom: BTreeSet<GroupKind>,
    report: FileReport,
}

/// The diagnostics of one file: so many of each severity, the rest is counted and never made. A file of a million
/// documents, or an object of a million wrong fields, must not give a million messages.
#[derive(Debug, Default)]
struct FileReport {
    shown: Vec<Diagnostic>,
    counts: BTreeMap<Severity, usize>,
}

impl FileReport {
    /// Goes on after what reading the text has found, which is bounded already.
    fn of(found: Vec<Diagnostic>) -> FileReport {
        let count = |severity| found.iter().filter(|one| one.severity == severity).count().min(MAX_DIAGNOSTICS);
        let counts = [Severity::Error, Severity::Warning].map(|severity| (severity, count(severity)));
        FileReport { counts: counts.into(), shown: found }
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.add(diagnostic.severity, || diagnostic);
    }

    /// One of so many is made only if it will be shown: its line has to be looked for in the whole text.
    fn add(&mut self, severity: Severity, make: impl FnOnce() -> Diagnostic) {
        let count = self.counts.entry(severity).or_default();
        *count += 1;
        if *count <= MAX_DIAGNOSTICS {
            self.shown.push(make());
        }
    }

    /// Counts errors that nothing but their number is known of, beside as many as are shown.
    fn count_errors(&mut self, untold: usize) {
        *self.counts.entry(Severity::Error).or_default() += untold;
    }

    /// Whether some are only counted, so that finding lines to show would be in vain.
    fn is_full(&self) -> bool {
        self.counts.values().any(|count| *count >= MAX_DIAGNOSTICS)
    }

    fn finish(mut self, path: &Path) -> Vec<Diagnostic> {
        crate::text::diagnostic::sort(&mut self.shown);
        for (severity, count) in self.counts.into_iter().rev() {
            if let Some(more) = count.checked_sub(MAX_DIAGNOSTICS).filter(|more| *more > 0) {
                self.shown.push(Diagnostic { severity, ..Diagnostic::error(path, not_shown(more, severity)) });
            }
        }
        self.shown
    }
}

/// Decodes a file. If a diagnostic is an error, the objects are those of the documents without one.
pub(super) fn decode(path: &Path, text: &Arc<str>, defined: &DefinedKinds) -> Decoded {
    let source = SourceText { path, text };
    let (documents, diagnostics) = yaml::parse(source);
    // Nobody knows what a document declares that is no YAML.
    let neighbours = if has_error(&diagnostics) { vec![Neighbour::Unknown] } else { Vec::new() };
    let mut reader = DocumentReader {
        source,
        text: text.clone(),
        seen: BTreeMap::new(),
        objects: Vec::new(),
        neighbours,
        passed: Passed::default(),
        without_effect: Passed::default(),
        defined,
        custom: BTreeSet::new(),
        report: FileReport::of(diagnostics),
    };
    for (index, node) in documents.iter().enumerate() {
        if reader.report.is_full() {
            reader.source.text = "";
        }
        reader.document(node, "", "", vec![index]);
    }
    let DocumentReader { objects, neighbours, passed, without_effect, custom, mut report, .. } = reader;
    let notes = [passed.message("no part in names"), without_effect.message("stored, without effect")];
    for message in notes.into_iter().flatten() {
        report.push(Diagnostic::note(path, message));
    }
    let mut diagnostics = report.finish(path);
    secrets::hide(text, &mut diagnostics);
    Decoded { objects, neighbours, custom, diagnostics }
}

/// A text and its documents.
type Documents = (Arc<str>, Arc<[YamlNode]>);

/// The documents of the text that was asked for last: many messages about one file read it once.
#[derive(Debug, Default)]
pub(super) struct Parsed(RefCell<Option<Documents>>);

impl Parsed {
    fn documents(&self, path: &Path, text: &Arc<str>) -> Arc<[YamlNode]> {
        let mut last = self.0.borrow_mut();
        if let Some((known, documents)) = &*last
            && Arc::ptr_eq(known, text)
        {
            return documents.clone();
        }
        let documents: Arc<[YamlNode]> = yaml::parse(SourceText { path, text }).0.into();
        *last = Some((text.clone(), documents.clone()));
        documents
    }
}

/// A refusal at its field's place in the text that the object was decoded from.
pub(super) fn diagnose(parsed: &Parsed, path: &Path, declared: &DeclaredObject, error: &FieldError) -> Diagnostic {
    let documents = parsed.documents(path, &declared.text);
    let node = declared.index.split_first().and_then(|(first, rest)| {
        rest.iter().try_fold(documents.get(*first)?, |node, index| node.get("items")?.as_sequence()?.get(*index))
    });
    let (place, width) = match node {
        Some(node) => locate(node, &error.field, quoted(&error.message).as_deref()),
        None => (declared.place, declared.width),
    };
    let mut diagnostic = Diagnostic::error(path, error.message.clone())
        .at(&declared.text, place, width)
        .field(error.field.clone())
        .object(declared.key.to_string());
    if declared.key.kind == Kind::Secret {
        secrets::hide_one(&mut diagnostic);
    }
    diagnostic
}

impl DocumentReader<'_> {
    fn error(&mut self, node: &YamlNode, field: &str, message: impl Into<String>, help: impl Into<String>) {
        self.tell(Severity::Error, node, field, message, help);
    }

    fn tell(
        &mut self,
        severity: Severity,
        node: &YamlNode,
        field: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let source = self.source;
        self.report.add(severity, || {
            let (place, width) = locate(node, field, None);
            let diagnostic = Diagnostic::error(source.path, message).at(source.text, place, width);
            Diagnostic { severity, ..diagnostic.object(titled(node)).field(field).help(help) }
        });
    }

    /// A document or a list's item; items of `ServiceList` and the like may leave out what their list says.
    fn document(&mut self, node: &YamlNode, list_version: &str, list_kind: &str, index: Vec<usize>) {
        let YamlValue::Mapping(_) = &node.value else {
            self.neighbours.push(Neighbour::Unknown);
            return self.error(node, "", "a manifest is a mapping with apiVersion, kind and metadata", "");
        };
        let text = |name: &str, default: &str| match node.get(name) {
            None | Some(YamlNode { value: YamlValue::Null, .. }) => Some(default.to_owned()),
            Some(node) => node.as_str().map(str::to_owned),
        };
        let (Some(kind), Some(api_version)) = (text("kind", list_kind), text("apiVersion", list_version)) else {
            let field = if text("kind", "").is_none() { "kind" } else { "apiVersion" };
            self.neighbours.push(Neighbour::Unknown);
            return self.error(node, field, format!("{field} is not text"), "");
        };
        if (kind.is_empty() || api_version.is_empty()) && beside::is_kustomization(self.source.path, &kind) {
            return self.passed.count("Kustomization");
        }
        if kind.is_empty() {
            let help = format!("say what it is; kinds served are {}", kinds::served());
            self.neighbours.push(Neighbour::Unknown);
            return self.error(node, "", "the manifest has no kind", help);
        }
        if let Some(item) = kind.strip_suffix("List")
            && (node.get("items").is_some() || kinds::is_list(&api_version, item))
        {
            return self.list(node, if item.is_empty() { "" } else { &api_version }, item, &index);
        }
        if api_version.is_empty() {
            let known = Kind::from_name(&kind);
            let help = known.map(|known| format!("add apiVersion: {}", known.api_version())).unwrap_or_default();
            self.neighbours.extend(beside::neighbour(node, &kind, known));
            return self.error(node, "", format!("the {kind} has no apiVersion"), help);
        }
        match kinds::judge(&api_version, &kind) {
            KindVerdict::Served(kind) => {
                let version = OtherVersion::find(&api_version, kind.name());
                self.object(node, kind, version, index);
            }
            KindVerdict::NoPart if !kinds::is_built_in(&api_version) => {
                let named = (kinds::group_of(&api_version).to_owned(), kind.clone());
                let defined = self.defined.get(&named).copied();
                self.custom.insert(named);
                match defined {
                    Some(custom) => self.object(node, Kind::Custom(custom), None, index),
                    None => self.passed.count(&kinds::title(&api_version, &kind)),
                }
            }
            KindVerdict::NoPart => {
                self.passed.count(&kinds::title(&api_version, &kind));
                self.neighbours.extend(beside::neighbour(node, &kind, None));
            }
            KindVerdict::Removed(removed) => {
                let known = kinds::declarable(&kind);
                self.neighbours.extend(beside::neighbour(node, &kind, known));
                let help = removed.help(node) + &self.further(node, known);
                let severity = if kinds::is_in_names(&kind) { Severity::Error } else { Severity::Warning };
                self.tell(severity, node, "apiVersion", removed.message(&kind) + refused(severity), help);
            }
            KindVerdict::Wrong(wrong) => {
                self.neighbours.extend(beside::neighbour(node, &kind, wrong.meant));
                let help = wrong.help + &self.further(node, wrong.meant.filter(|_| wrong.field == "apiVersion"));
                let severity = if wrong.has_no_part { Severity::Warning } else { Severity::Error };
                self.tell(severity, node, wrong.field, wrong.message + refused(severity), help);
            }
        }
    }

    /// What would be said next of a document whose apiVersion was mended.
    fn further(&self, node: &YamlNode, kind: Option<Kind>) -> String {
        // What is wrong with the others is seen when they are written anew: here nothing is lost.
        let Some(kind) = kind.filter(|kind| kind.description().in_names) else { return String::new() };
        let mut mended = strip(node);
        if let YamlValue::Mapping(entries) = &mut mended.value {
            entries.retain(|(name, ..)| name != "apiVersion");
        }
        let mut errors: Vec<String> = match self.decode(kind, &mended) {
            Err(errors) => errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect(),
            Ok((mut object, _)) => {
                beside::complete_selector(&mut object);
                set_defaults(&mut object);
                validate(&object).iter().map(ToString::to_string).collect()
            }
        };
        errors.truncate(FURTHER_ERRORS_MAX);
        errors.iter().map(|error| format!("; then {error}")).collect()
    }

    fn list(&mut self, node: &YamlNode, api_version: &str, kind: &str, index: &[usize]) {
        if index.len() > MAX_LISTS {
            return self.error(node, "items", format!("lists are nested deeper than {MAX_LISTS}"), "");
        }
        match node.get("items").map(|items| &items.value) {
            Some(YamlValue::Sequence(items)) => {
                for (position, item) in items.iter().enumerate() {
                    self.document(item, api_version, kind, index.iter().copied().chain([position]).collect());
                }
            }
            Some(YamlValue::Null) | None => {}
            Some(_) => self.error(node, "items", "items is not a list", ""),
        }
    }

    fn object(&mut self, node: &YamlNode, kind: Kind, version: OtherVersionOf, index: Vec<usize>) {
        let before = self.objects.len();
        self.declare(node, kind, version, index);
        if kind.description().without_effect.is_some() {
            self.without_effect.count(kind.name());
        }
        if self.objects.len() == before || beside::has_template(kind) {
            self.neighbours.extend(beside::neighbour(node, kind.name(), Some(kind)));
        }
    }

    /// Takes a document of a kind that is served, if nothing is wrong with it.
    fn declare(&mut self, node: &YamlNode, kind: Kind, version: OtherVersionOf, index: Vec<usize>) {
        let named = name_in(node, kind);
        let has_name = yaml::find(node, "metadata.name").is_some_and(|name| name.as_str() != Some(""));
        if !has_name && yaml::find(node, "metadata.generateName").is_some() {
            let message = "generateName makes a new object every time; a manifest declares one that has a name";
            return self.error(node, "metadata.generateName", message, "set metadata.name instead");
        }
        let stripped = strip(node);
        // An edit has to see that null was written: it removes what a creation stores as the empty text.
        let filled = nulls::filled(kind, &stripped);
        let filled = filled.as_ref().unwrap_or(&stripped);
        let read = match octets::canonical(kind, filled) {
            Ok(read) => read,
            Err(broken) => {
                for (field, message) in broken {
                    self.error(node, &field, message, "write it in base64");
                }
                return;
            }
        };
        let (mut object, warnings) = match self.decode_version(kind, version, read.as_ref().unwrap_or(filled)) {
            Ok(decoded) => decoded,
            Err(errors) => return self.take(errors, &named),
        };
        self.take(warnings, &named);
        let says = match version {
            None => said(&stripped, object.to_json()),
            Some(version) => version.to_stored(said(&stripped, version.to_served(object.to_json()))),
        };
        if yaml::find(node, "spec.selector").is_some_and(|selector| matches!(selector.value, YamlValue::Mapping(_))) {
            mark_empty_selector(&mut object);
        }
        set_defaults(&mut object);
        let key = object.key();
        let (errors, untold) = validate_counted(&object);
        let broken = !errors.is_empty();
        let source = self.source;
        for FieldError { field, message } in errors {
            self.report.add(Severity::Error, || {
                let (place, width) = locate(node, &field, quoted(&message).as_deref());
                let diagnostic = Diagnostic::error(source.path, message).at(source.text, place, width);
                diagnostic.field(field).object(named.clone())
            });
        }
        self.report.count_errors(untold);
        if broken {
            return;
        }
        let (place, width) = (node.place, node.width.max(1));
        let written = beside::digest(&stripped);
        if self.is_declared_already(node, &key, written) {
            return;
        }
        self.seen.insert(key.clone(), (place, written));
        let inert = ignored_fields::fields(kind, node);
        let declaration = Declaration::new(object, says);
        self.objects.push(DeclaredObject {
            key,
            declaration,
            place,
            width,
            text: self.text.clone(),
            inert,
            written,
            index,
        });
    }

    /// Whether an object stands in the file before; what there is to say of it is said.
    fn is_declared_already(&mut self, node: &YamlNode, key: &ObjectKey, written: u64) -> bool {
        let Some((first, digest)) = self.seen.get(key) else { return false };
        let (line, same) = (first.line, *digest == written);
        let (place, width) = locate(node, "metadata.name", None);
        self.report.push(if same {
            let message = format!("{key} is declared in line {line} word for word the same");
            Diagnostic { place, ..Diagnostic::note(self.source.path, message) }
        } else {
            let message = format!("{key} is declared twice in this file, first in line {line}");
            Diagnostic::error(self.source.path, message)
                .at(self.source.text, place, width)
                .object(key.to_string())
                .help("remove one of the two, or give it another name")
        });
        true
    }

    /// Diagnostics of decoding, which know no object.
    fn take(&mut self, diagnostics: Vec<Diagnostic>, named: &str) {
        for diagnostic in diagnostics {
            self.report.push(if diagnostic.object.is_empty() { diagnostic.object(named) } else { diagnostic });
        }
    }

    fn decode(&self, kind: Kind, node: &YamlNode) -> Typed {
        let decoder = Decoder { source: self.source, node };
        with_stack_for(kind, || kind.visit(decoder))
            .unwrap_or_else(|error| Err(vec![Diagnostic::error(self.source.path, error.to_string())]))
    }

    /// Decodes a document of a version that is not stored, of which there is one that can be declared.
    fn decode_version(&self, kind: Kind, version: OtherVersionOf, node: &YamlNode) -> Typed {
        let Some(version) = version else { return self.decode(kind, node) };
        let (object, warnings) = yaml::decode::<v1::HorizontalPodAutoscaler>(self.source, node, UnknownFields::Warn)?;
        if has_error(&warnings) {
            return Err(warnings);
        }
        let stored = version.to_stored(serde_json::to_value(&object).unwrap_or_default());
        match Object::from_json(kind, stored) {
            Ok(object) => Ok((object, warnings)),
            Err(error) => Err(vec![Diagnostic::error(self.source.path, error.to_string())]),
        }
    }
}

/// What is said beside of a version that gives no names: here nothing is lost.
fn refused(severity: Severity) -> &'static str {
    if severity == Severity::Warning { ", so a cluster refuses it" } else { "" }
}

/// `PodDisruptionBudget web`, of a document of any kind; empty where it lacks kind or name.
fn titled(node: &YamlNode) -> String {
    let text = |path: &str| yaml::find(node, path).and_then(YamlNode::as_str).filter(|text| !text.is_empty());
    match (text("kind"), text("metadata.name")) {
        (Some(kind), Some(name)) => format!("{kind} {name}"),
        _ => String::new(),
    }
}

/// `StatefulSet default/web`, as far as the document says.
fn name_in(node: &YamlNode, kind: Kind) -> String {
    let text = |path: &str| yaml::find(node, path).and_then(YamlNode::as_str).unwrap_or_default().to_owned();
    let namespace = match text("metadata.namespace") {
        namespace if !namespace.is_empty() && kind.is_namespaced() => namespace,
        _ if kind.is_namespaced() => "default".to_owned(),
        _ => String::new(),
    };
    match text("metadata.name") {
        name if name.is_empty() => kind.name().to_owned(),
        name => ObjectKey::new(kind, namespace, name).to_string(),
    }
}

/// The document without what only an API server writes.
fn strip(node: &YamlNode) -> YamlNode {
    let mut node = node.clone();
    if let YamlValue::Mapping(entries) = &mut node.value {
        entries.retain(|(name, ..)| name != "status");
        // A list's items may come without; the type wants them or nothing.
        entries.retain(|(name, _, value)| !matches!(name.as_str(), "apiVersion" | "kind") || value.as_str().is_some());
        if let Some((_, _, YamlNode { value: YamlValue::Mapping(metadata), .. })) =
            entries.iter_mut().find(|(name, ..)| name == "metadata")
        {
            metadata.retain(|(name, ..)| !SET_BY_SERVER.contains(&name.as_str()));
        }
    }
    node
}

/// The version of a document, where it is another one than that which is stored.
type OtherVersionOf = Option<&'static OtherVersion>;

/// An object and warnings about it, or errors.
type Typed = Result<(Object, Vec<Diagnostic>), Vec<Diagnostic>>;

/// Reads a node as an object of a kind.
struct Decoder<'a> {
    source: SourceText<'a>,
    node: &'a YamlNode,
}

impl KindVisitor for Decoder<'_> {
    type Output = Typed;
    fn visit<T: DeserializeOwned + Into<Object>>(self) -> Typed {
        let (object, warnings) = yaml::decode::<T>(self.source, self.node, UnknownFields::Warn)?;
        if has_error(&warnings) { Err(warnings) } else { Ok((object.into(), warnings)) }
    }

    fn visit_custom(self, kind: CustomKind) -> Typed {
        // Of the contents nothing is known; the metadata is what it is everywhere.
        let warnings = match self.node.get("metadata") {
            Some(metadata) => yaml::decode::<ObjectMeta>(self.source, metadata, UnknownFields::Warn)
                .map(|(_, warnings)| warnings)
                .map_err(in_metadata)?,
            None => Vec::new(),
        };
        let object = Object::from_json(Kind::Custom(kind), self.node.to_json()).map_err(|error| {
            let diagnostic = Diagnostic::error(self.source.path, error.to_string());
            vec![diagnostic.at(self.source.text, self.node.place, self.node.width.max(1))]
        })?;
        Ok((object, in_metadata(warnings)))
    }
}

/// Diagnostics of the metadata, as parts of their object.
fn in_metadata(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    for diagnostic in &mut diagnostics {
        diagnostic.field = format!("metadata.{}", diagnostic.field).trim_end_matches('.').to_owned();
    }
    diagnostics
}
