//! Master files as BIND reads them: what `named-compilezone` loads is loaded, to the same octets, and what it refuses is
//! refused; rows of every type, and lines that are made from them by chance.

mod lines;
use crate::support::have;
use headless_dns::{dns::zone::file, text::diagnostic::Diagnostic};
use lines::Lines;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

const HEAD: &str = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
/// The lines of the head.
const HEAD_LINES: usize = 4;
/// What BIND says of lines that it loads all the same.
const WARNINGS: &[&str] =
    &["signature has expired", "MAXTTL", "old style DNSSEC", "prior TTL", "inherited owner", "has no address records"];

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
fn compare(records: &[String], exactly: bool) -> Vec<String> {
    let file = |kept: &[usize]| {
        let mut text = HEAD.to_owned();
        for index in kept {
            text.push_str(&format!("a{index} {}\n", records[*index]));
        }
        text
    };
    // Some mistakes end BIND's reading, so that those after them are found only without them.
    let mut kept: Vec<usize> = (0..records.len()).collect();
    let mut refused: BTreeMap<usize, String> = BTreeMap::new();
    let mut loaded = loop {
        let (loaded, complaints) = bind(file(&kept).as_bytes());
        if let Some(loaded) = loaded {
            break loaded;
        }
        let before = refused.len();
        for (line, said) in &complaints {
            if let Some(index) = line.checked_sub(HEAD_LINES + 1).and_then(|at| kept.get(at)) {
                refused.insert(*index, said.clone());
            }
        }
        assert!(refused.len() > before, "BIND does not say which line it refuses: {complaints:?}");
        kept.retain(|index| !refused.contains_key(index));
    };
    let mut differences = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let owner = format!("a{index}");
        let (verdict, diagnostics) = ours(format!("{HEAD}{owner} {record}\n").as_bytes());
        let owner = [&[owner.len() as u8][..], owner.as_bytes(), b"\x07example\x03org\0"].concat();
        let theirs = loaded.remove(&owner).map(|sets| if exactly { sets } else { lower_case(sets) });
        let ours = verdict.map(|mut zone| zone.remove(&owner).unwrap_or_default());
        let ours = ours.map(|sets| if exactly { sets } else { lower_case(sets) });
        differences.extend(difference(record, ours, theirs, refused.get(&index), &diagnostics));
    }
    differences
}

fn difference<T: PartialEq + std::fmt::Debug>(
    text: &str,
    ours: Option<T>,
    theirs: Option<T>,
    refused: Option<&String>,
    diagnostics: &[Diagnostic],
) -> Option<String> {
    match (ours, refused) {
        (None, Some(_)) => None,
        (Some(_), Some(why)) => Some(format!("only BIND refuses `{text}`: {why}")),
        (None, None) => Some(format!("only we refuse `{text}`: {}", said(diagnostics))),
        (Some(ours), None) if Some(&ours) != theirs.as_ref() => {
            Some(format!("other octets of `{text}`: {ours:02x?}, BIND has {theirs:02x?}"))
        }
        (Some(_), None) => None,
    }
}

/// Names in rdata are kept in lower case here and as they are in BIND.
fn lower_case(sets: Sets) -> Sets {
    let lower = |set: Vec<Vec<u8>>| {
        let set: BTreeSet<Vec<u8>> = set.iter().map(|rdata| rdata.to_ascii_lowercase()).collect();
        set.into_iter().collect()
    };
    sets.into_iter().map(|(rtype, set)| (rtype, lower(set))).collect()
}

/// Compares a whole file.
fn compare_file(text: &[u8]) -> Option<String> {
    let lower_case = |zone: BTreeMap<Vec<u8>, Sets>| -> BTreeMap<Vec<u8>, Sets> {
        zone.into_iter().map(|(owner, sets)| (owner, lower_case(sets))).collect()
    };
    let ((ours, diagnostics), (theirs, complaints)) = (ours(text), bind(text));
    let why = theirs.is_none().then(|| format!("{complaints:?}"));
    let theirs = theirs.map(|zone| lower_case(without_soa(zone)));
    let text = String::from_utf8_lossy(text);
    let text = text.strip_prefix(HEAD).unwrap_or(&text);
    difference(text, ours.map(lower_case), theirs, why.as_ref(), &diagnostics)
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
    let rows: Vec<String> =
        rows.lines().filter(|row| !row.is_empty() && !row.starts_with("# ")).map(str::to_owned).collect();
    assert!(rows.len() > 400);
    check(compare(&rows, true));
}

#[test]
fn whole_files() {
    if !have(&["named-compilezone"]) {
        return;
    }
    let rows = include_str!("zone_oracle/files.txt");
    check(rows.split("\n----\n").filter_map(|row| compare_file(&file_of(row))).collect());
}

/// A file with these lines: marks stand for octets that the rows cannot hold, and all is in Latin-1, as many an editor has
/// written it.
fn file_of(row: &str) -> Vec<u8> {
    let text = row.replace("<CR>", "\r").replace("<01>", "\x01").replace("<00>", "\0");
    let text = format!("{HEAD}{}\n", text.replace("<LONG>", &"x".repeat(255)));
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}

/// What we load and BIND does not, and the other way round, each with its reason in `docs/zone-files.md`.
#[test]
fn meant_differences() {
    if !have(&["named-compilezone", "nsd-checkzone"]) {
        return;
    }
    for row in include_str!("zone_oracle/meant.txt").split("\n----\n") {
        let (who, text) = row.split_once('\n').unwrap();
        let file = file_of(text.trim_end());
        let (ours, bind) = (ours(&file).0.is_some(), bind(&file).0.is_some());
        let expected = match who {
            "ours" | "ours and NSD" => (true, false),
            "BIND" | "BIND, not NSD" => (false, true),
            other => panic!("{other}"),
        };
        assert_eq!((ours, bind), expected, "{row}");
        if who.contains("NSD") {
            assert_eq!(nsd(&file), !who.contains("not NSD"), "{row}");
        }
    }
}

/// Whether NSD loads a file.
fn nsd(text: &[u8]) -> bool {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("z"), text).unwrap();
    let output =
        Command::new("nsd-checkzone").current_dir(directory.path()).args(["example.org", "z"]).output().unwrap();
    output.status.success()
}

/// `ZONE_ORACLE_LINES` makes more of them, `ZONE_ORACLE_SEED` others.
#[test]
fn lines_made_by_chance() {
    if !have(&["named-compilezone"]) {
        return;
    }
    let number =
        |name: &str, otherwise: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let mut lines = Lines::new(number("ZONE_ORACLE_SEED", 11), include_str!("zone_oracle/records.txt"));
    let mut left = number("ZONE_ORACLE_LINES", 6_000) as usize;
    let mut differences = Vec::new();
    // What may swallow the lines after it stands in a file of its own, of which only so many are tried.
    let mut alone = left / 200;
    while left > 0 && differences.len() < 200 {
        let batch: Vec<String> = (0..left.min(10_000)).map(|_| lines.next()).collect();
        left -= batch.len();
        let (whole, open): (Vec<String>, Vec<String>) = batch.into_iter().partition(|line| lines::is_whole(line));
        differences.extend(compare(&whole, false));
        for line in open.iter().take(alone) {
            differences.extend(compare_file(format!("{HEAD}a {line}\n").as_bytes()));
        }
        alone = alone.saturating_sub(open.len());
    }
    differences.retain(|difference| !lines::is_known(difference));
    check(differences);
}
