//! One master file to a zone: directives, owners, TTLs, classes and types (RFC 1035 §5.1, RFC 2308 §4).

use super::{
    Contents, MISTAKES_MAX, StaticZone, check,
    entry::{Entries, Entry, Token},
    rdata,
};
use crate::{
    diagnostic::{Diagnostic, Place, Severity},
    name::Name,
    wire::{TTL_MAX, rdata::RecordType},
    zone::Rrset,
};
use hickory_proto::serialize::txt::parse_ttl;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// A record as it stands in the file.
#[derive(Debug)]
pub(super) struct Record {
    pub owner: Name,
    pub rtype: RecordType,
    pub ttl: u32,
    pub rdata: Vec<u8>,
    pub place: Place,
    pub width: usize,
}

/// Reads one file. Relative names before the first `$ORIGIN` lie below the name that the file has without `.zone`.
/// There is no zone if there is any error; apexes in `built_in` are those of zones the file's records are laid beneath.
pub fn read(path: &Path, octets: &[u8], built_in: &[Name]) -> (Option<StaticZone>, Vec<Diagnostic>) {
    let mut reader = Reader { path, lines: Vec::new(), diagnostics: Vec::new() };
    let text = match std::str::from_utf8(octets) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let before = &octets[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|&&octet| octet == b'\n').count();
            let place = Place { line, column: 1 };
            reader.tell(Severity::Error, place, 1, "the file is not in UTF-8", r"write other octets as `\DDD`");
            return (None, reader.diagnostics);
        }
    };
    reader.lines = text.lines().collect();
    let records = reader.records(text);
    let zone = check::zone(&mut reader, &records, built_in);
    let broken = reader.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    let zone = zone.filter(|_| !broken).map(|soa| assemble(&records, soa));
    reader.diagnostics.sort_by_key(|diagnostic| diagnostic.place);
    (zone, reader.diagnostics)
}

fn assemble(records: &[Record], soa: &Record) -> StaticZone {
    /// TTL and rdata.
    type Set = (u32, Vec<Vec<u8>>);
    let mut sets: BTreeMap<(&Name, RecordType), Set> = BTreeMap::new();
    for record in records.iter().filter(|record| record.rtype != RecordType::SOA) {
        let set = sets.entry((&record.owner, record.rtype)).or_insert((record.ttl, Vec::new()));
        // One TTL per set (RFC 2181 §5.2).
        set.0 = set.0.min(record.ttl);
        set.1.push(record.rdata.clone());
    }
    let sets = sets.into_iter().map(|((owner, rtype), (ttl, rdata))| (owner.clone(), Rrset::new(rtype, ttl, rdata)));
    StaticZone(Arc::new(Contents {
        origin: soa.owner.clone(),
        soa_ttl: soa.ttl,
        soa_rdata: soa.rdata.clone(),
        records: sets.collect(),
    }))
}

/// A file being read, and what is to be said about it.
pub(super) struct Reader<'f> {
    path: &'f Path,
    lines: Vec<&'f str>,
    diagnostics: Vec<Diagnostic>,
}

/// What one record hands on to the next.
struct State {
    origin: Option<Name>,
    owner: Option<Name>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
}

impl Reader<'_> {
    pub(super) fn error(&mut self, record: &Record, message: &str, help: &str) {
        self.tell(Severity::Error, record.place, record.width, message, help);
    }

    pub(super) fn warn(&mut self, record: &Record, message: &str, help: &str) {
        self.tell(Severity::Warning, record.place, record.width, message, help);
    }

    pub(super) fn tell(&mut self, severity: Severity, place: Place, width: usize, message: &str, help: &str) {
        if self.diagnostics.len() >= MISTAKES_MAX {
            return;
        }
        self.diagnostics.push(Diagnostic {
            severity,
            file: self.path.to_owned(),
            place,
            width: width.max(1),
            object: String::new(),
            field: String::new(),
            message: message.to_owned(),
            help: help.to_owned(),
            kept: String::new(),
            source_line: self.lines.get(place.line.wrapping_sub(1)).copied().unwrap_or_default().to_owned(),
        });
    }

    fn records(&mut self, text: &str) -> Vec<Record> {
        let stem = self.path.file_stem().and_then(|stem| stem.to_str());
        let origin = stem.and_then(|stem| Name::parse(stem).ok());
        let mut state = State { origin, owner: None, default_ttl: None, last_ttl: None };
        let mut records = Vec::new();
        for entry in Entries::new(text) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.tell(Severity::Error, error.place, 1, error.message, error.help);
                    continue;
                }
            };
            match state.entry(&entry) {
                Ok(record) => records.extend(record),
                Err((token, message, help)) => {
                    let width = token.text.chars().count() + if token.quoted { 2 } else { 0 };
                    self.tell(Severity::Error, token.place, width, &message, help);
                }
            }
        }
        records
    }
}

