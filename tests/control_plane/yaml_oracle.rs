//! What kubectl makes of a file, we make of it: the same files are refused, and the others hold the same values.
//!
//! Files are rows, made from a grammar, and mutated. One run of kubectl reads a directory full of them: behind each file
//! stands one with a mark, so that it is known which objects came from where. With HEADLESS_DNS_YAML_CASES=N so many files
//! are made (of other seeds than by default), with HEADLESS_DNS_YAML_CORPUS=DIRECTORY the YAML and JSON files below
//! it are read as well.
//!
//! Where the two differ on purpose, [`DIFFERENCES`] says so, and docs/yaml.md to users.

use fastrand::Rng;
use headless_dns::text::{
    diagnostic::has_error,
    yaml::{self, SourceText},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Files of one run of kubectl.
const BATCH: usize = 500;
/// Files that are made in a usual run of the test.
const CASES: usize = 2_000;
/// What every object begins with.
const HEAD: &str = "apiVersion: v1\nkind: F\nmetadata: {name: a}\n";

/// What a reader makes of a file.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    /// It is no YAML, for this reason.
    Refused(String),
    /// It is YAML and no object, for this reason: no verdict about YAML.
    NoObject(String),
    Objects(Vec<Value>),
}

/// A way in which the two readers differ on purpose.
struct Difference {
    what: &'static str,
    /// Whether a file and the outcomes (ours, then kubectl's) are an instance of it.
    is: fn(&str, &Outcome, &Outcome) -> bool,
}

/// We read the file, or more of it, where kubectl does not.
fn we_read_more(ours: &Outcome, theirs: &Outcome) -> bool {
    match (ours, theirs) {
        (Outcome::Objects(_), Outcome::Refused(_)) => true,
        (Outcome::Objects(ours), Outcome::Objects(theirs)) => ours.len() > theirs.len(),
        _ => false,
    }
}

/// We refuse a file of which kubectl passes over a part.
fn we_are_loud(ours: &Outcome, theirs: &Outcome) -> bool {
    matches!((ours, theirs), (Outcome::Refused(_), Outcome::Objects(_) | Outcome::NoObject(_)))
}

