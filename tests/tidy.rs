//! The house rules, read from the sources: purposes, import directions, where crates may be named, links and widths.
#![expect(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
};

/// The wings of `src/` in layers, their rooms, and which wings they may import. `docs/architecture.md` draws the same.
const WINGS: &[(&str, &[&str], &[&str])] = &[
    (
        "text",
        &["diagnostic", "duration", "escape", "fnv1a", "nearest", "options", "percent", "regular_file", "yaml"],
        &[],
    ),
    ("net", &["accepting", "connections", "write_timeout"], &[]),
    ("dns", &["name", "wire", "zone", "answer", "forward", "serve"], &["net", "text"]),
    ("objects", &["object", "patch", "manifest"], &["text"]),
    ("engine", &["sandbox", "sandbox_image", "unix_http", "docker_api"], &["text"]),
    (
        "control",
        &["cluster", "runtime", "records", "controller", "explain", "state"],
        &["dns", "engine", "objects", "text"],
    ),
    ("web", &["http", "metrics", "api"], &["control", "dns", "net", "objects", "text"]),
    (
        "program",
        &["exit", "certificate", "telemetry", "settings", "app", "demo", "cli"],
        &["control", "dns", "engine", "net", "objects", "text", "web"],
    ),
];

/// Which rooms of its own wing and of others a room may import.
const ROOMS: &[(&str, &[&str])] = &[
    // Data plane: no Kubernetes, one direction. Each room owns the options that it obeys.
    ("name", &["options"]),
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
    ("yaml", &["diagnostic", "escape", "nearest"]),
    ("escape", &[]),
    ("duration", &[]),
    ("nearest", &[]),
    ("percent", &[]),
    // The hash that never changes.
    ("fnv1a", &[]),
    // Options are declared once, with default and range, in the room that obeys them.
    ("options", &["duration"]),
    // A CronJob's schedule may be a duration.
    ("object", &["duration"]),
    // What patches make of objects: for clients of the API, and for files that were edited.
    ("patch", &["object"]),
    ("manifest", &["diagnostic", "fnv1a", "nearest", "object", "options", "regular_file", "yaml"]),
    // Containers without Kubernetes.
    ("sandbox", &[]),
    ("sandbox_image", &[]),
    ("unix_http", &["sandbox"]),
    ("docker_api", &["escape", "percent", "sandbox", "sandbox_image", "unix_http"]),
    // Control plane: no packets.
    ("cluster", &["object"]),
    ("runtime", &["duration", "fnv1a", "nearest", "object", "options", "sandbox"]),
    ("records", &["escape", "name", "object", "options", "wire", "zone"]),
    ("controller", &["cluster", "escape", "fnv1a", "object", "patch", "records", "runtime", "zone"]),
    ("explain", &["answer", "cluster", "escape", "name", "nearest", "object", "records", "wire", "zone"]),
    ("state", &["cluster", "fnv1a", "name", "object", "regular_file", "runtime", "sandbox"]),
    // Seen from outside: nothing here decides anything.
    ("http", &["accepting", "connections", "write_timeout"]),
    ("metrics", &["answer", "escape", "http", "object", "serve", "zone"]),
    ("api", &["cluster", "controller", "escape", "http", "object", "options", "patch", "percent", "yaml"]),
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
            "nearest",
            "options",
            "records",
            "regular_file",
            "runtime",
            "serve",
            "telemetry",
            "wire",
            "yaml",
            "zone",
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
            "docker_api",
            "duration",
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
            "sandbox",
            "serve",
            "settings",
            "state",
            "telemetry",
            "wire",
            "zone",
        ],
    ),
    (
        "demo",
        &[
            "app",
            "controller",
            "diagnostic",
            "escape",
            "exit",
            "name",
            "object",
            "options",
            "regular_file",
            "settings",
            "yaml",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "certificate",
            "demo",
            "diagnostic",
            "duration",
            "escape",
            "exit",
            "explain",
            "http",
            "manifest",
            "name",
            "object",
            "percent",
            "regular_file",
            "sandbox",
            "settings",
            "telemetry",
        ],
    ),
    ("lib", &[]),
    ("main", &[]),
];

