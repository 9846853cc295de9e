//! Master files as BIND reads them: what `named-compilezone` loads is loaded, to the same octets, and what it refuses is
//! refused; rows of every type, and lines that are made from them by chance.
#![allow(clippy::unwrap_used)]

#[path = "zone_oracle/lines.rs"]
mod lines;
mod support;

use headless_dns::{diagnostic::Diagnostic, zone::file};
use lines::Lines;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};
use support::have;

const HEAD: &str = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
/// The lines of the head.
const HEAD_LINES: usize = 4;
/// What BIND says of lines that it loads all the same.
const WARNINGS: &[&str] = &["signature has expired", "MAXTTL", "old style DNSSEC", "prior TTL", "inherited owner", "has no address records"];

/// Type number and sorted rdata of each set of a name.
type Sets = BTreeMap<u16, Vec<Vec<u8>>>;

/// What a server makes of one text: its sets by owner, in wire form, or nothing if it refuses it.
type Verdict = Option<BTreeMap<Vec<u8>, Sets>>;

/// Ours, of a whole file.
fn ours(text: &[u8]) -> (Verdict, Vec<Diagnostic>) {
    let (zone, diagnostics) = file::read(Path::new("example.org.zone"), text, &[]);
    let zone = zone.map(|zone| {
        let mut owners: BTreeMap<Vec<u8>, Sets> = BTreeMap::new();
        for (owner, set) in zone.records() {
            let mut rdata: Vec<Vec<u8>> = set.rdata().map(<[u8]>::to_vec).collect();
            rdata.sort();
            owners.entry(owner.as_wire().to_vec()).or_default().insert(set.rtype().0, rdata);
        }
        owners
    });
    (zone, diagnostics)
}

/// BIND's, of a whole file, and the lines that it complains of with what it says.
fn bind(text: &[u8]) -> (Verdict, BTreeMap<usize, String>) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("z"), text).unwrap();
    let options = ["-i", "none", "-k", "ignore", "-m", "ignore", "-M", "ignore", "-n", "ignore", "-r", "ignore"];
    let output = Command::new("named-compilezone")
        .current_dir(directory.path())
        .args(options)
        .args(["-S", "ignore", "-W", "ignore", "-F", "raw=1", "-o", "raw", "example.org", "z"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
    let mut complaints = BTreeMap::new();
    for line in said.lines().filter(|line| !WARNINGS.iter().any(|warning| line.contains(warning))) {
        let Some((_, rest)) = line.split_once("z:") else { continue };
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if let Ok(number) = number.parse() {
            complaints.entry(number).or_insert_with(|| rest.to_owned());
        }
    }
    if !output.status.success() {
        complaints.entry(0).or_insert(said);
        return (None, complaints);
    }
    (Some(raw(&std::fs::read(directory.path().join("raw")).unwrap())), complaints)
}

/// BIND's raw form of a zone: a head of 24 octets, then sets.
fn raw(octets: &[u8]) -> BTreeMap<Vec<u8>, Sets> {
    let u16_at = |at: usize| u16::from_be_bytes(octets[at..at + 2].try_into().unwrap());
    let u32_at = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap()) as usize;
    let mut owners: BTreeMap<Vec<u8>, Sets> = BTreeMap::new();
    let mut start = 24;
    while start < octets.len() {
        let (length, rtype, count) = (u32_at(start), u16_at(start + 6), u32_at(start + 14));
        let owner_end = start + 20 + usize::from(u16_at(start + 18));
        let owner = octets[start + 20..owner_end].to_ascii_lowercase();
        let mut at = owner_end;
        let set = owners.entry(owner).or_default().entry(rtype).or_default();
        for _ in 0..count {
            let end = at + 2 + usize::from(u16_at(at));
            set.push(octets[at + 2..end].to_vec());
            at = end;
        }
        set.sort();
        assert_eq!(at, start + length, "the raw form is read as it is written");
        start += length;
    }
    owners
}

/// The sets besides the SOA, which has no part in [`file::StaticZone::records`].
fn without_soa(mut owners: BTreeMap<Vec<u8>, Sets>) -> BTreeMap<Vec<u8>, Sets> {
    for sets in owners.values_mut() {
        sets.remove(&6);
    }
    owners.retain(|_, sets| !sets.is_empty());
    owners
}

fn said(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|told| format!("{}; ", told.message)).collect()
}