type Mistake<'r, 't> = (&'r Token<'t>, String, &'static str);

impl State {
    fn entry<'r, 't>(&mut self, entry: &'r Entry<'t>) -> Result<Option<Record>, Mistake<'r, 't>> {
        let [first, rest @ ..] = &*entry.tokens else { return Ok(None) };
        if !entry.indented && !first.quoted && first.text.starts_with('$') {
            return self.directive(first, rest).map(|()| None);
        }
        let fields = if entry.indented {
            &*entry.tokens
        } else {
            // A wrong owner must not give its records to the one before.
            self.owner = None;
            self.owner = Some(self.name(first)?);
            rest
        };
        self.record(first, fields).map(Some)
    }

    fn name<'r, 't>(&self, token: &'r Token<'t>) -> Result<Name, Mistake<'r, 't>> {
        let wrong = |message: String| (token, message, "");
        if token.quoted {
            return Err(wrong("a name stands without quotes".to_owned()));
        }
        match &self.origin {
            Some(origin) => Name::parse_below(token.text, origin),
            None if token.text.ends_with('.') => Name::parse(token.text),
            None => return Err((token, "a relative name without an origin".to_owned(), "put `$ORIGIN` before it")),
        }
        .map_err(|error| wrong(format!("`{}` is no name: {error}", token.text)))
    }

    fn directive<'r, 't>(&mut self, first: &'r Token<'t>, rest: &'r [Token<'t>]) -> Result<(), Mistake<'r, 't>> {
        let directive = first.text.to_ascii_uppercase();
        match (&*directive, rest) {
            ("$ORIGIN", [name]) => self.origin = Some(self.name(name)?),
            ("$TTL", [ttl]) => self.default_ttl = Some(read_ttl(ttl)?),
            ("$ORIGIN" | "$TTL", _) => {
                return Err((first, format!("{directive} is followed by one value"), ""));
            }
            ("$INCLUDE" | "$GENERATE", _) => {
                let message = format!("{directive} is not supported");
                return Err((first, message, "write the records into this file"));
            }
            _ => return Err((first, format!("{} is no directive", first.text), "there are $ORIGIN and $TTL")),
        }
        Ok(())
    }

    fn record<'r, 't>(&mut self, first: &'r Token<'t>, fields: &'r [Token<'t>]) -> Result<Record, Mistake<'r, 't>> {
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
            if !token.quoted && ttl.is_none() && token.text.starts_with(|first: char| first.is_ascii_digit()) {
                ttl = Some(read_ttl(token)?);
            } else if !token.quoted && class.is_none() && is_class(token.text) {
                class = Some(token);
            } else {
                let unknown = || (token, format!("`{}` is no record type", token.text), "");
                break (token, RecordType::parse(token.text).filter(|_| !token.quoted).ok_or_else(unknown)?);
            }
        };
        if let Some(class) = class.filter(|class| !is_internet(class.text)) {
            return Err((class, format!("class {} is not served", class.text), "only IN is"));
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
        Ok(Record { owner, rtype, ttl, rdata, place: first.place, width: first.text.chars().count() })
    }
}

/// What cannot be served as a record, and why.
fn refused(rtype: RecordType) -> Option<(&'static str, &'static str)> {
    match rtype {
        RecordType::DNAME => Some(("is not supported", "give each name below it a CNAME")),
        RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3 | RecordType::NSEC3PARAM => {
            Some(("belongs to a signed zone, which is not supported", "give the file before it was signed"))
        }
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
    generic || ["IN", "CH", "HS", "CS", "NONE"].iter().any(|class| class.eq_ignore_ascii_case(text))
}

fn read_ttl<'r, 't>(token: &'r Token<'t>) -> Result<u32, Mistake<'r, 't>> {
    let ttl = parse_ttl(token.text).map_err(|_| (token, format!("`{}` is no TTL", token.text), "seconds, or 1h30m"))?;
    if ttl > TTL_MAX {
        return Err((token, format!("the TTL {ttl} is greater than {TTL_MAX}"), "RFC 2181 §8 allows no more"));
    }
    Ok(ttl)
}
