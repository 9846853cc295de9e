//! The house rules, read from the sources: purposes, import directions, where crates may be named, links and widths.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Which rooms of `src/` a room may import. `docs/architecture.md` draws the same.
const ROOMS: &[(&str, &[&str])] = &[
    // Data plane: no Kubernetes, one direction. Each room owns the options that it obeys.
    ("name", &[]),
    ("options", &["text"]),
    ("connections", &[]),
    ("accepting", &[]),
    ("write_timeout", &[]),
    ("wire", &["name"]),
    ("zone", &["diagnostic", "name", "regular_file", "wire"]),
    ("answer", &["name", "wire", "zone"]),
    ("forward", &["answer", "escape", "name", "options", "regular_file", "wire", "zone"]),
    ("serve", &["accepting", "answer", "connections", "forward", "name", "options", "wire", "write_timeout", "zone"]),
    // From text to objects.
    ("diagnostic", &["escape"]),
    // Every file that a person names is read there.
    ("regular_file", &[]),
    ("yaml", &["diagnostic", "escape", "text"]),
    ("escape", &[]),
    // Durations, "did you mean", percent-encoding, and the hash that never changes (FNV-1a), each once.
    ("text", &[]),
    ("object", &[]),
    // What patches make of objects: for clients of the API, and for files that were edited.
    ("patch", &["object"]),
    ("manifest", &["diagnostic", "object", "options", "regular_file", "text", "yaml"]),
    // Control plane: no packets.
    ("cluster", &["object"]),
    ("runtime", &["object", "options", "text"]),
    ("records", &["escape", "name", "object", "options", "wire", "zone"]),
    ("controller", &["cluster", "escape", "object", "patch", "records", "runtime", "text", "zone"]),
    ("explain", &["answer", "cluster", "escape", "name", "object", "records", "text", "wire", "zone"]),
    ("state", &["cluster", "name", "object", "regular_file", "text"]),
    // Seen from outside: nothing here decides anything.
    ("http", &["accepting", "connections", "write_timeout"]),
    ("metrics", &["answer", "escape", "http", "object", "serve", "zone"]),
    ("api", &["cluster", "controller", "escape", "http", "object", "options", "patch", "yaml"]),
    // The program around them.
    ("exit", &[]),
    ("certificate", &["diagnostic", "regular_file"]),
    ("telemetry", &["diagnostic", "escape", "options"]),
    (
        "settings",
        &[
            "api",
            "certificate",
            "diagnostic",
            "forward",
            "manifest",
            "name",
            "options",
            "records",
            "regular_file",
            "runtime",
            "serve",
            "telemetry",
            "wire",
            "yaml",
        ],
    ),
    (
        "app",
        &[
            "answer",
            "api",
            "certificate",
            "cluster",
            "controller",
            "diagnostic",
            "escape",
            "exit",
            "explain",
            "forward",
            "http",
            "manifest",
            "metrics",
            "name",
            "object",
            "records",
            "regular_file",
            "runtime",
            "serve",
            "settings",
            "state",
            "telemetry",
            "text",
            "wire",
            "zone",
        ],
    ),
    (
        "demo",
        &["app", "controller", "diagnostic", "escape", "exit", "name", "object", "regular_file", "settings", "yaml"],
    ),
    (
        "cli",
        &[
            "answer",
            "app",
            "certificate",
            "demo",
            "diagnostic",
            "escape",
            "exit",
            "explain",
            "http",
            "manifest",
            "name",
            "object",
            "regular_file",
            "settings",
            "telemetry",
            "text",
        ],
    ),
    ("lib", &[]),
    ("main", &[]),
];

/// What of a room an import from another may name, where it is less than everything.
const NARROW: &[(&str, &str, &[&str])] = &[
    ("records", "object", &["annotations", "labels", "service"]),
    ("runtime", "object", &["annotations"]),
    ("patch", "object", &["schema"]),
    ("records", "wire", &["rdata"]),
    ("controller", "zone", &["Delta"]),
    // Only what can be set.
    ("settings", "api", &["ApiLimits"]),
    ("settings", "certificate", &["CertificateSource"]),
    ("settings", "forward", &["ForwardOptions", "parse_upstream", "parse_upstreams", "self"]),
    ("settings", "manifest", &["watch"]),
    ("settings", "records", &["Ttls"]),
    ("settings", "runtime", &["simulated"]),
    (
        "settings",
        "serve",
        &["Encrypted", "Limits", "NotifyTarget", "Permission", "ProxyProtocol", "RateLimit", "TransferPolicy"],
    ),
    ("settings", "telemetry", &["LogOptions"]),
    ("settings", "wire", &["cookie", "tsig"]),
    ("app", "answer", &["Transport"]),
    ("cli", "answer", &["Transport"]),
    ("explain", "records", &["name_schema", "reverse_name"]),
];

