//! One master file to a zone: directives, owners, TTLs, classes and types (RFC 1035 §5.1, RFC 2308 §4).

use super::{
    FILE_MAX, MISTAKES_MAX,
    entry::{Entries, Entry, ZoneFileWord},
    generate, octets, rdata,
};
use crate::{
    dns::{
        name::Name,
        wire::{TTL_MAX, rdata::RecordType},
    },
    text::diagnostic::{Diagnostic, Location, Severity},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Files included by one zone, however often.
const INCLUDES_MAX: usize = 64;
/// How deep included files may include others.
const DEPTH_MAX: usize = 8;
/// Records that `$GENERATE` makes for one zone.
const GENERATED_MAX: usize = 1 << 20;

/// Fetches a file that another one includes: its path and octets, or why it cannot be had.
pub(super) type Include<'i> = &'i mut dyn FnMut(&Path, &str) -> Result<(PathBuf, Vec<u8>), String>;

/// A record as it is written in the file.
#[derive(Debug)]
pub(super) struct FileRecord {
    pub owner: Name,
    pub rtype: RecordType,
    pub ttl: u32,
    pub rdata: Vec<u8>,
    pub place: Location,
    pub width: usize,
    /// The file it comes from, by its number among those read.
    pub source: usize,
}

/// The records of one file and of those that it includes, as they stand there.
pub(super) fn records(
    reader: &mut ZoneFileReader,
    path: &Path,
    octets: &[u8],
    include: Include<'_>,
) -> Vec<FileRecord> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let origin = stem.and_then(|stem| Name::parse(stem).ok());
    let state = State { origin, ..State::default() };
    let mut reading = FileReading { reader, state, records: Vec::new(), include, octets: 0, within: Vec::new() };
    reading.file(path, octets);
    reading.records
}

/// What is being read, and what is to be said about it.
#[derive(Default)]
pub(super) struct ZoneFileReader {
    /// Path and text of each file in the order in which they were begun.
    sources: Vec<(PathBuf, Arc<str>)>,
    /// With the number of the file.
    diagnostics: Vec<(usize, Diagnostic)>,
    /// How many errors and warnings there were, reported or not.
    errors: usize,
    warnings: usize,
}

/// What one record hands on to the next.
#[derive(Default)]
struct State {
    origin: Option<Name>,
    owner: Option<Name>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    /// How many records were generated.
    generated: usize,
    /// TTLs beyond what RFC 2181 allows, by the token that says so.
    excessive: Vec<(Location, usize)>,
}

impl ZoneFileReader {
    /// Whether no more errors are told.
    pub(super) fn is_full(&self) -> bool {
        self.errors >= MISTAKES_MAX
    }

    /// Whether there was any error.
    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    pub(super) fn error(&mut self, record: &FileRecord, message: &str, help: &str) {
        self.tell(Severity::Error, record.source, record.place, record.width, message, help);
    }

    pub(super) fn warn(&mut self, record: &FileRecord, message: &str, help: &str) {
        self.tell(Severity::Warning, record.source, record.place, record.width, message, help);
    }

    /// Says something about a place in a file, of which 0 is the one that includes all others.
    pub(super) fn tell(
        &mut self,
        severity: Severity,
        source: usize,
        place: Location,
        width: usize,
        message: &str,
        help: &str,
    ) {
        let count = if severity == Severity::Error { &mut self.errors } else { &mut self.warnings };
        *count += 1;
        if *count > MISTAKES_MAX {
            return;
        }
        let (path, text) = self.sources.get(source).map_or((Path::new(""), ""), |(path, text)| (path, &**text));
        let diagnostic = Diagnostic { severity, ..Diagnostic::error(path, message) };
        self.diagnostics.push((source, diagnostic.at(text, place, width).help(help)));
    }

    /// All that was said, by file and place, and of how much more nothing was said.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|(source, diagnostic)| (*source, diagnostic.place));
        let first = self.sources.first().map_or(PathBuf::new(), |(path, _)| path.clone());
        let mut diagnostics: Vec<_> = self.diagnostics.into_iter().map(|(_, diagnostic)| diagnostic).collect();
        if let Some(more) = self.errors.checked_sub(MISTAKES_MAX).filter(|more| *more > 0) {
            diagnostics.push(Diagnostic::error(&first, format!("and {more} more mistakes")));
        }
        if let Some(more) = self.warnings.checked_sub(MISTAKES_MAX).filter(|more| *more > 0) {
            diagnostics.push(Diagnostic::warning(&first, format!("and {more} more warnings")));
        }
        diagnostics
    }
}