/// What of a room an import from another may name, where it is less than everything.
const NARROW: &[(&str, &str, &[&str])] = &[
    ("records", "object", &["annotations", "labels", "service"]),
    ("runtime", "object", &["annotations", "quantity", "whole_second"]),
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
        &["Encrypted", "NotifyTarget", "Permission", "ProxyProtocol", "RateLimit", "ServeLimits", "TransferPolicy"],
    ),
    ("settings", "telemetry", &["LogOptions"]),
    ("settings", "wire", &["cookie", "tsig"]),
    ("settings", "zone", &["IDENTITY_MAX"]),
    ("app", "answer", &["Transport"]),
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
            "app/dns_programming.rs",
            "app/pod_runtime.rs",
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
    ("rustix", &["app/descriptors.rs", "app/engine_driver/", "state/pods/", "state/volumes/"]),
    ("h3", &["serve/http3"]),
    ("h3_quinn", &["serve/http3"]),
    ("moka", &["forward/"]),
    ("notify", &["manifest/watch.rs"]),
    (
        "hyper",
        &[
            "api/stream.rs",
            "app/engine_driver/",
            "demo/page.rs",
            "docker_api/",
            "http/",
            "serve/http3",
            "serve/https",
            "unix_http/",
        ],
    ),
    ("hyper_util", &["app/engine_driver/", "demo/page.rs", "http/", "serve/https", "unix_http/"]),
    ("quinn", &["serve/http3", "serve/quic.rs"]),
    ("rcgen", &["certificate.rs"]),
    ("prometheus_client", &["metrics/"]),
    ("redb", &["state/"]),
    (
        "ring",
        &["api/openapi/", "app/cookies.rs", "app/engine_driver/", "certificate.rs", "sandbox_image/", "wire/tsig.rs"],
    ),
    ("rustls", &["app/engine_driver/", "certificate.rs", "forward/", "http/", "serve/"]),
    ("serde_yaml", &["demo/"]),
    ("socket2", &["app/engine_driver/bridge.rs", "serve/"]),
    (
        "tokio",
        &[
            "api/",
            "app/",
            "cli/",
            "connections.rs",
            "demo/interrupt.rs",
            "demo/page.rs",
            "docker_api/",
            "forward/",
            "http/",
            "sandbox/",
            "serve/",
            "unix_http/",
            "write_timeout.rs",
        ],
    ),
    ("tracing_subscriber", &["telemetry.rs", "settings/"]),
];

/// Public type names that several files have, and why.
const SEVERAL_MEANINGS: &[(&str, &str)] = &[
    ("Batch", "one type, written for Linux and for everything else"),
    ("Opened", "one type, written for Unix and for everything else"),
    ("PodDirectories", "one type, written for Unix and for everything else"),
    ("ReplyPath", "one type, written for Linux and for everything else"),
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
    /// The file's module: `["dns", "zone", "file"]` for `dns/zone/file.rs`; nothing for the crate's root.
    fn module(&self) -> Vec<&str> {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let segments = path.split('/');
        segments.filter(|segment| !["lib", "main"].contains(segment)).collect()
    }

    /// The path from its room on: `zone/file.rs` for `dns/zone/file.rs`.
    fn in_wing(&self) -> &str {
        self.path.split_once('/').map_or(self.path.as_str(), |(_, path)| path)
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

    /// Everything in this crate that the code names by a path from the root or from a module above.
    fn imports(&self) -> BTreeSet<Vec<String>> {
        let code = self.code();
        let module: Vec<String> = self.module().into_iter().map(str::to_owned).collect();
        let mut found = paths(&code, "crate::");
        for path in paths(&code, "super::") {
            let above = path.iter().take_while(|segment| *segment == "super").count();
            let base = &module[..module.len().saturating_sub(above + 1)];
            found.insert(base.iter().chain(&path[above..]).cloned().collect());
        }
        found
    }
}

/// Every path below `root` (`crate::`, `super::`), with braces resolved.
fn paths(code: &str, root: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(root) {
        let before = code[..at].chars().next_back();
        if before.is_none_or(|letter| !letter.is_alphanumeric() && !matches!(letter, '_' | '$' | ':')) {
            expand(&code[at + root.len()..], &mut Vec::new(), &mut found);
        }
    }
    found
}

/// Reads one path, or a list of paths in braces; returns what is left of the code.
fn expand<'a>(code: &'a str, prefix: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) -> &'a str {
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
    prefix.extend(Some(word.to_owned()).filter(|word| !word.is_empty()));
    let depth = usize::from(!word.is_empty());
    let rest = match rest.strip_prefix("::") {
        Some(more) if more.starts_with(|letter: char| letter.is_alphanumeric() || letter == '{') => {
            expand(more, prefix, found)
        }
        _ => {
            found.insert(prefix.clone());
            rest
        }
    };
    prefix.truncate(prefix.len() - depth);
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
    let wings: BTreeMap<&str, (&str, &[&str])> =
        WINGS.iter().flat_map(|(wing, rooms, below)| rooms.iter().map(|room| (*room, (*wing, *below)))).collect();
    let mut broken = Vec::new();
    let mut used = BTreeSet::new();
    for file in files("src", &["rs"]).iter().filter(|file| !file.is_test()) {
        // The root and a wing's own file say what is in them, and import nothing.
        let [wing, room, ..] = file.module()[..] else {
            broken.extend(file.imports().iter().map(|path| format!("src/{}: imports {}", file.path, path.join("::"))));
            continue;
        };
        let (Some(allowed), Some((own, below))) = (rooms.get(room), wings.get(room)) else {
            broken.push(format!("src/{}: room `{room}` is missing from the tables in tests/tidy.rs", file.path));
            continue;
        };
        if *own != wing {
            broken.push(format!("src/{}: room `{room}` belongs to `{own}`", file.path));
        }
        for path in file.imports().iter().filter(|path| path.get(1).is_some_and(|other| other != room)) {
            let (other_wing, other) = (path[0].as_str(), path[1].as_str());
            let inside = path.get(2).map_or("", String::as_str);
            used.insert((room.to_owned(), other.to_owned()));
            if !allowed.contains(&other) || (other_wing != wing && !below.contains(&other_wing)) {
                broken.push(format!("src/{}: `{room}` must not import `crate::{other_wing}::{other}`", file.path));
            } else if narrow.get(&(room, other)).is_some_and(|what| !what.contains(&inside)) {
                broken.push(format!(
                    "src/{}: `{room}` must not import `crate::{other_wing}::{other}::{inside}`",
                    file.path
                ));
            }
        }
    }
    // So that the table is no wider than the house.
    for (room, allowed) in ROOMS {
        for other in allowed.iter().filter(|other| !used.contains(&((*room).to_owned(), (**other).to_owned()))) {
            broken.push(format!("tests/tidy.rs: `{room}` may import `{other}` and does not; narrow the table"));
        }
    }
    none(broken);
}