/// Crates that could be replaced one day, and the places that would have to know.
const CRATES: &[(&str, &[&str])] = &[
    ("axum", &["api/", "app/observe/", "http/"]),
    ("arc_swap", &["wire/cookie.rs", "zone/publish.rs"]),
    ("clap", &["cli/", "settings/overrides.rs"]),
    ("hickory_net", &["forward/"]),
    ("hickory_proto", &["demo/client.rs", "explain/answered.rs", "forward/"]),
    ("imbl", &["zone/"]),
    (
        "k8s_openapi",
        &[
            "api/derived.rs",
            "app/programming.rs",
            "cluster/",
            "controller/",
            "demo/",
            "explain/",
            "manifest/",
            "object/",
            "records",
            "runtime/",
            "state/",
            "yaml/",
        ],
    ),
    ("libc", &["main.rs", "regular_file.rs", "serve/", "state/volumes/"]),
    ("rustix", &["app/descriptors.rs", "state/volumes/"]),
    ("h3", &["serve/http3"]),
    ("h3_quinn", &["serve/http3"]),
    ("moka", &["forward/"]),
    ("notify", &["manifest/watch.rs"]),
    ("hyper", &["api/stream.rs", "http/", "serve/http3", "serve/https"]),
    ("hyper_util", &["http/", "serve/https"]),
    ("quinn", &["serve/http3", "serve/quic.rs"]),
    ("rcgen", &["certificate.rs"]),
    ("prometheus_client", &["metrics/"]),
    ("redb", &["state/"]),
    ("ring", &["api/openapi/", "app/cookies.rs", "certificate.rs", "wire/tsig.rs"]),
    ("rustls", &["certificate.rs", "forward/", "http/", "serve/"]),
    ("serde_yaml", &["demo/"]),
    ("socket2", &["serve/"]),
    ("tokio", &["api/", "app/", "cli/", "connections.rs", "forward/", "http/", "serve/", "write_timeout.rs"]),
    ("tracing_subscriber", &["telemetry.rs", "settings/"]),
];

const FORBIDDEN_FILES: &[&str] = &["common", "context", "core", "helpers", "manager", "misc", "types", "util", "utils"];
const WIDTH: usize = 140;

struct File {
    /// Relative to its tree, with `/`.
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(tree: &str, extensions: &[&str]) -> Vec<File> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let base = root().join(tree);
    let mut found = Vec::new();
    walk(&base, &mut found);
    found.sort();
    let wanted = |path: &&PathBuf| path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted));
    let read = |path: &PathBuf| File {
        path: path.strip_prefix(&base).unwrap().to_string_lossy().replace('\\', "/"),
        text: fs::read_to_string(path).unwrap(),
    };
    let files: Vec<File> = found.iter().filter(wanted).map(read).collect();
    assert!(!files.is_empty(), "no files in {tree}");
    files
}

impl File {
    fn room(&self) -> &str {
        self.path.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// Whether all of it is there for tests only.
    fn is_test(&self) -> bool {
        ["tests.rs", "testing.rs"].iter().any(|name| self.path.ends_with(name)) || self.path.contains("/tests/")
    }

    /// The code without comments and without the tests at its end.
    fn code(&self) -> String {
        let code: Vec<&str> = self
            .text
            .lines()
            .take_while(|line| !line.starts_with("mod tests {"))
            .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
            .collect();
        code.join("\n")
    }
}

/// Every path below `crate::` as (room, the segment after it or nothing), with braces resolved.
fn imports(code: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_' && letter != '$') {
            expand(&code[at + "crate::".len()..], &mut Vec::new(), &mut found);
        }
    }
    found
}