/// A file and those it includes on the way to their records.
struct FileReading<'r, 'i> {
    reader: &'r mut ZoneFileReader,
    state: State,
    records: Vec<FileRecord>,
    include: Include<'i>,
    /// Octets of all files so far.
    octets: u64,
    /// The files that are being read, the innermost last.
    within: Vec<PathBuf>,
}

impl FileReading<'_, '_> {
    /// Reads one file.
    fn file(&mut self, path: &Path, octets: &[u8]) {
        let source = self.reader.sources.len();
        self.octets += octets.len() as u64;
        let text: Arc<str> = octets::text(octets).into();
        self.reader.sources.push((path.to_owned(), Arc::clone(&text)));
        self.within.push(path.to_owned());
        for entry in Entries::new(&text) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.reader.tell(Severity::Error, source, error.place, 1, error.message, error.help);
                    continue;
                }
            };
            match self.state.entry(&entry) {
                Ok(Line::Nothing) => {}
                Ok(Line::Record(record)) => self.take(source, [record]),
                Ok(Line::Generated(made)) => self.take(source, made),
                Ok(Line::Include(token, origin)) => self.included(path, source, token, origin),
                Err((token, message, help)) => {
                    let width = token.text.chars().count() + if token.quoted { 2 } else { 0 };
                    self.reader.tell(Severity::Error, source, token.place, width, &message, help);
                }
            }
            for (place, width) in std::mem::take(&mut self.state.excessive) {
                let message = format!("this TTL is greater than {TTL_MAX} and is taken for 0");
                self.reader.tell(Severity::Warning, source, place, width, &message, "RFC 2181 §8 allows no more");
            }
        }
        self.within.pop();
    }

    /// Keeps records, unless no zone can be made of them any more and no further error would be reported.
    fn take(&mut self, source: usize, records: impl IntoIterator<Item = FileRecord>) {
        if self.reader.is_full() {
            self.records = Vec::new();
        } else {
            self.records.extend(records.into_iter().map(|record| FileRecord { source, ..record }));
        }
    }

    /// Reads a file in place of the line that includes it; afterwards origin and owner are what they were before (RFC 1035
    /// §5.1).
    fn included(&mut self, path: &Path, source: usize, token: &ZoneFileWord<'_>, origin: Option<Name>) {
        let before = (self.state.origin.clone(), self.state.owner.clone());
        if origin.is_some() {
            self.state.origin = origin;
        }
        let outcome = if self.within.len() >= DEPTH_MAX {
            Err(format!("files include each other more than {DEPTH_MAX} deep"))
        } else if self.reader.sources.len() > INCLUDES_MAX {
            Err(format!("a zone includes at most {INCLUDES_MAX} files"))
        } else {
            (self.include)(path, token.text)
        };
        let outcome = outcome.and_then(|(path, octets)| {
            if self.within.contains(&path) {
                Err("it includes itself".to_owned())
            } else if self.octets + octets.len() as u64 > FILE_MAX {
                Err(format!("all files of a zone together have at most {FILE_MAX} octets"))
            } else {
                Ok((path, octets))
            }
        });
        match outcome {
            Ok((path, octets)) => self.file(&path, &octets),
            Err(message) => {
                let message = format!("`{}` cannot be included: {message}", rdata::shown(token.text));
                let help = "name a file beside this one, below the directory of zones";
                self.reader.tell(Severity::Error, source, token.place, token.text.chars().count(), &message, help);
            }
        }
        (self.state.origin, self.state.owner) = before;
    }
}

/// What an entry came to.
enum Line<'r, 't> {
    Nothing,
    Record(FileRecord),
    Generated(Vec<FileRecord>),
    /// The file's name, and the origin for it.
    Include(&'r ZoneFileWord<'t>, Option<Name>),
}