/// Wings, rooms and files: what stands side by side is layered, so that each can be read without the ones above it.
#[test]
fn nothing_imports_in_a_circle() {
    let tree = files("src", &["rs"]);
    let tree: Vec<&File> = tree.iter().filter(|file| !file.is_test()).collect();
    let modules: BTreeSet<Vec<&str>> = tree.iter().flat_map(|file| prefixes(&file.module())).collect();
    // By the module that both are in: who imports whom.
    let mut edges: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for file in tree {
        let module = file.module();
        for path in file.imports() {
            let shared = module.iter().zip(&path).take_while(|(a, b)| *a == b).count();
            let (Some(from), Some(to)) = (module.get(shared), path.get(shared)) else { continue };
            let target: Vec<&str> = path[..=shared].iter().map(String::as_str).collect();
            if modules.contains(&target) {
                let within = path[..shared].to_vec();
                edges.entry(within).or_default().entry((*from).to_owned()).or_default().insert(to.clone());
            }
        }
    }
    let mut broken = Vec::new();
    for (within, imports) in &edges {
        for start in imports.keys() {
            if let Some(circle) = circle(start, imports).filter(|circle| circle.iter().min() == Some(start)) {
                broken.push(format!("src/{}: {} -> {start}", within.join("/"), circle.join(" -> ")));
            }
        }
    }
    none(broken);
}

fn prefixes<'a>(module: &[&'a str]) -> Vec<Vec<&'a str>> {
    (1..=module.len()).map(|length| module[..length].to_vec()).collect()
}

/// The shortest way from `start` back to it.
fn circle(start: &String, imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in imports.get(way.last()?).into_iter().flatten() {
            if next == start {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back(way.iter().chain([next]).cloned().collect());
            }
        }
    }
    None
}