/// Compares records, each on one line without its owner, all in one file for BIND and each in its own for us. Returns the
/// differences.
fn compare(records: &[String]) -> Vec<String> {
    let file = |kept: &BTreeSet<usize>| {
        let mut text = HEAD.to_owned();
        for index in kept {
            text.push_str(&format!("a{index} {}\n", records[*index]));
        }
        text
    };
    let all: BTreeSet<usize> = (0..records.len()).collect();
    let (_, complaints) = bind(file(&all).as_bytes());
    let refused = |index: &usize| complaints.get(&(index + HEAD_LINES + 1));
    let kept: BTreeSet<usize> = all.iter().copied().filter(|index| refused(index).is_none()).collect();
    let (loaded, complaints_again) = bind(file(&kept).as_bytes());
    let mut loaded = loaded.unwrap_or_else(|| panic!("BIND loads what it did not complain of: {complaints_again:?}"));
    let mut differences = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let (verdict, diagnostics) = ours(format!("{HEAD}a{index} {record}\n").as_bytes());
        let owner = format!("a{index}");
        let owner = [&[owner.len() as u8][..], owner.as_bytes(), b"\x07example\x03org\0"].concat();
        let theirs = loaded.remove(&owner);
        let ours = verdict.map(|mut zone| zone.remove(&owner).unwrap_or_default());
        match (&ours, refused(&index)) {
            (None, Some(_)) => {}
            (Some(_), Some(why)) => differences.push(format!("only BIND refuses `{record}`: {why}")),
            (None, None) => differences.push(format!("only we refuse `{record}`: {}", said(&diagnostics))),
            (Some(ours), None) if Some(ours) != theirs.as_ref() => {
                differences.push(format!("other octets of `{record}`: {ours:02x?}, BIND has {theirs:02x?}"));
            }
            (Some(_), None) => {}
        }
    }
    differences
}

fn check(differences: Vec<String>) {
    let shown = differences.iter().take(40).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences\n{shown}", differences.len());
}

#[test]
fn records_of_every_type() {
    if !have(&["named-compilezone"]) {
        return;
    }
    let rows = include_str!("zone_oracle/records.txt");
    let rows: Vec<String> = rows.lines().filter(|row| !row.is_empty() && !row.starts_with("# ")).map(str::to_owned).collect();
    assert!(rows.len() > 400);
    check(compare(&rows));
}

#[test]
fn whole_files() {
    if !have(&["named-compilezone"]) {
        return;
    }
    let rows = include_str!("zone_oracle/files.txt");
    let mut differences = Vec::new();
    for row in rows.split("\n----\n").filter(|row| !row.is_empty()) {
        let text = format!("{HEAD}{row}\n").replace("<CR>", "\r").replace("<01>", "\x01").replace("<00>", "\0");
        let text = text.replace("<LONG>", &"x".repeat(255));
        // Latin-1, as many an editor has written.
        let text: Vec<u8> = text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect();
        let ((ours, diagnostics), (theirs, complaints)) = (ours(&text), bind(&text));
        match (ours, theirs) {
            (None, None) => {}
            (Some(ours), Some(theirs)) if ours == without_soa(theirs.clone()) => {}
            (Some(ours), Some(theirs)) => {
                differences.push(format!("other records of `{row}`:\n{ours:02x?}, BIND has\n{:02x?}", without_soa(theirs)));
            }
            (Some(_), None) => differences.push(format!("only BIND refuses `{row}`: {complaints:?}")),
            (None, Some(_)) => differences.push(format!("only we refuse `{row}`: {}", said(&diagnostics))),
        }
    }
    check(differences);
}

/// `ZONE_ORACLE_LINES` makes more of them, `ZONE_ORACLE_SEED` others.
#[test]
fn lines_made_by_chance() {
    if !have(&["named-compilezone"]) {
        return;
    }
    let number = |name: &str, otherwise: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let mut lines = Lines::new(number("ZONE_ORACLE_SEED", 11), include_str!("zone_oracle/records.txt"));
    let mut left = number("ZONE_ORACLE_LINES", 20_000) as usize;
    let mut differences = Vec::new();
    while left > 0 && differences.len() < 200 {
        let batch: Vec<String> = (0..left.min(10_000)).map(|_| lines.next()).collect();
        differences.extend(compare(&batch));
        left -= batch.len();
    }
    differences.retain(|difference| !lines::is_known(difference));
    check(differences);
}