const DIFFERENCES: [Difference; 10] = [
    Difference {
        what: "a document in brackets at the beginning may be YAML, and is read as JSON is",
        is: |text, ours, theirs| {
            let begins = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', '-']).starts_with(['{', '[']);
            begins && (we_read_more(ours, theirs) || we_are_loud(ours, theirs))
        },
    },
    Difference {
        what: "what stands behind `---` in its line is read",
        is: |_, ours, theirs| {
            we_read_more(ours, theirs)
                && matches!(theirs, Outcome::Refused(why) if why.contains("invalid Yaml document separator"))
        },
    },
    Difference {
        what: "directives are read",
        is: |text, ours, theirs| {
            text.lines().any(|line| line.starts_with('%')) && (we_read_more(ours, theirs) || we_are_loud(ours, theirs))
        },
    },
    Difference {
        what: "a document behind `...` is read, or told to be none",
        is: |text, ours, theirs| {
            text.split(['\n', '\r']).any(|line| line.trim_end() == "..." || line.starts_with("... "))
                && (we_read_more(ours, theirs) || we_are_loud(ours, theirs))
        },
    },
    Difference {
        what: "`---` behind the end of a line that is no line feed begins a document",
        is: |text, ours, theirs| {
            let old = ["\r---", "\u{85}---", "\u{2028}---", "\u{2029}---"];
            old.iter().any(|old| text.contains(old)) && (we_read_more(ours, theirs) || we_are_loud(ours, theirs))
        },
    },
    Difference {
        what: "what comes after the end of a document is refused, not passed over",
        is: |_, ours, theirs| {
            we_are_loud(ours, theirs)
                && matches!(ours, Outcome::Refused(why) if why.contains("fits none of the lines above")
                    || why.contains("neither `key: value`") || why.contains("a second document begins here") || why.contains("behind the end of the document")
                    || why.contains("behind the closing quote"))
        },
    },
    Difference {
        what: "a byte order mark before `---` is skipped, within a document it is refused",
        is: |text, ours, theirs| text.contains('\u{feff}') && (we_read_more(ours, theirs) || we_are_loud(ours, theirs)),
    },
    Difference {
        what: "octets that are no UTF-8 are refused, not replaced",
        is: |_, ours, theirs| {
            we_are_loud(ours, theirs) && matches!(ours, Outcome::Refused(why) if why.contains("is not UTF-"))
        },
    },
    Difference {
        what: "limits of depth and of aliases differ",
        is: |_, ours, theirs| {
            let is_limit = |outcome: &Outcome| {
                matches!(outcome, Outcome::Refused(why) if why.contains("nested more than") || why.contains("aliases of this document")
                    || why.contains("excessive aliasing"))
            };
            is_limit(ours) || is_limit(theirs)
        },
    },
    Difference {
        what: "of a number and a text that are the same key, kubectl takes either",
        is: |text, ours, theirs| {
            let (nodes, found) = yaml::parse(SourceText { path: Path::new("x"), text });
            !nodes.is_empty()
                && found.iter().any(|one| one.message.contains("stands twice"))
                && matches!((ours, theirs), (Outcome::Objects(_), Outcome::Objects(_)))
                && has_keys_that_are_no_text(text)
        },
    },
];

/// Whether keys may be numbers or booleans, which kubectl tells apart from their text until it is too late.
fn has_keys_that_are_no_text(text: &str) -> bool {
    ["1:", "2:", "0x1:", "1.5:", "y:", "true:", "no:", "1 :", "0:"].iter().any(|key| text.contains(key))
}

fn ours(octets: &[u8]) -> Outcome {
    let path = Path::new("x");
    let text = match yaml::text(path, octets) {
        Ok(text) => text,
        Err(error) => return Outcome::Refused(error.message),
    };
    let (nodes, found) = yaml::parse(SourceText { path, text: &text });
    if has_error(&found) {
        let all: Vec<String> = found.iter().map(ToString::to_string).collect();
        return Outcome::Refused(all.join("; "));
    }
    Outcome::Objects(nodes.iter().map(|node| node.to_json()).collect())
}

/// What kubectl makes of each file.
fn theirs(files: &[Vec<u8>]) -> Vec<Outcome> {
    let directory = tempfile::tempdir().unwrap();
    for (index, octets) in files.iter().enumerate() {
        fs::write(directory.path().join(format!("{index:05}-a.yaml")), octets).unwrap();
        let mark = format!("apiVersion: v1\nkind: Mark\nmetadata: {{name: end-{index}}}\n");
        fs::write(directory.path().join(format!("{index:05}-b.yaml")), mark).unwrap();
    }
    let output = Command::new("kubectl")
        .args(["annotate", "--local", "--dry-run=client", "--overwrite", "-o", "json", "x=y", "-f"])
        .arg(directory.path())
        .env("KUBECONFIG", "/dev/null")
        .output()
        .unwrap();
    let (printed, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut errors: BTreeMap<usize, String> = BTreeMap::new();
    let place = format!("{}/", directory.path().display());
    for line in told.lines() {
        if let Some(index) = line.split(&place).nth(1).and_then(|rest| rest.get(..5)?.parse().ok()) {
            errors.entry(index).or_insert_with(|| line.replace(&place, ""));
        }
    }
    let mut outcomes = Vec::new();
    let mut objects = Vec::new();
    for object in serde_json::Deserializer::from_str(&printed).into_iter::<Value>() {
        let object = object.unwrap_or_else(|error| panic!("kubectl printed no JSON: {error}\n{printed}"));
        if object["kind"] != "Mark" {
            objects.push(object);
            continue;
        }
        let objects = std::mem::take(&mut objects);
        outcomes.push(match errors.get(&outcomes.len()) {
            None => Outcome::Objects(objects),
            Some(why) if why.contains("error parsing") => Outcome::Refused(why.clone()),
            Some(why) => Outcome::NoObject(why.clone()),
        });
    }
    assert_eq!(outcomes.len(), files.len(), "kubectl read no further: {told}");
    outcomes
}

/// Whether two values are the same to a reader of JSON, which has one kind of number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

/// The objects of a list in its place, without annotations, of which kubectl puts one in, and managed fields, which it
/// leaves out.
fn flat(objects: &[Value]) -> Vec<Value> {
    let mut all = Vec::new();
    for object in objects {
        match object["items"].as_array() {
            Some(items) if object["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => {
                all.extend(flat(items))
            }
            _ => {
                let mut object = object.clone();
                // kubectl makes metadata where there are none.
                if let Some(fields) = object.as_object_mut()
                    && let Some(mut metadata) = fields.remove("metadata")
                {
                    let is_empty = metadata.as_object_mut().is_none_or(|metadata| {
                        metadata.remove("annotations");
                        metadata.remove("managedFields");
                        metadata.is_empty()
                    });
                    if !is_empty {
                        fields.insert("metadata".to_owned(), metadata);
                    }
                }
                all.push(object);
            }
        }
    }
    all
}

fn agree(ours: &Outcome, theirs: &Outcome) -> bool {
    match (ours, theirs) {
        (Outcome::Refused(_), Outcome::Refused(_)) | (Outcome::Objects(_), Outcome::NoObject(_)) => true,
        (Outcome::Objects(ours), Outcome::Objects(theirs)) => {
            let (ours, theirs) = (flat(ours), flat(theirs));
            ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| same(a, b))
        }
        _ => false,
    }
}

/// How often something was seen.
#[derive(Debug, Default)]
struct Count {
    refused: usize,
    objects: usize,
    none: usize,
    differences: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

/// Compares what the two make of files, each with a name.
fn compare(files: &[(String, Vec<u8>)]) -> Count {
    let mut count = Count::default();
    for batch in files.chunks(BATCH) {
        let octets: Vec<Vec<u8>> = batch.iter().map(|(_, octets)| octets.clone()).collect();
        for ((name, octets), theirs) in batch.iter().zip(theirs(&octets)) {
            let ours = ours(octets);
            match &theirs {
                Outcome::Refused(_) => count.refused += 1,
                Outcome::NoObject(_) => count.none += 1,
                Outcome::Objects(_) => count.objects += 1,
            }
            let text = String::from_utf8_lossy(octets);
            // Behind a document that is no object kubectl reads no further.
            let is_cut = matches!(theirs, Outcome::NoObject(_)) && text.contains("---");
            if is_cut || agree(&ours, &theirs) {
                continue;
            }
            match DIFFERENCES.iter().find(|difference| (difference.is)(&text, &ours, &theirs)) {
                Some(difference) => *count.differences.entry(difference.what).or_default() += 1,
                None => count.wrong.push(format!("{name}: {text:?}\n  ours:   {ours:?}\n  theirs: {theirs:?}")),
            }
        }
    }
    count
}

fn report(what: &str, count: &Count) {
    println!(
        "{what}: kubectl took {} and refused {}, {} were no objects; differences: {:#?}",
        count.objects, count.refused, count.none, count.differences
    );
    let shown: Vec<String> = count.wrong.iter().take(12).map(|wrong| wrong.chars().take(2_000).collect()).collect();
    assert!(shown.is_empty(), "{} differ in {what}:\n{}", count.wrong.len(), shown.join("\n"));
}

/// Fields behind the head of an object, by what they are about.
const ROWS: [(&str, &str); 60] = [
    ("a key that stands twice", "v: {a: 1, b: 2, a: 3}\n"),
    ("a key that stands twice at the top", "v: 1\nw: 2\nv: 3\n"),
    ("a mapping that stands twice", "v: {a: 1}\nv: {b: 2}\n"),
    ("a bracket under its key", "v:\n- a: [\n  x\n  ]\n- b: {\n  c: 1\n  }\n"),
    ("a bracket left of its key", "v:\n  a: [\n1,\n2\n]\n"),
    ("text that goes on at its key's column", "v:\n  a: \"one\n  two\"\n"),
    ("text that goes on left of its key's column", "v:\n  a: 'one\n\n two\nthree'\n"),
    ("text with a line end that is none", "v: \"one \\\n   two\"\n"),
    ("a merge by its tag", "a: &x {b: 1}\nv: {!!merge <<: *x, c: 2}\n"),
    ("a merge", "a: &x {b: 1, c: 1}\nv: {<<: *x, b: 2}\n"),
    ("a merge below a key", "a: &x {b: 1, c: 1}\nv: {b: 2, <<: *x}\n"),
    ("a merge of several", "a: &x {b: 1, c: 1}\nd: &y {c: 2, e: 2}\nv: {<<: [*x, *y, {f: 3}]}\n"),
    ("two merges", "a: &x {b: 1, c: 1}\nd: &y {c: 2, e: 2}\nv:\n  <<: *x\n  <<: *y\n"),
    ("a merge of a list by its name", "a: &x [{b: 1}]\nv: {<<: *x}\n"),
    ("a merge of text", "v: {<<: a}\n"),
    ("a merge of nothing", "v: {<<: }\n"),
    ("a merge of itself", "v: &x {a: 1, <<: *x}\n"),
    ("a list of itself", "v: &x [*x]\n"),
    ("a quoted merge", "a: &x {b: 1}\nv: {\"<<\": *x}\n"),
    (
        "booleans",
        "v: [true, True, TRUE, false, tRue, y, Y, yes, Yes, YES, yES, on, On, ON, n, N, no, No, NO, off, OFF]\n",
    ),
    ("quoted booleans", "v: ['yes', \"no\", !!str on, !!bool \"off\"]\n"),
    ("booleans as keys", "v: {y: 1, off: 2}\n"),
    ("nulls", "v: [~, null, Null, NULL, nULL, , '', !!null '']\nw:\n"),
    (
        "whole numbers",
        "v: [0, -0, +1, 0777, 0o17, 0O17, 0x1F, 0X1f, 0b11, 0B11, -0b11, 0b-11, 08, 1_000, 1__0, _1, 1_, 0o8, 0x, 0b, -, +]\n",
    ),
    (
        "large numbers",
        "v: [9223372036854775807, 9223372036854775808, 18446744073709551616, -9223372036854775809, 99999999999999999999999]\n",
    ),
    (
        "other numbers",
        "v: [1.5, .5, 5., 1e3, 1E-3, +.5, -1.5e+3, 1e400, 1.5.5, ., .e1, 1e, 0x1p4, ._5, .5_0, 1_0.5, 1e1_0]\n",
    ),
    ("no numbers", "v: [1:30, 190:20:30, 1Gi, 500m, 10.0.0.1, 1-2, 0.0.0, inf, nan, Infinity]\n"),
    ("infinity", "v: .inf\n"),
    ("not a number", "v: {a: [.nan]}\n"),
    ("times", "v: [2026-01-02, 2026-01-02T03:04:05Z, 2026-1-2 3:4:5, 03:04:05]\n"),
    ("tags", "v: [!!int \"3\", !!float 3, !!str 3, !foo 3, !!set {a}, !<tag:yaml.org,2002:int> 4, ! 5]\n"),
    ("a tag that lies", "v: !!int x\n"),
    ("a tag of a time that lies", "v: !!timestamp x\n"),
    ("an unknown tag handle", "v: !a!b c\n"),
    ("binary", "v: [!!binary aGVsbG8=, !!binary \"aGVs\\n bG8=\"]\n"),
    ("binary that is none", "v: !!binary x\n"),
    ("keys that are numbers", "v: {1: a, 1.5: b, 0x10: c, 1e7: d, 1.23456789: e, 2026-01-02: f, .inf: g}\n"),
    ("a key of nothing", "v: {~: 1}\n"),
    ("a key that is a list", "v: {[a]: 1}\n"),
    ("a template", "v: {{ .Values.x }}\n"),
    ("a tab for a blank", "v:\t1\n"),
    ("a tab before a comment", "v: 1\t# c\n"),
    ("a tab in an empty line", "v: 1\n\t\nw: 2\n"),
    ("a tab before a comment in a line of its own", "v:\n  a: 1\n\t# c\n  b: 2\n"),
    ("a tab for indentation", "v:\n\ta: 1\n"),
    ("a tab in brackets", "v: [\n\t1,\n\t2 ]\n"),
    ("the escapes", "v: \"\\0\\a\\b\\t\\n\\v\\f\\r\\e\\ \\\"\\\\\\N\\_\\L\\P\\x41\\u00e9\\U0001f600\"\n"),
    ("a slash that needs no escape", "v: \"\\/\"\n"),
    ("half of a pair", "v: \"\\ud83d\\ude00\"\n"),
    ("blocks", "v: |\n  a\n   b\n\n  c\nw: >-\n  a\n  b\n\n  c\n   d\n  e\nx: |+\n  a\n\ny: >2\n    a\n  b\n"),
    ("a block that is too flat", "v: |\na\n"),
    ("a block with a comment", "v: | # c\n  a # b\n"),
    ("a block with text behind its sign", "v: | a\n  b\n"),
    ("a question mark in brackets", "v: [a?b, http://x/?y]\n"),
    ("colons in brackets", "v: {a:b, c: d, \"e\":f, g: :h}\n"),
    ("commas", "v: [1, 2, ]\nw: {a, b: , }\n"),
    ("a comma too many", "v: [1, , 2]\n"),
    ("a list at its key's column", "v:\n- 1\n-\n- - a\n  - b\n"),
    ("an explicit key", "v:\n  ? a\n  : 1\n  ? b\n"),
    ("old ends of lines", "v: a\u{85}  b\u{2028}  c\u{2029}\nw: |\n  a\u{2028}  b\u{85}  c\n"),
];

/// Whole files.
const FILES: [(&str, &str); 22] = [
    ("several documents", "@---\n@--- # c\n@"),
    ("empty documents", "---\n---\n\n# c\n---\n@---\n"),
    (
        "ends of lines of other systems",
        "apiVersion: v1\r\nkind: F\r\nmetadata: {name: a}\r\nv: |\r\n  a\r\n  b\r\n---\r\n@",
    ),
    ("only carriage returns", "apiVersion: v1\rkind: F\rmetadata: {name: a}\rv: 1\r"),
    ("a mark at the beginning", "\u{feff}@"),
    ("a mark behind a separator", "@---\n\u{feff}@"),
    ("a mark before a separator", "\u{feff}@\u{feff}---\n@"),
    ("a mark in the middle of a line", "@v: a\u{feff}b\n"),
    ("a mark in the middle of a document", "@\u{feff}v: 1\n"),
    ("a document behind its marker", "@--- {apiVersion: v1, kind: F, metadata: {name: b}}\n"),
    ("a directive", "%YAML 1.1\n---\n@"),
    ("a document behind the end of one", "@...\n@"),
    ("JSON one after another", "JJ\n\nJ\n  J"),
    (
        "JSON with what only JSON has",
        "{\"apiVersion\":\"v1\",\"kind\":\"F\",\"metadata\":{\"name\":\"a\"},\n\"v\"\n:\t\"\\/\\ud83d\\ude00\\ud83d\"}",
    ),
    ("JSON, then something else", "J x\n"),
    ("JSON behind a separator", "---\nJ\n---\nJ"),
    ("JSON one after another behind a separator", "---\nJ\nJ"),
    ("a mapping in brackets that is no JSON", "{apiVersion: v1, kind: F, metadata: {name: a}}\n"),
    ("a control character", "@v: a\u{1}\n"),
    ("a NUL", "@v: a\0b\n"),
    ("text behind brackets", "@v: {a: 1} b\n"),
    ("a quote without end", "@v: \"a\n---\n@"),
];

const JSON: &str = "{\"apiVersion\":\"v1\",\"kind\":\"F\",\"metadata\":{\"name\":\"a\"},\"v\":[1,{\"a\":null}]}";

fn octets_of_other_encodings() -> Vec<(String, Vec<u8>)> {
    let text = format!("\u{feff}{HEAD}v: é😀\n---\n{HEAD}");
    let mut files = vec![
        ("UTF-16, low octet first".to_owned(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16, high octet first".to_owned(), text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("Latin 1".to_owned(), [HEAD.as_bytes(), b"v: \xe9\n"].concat()),
    ];
    let half = files[0].1.iter().copied().take(files[0].1.len() - 1).collect();
    files.push(("UTF-16, cut in half".to_owned(), half));
    files
}

fn rows() -> Vec<(String, Vec<u8>)> {
    let rows = ROWS.iter().map(|(name, fields)| ((*name).to_owned(), format!("{HEAD}{fields}").into_bytes()));
    let files = FILES.iter().map(|(name, file)| {
        // A template is easier to read than the same head again and again.
        ((*name).to_owned(), file.replace('@', HEAD).replace('J', JSON).replace("{\"AP", "{\"ap").into_bytes())
    });
    rows.chain(files).chain(octets_of_other_encodings()).collect()
}

/// Plain, quoted and other scalars that mean something to some reader.
const SCALARS: [&str; 66] = [
    "a",
    "web-0",
    "a b",
    "yes",
    "No",
    "on",
    "y",
    "true",
    "~",
    "null",
    "",
    "0",
    "1",
    "-1",
    "0777",
    "0x1F",
    "0o17",
    "1_000",
    "1.5",
    "1e3",
    ".5",
    "1e400",
    "08",
    "2026-01-02",
    "1:30",
    "a:b",
    "a#b",
    "a #c",
    "http://x/?y=z",
    "a?",
    "'it''s'",
    "\"a\\tb\"",
    "\"\\u00e9\"",
    "&x a",
    "!!str 1",
    "!!int 1",
    "!foo a",
    "[a, b]",
    "{a: b}",
    "-a",
    ":a",
    "<<",
    "\"a\n  b\"",
    "\"a\nb\"",
    "'a\n\n b'",
    "!!binary YQ==",
    "*x",
    "a: b",
    "- a",
    "?",
    "? a",
    "-",
    "'a",
    "\"a\\qb\"",
    "\"\\ud800\"",
    "a\n  b",
    "a\nb",
    "[",
    "]",
    "{a: [b}",
    "@a",
    "`a",
    "%a",
    "|",
    ">",
    "&x",
];
/// How many of them are right nearly everywhere.
const GOOD: usize = 46;

/// Pieces that mutations put in.
const PIECES: [&str; 52] = [
    ":", ": ", "- ", "-", "\n", "\n\n", " ", "  ", "\t", "#", " #", "[", "]", "{", "}", ",", "'", "\"", "|", ">",
    "|\n", "&x ", "*x", "!!str ", "!a ", "<<: *x", "---\n", "\n---\n", "...\n", "\r", "\r\n", "\u{85}", "\u{2028}",
    "\u{feff}", "? ", "?", "\\", "\\n", "%", "@", "`", "~", "1", "a", "yes", "é", "😀", "\0", "\u{7f}", "key: v\n",
    "- - ", "\\u00",
];

/// Writes a value in one of the many forms, at an indentation.
fn value(rng: &mut Rng, depth: usize, indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    let choice = if depth == 0 { rng.usize(0..4) } else { rng.usize(0..10) };
    match choice {
        0..=2 => {
            let from = if rng.u8(..) < 10 { SCALARS.len() } else { GOOD };
            let scalar = SCALARS[rng.usize(..from)];
            text.push_str(&format!(" {scalar}\n"));
        }
        3 => {
            let header = ["|", ">", "|-", ">+", "|2", ">1-"][rng.usize(..6)];
            text.push_str(&format!(" {header}\n"));
            for _ in 0..rng.usize(1..4) {
                let line = ["a", " b", "", "  c # d", "- e", "f: g", "\ti"][rng.usize(..7)];
                text.push_str(&format!("{pad}{line}\n"));
            }
        }
        4 | 5 => {
            text.push('\n');
            let less = if rng.bool() { indent.saturating_sub(2) } else { indent };
            for _ in 0..rng.usize(1..4) {
                text.push_str(&format!("{}-", " ".repeat(less)));
                value(rng, depth - 1, less + 2, text);
            }
        }
        6 | 7 => {
            text.push('\n');
            for _ in 0..rng.usize(1..4) {
                let from = if rng.u8(..) < 20 { 11 } else { 8 };
                let key = ["a", "b", "c", "\"d\"", "'e'", "0x1", "yes", "f g", "<<", "? h", "1"][rng.usize(..from)];
                text.push_str(&format!("{pad}{key}:"));
                value(rng, depth - 1, indent + 2, text);
            }
        }
        _ => {
            let line = flow(rng, depth);
            text.push_str(&format!(" {line}\n"));
        }
    }
}

/// A value in brackets.
fn flow(rng: &mut Rng, depth: usize) -> String {
    let gap = |rng: &mut Rng| ["", " ", "\n", "\n  ", "\n    ", " # c\n"][rng.usize(..6)];
    if depth == 0 || rng.u8(..) < 80 {
        let from = if rng.u8(..) < 20 { 12 } else { 9 };
        return ["a", "1", "yes", "'x y'", "\"z\"", "a:b", "~", "a b", "&x a", "", "-", "*x"][rng.usize(..from)]
            .to_owned();
    }
    let mut text = String::new();
    let list = rng.bool();
    text.push(if list { '[' } else { '{' });
    for index in 0..rng.usize(0..4) {
        if index > 0 {
            text.push(',');
        }
        text.push_str(gap(rng));
        if !list || rng.u8(..) < 30 {
            let key = ["a", "b", "\"c\"", "'d'", "1"][rng.usize(..5)];
            text.push_str(&format!(
                "{key}:{}",
                [" ", "", "\n "][rng.usize(..3).saturating_sub(usize::from(rng.bool()))]
            ));
        }
        text.push_str(&flow(rng, depth - 1));
        text.push_str(gap(rng));
    }
    text.push(if list { ']' } else { '}' });
    text
}

/// Puts pieces in, takes some out, says some twice.
fn mutate(rng: &mut Rng, text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(0..=characters.len());
        let to = (at + rng.usize(1..6)).min(characters.len());
        match rng.u8(0..4) {
            0 | 1 => {
                let piece = PIECES[rng.usize(..PIECES.len())];
                characters.splice(at..at, piece.chars());
            }
            2 => {
                characters.drain(at..to);
            }
            _ => {
                let copy: Vec<char> = characters[at..to].to_vec();
                characters.splice(at..at, copy);
            }
        }
    }
    characters.into_iter().collect()
}

fn made(rng: &mut Rng, index: usize) -> (String, Vec<u8>) {
    let mut text = String::from(HEAD);
    for name in ["v", "w"] {
        text.push_str(&format!("{name}:"));
        value(rng, 3, 2, &mut text);
    }
    if rng.u8(..) < 20 {
        text.push_str(&format!("---\n{HEAD}"));
    }
    if index % 2 == 1 {
        text = mutate(rng, &text);
    }
    (format!("file {index}"), text.into_bytes())
}

/// Files in which something stands behind `---` in its line, which a kubectl of 1.20 takes for no separator; one of 1.27
/// does, as we do.
const BEHIND_SEPARATORS: [&str; 2] = ["several documents", "a document behind its marker"];

/// The minor version of kubectl.
fn minor_version() -> u32 {
    let output = Command::new("kubectl").args(["version", "--client", "--output=json"]).output().unwrap();
    let version: Value = serde_json::from_slice(&output.stdout).unwrap();
    version["clientVersion"]["minor"].as_str().unwrap().trim_end_matches('+').parse().unwrap()
}

#[test]
fn rows_of_known_forms() {
    if !crate::support::have(&["kubectl"]) {
        return;
    }
    let mut rows = rows();
    if minor_version() < 27 {
        rows.retain(|(name, _)| !BEHIND_SEPARATORS.contains(&name.as_str()));
    }
    let count = compare(&rows);
    report("rows", &count);
    let seen: Vec<&str> = count.differences.keys().copied().collect();
    assert!(seen.len() >= 5, "the rows show the differences: {seen:?}");
}

#[test]
fn made_files() {
    if !crate::support::have(&["kubectl"]) {
        return;
    }
    let wanted = env::var("HEADLESS_DNS_YAML_CASES").ok().and_then(|cases| cases.parse().ok());
    let mut rng = Rng::with_seed(wanted.unwrap_or(1) as u64);
    let files: Vec<(String, Vec<u8>)> = (0..wanted.unwrap_or(CASES)).map(|index| made(&mut rng, index)).collect();
    let count = compare(&files);
    report("made files", &count);
    assert!(count.objects > files.len() / 4 && count.refused > files.len() / 10, "{count:?}");
}

#[test]
fn files_of_others() {
    let Ok(root) = env::var("HEADLESS_DNS_YAML_CORPUS") else { return };
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && path.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|one| ending == *one))
            {
                let octets = fs::read(&path).unwrap();
                if octets.len() < 1 << 20 {
                    files.push((path.display().to_string(), octets));
                }
            }
        }
    }
    report(&format!("{} files of others", files.len()), &compare(&files));
}

#[test]
fn the_comparison_sees_differences() {
    let objects = |text: &str| ours(text.as_bytes());
    assert!(!agree(&objects("a: 1\n"), &objects("a: 2\n")) && !agree(&objects("a: 1\n"), &objects("a: [\n")));
    assert!(agree(&objects("a: 1\n"), &Outcome::Objects(vec![json!({"a": 1.0})])));
}