#[test]
fn imports_are_read_correctly() {
    let check = |code: &str, expected: &[&str]| {
        let found: BTreeSet<String> = paths(code, "crate::").iter().map(|path| path.join("::")).collect();
        assert_eq!(found, expected.iter().map(|path| (*path).to_owned()).collect(), "{code}");
    };
    check("use crate::name::Name;", &["name::Name"]);
    check(
        "use crate::{name::Name, zone::{self, Delta as D, file::x}, wire::*};\ncrate::app::y()",
        &["name::Name", "zone::self", "zone::Delta", "zone::file::x", "wire", "app::y"],
    );
    check("use crate::{\n    a,\n    b::C,\n};\nuse std::crate_x;", &["a", "b::C"]);
    check("pub(in crate::zone) fn f() {} $crate::x", &["zone"]);
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let found = file("dns/zone/file/read.rs", "use super::{entry::Entry, self};\nuse super::super::node;").imports();
    let expected = [
        vec!["dns", "zone", "file", "entry", "Entry"],
        vec!["dns", "zone", "file", "self"],
        vec!["dns", "zone", "node"],
    ];
    assert_eq!(found, expected.map(|path| path.into_iter().map(str::to_owned).collect()).into());
}

/// A reader with five tabs open is to know which `Entry` this is: a public type name has one meaning in the crate.
#[test]
fn a_public_type_name_has_one_meaning() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files("src", &["rs"]).iter().filter(|file| !file.is_test()) {
        for line in file.code().lines() {
            let Some(public) = line.trim_start().strip_prefix("pub") else { continue };
            let item = public.split_once(' ').map_or("", |(_, item)| item);
            let item =
                ["struct ", "enum ", "trait ", "type ", "union "].iter().find_map(|word| item.strip_prefix(word));
            let name = item.and_then(|item| item.split(|letter: char| !letter.is_alphanumeric()).next());
            if let Some(name) = name.filter(|name| !SEVERAL_MEANINGS.iter().any(|(several, _)| several == name)) {
                places.entry(name.to_owned()).or_default().insert(file.path.clone());
            }
        }
    }
    let several = places.into_iter().filter(|(_, places)| places.len() > 1);
    none(several.map(|(name, places)| format!("`{name}` is the name of several types: {places:?}")).collect());
}

/// Words that a machine can tell from plain English (CONTRIBUTING, "Words").
#[test]
fn comments_are_in_plain_words() {
    /// What follows on "The same" where no noun does.
    const REFERRING: [&str; 11] = ["with", "without", "for", "of", "in", "on", "over", "while", "behind", "as", "when"];
    let mut broken = Vec::new();
    for tree in ["src", "tests", "benches"] {
        for file in files(tree, &["rs"]).iter().filter(|file| (tree, file.path.as_str()) != ("tests", "tidy.rs")) {
            let mut before = "";
            for (number, line) in file.text.lines().enumerate() {
                let line = line.trim_start();
                let place = format!("{tree}/{}:{}", file.path, number + 1);
                let words = line.strip_prefix("/// ").unwrap_or_default();
                let bare = words.strip_prefix("The same").is_some_and(|rest| {
                    let next = rest.split_whitespace().next().unwrap_or_default();
                    rest.starts_with(['.', ',', ';', ':']) || REFERRING.contains(&next)
                });
                if bare && !before.starts_with("///") {
                    broken.push(format!("{place}: a first line stands alone in an index; repeat the noun: {line}"));
                }
                if let Some((_, comment)) = line.split_once("//") {
                    let late = ["version", "serial", "generation"].iter().any(|noun| {
                        comment.contains(&format!("behind this {noun}"))
                            || comment.contains(&format!("behind the {noun}"))
                    });
                    if late {
                        broken.push(format!("{place}: \"behind\" means lower or late; write \"after\": {line}"));
                    }
                }
                before = line;
            }
        }
    }
    none(broken);
}

#[test]
fn the_map_shows_every_room() {
    let map = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let missing = WINGS.iter().flat_map(|(_, rooms, _)| rooms.iter()).filter(|room| {
        !map.lines()
            .any(|line| line.starts_with(&format!("| `{room}` |")) || line.starts_with(&format!("| `{room}/` |")))
    });
    none(missing.map(|room| format!("docs/architecture.md: the map has no row for `{room}`")).collect());
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
            if named && !places.iter().any(|place| file.in_wing().starts_with(place)) {
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
    const OWN: [&str; 4] = ["regular_file.rs", "metrics/process.rs", "app/engine_driver/machine.rs", "state/"];
    let mut broken = Vec::new();
    for file in files("src", &["rs"]).iter().filter(|file| !file.is_test()) {
        let code = file.code();
        let found = READING.iter().find(|reading| code.contains(**reading));
        if let Some(reading) = found.filter(|_| !OWN.iter().any(|own| file.in_wing().starts_with(own))) {
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
