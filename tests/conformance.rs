//! The tables of conformance name every line of the standard, and tests that are there.
#![expect(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The sections of the standard and how many lines each has.
const SECTIONS: [(char, u32); 18] = [
    ('A', 14),
    ('B', 11),
    ('C', 6),
    ('D', 8),
    ('E', 14),
    ('F', 27),
    ('G', 12),
    ('H', 13),
    ('I', 22),
    ('J', 17),
    ('K', 19),
    ('L', 12),
    ('M', 11),
    ('N', 21),
    ('O', 9),
    ('P', 5),
    ('Q', 7),
    ('Z', 13),
];

/// The sections of `docs/conformance-statefulset.md`; where there is a second table, the two must have all.
const OF_SETS: &str = "ABCDEFGHOPZ";

/// The table of DNS counts its lines through.
const DNS: &str = "conformance-dns.md";
const DNS_LINES: u32 = 283;

/// Short names that the tables use.
const SHORT: [(&str, &str); 14] = [
    ("rows", "src/dns/answer/tests/rows.rs"),
    ("packets", "src/dns/answer/tests/packets.rs"),
    ("sizes", "src/dns/answer/tests/sizes.rs"),
    ("any", "src/dns/answer/tests/any_input.rs"),
    ("names", "tests/control_plane/names.rs"),
    ("records", "src/control/records/tests.rs"),
    ("udp", "src/dns/serve/udp.rs"),
    ("tcp", "src/dns/serve/tcp.rs"),
    ("container", "tests/program/end_to_end.rs"),
    ("upstream", "tests/control_plane/upstream_statefulset.rs"),
    ("volumes", "tests/control_plane/upstream_volumes.rs"),
    ("rules", "tests/control_plane/statefulset_rules.rs"),
    ("traces", "tests/control_plane/traces/mod.rs"),
    ("plan", "src/control/controller/statefulset/scenarios.rs"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tables() -> BTreeMap<String, String> {
    let entries = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let is_table = |path: &PathBuf| {
        path.file_name().unwrap().to_str().is_some_and(|name| name.starts_with("conformance-") && name.ends_with(".md"))
    };
    entries.filter(is_table).map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// The first cell of a table's row, if it is the name of a line; those of the table of DNS have no letter.
fn line_of(row: &str) -> Option<(char, u32)> {
    let cell = row.strip_prefix('|')?.split('|').next()?.trim();
    if let Ok(number) = cell.parse() {
        return Some((' ', number));
    }
    let letter = cell.chars().next().filter(char::is_ascii_uppercase)?;
    Some((letter, cell[1..].parse().ok()?))
}

#[test]
fn every_line_of_the_standard_has_its_row() {
    let mut tables = tables();
    tables.retain(|path, _| !path.ends_with(DNS));
    assert!(!tables.is_empty());
    let mut told: Vec<(char, u32)> = tables.values().flat_map(|text| text.lines().filter_map(line_of)).collect();
    let all = SECTIONS.iter().filter(|(section, _)| tables.len() > 1 || OF_SETS.contains(*section));
    let all: BTreeSet<(char, u32)> =
        all.flat_map(|&(section, count)| (1..=count).map(move |line| (section, line))).collect();
    let once: BTreeSet<(char, u32)> = told.iter().copied().collect();
    let missing: Vec<_> = all.difference(&once).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
    let unknown: Vec<_> = once.difference(&all).collect();
    assert!(unknown.is_empty(), "rows for {unknown:?}, which the standard does not have");
    told.sort_unstable();
    assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "a line has two rows");
}

#[test]
fn every_line_of_dns_has_its_row() {
    let text = fs::read_to_string(root().join("docs").join(DNS)).unwrap();
    let told: Vec<(char, u32)> = text.lines().filter_map(line_of).collect();
    let all: Vec<(char, u32)> = (1..=DNS_LINES).map(|line| (' ', line)).collect();
    assert_eq!(told, all, "the rows are not 1 to {DNS_LINES}, each once and in order");
    // A line without a test is a choice that leaves nothing to test, or says that it is not done.
    for row in text.lines().filter(|row| line_of(row).is_some() && row.ends_with("| — |")) {
        let told = ["| choice: ", "| nothing to do ", "| not done: ", "| not tested: "]
            .iter()
            .any(|reason| row.contains(reason));
        assert!(told, "no test and no reason: {row}");
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    let mut named = 0;
    for (table, text) in tables() {
        for row in text.lines().filter(|row| line_of(row).is_some()) {
            let proofs = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
            let tests: Vec<&str> = proofs.split('`').skip(1).step_by(2).collect();
            assert!(!tests.is_empty() || proofs.trim() == "—", "{table}: no test in {row}");
            for test in tests {
                check_named(&table, test);
                named += 1;
            }
        }
    }
    assert!(named > 100, "only {named} tests are named");
}

/// Checks that a test is there, which a table names as `file::name`.
fn check_named(table: &str, test: &str) {
    let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{table}: {test} is no file::name"));
    let path = SHORT.iter().find(|(short, _)| *short == file).map_or(file, |(_, path)| path);
    let source = fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{table}: no {path}"));
    assert!(declares(&source, name), "{table}: {path} has no test {name}");
}

/// Each limit names the test that meets it, or says why there is none.
#[test]
fn every_limit_has_its_test() {
    let text = fs::read_to_string(root().join("docs/limits.md")).unwrap();
    let (mut limits, mut has_tests) = (0, false);
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        match (line.starts_with('|'), *cells.last().unwrap()) {
            (false, _) => has_tests = false,
            (true, "Test") => has_tests = true,
            (true, last) if has_tests && !line.starts_with("|---") => {
                let tests: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
                assert!(!tests.is_empty() || last.starts_with("none: "), "limits.md: no test in {line}");
                tests.iter().for_each(|test| check_named("limits.md", test));
                limits += 1;
            }
            _ => {}
        }
    }
    assert!(limits > 50, "only {limits} limits are read");
}

/// Whether a source has this test: a function with its attribute, or a line of a macro that makes one of each.
fn declares(source: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let mut lines = source.lines().map(str::trim).peekable();
    let mut before = "";
    while let Some(line) = lines.next() {
        if line.trim_start_matches("async ").starts_with(&function) && before.starts_with("#[") {
            return true;
        }
        // `name "what upstream calls it"`, the string perhaps on the next line.
        if let Some(rest) = line.strip_prefix(name)
            && (rest.starts_with(" \"") || rest.is_empty() && lines.peek().is_some_and(|next| next.starts_with('"')))
        {
            return true;
        }
        before = line;
    }
    false
}

#[test]
fn declarations_are_read_correctly() {
    let source =
        "#[test]\nfn one() {\n}\nfn helper() {}\nstories! {\n  two \"Two\" \"\n => \"\n  three\n  \"Three\" \"\" }\n";
    for (name, expected) in
        [("one", true), ("two", true), ("three", true), ("helper", false), ("on", false), ("four", false)]
    {
        assert_eq!(declares(source, name), expected, "{name}");
    }
    for (row, expected) in [
        ("| A12 | x | `y` |", Some(('A', 12))),
        ("| 12 | x | `y` |", Some((' ', 12))),
        ("| Line | a |", None),
        ("A1", None),
        ("|---|---|", None),
    ] {
        assert_eq!(line_of(row), expected, "{row}");
    }
}