/// Reads one path, or a list of paths in braces; returns what is left of the code.
fn expand<'a>(code: &'a str, prefix: &mut Vec<String>, found: &mut BTreeSet<(String, String)>) -> &'a str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = expand(rest, prefix, found).trim_start();
            match rest.strip_prefix(',') {
                Some(more) if !more.trim_start().starts_with('}') => rest = more,
                Some(more) => return more.trim_start().strip_prefix('}').unwrap_or(more),
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = code.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(code.len());
    let (word, rest) = code.split_at(end);
    prefix.push(word.to_owned());
    let rest = match rest.strip_prefix("::") {
        Some(more) if more.starts_with(|letter: char| letter.is_alphanumeric() || letter == '{') => {
            expand(more, prefix, found)
        }
        _ => {
            found.insert((prefix[0].clone(), prefix.get(1).cloned().unwrap_or_default()));
            rest
        }
    };
    prefix.pop();
    // `name as other`
    match rest.trim_start().strip_prefix("as ") {
        Some(renamed) => renamed.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_'),
        None => rest,
    }
}

fn none(broken: Vec<String>) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_file_begins_with_its_purpose() {
    let mut broken = Vec::new();
    for tree in ["src", "tests"] {
        for file in files(tree, &["rs"]) {
            let purpose = file.text.lines().next().unwrap_or_default().strip_prefix("//! ").unwrap_or_default();
            if purpose.trim().len() < 10 {
                broken.push(format!(
                    "{tree}/{}: the first line is no `//!` line that says what the file is for",
                    file.path
                ));
            }
            let stem = Path::new(&file.path).file_stem().unwrap().to_string_lossy().into_owned();
            if tree == "src" && FORBIDDEN_FILES.contains(&stem.as_str()) {
                broken.push(format!("src/{}: `{stem}` says nothing about what is inside", file.path));
            }
        }
    }
    none(broken);
}

#[test]
fn imports_go_one_way() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let narrow: BTreeMap<(&str, &str), &[&str]> = NARROW.iter().map(|(from, to, what)| ((*from, *to), *what)).collect();
    let mut broken = Vec::new();
    let mut used = BTreeSet::new();
    for file in files("src", &["rs"]).iter().filter(|file| !file.is_test()) {
        let room = file.room();
        let Some(allowed) = rooms.get(room) else {
            broken.push(format!("src/{}: room `{room}` is missing from the table in tests/tidy.rs", file.path));
            continue;
        };
        for (other, inside) in imports(&file.code()).iter().filter(|(other, _)| other != room) {
            used.insert((room.to_owned(), other.clone()));
            if !allowed.contains(&other.as_str()) {
                broken.push(format!("src/{}: `{room}` must not import `crate::{other}`", file.path));
            } else if narrow.get(&(room, other.as_str())).is_some_and(|what| !what.contains(&inside.as_str())) {
                broken.push(format!("src/{}: `{room}` must not import `crate::{other}::{inside}`", file.path));
            }
        }
    }
    // So that the table is no wider than the house.
    for (room, allowed) in ROOMS {
        for other in allowed.iter().filter(|other| !used.contains(&((*room).to_owned(), (**other).to_owned()))) {
            if (*room, *other) != ("answer", "name") {
                broken.push(format!("tests/tidy.rs: `{room}` may import `{other}` and does not; narrow the table"));
            }
        }
    }
    none(broken);
}

#[test]
fn imports_are_read_correctly() {
    let check = |code: &str, expected: &[(&str, &str)]| {
        let expected: BTreeSet<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(imports(code), expected, "{code}");
    };
    check("use crate::name::Name;", &[("name", "Name")]);
    check(
        "use crate::{name::Name, zone::{self, Delta as D, file::x}, wire::*};\ncrate::app::y()",
        &[("name", "Name"), ("zone", "self"), ("zone", "Delta"), ("zone", "file"), ("wire", ""), ("app", "y")],
    );
    check("use crate::{\n    a,\n    b::C,\n};\nuse std::crate_x;", &[("a", ""), ("b", "C")]);
    check("pub(in crate::zone) fn f() {} $crate::x", &[("zone", "")]);
}