type Mistake<'r, 't> = (&'r ZoneFileWord<'t>, String, &'static str);

impl State {
    fn entry<'r, 't>(&mut self, entry: &'r Entry<'t>) -> Result<Line<'r, 't>, Mistake<'r, 't>> {
        let [first, rest @ ..] = &*entry.tokens else { return Ok(Line::Nothing) };
        if !entry.indented && !first.quoted && first.text.starts_with('$') {
            return self.directive(first, rest);
        }
        let fields = if entry.indented {
            &*entry.tokens
        } else {
            // A wrong owner must not give its records to the one before.
            self.owner = None;
            self.owner = Some(
                self.name(&ZoneFileWord { quoted: false, ..first.clone() })
                    .map_err(|(_, message, help)| (first, message, help))?,
            );
            rest
        };
        self.record(first, fields).map(Line::Record)
    }

    fn name<'r, 't>(&self, token: &'r ZoneFileWord<'t>) -> Result<Name, Mistake<'r, 't>> {
        let wrong = |message: String| (token, message, "");
        if token.quoted {
            return Err(wrong("a name stands without quotes".to_owned()));
        }
        match &self.origin {
            Some(origin) => rdata::name(token.text, origin),
            None if token.text.ends_with('.') => Name::parse(token.text),
            None => return Err((token, "a relative name without an origin".to_owned(), "put `$ORIGIN` before it")),
        }
        .map_err(|error| wrong(format!("`{}` is no name: {error}", rdata::shown(token.text))))
    }

    fn directive<'r, 't>(
        &mut self,
        first: &'r ZoneFileWord<'t>,
        rest: &'r [ZoneFileWord<'t>],
    ) -> Result<Line<'r, 't>, Mistake<'r, 't>> {
        let directive = first.text.to_ascii_uppercase();
        match (&*directive, rest) {
            ("$ORIGIN", [name]) => self.origin = Some(self.name(name)?),
            ("$TTL", [ttl]) => {
                let seconds = read_ttl(ttl)
                    .ok_or_else(|| (ttl, format!("`{}` is no TTL", rdata::shown(ttl.text)), "seconds, or 1h30m"))?;
                self.default_ttl = Some(self.bounded(ttl, seconds));
            }
            ("$INCLUDE", [file]) => return Ok(Line::Include(file, None)),
            ("$INCLUDE", [file, origin]) => return Ok(Line::Include(file, Some(self.name(origin)?))),
            ("$GENERATE", [range, template @ ..]) if template.len() > 2 => {
                return self.generate(range, template).map(Line::Generated);
            }
            ("$ORIGIN" | "$TTL", _) => {
                return Err((first, format!("{directive} is followed by one value"), ""));
            }
            ("$INCLUDE", _) => return Err((first, "$INCLUDE is followed by a file, and maybe an origin".into(), "")),
            ("$GENERATE", _) => {
                return Err((
                    first,
                    "$GENERATE is followed by a range and a record".into(),
                    "$GENERATE 1-9 a$ A 192.0.2.$",
                ));
            }
            _ => {
                let help = "there are $ORIGIN, $TTL, $INCLUDE and $GENERATE";
                return Err((first, format!("{} is no directive", rdata::shown(first.text)), help));
            }
        }
        Ok(Line::Nothing)
    }

    /// One record for each number of the range.
    fn generate<'r, 't>(
        &mut self,
        range: &'r ZoneFileWord<'t>,
        template: &'r [ZoneFileWord<'t>],
    ) -> Result<Vec<FileRecord>, Mistake<'r, 't>> {
        let mut made = Vec::new();
        for number in generate::range(range.text).map_err(|message| (range, message, ""))? {
            self.generated += 1;
            if self.generated > GENERATED_MAX {
                let message = format!("more than {GENERATED_MAX} records are generated in this zone");
                return Err((range, message, "take smaller ranges"));
            }
            let mut texts = Vec::with_capacity(template.len());
            for token in template {
                texts.push(generate::expand(token.text, number).map_err(|message| (token, message, ""))?);
            }
            // What quotes hold is read once more, which is how BIND takes rdata of several fields.
            let mut tokens = Vec::with_capacity(texts.len());
            for (index, (text, token)) in texts.iter().zip(template).enumerate() {
                if token.quoted && index > 0 {
                    for part in Entries::new(text) {
                        let part = part.map_err(|error| (token, error.message.to_owned(), error.help))?;
                        tokens.extend(part.tokens.into_iter().map(|part| ZoneFileWord { place: token.place, ..part }));
                    }
                } else {
                    tokens.push(ZoneFileWord { text, quoted: false, place: token.place });
                }
            }
            let entry = Entry { tokens, indented: false };
            match self.entry(&entry) {
                Ok(Line::Record(record)) => made.push(record),
                Ok(_) => return Err((range, "$GENERATE makes records only".to_owned(), "")),
                Err((wrong, message, help)) => {
                    let token = template.iter().find(|token| token.place == wrong.place).unwrap_or(range);
                    return Err((token, message, help));
                }
            }
        }
        Ok(made)
    }

    /// A TTL beyond the greatest one is taken for 0 (RFC 2181 §8).
    fn bounded(&mut self, token: &ZoneFileWord<'_>, ttl: u32) -> u32 {
        if ttl <= TTL_MAX {
            return ttl;
        }
        self.excessive.push((token.place, token.text.len()));
        0
    }

    fn record<'r, 't>(
        &mut self,
        first: &'r ZoneFileWord<'t>,
        fields: &'r [ZoneFileWord<'t>],
    ) -> Result<FileRecord, Mistake<'r, 't>> {
        let owner = self.owner.clone();
        let owner =
            owner.ok_or_else(|| (first, "a record without an owner".to_owned(), "begin the line with a name"))?;
        let (mut ttl, mut class) = (None, None);
        let mut rest = fields;
        let (rtype_token, rtype) = loop {
            let [token, after @ ..] = rest else {
                return Err((fields.last().unwrap_or(first), "the record's type is missing".to_owned(), ""));
            };
            rest = after;
            if ttl.is_none()
                && let Some(seconds) = read_ttl(token)
            {
                ttl = Some(self.bounded(token, seconds));
            } else if !token.quoted && class.is_none() && is_class(token.text) {
                class = Some(token);
            } else {
                break (token, record_type(token)?);
            }
        };
        if let Some(class) = class.filter(|class| !is_internet(class.text)) {
            return Err((class, format!("class {} is not served", rdata::shown(class.text)), "only IN is"));
        }
        if let Some((message, help)) = refused(rtype) {
            return Err((rtype_token, format!("{rtype} {message}"), help));
        }
        self.last_ttl = ttl.or(self.last_ttl);
        let ttl = ttl.or(self.default_ttl).or(self.last_ttl);
        let ttl = ttl.ok_or_else(|| (rtype_token, "the record has no TTL".to_owned(), "put `$TTL 300` at the top"))?;
        let root = Name::root();
        let origin = self.origin.as_ref().unwrap_or(&root);
        let rdata = rdata::parse(rtype, rest, origin)
            .map_err(|(token, message)| (token.or(rest.last()).unwrap_or(rtype_token), message, ""))?;
        Ok(FileRecord { owner, rtype, ttl, rdata, place: first.place, width: first.text.chars().count(), source: 0 })
    }
}