#[test]
fn crates_are_named_where_they_belong() {
    let mut broken = Vec::new();
    for file in files("src", &["rs"]).iter().filter(|file| !file.is_test()) {
        let code = file.code();
        for (name, places) in CRATES {
            let named = code.match_indices(&format!("{name}::")).any(|(at, _)| {
                let before = code[..at].chars().next_back();
                before.is_none_or(|letter| !letter.is_alphanumeric() && !matches!(letter, '_' | ':' | '.'))
            });
            if named && !places.iter().any(|place| file.path.starts_with(place)) {
                broken.push(format!("src/{}: the crate `{name}` is named in {places:?} only", file.path));
            }
        }
    }
    none(broken);
}

/// What a person names may be a pipe or a device: it is read in one room only.
#[test]
fn files_are_read_in_one_room() {
    /// What reads a file, whatever it is.
    const READING: [&str; 4] = ["fs::read(", "read_to_string(", "File::open", "pem_file_iter"];
    /// Files that no person names: the kernel's, and what lies in the state directory.
    const OWN: [&str; 3] = ["regular_file.rs", "metrics/process.rs", "state/"];
    let mut broken = Vec::new();
    for file in files("src", &["rs"]).iter().filter(|file| !file.is_test()) {
        let code = file.code();
        let found = READING.iter().find(|reading| code.contains(**reading));
        if let Some(reading) = found.filter(|_| !OWN.iter().any(|own| file.path.starts_with(own))) {
            broken.push(format!("src/{}: `{reading}`: take crate::regular_file", file.path));
        }
    }
    none(broken);
}

#[test]
fn nothing_is_left_undone() {
    let mut broken = Vec::new();
    for tree in ["src", "tests"] {
        // This file has to spell what it looks for.
        for file in files(tree, &["rs"]).iter().filter(|file| (tree, file.path.as_str()) != ("tests", "tidy.rs")) {
            for (number, line) in file.text.lines().enumerate() {
                for word in ["todo!(", "unimplemented!(", "#[ignore", "#[should_panic", "dbg!(", "FIXME", "XXX"] {
                    if line.contains(word) {
                        broken.push(format!("{tree}/{}:{}: {word}", file.path, number + 1));
                    }
                }
            }
        }
    }
    none(broken);
}

#[test]
fn lines_are_not_too_wide() {
    let mut broken = Vec::new();
    let trees: [(&str, &[&str]); 3] = [("src", &["rs"]), ("config", &["yaml"]), ("docs", &["md"])];
    for (tree, extensions) in trees {
        // Rows of data in tests may be as wide as the data.
        for file in files(tree, extensions).iter().filter(|file| !file.is_test()) {
            // A row of a Markdown table cannot be broken.
            let lines = file.text.lines().enumerate().filter(|(_, line)| tree != "docs" || !line.starts_with('|'));
            for (number, line) in lines.filter(|(_, line)| line.chars().count() > WIDTH) {
                broken.push(format!("{tree}/{}:{}: {} columns", file.path, number + 1, line.chars().count()));
            }
        }
    }
    none(broken);
}

#[test]
fn every_dependency_has_its_sentence() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut broken = Vec::new();
    let mut section = "";
    let mut previous = "";
    let mut seen = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.contains("dependencies") && line.contains('=') {
            seen += 1;
            if !line.contains(" # ") && !previous.starts_with("# ") {
                broken.push(format!("Cargo.toml: no comment says why: {line}"));
            }
        }
        previous = line;
    }
    assert!(seen > 10, "found only {seen} dependencies");
    none(broken);
}

#[test]
fn documents_are_linked_and_links_lead_somewhere() {
    let mut broken = Vec::new();
    let architecture = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for decision in files("docs/decisions", &["md"]) {
        if !architecture.contains(&format!("decisions/{}", decision.path)) {
            broken.push(format!("docs/architecture.md does not link docs/decisions/{}", decision.path));
        }
    }
    let mut documents: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from).into();
    documents.extend(files("docs", &["md"]).into_iter().map(|file| Path::new("docs").join(file.path)));
    for document in documents {
        let text = fs::read_to_string(root().join(&document)).unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, mark)| text.split_at(at + mark.len())) {
            let target = rest.split([')', '#']).next().unwrap();
            let local = !target.is_empty() && !target.contains("://");
            if local && !root().join(&document).parent().unwrap().join(target).exists() {
                broken.push(format!("{}: no such file: {target}", document.display()));
            }
        }
    }
    none(broken);
}