/// The type of a record. One that is not known here may well be one: it is said so, and how it can be written.
fn record_type<'r, 't>(token: &'r ZoneFileWord<'t>) -> Result<RecordType, Mistake<'r, 't>> {
    if let Some(rtype) = RecordType::parse(token.text).filter(|_| !token.quoted) {
        return Ok(rtype);
    }
    let text = rdata::shown(token.text);
    if token.text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err((token, format!("`{text}` is no TTL"), "seconds, or 1h30m; the type of the record follows it"));
    }
    let help = r"a type that is unknown here can be written by its number: TYPE65280 \# 2 ABCD";
    Err((token, format!("`{text}` is no record type known here"), help))
}

/// What cannot be served as a record, and why.
fn refused(rtype: RecordType) -> Option<(&'static str, &'static str)> {
    match rtype {
        RecordType::MD | RecordType::MF => Some(("is obsolete", "MX has taken its place")),
        rtype if rtype.is_meta() => Some(("is no type of a record", "")),
        _ => None,
    }
}

fn is_internet(class: &str) -> bool {
    class.eq_ignore_ascii_case("IN") || class.eq_ignore_ascii_case("CLASS1")
}

fn is_class(text: &str) -> bool {
    let generic = text.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("CLASS"))
        && text.len() > 5
        && text[5..].bytes().all(|octet| octet.is_ascii_digit());
    generic || ["IN", "CH", "CHAOS", "HS", "HESIOD", "CS", "NONE"].iter().any(|class| class.eq_ignore_ascii_case(text))
}

fn read_ttl(token: &ZoneFileWord<'_>) -> Option<u32> {
    rdata::seconds(token.text).filter(|_| !token.quoted)
}
